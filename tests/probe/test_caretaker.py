"""The caretaker: what it sees of disk, supply and crashes becomes events, and a program that keeps dying does less."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from probe.caretaker import LOOK_MS, Caretaker, Senses
from probe.core import disk, guard, power
from probe.core.disk import LOW_BYTES, Look
from probe.core.guard import Guard
from probe.devices import host
from probe.slate import Slate
from probe.spool import Spool
from tests.probe.kit import STAMP, make_recorder, read
from wire.failure import Cause
from wire.records import EventRecord

TERMS = guard.Terms(crashes=3, settled_ms=1_000, retry_ms=5_000)
PLENTY = 10 * LOW_BYTES


def look(now_ms: int, cause: Cause | None = None, free: int | None = PLENTY, lost: int = 0) -> Look:
    return Look(now_ms, free, cause, lost)


def looks(*given: Look) -> list[disk.Told]:
    state, found = disk.Disk(), []
    for one in given:
        state, told = disk.step(state, one)
        found += told
    return found


def test_one_refusal_is_no_event_two_are_and_the_end_says_how_long_and_what_was_lost() -> None:
    assert looks(look(1, Cause.LOW_DISK), look(2), look(3, Cause.LOW_DISK), look(4)) == []
    begin, end = looks(
        look(5, Cause.DISK_ERROR), look(9, Cause.DISK_ERROR), look(60, Cause.DISK_ERROR), look(65, lost=4)
    )
    assert (begin.cause, begin.was, begin.now, begin.duration_ms) == (Cause.DISK_ERROR, "ok", "refuses", None)
    assert (end.cause, end.was, end.now, end.duration_ms) == (Cause.DISK_ERROR, "refuses", "ok", 60)
    assert end.note == "4 records were lost: memory was full too"


def test_low_space_is_told_once_and_over_at_twice_that() -> None:
    frees = (LOW_BYTES, LOW_BYTES - 1, LOW_BYTES + 1, LOW_BYTES - 1, 2 * LOW_BYTES, None)
    told = looks(*(look(at, free=free) for at, free in enumerate(frees)))
    assert [(one.was, one.now) for one in told] == [("ok", "low"), ("low", "ok")]


def test_undervoltage_in_bursts_is_one_event_with_one_end() -> None:
    state, told = power.Power(), []
    seen = [(0, 0), (10, 0x50005), (20, 0x50000), (30, 0x50005), (40, 0x50000), (30 + power.QUIET_MS, 0x50000)]
    for now_ms, bits in seen:
        state, new = power.step(state, bits, now_ms)
        told += [(now_ms, one.duration_ms) for one in new]
    assert told == [(10, None), (30 + power.QUIET_MS, 20)]


def test_undervoltage_between_two_looks_is_seen_by_the_bit_that_stays() -> None:
    state, told = power.step(power.Power(), power.EVER, 10)
    assert len(told) == 1
    assert power.step(state, power.EVER, 20)[1] == ()
    assert power.step(state, None, 30) == (state, ())


def test_crashes_in_a_row_reduce_a_long_run_and_a_clean_end_break_the_row() -> None:
    state: Guard | None = None
    for _ in range(3):
        state = guard.begun(state, TERMS)
        assert not state.is_reduced
    state = guard.begun(state, TERMS)
    assert state.is_reduced
    assert guard.begun(guard.ended(Guard(2, is_open=True)), TERMS) == Guard(2, is_open=True)
    assert guard.begun(guard.ran(Guard(2, is_open=True), 1_000, TERMS), TERMS).short_runs == 0


def test_reduced_mode_tries_all_again_later_and_one_crash_more_reduces_at_once() -> None:
    reduced = guard.begun(Guard(3, is_open=True), TERMS)
    assert guard.ran(reduced, 4_999, TERMS) == reduced
    full = guard.ran(reduced, 5_000, TERMS)
    assert not full.is_reduced
    assert guard.begun(full, TERMS).is_reduced
    assert guard.begun(guard.ran(full, 1_000, TERMS), TERMS) == Guard(0, is_open=True)


class Kept:
    """A caretaker over a real spool and slate; the clock is ours."""

    def __init__(self, folder: Path, bits: int | None = 0) -> None:
        self.spool, self.slate, self.bits = Spool(folder, 1_000_000), Slate(folder), bits
        self.recorder = make_recorder(self.spool)
        senses = Senses(lambda: PLENTY, lambda: self.bits)
        self.caretaker = Caretaker(self.recorder, self.spool, self.slate, senses, TERMS)

    def tend(self, now_ms: int) -> None:
        self.caretaker.tend(replace(STAMP, mono_ms=now_ms))

    def events(self) -> list[EventRecord]:
        records = [read(kept.raw) for kept in self.spool.waiting(100)]
        return [record for record in records if isinstance(record, EventRecord)]


def test_program_that_dies_four_times_goes_on_without_tests_says_so_and_recovers(tmp_path: Path) -> None:
    for _ in range(3):
        Kept(tmp_path).tend(0)  # and dies: nothing is closed
    kept = Kept(tmp_path)
    kept.tend(0)
    assert kept.caretaker.is_reduced
    assert kept.caretaker.forbids() is Cause.ENGINE_ERROR
    kept.tend(max(LOOK_MS, TERMS.retry_ms))
    assert kept.caretaker.forbids() is None
    on, off = kept.events()
    assert (on.event, on.rung, on.was, on.now) == ("recovery", "reduced_mode", "off", "on")
    assert (off.rung, off.was, off.now) == ("reduced_mode", "on", "off")
    kept.caretaker.end()
    assert not Kept(tmp_path).caretaker.is_reduced


def test_undervoltage_becomes_an_event_with_its_cause(tmp_path: Path) -> None:
    kept = Kept(tmp_path, bits=0x50005)
    kept.tend(0)
    (event,) = kept.events()
    assert (event.event, event.stage, event.cause, event.now) == ("undervoltage", "host", "power", "low")


def put(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.mark.parametrize(
    ("files", "bits"),
    [
        ({"devices/platform/soc/soc:firmware/get_throttled": "50005\n"}, 0x50005),
        ({"devices/platform/soc@107c000000/firmware/get_throttled": "0\n"}, 0),
        ({"class/hwmon/hwmon0/name": "cpu_thermal", "class/hwmon/hwmon2/name": "rpi_volt\n",
          "class/hwmon/hwmon2/in0_lcrit_alarm": "1\n"}, 1),
        ({"devices/platform/soc/soc:firmware/get_throttled": "what\n"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_throttling_is_read_where_each_pi_has_it(tmp_path: Path, files: dict[str, str], bits: int | None) -> None:
    for name, text in files.items():
        put(tmp_path, name, text)
    assert host.throttled_bits(tmp_path, vcgencmd="no-such-program") == bits


@pytest.mark.parametrize(
    ("says", "bits"),
    [("throttled=0x50005", 0x50005), ("throttled=0x0", 0), ("VCHI initialization failed", None), ("", None)],
)
def test_vcgencmd_is_asked_last(tmp_path: Path, says: str, bits: int | None) -> None:
    program = tmp_path / "vcgencmd"
    program.write_text(f'#!/bin/sh\n[ "$1" = get_throttled ] && echo "{says}"\n')
    program.chmod(0o755)
    assert host.throttled_bits(tmp_path, vcgencmd=str(program)) == bits


@pytest.mark.parametrize(
    ("files", "tenths"),
    [
        ({"class/thermal/thermal_zone0/temp": "48312\n"}, 483),
        ({"class/thermal/thermal_zone0/type": "gpu\n", "class/thermal/thermal_zone0/temp": "90000\n",
          "class/thermal/thermal_zone1/type": "cpu-thermal\n", "class/thermal/thermal_zone1/temp": "51000\n"}, 510),
        ({"class/hwmon/hwmon1/name": "cpu_thermal\n", "class/hwmon/hwmon1/temp1_input": "61250\n"}, 612),
        ({"class/thermal/thermal_zone0/temp": "-273000\n"}, None),
        ({}, None),
    ],
)  # fmt: skip
def test_temperature_is_the_processors_in_range_or_none(
    tmp_path: Path, files: dict[str, str], tenths: int | None
) -> None:
    for name, text in files.items():
        put(tmp_path, name, text)
    assert host.cpu_temp_c_x10(tmp_path) == tenths
