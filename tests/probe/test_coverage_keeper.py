"""Coverage of one modem over restarts, clock changes and a disk that fails: no letter twice, none invented."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from probe.core.coverage import EchoSeen
from probe.core.draft import Identity, Stamp
from probe.core.radio import RadioReading
from probe.coverage import CoverageKeeper, Terms
from probe.owner import Observed
from probe.recorder import Recorder
from probe.spool import Spool
from tests.probe.kit import KEY, ORIGIN, PROBE, read
from wire.errors import Unavailable
from wire.failure import Cause
from wire.records import CoverageRecord, EventRecord

WALL_0 = 1_795_000_000_000 - 1_795_000_000_000 % 600_000
GOOD = RadioReading(rat="LTE", registration="home", rsrp_dbm_x10=-900)
BOOT = "ab" * 16


@dataclass
class Time:
    """The clocks of the test: monotonic and wall run together, the wall may be unknown or jump."""

    mono_ms: int = 50_000
    wall_ms: int = WALL_0
    trusted: bool = True

    def stamp(self) -> Stamp:
        if not self.trusted:
            return Stamp(BOOT, self.mono_ms, "unsynced", "none", None, None)
        return Stamp(BOOT, self.mono_ms, "trusted", "ntp", self.wall_ms, 5)

    def go(self, ms: int) -> None:
        self.mono_ms += ms
        self.wall_ms += ms


class Killed(BaseException):
    """The program ended here, right behind a commit."""


class KilledSpool(Spool):
    """A spool whose program is killed behind a chosen commit."""

    kill_at = -1
    commits = 0

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with super()._transaction():
            yield
        self.commits += 1
        if self.commits == self.kill_at:
            raise Killed


class Bench:
    """A keeper with a spool of its own: 10 steps of a minute, polls every 10 s."""

    def __init__(self, folder: Path, time: Time) -> None:
        self.time = time
        self.spool = KilledSpool(folder, 1_000_000)
        self.link: tuple[int, int] | None = (100, 50)
        self.echo: EchoSeen | None = EchoSeen("answered", 30_000)
        self.recorder = Recorder(self.spool, KEY, ORIGIN, Identity(PROBE, "1", True, "s"), time.stamp)
        self.keeper = self.restart()

    def restart(self) -> CoverageKeeper:
        self.keeper = CoverageKeeper(
            Terms(PROBE, "m1", 60_000, 10, 10_000, "45204", "TN05755A"),
            self.recorder,
            echo=lambda: self.echo,
            link_bytes=lambda: self.link,
            saved=self.spool.mark("coverage m1"),
        )
        return self.keeper

    def polls(self, count: int, cause: Cause | None = None) -> None:
        for number in range(count):
            reading = GOOD if cause is None else None
            began = self.time.mono_ms
            self.time.go(10_000)
            self.keeper.on_poll(Observed(number, began, self.time.mono_ms, reading, cause))

    def polls_while_full(self, count: int, cause: Cause | None = None) -> None:
        """Poll while the disk takes nothing more: SQLite's own limit, so the error is the real one."""
        (pages,) = self.spool._db.execute("PRAGMA page_count").fetchone()
        self.spool._db.execute(f"PRAGMA max_page_count = {pages}")
        with suppress(Unavailable):
            while True:  # fill the last page
                self.spool.append("event", lambda _place: bytes(3000))
        for _ in range(count):
            with suppress(Unavailable):
                self.polls(1, cause)
        self.spool._db.execute("PRAGMA max_page_count = 1000000")

    def records(self) -> list[CoverageRecord]:
        kept = [read(kept.raw) for kept in self.spool.waiting(1000) if kept.raw[0]]
        return [record for record in kept if isinstance(record, CoverageRecord)]


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path, Time())


