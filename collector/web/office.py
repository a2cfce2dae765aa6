"""The official's desk: my communes today, the division of slots, indicators for reference, records behind a number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, timedelta

import msgspec
from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from collector.allotments import Proposal, Shelf, modems, propose
from collector.core import qcvn
from collector.core.clock import month_of as month_bounds
from collector.core.period import Period, date_of, start_of
from collector.core.quota import Pace, Projection, Tries, pace, project_days, project_slots
from collector.core.sample import Sample
from collector.core.view import Month, month, month_of, parse_month
from collector.registry_dated import LimitRow
from collector.registry_identity import Identities
from collector.registry_rows import CommuneEntry, HamletEntry, ProvinceEntry
from collector.settings import Settings
from collector.web import access, sheet
from collector.web.present import Pages
from wire.records import CoverageRecord, TestRecord

MOST_TODAY = 60
PAGE_RECORDS = 200
MOST_READ = 50_000
LAST_YEAR = 2999
INDICATOR_N_MIN = 30
"""Fewer samples are not compared with a limit. Ours: the regulation asks for many more, and for drive tests."""
_PPM = {"%": 10, "s": 1_000, "Mbit/s": 1_000, "dBm": 0.01}
BEHIND: dict[str, Callable[[Sample], bool]] = {
    "tests": lambda _: True,
    "counted": lambda one: one.counted,
    "failed": lambda one: isinstance(one.record, TestRecord) and one.record.outcome == "failed",
    "ok": lambda one: isinstance(one.record, TestRecord) and one.record.outcome == "ok",
}


@dataclass(frozen=True, slots=True)
class Today:
    """A commune as it is today. `without`: hamlets without a counted sample this month."""

    commune: CommuneEntry
    counted: int
    minimum: int
    rule: str
    missing: int
    pace: Pace
    projection: Projection
    proposal: Proposal
    without: tuple[HamletEntry, ...]


class Office:
    """What the routes share."""

    def __init__(self, pages: Pages, settings: Settings) -> None:
        self.pages, self.settings = pages, settings
        self.shelf = Shelf(settings.state / "config")

    def commune(self, code: str) -> CommuneEntry:
        """A commune inside this login's scope; 404 for any other."""
        found = self.pages.registry.commune(code)
        if found is None or not access.inside(code):
            abort(404)
        return found

    def proposal(self, code: str, missing: int) -> Proposal:
        """How a commune's missing samples would best be divided over its modems."""
        inside = {h.code for h in self.pages.registry.hamlets() if h.commune == code}
        standing = {probe.id: hamlet for probe, hamlet in self.pages.standing() if hamlet in inside and hamlet}
        ill = {r.probe.id: r.checkup.illness for r in self.pages.rows_of_probes(list(standing))}
        words = {probe: one.word if one else None for probe, one in ill.items()}
        now_ms = self.pages.now_ms()
        found = modems(self.pages.reader, self.shelf, standing, words, now_ms)
        return propose(found, missing, now_ms, people_count=False)

    def today(
        self, code: str, hamlets: Sequence[HamletEntry], counted: int, tests: int, with_sample: set[str]
    ) -> Today:
        """One commune, with what is missing and what would close it."""
        commune, quota = self.pages.registry.commune(code), self.pages.registry.quota(code)
        assert commune is not None and quota is not None  # noqa: S101, PT018 (the caller chose it by these)
        now_ms = self.pages.now_ms()
        period = Period(*month_bounds(now_ms))
        missing = max(0, quota.minimum - counted)
        proposal = self.proposal(code, missing)
        left = [self.shelf.slots_left(probe, now_ms) for probe in {one.probe for one in proposal.modems}]
        known = [one for one in left if one is not None]
        if known and len(known) == len(left):
            ahead = project_slots(quota.minimum, Tries(tests, min(counted, tests), sum(known)), counted)
        else:
            ahead = project_days(quota.minimum, counted, period, now_ms)
        without = tuple(one for one in hamlets if one.code not in with_sample)
        steady = pace(quota.minimum, counted, period, now_ms)
        return Today(commune, counted, quota.minimum, quota.rule, missing, steady, ahead, proposal, without)


def blueprint(pages: Pages, settings: Settings) -> Blueprint:
    """Routes of the desk; who may use which stands in `access.RULES`."""
    routes = Blueprint("office", __name__)
    office = Office(pages, settings)

    @routes.get("/today")
    def today() -> str:
        rows, more = _today(office)
        return render_template("today.html", rows=rows, more=more, month=pages.month(), as_of_ms=pages.now_ms())

    @routes.get("/allotment/<code>")
    def allotment(code: str) -> str:
        return render_template("allotment.html", **_allotment(office, office.commune(code)))

    @routes.post("/allotment/<code>")
    def approve(code: str) -> Response:
        shown = _allotment(office, office.commune(code))["proposal"]
        assert isinstance(shown, Proposal)  # noqa: S101 (made above)
        if request.form.get("digest") != shown.digest:
            return redirect(url_for("office.allotment", code=code, changed=1))
        _approve(office, code, shown)
        return redirect(url_for("office.allotment", code=code, done=1))

    @routes.get("/hamlets/<code>/qcvn")
    def indicators(code: str) -> str:
        return render_template("qcvn.html", **_indicators(office, code))

    @routes.get("/behind/<unit>/<what>")
    def behind(unit: str, what: str) -> str:
        return render_template("behind.html", **_behind(office, unit, what))

    return routes


