"""How long to wait before the next attempt: exponential, capped, with full jitter passed in."""

from __future__ import annotations

_MAX_DOUBLINGS = 30


def delay_s(attempt: int, fraction: float, low_s: float, high_s: float) -> float:
    """Return the seconds to wait after failed attempt number `attempt` (0 is the first).

    The ceiling doubles from `low_s` to `high_s`; the wait lies between `low_s` and the ceiling at `fraction` (0 to 1),
    so that a fleet that lost its broker together does not come back together.
    """
    ceiling: float = min(high_s, low_s * 2.0 ** min(attempt + 1, _MAX_DOUBLINGS))
    return low_s + fraction * max(ceiling - low_s, 0.0)
