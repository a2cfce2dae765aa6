"""Our engine's rules on streams made here: what it decides, and what it says of links whose truth is known."""

from __future__ import annotations

import hmac
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.core import engine_echo, engine_http
from probe.core.engine import Estimator, Outcome, Terms, series_step_us
from probe.core.engine_sample import Flow, Sample
from probe.core.engine_stats import Curve, halves_differ_ppm, relative_error_ppm, series
from wire import codec

STEP_US = 50_000
SHARE = 1448 / 1500
DOWN = Terms(link_is_last=True)
UP = Terms(link_is_last=False)
FLOW = Flow(80_000, 50_000, 0, 8_000_000)
Rate = Callable[[int], float]


@dataclass
class Heard:
    """What an estimator decided over a stream."""

    outcome: Outcome
    flows: list[int]
    estimator: Estimator
    samples: list[Sample]


def _stream(
    rate: Rate, *, rtt_us: int = 50_000, hole: tuple[int, int] = (0, 0), end_us: int = 12_000_000
) -> Iterator[Sample]:
    """A transfer in slow start under a capacity in bit/s. In `hole` the application gets nothing, the link goes on."""
    app = link = held = 0.0
    flows = (FLOW,)
    for at_us in range(0, end_us, STEP_US):
        yield Sample(at_us, int(app), int(link), flows if at_us else ())
        start_bps = 14_480 * 8e6 / rtt_us * 2 ** min(40, at_us / rtt_us) if at_us >= rtt_us else 0
        moved = min(rate(at_us), start_bps) * STEP_US / 8e6
        link += moved
        held += moved * SHARE
        if not hole[0] <= at_us < hole[1]:
            app, held = app + held, 0.0


def _hear(samples: Iterator[Sample], terms: Terms = DOWN) -> Heard:
    estimator, flows, taken = Estimator(terms), [], []
    for sample in samples:
        taken.append(sample)
        decision = estimator.add(sample)
        flows.append(decision.flows)
        if decision.stop is not None:
            break
    return Heard(estimator.outcome(), flows, estimator, taken)


