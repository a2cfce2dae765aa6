"""One operator in one hamlet over a span: rates, delay, level and coverage, for weak spots and for before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from collector.core import coverage
from collector.core.compare import Change, Middle, change, middle
from collector.core.coverage import Tally
from collector.core.period import MINUTE_MS, Period
from collector.core.sample import Sample
from collector.evidence import Reader, Registry, hamlet_evidence
from wire.records import TestRecord

SPAN_MS = 28 * 24 * 60 * MINUTE_MS
"""Before and after are four whole weeks each, so that both hold the same days of the week."""
MOST = 20_000


class Samples(Reader, Protocol):
    """The ledger's reader."""


@dataclass(frozen=True, slots=True)
class Look:
    """What was seen in a span. Rates in bit/s, delay in µs, level in tenths of dBm, of counted samples."""

    period: Period
    downlink: Middle
    uplink: Middle
    rtt: Middle
    rsrp: Middle
    failed: int
    tests: int
    minutes: Tally


@dataclass(frozen=True, slots=True)
class Compared:
    """Before and after, and what may be said of each measure; coverage is compared in plain shares."""

    before: Look
    after: Look
    downlink: Change
    uplink: Change
    rtt: Change
    rsrp: Change

    @property
    def sentence(self) -> str:
        """The same in one line, for the case's record: medians with n and interval, rates in Mbit/s."""
        down = [_told(one.downlink, 1e6) for one in (self.before, self.after)]
        up = [_told(one.uplink, 1e6) for one in (self.before, self.after)]
        shares = [_share(one.minutes) for one in (self.before, self.after)]
        return (
            f"downlink {down[0]} -> {down[1]} Mbit/s: {self.downlink}; uplink {up[0]} -> {up[1]} Mbit/s: {self.uplink};"
            f" covered {shares[0]} -> {shares[1]}"
        )


def _told(one: Middle, scale: float) -> str:
    if one.median is None:
        return "no value (n 0)"
    between = "" if one.low is None or one.high is None else f" [{one.low / scale:.1f}, {one.high / scale:.1f}]"
    return f"{one.median / scale:.1f}{between} (n {one.n})"


def _share(one: Tally) -> str:
    return "unknown" if one.covered_ppm is None else f"{one.covered_ppm / 10_000:.1f} % of {one.known} min"


def look(reader: Samples, registry: Registry, hamlet: str, plmn: str, period: Period) -> Look:
    """Gather one span."""
    found = reader.samples(
        hamlet=hamlet, kind="test", since_ms=period.start_ms, until_ms=period.end_ms, limit=MOST
    )  # fmt: skip
    tests = [(s, s.record) for s in found if isinstance(s.record, TestRecord) and s.record.plmn == plmn]
    good = [record for sample, record in tests if sample.counted]
    levels = [level for record in good if (level := _rsrp(record)) is not None]
    evidence = [one for one in hamlet_evidence(reader, registry, hamlet, period) if one.plmn == plmn]
    return Look(
        period,
        middle(r.downlink_bps for r in good if r.downlink_bps is not None),
        middle(r.uplink_bps for r in good if r.uplink_bps is not None),
        middle(r.rtt_us_median for r in good if r.rtt_us_median is not None),
        middle(levels),
        sum(record.outcome == "failed" for _, record in tests),
        len(tests),
        coverage.tally(evidence[0].minutes) if evidence else Tally(0, 0, 0, 0),
    )


def _rsrp(record: TestRecord) -> int | None:
    radio = record.radio
    if radio is None:
        return None
    if radio.during is not None and radio.during.rsrp_dbm_x10_median is not None:
        return radio.during.rsrp_dbm_x10_median
    return radio.before.rsrp_dbm_x10 if radio.before is not None else None


def compared(
    reader: Samples, registry: Registry, hamlet: str, plmn: str, opened_ms: int, fixed_ms: int, now_ms: int
) -> Compared:
    """Four weeks before the case was opened against the time since it was said to be mended (four weeks at most).

    Raises ValueError if less than a whole minute has passed since.
    """
    opened, fixed = (t_ms // MINUTE_MS * MINUTE_MS for t_ms in (opened_ms, fixed_ms))
    until = min(fixed + SPAN_MS, now_ms // MINUTE_MS * MINUTE_MS)
    if until <= fixed:
        raise ValueError("no time has passed since it was mended")
    before = look(reader, registry, hamlet, plmn, Period(opened - SPAN_MS, opened))
    after = look(reader, registry, hamlet, plmn, Period(fixed, until))
    return Compared(
        before, after, change(before.downlink, after.downlink), change(before.uplink, after.uplink),
        change(before.rtt, after.rtt, more_is_better=False), change(before.rsrp, after.rsrp),
    )  # fmt: skip


def uncounted(found: Sequence[Sample]) -> list[Sample]:
    """The tests among records that do not count."""
    return [one for one in found if one.kind == "test" and not one.counted]
