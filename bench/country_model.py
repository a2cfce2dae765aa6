"""When a country comes back: an arrival model of probes that reconnect with what they kept, before one queue. Pure.

Every probe that was away sends all it has when its session stands, which is at a moment drawn evenly from the span of
its back-off; what gets no answer in time is sent again, each wait drawn up to twice the one before
(`probe.core.chain`). The collector takes messages in the order of their coming, `drain` records a second, repeated
ones as well: they cost the same until they are seen to be held.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

RESEND_LOW_S, RESEND_HIGH_S = 15.0, 600.0
NOTHING = 1e-6
"""Records: less than this in the queue is what sums of fractions leave."""
MOST_S = 6 * 3600.0
"""No further is played: whoever needs longer does not catch up."""


@dataclass(frozen=True, slots=True)
class Country:
    """Who comes back. `records`: that each of `away` probes kept; `spread_s`: over which they come; rates a second.

    `live`: records a second of all probes together, as on any day. `step_s`: how finely time is cut.
    """

    away: int
    records: float
    spread_s: float
    live: float
    drain: float
    step_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Recovery:
    """What it comes to. Times in seconds: until nothing waits; from first sending to the answer (all records)."""

    backlog: int
    drain_s: float
    waits_s: tuple[float, float, float]
    most_queued: int
    sent_again: float

    @property
    def ratio_sent(self) -> float:
        """Records sent for each that had to be."""
        return 1 + self.sent_again / max(1.0, self.backlog)


@dataclass(slots=True)
class _Cohort:
    """Records that were first sent in one step; `due_s`: when they go again, `attempt`: how often they did."""

    sent_s: float
    count: float
    due_s: float
    attempt: int = 0
    left: float = 0.0
    answered_s: float | None = None


def recover(country: Country, seed: int = 1) -> Recovery:
    """Play one recovery from the moment that the network is back. Raises ValueError if the queue can never empty."""
    if country.drain <= country.live:
        raise ValueError(f"{country.drain:.0f} records/s cannot take {country.live:.0f}/s: the queue grows for ever")
    draw = random.Random(seed)  # noqa: S311 (jitter)
    queue: deque[tuple[_Cohort, float]] = deque()
    waiting: list[_Cohort] = []
    done: list[_Cohort] = []
    now_s, most, again, held = 0.0, 0.0, 0.0, 0.0
    while now_s < MOST_S:
        for one in _arrivals(country, now_s, draw):
            waiting.append(one)
            queue.append((one, one.count))
            held += one.count
        repeated = _resend(waiting, queue, now_s, draw)
        again, held = again + repeated, held + repeated
        most = max(most, held)
        held -= _serve(queue, country.drain * country.step_s, now_s + country.step_s)
        done += [one for one in waiting if one.answered_s is not None]
        waiting = [one for one in waiting if one.answered_s is None]
        now_s += country.step_s
        if now_s >= country.spread_s and held <= country.live * country.step_s + NOTHING:
            break
    return Recovery(round(country.away * country.records), now_s, _quantiles(done), round(most), again)


def _arrivals(country: Country, now_s: float, draw: random.Random) -> Iterator[_Cohort]:
    span_s = max(country.spread_s, country.step_s)
    share = max(0.0, min(country.step_s, span_s - now_s)) / span_s  # the last step may be a part of one
    count = country.live * country.step_s + country.away * country.records * share
    if count:
        yield _Cohort(now_s, count, now_s + _wait_s(0, draw), left=count)


def _resend(waiting: list[_Cohort], queue: deque[tuple[_Cohort, float]], now_s: float, draw: random.Random) -> float:
    again = 0.0
    for one in waiting:
        if now_s >= one.due_s:
            one.attempt += 1
            one.due_s = now_s + _wait_s(one.attempt, draw)
            queue.append((one, one.count))
            again += one.count
    return again


def _serve(queue: deque[tuple[_Cohort, float]], budget: float, until_s: float) -> float:
    """Take from the queue's head what the budget allows; return how much that was."""
    whole = budget
    while queue and budget > 0:
        one, count = queue.popleft()
        taken = min(count, budget)
        budget -= taken
        if one.answered_s is None:
            one.left -= taken
            one.answered_s = until_s if one.left <= 1e-9 else None
        if count > taken:
            queue.appendleft((one, count - taken))
    return whole - budget


def _wait_s(attempt: int, draw: random.Random) -> float:
    return draw.uniform(RESEND_LOW_S, min(RESEND_HIGH_S, RESEND_LOW_S * 2.0 ** min(attempt + 1, 20)))


def _quantiles(done: list[_Cohort]) -> tuple[float, float, float]:
    """Median, 99th percentile and most of the waits, each cohort by its weight."""
    waits = sorted(((one.answered_s or 0.0) - one.sent_s, one.count) for one in done)
    total, found, seen = sum(count for _, count in waits), [], 0.0
    marks = [0.5 * total, 0.99 * total]
    for wait_s, count in waits:
        seen += count
        while marks and seen >= marks[0]:
            found.append(wait_s)
            marks.pop(0)
    most = waits[-1][0] if waits else 0.0
    return (*found, *[most] * (3 - len(found)))[:3]  # type: ignore[return-value]
