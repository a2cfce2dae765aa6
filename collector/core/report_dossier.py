"""A hamlet's dossier over a month: calendar, outages, indicators "tham khảo", figures, and where the proofs are.

Pure: facts in, a `Report` out. The definition of coverage and whose classes they are stand on the sheet (design §8).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from collector.core import coverage, qcvn
from collector.core.coverage import OUR_CLASSES, Confidence, Gap, Minutes, Outage, Tally
from collector.core.period import Period
from collector.core.qcvn import Compared
from collector.core.report_facts import UnitFacts
from collector.core.report_model import (
    Block,
    Calendar,
    CalendarDay,
    Cell,
    Column,
    Figure,
    Form,
    Hour,
    Letterhead,
    Provenance,
    Report,
    Row,
    Table,
)
from collector.core.report_summary import COUNT_RULE, operator_table
from collector.core.report_words import first_and_last, minute_text, period_text, say
from collector.core.rollup_view import Summary
from collector.core.view import Language, decimal, local, minute

RULES = (COUNT_RULE, coverage.RULE_ID, OUR_CLASSES.code, qcvn.RULE_ID)
KNOWN_MINUTES = 30
"""An hour with fewer known minutes has the colour of unknown."""
SHOWN_OUTAGES = 30
_FORMS: Mapping[str, Form] = {"ppm": "percent2", "us": "seconds", "bit/s": "mbps"}


@dataclass(frozen=True, slots=True)
class OutageFacts:
    """One outage with how far it is believed, and by whom: names of the witnesses that agree."""

    outage: Outage
    confidence: Confidence
    agreed: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OperatorFacts:
    """One operator in the hamlet. `outages`: the longest ones, oldest first, of `all_outages`."""

    plmn: str
    name: str
    minutes: Minutes
    tally: Tally
    gap: Gap
    outages: tuple[OutageFacts, ...]
    all_outages: int
    indicators: tuple[Compared, ...]
    witnesses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProofFacts:
    """What is sealed of one probe's records in the period: how many, first and last number in its chain, and the
    places of those two in the log (None: not sealed yet)."""

    probe: str
    records: int
    first: str
    last: str
    first_index: int | None
    last_index: int | None


@dataclass(frozen=True, slots=True)
class HamletReport:
    """Everything that a dossier is written from."""

    code: str
    name: str
    within: str
    period: Period
    as_of_ms: int
    own: UnitFacts
    by_operator: tuple[Summary, ...]
    operators: tuple[OperatorFacts, ...]
    proofs: tuple[ProofFacts, ...]
    operator_names: Mapping[str, str]
    is_simulated: bool


Words = Callable[[str], str]
"""A cause letter of the minute ledger in the report's language."""


def dossier_report(
    facts: HamletReport, head: Letterhead, proof: Provenance, language: Language, report_id: str, cause: Words
) -> Report:
    """Write a hamlet's dossier."""
    name = period_text("dossier", facts.period, language)
    return Report(
        id=report_id, kind="dossier", language=language, unit=facts.code, unit_name=facts.name, period=facts.period,
        as_of_ms=facts.as_of_ms, head=head, title=say("dossier", language),
        subject=say("subject.dossier", language, period=name, unit=f"{facts.name}, {facts.within}"),
        blocks=tuple(_blocks(facts, head, name, language, cause)), provenance=proof, is_simulated=facts.is_simulated,
    )  # fmt: skip


def _blocks(facts: HamletReport, head: Letterhead, name: str, language: Language, cause: Words) -> Iterator[Block]:
    start, end = first_and_last(facts.period)
    yield Block("text", say(
        "opening.plain", language, issuer=head.issuer_name, period=name, start=start, end=end,
        as_of=minute_text(facts.as_of_ms, language),
    ))  # fmt: skip
    yield from (Block("item", one) for one in facts.own.notes)
    yield Block("heading", say("d.figures", language))
    figures = operator_table(facts.by_operator, facts.own, facts.operator_names, language)
    yield Block("table", table=replace(figures, title=say("d.t.operators", language)))
    yield Block("note", say("only4g", language))
    yield Block("heading", say("d.coverage", language))
    yield Block("table", table=_shares(facts.operators, language))
    yield Block("note", say("d.definition", language, rule=coverage.RULE_ID, classes=OUR_CLASSES.code))
    for one in facts.operators:
        yield Block("calendar", calendar=_calendar(one, language))
    for one in facts.operators:
        yield Block("table", table=_outages(one, language, cause))
    yield Block("heading", say("d.qcvn", language))
    for one in facts.operators:
        yield Block("table", table=_indicators(one, language))
    yield Block("note", say("d.qcvn.note", language))
    yield Block("heading", say("d.proofs", language))
    yield Block("table", table=_proofs(facts.proofs, language))
    yield Block("note", say("d.proofs.note", language))


def _columns(language: Language, *keys: tuple[str, int, bool]) -> tuple[Column, ...]:
    return tuple(
        Column(key, say(f"c.{key}", language), weight, "left" if left else "right") for key, weight, left in keys
    )


