"""What a campaign asks of a unit, how far it is, where it will end, and what would close what is missing.

Three counters stand side by side and are never summed: "mẫu i-Speed" (the Portal's), "mẫu trạm đo" (ours), people.
A campaign names the one that satisfies it; the others carry no verdict. Unknown is None, never 0.
Projection of our own counter: the slots that are left succeed independently with a chance known from what was tried
(Beta(1, 1) before the first try), so the rest is beta-binomial. Of the others, who come when people come: a rate
known from the days gone by (Gamma(1/2, 0)), so the rest is negative binomial. Both are exact sums, no normal curve.
Source: design §7, counts, §8; issue "Evidence for officials", 1; facts note 01 §1.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import exp, lgamma, log, log1p
from typing import Literal

from collector.core.clock import DAY_MS
from collector.core.period import WEEK_MS, Period, PeriodKind

RULE_ID = "quota-1"
Counter = Literal["portal", "ours", "people", "people_samples"]
COUNTERS: tuple[Counter, ...] = ("portal", "ours", "people")
"""Those that stand beside each other; samples that people say they took stand only where a campaign asks for them."""
Level = Literal["country", "province", "commune", "hamlet", "bodies"]
Relation = Literal[">=", ">"]
CERTAIN_PPM = 950_000
"""A projection says "will reach" or "will miss" only if it is that sure; between them it says "open"."""
MOST_REST = 100_000


@dataclass(frozen=True, slots=True)
class QuotaLine:
    """One line of a campaign: so many of the counter in a period, from each unit of a level.

    `bodies` are all departments together: one sum, one verdict. `minimum` is compared by `relation`.
    """

    code: str
    level: Level
    counter: Counter
    minimum: int
    relation: Relation
    period: PeriodKind

    @property
    def needed(self) -> int:
        """The smallest whole number that satisfies it: 300 for ">= 300", 301 for "> 300"."""
        return self.minimum + (self.relation == ">")

    @property
    def rule(self) -> str:
        """The rule as it is printed beside every verdict: ">= 300"."""
        return f"{self.relation} {self.minimum}"


@dataclass(frozen=True, slots=True)
class Count:
    """What one counter says of a unit in a period. `as_of_ms`: when it was read; None for our own, which is now."""

    value: int
    as_of_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How far a unit is. `missing` and `reached` are None while the counter that decides is not known."""

    line: QuotaLine
    counted: Count | None
    others: tuple[tuple[Counter, Count | None], ...]
    missing: int | None
    reached: bool | None


def counter_of(what: Literal["samples", "people"], named: Literal["portal", "ours", "people"]) -> Counter:
    """The counter of a quota: of people who installed, or of samples as the campaign `named` them."""
    if what == "people":
        return "people"
    return "people_samples" if named == "people" else named


def standing(line: QuotaLine, counts: Mapping[Counter, Count | None]) -> Standing:
    """Compare the campaign's own counter with its minimum; the others stand beside it without a verdict."""
    counted = counts.get(line.counter)
    others = tuple((name, counts.get(name)) for name in COUNTERS if name != line.counter)
    missing = None if counted is None else max(0, line.needed - counted.value)
    return Standing(line, counted, others, missing, None if missing is None else missing == 0)


@dataclass(frozen=True, slots=True)
class Share:
    """How many units of those asked have reached it. Units of which nothing is known have not, and are named so."""

    reached: int
    units: int
    unknown: int

    @property
    def hundredths_percent(self) -> int | None:
        """Hundredths of a percent, rounded half up: 104 for 1,04 %; None without units."""
        return None if self.units == 0 else (self.reached * 20_000 + self.units) // (2 * self.units)


def share(standings: Iterable[Standing]) -> Share:
    """Count who has reached it."""
    verdicts = [one.reached for one in standings]
    return Share(verdicts.count(True), len(verdicts), verdicts.count(None))


@dataclass(frozen=True, slots=True)
class Hamlets:
    """ "Đo tại tất cả các thôn": which registered hamlets have at least one counted sample in the period."""

    measured: int
    registered: int
    without: tuple[str, ...]

    @property
    def is_complete(self) -> bool | None:
        """Whether every hamlet has one; None if none is registered."""
        return None if self.registered == 0 else not self.without


def hamlets(registered: Iterable[str], samples: Mapping[str, int]) -> Hamlets:
    """Compare the register of hamlets (those valid in the period) with what was counted in them."""
    codes = sorted(set(registered))
    without = tuple(code for code in codes if samples.get(code, 0) == 0)
    return Hamlets(len(codes) - len(without), len(codes), without)


@dataclass(frozen=True, slots=True)
class Duty:
    """So many people who measure `times` a day, a week or a month each: "50 đoàn viên, 01 lần/tuần", "iOS 03 lần/ngày".

    We know totals, never who measured: a duty predicts samples, and cannot say that each person did theirs.
    """

    people: int
    times: int
    every: Literal["day", "week", "month"]