def _today(office: Office) -> tuple[list[Today], int]:
    """Communes with a quota, those that will miss it first."""
    pages, now_ms = office.pages, office.pages.now_ms()
    start_ms, end_ms = month_bounds(now_ms)
    inside = sheet.communes_in(pages, access.scope())
    chosen = {code: hamlets for code, hamlets in inside.items() if pages.registry.quota(code) is not None}
    counts: dict[str, tuple[int, int]] = {}
    for one in pages.reader.commune_totals(start_ms, end_ms):
        counted, tests = counts.get(one.commune, (0, 0))
        counts[one.commune] = counted + one.counts.counted, tests + one.counts.tests
    order = sorted(chosen, key=lambda code: (counts.get(code, (0, 0))[0], code))[:MOST_TODAY]
    samples = {code: one.counted for code, one in pages.reader.hamlet_counts(start_ms, end_ms).items()}
    with_sample = {code for code, counted in samples.items() if counted}
    rows = [office.today(code, chosen[code], *counts.get(code, (0, 0)), with_sample) for code in order]
    rows.sort(key=lambda one: (one.projection.certainty_ppm, one.commune.code))
    return rows, max(0, len(chosen) - len(rows))


def _allotment(office: Office, commune: CommuneEntry) -> dict[str, object]:
    pages, now_ms = office.pages, office.pages.now_ms()
    quota = pages.registry.quota(commune.code)
    totals = pages.reader.commune_totals(*month_bounds(now_ms))
    counted = sum(one.counts.counted for one in totals if one.commune == commune.code)
    missing = max(0, quota.minimum - counted) if quota else 0
    proposal = office.proposal(commune.code, missing)
    with closing(Identities(office.settings.registry)) as identities:
        held = {one.probe: next((w for w in identities.wishes(one.probe) if w.kind == "slots"), None)
                for one in proposal.modems}  # fmt: skip
    return {
        "commune": commune, "quota": quota, "counted": counted, "proposal": proposal, "wishes": held,
        "place": {h.code: h.label for h in pages.registry.hamlets() if h.commune == commune.code},
        "names": pages.registry.operators(), "month": pages.month(), "as_of_ms": now_ms,
        "done": "done" in request.args, "changed": "changed" in request.args,
    }  # fmt: skip


def _approve(office: Office, code: str, proposal: Proposal) -> None:
    """One wish a probe, which the authority turns into its signed configuration."""
    by_probe: dict[str, dict[str, int]] = {}
    for (probe, modem), slots in proposal.slots.items():
        by_probe.setdefault(probe, {})[modem] = slots
    with closing(Identities(office.settings.registry)) as identities:
        for probe, wanted in sorted(by_probe.items()):
            body = msgspec.json.encode({"commune": code, "slots": wanted}).decode()
            identities.wish("slots", probe, g.user.name, body, office.pages.now_ms())


def _indicators(office: Office, code: str) -> dict[str, object]:
    pages, chosen = office.pages, _month(office.pages)
    hamlet = pages.registry.hamlet(code)
    if hamlet is None:
        abort(404)
    access.need_inside(code)
    until_ms = min(chosen.end_ms, pages.now_ms() + 1)
    found = pages.reader.samples(hamlet=code, since_ms=chosen.start_ms, until_ms=until_ms, limit=MOST_READ)
    held = [one.record for one in found if one.in_chain]
    tests = [one for one in held if isinstance(one, TestRecord)]
    coverage = [one for one in held if isinstance(one, CoverageRecord)]
    limits = pages.registry.dated.holding(LimitRow, chosen.end_ms - 1)
    told = {
        plmn: _of_operator([t for t in tests if t.plmn == plmn], [c for c in coverage if c.plmn == plmn], limits, plmn)
        for plmn in sorted({t.plmn for t in tests if t.plmn} | {c.plmn for c in coverage if c.plmn})
    }
    return {
        "hamlet": hamlet, "month": chosen, "operators": told, "names": pages.registry.operators(),
        "others": [m for m in pages.months() if m.code != chosen.code], "rule": qcvn.RULE_ID, "least": INDICATOR_N_MIN,
    }  # fmt: skip


