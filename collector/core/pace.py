"""When a moment's wait makes groups of live messages larger, and so each of them cheaper. No clock of its own.

Below `FROM_S` messages a second nobody waits: each is committed and answered as it comes. Above it a group of two or
three would cost a commit, and a look at the registry, for hardly a record.
Source: design §7 (no linger at low rate); facts note 04 §7 (at most 5 ms above 1,000/s).
"""

from __future__ import annotations

from dataclasses import dataclass

FROM_S = 500
"""Messages a second."""
LINGER_S = 0.003
LARGE = 64
"""A group of so many is no cheaper for being larger."""
WINDOW_S = 0.5


@dataclass(slots=True)
class Pace:
    """What came lately. Times are those of one monotonic clock."""

    _begun_s: float = float("-inf")
    _count: int = 0
    _is_fast: bool = False
    _last: int = 0

    def saw(self, messages: int, now_s: float) -> None:
        """A group was taken."""
        self._last = messages
        self._count += messages
        passed_s = now_s - self._begun_s
        if passed_s >= WINDOW_S:
            self._is_fast = self._count >= FROM_S * passed_s
            self._begun_s, self._count = now_s, 0

    def linger_s(self) -> float:
        """How long to wait before the next group is taken, of which something is there already."""
        return LINGER_S if self._is_fast and self._last < LARGE else 0.0