def test_whole_window_is_one_record_stamped_where_it_begins(bench: Bench) -> None:
    bench.polls(59)
    assert bench.records() == []
    bench.link = (1_100, 550)
    bench.polls(1)
    (record,) = bench.records()
    assert (record.states, record.causes) == ("CCCCCCCCCC", "..........")
    assert (record.t_ms, record.mono_ms, record.clock) == (WALL_0, 50_000, "trusted")
    assert (record.rx_bytes, record.tx_bytes) == (1_000, 500)
    assert (record.echo_sent, record.echo_received) == (10, 10)
    assert record.plmn == "45204"


def test_restart_within_a_window_keeps_its_letters_and_marks_what_was_missed(bench: Bench) -> None:
    bench.polls(18, None)  # three steps
    bench.time.go(4 * 60_000)  # off for four
    bench.restart()
    bench.polls(18)
    (record,) = bench.records()
    assert record.states == "CCCUUUUCCC"
    assert record.causes == "...oooo..."


def test_window_that_was_cut_off_by_a_long_stop_is_completed_as_off(bench: Bench) -> None:
    bench.polls(18)
    bench.time.go(30 * 60_000)
    bench.restart()
    bench.polls(1)
    (record,) = bench.records()
    assert (record.states, record.t_ms) == ("CCCUUUUUUU", WALL_0)
    bench.polls(60)
    assert bench.records()[1].states.startswith("UUU")
    assert bench.records()[1].t_ms == WALL_0 + 30 * 60_000


def test_fresh_start_within_a_window_has_the_steps_before_as_off(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Time(wall_ms=WALL_0 + 150_000))
    bench.polls(48)
    (record,) = bench.records()
    assert record.states == "UUCCCCCCCC"
    assert record.t_ms == WALL_0


def test_clock_that_becomes_trusted_ends_the_undated_window_and_overlaps_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, Time(mono_ms=600_000, wall_ms=WALL_0 + 90_000, trusted=False))
    bench.polls(18)
    bench.time.trusted = True
    bench.polls(34)
    undated, dated = bench.records()
    assert (undated.states, undated.t_ms, undated.clock, undated.mono_ms) == ("CCC", None, "unsynced", 600_000)
    assert dated.t_ms == WALL_0 + 240_000
    assert dated.states == "CCCCCC"
    end_of_undated_ms = undated.mono_ms + 3 * 60_000 - 600_000 + WALL_0 + 90_000
    assert dated.t_ms + 60_000 > end_of_undated_ms


def test_jump_of_the_clock_begins_a_window_anew(bench: Bench) -> None:
    bench.polls(12)
    bench.time.wall_ms += 3_600_000
    bench.polls(48)
    first, second = bench.records()
    assert (first.states, first.t_ms) == ("CC", WALL_0)
    assert second.t_ms == WALL_0 + 3_600_000 + 120_000
    assert len(second.states) == 8


def test_modem_that_blocks_for_long_speaks_for_all_the_steps_it_blocked(bench: Bench) -> None:
    bench.polls(12)
    began = bench.time.mono_ms
    bench.time.go(150_000)
    bench.keeper.on_poll(Observed(99, began, bench.time.mono_ms, None, Cause.MODEM_MUTE))
    bench.polls(33)
    (record,) = bench.records()
    assert record.causes[2:4] == "qq"
    assert record.states == "CCUUCCCCCC"


def test_outage_is_told_with_its_length(bench: Bench) -> None:
    bench.polls(3)
    bench.polls(4, Cause.NO_MODEM)
    bench.polls(3)
    told = [read(kept.raw) for kept in bench.spool.waiting(100)]
    events = [record for record in told if isinstance(record, EventRecord)]
    assert [event.event for event in events] == ["modem_lost", "modem_back"]
    assert events[1].duration_ms == 40_000


def test_echo_that_is_lost_degrades_its_step_only_and_none_is_sent_during_a_test(bench: Bench) -> None:
    bench.polls(6)
    bench.echo = EchoSeen("lost")
    bench.polls(6)
    bench.echo = None
    bench.polls(48)
    (record,) = bench.records()
    assert record.states == "CDCCCCCCCC"
    assert record.causes == ".e........"
    assert (record.echo_sent, record.echo_received) == (2, 1)


