"""Indicators in the words of QCVN 81:2019/BTTTT, from one fixed probe: always "tham khảo", never conformity.

The regulation wants drive and static tests by its Annex A; one probe at one place gives the same quantities, not a
conformity measurement. Every indicator carries its n; too few give none. Limits are dated data given by the caller.
Tests that our own side spoiled (site, SIM, server, probe) are not tests of the network and are left out, counted apart.
Source: QCVN 81:2019/BTTTT 2.1.1 to 2.1.5 as in facts note 01 §3.1; design §8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from statistics import median
from typing import Literal

from wire.failure import PARTY, Cause, Party, Stage
from wire.records import CoverageRecord, TestRecord

RULE_ID = "qcvn-1"
Code = Literal["2.1.1", "2.1.2", "2.1.3", "2.1.4", "2.1.5-down", "2.1.5-up", "2.1.5-share"]
_BEFORE_TRANSFER = (Stage.REGISTRATION, Stage.PDN, Stage.DNS, Stage.CONNECT, Stage.LATENCY)
_TRANSFER = (Stage.DOWNLINK, Stage.UPLINK)
_OF_THE_NETWORK = (Party.OPERATOR, Party.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Indicator:
    """One indicator. `value`: ppm for shares, microseconds for delays, bit/s for rates; None of nothing. `n`: of how
    many samples; `left_out`: tests that say nothing of the network."""

    code: Code
    unit: Literal["ppm", "us", "bit/s"]
    value: int | None
    n: int
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Limit:
    """A dated limit: `value` in the indicator's unit, reached by `>=` or `<=`."""

    code: Code
    relation: Literal[">=", "<="]
    value: int


@dataclass(frozen=True, slots=True)
class Compared:
    """An indicator beside its limit. `within` is None with fewer than `n_min` samples or without a limit."""

    indicator: Indicator
    limit: Limit | None
    within: bool | None


def availability(records: Iterable[CoverageRecord], min_rsrp_dbm_x10: int) -> Indicator:
    """2.1.1: ten-minute samples whose received level reaches the minimum, of all in which the modem was asked.

    A sample with no registered poll has no level and counts as below it.
    """
    good = n = 0
    for record in records:
        for polls, registered, rsrp in zip(
            record.polls or (), record.polls_registered or (), record.rsrp_dbm_x10_median or (), strict=False
        ):
            if polls:
                n += 1
                good += bool(registered) and rsrp is not None and rsrp >= min_rsrp_dbm_x10
    return Indicator("2.1.1", "ppm", _ppm(good, n), n)


def access_failures(tests: Iterable[TestRecord]) -> Indicator:
    """2.1.2: attempts that never got to a transfer for a cause of the network, of all attempts."""
    tried, failed, left_out = 0, 0, 0
    for test in tests:
        if not _is_of_network(test):
            left_out += 1
            continue
        tried += 1
        failed += test.outcome == "failed" and test.stage in _BEFORE_TRANSFER
    return Indicator("2.1.2", "ppm", _ppm(failed, tried), tried, left_out)


def access_delay(tests: Iterable[TestRecord]) -> Indicator:
    """2.1.3: mean time from the question for the name to the first byte, of tests that got there."""
    delays = [
        (test.dns_us or 0) + test.connect_us + test.first_byte_us
        for test in tests
        if test.connect_us is not None and test.first_byte_us is not None
    ]
    return Indicator("2.1.3", "us", _mean(delays), len(delays))


def drops(tests: Iterable[TestRecord]) -> Indicator:
    """2.1.4: transfers that began and were cut for a cause of the network, of all that began."""
    began, cut, left_out = 0, 0, 0
    for test in tests:
        in_transfer = test.outcome in ("failed", "partial") and test.stage in _TRANSFER
        if not in_transfer and test.outcome != "ok":
            continue
        if not _is_of_network(test):
            left_out += 1
            continue
        began += 1
        cut += in_transfer
    return Indicator("2.1.4", "ppm", _ppm(cut, began), began, left_out)


def rates(tests: Iterable[TestRecord], downlink_min_bps: int | None) -> tuple[Indicator, Indicator, Indicator]:
    """2.1.5: mean downlink, mean uplink, and the share of downlinks that reach Vdmin (None: none declared).

    Only tests with outcome ok have a rate here; a failed one is in 2.1.2 or 2.1.4, never a rate of 0.
    """
    good = [test for test in tests if test.outcome == "ok"]
    down = [test.downlink_bps for test in good if test.downlink_bps is not None]
    up = [test.uplink_bps for test in good if test.uplink_bps is not None]
    reached = None if downlink_min_bps is None else _ppm(sum(bps >= downlink_min_bps for bps in down), len(down))
    return (
        Indicator("2.1.5-down", "bit/s", _mean(down), len(down)),
        Indicator("2.1.5-up", "bit/s", _mean(up), len(up)),
        Indicator("2.1.5-share", "ppm", reached, len(down)),
    )


def median_bps(values: Iterable[int]) -> int | None:
    """Return i-Speed's statistic of the same rates, rounded half to even; None of nothing."""
    known = list(values)
    return round(Fraction(median(known))) if known else None


def compared(indicator: Indicator, limit: Limit | None, n_min: int) -> Compared:
    """Put an indicator beside its limit. Raises ValueError if they are not of the same thing."""
    if limit is not None and limit.code != indicator.code:
        raise ValueError(f"a limit of {limit.code} says nothing of {indicator.code}")
    if limit is None or indicator.value is None or indicator.n < n_min:
        return Compared(indicator, limit, None)
    above, below = indicator.value >= limit.value, indicator.value <= limit.value
    return Compared(indicator, limit, above if limit.relation == ">=" else below)


def _is_of_network(test: TestRecord) -> bool:
    """Whether the test says something of the network: it was run over the modem, and no cause of ours ended it."""
    if test.outcome == "skipped" or (test.path is not None and test.path.verdict != "ok"):
        return False
    if test.cause is None:
        return True
    return test.cause in {cause.value for cause in Cause} and PARTY[Cause(test.cause)] in _OF_THE_NETWORK


def _ppm(part: int, whole: int) -> int | None:
    return round(part * 1_000_000 / whole) if whole else None


def _mean(values: list[int]) -> int | None:
    return round(Fraction(sum(values), len(values))) if values else None
