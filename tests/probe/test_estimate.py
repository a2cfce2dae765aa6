"""The arithmetic of rates and round trips on made streams with a known truth."""

from __future__ import annotations

import pytest

from probe.core.estimate import (
    RoundTrips,
    Tick,
    begin_us,
    final_silence_us,
    longest_silence_us,
    ramp_end_us,
    rate,
    round_trips,
)

STEP_US = 50_000
TRUTH_BPS = 20_000_000
SHARE = 1448 / 1514


def _stream(ramp_us: int, length_us: int, share: float = SHARE) -> list[Tick]:
    """A link that grows linearly for `ramp_us`, then carries the true rate."""
    ticks, moved = [], 0.0
    for at_us in range(0, length_us + 1, STEP_US):
        if at_us:
            level = 1.0 if not ramp_us else min(1.0, at_us / ramp_us)
            moved += TRUTH_BPS / 8e6 * STEP_US * level
        ticks.append(Tick(at_us, int(moved), int(moved / share)))
    return ticks


@pytest.mark.parametrize("ramp_us", [0, 300_000, 800_000, 1_200_000])
@pytest.mark.parametrize("length_us", [3_000_000, 10_000_000])
def test_rate_leaves_the_ramp_out(ramp_us: int, length_us: int) -> None:
    found = rate(_stream(ramp_us, length_us), link_is_last=True)
    assert found is not None
    assert found.bps == pytest.approx(TRUTH_BPS, rel=0.02)


def test_ramp_ends_at_the_latest_after_one_and_a_half_seconds() -> None:
    doubling = [Tick(n * STEP_US, 20_000 * 2 ** (n // 4), None) for n in range(80)]
    assert ramp_end_us(doubling) == 1_500_000


def test_a_burst_at_the_start_ends_the_ramp_and_is_left_out() -> None:
    ticks = _stream(0, 3_000_000)
    burst = [Tick(tick.at_us, tick.payload_bytes + 400_000 * (number > 0), None) for number, tick in enumerate(ticks)]
    found = rate(burst, link_is_last=True)
    assert found is not None
    assert found.bps == pytest.approx(TRUTH_BPS, rel=0.001)


def test_a_hole_in_the_tcp_stream_at_the_end_does_not_lower_the_rate() -> None:
    stream = _stream(0, 3_000_000)
    held = [
        Tick(t.at_us, min(t.payload_bytes, stream[-8].payload_bytes), t.link_bytes) if t.at_us > 2_600_000 else t
        for t in stream
    ]
    found = rate(held, link_is_last=True)
    assert found is not None
    assert found.bps == pytest.approx(TRUTH_BPS, rel=0.001)


def test_an_uplink_queue_behind_the_interface_does_not_count_as_sent() -> None:
    ahead = [
        Tick(t.at_us, t.payload_bytes, (t.link_bytes or 0) + min(t.at_us // 2, 400_000)) for t in _stream(0, 3_000_000)
    ]
    found = rate(ahead, link_is_last=False)
    assert found is not None
    assert found.bps == pytest.approx(TRUTH_BPS, rel=0.001)


def test_a_link_that_others_use_too_gives_no_share() -> None:
    shared = [Tick(t.at_us, t.payload_bytes, (t.link_bytes or 0) * 2) for t in _stream(0, 3_000_000)]
    found = rate(shared, link_is_last=True)
    assert found is not None
    assert found.bps == pytest.approx(TRUTH_BPS, rel=0.001)


def test_nothing_moved_is_no_rate() -> None:
    assert rate([], link_is_last=True) is None
    assert rate([Tick(0, 0, 0)], link_is_last=True) is None
    assert rate([Tick(0, 0, 0), Tick(STEP_US, 0, 900)], link_is_last=True) is None


def test_a_transfer_shorter_than_its_ramp_is_measured_whole() -> None:
    found = rate(_stream(0, 300_000), link_is_last=True)
    assert found is not None
    assert found.window_us == 300_000


def test_silences_are_found_in_the_middle_and_at_the_end() -> None:
    counts = [0, 0, 0, 9_000, 30_000, 30_000, 30_000, 60_000, 90_000, 90_000]
    ticks = [Tick(n * STEP_US, count, None) for n, count in enumerate(counts)]
    assert longest_silence_us(ticks) == 2 * STEP_US
    assert final_silence_us(ticks) == STEP_US
    assert begin_us(ticks) == 4 * STEP_US
    assert begin_us(ticks[:4]) is None


def test_round_trips_are_observed_values_and_lost_echoes_have_none() -> None:
    assert round_trips([None, None]) == RoundTrips(2, 0, None, None, None, None)
    assert round_trips([]) == RoundTrips(0, 0, None, None, None, None)
    echoes = [*range(1_000, 21_000, 1_000), None]
    assert round_trips(echoes) == RoundTrips(21, 20, 1_000, 10_500, 19_000, 18_000)
