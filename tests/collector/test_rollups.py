"""Rollups equal the records, in whatever order those come, are dated or judged again; every span of them is exact."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.core.clock import DAY_MS, HOUR_MS, day_of, hour_of, month_of
from collector.core.rollup import METRICS, Change, Hour, merged
from collector.core.sample import Sample
from collector.core.view_figures import percentile
from collector.follow import Follower
from collector.ledger_write import SqliteLedger
from collector.rollup_pack import pack_hours, unpack_hours
from collector.rollups import Rollups, fact_of_sample
from tests.collector.door import Door
from tests.collector.harm import downgrade
from tests.collector.kit import SLOT_MS, T0_MS, FakeProbe, document
from tests.collector.postgres import SQLITE_ONLY
from wire.errors import Unavailable
from wire.records import TestRecord

MONTH = month_of(T0_MS)
OTHER = {
    "communes": [*document()["communes"], {"code": "05758", "name": "Xã Đại Từ", "province": "19"}],
    "hamlets": [
        *document()["hamlets"],
        {"code": "h-two", "name": "Hai", "kind": "xóm", "commune": "05755"},
        {"code": "h-far", "name": "Xa", "kind": "xóm", "commune": "05758"},
    ],
    "sites": [
        *document()["sites"],
        {"code": "s-two", "hamlet": "h-two", "name": "Nhà văn hóa"},
        {"code": "s-far", "hamlet": "h-far", "name": "Nhà văn hóa"},
    ],
}
# Minutes from T0 (17:20 at Vietnam's clock): back over midnight and the month's beginning, and ahead.
MINUTES = st.integers(-40_000, 6_000)
TESTS = st.fixed_dictionaries(
    {
        "minute": MINUTES,
        "outcome": st.sampled_from(["ok", "ok", "ok", "failed", "partial", "skipped"]),
        "plmn": st.sampled_from(["45204", "45201", None]),
        "downlink_bps": st.sampled_from([None, 0, 5_000_000, 20_000_000, 10**11]),
        "undated": st.booleans(),
        "lost": st.booleans(),
    }
)
COVERAGES = st.fixed_dictionaries({"minute": MINUTES, "states": st.text("CDNU", min_size=1, max_size=60)})
SAID = st.sampled_from(["clock", "follow", "restart"])
STEPS = st.lists(st.one_of(TESTS, COVERAGES, SAID, st.sampled_from(["s-two", "s-far"])), max_size=14)


@contextmanager
def opened(*probes: FakeProbe) -> Iterator[Door]:
    with tempfile.TemporaryDirectory() as folder:
        door = Door(Path(folder), *probes)
        try:
            yield door
        finally:
            door.close()


def play(door: Door, probe: FakeProbe, steps: list[Any]) -> None:
    """Records in any order of time, some out of the chain's order, some undated, and a probe that moves."""
    late: list[bytes] = []
    for step in steps:
        if step == "clock":
            door.take(probe.probe, probe.event("clock_set", set_mono_ms=0, set_t_ms=T0_MS - 90 * 60_000))
        elif step == "follow":
            door.ingest.follower.step()
        elif step == "restart":
            door.ingest.follower = Follower(door.ledger, door.ingest.placer, door.registry)
        elif isinstance(step, str):
            moved = {**document(probe)["probes"][0], "site": step, "valid_from_ms": T0_MS - DAY_MS}
            door.registry.load({**OTHER, "probes": [moved]})
        else:
            raw = _record(probe, step)
            if step.get("lost"):
                late.append(raw)
            else:
                door.take(probe.probe, raw)
    for raw in late:
        door.take(probe.probe, raw)


def _record(probe: FakeProbe, step: dict[str, Any]) -> bytes:
    t_ms = T0_MS + step["minute"] * 60_000 + probe.seq
    if "states" in step:
        causes = "".join("." if letter == "C" else "s" for letter in step["states"])
        return probe.coverage(step["states"], causes, t_ms=t_ms, offline_ms=len(causes))
    when = {"t_ms": None, "clock": "unsynced", "t_src": "none"} if step["undated"] else {"t_ms": t_ms}
    why = {} if step["outcome"] == "ok" else {"stage": "connect", "cause": "timeout"}
    wanted = {name: step[name] for name in ("outcome", "plmn", "downlink_bps")}
    return probe.test(**wanted, **when, **why, slot_ms=t_ms, downlink_bytes=7)


def tables(door: Door) -> tuple[list[Any], list[Any]]:
    days = "SELECT * FROM rollup_day ORDER BY day_ms, province, commune, hamlet, plmn"
    return door.sql(days), door.sql("SELECT * FROM rollup_total ORDER BY span, start_ms, province, commune, plmn")


def follow(door: Door) -> None:
    """Work off the registry's change list, as `receive` does between groups."""
    while door.ingest.follower.step():
        pass


