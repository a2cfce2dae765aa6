"""When a ramp is over: by its growth alone, sooner where every connection waits in a queue, never twice."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.engine import Terms
from probe.core.engine_ramp import Ramp
from probe.core.engine_sample import Flow, Sample
from probe.core.engine_stats import Curve
from probe.devices.connection import Connection, Order

STEP_US = 20_000
CLEAR, QUEUED = Flow(52_000, 50_000, 0, None), Flow(90_000, 50_000, 0, None)


def _start_us(counts: list[int], flows: list[tuple[Flow, ...]], opened_us: int = 0) -> int | None:
    """When the ramp ended over counts of bytes, one each 20 ms; the last flows stay."""
    ramp, curve = Ramp(), Curve()
    for place, count in enumerate(counts):
        at_us = place * STEP_US
        curve.add(at_us, count)
        ramp.take(Sample(at_us, count, count, flows[min(place, len(flows) - 1)]), curve, opened_us)
    return ramp.start_us


def _level(places: int = 100) -> list[int]:
    """25 KB each 20 ms from the first on: 10 Mbit/s."""
    return [25_000 * place for place in range(places)]


def test_a_queue_before_every_connection_ends_the_ramp_in_half_the_time() -> None:
    alone, queued = _start_us(_level(), [(CLEAR,) * 4]), _start_us(_level(), [(QUEUED,) * 4])
    assert (alone, queued) == (420_000, 220_000), "20 KB have come after 20 ms"
    assert _start_us(_level(), [(QUEUED, QUEUED, QUEUED, CLEAR)]) == alone
    assert _start_us(_level(), [(Flow(90_000, None, 0, None),)]) == alone, "who has no shortest round trip says nothing"
    assert _start_us(_level(), [()]) == alone


def test_a_queue_is_believed_after_40_ms_and_anew_when_it_was_gone() -> None:
    late = [*[(CLEAR,)] * 12, (QUEUED,)]
    assert _start_us(_level(), late) == 240_000 + 40_000
    broken = [*[(QUEUED,)] * 10, (CLEAR,), (QUEUED,)]
    assert _start_us(_level(), broken) == 220_000 + 40_000


def test_a_rate_that_still_grows_is_no_end_whatever_the_queue() -> None:
    growing = [round(20_000 * 1.3**place) for place in range(100)]
    assert _start_us(growing, [(QUEUED,)]) == 1_500_000, "the limit alone"


def test_on_a_long_way_bursts_make_queues_and_two_round_trips_are_asked() -> None:
    far = Flow(400_000, 80_000, 0, None)
    assert _start_us(_level(), [(far,)]) == 20_000 + 2 * 160_000
    farther = Flow(900_000, 300_000, 0, None)
    assert _start_us(_level(), [(farther,)]) == 420_000
    jitter = Flow(95_000, 80_000, 0, None)
    assert _start_us(_level(), [(jitter,)]) == 420_000, "15 ms in 80 are no queue"


def test_what_was_opened_late_must_be_in_the_rate() -> None:
    assert _start_us(_level(), [(QUEUED,) * 4], opened_us=300_000) == 400_000


@given(st.lists(st.integers(0, 200_000), min_size=1, max_size=120), st.booleans())
def test_the_end_is_fixed_once_and_never_later_than_the_limit(steps: list[int], is_queued: bool) -> None:
    counts = [sum(steps[: place + 1]) for place in range(len(steps))]
    flows: list[tuple[Flow, ...]] = [(QUEUED if is_queued else CLEAR,)]
    begin_us = next((place * STEP_US for place, count in enumerate(counts) if count >= 20_000), None)
    found = _start_us(counts, flows)
    if begin_us is None or found is None:
        assert begin_us is None or (len(counts) - 1) * STEP_US < begin_us + 1_500_000
        return
    assert begin_us + 195_000 <= found <= begin_us + 1_500_000
    assert _start_us([*counts, *[counts[-1]] * 50], flows) == found


@pytest.mark.parametrize(("number", "wanted"), [(0, "bbr"), (1, "cubic"), (2, "bbr"), (3, "cubic")])
def test_uplinks_are_sent_by_bbr_and_cubic_in_turn_where_the_kernel_has_them(number: int, wanted: str) -> None:
    if wanted not in Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split():
        pytest.skip(f"this kernel has no {wanted}")
    with socket.create_server(("127.0.0.1", 0)) as server:
        order = Order("lo", "127.0.0.1", server.getsockname()[1], "x", "/", Terms(link_is_last=False), is_uplink=True)
        made = Connection(order, (bytearray(1), memoryview(b"x")), number)
        try:
            chosen = made._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
            assert chosen.rstrip(b"\0").decode() == wanted
        finally:
            stand_in = made.end()
            if stand_in is not None:
                stand_in.close()
