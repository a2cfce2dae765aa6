"""What a slot may cost, so that a SIM's data lasts its billing period: the ladder of tests, costs, and the plan.

The ladder is the order in which tests are cut: shorter ones first, then without uplink, then latency alone, then none
(coverage records always go on). A plan takes the highest rung that all slots left can afford, and gives as many of them
as the data allows one rung more; it never touches the grid. Only the complete rungs can be counted samples: a test that
was cut says `partial`, with the direction that was left out as its stage and `budget_spent` as its cause.
Source: design §5, Budget; facts note 01 §7 (data need), facts note 02 §3; decision 0011.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from probe.core.engine_terms import EngineRequest, EngineResult
from wire import data_use
from wire.failure import Cause, Stage

RungName = Literal["full", "saver", "short", "downlink_only", "latency_only", "none"]
DAY_MS = 86_400_000
CHILD_MS = 1_000
"""What speedtest-cli moves beside its seconds, as time at the full rate."""
WIRE_PPM = 1_080_000
"""Bytes of the link for a byte of payload: headers, acknowledgements, what is sent again."""
SETUP_BYTES = 60_000
"""Ticket, echoes, receipts, connections."""
UNKNOWN_DOWNLINK_BPS, UNKNOWN_UPLINK_BPS = 40_000_000, 15_000_000
OVERSHOOT_PPM = 50_000
LEAST_DIRECTION_BYTES = 5_000_000


@dataclass(frozen=True, slots=True)
class Rung:
    """One kind of test. `share_ppm`: how much of the configured window it takes."""

    name: RungName
    share_ppm: int
    has_downlink: bool
    has_uplink: bool

    @property
    def is_complete(self) -> bool:
        """Whether both directions are measured, so that the record may count."""
        return self.has_downlink and self.has_uplink


LADDER = (
    Rung("full", 1_000_000, True, True),
    Rung("saver", 600_000, True, True),
    Rung("short", 300_000, True, True),
    Rung("downlink_only", 300_000, True, False),
    Rung("latency_only", 0, False, False),
    Rung("none", 0, False, False),
)
NONE = len(LADDER) - 1
LEAST_COMPLETE = 2
COMFORT_PPM = 920_000
"""Longer tests than the shortest complete ones are bought from so much of the data only: rates of late may mislead."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What the link gives, bit/s of payload."""

    downlink_bps: int = UNKNOWN_DOWNLINK_BPS
    uplink_bps: int = UNKNOWN_UPLINK_BPS