@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
@given(STEPS, STEPS, st.booleans())
def test_rollups_equal_what_is_made_again_from_the_records(ones: list[Any], twos: list[Any], moves: bool) -> None:
    one, two = FakeProbe("p-one"), FakeProbe("p-two")
    with opened(one, two) as door:
        play(door, one, ones)
        play(door, two, twos)
        if moves:
            follow(door)
            placed = {(s.n, s.hamlet, s.counted) for s in door.reader.samples(limit=1000) if s.t_ms is not None}
            assert placed == {(s.n, *judged(door, s)) for s in door.reader.samples(limit=1000) if s.t_ms is not None}
        kept = tables(door)
        number = door.ledger.rebuild_rollups()
        assert tables(door) == kept
        assert number == sum(fact_of_sample(s) is not None for s in door.reader.samples(limit=1000))
        by_hand(door, 0, T0_MS + 400 * DAY_MS)
        by_hand(door, T0_MS - 7_000_001, T0_MS + 5 * DAY_MS + 1)


@SQLITE_ONLY
def test_a_line_moves_what_was_taken_before_it_was_seen_and_looks_at_nothing_behind_it(tmp_path: Path) -> None:
    probe = FakeProbe("p-one")
    door = Door(tmp_path, probe)
    try:
        play(door, probe, [_test(1), _test(2), "s-two", "restart", _test(3)])
        before = {s.n: s.hamlet for s in door.reader.samples(limit=10)}
        with closing(sqlite3.connect(door.path)) as raw:
            raw.execute("UPDATE entry SET hamlet = (SELECT hamlet FROM entry WHERE n = 1) WHERE n = 3")
            raw.commit()
        follow(door)
        after = {s.n: s.hamlet for s in door.reader.samples(limit=10)}
        assert before[1] == before[2] != before[3] == "h-two"
        assert after == {1: "h-two", 2: "h-two", 3: before[1]}, "the third was right and is not asked again"
    finally:
        door.close()


def _test(minute: int) -> dict[str, Any]:
    known = {"outcome": "ok", "plmn": "45204", "downlink_bps": 5_000_000}
    return {"minute": minute, **known, "undated": False, "lost": False}


def judged(door: Door, sample: Sample) -> tuple[str, bool]:
    """Where the registry says that the record's probe stood, and whether it counts by what it says."""
    place = door.registry.place(sample.probe, sample.t_ms)
    return place.hamlet if place else "", sample.counted


def by_hand(door: Door, since_ms: int, until_ms: int) -> None:
    """Every figure of a span is what counting record by record gives."""
    samples = [
        s for s in door.reader.samples(limit=1000) if fact_of_sample(s) and since_ms <= (s.t_ms or -1) < until_ms
    ]
    rollups = Rollups(door.reader)
    counts = door.reader.hamlet_counts(since_ms, until_ms)
    assert {h: c.tests for h, c in counts.items() if c.tests} == Counter(s.hamlet for s in samples if s.kind == "test")
    assert max((c.last_t_ms or 0 for c in counts.values()), default=0) == max((s.t_ms or 0 for s in samples), default=0)
    received = max((s.received_ms for s in samples), default=0)
    assert max((c.last_received_ms or 0 for c in counts.values()), default=0) == received
    totals = rollups.totals(since_ms, until_ms)
    assert sum(t.counts.counted for t in totals) == sum(s.counted for s in samples)
    for commune in {s.commune for s in samples}:
        own = [s for s in samples if s.commune == commune]
        found = rollups.dossier(commune, since_ms, until_ms)
        values = sorted(values_of(own))
        assert found.whole.counts.tests == sum(s.kind == "test" for s in own)
        assert found.whole.counts.coverages == sum(s.kind == "coverage" for s in own)
        assert found.whole.stats["downlink_bps"].n == len(values)
        assert found.whole.stats["downlink_bps"].median == percentile(values, 50)
        assert found.whole.reasons == Counter(r for s in own if s.kind == "test" for r in s.not_counted)
        for summary in found.hamlet_days:
            day = [s for s in own if s.hamlet == summary.hamlet and day_of(s.t_ms or 0)[0] == summary.day_ms]
            assert summary.stats["downlink_bps"].median == percentile(sorted(values_of(day)), 50)


def values_of(samples: list[Sample]) -> list[int]:
    tests = [s.record for s in samples if s.counted and isinstance(s.record, TestRecord)]
    return [r.downlink_bps for r in tests if r.downlink_bps is not None]


@SQLITE_ONLY
def test_a_ledger_of_before_gets_its_rollups_when_it_is_opened(door: Door, one: FakeProbe) -> None:
    door.take("p-one", *[one.test() for _ in range(9)], one.coverage())
    kept = tables(door)
    door.ledger.close()
    downgrade(door.path, 4)
    for _ in range(2):
        door.ledger = SqliteLedger(door.path)
        assert tables(door) == kept
        door.ledger.close()
    door.ledger = SqliteLedger(door.path)


