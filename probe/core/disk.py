"""What is told of the disk: that it is nearly full, that it takes nothing, that it takes records again.

Pure: looks in, events out. Source: facts note 05 §4 (card dead or read-only); facts note 08 §7.2, row 2.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from wire.failure import Cause

LOW_BYTES = 8_000_000
"""Less than this beside the spool is low: weeks of records, but one runaway log away from nothing."""
CONFIRM_LOOKS = 2


@dataclass(frozen=True, slots=True)
class Disk:
    """What was told. `cause` None: records are taken. `since_ms`: when that began (monotonic); `seen`: such looks."""

    cause: Cause | None = None
    since_ms: int = 0
    seen: int = 0
    is_low: bool = False
    lost: int = 0


@dataclass(frozen=True, slots=True)
class Look:
    """One look. `free_bytes` None: not known. `cause`: why nothing is taken. `lost`: records never kept, ever."""

    now_ms: int
    free_bytes: int | None
    cause: Cause | None
    lost: int


@dataclass(frozen=True, slots=True)
class Told:
    """A `disk_error` event that is due."""

    cause: Cause
    was: str
    now: str
    duration_ms: int | None = None
    note: str | None = None


def step(state: Disk, look: Look) -> tuple[Disk, tuple[Told, ...]]:
    """Take one look. A refusal is told at the second look in a row: one commit may fail beside another program."""
    state, told = _watch_space(state, look)
    if look.cause is not None and state.cause is None:
        state = replace(state, seen=state.seen + 1, since_ms=state.since_ms if state.seen else look.now_ms)
        if state.seen < CONFIRM_LOOKS:
            return state, told
        state = replace(state, cause=look.cause, lost=look.lost)
        return state, (*told, Told(look.cause, "ok", "refuses"))
    if look.cause is None and state.cause is not None:
        lost = look.lost - state.lost
        note = f"{lost} records were lost: memory was full too" if lost else None
        back = Told(state.cause, "refuses", "ok", look.now_ms - state.since_ms, note)
        return replace(state, cause=None, seen=0), (*told, back)
    return (replace(state, seen=0) if look.cause is None else state), told


def _watch_space(state: Disk, look: Look) -> tuple[Disk, tuple[Told, ...]]:
    """Say that space is low, once, and that it is not any more at twice that."""
    if look.free_bytes is None:
        return state, ()
    if not state.is_low and look.free_bytes < LOW_BYTES:
        return replace(state, is_low=True), (Told(Cause.LOW_DISK, "ok", "low"),)
    if state.is_low and look.free_bytes >= 2 * LOW_BYTES:
        return replace(state, is_low=False), (Told(Cause.LOW_DISK, "low", "ok"),)
    return state, ()
