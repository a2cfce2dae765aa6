"""Rates over time: exact capacity, traces read as written, generated links that vary as measured ones."""

import statistics
from itertools import pairwise
from math import log

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sim import air, cellular, rates
from wire.errors import Misconfigured

MS = 1_000_000
SECOND = 1_000_000_000
STEPS = st.lists(
    st.tuples(st.sampled_from([0, 1, 7, 10_000, 5_000_000, 1_000_000_000]), st.integers(1, 3 * SECOND)),
    min_size=1,
    max_size=6,
)


def made(steps, periodic):
    starts, at = [], 0
    for _, length in steps:
        starts.append(at)
        at += length
    return rates.Rates(tuple(starts), tuple(rate for rate, _ in steps), at if periodic else None)


@given(STEPS, st.booleans(), st.integers(0, 10 * SECOND), st.integers(0, 20_000 * rates.NANOBITS_A_BYTE))
def test_reached_is_the_first_moment_by_which_so_much_is_carried(steps, periodic, at, more):
    its = made(steps, periodic)
    wanted = its.carried(at) + more
    moment = its.reached(wanted)
    if moment == rates.NEVER:
        assert its.carried(1000 * at + 1000 * SECOND) < wanted or its.mean_bps == 0
    else:
        assert its.carried(moment) >= wanted
        assert moment == 0 or its.carried(moment - 1) < wanted


@given(STEPS, st.booleans(), st.lists(st.integers(0, 20 * SECOND), min_size=2, max_size=5))
def test_capacity_adds_up_and_a_cap_holds(steps, periodic, moments):
    its, capped = made(steps, periodic), made(steps, periodic).capped(1_000_000)
    moments.sort()
    parts = [its.carried(b) - its.carried(a) for a, b in pairwise(moments)]
    assert sum(parts) == its.carried(moments[-1]) - its.carried(moments[0])
    assert all(part >= 0 for part in parts)
    assert capped.carried(moments[-1]) <= min(its.carried(moments[-1]), 1_000_000 * moments[-1])


def test_mahimahi_gives_each_chance_by_its_millisecond_and_wraps_at_the_last():
    its = rates.mahimahi(["1\n", "1\n", "\n", "4\n", "10\n"])
    packet = rates.OPPORTUNITY_BYTES * rates.NANOBITS_A_BYTE
    assert [its.reached(n * packet) for n in range(1, 7)] == [MS // 2, MS, 4 * MS, 10 * MS, 10 * MS + MS // 2, 11 * MS]
    assert its.mean_bps == 4 * 12_000 * 100


@pytest.mark.parametrize("lines", [[], ["0"], ["5", "4"], ["1", "x"], ["-1"], ["99999999999"]])
def test_a_trace_that_is_none_is_refused(lines):
    with pytest.raises(ValueError, match="trace"):
        rates.mahimahi(lines)


def test_steps_come_again_and_an_outage_is_a_step():
    its = rates.stepped("20mbit*2s, 0bit*500ms,5mbit*1.5s")
    assert [its.carried(moment) // SECOND for moment in (2 * SECOND, 2500 * MS, 4 * SECOND, 5 * SECOND)] == [
        40_000_000,
        40_000_000,
        47_500_000,
        67_500_000,
    ]


@pytest.mark.parametrize("trace", ["steps:fast", "steps:1mbit*0ms", "cellular:x", "cellular:1:2", "/nowhere/at/all"])
def test_a_wrong_trace_is_told_in_a_sentence(trace):
    with pytest.raises(Misconfigured, match="trace"):
        air.check(air.Air(downlink_trace=trace))


@pytest.mark.parametrize("wrong", [{"delay_ms": -1}, {"loss_ppm": 2_000_000}, {"promotion_low_ms": 5}, {"queue_ms": 0}])
def test_a_link_that_cannot_be_is_refused(wrong):
    with pytest.raises(Misconfigured):
        air.check(air.Air(**wrong))


def test_generated_links_vary_as_measured_ones():
    links = [cellular.fading(str(seed)) for seed in range(12)]
    means = [link.rates.mean_bps for link in links]
    assert all(cellular.MEANS_BPS[0] * 0.999 < mean < cellular.MEANS_BPS[1] * 1.001 for mean in means)
    logs, lagged, signal, noise, outages = [], [], [], [], 0
    for link in links:
        mean = link.rates.mean_bps
        outages += sum(rate < 0.1 * mean for rate in link.seconds_bps)
        levels = [log(max(rate / mean, 0.1)) for rate in link.seconds_bps]
        logs += levels
        lagged.append(statistics.correlation(levels[:-1], levels[1:]))
        signal.append(statistics.correlation(levels, link.rsrp_db))
        noise.append(statistics.correlation(levels, link.sinr_db))
    assert statistics.stdev(logs) == pytest.approx(cellular.LOG_SD, abs=0.06)
    assert statistics.mean(lagged) == pytest.approx(cellular.PHI, abs=0.06)
    assert statistics.mean(signal) == pytest.approx(cellular.RSRP_CORRELATION, abs=0.08)
    assert statistics.mean(noise) == pytest.approx(cellular.SINR_CORRELATION, abs=0.08)
    assert outages / (12 * cellular.SECONDS) == pytest.approx(cellular.OUTAGE_SHARE, abs=0.003)


def test_a_generated_second_has_its_own_mean_and_20_ms_noise():
    link = cellular.fading("7", 20_000_000)
    assert link.rates.mean_bps == pytest.approx(20_000_000, rel=1e-6)
    second = link.rates.carried(8 * SECOND) - link.rates.carried(7 * SECOND)
    assert second / SECOND == pytest.approx(link.seconds_bps[7], rel=1e-5)
    steps = [link.rates.carried((at + 1) * 20 * MS) - link.rates.carried(at * 20 * MS) for at in range(50 * 60)]
    cvs = [
        statistics.stdev(part) / statistics.mean(part) for part in (steps[at : at + 50] for at in range(0, 3000, 50))
    ]
    assert statistics.mean(cvs) == pytest.approx(cellular.NOISE_CV, abs=0.03)
    assert cellular.fading("7", 20_000_000) == link
    assert cellular.fading("8", 20_000_000) != link
