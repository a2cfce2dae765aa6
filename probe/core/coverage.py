"""Service at one modem, step by step: polls and echoes in, one letter a step out, one record a window.

A step (a minute in the field) is covered, degraded (registered but not on LTE, or echo lost), without service, or
unknown; every letter but "covered" has its cause below it. Nothing unknown ever counts as weak coverage.
Source: design §4 (coverage), §8 (coverage of a minute); wire.failure for the letters.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from wire.failure import COVERAGE_CAUSES, Cause

SIXTHS = 6
PROBE_OFF = ("U", "o")
_LETTER = {cause: letter for letter, cause in COVERAGE_CAUSES.items() if cause is not None}
_NOT_THE_NETWORK: dict[Cause, Cause] = {
    **{cause: cause for cause in (Cause.CAPTIVE, Cause.WRONG_SIM, Cause.CLOCK, Cause.SERVER_DOWN)},
    **{cause: cause for cause in (Cause.PLAN_EXPIRED, Cause.PLAN_THROTTLED, Cause.DATA_EXHAUSTED)},
    Cause.SERVER_UNREACHABLE: Cause.SERVER_DOWN,
}
"""What makes a step unknown though the modem is registered, and the cause whose letter says so."""
_BEARER = frozenset({Cause.NO_PDP, Cause.NO_INTERFACE})
_SILENCE = frozenset({Cause.NO_INTERNET, Cause.ECHO_LOST})
_NO_SERVICE = frozenset({Cause.NOT_REGISTERED, Cause.SEARCHING, Cause.DENIED, Cause.LIMITED_SERVICE})
_REGISTERED = frozenset({None, Cause.NO_PDP, Cause.NOT_LTE})
"""What a poll of a registered modem may say: these are degraded at worst, never without service."""
_ACT = {"GSM": 0, "UMTS": 2, "LTE": 7, "NR_SA": 11, "NR_NSA": 13}
"""<AcT> of 3GPP TS 27.007 §7.3; E-UTRA-NR dual connectivity is 13."""
_FOURTH_GENERATION = frozenset({"LTE", "NR_NSA", "NR_SA"})

Echo = Literal["answered", "lost", "no_bearer"]


@dataclass(frozen=True, slots=True)
class Poll:
    """One poll of the modem, `at_ms` after some fixed moment. `cause` None: it serves (registered, on 4G)."""

    at_ms: int
    cause: Cause | None
    rat: str | None = None
    eci: int | None = None
    rsrp_dbm_x10: int | None = None
    rsrq_db_x10: int | None = None
    sinr_db_x10: int | None = None


@dataclass(frozen=True, slots=True)
class EchoSeen:
    """The outcome of a step's one echo; `rtt_us` only if it was answered."""

    outcome: Echo
    rtt_us: int | None = None


@dataclass(frozen=True, slots=True)
class Sixth:
    """Figures of one sixth of a window: the places of the record's arrays."""

    polls: int = 0
    polls_registered: int = 0
    rsrp_dbm_x10: tuple[int, ...] = ()
    rsrq_db_x10: tuple[int, ...] = ()
    sinr_db_x10: tuple[int, ...] = ()
    ecis: tuple[int, ...] = ()
    acts: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Window:
    """A window under way. `start_ms` is where its first letter begins; `length` is how many letters a full one has.

    `outage_since_ms`: when the running time without service began, None while there is service.
    """

    start_ms: int
    step_ms: int
    length: int
    states: str = ""
    causes: str = ""
    sixths: tuple[Sixth, ...] = field(default=(Sixth(),) * SIXTHS)
    echo_sent: int = 0
    echo_rtts_us: tuple[int, ...] = ()
    offline_ms: int = 0
    longest_gap_ms: int = 0
    outage_since_ms: int | None = None

    @property
    def is_full(self) -> bool:
        """True once every step has its letter."""
        return len(self.states) >= self.length

    @property
    def next_step_ms(self) -> int:
        """Where the step begins that has no letter yet."""
        return self.start_ms + len(self.states) * self.step_ms


def begin(now_ms: int, step_ms: int, steps: int) -> Window:
    """Begin the aligned window that holds `now_ms`; the steps that passed before it are unknown, `probe_off`."""
    span_ms = step_ms * steps
    start_ms = now_ms - now_ms % span_ms
    return fill_off(Window(start_ms, step_ms, steps), now_ms)


