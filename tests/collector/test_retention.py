"""What may be dropped goes when its time is over, a little at a time; records, receipts and counts never do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import retention
from collector.ingest import Message
from collector.ledger import LedgerReader
from collector.ledger_write import SqliteLedger
from collector.retention import DAY_MS, RULES, Sweeper, look
from collector.settings import RetentionSettings
from tests.collector.kit import Deployment, FakeProbe
from tests.collector.test_web_world import World, world
from wire.errors import Unavailable

POLICY = RetentionSettings(refused_bytes_days=10, idle_deliveries_days=5)


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.tests(3)
        for _ in range(4):
            made.now_ms += DAY_MS
            made._ingest.take([Message("x/y", b"no record")], made.now_ms)
        yield made


def test_only_what_is_older_goes_and_its_count_stays(here: World) -> None:
    start_ms = here.now_ms
    assert [(one.name, one.rows, one.due) for one in look(here.reader, POLICY, start_ms)] == [
        ("refused_bytes", 4, 0), ("idle_deliveries", 4, 0),
    ]  # fmt: skip
    ledger = here._ledger
    later_ms = start_ms + 4 * DAY_MS
    assert [one.due for one in look(here.reader, POLICY, later_ms)] == [0, 2]
    assert ledger.let_go(POLICY, later_ms) == {"refused_bytes": 0, "idle_deliveries": 2}
    later_ms = start_ms + 30 * DAY_MS
    assert ledger.let_go(POLICY, later_ms) == {"refused_bytes": 4, "idle_deliveries": 2}
    assert ledger.let_go(POLICY, later_ms) == {"refused_bytes": 0, "idle_deliveries": 0}
    assert [one.rows for one in look(here.reader, POLICY, later_ms)] == [0, 0]
    assert here.reader.last_n() == 3
    assert here.reader.deliveries().refused == 4
    assert [one.reason for one in here.reader.refusals()] == [here.reader.refusals()[0].reason] * 4
    assert here.reader.refused_bytes(1) is None
    here._ingest.take([Message("x/y", b"no record")], later_ms)
    assert here.reader.refused_bytes(5) is not None


def test_no_rule_names_a_table_of_evidence() -> None:
    for rule in RULES:
        for table in ("record", "receipt", "note", "witness", "rollup", "chain", "gap"):
            assert f" {table}" not in rule.drop


def test_it_goes_little_by_little(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention.drop, "__defaults__", (1,))
    assert here._ledger.let_go(POLICY, here.now_ms + 30 * DAY_MS) == {"refused_bytes": 1, "idle_deliveries": 1}


def test_a_sweeper_waits_an_hour_and_lives_with_a_full_disk() -> None:
    asked: list[int] = []

    def refuses() -> dict[str, int]:
        asked.append(1)
        raise Unavailable("disk full")

    sweep = Sweeper(refuses)
    sweep()
    sweep()
    assert asked == [1]


def test_the_command_tells_and_applies_only_while_receive_is_stopped(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path, 'socket = "c.sock"', FakeProbe("p-one"))
    ledger = SqliteLedger(deployment.state / "ledger.db")
    busy = deployment.call("retention", "--apply")
    assert busy.returncode == 78
    assert "already being written" in busy.stderr
    ledger.close()
    done = deployment.call("retention", "--apply", "--json")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["name"] for line in done.stdout.splitlines()] == ["refused_bytes", "idle_deliveries"]
    told = deployment.call("retention").stdout
    assert "refused_bytes: 0 held, none, kept 90 days, 0 due" in told
    assert "kept for ever" in told
    assert LedgerReader(deployment.state / "ledger.db").last_n() == 0
