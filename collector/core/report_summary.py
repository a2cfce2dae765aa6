"""Reports over a unit and a period: a commune by its hamlets, a province by its communes; month, day, quarter, year.

Pure: facts in, a `Report` out. Every number of the body is a `Figure`, so that all formats print the same one.
Source: facts note 01 §1 (who reports what), §5 (form); design §8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from collector.core.count import RULE_VERSION
from collector.core.coverage import RULE_ID as COVERAGE_RULE
from collector.core.quota import RULE_ID as QUOTA_RULE
from collector.core.quota import Counter
from collector.core.report_facts import LineFacts, Step, UnitFacts, UnitReport
from collector.core.report_heads import small
from collector.core.report_model import (
    Block,
    Cell,
    Column,
    Figure,
    Kind,
    Letterhead,
    Provenance,
    Report,
    Row,
    Table,
    mean,
    median,
)
from collector.core.report_words import first_and_last, minute_text, period_text, say
from collector.core.rollup_view import Summary
from collector.core.view import Language, day, decimal, percent
from collector.core.view_figures import N_MIN

COUNT_RULE = f"count-{RULE_VERSION}"
RULES = (COUNT_RULE, QUOTA_RULE, COVERAGE_RULE)
MOST_ROWS = 16
"""A table of units with more rows stands in an annex; the body then has its total."""
BLANK = "–"
"""Of a cell to which no figure belongs, such as the quota of a unit that has none."""


def summary_report(
    kind: Kind, facts: UnitReport, head: Letterhead, proof: Provenance, language: Language, report_id: str
) -> Report:
    """Write a report over a unit and a period."""
    name = period_text(kind, facts.period, language)
    unit = small(facts.name) if language == "vi" else facts.name
    return Report(
        id=report_id, kind=kind, language=language, unit=facts.code, unit_name=facts.name, period=facts.period,
        as_of_ms=facts.as_of_ms, head=head, title=say("report", language),
        subject=say("subject.summary", language, period=name, unit=unit),
        blocks=tuple(_blocks(kind, facts, head, name, language)), provenance=proof,
        paragraph=_paragraph(facts, proof, name, unit, language), sheet=_sheet(facts, name, language),
        is_simulated=facts.is_simulated,
    )  # fmt: skip


def _blocks(kind: Kind, facts: UnitReport, head: Letterhead, name: str, language: Language) -> Iterator[Block]:
    yield Block("text", _opening(facts, head, name, language))
    yield Block("heading", say("h.quota", language))
    lines = [_line(one, facts, language) for one in facts.lines]
    yield from (Block("item", text) for text in lines or [say("line.none", language)])
    if kind == "day":
        names = ", ".join(facts.silent)
        yield Block("item", say("silent", language, names=names) if names else say("silent.none", language))
        if facts.entered_sum is not None:
            total, known = facts.entered_sum
            shown_sum = decimal(total, 0, language)
            yield Block("item", say("silent.sum", language, sum=shown_sum, n=known, all=len(facts.units)))
    yield Block("item", say("annex.units.at", language))
    yield Block("note", say("only4g", language))
    if facts.steps:
        yield Block("table", table=_steps(kind, facts.steps, language))
    yield Block("heading", say("h.quality", language))
    yield Block("table", table=operator_table(facts.operators, facts.own, facts.operator_names, language))
    yield Block("heading", say("h.coverage", language))
    whole = _coverage(facts, language)
    is_long = len(whole.rows) > MOST_ROWS
    yield Block("table", table=replace(whole, rows=whole.rows[-1:]) if is_long else whole)
    for topic in ("outreach", "difficulties", "proposals"):
        yield Block("heading", say(f"h.{topic}", language))
        yield from _remarks(facts, topic, language)
    yield Block("annex", say("annex.units", language))
    yield Block("table", table=_units(facts, language))
    if is_long:
        yield Block("annex", say("annex.coverage", language))
        yield Block("table", table=replace(whole, key="coverage_units"))


def _opening(facts: UnitReport, head: Letterhead, name: str, language: Language) -> str:
    documents = "; ".join(dict.fromkeys(one.document for one in facts.lines))
    start, end = first_and_last(facts.period)
    return say(
        "opening" if documents else "opening.plain", language, documents=documents,
        issuer=head.issuer_name or facts.name, period=name, start=start, end=end,
        as_of=minute_text(facts.as_of_ms, language),
    )  # fmt: skip


def _line(one: LineFacts, facts: UnitReport, language: Language) -> str:
    words = {
        "document": one.document, "rule": _rule(one.line.rule), "per": say(f"per.{one.line.period}", language),
        "counter": say(f"counter.{one.line.counter}", language),
    }  # fmt: skip
    if one.standing is None:
        share = one.reached * 1_000_000 / one.units if one.units else None
        unknown = say("line.units.unknown", language, n=decimal(one.unknown, 0, language)) if one.unknown else ""
        return say(
            "line.units", language, reached=decimal(one.reached, 0, language), units=decimal(one.units, 0, language),
            share=decimal(None if share is None else share / 10_000, 2, language), unknown=unknown,
            level=say(f"level.{one.line.level}", language), **words,
        )  # fmt: skip
    if one.standing.counted is None or one.standing.missing is None:
        return say("line.unknown", language, **words)
    value = one.standing.counted.value
    return say(
        "line.one", language, value=decimal(value, 0, language), needed=decimal(one.line.needed, 0, language),
        share=decimal(value * 100 / one.line.needed, 1, language),
        missing=decimal(one.standing.missing, 0, language), verdict=_verdict(one.standing.reached, facts, language),
        **words,
    )  # fmt: skip


def _rule(text: str) -> str:
    """As it is printed: "≥ 300"."""
    return text.replace(">=", "≥")


def _verdict(reached: bool | None, facts: UnitReport, language: Language) -> str:
    if reached is None:
        return say("c.unknown", language).lower()
    if reached:
        return say("verdict.reached", language)
    over = facts.as_of_ms >= facts.whole_period.end_ms
    return say("verdict.missed" if over else "verdict.open", language)


def _entered(found: UnitFacts, counter: Counter) -> Figure:
    return Figure(found.entered.get(counter), source="portal" if counter == "portal" else "people")


def _units(facts: UnitReport, language: Language) -> Table:
    is_province = facts.level == "province"
    keys = (
        ("no", 3), ("unit", 12), ("referral", 7), ("people", 6), ("portal", 6), ("ours", 6), ("needed", 6),
        ("share", 6), ("missing", 6), ("downlink", 7), ("uplink", 7), ("rtt", 6),
        *((("hamlets", 6),) if is_province else ()), ("note", 10),
    )  # fmt: skip
    rows = [Row(one.code, _unit_cells(str(at), one, is_province)) for at, one in enumerate(facts.units, 1)]
    total = say("total", language, unit=small(facts.name))
    rows.append(Row(facts.code, _unit_cells("", facts.own, is_province, total), is_total=True))
    note = say("t.note.units", language, n_min=N_MIN, rule=COUNT_RULE)
    return Table("units", say("t.units", language), _columns(keys, language), tuple(rows), is_wide=True, note=note)


def _columns(keys: Iterable[tuple[str, int]], language: Language) -> tuple[Column, ...]:
    left = {"unit", "referral", "note", "operator", "step", "reason", "reached"}
    return tuple(
        Column(key, say(f"c.{key}", language), weight, "left" if key in left else "center" if key == "no" else "right")
        for key, weight in keys
    )


def _unit_cells(number: str, one: UnitFacts, is_province: bool, name: str = "") -> tuple[Cell, ...]:
    standing = one.standing
    needed = BLANK if standing is None else Figure(standing.line.needed, source="registry")
    share: Cell = BLANK
    missing: Cell = BLANK
    if standing is not None:
        is_ours_unknown = standing.line.counter == "ours" and one.counted is None
        value = None if standing.counted is None or is_ours_unknown else standing.counted.value
        share = Figure(None if value is None else round(value * 1_000_000 / standing.line.needed), "percent")
        missing = Figure(standing.missing)
    hamlets: tuple[Cell, ...] = ()
    if is_province:
        hamlets = ("" if one.evidence is None else f"{one.evidence.measured}/{one.evidence.registered}",)
    return (
        number, name or one.name, " ".join(one.referrals) or BLANK, _entered(one, "people"), _entered(one, "portal"),
        Figure(one.counted), needed, share, missing,
        median(one.stat("downlink_bps"), "mbps"), median(one.stat("uplink_bps"), "mbps"),
        median(one.stat("rtt_us_median"), "ms"), *hamlets, "; ".join(one.notes),
    )  # fmt: skip


def operator_table(operators: Iterable[Summary], own: UnitFacts, names: Mapping[str, str], language: Language) -> Table:
    """Figures by operator, and of all together in the last row."""
    keys = (
        ("operator", 12), ("tests", 7), ("success", 8), ("counted", 8), ("downlink_median", 8), ("downlink_mean", 8),
        ("uplink_median", 8), ("uplink_mean", 8), ("rtt_median", 8),
    )  # fmt: skip
    rows = [
        Row(one.plmn or "-", _operator_cells(names.get(one.plmn or "", one.plmn or BLANK), one)) for one in operators
    ]
    if own.whole is not None:
        total = say("total", language, unit=small(own.name))
        rows.append(Row(own.code, _operator_cells(total, own.whole), is_total=True))
    note = say("t.note.operators", language)
    return Table("operators", say("t.operators", language), _columns(keys, language), tuple(rows), note=note)


def _operator_cells(name: str, one: Summary) -> tuple[Cell, ...]:
    tried = one.counts.tests - one.counts.skipped
    stats = one.stats
    return (
        name, Figure(one.counts.tests), Figure(round(one.counts.ok * 1_000_000 / tried) if tried else None, "percent"),
        Figure(one.counts.counted), median(stats["downlink_bps"], "mbps"), mean(stats["downlink_bps"], "mbps"),
        median(stats["uplink_bps"], "mbps"), mean(stats["uplink_bps"], "mbps"), median(stats["rtt_us_median"], "ms"),
    )  # fmt: skip


def _coverage(facts: UnitReport, language: Language) -> Table:
    keys = (("unit", 14), ("covered", 8), ("degraded", 8), ("no_service", 8), ("unknown", 8), ("covered_share", 9))
    rows = [Row(one.code, _coverage_cells(one.name, one)) for one in facts.units]
    rows.append(
        Row(facts.code, _coverage_cells(say("total", language, unit=small(facts.name)), facts.own), is_total=True)
    )
    note = say("t.note.coverage", language, rule=COVERAGE_RULE)
    return Table("coverage", say("t.coverage", language), _columns(keys, language), tuple(rows), note=note)


def _coverage_cells(name: str, one: UnitFacts) -> tuple[Cell, ...]:
    counts = None if one.whole is None or one.whole.counts.coverages == 0 else one.whole.counts
    if counts is None:
        return (name, *(Figure(None) for _ in range(4)), Figure(None, "percent"))
    known = counts.covered + counts.degraded + counts.no_service
    return (
        name, Figure(counts.covered), Figure(counts.degraded), Figure(counts.no_service), Figure(counts.unknown),
        Figure(round(counts.covered * 1_000_000 / known) if known else None, "percent"),
    )  # fmt: skip


def _steps(kind: Kind, steps: Iterable[Step], language: Language) -> Table:
    is_day = kind == "day"
    keys = (
        ("step", 10), ("ours", 8), ("portal", 8), ("people", 8),
        *((("new", 8), ("corrected", 8)) if is_day else (("reached", 10),)),
    )  # fmt: skip
    rows = []
    for one in steps:
        entered = tuple(Figure(one.entered.get(name), source=name) for name in ("portal", "people"))
        verdict = BLANK if one.reached is None else say(f"verdict.{'reached' if one.reached else 'missed'}", language)
        last: tuple[Cell, ...] = (Figure(one.new), Figure(one.corrected)) if is_day else (verdict,)
        rows.append(Row(one.key, (one.label, Figure(one.counted), *entered, *last)))
    title = say("t.steps.days" if is_day else "t.steps.months", language)
    return Table("steps", title, _columns(keys, language), tuple(rows))


def _remarks(facts: UnitReport, topic: str, language: Language) -> Iterator[Block]:
    found = [one for one in facts.remarks if one.topic == topic]
    for one in found:
        first, *rest = one.text.splitlines() or [""]
        said = f"{first} ({one.by}, {day(one.entered_ms)})" if not rest else first
        yield Block("text", said)
        yield from (Block("text", line) for line in rest[:-1])
        if rest:
            yield Block("text", f"{rest[-1]} ({one.by}, {day(one.entered_ms)})")
    if not found:
        yield Block("text", say("none.remark", language))


def _paragraph(facts: UnitReport, proof: Provenance, name: str, unit: str, language: Language) -> str:
    own = facts.own
    down, up, rtt = (own.stat(one) for one in ("downlink_bps", "uplink_bps", "rtt_us_median"))
    quota = ""
    if own.standing is not None:
        verdict = _verdict(own.standing.reached, facts, language)
        quota = say(
            "paragraph.quota", language, rule=_rule(own.standing.line.rule), verdict=verdict,
            counter=say(f"counter.{own.standing.line.counter}", language),
        )  # fmt: skip
    counts = own.whole.counts if own.whole is not None else None
    known = 0 if counts is None else counts.covered + counts.degraded + counts.no_service
    covered = Figure(None, "percent").shown(language)
    if counts is not None and known:
        covered = f"{percent(counts.covered * 1_000_000 / known, language)} %"
    hamlets = ""
    if own.evidence is not None:
        hamlets = say("paragraph.hamlets", language, measured=own.evidence.measured, registered=own.evidence.registered)
    return say(
        "paragraph", language, period=name, unit=unit, ours=Figure(own.counted).shown(language), quota=quota,
        portal=_entered(own, "portal").shown(language), people=_entered(own, "people").shown(language),
        n=decimal(down.n, 0, language), downlink=median(down, "mbps").shown(language),
        uplink=median(up, "mbps").shown(language), rtt=median(rtt, "ms").shown(language), hamlets=hamlets,
        covered=covered, as_of=minute_text(facts.as_of_ms, language), url=proof.proof_url,
    )  # fmt: skip


def _sheet(facts: UnitReport, name: str, language: Language) -> Table:
    """The row to paste into a shared sheet."""
    keys = (
        ("unit", 10), ("code", 5), ("period", 8), ("as_of", 8), ("people", 5), ("portal", 5), ("ours", 5),
        ("needed", 5), ("share", 5), ("missing", 5), ("downlink", 5), ("uplink", 5), ("rtt", 5), ("outreach", 10),
        ("difficulties", 10),
    )  # fmt: skip
    cells = _unit_cells("", facts.own, is_province=False)
    topics = (
        " ".join(" ".join(one.text.split()) for one in facts.remarks if one.topic == topic)
        for topic in ("outreach", "difficulties")
    )
    as_of = minute_text(facts.as_of_ms, language)
    row = Row(facts.code, (facts.name, facts.code, name, as_of, *cells[3:12], *topics))
    return Table("sheet", "", _columns(keys, language), (row,))
