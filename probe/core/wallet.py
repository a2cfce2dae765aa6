"""One SIM's data from day to day: account, what tests cost of late, the plan, and whether the next test may start.

Pure: the daemon's purse keeps it on disk, the simulation of a year runs it in memory. A new plan is made once a day of
Vietnam, when the period or the terms change, and never moves a slot. Nothing starts whose worst case, with what other
traffic needs until the period ends, would pass the limit.
Source: design §5, Budget; decision 0011.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from probe.core import budget, planner
from probe.core.budget import Account
from probe.core.engine_terms import EngineRequest
from probe.core.planner import LADDER, NONE, Forecast, Rates, Situation
from probe.core.schedule import Plan
from wire import slots
from wire.slots import VIETNAM

KEPT_RATES, FIRST_RATES, SETTLED_RATES = 64, 8, 12
DECAY, PRIOR_TESTS = 32, 2
"""What tests of late really cost counts as the last 32; before them stand two that cost what was expected."""

DAY_MS = planner.DAY_MS
FIRST_DAILY_BYTES = 1_000_000
"""Other traffic a day before it was seen: twice what coverage and records need (15 MB a month)."""
DAILY_SPARE_PPM = 1_250_000
LEAST_DAILY_BYTES = 300_000
LEAST_MARGIN_BYTES = 5_000_000
MARGIN_DIVISOR = 200
RENEW_MS = 7 * DAY_MS


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for the SIM. `limit_bytes` None: counted, never stopped. `test_limit_bytes` None: none configured.

    `runs`: tests in a slot, two where engines are compared. `ends_ms`: when the SIM's plan ends, None if that is not
    known: then it ends with the billing period.
    """

    limit_bytes: int | None
    billing_day: int
    test_limit_bytes: int | None
    engine: str
    request: EngineRequest
    plan: Plan
    runs: int = 1
    ends_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Diary:
    """What is remembered beside the account.

    `rates`: downlink and uplink of the last tests, bit/s. `costs`: what tests on each rung moved and were expected to
    move, the older the less. `day`: the day of Vietnam (since 1970) of `forecast`, None before the first; `known`: how
    many rates it was made from. `daily_bytes`: what other traffic takes a day, from what the account (`used_bytes` of
    `period_ms`) and tests (`test_bytes`) moved since `since_ms`.
    """

    rates: tuple[tuple[int, int], ...] = ()
    costs: tuple[tuple[int, int], ...] = ((0, 0),) * NONE
    daily_bytes: int = FIRST_DAILY_BYTES
    test_bytes: int = 0
    used_bytes: int = 0
    since_ms: int = 0
    period_ms: int = 0
    day: int | None = None
    known: int = 0
    forecast: Forecast | None = None


@dataclass(frozen=True, slots=True)
class Grant:
    """Leave for one test: its rung, its request with limits, and what it may move at most.

    `expected_bytes`: what it moves by the rates of late.
    """

    rung: int
    request: EngineRequest
    worst_bytes: int
    expected_bytes: int


def period_end_ms(period_ms: int, billing_day: int) -> int:
    """Return when the billing period that began at `period_ms` ends."""
    return budget.period_start_ms(period_ms + 32 * DAY_MS, billing_day)