@SQLITE_ONLY
def test_what_is_rolled_back_is_in_no_rollup(door: Door, one: FakeProbe) -> None:
    raw = one.test()
    door.sql("SELECT 1")
    fault = "CREATE TRIGGER full BEFORE INSERT ON rollup_day BEGIN SELECT raise(FAIL, 'disk full'); END"
    with closing(sqlite3.connect(door.path)) as db:
        db.execute(fault)
    with pytest.raises(Unavailable):
        door.take("p-one", raw)
    assert (door.reader.last_n(), tables(door)) == (0, ([], []))
    with closing(sqlite3.connect(door.path)) as db:
        db.execute("DROP TRIGGER full")
    door.take("p-one", raw)
    assert door.reader.hamlet_counts()["h-dong-chuoi"].counted == 1


def test_the_countrys_quota_table_and_a_communes_dossier(door: Door, one: FakeProbe) -> None:
    failed = {"outcome": "failed", "stage": "registration", "cause": "searching", "slot_ms": None}
    rates = [4_000_000, 1_000_000, 3_000_000, 2_000_000]
    door.take("p-one", *[one.test(downlink_bps=rate) for rate in rates], one.test(**failed), one.coverage())
    rollups = Rollups(door.reader)
    table = rollups.national_quota({"05755": 3, "05758": 300}, T0_MS + DAY_MS)
    assert [(row.commune, row.counts.counted, row.pace.word) for row in table] == [
        ("05758", 0, "behind"),
        ("05755", 4, "reached"),
    ]
    assert table[1].counted_by_plmn == {"45204": 4}
    found = rollups.dossier("05755", *MONTH)
    assert found.whole.stats["downlink_bps"].median == 2_000_000
    assert found.whole.stats["downlink_bps"].mean == 2_500_000
    assert found.whole.failures == {"registration/searching": 1}
    assert found.whole.reasons == {"outcome": 1, "no_slot": 1}
    assert found.whole.steps == {"n": 1, "s": 1, "z": 1}
    assert [s.hamlet for s in found.hamlets] == ["h-dong-chuoi"]
    assert [s.plmn for s in found.operators] == ["45204"]
    assert rollups.dossier("nowhere", *MONTH).whole.counts.tests == 0


def test_late_and_back_dated_records_land_in_their_own_hour(door: Door, one: FakeProbe) -> None:
    hour_ms = hour_of(T0_MS)
    door.take("p-one", one.test(t_ms=hour_ms, slot_ms=T0_MS))
    early = hour_ms - 3 * DAY_MS
    door.take(
        "p-one", one.test(t_ms=early, slot_ms=early), one.test(t_ms=hour_ms + HOUR_MS - 1, slot_ms=T0_MS + SLOT_MS)
    )
    days = dict(Rollups(door.reader).days(0, T0_MS + DAY_MS))
    found = {
        key.day_ms + number * HOUR_MS: hour.counts[0] for key, hours in days.items() for number, hour in hours.items()
    }
    assert found == {hour_ms: 2, early: 1}


def test_packed_hours_are_equal_bytes_and_none_is_left_of_nothing() -> None:
    hour = Hour([1, *[0] * 14], 5, -7, {"connect/timeout": 2}, {}, {}, [[1, 10**11], [], [], [], [-900]])
    packed = pack_hours({5: hour, 2: hour})
    assert packed == pack_hours({2: hour, 5: hour})
    assert unpack_hours(packed) == {2: hour, 5: hour}
    gone = Change(counts=[-1, *[0] * 14], failures={"connect/timeout": -2}, minus=[[1, 10**11], [], [], [], [-900]])
    assert merged(hour, gone) is None
    assert len(METRICS) == len(hour.values)


def test_what_the_registry_says_anew_of_the_past_moves_records_and_what_counts(door: Door, one: FakeProbe) -> None:
    raws = [one.test(t_ms=T0_MS + n * SLOT_MS) for n in range(230)]
    for at in range(0, 230, 46):
        door.take("p-one", *raws[at : at + 46])
    follow(door)
    assert door.reader.last_redo() == 0
    moved = {**document(one)["probes"][0], "site": "s-far", "valid_from_ms": T0_MS + 10 * SLOT_MS}
    door.registry.load({**OTHER, "probes": [moved]})
    follow(door)
    counts = door.reader.hamlet_counts()
    assert {code: (c.tests, c.counted) for code, c in counts.items()} == {"h-dong-chuoi": (10, 10), "h-far": (220, 0)}
    assert set(door.reader.places_before(0, 10**6).values()) == {"19 05755 h-dong-chuoi"}
    # The code belongs to the other commune since then: what was sent with it counts there.
    code = {"code": "TN1", "unit": "05758", "valid_from_ms": T0_MS + 20 * SLOT_MS}
    door.registry.load({"referrals": [code]})
    follow(door)
    assert door.reader.hamlet_counts()["h-far"].counted == 210
    kept = tables(door)
    door.ledger.rebuild_rollups()
    assert tables(door) == kept
    redone = door.reader.last_redo()
    follow(door)
    assert door.reader.last_redo() == redone == 430
