"""When two machines speak as one probe: what the broker's log says of who came, from where, and threw whom out.

A broker lets one session a client id live, so two copies of a card throw each other out again and again. A single
probe on a bad link also takes over its own dead session, but it does not come back to an address that it has left and
left again: that, or more takeovers than any link explains, is the sign.
Source: facts note 08 §2 (7 takeovers in 6 s), §3.5 (clone: takeovers > 3 in 10 min; two source addresses).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

WINDOW_S = 600
HOUR_S = 3600
TAKEOVERS = 3
RETURNS = 2
MOST_SEEN = 64
_CAME = re.compile(r"^(?:(\d+): )?New client connected from (\S+):\d+ as ([a-z0-9][a-z0-9-]{2,31}) \(")
_TAKEN = re.compile(r"^(?:(\d+): )?Client ([a-z0-9][a-z0-9-]{2,31}) already connected, closing old connection\.")


@dataclass(frozen=True, slots=True)
class Came:
    """A probe's session began, from an address, at a time in seconds (None: the line has none)."""

    probe: str
    address: str
    at_s: int | None


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A probe's older session was closed because a newer one came."""

    probe: str
    at_s: int | None


@dataclass(frozen=True, slots=True)
class Sign:
    """Two machines seem to speak as `probe`."""

    probe: str
    address: str
    detail: str


@dataclass(frozen=True, slots=True)
class Seen:
    """What was seen of one probe: sessions (time, address) of an hour, takeovers of ten minutes, last sign."""

    sessions: tuple[tuple[float, str], ...] = ()
    takeovers: tuple[float, ...] = ()
    told_s: float | None = None


@dataclass(frozen=True, slots=True)
class State:
    """All probes that were seen."""

    probes: Mapping[str, Seen] = field(default_factory=dict)


def read(line: str) -> Came | TakenOver | None:
    """What a line of mosquitto's log says of this; None: something else."""
    if (came := _CAME.match(line)) is not None:
        return Came(came[3], came[2], int(came[1]) if came[1] else None)
    if (taken := _TAKEN.match(line)) is not None:
        return TakenOver(taken[2], int(taken[1]) if taken[1] else None)
    return None


def step(state: State, event: Came | TakenOver, now_s: float) -> tuple[State, list[Sign]]:
    """Take one event in; a sign is told once in an hour for each probe."""
    held = state.probes.get(event.probe, Seen())
    at_s = event.at_s if event.at_s is not None else now_s
    sessions = tuple(one for one in held.sessions if one[0] > at_s - HOUR_S)
    takeovers = tuple(one for one in held.takeovers if one > at_s - WINDOW_S)
    address = sessions[-1][1] if sessions else ""
    if isinstance(event, Came):
        sessions, address = (*sessions, (at_s, event.address))[-MOST_SEEN:], event.address
    else:
        takeovers = (*takeovers, at_s)[-MOST_SEEN:]
    seen = replace(held, sessions=sessions, takeovers=takeovers)
    detail = _detail(seen)
    signs: list[Sign] = []
    if detail is not None and (seen.told_s is None or at_s >= seen.told_s + HOUR_S):
        seen = replace(seen, told_s=at_s)
        signs.append(Sign(event.probe, address, detail))
    return State({**state.probes, event.probe: seen}), signs


def _detail(seen: Seen) -> str | None:
    """Why this looks like two machines; None if it does not."""
    if len(seen.takeovers) > TAKEOVERS:
        return "more than 3 sessions taken over within 10 minutes"
    order = [address for _, address in seen.sessions]
    moves = [address for number, address in enumerate(order) if number == 0 or order[number - 1] != address]
    returns = len(moves) - len(set(moves))
    if returns >= RETURNS and seen.takeovers:
        return "sessions alternate between addresses and take each other over"
    return None