def cut(request: EngineRequest, rung: Rung) -> EngineRequest:
    """Return the request of a test on this rung: shorter windows, directions left out. Limits of bytes stay."""
    return replace(
        request,
        cap_ms=max(1_000, request.cap_ms * rung.share_ppm // 1_000_000),
        downlink_s=_seconds(request.downlink_s, rung) if rung.has_downlink else 0,
        uplink_s=_seconds(request.uplink_s, rung) if rung.has_uplink else 0,
    )


def _seconds(seconds: int, rung: Rung) -> int:
    return min(seconds, max(2, -(-seconds * rung.share_ppm // 1_000_000)))


def expected_bytes(engine: str, request: EngineRequest, rates: Rates) -> tuple[int, int]:
    """Return the link's bytes that a test will move for its downlink and its uplink, the set-up with the first."""
    if engine == "dosong":
        down = _ours(request, rates.downlink_bps, request.max_downlink_bytes, is_uplink=False)
        up = _ours(request, rates.uplink_bps, request.max_uplink_bytes, is_uplink=True)
    else:
        down = _whole(request.downlink_s, rates.downlink_bps, request.max_downlink_bytes)
        up = _whole(request.uplink_s, rates.uplink_bps, request.max_uplink_bytes)
    return down + SETUP_BYTES, up


def _ours(request: EngineRequest, bps: int, most: int | None, *, is_uplink: bool) -> int:
    """One direction of our engine on a link that never settles: what tests really cost is learned soon."""
    seconds = request.uplink_s if is_uplink else request.downlink_s
    if seconds == 0:
        return 0
    cap_us = min(seconds * 1_000, request.cap_ms) * 1_000
    link = data_use.Link(bps, bps, downlink_window_us=cap_us, uplink_window_us=cap_us)
    terms = data_use.Terms(0 if is_uplink else seconds, seconds if is_uplink else 0, cap_us, most, most)
    return data_use.bytes_of_test(link, terms) - data_use.EXCHANGE_BYTES


def _whole(seconds: int, bps: int, most: int | None) -> int:
    """One direction of speedtest-cli, which runs its seconds to the end."""
    moved = bps * (seconds * 1000 + CHILD_MS) // 8_000 * WIRE_PPM // 1_000_000 if seconds else 0
    return moved if most is None else min(moved, most)


def limited(engine: str, request: EngineRequest, fastest: Rates, most_bytes: int | None) -> EngineRequest:
    """Return the request with limits of bytes: twice what the fastest test of late would move, 5 MB at least.

    A link that has become ten times faster must not spend a week's data in one test. `most_bytes`: what one run may
    use, both directions together; None: no such limit.
    """
    down, up = expected_bytes(engine, request, fastest)
    down, up = max(2 * down, LEAST_DIRECTION_BYTES), max(2 * up, LEAST_DIRECTION_BYTES)
    if most_bytes is not None:
        room = max(0, most_bytes - SETUP_BYTES) * 1_000_000 // (1_000_000 + OVERSHOOT_PPM)
        wanted = (down if request.downlink_s else 0) + (up if request.uplink_s else 0)
        if wanted > room:
            down, up = down * room // wanted, up * room // wanted
    return replace(
        request,
        max_downlink_bytes=min(down, request.max_downlink_bytes or down),
        max_uplink_bytes=min(up, request.max_uplink_bytes or up),
    )


def worst_bytes(request: EngineRequest) -> int:
    """Return the most that a limited request can move on the link: its limits, what is under way then, the set-up."""
    down = (request.max_downlink_bytes or 0) if request.downlink_s else 0
    up = (request.max_uplink_bytes or 0) if request.uplink_s else 0
    return (down + up) * (1_000_000 + OVERSHOOT_PPM) // 1_000_000 + SETUP_BYTES


@dataclass(frozen=True, slots=True)
class Situation:
    """What a plan is made from. `costs`, `worst`: expected and greatest bytes of a slot on each rung of the ladder.

    `slots_left` are those whose runs fall into this billing period, from now on. `spare_bytes` of the limit are kept
    for other traffic; with them as much as the last test of all needs so that it may start.
    """

    limit_bytes: int
    used_bytes: int
    slots_left: int
    spare_bytes: int
    costs: tuple[int, ...]
    worst: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Forecast:
    """A plan. `share_ppm` of the slots left are on rung `upper`, the others one below.

    `complete`: how many of `slots_left` are complete tests. `period_bytes`: what will have been used at the period's
    end, all traffic. `spare_bytes` of the limit are kept for other traffic than tests.
    """

    upper: int
    share_ppm: int
    slots_left: int
    complete: int
    period_bytes: int
    spare_bytes: int

    @property
    def is_short(self) -> bool:
        """Whether the data does not last for complete tests in all slots."""
        return self.complete < self.slots_left


def plan(now: Situation) -> Forecast:
    """Solve slots x cost <= data left, by the ladder."""
    slots, costs = now.slots_left, (*now.costs[:NONE], 0)
    for upper in range(NONE):
        headroom = max(0, now.worst[upper] - costs[upper])
        budget = now.limit_bytes - now.used_bytes - now.spare_bytes - headroom
        if upper < LEAST_COMPLETE:
            budget = budget * COMFORT_PPM // 1_000_000
        if slots * costs[upper] <= budget:
            return _forecast(now, upper, 1_000_000)
        if slots * costs[upper + 1] <= budget:
            more = slots * (costs[upper] - costs[upper + 1])
            return _forecast(now, upper, (budget - slots * costs[upper + 1]) * 1_000_000 // more)
    return _forecast(now, NONE - 1, 0)


def _forecast(now: Situation, upper: int, share_ppm: int) -> Forecast:
    slots, costs = now.slots_left, (*now.costs[:NONE], 0)
    above = slots * share_ppm // 1_000_000
    complete = slots if upper < LEAST_COMPLETE else above if upper == LEAST_COMPLETE else 0
    tests = above * costs[upper] + (slots - above) * costs[upper + 1]
    used = max(now.used_bytes, 0) + tests + now.spare_bytes
    return Forecast(upper, share_ppm, slots, complete, used, now.spare_bytes)


def rung_of(forecast: Forecast, number: int) -> int:
    """Return the rung of the slot with this number, so that the better ones are spread evenly over days and hours.

    Multiples of the golden ratio fill an interval evenly, whatever step of them is looked at.
    """
    return forecast.upper + (number * 618_034 % 1_000_000 >= forecast.share_ppm)


def granted(wanted: int, free_bytes: int, worst: Sequence[int]) -> int:
    """Return the first rung from `wanted` down whose worst case fits into what is free; `NONE` if none does."""
    return next((rung for rung in range(wanted, NONE) if worst[rung] <= free_bytes), NONE)


def honest(result: EngineResult, rung: Rung) -> EngineResult:
    """Return a cut test's result as what it is: partial, for the data's sake, unless something else failed."""
    if rung.is_complete or result.stage is not None:
        return result
    stage = Stage.UPLINK if rung.has_downlink else Stage.DOWNLINK
    return replace(result, outcome="partial", stage=stage.value, cause=Cause.BUDGET_SPENT.value)


def price_vnd(moved_bytes: int, vnd_per_gb: int) -> int:
    """Return what bytes cost in đồng, rounded up; a gigabyte is 10^9 bytes."""
    return -(-moved_bytes * vnd_per_gb // 1_000_000_000)
