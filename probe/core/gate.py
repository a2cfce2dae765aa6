"""How often a code may be tried at the page's door: who guesses waits, and so does everybody while many guess. Pure.

Five wrong tries close the door to one address for a quarter of an hour, twenty in that time to all. With 31^7
codes and twenty of them valid at a time, a guesser of patience opens it once in 37,000 years.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

TRIES_EACH, TRIES_ALL = 5, 20
WINDOW_S = 900.0


@dataclass(frozen=True, slots=True)
class Gate:
    """The wrong tries of the last quarter of an hour: (address, monotonic seconds), oldest first."""

    wrong: tuple[tuple[str, float], ...] = ()


def wait_s(gate: Gate, source: str, now_s: float) -> float:
    """How long this address must wait before its next try; 0 if it may try now."""
    recent = _recent(gate, now_s)
    own = [at_s for address, at_s in recent if address == source]
    waits = [0.0]
    if len(own) >= TRIES_EACH:
        waits.append(own[-TRIES_EACH] + WINDOW_S - now_s)
    if len(recent) >= TRIES_ALL:
        waits.append(recent[-TRIES_ALL][1] + WINDOW_S - now_s)
    return max(waits)


def failed(gate: Gate, source: str, now_s: float) -> Gate:
    """Take a wrong try into account."""
    return Gate((*_recent(gate, now_s), (source, now_s)))


def opened(gate: Gate, source: str) -> Gate:
    """Forget the slips of an address that knew the code in the end."""
    return replace(gate, wrong=tuple(one for one in gate.wrong if one[0] != source))


def _recent(gate: Gate, now_s: float) -> tuple[tuple[str, float], ...]:
    return tuple(one for one in gate.wrong if now_s - one[1] < WINDOW_S)[-TRIES_ALL:]
