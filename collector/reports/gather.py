"""Gathers what a report over a unit and a period is written from: rollups, campaigns, figures read elsewhere.

Everything is taken for one moment, `as_of_ms`: our own records up to the ledger's newest row, entered figures that were
read until then. Units are those of the period, under the names that they had at its end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from collector.core.clock import DAY_MS, day_of, month_of
from collector.core.period import Period
from collector.core.quota import Count, Counter, Level, QuotaLine, Standing, counter_of, standing
from collector.core.report_facts import Evidence, LineFacts, Step, UnitFacts, UnitReport
from collector.core.report_model import Kind
from collector.core.report_words import say
from collector.core.rollup import Hour, together
from collector.core.rollup_view import Summary, summary
from collector.core.view import Language, day, local
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.registry_dated import CampaignQuotaRow, EnteredCountRow, HamletEndRow, UnitNameRow
from collector.registry_rows import CommuneEntry, HamletEntry
from collector.rollup_parts import Parts, parts_of
from collector.rollups import Rollups
from wire.errors import Refused

OPEN_END_MS = 32_503_680_000_000
"""Year 3000: a campaign without an end."""
LONGEST_CAMPAIGN = 62
"""Days of a campaign that has daily reports."""
ENTERED: tuple[Counter, ...] = ("portal", "people")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a report is to be about. `whole`: the period by the calendar; figures end at `as_of_ms` at the latest."""

    kind: Kind
    unit: str
    whole: Period
    as_of_ms: int
    language: Language

    @property
    def period(self) -> Period:
        """The part of it that has begun. Raises Refused for one that has not."""
        found = self.whole.met_by(Period(0, self.as_of_ms))
        if found is None:
            raise Refused("period", "that period has not begun; choose one that has")
        return found


@dataclass(slots=True)
class _Hours:
    """Hours of one commune by hamlet and by operator."""

    hamlets: dict[str, list[Hour]]
    operators: dict[str, list[Hour]]


