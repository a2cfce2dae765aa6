"""Statistics of a byte count that grows: bins, standard error, series. Pure arithmetic.

The standard error of a mean of 100-ms bins is inflated by their lag-1 autocorrelation: neighbours on a cellular
link resemble each other, so that n bins know less than n independent ones.
Source: facts note 03 §5 rule 5; Zwiers and von Storch 1995 for the inflation (1 + r) / (1 - r).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import pairwise
from math import sqrt

MOST_CORRELATION = 0.95


class Curve:
    """A count of bytes over time, sampled: `add` in order of time, ask with `at` for any time in between."""

    __slots__ = ("_bytes", "_us")

    def __init__(self) -> None:
        self._us: list[int] = []
        self._bytes: list[int] = []

    def add(self, at_us: int, count: int) -> None:
        """Add one sample; a count never falls (a counter that does is held)."""
        self._us.append(at_us)
        self._bytes.append(max(count, self._bytes[-1]) if self._bytes else count)

    def at(self, at_us: int) -> int:
        """Bytes at an instant, straight between the samples around it, held outside them; 0 while empty."""
        place = bisect_left(self._us, at_us)
        if place == len(self._us):
            return self._bytes[-1] if self._bytes else 0
        if place == 0 or self._us[place] == at_us:
            return self._bytes[place]
        (old_us, new_us), (old, new) = self._us[place - 1 : place + 1], self._bytes[place - 1 : place + 1]
        return old + (new - old) * (at_us - old_us) // (new_us - old_us)

    def moved(self, start_us: int, end_us: int) -> int:
        """Bytes between two instants."""
        return self.at(end_us) - self.at(start_us)

    def bins(self, start_us: int, end_us: int, step_us: int) -> list[int]:
        """Bytes of each whole step from `start_us`; a last part of a step is left out."""
        edges = [self.at(edge) for edge in range(start_us, end_us + 1, step_us)]
        return [after - before for before, after in pairwise(edges)]


def relative_error_ppm(bins: Sequence[int]) -> int | None:
    """Standard error of the mean of `bins` in parts per million of the mean; None for under 3 bins or no bytes."""
    count = len(bins)
    mean = sum(bins) / count if count else 0.0
    if count < 3 or mean <= 0:
        return None
    off = [one - mean for one in bins]
    squares = sum(one * one for one in off)
    if squares == 0:
        return 0
    products = sum(one * after for one, after in pairwise(off))
    correlation = min(max(products / squares, 0.0), MOST_CORRELATION)
    error = sqrt(squares / (count - 1) / count * (1 + correlation) / (1 - correlation))
    return round(error / mean * 1_000_000)


def halves_differ_ppm(bins: Sequence[int]) -> int | None:
    """How much the second half differs from the first, in parts per million of the mean; None without bytes.

    The middle bin of an odd number belongs to neither.
    """
    half = len(bins) // 2
    first, second = sum(bins[:half]), sum(bins[len(bins) - half :])
    if first + second <= 0:
        return None
    return abs(second - first) * 2_000_000 // (first + second)


def series(curve: Curve, start_us: int, end_us: int, step_us: int) -> tuple[int, ...]:
    """Bytes of each step between two instants, in order; the last step may be shorter."""
    edges = [*range(start_us, end_us, step_us), end_us]
    counts = [curve.at(edge) for edge in edges]
    return tuple(after - before for before, after in pairwise(counts))
