"""What stands beside the log is compared before each signature: rollups with records, deliveries with themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import ledger_delivery, seal_watch
from collector.seal import Sealer
from collector.seal_audit import Broken
from collector.seal_derived import DerivedCheck
from collector.seal_watch import TableWatch
from tests.collector.kit import ORIGIN, FakeProbe
from tests.collector.test_seal import KEY, Log
from wire import topics


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path, FakeProbe("p-one"))
    checks = (DerivedCheck(tmp_path / "ledger.db"), TableWatch(made.store, tmp_path / "ledger.db"))
    made.sealer = Sealer(made.store, [made.leaves], tmp_path / "log", KEY, ORIGIN, checks=checks)
    yield made
    made.close()
    made.door.close()


def worked(log: Log) -> None:
    """Records with a coverage and an undated one among them, duplicates, refusals; all of it sealed."""
    log.tests(30)
    undated = {"t_ms": None, "clock": "unsynced", "t_src": "none", "boot": "f" * 32}
    again = log.probe.coverage()
    log.door.take("p-one", again, log.probe.test(**undated))
    log.door.take("p-one", again)
    log.door.take_bytes(topics.up("p-one"), b"\x00\x03abc")
    log.round()
    log.door.take("p-one", log.probe.event("clock_set", boot="f" * 32, set_mono_ms=1000, set_t_ms=1_790_000_400_000))
    log.tests(3)
    log.round()


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        ("UPDATE rollup_day SET counted = counted + 1", "rollups of"),
        ("UPDATE rollup_total SET counted = counted + 1 WHERE span = 'day'", "rollups of"),
        ("UPDATE rollup_total SET downlink_bytes = 7 WHERE span = 'month'", "rollups of"),
        ("DELETE FROM rollup_day", "rollups of"),
        (
            "UPDATE entry SET counted = 0, not_counted = (SELECT k FROM word WHERE text = 'not_a_test') WHERE n = 4",
            "rollups of",
        ),
        ("UPDATE delivery SET bytes = bytes + 1 WHERE n = 2", "delivery 1 to"),
        ("DELETE FROM delivery WHERE accepted = 0", "delivery 1 to"),
        ("UPDATE refusal SET raw = NULL", "refusal 1 to"),
        ("UPDATE refusal SET reason = 'too_big'", "refusal 1 to"),
    ],
)
def test_what_was_edited_beside_the_log_stops_the_signing(log: Log, harm: str, said: str) -> None:
    worked(log)
    size = log.seen().size
    log.sql(harm)
    log.tests(1)
    for _ in range(2):
        with pytest.raises(Broken, match=said):
            log.round()
    assert log.seen().size == size


def test_what_receive_lets_go_by_its_own_rules_is_no_harm(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    few = {"KEEP_IDLE_DELIVERIES": 5, "KEEP_REFUSALS": 5, "KEEP_REFUSED_BYTES": 2}
    for name, value in few.items():
        monkeypatch.setattr(ledger_delivery, name, value)
    kept = {"idle": 5, "refusal": 5, "refused": 2, "delivery": None}
    monkeypatch.setattr(
        seal_watch, "_VIEWS", tuple(seal_watch._View(v.name, v.rows, v.table, kept[v.name]) for v in seal_watch._VIEWS)
    )
    for _ in range(12):
        log.door.take_bytes(topics.up("p-one"), b"\x00\x03abc")
        log.tests(1)
        log.round()
    assert log.seen().size == 12
    log.sql("UPDATE refusal SET detail = 'x' WHERE n = (SELECT max(n) FROM refusal)")
    log.tests(1)
    with pytest.raises(Broken, match="refusal 12"):
        log.round()