class Gatherer:
    """Reads one moment's figures; made anew for every report."""

    def __init__(self, reader: LedgerReader, registry: Registry, asked: Asked) -> None:
        self._registry, self._asked = registry, asked
        self._rollups = Rollups(reader)
        self._names = _names(registry, asked.period.end_ms - 1)
        self._referrals = _referrals(registry, asked.period.end_ms)
        self._entered = _entered(registry, asked.as_of_ms)
        self._window = self._campaign_window()
        self._ended = {one.hamlet: one for one in registry.dated.holding(HamletEndRow, asked.period.end_ms - 1)}

    def _campaign_window(self) -> Period | None:
        """The campaign whose days a daily report tells of: the shortest that holds the day, two months at most."""
        asked = self._asked
        found = [Period(row.starts_ms, row.ends_ms) for row in self._registry.campaigns() if row.ends_ms is not None]
        found = [one for one in found if one.holds(asked.period.end_ms - 1) and _days(one) <= LONGEST_CAMPAIGN]
        return min(found, key=_days, default=None) if asked.kind == "day" else None

    @property
    def _whole(self) -> Period:
        """The period that entered figures are of: the campaign of a daily report, else the report's own."""
        return self._window or self._asked.whole

    @property
    def _span(self) -> Period:
        """What our own figures are counted over: a daily report is cumulative over its campaign."""
        return Period(self._whole.start_ms, self._asked.period.end_ms)

    def unit_report(self) -> UnitReport:
        """Gather for a commune (by hamlets) or a province (by communes). Raises Refused for any other unit."""
        code = self._asked.unit
        commune, province = self._registry.commune(code), self._registry.province(code)
        if commune is not None:
            return self._commune(commune)
        if province is None:
            raise Refused("unit", f"{code} is no commune and no province that the registry knows; correct the code")
        return self._province(code)

    def _commune(self, entry: CommuneEntry) -> UnitReport:
        found = self._hours(entry.code)
        hamlets = self._hamlets_of(entry.code, found.hamlets)
        line = self._line("hamlet")
        units = [self._hamlet(one, found.hamlets.get(one.code), line) for one in hamlets]
        own = self._own("commune", entry.code, together(_all(found.hamlets)), units)
        within = self._registry.province(entry.province)
        operators = [summary(hours, plmn=plmn) for plmn, hours in sorted(found.operators.items())]
        return self._report(entry.code, "commune", within.name if within else "", own, units, operators)

    def _province(self, code: str) -> UnitReport:
        """Thousands of hamlets: counts from the database's sums, and of the packed days only the values."""
        entries = [one for one in self._registry.communes() if one.province == code]
        parts = parts_of(self._rollups, self._span, {one.code for one in entries})
        line, below = self._line("commune"), self._hamlets_by_commune()
        units = []
        for entry in entries:
            found = parts.of_commune(entry.code)
            evidence = self._evidence(entry.code, below, parts)
            units.append(self._unit("commune", entry.code, found, line, evidence))
        whole, operators = parts.figures()
        own = self._unit("province", code, whole, self._line("province"), None)
        return self._report(code, "province", "", own, units, operators)

    def _hamlets_by_commune(self) -> Mapping[str, list[HamletEntry]]:
        found: dict[str, list[HamletEntry]] = defaultdict(list)
        for one in self._registry.hamlets():
            found[one.commune].append(one)
        return found

    def _evidence(self, commune: str, below: Mapping[str, list[HamletEntry]], parts: Parts) -> Evidence:
        """The hamlets that the commune has at the period's end, and which of them have a counted sample."""
        registered = [one for one in below.get(commune, ()) if not self._is_over(one.code)]
        without = tuple(one.label for one in registered if not parts.counted.get((commune, one.code)))
        return Evidence(len(registered) - len(without), len(registered), without)

    def _is_over(self, hamlet: str) -> bool:
        return hamlet in self._ended and self._ended[hamlet].how != "reopened"

    def _report(
        self, code: str, level: str, within: str, own: UnitFacts, units: Sequence[UnitFacts],
        operators: Sequence[Summary],
    ) -> UnitReport:  # fmt: skip
        asked = self._asked
        below: Level = "hamlet" if level == "commune" else "commune"
        return UnitReport(
            code=code, name=own.name, level=level, within=within, period=self._span, whole_period=self._whole,
            as_of_ms=asked.as_of_ms, own=own, units=tuple(units),
            operators=tuple(operators),
            lines=tuple(self._lines(level, below, own, units)), operator_names=self._registry.operators(),
            steps=tuple(self._steps(own, level)), silent=tuple(self._silent(units)),
            entered_sum=self._sum(own, units),
            is_simulated=any(one.simulated for one in self._registry.probes()),
        )  # fmt: skip

    def _hours(self, commune: str) -> _Hours:
        found = _Hours(defaultdict(list), defaultdict(list))
        for key, hours in self._rollups.days(self._span.start_ms, self._span.end_ms, commune):
            found.hamlets[key.hamlet].extend(hours.values())
            found.operators[key.plmn].extend(hours.values())
        return found

    def _hamlets_of(self, commune: str, held: Mapping[str, object]) -> list[HamletEntry]:
        """The hamlets that the commune had in the period: of today's, those not ended before, and any with records."""
        start_ms = self._asked.period.start_ms
        gone = {code for code, row in self._ended.items() if row.how != "reopened" and row.valid_from_ms <= start_ms}
        return [
            one for one in self._registry.hamlets()
            if one.code in held or (one.commune == commune and one.code not in gone)
        ]  # fmt: skip

    def _hamlet(self, one: HamletEntry, hours: Sequence[Hour] | None, line: QuotaLine | None) -> UnitFacts:
        whole = summary(hours, one.code) if hours else None
        return self._unit("hamlet", one.code, whole, line, None, one.label)

    def _own(self, level: Level, code: str, hour: Hour, units: Sequence[UnitFacts]) -> UnitFacts:
        whole = summary([hour]) if any(hour.counts) else None
        registered = [one for one in units if not self._is_over(one.code)]
        without = tuple(one.name for one in registered if not one.counted)
        evidence = Evidence(len(registered) - len(without), len(registered), without)
        return self._unit(level, code, whole, self._line(level), evidence)

    def _unit(
        self, level: Level, code: str, whole: Summary | None, line: QuotaLine | None, evidence: Evidence | None,
        label: str = "",
    ) -> UnitFacts:  # fmt: skip
        entered = {name: self._read(name, code, self._whole) for name in ENTERED}
        counts: dict[Counter, Count | None] = {
            name: None if value is None else Count(value) for name, value in entered.items()
        }
        # As on the campaigns' page: that nothing of ours was counted is known, also where no station stands.
        told = self._read("people_samples", code, self._whole)
        counts["people_samples"] = None if told is None else Count(told)
        counts["ours"] = Count(0 if whole is None else whole.counts.counted)
        return UnitFacts(
            code=code, name=label or self._names.get(code, [code])[0], referrals=self._referrals.get(code, ()),
            standing=None if line is None else standing(line, counts), entered=entered, whole=whole,
            evidence=evidence, notes=tuple(self._notes(level, code)),
        )  # fmt: skip

    def _notes(self, level: Level, code: str) -> Iterable[str]:
        language = self._asked.language
        ended = self._ended.get(code) if level == "hamlet" else None
        if ended is not None and ended.how != "reopened":
            yield ended_note(self._registry, ended, language)
        for row, before in self._renamed(code):
            yield say("note.renamed", language, day=day(row.valid_from_ms), name=before)

    def _renamed(self, code: str) -> Iterable[tuple[UnitNameRow, str]]:
        """Names that began within the period, each with the one before."""
        for before, row in pairwise(self._registry.dated.history(UnitNameRow, code=code)):
            if self._asked.period.holds(row.valid_from_ms) and before.name != row.name:
                yield row, before.name

    def _line(self, level: Level) -> QuotaLine | None:
        """The first campaign's line of a level and of this report's kind of period."""
        return next((line for _, _, line in self._quotas() if line.level == level), None)

    def _quotas(self) -> Iterable[tuple[str, str, QuotaLine]]:
        """Name, document and line of every quota that holds at the period's end and speaks of such a period."""
        asked, at_ms = self._asked, self._asked.period.end_ms - 1
        wanted = {"day": ("campaign", "day"), "month": ("month",), "to_date": ("month",)}.get(asked.kind, ())
        for row in self._registry.campaigns():
            if not Period(row.starts_ms, row.ends_ms or OPEN_END_MS).holds(at_ms):
                continue
            for one in self._registry.dated.holding(CampaignQuotaRow, at_ms, campaign=row.code):
                if one.period in wanted and one.unit in (None, asked.unit):
                    counter: Counter = counter_of(one.what, row.counter)
                    line = QuotaLine(one.line, one.level, counter, one.minimum, one.relation, one.period)
                    yield row.name, row.document, line

    def _lines(self, level: str, below: Level, own: UnitFacts, units: Sequence[UnitFacts]) -> Iterable[LineFacts]:
        for campaign, document, line in self._quotas():
            if line.level == level:
                yield LineFacts(campaign, document, line, 0, 1, 0, _again(line, own))
            elif line.level == below:
                verdicts = [_again(line, one).reached for one in units]
                yield LineFacts(
                    campaign, document, line, verdicts.count(True), len(verdicts), verdicts.count(None), None
                )

    def _steps(self, own: UnitFacts, level: str) -> Iterable[Step]:
        """The months of a quarter or a year; the days of a campaign up to a daily report's own."""
        if self._asked.kind == "day":
            yield from self._day_steps(own, level)
        if self._asked.kind not in ("quarter", "year"):
            return
        start_ms = self._asked.period.start_ms
        while start_ms < self._asked.period.end_ms:
            whole = Period(*month_of(start_ms))
            part = whole.met_by(self._asked.period) or whole
            counted = self._counted(own.code, level, part)
            entered = {name: self._read(name, own.code, whole) for name in ENTERED}
            yield Step(f"{local(start_ms):%m/%Y}", f"{local(start_ms):%Y-%m}", counted, entered)
            start_ms = whole.end_ms

    def _day_steps(self, own: UnitFacts, level: str) -> Iterable[Step]:
        counter: Counter = self._decides(own)
        start_ms = self._span.start_ms
        while start_ms < self._span.end_ms:
            until_ms = min(start_ms + DAY_MS, self._span.end_ms)
            entered = {name: self._reading(name, own.code, until_ms) for name in ENTERED}
            new, corrected = self._moved(counter, own.code, start_ms, until_ms)
            counted = self._counted(own.code, level, Period(start_ms, until_ms))
            yield Step(day(start_ms), f"{local(start_ms):%Y-%m-%d}", counted, entered, None, new, corrected)
            start_ms += DAY_MS

    @staticmethod
    def _decides(own: UnitFacts) -> Counter:
        """The entered counter whose growth a daily report tells of."""
        line = None if own.standing is None else own.standing.line.counter
        return line if line in ENTERED else "people"

    def _readings(self, counter: Counter, unit: str) -> list[EnteredCountRow]:
        """Every reading of a figure of this campaign until now, oldest first; corrections are later readings."""
        rows = self._registry.dated.history(EnteredCountRow, counter=counter, unit=unit)
        whole, until_ms = self._whole, self._asked.as_of_ms
        return [
            row for row in rows
            if (row.starts_ms, row.ends_ms) == (whole.start_ms, whole.end_ms) and row.valid_from_ms <= until_ms
        ]  # fmt: skip

    def _reading(self, counter: Counter, unit: str, until_ms: int) -> int | None:
        held = [row.value for row in self._readings(counter, unit) if row.valid_from_ms < until_ms]
        return held[-1] if held else None

    def _moved(self, counter: Counter, unit: str, from_ms: int, until_ms: int) -> tuple[int | None, int | None]:
        """What a day's readings added, and what they took back; None if there was no reading."""
        values = [(0, 0), *((row.valid_from_ms, row.value) for row in self._readings(counter, unit))]
        steps = [(at, now - was) for (_, was), (at, now) in pairwise(values) if from_ms <= at < until_ms]
        if not steps:
            return None, None
        return sum(n for _, n in steps if n > 0), -sum(n for _, n in steps if n < 0)

    def _silent(self, units: Sequence[UnitFacts]) -> Iterable[str]:
        """Units of which nobody entered anything on the day of a daily report."""
        if self._asked.kind != "day":
            return
        start_ms = day_of(self._asked.period.end_ms - 1)[0]
        for one in units:
            if self._is_over(one.code):
                continue
            if not any(row.valid_from_ms >= start_ms for name in ENTERED for row in self._readings(name, one.code)):
                yield one.name

    def _sum(self, own: UnitFacts, units: Sequence[UnitFacts]) -> tuple[int, int] | None:
        """Of a daily report: the entered figures of the units that have one, added up, and how many those are."""
        counter: Counter = self._decides(own)
        known = [value for one in units if (value := one.entered.get(counter)) is not None]
        return (sum(known), len(known)) if known and self._asked.kind == "day" else None

    def _counted(self, code: str, level: str, part: Period) -> int | None:
        found = [
            one.counts.counted for one in self._rollups.totals(part.start_ms, part.end_ms)
            if code == (one.commune if level == "commune" else one.province)
        ]  # fmt: skip
        return sum(found) if found else None

    def _read(self, counter: Counter, unit: str, whole: Period) -> int | None:
        return self._entered.get((counter, unit, whole.start_ms, whole.end_ms))