def slots_between(plan: Plan, from_ms: int, until_ms: int) -> int:
    """Count the slots that begin in an interval, over months that a configuration covers and others.

    Behind the last covered month its slots are taken to go on: the next configuration will say so.
    """
    count, at_ms = 0, from_ms
    last = max(plan.months, key=lambda one: one.end_ms, default=None)
    while at_ms < until_ms:
        month = plan.month(at_ms)
        if month is None:
            stop_ms = min([until_ms, *(one.start_ms for one in plan.months if one.start_ms > at_ms)])
            goes_on = last is not None and at_ms >= last.end_ms
            slot_ms = (last.end_ms - last.start_ms) // last.count if last is not None and goes_on else plan.slot_ms
            count += -(-stop_ms // slot_ms) - -(-at_ms // slot_ms)
        else:
            stop_ms = min(until_ms, month.end_ms)
            count += _number(month.start_ms, month.end_ms, month.count, stop_ms)
            count -= _number(month.start_ms, month.end_ms, month.count, at_ms)
        at_ms = stop_ms
    return count


def _number(start_ms: int, end_ms: int, count: int, at_ms: int) -> int:
    """How many slots of a month begin before `at_ms`."""
    return min(count, -(-(at_ms - start_ms) // ((end_ms - start_ms) // count)))


def replanned(diary: Diary, account: Account, terms: Terms, t_ms: int | None) -> Diary:
    """Make the day's plan if there is none for this day; without a trusted clock or a limit the old one holds.

    The first tests of all make it anew at once: what was assumed before may be far from the link.
    """
    if t_ms is None or terms.limit_bytes is None or not account.period_ms:
        return diary
    if diary.period_ms != account.period_ms:
        diary = replace(_observed(diary, account, t_ms), day=None)
    day = (t_ms + 7 * 3_600_000) // DAY_MS
    if diary.day == day and (len(diary.rates) == diary.known or len(diary.rates) > SETTLED_RATES):
        return diary
    if t_ms - diary.since_ms >= DAY_MS or t_ms < diary.since_ms:
        diary = _observed(diary, account, t_ms)
    return replace(diary, day=day, known=len(diary.rates), forecast=forecast(diary, account, terms, t_ms))


def forecast(diary: Diary, account: Account, terms: Terms, t_ms: int) -> Forecast:
    """Plan from `t_ms` to the end of the billing period. `terms.limit_bytes` must be known."""
    end_ms = period_end_ms(account.period_ms, terms.billing_day)
    return planner.plan(
        Situation(
            limit_bytes=terms.limit_bytes or 0,
            used_bytes=account.used_bytes,
            slots_left=slots_between(terms.plan, t_ms, end_ms),
            spare_bytes=spare_bytes(diary, account, terms, t_ms),
            costs=tuple(cost * terms.runs for cost in expected(diary, terms)),
            worst=tuple(planner.worst_bytes(_limited(terms, diary, rung)) for rung in range(NONE)),
        )
    )


def expected(diary: Diary, terms: Terms) -> tuple[int, ...]:
    """Return what a test on each rung is expected to move, by the rates of late and by what tests really cost."""
    costs: list[int] = []
    for rung, (seen, foreseen) in enumerate(diary.costs):
        each = _foreseen(diary, terms, rung)
        prior = PRIOR_TESTS * each
        costs.append(min([each * (seen + prior) // (foreseen + prior), *costs[-1:]]))
    return (*costs, 0)


def _foreseen(diary: Diary, terms: Terms, rung: int) -> int:
    """What a test on a rung is expected to move by the rates of late alone."""
    request = planner.cut(terms.request, LADDER[rung])
    return sum(planner.expected_bytes(terms.engine, request, _mean(diary.rates)))


def spare_bytes(diary: Diary, account: Account, terms: Terms, t_ms: int | None) -> int:
    """Return what is kept for other traffic until the period ends, and a margin that nothing may touch."""
    margin = margin_bytes(terms)
    if t_ms is None or not account.period_ms:
        return margin + 31 * FIRST_DAILY_BYTES
    left_ms = max(0, period_end_ms(account.period_ms, terms.billing_day) - t_ms)
    return margin + diary.daily_bytes * left_ms // DAY_MS * DAILY_SPARE_PPM // 1_000_000


def margin_bytes(terms: Terms) -> int:
    """Return what stays unused whatever comes: half a percent of the limit, 5 MB at least."""
    return max(LEAST_MARGIN_BYTES, (terms.limit_bytes or 0) // MARGIN_DIVISOR)


def _observed(diary: Diary, account: Account, t_ms: int) -> Diary:
    """Learn what other traffic took since the last look, and begin the next one; a clock's jump teaches nothing."""
    other, lived_ms = account.used_bytes - diary.used_bytes - diary.test_bytes, t_ms - diary.since_ms
    daily = diary.daily_bytes
    if diary.period_ms == account.period_ms and other >= 0 and DAY_MS // 2 <= lived_ms <= 7 * DAY_MS:
        daily = (3 * daily + min(4 * daily, other * DAY_MS // lived_ms)) // 4
    return replace(
        diary,
        daily_bytes=max(LEAST_DAILY_BYTES, daily),
        test_bytes=0,
        used_bytes=account.used_bytes,
        since_ms=t_ms,
        period_ms=account.period_ms,
    )


def is_closed(account: Account, terms: Terms) -> bool:
    """Whether only the margin is left, so that other traffic than tests must end too."""
    return terms.limit_bytes is not None and account.used_bytes >= terms.limit_bytes - margin_bytes(terms)


def grant(diary: Diary, account: Account, terms: Terms, t_ms: int | None, slot_ms: int | None) -> Grant | None:
    """Return leave for the test of a slot (None: of no slot), by the plan and by what is left; None if none is.

    The first tests are complete whatever the plan says: it knows nothing of the link yet.
    """
    if terms.limit_bytes is None:
        return Grant(0, terms.request, 0, _foreseen(diary, terms, 0))
    wanted = 0
    if diary.forecast is not None:
        wanted = diary.forecast.upper if slot_ms is None else planner.rung_of(diary.forecast, _ordinal(terms, slot_ms))
    if len(diary.rates) < FIRST_RATES:
        wanted = min(wanted, planner.LEAST_COMPLETE)
    requests = [_limited(terms, diary, rung) for rung in range(NONE)]
    worst = [planner.worst_bytes(request) for request in requests]
    free = terms.limit_bytes - account.used_bytes - spare_bytes(diary, account, terms, t_ms)
    rung = planner.granted(wanted, free, worst)
    return None if rung == NONE else Grant(rung, requests[rung], worst[rung], _foreseen(diary, terms, rung))


def _ordinal(terms: Terms, slot_ms: int) -> int:
    month = terms.plan.month(slot_ms)
    return (slot_ms - (month.start_ms if month else 0)) // terms.plan.slot_at(slot_ms).length_ms


def _limited(terms: Terms, diary: Diary, rung: int) -> EngineRequest:
    """The request of a rung; before the first test the link may be three times as fast as assumed."""
    known = diary.rates or ((3 * planner.UNKNOWN_DOWNLINK_BPS, 3 * planner.UNKNOWN_UPLINK_BPS),)
    fastest = Rates(max(down for down, _ in known), max(up for _, up in known))
    request = planner.cut(terms.request, LADDER[rung])
    return planner.limited(terms.engine, request, fastest, terms.test_limit_bytes)


def learned(diary: Diary, given: Grant, moved_bytes: int, downlink_bps: int | None, uplink_bps: int | None) -> Diary:
    """Take in what a test moved and the rates that it found; None: not measured, so it teaches less or nothing.

    A test without uplink counts with the uplink known before, so that a link that changes is still noticed.
    """
    costs, rates = list(diary.costs), diary.rates
    if downlink_bps is not None and (uplink_bps is not None or not LADDER[given.rung].has_uplink):
        seen, foreseen = costs[given.rung]
        costs[given.rung] = (seen - seen // DECAY + moved_bytes, foreseen - foreseen // DECAY + given.expected_bytes)
        found = (downlink_bps, _mean(rates).uplink_bps if uplink_bps is None else uplink_bps)
        rates = (*rates, found)[-KEPT_RATES:]
    return replace(diary, rates=rates, costs=tuple(costs), test_bytes=diary.test_bytes + moved_bytes)


def _mean(rates: tuple[tuple[int, int], ...]) -> Rates:
    if not rates:
        return Rates()
    return Rates(sum(down for down, _ in rates) // len(rates), sum(up for _, up in rates) // len(rates))


def warnings(diary: Diary, account: Account, terms: Terms, t_ms: int) -> tuple[str, ...]:
    """Return what a person should know, as sentences: the plan ends soon, the data does not last, or it is spent."""
    found = []
    end_ms = terms.ends_ms or period_end_ms(account.period_ms, terms.billing_day)
    if t_ms >= end_ms - RENEW_MS:
        last = datetime.fromtimestamp(end_ms / 1000, UTC).astimezone(VIETNAM) - timedelta(days=1)
        found.append(f"the plan ends on {last.date().isoformat()}; renew it by then")
    known = diary.forecast
    if known is not None and known.is_short:
        found.append(
            f"the data lasts for {known.complete} complete tests of {known.slots_left} slots until the period ends;"
            " add data, or accept fewer samples"
        )
    if is_closed(account, terms):
        found.append("the data of this period is spent; only coverage goes on")
    return tuple(found)


def month_slots(plan: Plan, t_ms: int) -> int:
    """Return how many slots the month of Vietnam has that holds `t_ms`."""
    return slots_between(plan, *slots.month_bounds(slots.month_of(t_ms)))
