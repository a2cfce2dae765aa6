"""Before and after: medians with an interval, and what may be said of the difference.

The interval of a median is that of two order statistics: without any assumption on how values are spread, it holds the
true median in at least 95 of 100 samples. A difference is called one only if the intervals do not meet.
Source: issue "Evidence for officials", 5; any text on non-parametric statistics (sign test interval).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import comb
from typing import Literal

from collector.core.view_figures import percentile

LEAST = 6
"""Fewer values have no interval of 95 % at all: 2 / 2^6 is 3 %."""
_MOST_EXACT = 1000
Change = Literal["better", "worse", "open"]


@dataclass(frozen=True, slots=True)
class Middle:
    """Median of `n` values and the interval that holds it with 95 %; None of too few."""

    n: int
    median: float | None
    low: float | None
    high: float | None


def middle(values: Iterable[float]) -> Middle:
    """The median (nearest rank, as everywhere) with its interval."""
    ordered = sorted(values)
    n = len(ordered)
    median = percentile(ordered, 50)
    if n < LEAST:
        return Middle(n, median, None, None)
    rank = _rank(n)
    return Middle(n, median, ordered[rank], ordered[n - 1 - rank])


def _rank(n: int) -> int:
    """How many values may be left out at each end, so that the middle ones still hold the median with 95 %."""
    if n > _MOST_EXACT:  # normal approximation, rounded to the careful side
        return max(0, int(n / 2 - 0.98 * n**0.5) - 1)
    # Twice the chance of at most `rank` heads in n throws must stay within 5 %.
    below, rank = 1, 0
    while 40 * (below + comb(n, rank + 1)) <= 2**n:
        rank += 1
        below += comb(n, rank)
    return rank


def change(before: Middle, after: Middle, *, more_is_better: bool = True) -> Change:
    """What the two intervals allow to say; `open` where they meet or one is missing."""
    if before.low is None or before.high is None or after.low is None or after.high is None:
        return "open"
    if after.low > before.high:
        return "better" if more_is_better else "worse"
    if after.high < before.low:
        return "worse" if more_is_better else "better"
    return "open"
