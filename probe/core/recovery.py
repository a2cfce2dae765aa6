"""The recovery ladder of one modem: which rung when, how often at most, and what is told of it. Pure.

`step(state, event) -> (state, effects)`. The state is kept over restarts and reboots, since a rung may end the program:
on another boot all that was done counts as done just now, which can only wait longer, never act more often. What a
person, an operator, a plan or a server must mend has no rung. A modem that does not say is no cure and no fault.
Source: design §5 (Recovery ladder); facts note 05 §4.1.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from wire.failure import Cause

DAY_MS = 86_400_000


class Rung(StrEnum):
    """The rungs, from the gentlest to the harshest."""

    RECONNECT = "reconnect"
    REREGISTER = "reregister"
    MODEM_RESTART = "modem_restart"
    USB_REAUTHORISE = "usb_reauthorise"
    USB_POWER = "usb_power"
    USB_CONTROLLER = "usb_controller"
    REBOOT = "reboot"


LADDER = tuple(Rung)
RESETS = frozenset(LADDER[2:])
"""What makes the modem start anew."""
SHARED = frozenset({Rung.USB_CONTROLLER, Rung.REBOOT})
"""What other modems feel too: only if none of them is served."""


@dataclass(frozen=True, slots=True)
class Way:
    """How a fault is met: after how long, and from which rung to which."""

    patience_ms: int
    first: Rung
    last: Rung


WAYS: Mapping[Cause, Way] = {
    Cause.MODEM_MUTE: Way(60_000, Rung.MODEM_RESTART, Rung.REBOOT),
    Cause.MODEM_ERROR: Way(60_000, Rung.RECONNECT, Rung.REBOOT),
    Cause.NO_MODEM: Way(120_000, Rung.USB_REAUTHORISE, Rung.REBOOT),
    Cause.NO_INTERFACE: Way(120_000, Rung.RECONNECT, Rung.USB_CONTROLLER),
    # The air may be empty: a site without signal is not to be reset day and night.
    Cause.NOT_REGISTERED: Way(120_000, Rung.REREGISTER, Rung.MODEM_RESTART),
    Cause.SEARCHING: Way(300_000, Rung.REREGISTER, Rung.MODEM_RESTART),
    Cause.LIMITED_SERVICE: Way(300_000, Rung.REREGISTER, Rung.MODEM_RESTART),
    Cause.NO_PDP: Way(120_000, Rung.RECONNECT, Rung.USB_REAUTHORISE),
    # An operator that blocks what we ask looks dead: half an hour, and nothing harsh.
    Cause.NO_DNS: Way(1_800_000, Rung.RECONNECT, Rung.MODEM_RESTART),
    Cause.NO_INTERNET: Way(1_800_000, Rung.RECONNECT, Rung.MODEM_RESTART),
}
"""Causes with rungs. Every other one (PUK, SIM, denied, plan, portal, server, clock, disk) has none."""


def _settle() -> dict[Rung, int]:
    return dict(zip(LADDER, (60_000, 90_000, 120_000, 120_000, 150_000, 180_000, 300_000), strict=True))


def _per_day() -> dict[Rung, int]:
    return dict(zip(LADDER, (24, 12, 8, 6, 4, 2, 2), strict=True))


@dataclass(frozen=True, slots=True)
class Terms:
    """How long each rung may take to help, and how often it is tried. `allowed`: the rungs that this site may use."""

    allowed: frozenset[Rung] = frozenset(LADDER)
    settle_ms: Mapping[Rung, int] = field(default_factory=_settle)
    per_day: Mapping[Rung, int] = field(default_factory=_per_day)
    reset_gap_ms: int = 600_000
    reboot_gap_ms: int = 43_200_000
    rest_low_ms: int = 900_000
    rest_high_ms: int = 14_400_000
    patience_percent: int = 100


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one modem's fault. Times are monotonic, of boot `boot`.

    `cause`: the running fault, None while served; since `since_ms`. `climbed`: index of the rung that is next.
    `pending`: the rung that was carried out at `pending_ms` and may still help. `rounds`: full ladders without a cure.
    `resting`: no rung before `rest_until_ms`. `done`: rungs of the last day, with their times.
    """

    boot: str = ""
    cause: Cause | None = None
    since_ms: int = 0
    climbed: int = 0
    pending: Rung | None = None
    pending_ms: int = 0
    rounds: int = 0
    rest_until_ms: int = 0
    done: tuple[tuple[Rung, int], ...] = ()


@dataclass(frozen=True, slots=True)
class Polled:
    """One poll. `cause` None: served. `is_alone`: no other modem is served. `may_reboot`: the spool takes records."""

    now_ms: int
    boot: str
    cause: Cause | None
    is_testing: bool = False
    is_alone: bool = True
    may_reboot: bool = True


@dataclass(frozen=True, slots=True)
class Carried:
    """How carrying out the pending rung went: "done", or a word why it was not, which ends it at once."""

    rung: Rung
    outcome: str
    now_ms: int


@dataclass(frozen=True, slots=True)
class Do:
    """Carry this rung out, with the state on disk first."""

    rung: Rung


