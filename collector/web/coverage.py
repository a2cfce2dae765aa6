"""The coverage calendar of a hamlet: a month by hour, outages with cause and confidence, and the same as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass

from flask import Blueprint, Response, abort, render_template, request

from collector.core import coverage, view
from collector.core.clock import HOUR_MS
from collector.core.coverage import OUR_CLASSES, Confidence, Outage, Tally
from collector.core.period import MINUTE_MS, Period
from collector.core.view import Month, month, parse_month
from collector.evidence import Evidence, asked_around, hamlet_evidence
from collector.registry_rows import HamletEntry
from collector.web import access, language
from collector.web.present import Pages
from collector.web.words import say, say_or
from wire.failure import COVERAGE_CAUSES

SHOWN_OUTAGES = 30
"""The page asks the neighbours about so many of the longest outages; the file tells all of them without that."""
_KNOWN_MINUTES = 30
"""An hour with fewer known minutes has the colour of unknown; its number is shown all the same."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One hour: its state for colour and shape, its text, and what a reader hears."""

    state: str
    text: str
    said: str


@dataclass(frozen=True, slots=True)
class OutageRow:
    """One outage with how far it is believed."""

    outage: Outage
    cause: str
    confidence: Confidence


@dataclass(frozen=True, slots=True)
class OperatorMonth:
    """What the page says of one operator."""

    plmn: str
    evidence: Evidence
    tally: Tally
    gap: coverage.Gap
    days: list[tuple[int, list[Cell]]]
    unknown: list[tuple[str, int]]
    signal_class: str | None
    outages: list[OutageRow]
    all_outages: int


def blueprint(pages: Pages) -> Blueprint:
    """Routes of the calendar; public, since it has no exact position."""
    routes = Blueprint("coverage", __name__)

    @routes.get("/hamlets/<code>/coverage")
    def calendar(code: str) -> str:
        hamlet, chosen = _hamlet(pages, code), _month(pages)
        period = _period(pages, chosen)
        found = hamlet_evidence(pages.reader, pages.registry, code, period) if period else []
        operators = [_operator_month(pages, hamlet, one) for one in found]
        return render_template(
            "coverage.html", hamlet=hamlet, chosen=chosen, operators=operators, names=pages.registry.operators(),
            others=[m for m in pages.months() if m.code != chosen.code], rule=coverage.RULE_ID, classes=OUR_CLASSES,
            as_of_ms=period.end_ms if period else pages.now_ms(),
        )  # fmt: skip

    @routes.get("/hamlets/<code>/coverage.csv")
    def outages(code: str) -> Response:
        _hamlet(pages, code)
        chosen = _month(pages)
        period = _period(pages, chosen)
        found = hamlet_evidence(pages.reader, pages.registry, code, period) if period else []
        name = f"outages-{code}-{chosen.code}.csv"
        disposition = {"Content-Disposition": f'attachment; filename="{name}"'}
        return Response(_csv(code, found), mimetype="text/csv", headers=disposition)

    return routes


def _hamlet(pages: Pages, code: str) -> HamletEntry:
    found = pages.registry.hamlet(code)
    if found is None:
        abort(404)
    access.need_inside(code)
    return found


def _month(pages: Pages) -> Month:
    text = request.args.get("month")
    if text is None:
        return pages.month()
    found = parse_month(text)
    if found is None:
        abort(404)
    return month(found.year, found.month)


def _period(pages: Pages, chosen: Month) -> Period | None:
    """The month up to now, in whole minutes; None if it has not begun."""
    end_ms = min(chosen.end_ms, pages.now_ms() // MINUTE_MS * MINUTE_MS)
    return Period(chosen.start_ms, end_ms) if end_ms > chosen.start_ms else None


def _operator_month(pages: Pages, hamlet: HamletEntry, found: Evidence) -> OperatorMonth:
    tally = coverage.tally(found.minutes)
    outages = coverage.outages(found.minutes)
    longest = sorted(outages, key=lambda one: -one.minutes)[:SHOWN_OUTAGES]
    rows = [
        OutageRow(one, cause_word(one.cause), _confidence(pages, hamlet, found, one))
        for one in sorted(longest, key=_began)
    ]
    causes = [(cause_word(cause), n) for (state, cause), n in coverage.by_cause(found.minutes).items() if state == "U"]
    return OperatorMonth(
        found.plmn, found, tally, coverage.longest_gap(found.minutes), list(_days(found)), causes,
        coverage.signal_class(tally), rows, len(outages),
    )  # fmt: skip


def _began(outage: Outage) -> int:
    return outage.from_ms


def _confidence(pages: Pages, hamlet: HamletEntry, found: Evidence, outage: Outage) -> Confidence:
    """Other probes of the hamlet are asked first, then its neighbours in the commune."""
    inside = coverage.neighbours(outage, _others(found, outage))
    if coverage.confidence(outage, inside) == "corroborated":
        return "corroborated"
    around = asked_around(pages.reader, hamlet.commune, hamlet.code, found.plmn, outage)
    return coverage.confidence(outage, around)


def _others(found: Evidence, outage: Outage) -> list[tuple[str, coverage.Minutes]]:
    """The witnesses of other probes than the first one that saw the outage: one's own second modem proves nothing."""
    span = Period(outage.from_ms, outage.to_ms)
    saw = [name for name, one in found.witnesses if coverage.tally(one.cut(span)).no_service]
    probe = saw[0].split(" ")[0] if saw else ""
    return [(name, one) for name, one in found.witnesses if name.split(" ")[0] != probe]


def _days(found: Evidence) -> Iterator[tuple[int, list[Cell]]]:
    for day_ms, hours in coverage.calendar(found.minutes):
        cells = [_cell(day_ms, number, tally) for number, tally in enumerate(hours)]
        yield day_ms, cells


def _cell(day_ms: int, number: int, tally: Tally) -> Cell:
    share = tally.covered_ppm
    text = "–" if share is None else str(share // 10_000)
    spoken = say("coverage.unknown", language.current()) if share is None else f"{text} %"
    day = view.day(day_ms + number * HOUR_MS)
    return Cell(
        _state(tally, share), text, say("calendar.cell", language.current(), day=day, hour=number, share=spoken)
    )


def _state(tally: Tally, share: int | None) -> str:
    if share is None or tally.known < _KNOWN_MINUTES:
        return "unknown"
    if share >= 950_000:
        return "covered"
    return "no_service" if tally.no_service * 2 >= tally.known else "degraded"


def cause_word(letter: str) -> str:
    """A cause letter of the minute ledger in words of the page's language."""
    cause = COVERAGE_CAUSES.get(letter)
    if cause is not None:
        return say_or(f"cause.{cause.value}", cause.value, language.current())
    return say(f"calendar.cause.{letter}", language.current()) if letter in "-?" else letter


def _csv(code: str, found: list[Evidence]) -> Iterator[str]:
    """Every outage of the month; times in ISO 8601 with the zone, empty where a bound is not known."""
    yield "\ufeff" + _line(["hamlet", "plmn", "from", "to", "minutes", "begin_known", "end_known", "cause"])
    for one in found:
        for outage in coverage.outages(one.minutes):
            cause = COVERAGE_CAUSES.get(outage.cause)
            yield _line([
                code, one.plmn, view.local(outage.from_ms).isoformat(), view.local(outage.to_ms).isoformat(),
                outage.minutes, int(outage.begin_is_known), int(outage.end_is_known), cause.value if cause else "",
            ])  # fmt: skip


def _line(values: list[object]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(values)
    return text.getvalue()
