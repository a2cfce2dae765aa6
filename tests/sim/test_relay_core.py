"""The link in virtual time: never early, never too fast, full exactly when full, and nothing appears or vanishes."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import rates
from sim.relay_core import Direction, Plan, Radio, Shape

MS, SECOND = 1_000_000, 1_000_000_000
RATES = st.one_of(
    st.integers(8_000, 1_000_000_000).map(rates.constant),
    st.lists(st.integers(0, 50_000_000), min_size=2, max_size=8)
    .filter(any)
    .map(lambda each: rates.evenly(each, 20 * MS)),
    st.lists(st.integers(1, 400), min_size=1, max_size=60).map(lambda each: rates.mahimahi(map(str, sorted(each)))),
)
SHAPES = st.builds(Shape, RATES, st.integers(0, 300 * MS), st.integers(1_500, 200_000), st.just(0))
# Packets: gap to the one before, size.
PACKETS = st.lists(
    st.tuples(st.sampled_from([0, 1, 1000, MS, 7 * MS, 300 * MS, 11 * SECOND]), st.integers(20, 1500)),
    min_size=1,
    max_size=60,
)
ORIGIN = 5 * SECOND


def play(way, packets, check=None):
    """Offers packets at their times, takes each as soon as it is due: (number, offered at, arrived at) and its size."""
    came, now, sizes, sent = [], ORIGIN, [], []

    def take_until(end):
        while (due := way.next_ns()) <= end:
            came.extend((int.from_bytes(packet[:4]), due) for packet in way.take(due))

    for gap, size in packets:
        now += gap
        take_until(now)
        assert way.take(now) == []  # nothing is due, but what has been sent has left the queue
        before = way.dropped_bytes, way.queued_bytes
        way.offer([len(sent).to_bytes(4) + bytes(size - 4)], now)
        sent.append(now)
        sizes.append(size)
        if check:
            check(before, size)
    take_until(1 << 61)
    return [(number, sent[number], at, sizes[number]) for number, at in came]


def counts_add_up(way):
    return way.offered_bytes == way.delivered_bytes + way.dropped_bytes + way.lost_bytes + way.held_bytes


@given(SHAPES, PACKETS)
def test_no_packet_is_early_and_none_overtakes(shape, packets):
    came = play(Direction(shape, ORIGIN, lambda: 0.5), packets)
    for _, sent, at, size in came:
        fastest = size * 8 * SECOND // max(shape.rates.rates_bps)
        assert at >= sent + shape.delay_ns + fastest
    assert [number for number, *_ in came] == sorted(number for number, *_ in came)


@given(SHAPES, PACKETS)
def test_no_window_has_more_than_the_rate(shape, packets):
    came = play(Direction(shape, ORIGIN, lambda: 0.5), packets)
    for first, (_, _, begin, _) in enumerate(came):
        size = 0
        for _, _, end, more in came[first + 1 :]:
            size += more
            room = shape.rates.carried(end - shape.delay_ns - ORIGIN) - shape.rates.carried(
                begin - shape.delay_ns - ORIGIN
            )
            # A packet ends within the nanosecond that it is given to: what fits into one is the exactness.
            assert size * rates.NANOBITS_A_BYTE <= room + max(shape.rates.rates_bps)


@given(SHAPES, PACKETS)
def test_a_packet_is_dropped_exactly_when_the_queue_has_no_room(shape, packets):
    way = Direction(shape, ORIGIN, lambda: 0.5)

    def full_or_not(before, size):
        dropped, queued = before
        assert (way.dropped_bytes > dropped) == (queued + size > shape.queue_bytes)
        assert way.queued_bytes <= shape.queue_bytes

    play(way, packets, full_or_not)


@given(SHAPES, PACKETS)
def test_a_busy_link_wastes_nothing(shape, packets):
    came = play(Direction(shape, ORIGIN, lambda: 0.5), [(0, size) for _, size in packets])
    done = sum(size for *_, size in came) * rates.NANOBITS_A_BYTE
    if came:
        assert came[-1][2] == ORIGIN + shape.rates.reached(done) + shape.delay_ns


class Sieve:
    """Numbers in [0, 1) of a seed."""

    def __init__(self, seed):
        self.draw = random.Random(seed).random


CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("offer"), st.lists(st.integers(20, 1500), max_size=20)),
        st.tuples(st.just("reshape"), SHAPES),
        st.tuples(st.just("block"), st.none()),
        st.tuples(st.just("unblock"), st.none()),
        st.tuples(st.just("take"), st.none()),
        st.tuples(st.just("replan"), st.integers(0, 30_000)),
    ),
    max_size=40,
)


@given(SHAPES, CHANGES, st.lists(st.integers(0, 200 * MS), min_size=40, max_size=40), st.integers(0, 99))
def test_nothing_appears_or_vanishes_whatever_changes(shape, changes, gaps, seed):
    lossy = Shape(shape.rates, shape.delay_ns, shape.queue_bytes, 100_000)
    draw = random.Random(seed).random
    way = Direction(lossy, ORIGIN, draw, Radio(SECOND, 0, 300 * MS, draw), Plan(20_000, 100_000))
    now, offered, taken = ORIGIN, 0, []
    for (what, value), gap in zip(changes, gaps, strict=False):
        now += gap
        if what == "offer":
            way.offer([offered_no.to_bytes(4) + bytes(size - 4) for offered_no, size in enumerate(value, offered)], now)
            offered += len(value)
        elif what == "reshape":
            way.reshape(value, now - 7 * MS, now)
        elif what == "replan":
            way.replan(Plan(value, 50_000), None, now)
            way.reshape(shape, now, now)
        elif what == "take":
            taken += [int.from_bytes(packet[:4]) for packet in way.take(now)]
        else:
            getattr(way, what)(now)
        assert counts_add_up(way)
        assert way.capacity_bytes(now - 50 * MS, now) >= 0
    assert taken == sorted(set(taken))


def drained(way, now):
    """Total size and last moment of what comes out until nothing is held."""
    size, last = 0, now
    while (due := way.next_ns()) < rates.NEVER:
        size, last = size + sum(map(len, way.take(due))), due
    return size, last


def test_a_rate_that_changes_in_mid_packet_sends_only_what_is_left():
    way = Direction(Shape(rates.constant(8_000), 0, 10_000), 0, lambda: 0.5)
    way.offer([bytes(1000)], 0)  # one second at 8 kbit/s
    way.reshape(Shape(rates.constant(80_000), 0, 10_000), 0, SECOND // 2)
    assert way.next_ns() == SECOND // 2 + SECOND // 20


def test_a_link_without_service_loses_what_it_holds_and_gets():
    way = Direction(Shape(rates.constant(8_000_000), 25 * MS, 10_000), 0, lambda: 0.5)
    way.offer([bytes(1000)] * 3, 0)
    way.block(2 * MS)
    way.offer([bytes(500)], 3 * MS)
    assert (way.lost_bytes, way.held_bytes, way.next_ns()) == (3500, 0, rates.NEVER)
    way.unblock(10 * MS)
    way.offer([bytes(1000)], 11 * MS)
    assert way.next_ns() == 37 * MS
    assert way.capacity_bytes(25 * MS, 40 * MS) == 2_000 + 5_000, "2 ms before, 8 ms without, 5 ms after"


def test_an_idle_radio_is_late_for_the_first_packets_of_both_directions_only():
    draws = iter([0.5, 1.0])
    radio = Radio(10 * SECOND, 300 * MS, 600 * MS, lambda: next(draws))
    shape = Shape(rates.constant(8_000_000), 10 * MS, 50_000)
    up, down = Direction(shape, 0, lambda: 0.5, radio), Direction(shape, 0, lambda: 0.5, radio)
    up.offer([bytes(1000)], SECOND)
    down.offer([bytes(1000)], SECOND + 100 * MS)
    assert (up.next_ns(), down.next_ns()) == (SECOND + 461 * MS, SECOND + 461 * MS)
    up.take(2 * SECOND)
    up.offer([bytes(1000)], 10 * SECOND)
    assert up.next_ns() == 10 * SECOND + 11 * MS, "awake: less than 10 s have passed"
    up.take(11 * SECOND)
    up.offer([bytes(1000)], 20 * SECOND)
    assert up.next_ns() == 20 * SECOND + 611 * MS


def test_a_spent_plan_slows_both_directions_at_the_packet_that_spends_it():
    plan = Plan(5_000, 80_000)
    shape = Shape(rates.constant(8_000_000), 0, 50_000)
    down, up = Direction(shape, 0, lambda: 0.5, None, plan), Direction(shape, 0, lambda: 0.5, None, plan)
    down.offer([bytes(1000)] * 7, 0)
    arrivals = []
    while (due := down.next_ns()) < rates.NEVER:
        arrivals += [due] * len(down.take(due))
    assert arrivals == [1 * MS, 2 * MS, 3 * MS, 4 * MS, 5 * MS, 105 * MS, 205 * MS]
    up.offer([bytes(1000)], SECOND)
    assert up.next_ns() == SECOND + 100 * MS
    assert down.capacity_bytes(0, SECOND) == 5_000 + 9_950


def test_loss_is_random_and_as_great_as_asked():
    way = Direction(Shape(rates.constant(10**9), 0, 10**9, 20_000), 0, Sieve(1).draw)
    way.offer([bytes(100)] * 50_000, 0)
    assert way.lost_bytes / way.offered_bytes == pytest.approx(0.02, abs=0.002)
    assert drained(way, 0)[0] == way.delivered_bytes == way.offered_bytes - way.lost_bytes


@pytest.mark.parametrize("delays", [(300, 5), (5, 300)])
def test_another_delay_never_reorders(delays):
    before, after = (Shape(rates.constant(8_000_000), delay * MS, 50_000) for delay in delays)
    way = Direction(before, 0, lambda: 0.5)
    way.offer([b"1" * 1000], 0)
    way.reshape(after, 0, 2 * MS)
    way.offer([b"2" * 1000], 3 * MS)
    assert b"".join(packet[:1] for packet in way.take(SECOND)) == b"12"
