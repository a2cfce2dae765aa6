"""Indicators in the words of QCVN 81:2019/BTTTT, each with its n; what we spoiled ourselves blames nobody."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from collector.core.qcvn import (
    Indicator,
    Limit,
    access_delay,
    access_failures,
    availability,
    compared,
    drops,
    median_bps,
    rates,
)
from tests.collector.kit import FakeProbe
from wire import codec
from wire.records import CoverageRecord, TestRecord

PROBE = FakeProbe()


def made(**changes: Any) -> TestRecord:
    opened = codec.open_record(PROBE.test(**changes), PROBE.origin, PROBE.probe, PROBE.signer.verifier)
    assert isinstance(opened.record, TestRecord)
    return opened.record


def failed(stage: str, cause: str, **changes: Any) -> TestRecord:
    nothing = {"downlink_bps": None, "uplink_bps": None, "rtt_us_median": None}
    return made(outcome="failed", stage=stage, cause=cause, **{**nothing, **changes})


def window(rsrp: list[int | None], registered: list[int]) -> CoverageRecord:
    fields = {**PROBE.common(), "kind": "coverage", "modem": "m1", "step_ms": 60_000, "states": "C", "causes": "."}
    return msgspec.convert(
        {**fields, "polls": [60] * 6, "polls_registered": registered, "rsrp_dbm_x10_median": rsrp}, CoverageRecord
    )


def test_availability_is_a_share_of_samples_and_no_level_is_below_it() -> None:
    found = availability([window([-1000, -1210, -1211, None, -900, None], [60, 60, 60, 60, 0, 0])], -1210)
    assert found == Indicator("2.1.1", "ppm", 333_333, 6)
    assert availability([], -1210).value is None


def test_only_the_network_is_blamed_for_a_failed_access() -> None:
    tests = [
        *[made()] * 6,
        failed("registration", "searching"),
        failed("pdn", "no_pdp"),
        failed("downlink", "cut_off"),
        failed("sim", "no_sim"),
        failed("connect", "server_down"),
        failed("portal", "captive"),
        failed("host", "overheated"),
        made(outcome="skipped", stage="schedule", cause="budget_spent"),
        made(path={**msgspec.to_builtins(made().path), "verdict": "invalid_path"}),
    ]
    found = access_failures(tests)
    assert (found.value, found.n, found.left_out) == (222_222, 9, 6)
    assert (drops(tests).value, drops(tests).n) == (142_857, 7)


def test_delay_is_the_mean_of_those_that_got_there() -> None:
    tests = [
        made(dns_us=20_000, connect_us=50_000, first_byte_us=60_000),
        made(connect_us=150_000, first_byte_us=121_000),
        made(connect_us=1_000),
    ]
    assert access_delay(tests) == Indicator("2.1.3", "us", 200_500, 2)


def test_mean_and_median_of_rates_differ_and_a_failed_test_is_no_rate_of_nought() -> None:
    tests = [made(downlink_bps=bps, uplink_bps=None) for bps in (5_000_000, 6_000_000, 40_000_000)]
    down, up, reached = rates([*tests, failed("connect", "timeout")], 6_000_000)
    assert (down.value, down.n) == (17_000_000, 3)
    assert (up.value, up.n) == (None, 0)
    assert (reached.value, reached.n) == (666_667, 3)
    assert median_bps(test.downlink_bps for test in tests if test.downlink_bps) == 6_000_000
    assert median_bps([]) is None
    assert rates(tests, None)[2].value is None, "the operator declared no Vdmin"


def test_a_limit_is_compared_only_with_enough_samples() -> None:
    share = Indicator("2.1.1", "ppm", 950_000, 300)
    limit = Limit("2.1.1", ">=", 950_000)
    assert compared(share, limit, 300).within is True
    assert compared(share, limit, 301).within is None
    assert compared(share, None, 1).within is None
    assert compared(Indicator("2.1.3", "us", 5_000_001, 300), Limit("2.1.3", "<=", 5_000_000), 1).within is False
    with pytest.raises(ValueError, match=r"a limit of 2\.1\.3 says nothing of 2\.1\.1"):
        compared(share, Limit("2.1.3", "<=", 1), 1)