def begin_here(now_ms: int, step_ms: int, steps: int) -> Window:
    """Begin a window at the step that holds `now_ms`, ending where the aligned one ends.

    For the change from an untrusted clock to a trusted one: the steps before stand in the record before.
    """
    span_ms = step_ms * steps
    first_ms = now_ms - now_ms % step_ms
    return Window(first_ms, step_ms, (span_ms - first_ms % span_ms) // step_ms)


def fill_off(window: Window, until_ms: int) -> Window:
    """Give the steps that ended by `until_ms` without a letter the letter of a probe that was off."""
    missing = min((until_ms - window.next_step_ms) // window.step_ms, window.length - len(window.states))
    if missing <= 0:
        return window
    state, cause = PROBE_OFF
    return replace(window, states=window.states + state * missing, causes=window.causes + cause * missing)


def close_step(
    window: Window,
    polls: Sequence[Poll],
    echo: EchoSeen | None,
    carried: Poll | None = None,
    link: Cause | None = None,
) -> Window:
    """Give the next step its letter, from its polls, its echo (None: none was sent) and what ails the link (or None).

    `carried`: a poll shortly before, which speaks for a step that has none of its own; it is not counted again.
    """
    state, cause = letter(polls or ((carried,) if carried else ()), echo, link)
    at = min(len(window.states) * SIXTHS // window.length, SIXTHS - 1)
    sixths = list(window.sixths)
    sixths[at] = _joined(sixths[at], polls)
    added = replace(window, states=window.states + state, causes=window.causes + cause, sixths=tuple(sixths))
    added = _with_gaps(added, polls, window.next_step_ms + window.step_ms)
    if echo is None:
        return added
    answered = () if echo.rtt_us is None else (echo.rtt_us,)
    return replace(added, echo_sent=added.echo_sent + 1, echo_rtts_us=added.echo_rtts_us + answered)


def letter(polls: Sequence[Poll], echo: EchoSeen | None, link: Cause | None = None) -> tuple[str, str]:
    """Judge one step: (state letter, cause letter). What most polls say holds; no poll at all is unknown.

    `link`: why a registered modem reaches nothing, None if nothing is known against its link.
    """
    if not polls:
        return "U", _LETTER[Cause.UNKNOWN]
    served = [poll for poll in polls if poll.cause in _REGISTERED]
    if 2 * len(served) <= len(polls):
        return _outage([poll.cause for poll in polls if poll.cause not in _REGISTERED])
    if link in _NOT_THE_NETWORK:
        return "U", _LETTER[_NOT_THE_NETWORK[link]]
    not_lte = [poll for poll in served if poll.rat is not None and poll.rat not in _FOURTH_GENERATION]
    if 2 * len(not_lte) > len(served):
        return "D", _LETTER[Cause.NOT_LTE]
    has_no_bearer = 2 * sum(poll.cause is Cause.NO_PDP for poll in served) > len(served)
    return _reached(echo, Cause.NO_PDP if has_no_bearer else link)


def _reached(echo: EchoSeen | None, link: Cause | None) -> tuple[str, str]:
    """Judge a step that is served by 4G: does anything answer? Without an echo, what is known of the link holds.

    An echo that was answered knows better than a modem that lists no context.
    """
    if echo is not None and echo.outcome == "answered":
        return "C", "."
    if link in _BEARER or (echo is not None and echo.outcome == "no_bearer"):
        return "D", _LETTER[Cause.NO_PDP]
    return ("C", ".") if echo is None and link not in _SILENCE else ("D", _LETTER[Cause.ECHO_LOST])


def restate(window: Window, since_ms: int, link: Cause | None) -> Window:
    """Give the steps that ended after `since_ms` their true letter, once it is known why their echo was lost.

    Only what was called degraded for a lost echo changes: each such step is one for which the cause was not known yet.
    """
    if link not in _NOT_THE_NETWORK:
        return window
    first = max(0, (since_ms - window.start_ms) // window.step_ms)
    states, causes = list(window.states), list(window.causes)
    for at in range(first, len(states)):
        if states[at] == "D" and causes[at] == _LETTER[Cause.ECHO_LOST]:
            states[at], causes[at] = "U", _LETTER[_NOT_THE_NETWORK[link]]
    return replace(window, states="".join(states), causes="".join(causes))


def _outage(causes: Sequence[Cause | None]) -> tuple[str, str]:
    """The most frequent cause; the earlier one of two equally frequent."""
    cause = Counter(causes).most_common(1)[0][0] or Cause.UNKNOWN
    return ("N" if cause in _NO_SERVICE else "U"), _LETTER.get(cause, _LETTER[Cause.UNKNOWN])


def _joined(sixth: Sixth, polls: Sequence[Poll]) -> Sixth:
    return Sixth(
        polls=sixth.polls + len(polls),
        polls_registered=sixth.polls_registered + sum(poll.cause in _REGISTERED for poll in polls),
        rsrp_dbm_x10=sixth.rsrp_dbm_x10 + tuple(p.rsrp_dbm_x10 for p in polls if p.rsrp_dbm_x10 is not None),
        rsrq_db_x10=sixth.rsrq_db_x10 + tuple(p.rsrq_db_x10 for p in polls if p.rsrq_db_x10 is not None),
        sinr_db_x10=sixth.sinr_db_x10 + tuple(p.sinr_db_x10 for p in polls if p.sinr_db_x10 is not None),
        ecis=sixth.ecis + tuple(p.eci for p in polls if p.eci is not None),
        acts=sixth.acts + tuple(_ACT[p.rat] for p in polls if p.rat in _ACT),
    )


def _with_gaps(window: Window, polls: Sequence[Poll], end_ms: int) -> Window:
    """Count the time without service between polls, up to the end of the step."""
    since, offline, longest = window.outage_since_ms, window.offline_ms, window.longest_gap_ms
    for poll in polls:
        is_out = poll.cause in _NO_SERVICE
        if is_out and since is None:
            since = poll.at_ms
        elif not is_out and since is not None:
            offline, longest, since = offline + poll.at_ms - since, max(longest, poll.at_ms - since), None
    if since is not None and len(window.states) >= window.length:
        offline, longest, since = offline + end_ms - since, max(longest, end_ms - since), None
    return replace(window, offline_ms=offline, longest_gap_ms=longest, outage_since_ms=since)


@dataclass(frozen=True, slots=True)
class Figures:
    """The arrays and counts of a coverage record, as its fields are named."""

    polls: tuple[int, ...]
    polls_registered: tuple[int, ...]
    rsrp_dbm_x10_min: tuple[int | None, ...]
    rsrp_dbm_x10_median: tuple[int | None, ...]
    rsrq_db_x10_min: tuple[int | None, ...]
    rsrq_db_x10_median: tuple[int | None, ...]
    sinr_db_x10_min: tuple[int | None, ...]
    sinr_db_x10_median: tuple[int | None, ...]
    eci: tuple[int | None, ...]
    act: tuple[int | None, ...]
    echo_sent: int
    echo_received: int
    echo_rtt_us_median: int | None
    offline_ms: int
    longest_gap_ms: int


def figures(window: Window) -> Figures:
    """Summarise a window; a sixth without a value has None in its place."""

    def each(values: Callable[[Sixth], tuple[int, ...]], made: Callable[[tuple[int, ...]], int]) -> list[int | None]:
        return [made(found) if (found := values(sixth)) else None for sixth in window.sixths]

    median = statistics.median_low
    rtts = window.echo_rtts_us
    return Figures(
        polls=tuple(sixth.polls for sixth in window.sixths),
        polls_registered=tuple(sixth.polls_registered for sixth in window.sixths),
        rsrp_dbm_x10_min=tuple(each(lambda s: s.rsrp_dbm_x10, min)),
        rsrp_dbm_x10_median=tuple(each(lambda s: s.rsrp_dbm_x10, median)),
        rsrq_db_x10_min=tuple(each(lambda s: s.rsrq_db_x10, min)),
        rsrq_db_x10_median=tuple(each(lambda s: s.rsrq_db_x10, median)),
        sinr_db_x10_min=tuple(each(lambda s: s.sinr_db_x10, min)),
        sinr_db_x10_median=tuple(each(lambda s: s.sinr_db_x10, median)),
        eci=tuple(each(lambda s: s.ecis, statistics.mode)),
        act=tuple(each(lambda s: s.acts, statistics.mode)),
        echo_sent=window.echo_sent,
        echo_received=len(rtts),
        echo_rtt_us_median=median(rtts) if rtts else None,
        offline_ms=window.offline_ms,
        longest_gap_ms=window.longest_gap_ms,
    )