def expected(duty: Duty, period: Period) -> int:
    """Samples that the duty brings in a period if everybody does it, rounded down; months count as written."""
    span_ms = period.end_ms - period.start_ms
    if duty.every == "month":
        return duty.people * duty.times * max(1, round(span_ms / (30.44 * DAY_MS)))
    return duty.people * duty.times * span_ms // (WEEK_MS if duty.every == "week" else DAY_MS)


@dataclass(frozen=True, slots=True)
class Pace:
    """Where a unit should be by now at an even pace, and by how much it is ahead (or behind: negative)."""

    due_by_now: int
    ahead: int


def pace(needed: int, counted: int, period: Period, now_ms: int) -> Pace:
    """Compare with an even pace; before the period nothing is due, after it all is. Rounded up: due is due."""
    gone_ms = min(max(now_ms - period.start_ms, 0), period.end_ms - period.start_ms)
    due = -(-needed * gone_ms // (period.end_ms - period.start_ms))
    return Pace(due, counted - due)


Outlook = Literal["reached", "will_reach", "open", "will_miss", "missed"]


@dataclass(frozen=True, slots=True)
class Projection:
    """Where a count will stand at the period's end: middle, and a range that holds with 90 %; how sure the quota is.

    `outlook`: `reached` and `missed` are facts; `will_reach` and `will_miss` need 95 % certainty.
    """

    low: int
    middle: int
    high: int
    certainty_ppm: int
    outlook: Outlook


@dataclass(frozen=True, slots=True)
class Tries:
    """Our own counter: what was tried in this period and counted, and how many slots of the fixed grid are left."""

    tried: int
    counted: int
    slots_left: int


def project_slots(needed: int, tries: Tries, counted: int) -> Projection:
    """Project our own counter. `counted` is where it stands (it may hold more than these slots brought).

    Raises ValueError if more was counted than tried, or more than 100,000 slots are left.
    """
    if not 0 <= tries.counted <= tries.tried or not 0 <= tries.slots_left <= MOST_REST:
        raise ValueError(f"{tries} cannot be")
    good, bad, left = tries.counted + 1.0, tries.tried - tries.counted + 1.0, tries.slots_left
    whole = _log_beta(good, bad)
    chances = [
        exp(_log_choose(left, k) + _log_beta(good + k, bad + left - k) - whole) for k in range(tries.slots_left + 1)
    ]
    return _projection(needed, counted, chances, is_over=left == 0)


def project_days(needed: int, counted: int, period: Period, now_ms: int) -> Projection:
    """Project a counter that people feed, from how fast it grew since the period began."""
    gone = min(max(now_ms - period.start_ms, 0), period.end_ms - period.start_ms)
    left = period.end_ms - period.start_ms - gone
    if left == 0 or gone == 0:
        return _projection(needed, counted, [1.0], is_over=left == 0)
    shape, chance = counted + 0.5, gone / (gone + left)
    # Beyond mean + 12 standard deviations nothing is left that a range of 90 % or a certainty in ppm could show.
    mean = shape * (1 - chance) / chance
    most = min(MOST_REST, int(mean + 12 * (mean / chance) ** 0.5) + 20)
    chances = [
        exp(lgamma(shape + k) - lgamma(shape) - lgamma(k + 1) + shape * log(chance) + k * log1p(-chance))
        for k in range(most + 1)
    ]
    return _projection(needed, counted, chances, is_over=False)


def _projection(needed: int, counted: int, chances: list[float], *, is_over: bool) -> Projection:
    """From the chance of each number that is still to come."""
    missing, total = needed - counted, sum(chances)
    sums, reached = 0.0, []
    for chance in chances:
        sums += chance / total
        reached.append(sums)
    low, middle, high = (counted + min(bisect_left(reached, q), len(reached) - 1) for q in (0.05, 0.5, 0.95))
    if missing <= 0:
        return Projection(low, middle, high, 1_000_000, "reached")
    sure = 0 if missing > len(chances) - 1 else int(sum(chances[missing:]) / total * 1_000_000 + 1e-6)
    return Projection(low, middle, high, min(sure, 1_000_000), _outlook(sure, is_over=is_over))


def _outlook(sure_ppm: int, *, is_over: bool) -> Outlook:
    if is_over:
        return "missed"
    if sure_ppm >= CERTAIN_PPM:
        return "will_reach"
    return "will_miss" if sure_ppm <= 1_000_000 - CERTAIN_PPM else "open"


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def _log_choose(n: int, k: int) -> float:
    return lgamma(n + 1) - lgamma(k + 1) - lgamma(n - k + 1)
