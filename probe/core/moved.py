"""Whether a probe still stands where it was surveyed: only fixes that stay away for an hour say that it moved.

A moved probe goes on measuring; its records carry the distance, and the event tells the operator. It never becomes the
new position by itself.
Source: facts note 05 §3.2 (more than 200 m for more than 1 h); design §5, GPS.
"""

from __future__ import annotations

from dataclasses import dataclass

LIMIT_M = 200
HOLD_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Watch:
    """Since when (monotonic, ms) fixes contradict what was last told; None while they agree with it."""

    is_away: bool = False
    since_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """The probe left its site, or came back: `distance_m` from the surveyed position by the last fix."""

    is_away: bool
    distance_m: int


def step(state: Watch, offset_m: int | None, now_ms: int) -> tuple[Watch, Told | None]:
    """Take one look: the distance of a fresh fix, None without one. Without a fix nothing is decided."""
    if offset_m is None:
        return state, None
    is_away = offset_m > LIMIT_M
    if is_away == state.is_away:
        return Watch(state.is_away), None
    since_ms = now_ms if state.since_ms is None else state.since_ms
    if now_ms - since_ms < HOLD_MS:
        return Watch(state.is_away, since_ms), None
    return Watch(is_away), Told(is_away, offset_m)