@dataclass(frozen=True, slots=True)
class Tell:
    """A `recovery` event: the rung, the fault it was for, how it ended, and how long that took."""

    rung: Rung
    cause: Cause
    outcome: str
    duration_ms: int | None = None


Event = Polled | Carried
Effect = Do | Tell
Step = tuple[State, tuple[Effect, ...]]


def step(state: State, event: Event, terms: Terms) -> Step:
    """Advance by one event. Effects are to be carried out in order."""
    if isinstance(event, Carried):
        return _carried(state, event)
    state = _in_boot(state, event, terms)
    if event.is_testing or event.cause is Cause.UNKNOWN:
        return state, ()
    if event.cause is None:
        return _cured(state, event)
    state = _faulty(state, event.cause, event.now_ms)
    told: tuple[Effect, ...] = ()
    if state.pending is not None:
        if event.now_ms - state.pending_ms < terms.settle_ms[state.pending]:
            return state, ()
        state, told = _over(state, "not_cured", event.now_ms)
    state, more = _climb(state, event, terms)
    return state, told + more


def _in_boot(state: State, event: Polled, terms: Terms) -> State:
    """Move a state of another boot into this one: everything counts as if it had just happened."""
    if state.boot == event.boot:
        return state
    return replace(
        state,
        boot=event.boot,
        since_ms=event.now_ms,
        pending_ms=event.now_ms,
        rest_until_ms=event.now_ms + _rest_ms(state.rounds, terms) if state.rounds else 0,
        done=tuple((rung, event.now_ms) for rung, _ in state.done),
    )


def _carried(state: State, event: Carried) -> Step:
    if state.pending is not event.rung or event.outcome == "done":
        return state, ()
    if event.outcome == "impossible":  # nothing was done: it neither counts nor keeps the next rung waiting
        state = replace(state, done=state.done[:-1])
    return _over(state, event.outcome, event.now_ms)


def _over(state: State, outcome: str, now_ms: int) -> Step:
    """End the pending rung without a cure: the next one is due."""
    if state.pending is None or state.cause is None:
        return replace(state, pending=None), ()
    told = Tell(state.pending, state.cause, outcome, max(0, now_ms - state.pending_ms))
    return replace(state, pending=None, climbed=LADDER.index(state.pending) + 1), (told,)


def _cured(state: State, event: Polled) -> Step:
    told: tuple[Effect, ...] = ()
    if state.pending is not None and state.cause is not None:
        told = (Tell(state.pending, state.cause, "cured", max(0, event.now_ms - state.pending_ms)),)
    return State(boot=state.boot, done=state.done), told


def _faulty(state: State, cause: Cause, now_ms: int) -> State:
    """Note the fault. A restarting modem shows several in a row: the ladder goes on, unless it has no rung for it."""
    if cause == state.cause:
        return state
    if state.cause is None or (cause not in WAYS and state.pending is None):
        return replace(state, cause=cause, since_ms=now_ms, climbed=0)
    if state.cause not in WAYS:
        return replace(state, cause=cause, since_ms=now_ms)
    return replace(state, cause=cause)


def _climb(state: State, event: Polled, terms: Terms) -> Step:
    way = WAYS.get(event.cause) if event.cause is not None else None
    if way is None or event.cause is None:
        return state, ()
    if event.now_ms - state.since_ms < way.patience_ms * terms.patience_percent // 100:
        return state, ()
    if event.now_ms < state.rest_until_ms:
        return state, ()
    recent = tuple((rung, at_ms) for rung, at_ms in state.done if event.now_ms - at_ms < DAY_MS)
    state = replace(state, done=recent)
    first, last = LADDER.index(way.first), LADDER.index(way.last)
    for rung in LADDER[max(first, state.climbed) : last + 1]:
        if not _may(rung, state, event, terms):
            continue
        if rung in RESETS and _since(state, RESETS, event.now_ms) < terms.reset_gap_ms:
            return state, ()  # it comes, but not yet
        begun = replace(state, pending=rung, pending_ms=event.now_ms, done=(*recent, (rung, event.now_ms)))
        told = (Tell(rung, event.cause, "begun"),) if rung is Rung.REBOOT else ()
        return begun, (*told, Do(rung))
    rest_ms = _rest_ms(state.rounds + 1, terms)
    return replace(state, climbed=0, rounds=state.rounds + 1, rest_until_ms=event.now_ms + rest_ms), ()


def _may(rung: Rung, state: State, event: Polled, terms: Terms) -> bool:
    """Whether a rung may be used at all now; one that may not is passed over."""
    if rung not in terms.allowed or sum(one is rung for one, _ in state.done) >= terms.per_day[rung]:
        return False
    if rung in SHARED and not event.is_alone:
        return False
    if rung is not Rung.REBOOT:
        return True
    return event.may_reboot and _since(state, frozenset({rung}), event.now_ms) >= terms.reboot_gap_ms


def _since(state: State, rungs: frozenset[Rung], now_ms: int) -> int:
    """Milliseconds since any of `rungs` was last tried; a day if none was."""
    return min((now_ms - at_ms for rung, at_ms in state.done if rung in rungs), default=DAY_MS)


def _rest_ms(rounds: int, terms: Terms) -> int:
    return int(min(terms.rest_high_ms, terms.rest_low_ms * 2 ** min(rounds - 1, 20)))
