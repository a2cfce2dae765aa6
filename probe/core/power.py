"""What is told of the supply: undervoltage began, and ended. Pure.

Bits as the Raspberry Pi firmware documents them for `get_throttled`: 0 undervoltage now, 16 undervoltage since boot.
Source: facts note 05 §4 (supply and cable; USB serial drop-outs follow undervoltage).
"""

from __future__ import annotations

from dataclasses import dataclass

NOW, EVER = 1 << 0, 1 << 16
QUIET_MS = 600_000
"""An end is told after this long without it: a modem's bursts are one fault of the cable, not a hundred."""


@dataclass(frozen=True, slots=True)
class Power:
    """`since_ms`: when the running undervoltage began (monotonic), None while there is none. `last_ms`: last seen."""

    since_ms: int | None = None
    last_ms: int = 0
    is_ever: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """An `undervoltage` event that is due: its begin, or with `duration_ms` its end."""

    duration_ms: int | None = None


def step(state: Power, throttled_bits: int | None, now_ms: int) -> tuple[Power, tuple[Told, ...]]:
    """Take one look. What fell between two looks is known by the bit that stays set, and counts as seen now."""
    if throttled_bits is None:
        return state, ()
    is_ever = bool(throttled_bits & EVER)
    if throttled_bits & NOW or (is_ever and not state.is_ever):
        begins = state.since_ms is None
        since_ms = now_ms if state.since_ms is None else state.since_ms
        return Power(since_ms, now_ms, is_ever), ((Told(),) if begins else ())
    if state.since_ms is not None and now_ms - state.last_ms >= QUIET_MS:
        return Power(None, 0, is_ever), (Told(state.last_ms - state.since_ms),)
    return Power(state.since_ms, state.last_ms, is_ever), ()
