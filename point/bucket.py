"""Token buckets, one a source, in bounded memory: how often someone may ask before being told to wait.

Pure: time is given.
"""

from __future__ import annotations

from collections import OrderedDict


class Buckets:
    """For each source `burst` at once and `rate` a second; at most `limit` sources are remembered.

    The source that has been quiet longest is forgotten first: its bucket is the fullest, so least is lost.
    """

    def __init__(self, rate: float, burst: float, limit: int = 10_000) -> None:
        self._rate = rate
        self._burst = burst
        self._limit = limit
        self._levels: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._levels)

    def take(self, source: str, now_s: float) -> bool:
        """Take one token of `source`; False if it has none left."""
        level, then_s = self._levels.get(source, (self._burst, now_s))
        level = min(self._burst, level + (now_s - then_s) * self._rate)
        allowed = level >= 1.0
        self._levels[source] = (level - 1.0 if allowed else level, now_s)
        self._levels.move_to_end(source)
        if len(self._levels) > self._limit:
            self._levels.popitem(last=False)
        return allowed

    def wait_s(self, source: str, now_s: float) -> float:
        """Seconds until `source` has a token again."""
        level, then_s = self._levels.get(source, (self._burst, now_s))
        return max(0.0, (1.0 - level) / self._rate - (now_s - then_s))