def test_replaced_link_has_no_byte_count(bench: Bench) -> None:
    bench.link = (5, 5)
    bench.polls(60)
    assert bench.records()[0].rx_bytes is None


def test_saved_state_of_another_form_is_passed_over(bench: Bench) -> None:
    bench.spool.put_marks({"coverage m1": '{"an": "older program"}'})
    bench.restart()
    bench.polls(60)
    assert bench.records()[0].states == "CCCCCCCCCC"


def test_records_of_all_windows_cover_the_time_once(bench: Bench) -> None:
    for _ in range(5):
        bench.polls(37)
        bench.restart()
    seen: set[int] = set()
    for record in bench.records():
        assert record.t_ms is not None
        steps = {record.t_ms + number * record.step_ms for number in range(len(record.states))}
        assert not steps & seen
        seen |= steps


def steps_of(records: list[CoverageRecord]) -> list[int]:
    """Where every dated step begins, as told by the records."""
    return [(record.t_ms or 0) + i * record.step_ms for record in records for i in range(len(record.states))]


@pytest.mark.parametrize("kill_at", range(2, 26))
def test_kill_behind_any_commit_tells_no_step_twice_and_loses_none(bench: Bench, kill_at: int) -> None:
    bench.spool.kill_at = kill_at
    with pytest.raises(Killed):
        bench.polls(160)
    bench.restart()
    bench.polls(125)
    told = steps_of(bench.records())
    assert len(told) == len(set(told))
    assert told == list(range(WALL_0, WALL_0 + len(told) * 60_000, 60_000))


def test_disk_that_takes_nothing_for_hours_loses_no_letter_and_no_event(bench: Bench) -> None:
    bench.polls(30)
    bench.polls_while_full(120)
    bench.polls_while_full(60, Cause.SEARCHING)
    bench.polls(30)
    records = bench.records()
    assert "".join(record.states for record in records) == "C" * 25 + "N" * 10 + "C" * 5
    assert [record.t_ms for record in records] == [WALL_0 + i * 600_000 for i in range(4)]
    kept = [read(kept.raw) for kept in bench.spool.waiting(1000) if kept.raw[0]]
    events = [record for record in kept if isinstance(record, EventRecord)]
    assert [event.event for event in events] == ["outage_begin", "outage_end"]
    assert events[0].t_ms == WALL_0 + 1_500_000 + 20_000, "an event is dated by when it happened"


def test_window_before_a_clock_change_keeps_the_clock_that_saw_it(bench: Bench) -> None:
    bench.polls(12)
    bench.time.trusted = False
    bench.polls(48)
    first = bench.records()[0]
    assert (first.states, first.t_ms, first.clock, first.mono_ms) == ("CC", WALL_0, "trusted", 50_000)
    assert bench.records()[1].t_ms is None


@pytest.mark.parametrize("is_trusted_later", [True, False])
def test_undated_window_survives_a_restart(tmp_path: Path, is_trusted_later: bool) -> None:
    bench = Bench(tmp_path, Time(mono_ms=600_000, trusted=False))
    bench.polls(18)
    bench.time.trusted = is_trusted_later
    bench.restart()
    bench.polls(1)
    (record,) = bench.records()
    assert (record.states, record.t_ms, record.mono_ms, record.boot) == ("CCC", None, 600_000, BOOT)


def test_window_of_a_clock_that_went_back_over_a_restart_is_told_as_it_was_seen(bench: Bench) -> None:
    bench.polls(18)
    bench.time.wall_ms -= 7_200_000
    bench.restart()
    bench.polls(60)
    first, second = bench.records()
    assert (first.states, first.t_ms) == ("CCC", WALL_0)
    assert second.t_ms == WALL_0 - 7_200_000
