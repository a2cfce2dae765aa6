"""The list of weak spots that goes to operators: where, whose cell, how strong, when, how fast, and who else saw it.

What is weak is ours to say until the official criteria are entered; the rule stands on the sheet (`weak-1`).
Source: facts note 01 §3.4 (replies to voters name operator, station, distance, coordinates as "105,34808/22,62924").
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from collector.core.coverage import RULE_ID as COVERAGE_RULE
from collector.core.period import Period
from collector.core.report_model import (
    Block,
    Cell,
    Column,
    Figure,
    Letterhead,
    Provenance,
    Report,
    Row,
    Table,
    median,
)
from collector.core.report_summary import COUNT_RULE
from collector.core.report_words import first_and_last, minute_text, period_text, say
from collector.core.rollup_view import Summary
from collector.core.view import Language, decimal

RULE_ID = "weak-1"
RULES = (RULE_ID, COUNT_RULE, COVERAGE_RULE)


@dataclass(frozen=True, slots=True)
class WeakRule:
    """From when on a hamlet is weak by one operator; any one is enough. Shares in ppm of what is known."""

    not_covered_ppm: int = 50_000
    failed_ppm: int = 100_000
    rsrp_dbm_x10: int = -1100
    downlink_bps: int = 10_000_000
    min_known: int = 24 * 60
    min_tests: int = 10


OUR_RULE = WeakRule()


def reasons(found: Summary, rule: WeakRule = OUR_RULE) -> tuple[str, ...]:
    """Why a hamlet is weak by one operator: words of the list; empty if it is not, or too little is known."""
    counts, stats = found.counts, found.stats
    known = counts.covered + counts.degraded + counts.no_service
    tried = counts.tests - counts.skipped
    why = []
    if known >= rule.min_known and (known - counts.covered) * 1_000_000 >= rule.not_covered_ppm * known:
        why.append("coverage")
    if tried >= rule.min_tests and counts.failed * 1_000_000 >= rule.failed_ppm * tried:
        why.append("failures")
    level, rate = stats["rsrp_dbm_x10"], stats["downlink_bps"]
    if level.enough and level.median is not None and level.median <= rule.rsrp_dbm_x10:
        why.append("level")
    if rate.enough and rate.median is not None and rate.median < rule.downlink_bps:
        why.append("rate")
    return tuple(why)


@dataclass(frozen=True, slots=True)
class Neighbour:
    """Another hamlet of the commune on the same operator."""

    name: str
    summary: Summary


@dataclass(frozen=True, slots=True)
class WeakSpot:
    """One weak hamlet by one operator. `cells`: serving cells by how often ("eci 12345, pci 77, band 3"); `hours`: the
    hours of the day (0 to 23) with the lowest rates or most failures; `antenna`: words of the acceptance
    sheet ("outdoor roof"), None: there is none."""

    code: str
    hamlet: str
    commune: str
    site: str
    lat_e7: int | None
    lon_e7: int | None
    plmn: str
    operator: str
    why: tuple[str, ...]
    summary: Summary
    cells: tuple[str, ...]
    hours: tuple[int, ...]
    lte_category: int
    antenna: str | None
    photo: str | None
    neighbours: tuple[Neighbour, ...]


@dataclass(frozen=True, slots=True)
class WeakReport:
    """Everything that the list is written from. `looked_at`: hamlets by operator that had any record."""

    code: str
    name: str
    period: Period
    as_of_ms: int
    spots: tuple[WeakSpot, ...]
    looked_at: int
    is_simulated: bool


def weak_report(facts: WeakReport, head: Letterhead, proof: Provenance, language: Language, report_id: str) -> Report:
    """Write the list."""
    name = period_text("weak", facts.period, language)
    return Report(
        id=report_id, kind="weak", language=language, unit=facts.code, unit_name=facts.name, period=facts.period,
        as_of_ms=facts.as_of_ms, head=head, title=say("weak", language),
        subject=say("subject.weak", language, period=name, unit=facts.name),
        blocks=tuple(_blocks(facts, head, name, language)), provenance=proof, is_simulated=facts.is_simulated,
    )  # fmt: skip


def _blocks(facts: WeakReport, head: Letterhead, name: str, language: Language) -> Iterator[Block]:
    start, end = first_and_last(facts.period)
    yield Block("text", say(
        "opening.plain", language, issuer=head.issuer_name, period=name, start=start, end=end,
        as_of=minute_text(facts.as_of_ms, language),
    ))  # fmt: skip
    rule = OUR_RULE
    yield Block("text", say(
        "w.rule", language, rule=RULE_ID, covered=rule.not_covered_ppm // 10_000, failed=rule.failed_ppm // 10_000,
        rsrp=decimal(rule.rsrp_dbm_x10 / 10, 0, language), rate=decimal(rule.downlink_bps / 1e6, 0, language),
    ))  # fmt: skip
    yield Block("item", say("w.found", language, n=len(facts.spots), all=facts.looked_at))
    yield Block("annex", say("w.annex", language))
    yield Block("table", table=_table(facts.spots, language))
    for one in facts.spots:
        if one.photo is not None:
            yield Block("photo", say("w.photo", language, site=one.site, hamlet=one.hamlet), photo=one.photo)


def _table(spots: Sequence[WeakSpot], language: Language) -> Table:
    keys = (
        ("place", 12), ("operator", 6), ("cells", 9), ("why", 8), ("rsrp", 5), ("downlink", 5), ("uplink", 5),
        ("success", 5), ("covered_share", 6), ("hours", 6), ("equipment", 7), ("neighbours", 10),
    )  # fmt: skip
    right = {"rsrp", "downlink", "uplink", "success", "covered_share"}
    columns = tuple(
        Column(key, say(f"c.{key}", language), weight, "right" if key in right else "left") for key, weight in keys
    )
    rows = tuple(Row(f"{one.code}-{one.plmn}", _cells(one, language)) for one in spots)
    note = say("w.note", language)
    return Table("weak", say("w.t", language), columns, rows, is_wide=True, note=note)


def _cells(one: WeakSpot, language: Language) -> tuple[Cell, ...]:
    unknown = Figure(None).shown(language)
    place = f"{one.hamlet}, {one.commune}; {one.site}"
    if one.lat_e7 is not None and one.lon_e7 is not None:
        place += f" ({decimal(one.lon_e7 / 1e7, 5, language)}/{decimal(one.lat_e7 / 1e7, 5, language)})"
    stats = one.summary.stats
    around = "; ".join(
        f"{other.name}: {median(other.summary.stats['rsrp_dbm_x10'], 'dbm').shown(language)} dBm, "
        f"{_share(other.summary).shown(language)} %"
        for other in one.neighbours
    )
    equipment = say(
        "w.equipment", language, category=one.lte_category, antenna=_antenna(one.antenna, language) or unknown
    )
    return (
        place, one.operator, "; ".join(one.cells) or unknown,
        ", ".join(say(f"why.{word}", language) for word in one.why), median(stats["rsrp_dbm_x10"], "dbm"),
        median(stats["downlink_bps"], "mbps"), median(stats["uplink_bps"], "mbps"), _success(one.summary),
        _share(one.summary), ", ".join(f"{hour}–{hour + 1}" for hour in one.hours) or unknown, equipment,
        around or unknown,
    )  # fmt: skip


def _antenna(words: str | None, language: Language) -> str:
    """Codes of an acceptance sheet in words: "outdoor roof"."""
    return ", ".join(say(f"antenna.{word}", language) for word in (words or "").split())


def _success(found: Summary) -> Figure:
    tried = found.counts.tests - found.counts.skipped
    return Figure(round(found.counts.ok * 1_000_000 / tried) if tried else None, "percent")


def _share(found: Summary) -> Figure:
    known = found.counts.covered + found.counts.degraded + found.counts.no_service
    return Figure(round(found.counts.covered * 1_000_000 / known) if known else None, "percent")