def _days(period: Period) -> int:
    return (period.end_ms - period.start_ms) // DAY_MS


def ended_note(registry: Registry, row: HamletEndRow, language: Language) -> str:
    """What became of a hamlet, and since when."""
    into = [registry.hamlet(one) for one in row.successors.split()]
    names = ", ".join(one.label for one in into if one is not None)
    return say("note.merged" if names else "note.ended", language, into=names, day=day(row.valid_from_ms))


def _again(line: QuotaLine, one: UnitFacts) -> Standing:
    counts: dict[Counter, Count | None] = {k: None if v is None else Count(v) for k, v in one.entered.items()}
    counts["ours"] = Count(one.counted or 0)
    return standing(line, counts)


def _all(hamlets: Mapping[str, list[Hour]]) -> list[Hour]:
    return [hour for hours in hamlets.values() for hour in hours]


def _names(registry: Registry, at_ms: int) -> dict[str, list[str]]:
    """What provinces and communes were called at a moment."""
    names = {one.code: [one.name] for one in registry.provinces()}
    names.update({one.code: [one.name] for one in registry.communes()})
    names.update({row.code: [row.name] for row in registry.dated.holding(UnitNameRow, at_ms)})
    return names


def _referrals(registry: Registry, before_ms: int) -> dict[str, tuple[str, ...]]:
    """Referral codes by the unit that they belonged to at the period's end."""
    last: dict[str, str] = {}
    for code, unit, since_ms in registry.referrals():
        if since_ms < before_ms:
            last[code] = unit
    found: dict[str, list[str]] = defaultdict(list)
    for code, unit in sorted(last.items()):
        found[unit].append(code)
    return {unit: tuple(codes) for unit, codes in found.items()}


def _entered(registry: Registry, at_ms: int) -> dict[tuple[str, str, int, int], int]:
    """The newest reading of each figure that was read until `at_ms`."""
    return {
        (row.counter, row.unit, row.starts_ms, row.ends_ms): row.value
        for row in registry.dated.holding(EnteredCountRow, at_ms)
    }