def _shares(operators: Sequence[OperatorFacts], language: Language) -> Table:
    columns = _columns(
        language, ("operator", 10, True), ("covered_share", 8, False), ("covered", 8, False), ("degraded", 8, False),
        ("no_service", 8, False), ("unknown", 8, False), ("gap", 9, True), ("class", 10, True),
    )  # fmt: skip
    rows = []
    for one in operators:
        found = coverage.signal_class(one.tally)
        least, most = (decimal(n, 0, language) for n in (one.gap.at_least, one.gap.at_most))
        gap = say("d.gap", language, least=least, most=most)
        has = one.tally.known > 0
        rows.append(Row(one.plmn or "-", (
            one.name, Figure(one.tally.covered_ppm, "percent"),
            *(Figure(n if has else None) for n in (one.tally.covered, one.tally.degraded, one.tally.no_service)),
            Figure(one.tally.unknown), gap if has else Figure(None),
            say(f"class.{found}", language) if found else say("class.few", language),
        )))  # fmt: skip
    return Table("shares", say("d.t.shares", language), columns, tuple(rows))


def _calendar(one: OperatorFacts, language: Language) -> Calendar:
    days = tuple(
        CalendarDay(
            f"{local(day_ms):%d/%m}",
            tuple(_hour(found, one.minutes.period, day_ms, at) for at, found in enumerate(hours)),
        )
        for day_ms, hours in coverage.calendar(one.minutes)
    )
    legend = tuple(say(f"c.{key}", language) for key in ("covered", "degraded", "no_service", "unknown"))
    title = say("d.t.calendar", language, operator=one.name)
    return Calendar(f"calendar-{one.plmn}", title, days, legend, say("c.day", language))  # type: ignore[arg-type]


def _hour(found: Tally, period: Period, day_ms: int, number: int) -> Hour:
    if not period.holds(day_ms + number * 3_600_000):
        return Hour("outside", None)
    share = found.covered_ppm
    percent = None if share is None else share // 10_000
    if share is None or found.known < KNOWN_MINUTES:
        return Hour("unknown", percent)
    if share >= 950_000:
        return Hour("covered", percent)
    return Hour("no_service" if found.no_service * 2 >= found.known else "degraded", percent)


def _outages(one: OperatorFacts, language: Language, cause: Words) -> Table:
    columns = _columns(
        language, ("from", 9, True), ("to", 9, True), ("minutes", 6, False), ("cause", 10, True),
        ("confidence", 10, True), ("agreed", 9, True),
    )  # fmt: skip
    rows = []
    for found in one.outages:
        outage = found.outage
        bounds = "" if outage.begin_is_known and outage.end_is_known else say("d.at_least", language)
        rows.append(Row(f"{one.plmn}-{outage.from_ms}", (
            minute(outage.from_ms), minute(outage.to_ms), Figure(outage.minutes, "minutes"),
            f"{cause(outage.cause)}{bounds}", say(f"confidence.{found.confidence}", language),
            ", ".join(found.agreed) or say("no", language),
        )))  # fmt: skip
    note = say("d.outages.note", language, shown=len(rows), all=one.all_outages)
    title = say("d.t.outages", language, operator=one.name)
    return Table(f"outages-{one.plmn}", title, columns, tuple(rows), note=note)


def _indicators(one: OperatorFacts, language: Language) -> Table:
    columns = _columns(
        language, ("indicator", 18, True), ("value", 8, False), ("n", 6, False), ("limit", 8, True),
        ("within", 9, True),
    )  # fmt: skip
    rows = []
    for found in one.indicators:
        indicator, form = found.indicator, _FORMS[found.indicator.unit]
        limit: Cell = say("no", language)
        if found.limit is not None:
            sign = {">=": "≥", "<=": "≤"}[found.limit.relation]
            limit = f"{sign} {Figure(found.limit.value, form).shown(language)}"
        verdict = "few" if found.within is None else "yes" if found.within else "not"
        rows.append(Row(f"{one.plmn}-{indicator.code}", (
            say(f"qcvn.{indicator.code}", language), Figure(indicator.value, form), Figure(indicator.n), limit,
            say(f"within.{verdict}", language),
        )))  # fmt: skip
    return Table(f"qcvn-{one.plmn}", say("d.t.qcvn", language, operator=one.name), columns, tuple(rows))


def _proofs(proofs: Sequence[ProofFacts], language: Language) -> Table:
    columns = _columns(
        language, ("probe", 10, True), ("records", 6, False), ("first", 7, True), ("last", 7, True),
        ("first_index", 8, False), ("last_index", 8, False),
    )  # fmt: skip
    rows = tuple(
        Row(one.probe, (
            one.probe, Figure(one.records), one.first, one.last, Figure(one.first_index, source="log"),
            Figure(one.last_index, source="log"),
        ))
        for one in proofs
    )  # fmt: skip
    return Table("proofs", say("d.t.proofs", language), columns, rows)
