"""The crash-loop guard: a program that keeps dying soon after its start goes on with less, and later tries all again.

Pure. A start is bad if the one before ended neither cleanly nor after `Terms.settled_ms`: a crash, a watchdog's kill,
or a supply that breaks down under the modem. Reduced: coverage and publishing go on, no tests, no receiver.
Source: facts note 05 §4 (reboot loops, supply).
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Terms:
    """`crashes` in a row make the mode reduced; a run of `settled_ms` breaks the row; `retry_ms` in it tries again."""

    crashes: int = 5
    settled_ms: int = 600_000
    retry_ms: int = 3_600_000


@dataclass(frozen=True, slots=True)
class Guard:
    """What outlives a start. `short_runs`: starts in a row that were bad. `is_open`: one runs that has not settled."""

    short_runs: int = 0
    is_open: bool = False
    is_reduced: bool = False


def begun(saved: Guard | None, terms: Terms) -> Guard:
    """Return the guard of a start; to be on disk before anything that might crash."""
    before = saved or Guard()
    short_runs = before.short_runs + 1 if before.is_open else before.short_runs
    return Guard(short_runs, is_open=True, is_reduced=short_runs >= terms.crashes)


def ran(state: Guard, run_ms: int, terms: Terms) -> Guard:
    """Return the guard after `run_ms` of this run, or of the full mode since it was tried again."""
    if not state.is_open or run_ms < terms.settled_ms:
        return state
    if state.is_reduced and run_ms < terms.retry_ms:
        return state
    if state.is_reduced:  # one crash more, and it is reduced again at once
        return Guard(terms.crashes - 1, is_open=True, is_reduced=False)
    return Guard()


def ended(state: Guard) -> Guard:
    """Return the guard after a clean end: no crash, and no proof that the program stands either."""
    return replace(state, is_open=False)
