"""When service at a modem was lost and came back, and when the modem itself did: events of two polls in a row.

One poll is no outage: a modem between two cells says "searching" for a second.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from wire.failure import Cause, Stage

CONFIRM_POLLS = 2
_MODEM = frozenset({Cause.NO_MODEM, Cause.MODEM_MUTE, Cause.MODEM_ERROR})
_SIM = frozenset({Cause.NO_SIM, Cause.SIM_LOCKED, Cause.SIM_PUK, Cause.WRONG_SIM})

_BEHIND_THE_MODEM = {
    Cause.NO_INTERFACE: Stage.PDN,
    Cause.NO_PDP: Stage.PDN,
    Cause.NO_DNS: Stage.DNS,
    Cause.CAPTIVE: Stage.PORTAL,
    Cause.PLAN_EXPIRED: Stage.PORTAL,
    Cause.DATA_EXHAUSTED: Stage.PORTAL,
    Cause.PLAN_THROTTLED: Stage.DOWNLINK,
    Cause.NO_INTERNET: Stage.CONNECT,
    Cause.ECHO_LOST: Stage.LATENCY,
    Cause.SERVER_DOWN: Stage.CONNECT,
    Cause.SERVER_UNREACHABLE: Stage.CONNECT,
    Cause.BROKER_UNREACHABLE: Stage.CONNECT,
    Cause.CLOCK: Stage.CONNECT,
}

OutageEvent = Literal["outage_begin", "outage_end", "modem_lost", "modem_back"]


@dataclass(frozen=True, slots=True)
class Outage:
    """What is known of one modem. `confirmed`: the cause that was told, None while all is well.

    `candidate` was seen in the last `seen` polls, first at `since_ms`; `began_ms`: when the confirmed one began.
    """

    confirmed: Cause | None = None
    began_ms: int = 0
    candidate: Cause | None = None
    seen: int = 0
    since_ms: int = 0


@dataclass(frozen=True, slots=True)
class Told:
    """An event that is due. `duration_ms`: how long it lasted, for an end."""

    event: OutageEvent
    stage: Stage
    cause: Cause
    duration_ms: int | None = None


def step(
    state: Outage, cause: Cause | None, at_ms: int, *, sure_since_ms: int | None = None
) -> tuple[Outage, tuple[Told, ...]]:
    """Take one poll (`cause` None: served) at `at_ms` (monotonic). A poll that does not say changes nothing.

    `sure_since_ms`: this is no word of the modem that a second poll must confirm, but a finding; it holds since then.
    """
    if cause is Cause.UNKNOWN:
        return state, ()
    if cause == state.confirmed:
        return replace(state, seen=0), ()
    if state.seen == 0 or cause != state.candidate:
        state = replace(state, candidate=cause, seen=1, since_ms=at_ms if sure_since_ms is None else sure_since_ms)
    else:
        state = replace(state, seen=state.seen + 1)
    if state.seen < CONFIRM_POLLS and sure_since_ms is None:
        return state, ()
    told = _ended(state) + _begun(cause)
    return Outage(confirmed=cause, began_ms=state.since_ms), told


def _ended(state: Outage) -> tuple[Told, ...]:
    if state.confirmed is None:
        return ()
    event: OutageEvent = "modem_back" if state.confirmed in _MODEM else "outage_end"
    return (Told(event, stage_of(state.confirmed), state.confirmed, max(0, state.since_ms - state.began_ms)),)


def _begun(cause: Cause | None) -> tuple[Told, ...]:
    if cause is None:
        return ()
    return (Told("modem_lost" if cause in _MODEM else "outage_begin", stage_of(cause), cause),)


def stage_of(cause: Cause) -> Stage:
    """Where a cause stops a run."""
    if cause in _MODEM:
        return Stage.MODEM
    if cause in _SIM:
        return Stage.SIM
    return _BEHIND_THE_MODEM.get(cause, Stage.REGISTRATION)
