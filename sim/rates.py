"""The rate of a link as a function of time: constant, stepped, or a trace. Exact in whole numbers.

Pure. Capacity is counted in nanobits (bits a second times nanoseconds), so that nothing is ever rounded on the way.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

NEVER = 1 << 62
NANOBITS_A_BYTE = 8_000_000_000
OPPORTUNITY_BYTES = 1_500
_MS_NS, _S_NS = 1_000_000, 1_000_000_000
_RATE = re.compile(r"(\d+(?:\.\d+)?)\s*([kmg]?)bit", re.IGNORECASE)
_STEP = re.compile(r"(.+)\*(\d+(?:\.\d+)?)(ms|s)")
_SCALE = {"": 1, "k": 1_000, "m": 1_000_000, "g": 1_000_000_000}


@dataclass(frozen=True, slots=True)
class Rates:
    """Rates in bits a second, each from its start on (ns since the beginning; the first is 0).

    With a `period_ns` they come again and again; with None the last one holds for ever.
    """

    starts_ns: tuple[int, ...]
    rates_bps: tuple[int, ...]
    period_ns: int | None = None
    _sums: tuple[int, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Adds up what has been carried at each start, and at the end of the period."""
        ends = (*self.starts_ns[1:], *(() if self.period_ns is None else (self.period_ns,)))
        sums = [0]
        for start, end, rate in zip(self.starts_ns, ends, self.rates_bps, strict=False):
            sums.append(sums[-1] + rate * (end - start))
        object.__setattr__(self, "_sums", tuple(sums))

    @property
    def mean_bps(self) -> int:
        """Mean of a period; without one the rate that holds in the end."""
        return self.rates_bps[-1] if self.period_ns is None else self._sums[-1] // self.period_ns

    def carried(self, at_ns: int) -> int:
        """Nanobits that fit into [0, at_ns)."""
        rounds = 0
        if self.period_ns is not None:
            rounds, at_ns = divmod(at_ns, self.period_ns)
            rounds *= self._sums[-1]
        at = bisect_right(self.starts_ns, at_ns) - 1
        return rounds + self._sums[at] + self.rates_bps[at] * (at_ns - self.starts_ns[at])

    def reached(self, nanobits: int) -> int:
        """First nanosecond by which so many nanobits fit; NEVER if they never do."""
        if nanobits <= 0:
            return 0
        base_ns = 0
        if self.period_ns is not None:
            if self._sums[-1] == 0:
                return NEVER
            rounds, rest = divmod(nanobits - 1, self._sums[-1])
            base_ns, nanobits = rounds * self.period_ns, rest + 1
        at = bisect_left(self._sums, nanobits) - 1
        rate = self.rates_bps[at]
        if rate == 0:
            return NEVER
        return base_ns + self.starts_ns[at] - (self._sums[at] - nanobits) // rate

    def capped(self, limit_bps: int) -> Rates:
        """The same, but never above a limit."""
        return Rates(self.starts_ns, tuple(min(rate, limit_bps) for rate in self.rates_bps), self.period_ns)


def constant(rate_bps: int) -> Rates:
    """One rate for ever."""
    return Rates((0,), (rate_bps,))


def evenly(rates_bps: Sequence[int], step_ns: int) -> Rates:
    """Rates that hold for `step_ns` each, again and again; equal neighbours are one."""
    starts: list[int] = []
    kept: list[int] = []
    for at, rate in enumerate(rates_bps):
        if not kept or rate != kept[-1]:
            starts.append(at * step_ns)
            kept.append(rate)
    return Rates(tuple(starts), tuple(kept), len(rates_bps) * step_ns)


def stepped(text: str) -> Rates:
    """`20mbit*2s,0bit*500ms,5mbit*2s`, again and again. Raises ValueError with an example."""
    starts, rates, at_ns = [], [], 0
    for step in text.split(","):
        found = _STEP.fullmatch(step.strip())
        if found is None:
            raise ValueError(f"{step!r} is no step; write steps like 20mbit*2s,5mbit*500ms")
        length_ns = round(float(found.group(2)) * (_S_NS if found.group(3) == "s" else _MS_NS))
        if length_ns < _MS_NS:
            raise ValueError(f"{step!r} is too short; a step lasts 1 ms or more")
        starts.append(at_ns)
        rates.append(_bits_a_second(found.group(1)))
        at_ns += length_ns
    return Rates(tuple(starts), tuple(rates), at_ns)


def mahimahi(lines: Iterable[str]) -> Rates:
    """A trace of mahimahi: each line is the millisecond of one chance to send 1500 bytes; it wraps at the last.

    The bytes of a chance at millisecond m flow during the millisecond that ends there. Raises ValueError with the line.
    """
    moments: list[int] = []
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if not text:
            continue
        if not text.isdecimal() or (moments and int(text) < moments[-1]):
            raise ValueError(
                f"line {number} of the trace is {text!r}; each must be a millisecond, none before the last"
            )
        moments.append(int(text))
    if not moments or moments[-1] == 0:
        raise ValueError("the trace has no length; its last line must be a millisecond after 0")
    if moments[-1] > 24 * 3_600_000:
        raise ValueError("the trace is longer than a day; cut it")
    return _from_moments([max(1, moment) for moment in moments])


def _from_moments(moments: list[int]) -> Rates:
    chances: dict[int, int] = {}
    for moment in moments:
        chances[moment] = chances.get(moment, 0) + 1
    bps_a_chance = OPPORTUNITY_BYTES * 8 * 1_000
    starts, rates = [0], [0]
    for moment, count in chances.items():
        begin = (moment - 1) * _MS_NS
        for at, rate in ((begin, count * bps_a_chance), (moment * _MS_NS, 0)):
            if starts[-1] == at:
                rates[-1] = rate
            else:
                starts.append(at)
                rates.append(rate)
    period_ns = moments[-1] * _MS_NS
    last = len(starts) - (starts[-1] == period_ns)
    return Rates(tuple(starts[:last]), tuple(rates[:last]), period_ns)


def parse_rate(text: str) -> int:
    """`20mbit`, `1.5Mbit` or `500kbit` as bits a second. Raises ValueError with an example."""
    rate_bps = _bits_a_second(text)
    if not 10_000 <= rate_bps <= 10_000_000_000:
        raise ValueError(f"{text!r} is out of range; a link has 10kbit to 10gbit")
    return rate_bps


def _bits_a_second(text: str) -> int:
    found = _RATE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no rate; write it like 20mbit or 500kbit")
    return round(float(found.group(1)) * _SCALE[found.group(2).lower()])
