"""When to test: one instant in every slot, the same on every start, spread over all hours, never two at once.

In a month that a signed configuration covers, slots divide the month (`wire.slots`); else a slot is a whole interval
since the Unix epoch, as long as the settings file says. A slot is named by its start, UTC. The instant in it comes from
HMAC-SHA256(seed, probe, modem, slot), so it can be checked by anyone once the seed is published. A slot that passed
while the probe was off is not made up: the collector derives it as missed. One of a covered month whose instant passed
while the probe restarted, or which the clock jumped over, is run as long as there is time for it in the slot.
Source: design §5, Schedule; facts note 08 §3.5 (quota stuffing); decision 0009.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wire import slots
from wire.slots import Slot

KEPT_SLOTS = 512
"""Slots that are known as run: more than a month of the densest grid in use (a slot of 1.5 hours)."""


@dataclass(frozen=True, slots=True)
class Month:
    """One month that a signed configuration covers: its bounds (UTC, ms), number of slots, and seed."""

    start_ms: int
    end_ms: int
    count: int
    seed: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """Slots of one modem. `run_ms` is kept free at a slot's end, so that a run stays inside its slot.

    `catch_up`: also run a slot whose instant passed before the program started, if it has not ended. `seed`, `slot_ms`
    and `catch_up` are the settings file's; they hold where none of `months` does.
    """

    probe: str
    modem: str
    seed: bytes
    slot_ms: int
    run_ms: int
    catch_up: bool = False
    months: tuple[Month, ...] = ()

    def month(self, t_ms: int) -> Month | None:
        """Return the covered month that holds `t_ms`; None if the settings file's grid holds there."""
        return next((month for month in self.months if month.start_ms <= t_ms < month.end_ms), None)

    def slot_at(self, t_ms: int) -> Slot:
        """Return the slot that holds `t_ms`."""
        month = self.month(t_ms)
        if month is not None:
            return slots.slot_at((month.start_ms, month.end_ms), month.count, t_ms)
        start_ms = slot_of(t_ms, self.slot_ms)
        before = [month.end_ms for month in self.months if month.end_ms <= t_ms]
        behind = [month.start_ms for month in self.months if month.start_ms > t_ms]
        return Slot(max([start_ms, *before]), min([start_ms + self.slot_ms, *behind]), self.slot_ms)


@dataclass(frozen=True, slots=True)
class Usage:
    """What a modem has done: the slots of its last scheduled runs, oldest first; `last_mono_ms`: when the last began.

    Several slots are kept, since a clock that was set back comes by them again. `last_mono_ms` None: no run yet.
    """

    done_slots_ms: tuple[int, ...] = ()
    last_mono_ms: int | None = None

    def after(self, slot_ms: int | None, mono_ms: int) -> Usage:
        """Return the usage once a run in `slot_ms` (None: in no slot) has begun at `mono_ms`."""
        done = self.done_slots_ms if slot_ms is None else (*self.done_slots_ms, slot_ms)[-KEPT_SLOTS:]
        return Usage(done, mono_ms)


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
    month = plan.month(slot)
    if month is None:
        return slots.instant_ms(plan.seed, plan.probe, plan.modem, slot, plan.slot_ms, plan.run_ms)
    return slots.instant_ms(month.seed, plan.probe, plan.modem, slot, plan.slot_at(slot).length_ms)


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
    slot = plan.slot_at(now.t_ms)
    if _is_missed(plan, slot, now, now.t_ms):
        slot = plan.slot_at(slot.end_ms)
    while slot.start_ms in usage.done_slots_ms:  # the clock was set back over slots that were run
        slot = plan.slot_at(slot.end_ms)
    due = due_ms(plan, slot.start_ms)
    return _Candidate(Run(plan.modem, slot.start_ms, due), due - now.t_ms, last)


def _is_missed(plan: Plan, slot: Slot, now: Now, t_ms: int) -> bool:
    """Its instant passed before the program started (or in a jump), and it is not to be caught up."""
    started_ms = t_ms - (now.mono_ms - now.since_mono_ms)
    if due_ms(plan, slot.start_ms) >= started_ms:
        return False
    if plan.month(slot.start_ms) is not None:
        return t_ms + min(plan.run_ms, slots.RESERVE_MS, slot.length_ms // 2) > slot.end_ms
    return not plan.catch_up


def _undated_wait(plan: Plan, usage: Usage, now: Now) -> int:
    """Without a trusted clock: one run a slot length on monotonic time, the first one at an instant of its own."""
    if usage.last_mono_ms is not None:
        return usage.last_mono_ms + plan.slot_ms - now.mono_ms
    return now.since_mono_ms + due_ms(plan, 0) - now.mono_ms
