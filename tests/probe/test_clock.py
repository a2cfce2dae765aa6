"""When the wall clock is believed, and when it counts as set."""

from __future__ import annotations

import time

import pytest

from probe.build import BUILD_MS
from probe.core.clock import ClockReading, ClockWatch, Trust, judge, watch
from probe.devices import clock as kernel

BOOT = "0" * 32
NOW = BUILD_MS + 10**9
YEAR_MS = 31_557_600_000


@pytest.mark.parametrize(
    ("wall_ms", "error_us", "trust", "expected"),
    [
        (NOW, 100_000, "adjtimex", ("trusted", "ntp", NOW, 100)),
        (NOW, 15_999_999, "adjtimex", ("trusted", "ntp", NOW, 16_000)),
        (NOW, 16_000_000, "adjtimex", ("unsynced", "none", None, None)),
        (NOW, None, "adjtimex", ("unsynced", "none", None, None)),
        (NOW, 16_000_000, "always", ("trusted", "rtc", NOW, None)),
        (0, 1_000, "adjtimex", ("suspect", "none", None, None)),
        (BUILD_MS - 1, 1_000, "always", ("suspect", "none", None, None)),
        (NOW + 15 * YEAR_MS, 1_000, "adjtimex", ("suspect", "none", None, None)),
    ],
)
def test_judge(wall_ms: int, error_us: int | None, trust: Trust, expected: tuple[object, ...]) -> None:
    stamp = judge(ClockReading(BOOT, 5, wall_ms, error_us), trust, BUILD_MS)
    assert (stamp.clock, stamp.t_src, stamp.t_ms, stamp.t_err_ms) == expected
    assert (stamp.boot, stamp.mono_ms) == (BOOT, 5)


def reading(mono_ms: int, wall_ms: int, error_us: int = 1000) -> ClockReading:
    return ClockReading(BOOT, mono_ms, wall_ms, error_us)


def test_clock_set_when_first_trusted_and_when_it_jumps_but_not_when_it_drifts() -> None:
    state, events = ClockWatch(), []
    for seen in (
        reading(1000, 1000, 16_000_000),  # 1970
        reading(2000, NOW + 2000, 16_000_000),
        reading(3000, NOW + 3000),  # trusted
        reading(4000, NOW + 4900),  # slewed by 0.9 s
        reading(5000, NOW + 5900),
        reading(6000, NOW + 6900, 16_000_000),  # not believed for a while
        reading(7000, NOW + 7900),  # the same clock as before
        reading(8000, NOW + 3_608_000),  # an hour on
    ):
        state, is_set = watch(state, judge(seen, "adjtimex", BUILD_MS))
        events.append(is_set)
    assert events == [False, False, True, False, False, False, False, True]


def test_kernel_clocks_can_be_read() -> None:
    first = kernel.read(kernel.boot_id())
    second = kernel.read(first.boot)
    assert len(first.boot) == 32
    assert 0 < first.mono_ms <= second.mono_ms
    assert abs(second.wall_ms - first.wall_ms) < 10_000
    since_boot_s = time.clock_gettime(time.CLOCK_BOOTTIME)
    assert abs(second.mono_ms / 1000 - since_boot_s) < 60  # no calendar: what is set does not move it
    assert first.max_error_us is None or first.max_error_us >= 0
