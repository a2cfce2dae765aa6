"""Why a registered modem reaches nothing: when to look closer, what is told, and how long it holds. Pure.

`step(state, event) -> (state, effects)`. Normally there is one echo a step and nothing else. A lost echo, or a broker
that cannot be reached, has the link checked once; while the fault lasts it is checked again, ever more rarely.
Source: design §4 (coverage: no other traffic), §8; facts note 05 §4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from probe.core.coverage import Echo
from probe.core.findings import Findings, Plan, cause_of
from wire.failure import Cause

RECHECK_MS = (60_000, 120_000, 300_000, 900_000, 3_600_000)
"""How long after the first, second, ... check of one fault the next one follows; the last holds from there on."""
CHECK_LIMIT_MS = 45_000
"""A check that has said nothing for so long is given up."""
FORGOTTEN_MS = 60_000
"""A suspicion that was not raised again for so long after its check was due is over."""
_ENDS_WITH_ECHO = frozenset(
    {Cause.NO_INTERNET, Cause.SERVER_DOWN, Cause.SERVER_UNREACHABLE, Cause.ECHO_LOST, Cause.NO_PDP, Cause.NO_INTERFACE}
)
"""What an answered echo disproves at once; all else holds until a check finds nothing."""
_ENDS_WITH_TEST = frozenset({Cause.CAPTIVE, Cause.PLAN_EXPIRED, Cause.DATA_EXHAUSTED, Cause.NO_DNS})
"""What a test that succeeded disproves besides."""


@dataclass(frozen=True, slots=True)
class State:
    """What is known of one modem's link. All times are monotonic.

    `cause` None: nothing is wrong, or not known yet; it holds since `since_ms`. `lost_ms`: when the first echo of a row
    of lost ones was sent, None after an answered one. `checking_ms`: since when a check is under way, None: none is.
    `next_ms`: when to check again, or from when a suspicion is looked into again; None: at once if anything new comes.
    `attempt`: checks of this fault so far.
    """

    cause: Cause | None = None
    since_ms: int = 0
    lost_ms: int | None = None
    checking_ms: int | None = None
    next_ms: int | None = None
    attempt: int = 0


@dataclass(frozen=True, slots=True)
class Echoed:
    """The step's echo came to this."""

    outcome: Echo
    at_ms: int


@dataclass(frozen=True, slots=True)
class Suspected:
    """Something else failed that should not: the broker cannot be reached, or a test found no name."""

    at_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """The check under way has ended. `plan`: what is known of the SIM's plan now."""

    findings: Findings
    plan: Plan
    at_ms: int


@dataclass(frozen=True, slots=True)
class Brought:
    """A look of somebody else's, such as one after a test that failed."""

    findings: Findings
    plan: Plan
    at_ms: int


@dataclass(frozen=True, slots=True)
class Measured:
    """A test over the link has succeeded: names, pages and our point are all there."""


@dataclass(frozen=True, slots=True)
class Unserved:
    """The modem itself has no service: nothing can be said of what lies behind it."""


@dataclass(frozen=True, slots=True)
class Passed:
    """Time passed."""

    at_ms: int


Event = Echoed | Suspected | Found | Brought | Measured | Unserved | Passed


@dataclass(frozen=True, slots=True)
class Check:
    """Check the link now: the echo first, then all else. `stops_early`: an echo that answers is all that is wanted."""

    stops_early: bool


def step(state: State, event: Event) -> tuple[State, tuple[Check, ...]]:
    """Advance by one event."""
    match event:
        case Unserved() | Measured():
            is_over = isinstance(event, Unserved) or state.cause in _ENDS_WITH_ECHO | _ENDS_WITH_TEST
            return (State() if is_over else state), ()
        case Echoed(outcome, at_ms):
            return _on_echo(state, outcome == "answered", at_ms)
        case Suspected(at_ms):
            is_due = state.cause is None and (state.next_ms is None or at_ms >= state.next_ms)
            return _check(state, at_ms) if is_due else (state, ())
        case Found(findings, plan, at_ms):
            return _on_found(state, cause_of(findings, plan), at_ms), ()
        case Brought(findings, plan, at_ms):
            looked = replace(state, checking_ms=at_ms if state.checking_ms is None else state.checking_ms)
            return _on_found(looked, cause_of(findings, plan), at_ms), ()
        case Passed(at_ms):
            return _on_time(state, at_ms)


def _on_echo(state: State, is_answered: bool, at_ms: int) -> tuple[State, tuple[Check, ...]]:
    if not is_answered:
        return _check(replace(state, lost_ms=at_ms), at_ms) if state.lost_ms is None else (state, ())
    if state.lost_ms is None and state.cause is None:
        return state, ()
    if state.cause is None or state.cause in _ENDS_WITH_ECHO:
        return State(), ()  # a check under way has lost its reason: what it finds is of before
    return _check(replace(state, lost_ms=None), at_ms) if state.lost_ms is not None else (state, ())


def _check(state: State, at_ms: int) -> tuple[State, tuple[Check, ...]]:
    """Begin a check unless one is under way."""
    if state.checking_ms is not None:
        return state, ()
    stops_early = state.lost_ms is not None and state.cause is None
    return replace(state, checking_ms=at_ms, next_ms=None), (Check(stops_early),)


def _on_time(state: State, at_ms: int) -> tuple[State, tuple[Check, ...]]:
    if state.checking_ms is not None and at_ms - state.checking_ms > CHECK_LIMIT_MS:
        return _on_found(state, state.cause or (Cause.ECHO_LOST if state.lost_ms is not None else None), at_ms), ()
    if state.next_ms is None or at_ms < state.next_ms:
        return state, ()
    if state.cause is not None or state.lost_ms is not None:
        return _check(state, at_ms)
    return (State() if at_ms >= state.next_ms + FORGOTTEN_MS else state), ()


def _on_found(state: State, cause: Cause | None, at_ms: int) -> State:
    """Keep what a check found; one that was given up meanwhile says nothing."""
    if state.checking_ms is None:
        return state
    if cause is None and state.cause is not None:
        return State()
    next_ms = at_ms + RECHECK_MS[min(state.attempt, len(RECHECK_MS) - 1)]
    looked = replace(state, checking_ms=None, next_ms=next_ms, attempt=state.attempt + 1)
    if cause is None:  # what aroused suspicion may go on, yet it is not looked into again at every poll
        return replace(looked, lost_ms=None)
    return replace(looked, cause=cause, since_ms=state.since_ms if state.cause == cause else _began(state, at_ms))


def _began(state: State, at_ms: int) -> int:
    """When a new cause began: with the first lost echo or with its check, or when the cause before it ended."""
    if state.cause is not None:
        return at_ms
    return next((ms for ms in (state.lost_ms, state.checking_ms) if ms is not None), at_ms)