def _fading(seed: int, mean_bps: float, *, cv: float = 0.3, phi: float = 0.62, log_sd: float = 0.41) -> Rate:
    """A cellular link: log-AR(1) rate of a second with gamma noise of 50 ms (facts note 03 §6)."""
    rng, level = random.Random(seed), random.Random(seed + 1_000_000).gauss(0, log_sd)
    seconds = []
    for _ in range(20):
        seconds.append(mean_bps * 2.718281828 ** (level - log_sd**2 / 2))
        level = phi * level + rng.gauss(0, log_sd * (1 - phi**2) ** 0.5)
    noise = [rng.gammavariate(1 / cv**2, cv**2) for _ in range(400)]
    return lambda at_us: seconds[at_us // 1_000_000] * noise[at_us // STEP_US]


def _truth_bps(rate: Rate, start_us: int, end_us: int) -> float:
    steps = range(start_us, end_us, STEP_US)
    return sum(rate(at) for at in steps) / len(steps) * SHARE


@settings(max_examples=60, deadline=None)
@given(mbit=st.floats(0.3, 300), rtt_ms=st.sampled_from([20, 30, 50, 80, 150]), is_downlink=st.booleans())
def test_a_constant_link_is_read_to_half_a_percent_and_stops_early(mbit: float, rtt_ms: int, is_downlink: bool) -> None:
    heard = _hear(_stream(lambda _at: mbit * 1e6, rtt_us=rtt_ms * 1000), DOWN if is_downlink else UP)
    outcome = heard.outcome
    assert outcome.cause is None
    assert outcome.bps == pytest.approx(mbit * 1e6 * SHARE, rel=0.005)
    if mbit >= 8:
        assert outcome.stop == "precise"
        assert outcome.window_us is not None
        assert 1_000_000 <= outcome.window_us <= 1_100_000


def test_connections_are_opened_over_8_mbit_and_only_before_the_start() -> None:
    assert set(_hear(_stream(lambda _at: 3.2e6)).flows) == {1}
    assert set(_hear(_stream(lambda at: 7.5e6 if at >= 50_000 else 0.0, rtt_us=1_000)).flows) == {1}, "no growth seen"
    fast = _hear(_stream(lambda _at: 50e6)).flows
    assert (fast[0], fast[-1]) == (1, 4)
    assert fast == sorted(fast)
    late = _hear(_stream(lambda at: 3e6 if at < 1_500_000 else 30e6))
    assert set(late.flows) == {1}, "a change in the middle of the window would be a bias"


@pytest.mark.parametrize("rtt_ms", [30, 50, 80])
def test_growth_opens_them_a_round_trip_earlier_unless_a_queue_forms(rtt_ms: int) -> None:
    """In the uplink a round trip that grows says that the link is full: then only the rate itself counts."""

    def opened_us(last_rtt_us: int, terms: Terms) -> int:
        flow, estimator = Flow(last_rtt_us, rtt_ms * 1000, 0, 8_000_000), Estimator(terms)
        for at_us in range(0, 1_000_000, 10_000):
            flights = max(0.0, at_us / 1000 / rtt_ms - 1)
            whole = int(flights)
            count = 14_480 * (2**whole - 1 + 2**whole * min(1.0, (flights - whole) * 2.89))
            if estimator.add(Sample(at_us, int(count), round(count / SHARE), (flow,))).flows == 4:
                return at_us
        raise AssertionError

    clear_us, full_us = opened_us(rtt_ms * 1000 + 1_000, UP), opened_us(rtt_ms * 1000 + 20_000, UP)
    assert opened_us(rtt_ms * 1000 + 20_000, DOWN) == clear_us, "a receiver's round trip is no sign"
    assert clear_us <= full_us
    if rtt_ms >= 50:
        assert clear_us <= full_us - rtt_ms * 500


def test_others_bytes_are_told_and_only_where_they_can_be_known() -> None:
    def shared(share: float) -> Iterator[Sample]:
        for sample in _stream(lambda _at: 20e6):
            yield Sample(sample.at_us, sample.payload_bytes, round((sample.link_bytes or 0) * share), sample.flows)

    told = _hear(shared(1.25)).outcome
    assert told.cross_bps == pytest.approx(5e6, rel=0.1)
    assert _hear(shared(1.04)).outcome.cross_bps is None, "under 5 %"
    assert _hear(shared(1.25), UP).outcome.cross_bps is None, "what waits in the modem's queue is not others'"
    assert _hear(_stream(lambda _at: 20e6)).outcome.cross_bps is None


def test_the_start_is_fixed_once_and_is_not_dragged_along_by_growth() -> None:
    growing = _hear(_stream(lambda at: 2e6 * (1 + at / 500_000), end_us=10_000_000))
    start_us = growing.outcome.start_us
    assert start_us is not None
    assert start_us <= 50_000 + 1_500_000 + 100_000, "1.5 s after the first 20 KB at the latest"
    assert growing.outcome.stop == "time"
    truth = _truth_bps(lambda at: 2e6 * (1 + at / 500_000), start_us, growing.outcome.end_us)
    assert growing.outcome.bps == pytest.approx(truth, rel=0.02)


def test_nothing_is_trimmed() -> None:
    """A 300-ms outage in the window is part of what the window carried."""
    rate: Rate = lambda at: 0.0 if 1_000_000 <= at < 1_300_000 else 20e6  # noqa: E731
    heard = _hear(_stream(rate))
    start_us = heard.outcome.start_us
    assert start_us is not None
    assert heard.outcome.bps == pytest.approx(_truth_bps(rate, start_us, heard.outcome.end_us), rel=0.01)
    assert heard.outcome.bps < 0.97 * 20e6 * SHARE


def test_a_hole_in_the_stream_does_not_move_the_rate_nor_end_it_early() -> None:
    heard = _hear(_stream(lambda _at: 20e6, hole=(1_200_000, 2_400_000)))
    assert heard.outcome.bps == pytest.approx(20e6 * SHARE, rel=0.005)
    assert heard.outcome.end_us >= 2_400_000, "application and link disagree while the hole is open"
    assert heard.outcome.stop == "precise"


def test_others_on_the_link_forbid_precision() -> None:
    def shared() -> Iterator[Sample]:
        for sample in _stream(lambda _at: 20e6):
            yield Sample(sample.at_us, sample.payload_bytes, (sample.link_bytes or 0) * 11 // 10, sample.flows)

    heard = _hear(shared())
    assert heard.outcome.stop == "time"
    assert heard.outcome.bps == pytest.approx(20e6 * SHARE, rel=0.01), "the payload's own rate"


def test_uplink_counts_what_was_acknowledged_though_the_queue_swallows_more() -> None:
    def queued() -> Iterator[Sample]:
        for sample in _stream(lambda _at: 10e6):
            sent = sample.payload_bytes + min(sample.payload_bytes, 300_000)
            yield Sample(sample.at_us, sample.payload_bytes, round(sent / SHARE), sample.flows, sent)

    heard = _hear(queued(), UP)
    assert heard.outcome.stop == "precise"
    assert heard.outcome.bps == pytest.approx(10e6 * SHARE, rel=0.005)


@pytest.mark.parametrize("phase_ms", range(0, 24, 3))
def test_a_slow_uplink_is_read_between_steps_of_its_acknowledgements(phase_ms: int) -> None:
    """At 1 Mbit/s two packets come every 23 ms: where in a step a window begins would err by up to 1 %."""
    step_us = round(2 * 1448 * 8e6 / (1e6 * SHARE))

    def stepped() -> Iterator[Sample]:
        for at_us in range(0, 12_000_000, STEP_US):
            steps = max(0, at_us - phase_ms * 1000) // step_us
            last_us = phase_ms * 1000 + steps * step_us
            seen_us = at_us - (at_us - last_us) // 4000 * 4000
            yield Sample(at_us, steps * 2896, round(steps * 2896 / SHARE), (FLOW,), steps * 2896, seen_us)

    outcome = _hear(stepped(), UP).outcome
    assert outcome.stop == "precise"
    assert outcome.bps == pytest.approx(1e6 * SHARE, rel=0.003)


def test_caps_in_time_saver_and_bytes() -> None:
    wild: Rate = lambda at: 40e6 if at // 300_000 % 2 else 8e6  # noqa: E731
    normal = _hear(_stream(wild)).outcome
    saver = _hear(_stream(wild), Terms(link_is_last=True, cap_us=3_000_000)).outcome
    assert (normal.stop, saver.stop) == ("time", "time")
    began_us = 100_000  # 20 KB have come by the third sample
    assert normal.end_us - began_us == pytest.approx(5_000_000, abs=STEP_US)
    assert saver.end_us - began_us == pytest.approx(3_000_000, abs=STEP_US), "the ramp costs the SIM as much"
    short = _hear(_stream(wild), Terms(link_is_last=True, cap_us=800_000)).outcome
    assert short.window_us == pytest.approx(1_000_000, abs=STEP_US), "a window always gets its second"
    hard = _hear(_stream(wild), Terms(link_is_last=True, cap_us=60_000_000)).outcome
    assert hard.end_us == 8_000_000
    full = _hear(_stream(lambda _at: 20e6), Terms(link_is_last=True, most_bytes=2_000_000)).outcome
    assert (full.stop, full.limit) == ("bytes", "cap")
    assert full.payload_bytes / SHARE + 20e6 / 8 * 0.2 <= 2_000_000 * 1.1
    assert full.payload_bytes > 1_000_000


def test_saver_mode_stops_at_a_wider_error_and_spends_less() -> None:
    spent = {}
    for name, terms in (("full", DOWN), ("saver", Terms(True, cap_us=3_000_000, error_goal_ppm=50_000))):
        heard = [_hear(_stream(_fading(seed, 25e6)), terms).outcome for seed in range(40)]
        assert all((one.se_ppm or 0) <= terms.error_goal_ppm for one in heard if one.stop == "precise")
        spent[name] = sum(one.payload_bytes for one in heard)
    assert spent["saver"] * 1.6 < spent["full"]


def test_who_limited_it() -> None:
    narrow = tuple([Flow(80_000, 50_000, 0, 50_000)] * 4)

    def windowed() -> Iterator[Sample]:
        for sample in _stream(lambda _at: 20e6):
            yield Sample(sample.at_us, sample.payload_bytes, sample.link_bytes, narrow)

    window = _hear(windowed()).outcome
    assert (window.limit, window.stop) == ("window", "time"), "never called precise"
    assert _hear(_stream(lambda _at: 20e6), Terms(link_is_last=True, ceiling_bps=25_000_000)).outcome.limit == "host"
    assert _hear(_stream(lambda _at: 20e6), Terms(link_is_last=True, ceiling_bps=50_000_000)).outcome.limit == "link"


def test_a_transfer_that_never_begins_or_is_cut_has_no_rate() -> None:
    never = _hear(_stream(lambda _at: 0.0)).outcome
    assert (never.stop, never.cause, never.bps, never.end_us) == ("error", "timeout", None, 3_000_000)
    cut = _hear(_stream(lambda at: 20e6 if at < 1_000_000 else 0.0)).outcome
    assert (cut.stop, cut.cause, cut.bps) == ("error", "cut_off", None)
    assert cut.payload_bytes > 1_000_000


def test_payload_that_the_link_never_carried_is_not_believed() -> None:
    """The path proof in small: more payload than bytes on the interface."""

    def elsewhere() -> Iterator[Sample]:
        for sample in _stream(lambda _at: 20e6):
            yield Sample(sample.at_us, sample.payload_bytes, sample.payload_bytes // 3, sample.flows)

    outcome = _hear(elsewhere()).outcome
    assert (outcome.cause, outcome.bps, outcome.stop) == ("bytes_missing", None, "error")


@pytest.mark.parametrize(
    ("name", "made", "mae", "windows"),
    [
        ("static", lambda seed: _fading(seed, 25e6), 0.02, 72),
        ("driving", lambda seed: _fading(seed, 15e6, cv=0.45, log_sd=0.7), 0.03, 72),
    ],
)
def test_no_bias_over_many_windows_of_variable_links(
    name: str, made: Callable[[int], Rate], mae: float, windows: int
) -> None:
    """Against the capacity of the window itself: mean error within the goal, bias within 2 %, none lost."""
    errors = []
    for seed in range(windows):
        rate = made(seed)
        outcome = _hear(_stream(rate)).outcome
        assert outcome.bps is not None, (name, seed)
        assert outcome.start_us is not None
        errors.append(outcome.bps / _truth_bps(rate, outcome.start_us, outcome.end_us) - 1)
    assert abs(sum(errors) / windows) <= 0.02
    assert sum(map(abs, errors)) / windows <= mae


def test_stopping_early_does_not_favour_good_moments() -> None:
    """Against the mean of the 8 s from the start: an optional stop may be wide of it, but not to one side."""
    errors = []
    for seed in range(300):
        rate = _fading(seed, 25e6)
        outcome = _hear(_stream(rate)).outcome
        assert outcome.bps is not None
        assert outcome.start_us is not None
        errors.append(outcome.bps / _truth_bps(rate, outcome.start_us, outcome.start_us + 8_000_000) - 1)
    assert abs(sum(errors) / len(errors)) <= 0.03


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), starve=st.sampled_from([1, 2, 4]))
def test_a_starved_process_samples_rarely_and_is_still_right(seed: int, starve: int) -> None:
    rng = random.Random(seed)
    kept = (one for place, one in enumerate(_stream(lambda _at: 50e6)) if place % starve == 0 or rng.random() < 0.3)
    assert _hear(kept).outcome.bps == pytest.approx(50e6 * SHARE, rel=0.01)


# --- statistics --------------------------------------------------------------------------------------------------


def test_the_standard_error_is_that_of_the_textbook_and_grows_with_correlation() -> None:
    rng = random.Random(1)
    white = [round(rng.gauss(1e6, 1e5)) for _ in range(400)]
    assert relative_error_ppm(white) == pytest.approx(1e5 / 20 / 1e6 * 1e6, rel=0.2)
    level, red = 0.0, []
    for _ in range(4000):
        level = 0.8 * level + rng.gauss(0, 6e4)
        red.append(round(1e6 + level))
    assert relative_error_ppm(red) == pytest.approx(1e5 / 4000**0.5 * 3 / 1e6 * 1e6, rel=0.25)
    assert relative_error_ppm([5, 5, 5]) == 0
    assert relative_error_ppm([1, 2]) is relative_error_ppm([0, 0, 0]) is None
    assert halves_differ_ppm([10, 10, 99, 10, 12]) == 2 * 2_000_000 // 42
    assert halves_differ_ppm([]) is None


@given(
    st.lists(st.tuples(st.integers(1, 10_000), st.integers(0, 10_000)), min_size=1, max_size=30), st.integers(1, 20_000)
)
def test_a_curve_keeps_its_bytes_however_it_is_cut(steps: list[tuple[int, int]], step_us: int) -> None:
    curve, at_us, count = Curve(), 0, 0
    curve.add(0, 0)
    for span, more in steps:
        at_us, count = at_us + span, count + more
        curve.add(at_us, count)
    assert sum(series(curve, 0, at_us, step_us)) == count
    values = [curve.at(at) for at in range(-5, at_us + 5)]
    assert all(before <= after for before, after in pairwise(values))
    assert sum(curve.bins(0, at_us, step_us)) <= count


@given(st.lists(st.integers(1, 12_000_000), min_size=1, max_size=2))
def test_a_series_always_fits_its_hundred_places(windows_us: list[int]) -> None:
    step_us = series_step_us(tuple(windows_us))
    assert step_us % 50_000 == 0
    assert all(-(-window // step_us) <= 100 for window in windows_us)


# --- protocol ----------------------------------------------------------------------------------------------------


def test_an_echo_is_28_bytes_and_only_the_keys_owner_can_make_one() -> None:
    ticket, key = "a" * 32, bytes(16)
    packet = engine_echo.packet(ticket, key, 7)
    assert packet[:4] == b"dsg1"
    assert packet[4:16] == sha256(ticket.encode()).digest()[:12]
    assert packet[16:20] == (7).to_bytes(4, "big")
    assert packet[20:] == hmac.digest(key, packet[:20], "sha256")[:8]
    assert engine_echo.number_of(packet, ticket, key) == 7
    assert engine_echo.number_of(packet, ticket, bytes(15) + b"x") is None
    assert engine_echo.number_of(packet[:-1], ticket, key) is None


def test_heads_and_notes_are_read_and_portals_told_apart() -> None:
    reply = engine_http.read_head(b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\n\r\nbody")
    assert reply is not None
    assert (reply.status, engine_http.retry_after_s(reply), reply.head_bytes) == (503, 7, 37)
    assert engine_http.read_head(b"HTTP/1.1 200 OK\r\nX") is None
    for wrong in (b"<html>", b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n"):
        with pytest.raises(engine_http.NotOurs):
            engine_http.read_head(wrong)
    good = engine_http.Reply(200, {"x-echo-key": "0" * 32}, 0)
    body = b'dosong.example/ticket/v1\n{"probe":"p-abc","ticket":"' + b"t" * 20 + b'"}\n\nsignature'
    assert engine_http.read_ticket(good, body, "p-abc").echo_key == bytes(16)
    for bad in (
        b"<html>top up</html>",
        b"x/ticket/v1\nnot json\n",
        b"x/ticket/v1\n[]\n",
        body.replace(b"p-abc", b"p-xyz"),
    ):
        with pytest.raises(engine_http.NotOurs):
            engine_http.read_ticket(good, bad, "p-abc")


@given(st.binary(max_size=200))
def test_any_bytes_are_a_head_or_not_ours_and_leaves_are_those_of_the_contract(received: bytes) -> None:
    try:
        reply = engine_http.read_head(received)
    except engine_http.NotOurs:
        reply = None
    assert reply is None or 100 <= reply.status <= 599
    assert engine_http.leaf_text(received) == codec.leaf_text(codec.leaf_hash(received))
