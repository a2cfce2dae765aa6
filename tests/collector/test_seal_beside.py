"""What stands beside the log is compared before each signature: rollups with records, deliveries with themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from collector import ledger_delivery, seal_watch
from collector.retention import DAY_MS
from collector.seal import Sealer
from collector.seal_audit import Broken
from collector.seal_derived import DerivedCheck
from collector.seal_watch import TableWatch
from collector.settings import RetentionSettings
from tests.collector.kit import ORIGIN, FakeProbe
from tests.collector.test_seal import KEY, Log
from wire import topics

POLICY = RetentionSettings(refused_bytes_days=4, idle_deliveries_days=2)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path, FakeProbe("p-one"))
    watch(made, POLICY)
    yield made
    made.close()
    made.door.close()


def watch(log: Log, policy: RetentionSettings) -> None:
    """A sealer's program starts, with these settings; its clock is the door's."""
    path = log.folder / "ledger.db"
    checks = (DerivedCheck(path), TableWatch(log.store, path, policy, lambda: log.door.now_ms))
    log.sealer = Sealer(log.store, [log.leaves], log.folder / "log", KEY, ORIGIN, checks=checks)


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
    monkeypatch.setattr(seal_watch, "_VIEWS", tuple(replace(v, keeps=kept[v.name]) for v in seal_watch._VIEWS))
    for _ in range(12):
        log.door.take_bytes(topics.up("p-one"), b"\x00\x03abc")
        log.tests(1)
        log.round()
    assert log.seen().size == 12
    log.sql("UPDATE refusal SET detail = 'x' WHERE n = (SELECT max(n) FROM refusal)")
    log.tests(1)
    with pytest.raises(Broken, match="refusal 12"):
        log.round()


def days(log: Log, count: int) -> None:
    """Each day something is refused, something is taken, and a checkpoint is signed."""
    for _ in range(count):
        log.door.now_ms += DAY_MS
        log.door.take_bytes(topics.up("p-one"), b"\x00\x03abc")
        log.tests(1)
        log.round()


def swept(log: Log, policy: RetentionSettings = POLICY) -> dict[str, int]:
    """`receive` applies its policy."""
    return log.door.ledger.let_go(policy, log.door.now_ms)


def test_what_receive_lets_go_by_its_age_is_no_harm(log: Log) -> None:
    for _ in range(8):
        days(log, 1)
        swept(log)
    assert log.seen().size == 8
    assert log.door.sql("SELECT count(*) FROM delivery WHERE accepted = 0") == [(2,)]
    assert log.door.sql("SELECT count(*) FROM refusal WHERE raw IS NOT NULL") == [(4,)]


@pytest.mark.parametrize(
    ("harm", "said"),
    [
        (
            "DELETE FROM delivery WHERE accepted = 0 AND n = (SELECT max(n) FROM delivery WHERE accepted = 0)",
            "delivery",
        ),
        ("DELETE FROM delivery WHERE accepted = 0", "delivery"),
        ("UPDATE delivery SET received_ms = 0 WHERE accepted = 0 AND n > 13", "delivery"),
        ("UPDATE refusal SET raw = NULL WHERE n > 6", "refusal"),
        ("UPDATE refusal SET raw = x'00' WHERE n = 7", "refusal"),
        ("DELETE FROM refusal WHERE n = 1", "refusal 1 to"),
        ("DELETE FROM delivery WHERE n = 2", "delivery 1 to"),
    ],
)
def test_what_the_policy_would_have_kept_is_found_missing(log: Log, harm: str, said: str) -> None:
    days(log, 8)
    assert swept(log)["idle_deliveries"] == 6
    log.round()
    log.sql(harm)
    log.tests(1)
    with pytest.raises(Broken, match=said):
        log.round()


def test_what_was_due_once_stays_left_out_when_it_is_kept_for_longer(log: Log) -> None:
    days(log, 4)
    swept(log)
    log.round()
    for longer in (RetentionSettings(), POLICY):
        watch(log, longer)
        days(log, 1)
    log.door.now_ms -= 3 * DAY_MS  # and when a clock that was ahead goes back
    log.tests(1)
    log.round()


def test_a_row_that_calls_itself_old_takes_no_other_with_it(log: Log) -> None:
    """Somebody who writes the ledger cannot make the sealer look away from rows that are seen already."""
    days(log, 4)
    log.sql("INSERT INTO delivery SELECT max(n) + 1, 0, 'x', 'p-one', 1, 0, 0, 1 FROM delivery")
    log.tests(1)
    log.round()
    log.sql("DELETE FROM delivery WHERE accepted = 0 AND received_ms > 0")
    log.tests(1)
    with pytest.raises(Broken, match="delivery"):
        log.round()