def _of_operator(
    tests: list[TestRecord], coverage: list[CoverageRecord], limits: Sequence[LimitRow], plmn: str
) -> list[tuple[qcvn.Compared, LimitRow | None]]:
    """Indicators beside the limits that hold: those of this operator before those of everybody."""

    def row(code: str) -> LimitRow | None:
        fits = [one for one in limits if one.code in (f"qcvn81-{code}", f"qcvn81-{code}-{plmn}")]
        own = [one for one in fits if one.plmn == plmn]
        return next(iter(own or [one for one in fits if one.plmn is None]), None)

    level, least = row("rsrp"), row("vdmin")
    found = [
        qcvn.availability(coverage, round(level.value_x1000 * _PPM["dBm"])) if level else None,
        qcvn.access_failures(tests), qcvn.access_delay(tests), qcvn.drops(tests),
        *qcvn.rates(tests, round(least.value_x1000 * _PPM["Mbit/s"]) if least else None),
    ]  # fmt: skip
    told: list[tuple[qcvn.Compared, LimitRow | None]] = []
    for one in found:
        if one is None:
            continue
        held = row(one.code.replace(".", "-"))
        limit = None
        if held is not None and held.relation in (">=", "<="):
            limit = qcvn.Limit(one.code, held.relation, round(held.value_x1000 * _PPM.get(held.unit, 1)))
        told.append((qcvn.compared(one, limit, INDICATOR_N_MIN), held))
    return told


def _behind(office: Office, unit: str, what: str) -> dict[str, object]:
    """The records that a number of a sheet counts, newest first, each with its page and its proof."""
    pages, chosen, span = office.pages, *_span(office.pages)
    known = pages.registry.hamlet(unit) or pages.registry.commune(unit) or pages.registry.province(unit)
    if what not in BEHIND or known is None or not access.inside(unit):
        abort(404)
    found = _tests_of(pages, known, chosen)
    number = max(0, request.args.get("page", 0, type=int))
    plmn = request.args.get("plmn", "")
    chosen_ones = [s for s in found if s.in_chain and BEHIND[what](s) and plmn in ("", getattr(s.record, "plmn", None))]
    return {
        "unit": unit, "title": known.label if isinstance(known, HamletEntry) else known.name, "what": what,
        "is_month": "month" in span, "span": span, "name": _span_name(chosen, span),
        "total": len(chosen_ones), "number": number, "plmn": plmn,
        "rows": chosen_ones[number * PAGE_RECORDS : (number + 1) * PAGE_RECORDS],
        "more": len(chosen_ones) > (number + 1) * PAGE_RECORDS, "words": tuple(BEHIND),
        "place": {h.code: h.label for h in pages.registry.hamlets()},
    }  # fmt: skip


def _tests_of(pages: Pages, unit: HamletEntry | CommuneEntry | ProvinceEntry, span: Period) -> list[Sample]:
    """Tests of a unit that began within a span, newest first; of a province commune by commune."""

    def read(hamlet: str | None, commune: str | None, most: int) -> list[Sample]:
        since_ms, until_ms = span.start_ms, span.end_ms
        return list(
            pages.reader.samples(
                hamlet=hamlet, commune=commune, kind="test", since_ms=since_ms, until_ms=until_ms, limit=most
            )
        )

    if isinstance(unit, HamletEntry):
        return read(unit.code, None, MOST_READ)
    if isinstance(unit, CommuneEntry):
        return read(None, unit.code, MOST_READ)
    found: list[Sample] = []
    for code in sorted({one.code for one in pages.registry.communes() if one.province == unit.code}):
        found += read(None, code, MOST_READ - len(found))
    return sorted(found, key=lambda one: one.n, reverse=True)


def _span(pages: Pages) -> tuple[Period, dict[str, str]]:
    """What is asked about, and how an address says so: a month, or days from `from` to `to`, both included."""
    try:
        days = [date.fromisoformat(request.args[name]) for name in ("from", "to") if name in request.args]
    except ValueError:
        abort(404)
    if len(days) < 2 or days[0] > days[1] or days[1].year > LAST_YEAR:
        chosen = _month(pages)
        return Period(chosen.start_ms, chosen.end_ms), {"month": chosen.code}
    span = Period(start_of(days[0]), start_of(days[1] + timedelta(days=1)))
    return span, {"from": days[0].isoformat(), "to": days[1].isoformat()}


def _span_name(span: Period, said: dict[str, str]) -> str:
    if "month" in said:
        return month_of(span.start_ms).name
    first, last = date_of(span.start_ms), date_of(span.end_ms - 1)
    return f"{first:%d/%m/%Y}" if first == last else f"{first:%d/%m/%Y} – {last:%d/%m/%Y}"


def _month(pages: Pages) -> Month:
    text = request.args.get("month")
    if text is None:
        return pages.month()
    found = parse_month(text)
    if found is None:
        abort(404)
    return month(found.year, found.month)
