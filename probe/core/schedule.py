"""When to test: one instant in every slot, the same on every start, spread over all hours, never two at once.

A slot is a whole interval since the Unix epoch, UTC, named by its start. The instant in it comes from
HMAC-SHA256(seed, probe, modem, slot), so it can be checked by anyone once the seed is published. A slot that passed
while the probe was off is not made up: the collector derives it as missed.
Source: design §5, Schedule; facts note 08 §3.5 (quota stuffing).
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

KEPT_SLOTS = 128
"""Slots that are known as run: more than a week of the densest grid in use (a slot of 1.5 hours)."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Slots of one modem. `run_ms` is kept free at a slot's end, so that a run stays inside its slot.

    `catch_up`: also run a slot whose instant passed before the program started, if it has not ended.
    """

    probe: str
    modem: str
    seed: bytes
    slot_ms: int
    run_ms: int
    catch_up: bool = False


@dataclass(frozen=True, slots=True)
class Usage:
    """What a modem has done: the slots of its last scheduled runs, oldest first; `last_mono_ms`: when the last began.

    Several slots are kept, since a clock that was set back comes by them again. `last_mono_ms` None: no run yet.
    """

    done_slots_ms: tuple[int, ...] = ()
    last_mono_ms: int | None = None

    def after(self, slot_ms: int | None, mono_ms: int) -> Usage:
        """Return the usage once a run in `slot_ms` (None: in no slot) has begun at `mono_ms`."""
        slots = self.done_slots_ms if slot_ms is None else (*self.done_slots_ms, slot_ms)[-KEPT_SLOTS:]
        return Usage(slots, mono_ms)


@dataclass(frozen=True, slots=True)
class Now:
    """One moment: UTC or None while the clock is not trusted, monotonic, and both as they were at the start."""

    t_ms: int | None
    mono_ms: int
    since_mono_ms: int


@dataclass(frozen=True, slots=True)
class Run:
    """Run this modem's test now. `slot_ms` and `due_ms` are None on an untrusted clock."""

    modem: str
    slot_ms: int | None
    due_ms: int | None


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing is due for `ms` milliseconds (at least 1)."""

    ms: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    run: Run
    wait_ms: int
    last_mono_ms: int


def slot_of(t_ms: int, slot_ms: int) -> int:
    """Return the start of the slot that holds `t_ms`."""
    return t_ms - t_ms % slot_ms


def due_ms(plan: Plan, slot: int) -> int:
    """Return the instant (UTC, ms) at which the slot that starts at `slot` is to be run."""
    message = f"{plan.probe}\n{plan.modem}\n{slot}".encode()
    drawn = int.from_bytes(hmac.new(plan.seed, message, sha256).digest()[:8], "big")
    room_ms = max(plan.slot_ms - plan.run_ms, plan.slot_ms // 4, 1)
    return slot + drawn * room_ms // 2**64


def decide(plans: Sequence[tuple[Plan, Usage]], now: Now) -> Run | Wait:
    """Say what to do at `now`: run one modem's test, or wait and how long.

    Of several that are due, the one goes first whose last run is longest ago. The caller asks again when a run has
    ended, so tests never overlap. Raises ValueError without a plan.
    """
    candidates = [_candidate(plan, usage, now) for plan, usage in plans]
    ready = [c for c in candidates if c.wait_ms <= 0]
    if ready:
        return min(ready, key=lambda c: (c.last_mono_ms, c.run.due_ms or 0, c.run.modem)).run
    return Wait(min(c.wait_ms for c in candidates))


def _candidate(plan: Plan, usage: Usage, now: Now) -> _Candidate:
    last = -1 if usage.last_mono_ms is None else usage.last_mono_ms
    if now.t_ms is None:
        return _Candidate(Run(plan.modem, None, None), _undated_wait(plan, usage, now), last)
    slot = slot_of(now.t_ms, plan.slot_ms)
    if _is_missed(plan, slot, now, now.t_ms):
        slot += plan.slot_ms
    while slot in usage.done_slots_ms:  # the clock was set back over slots that were run
        slot += plan.slot_ms
    due = due_ms(plan, slot)
    return _Candidate(Run(plan.modem, slot, due), due - now.t_ms, last)


def _is_missed(plan: Plan, slot: int, now: Now, t_ms: int) -> bool:
    """Its instant passed before the program started, and it is not to be caught up."""
    started_ms = t_ms - (now.mono_ms - now.since_mono_ms)
    return not plan.catch_up and due_ms(plan, slot) < started_ms


def _undated_wait(plan: Plan, usage: Usage, now: Now) -> int:
    """Without a trusted clock: one run a slot length on monotonic time, the first one at an instant of its own."""
    if usage.last_mono_ms is not None:
        return usage.last_mono_ms + plan.slot_ms - now.mono_ms
    return now.since_mono_ms + due_ms(plan, 0) - now.mono_ms
