"""Reports on the web: made, read, downloaded, compared; texts of officials; the public page that a QR code leads to.

What draws a report (typst, Word, Excel) is loaded when the first one is asked for: the other pages do not need it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Blueprint, Response, abort, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from collector.campaigns import Campaigns, soonest
from collector.core.report_changes import Changed
from collector.core.report_model import KINDS, shown
from collector.core.report_page import laid_out
from collector.core.report_words import first_and_last
from collector.core.view import LANGUAGES, Language
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.settings import Settings
from collector.web import access, letterheads
from collector.web.present import Pages
from wire.errors import Misconfigured, Refused, Unavailable

if TYPE_CHECKING:
    from collector.reports.desk import Desk
    from collector.reports.store import Kept

AT_ONCE = threading.Semaphore(1)
"""A report holds a thread for seconds: one after the other."""
SHOWN = 100
TOPICS = ("outreach", "difficulties", "proposals")
OpenDesk = Callable[[], "Desk"]


def blueprint(pages: Pages, settings: Settings) -> Blueprint:
    """Routes of reports; who may use them stands in `access.RULES`, a login gets its own units' only."""
    routes = Blueprint("reports", __name__)
    desk = _opener(settings)
    _daily(routes, pages, desk)
    _reading(routes, pages, desk)
    _writing(routes, pages, desk)
    letterheads.add_routes(routes, pages, desk)
    _public(routes, desk)
    return routes


def _opener(settings: Settings) -> OpenDesk:
    """Opens the desk at the first question, once."""
    lock = threading.Lock()
    opened: list[Desk] = []

    def desk() -> Desk:
        with lock:
            if not opened:
                from collector.reports.desk import open_desk  # noqa: PLC0415 (heavy, and not every page needs it)

                opened.append(open_desk(settings, LedgerReader(settings.ledger), Registry(settings.registry)))
            return opened[0]

    return desk


def _reading(routes: Blueprint, pages: Pages, desk: OpenDesk) -> None:
    @routes.get("/reports")
    def overview() -> str:
        now_ms = pages.now_ms()
        kept = [one for one in desk().store.newest(10 * SHOWN) if access.inside(one.unit)][:SHOWN]
        views = Campaigns(pages.reader, pages.registry).at(now_ms, access.scope())
        return render_template(
            "reports.html", kept=kept, due=soonest(views)[:8], kinds=KINDS, topics=TOPICS, days=first_and_last,
            unit=request.args.get("unit", access.scope())[:32], wrong=request.args.get("wrong", ""),
            done="done" in request.args,
        )  # fmt: skip

    @routes.get("/reports/<report_id>")
    def one(report_id: str) -> str:
        kept = _kept(desk(), report_id)
        report = desk().store.report(kept)
        row = desk().store.drawn(report_id, "tsv") or b""
        return render_template(
            "report.html", kept=kept, page=laid_out(report), report=report, files=desk().store.drawings(report_id),
            row=row.decode().partition("\n")[2].strip("\n"),
        )  # fmt: skip

    @routes.get("/reports/<report_id>/changes")
    def changed(report_id: str) -> str:
        kept = _kept(desk(), report_id)
        with AT_ONCE:
            found = desk().changed(kept, pages.now_ms())
        rows = [_told(change, kept.language) for change in found]
        return render_template("report_changes.html", kept=kept, rows=rows)

    @routes.get("/reports/<report_id>.<name>")
    def file(report_id: str, name: str) -> Response:
        kept = _kept(desk(), report_id)
        raw = desk().store.drawn(report_id, name)
        if raw is None:
            abort(404)
        from collector.reports.formats import FORMATS  # noqa: PLC0415 (as above)

        named = f'attachment; filename="{kept.kind}-{kept.unit}-{report_id}.{name}"'
        return Response(raw, content_type=FORMATS[name].media_type, headers={"Content-Disposition": named})


def _daily(routes: Blueprint, pages: Pages, desk: OpenDesk) -> None:
    @routes.get("/reports/silent")
    def silent() -> str:
        from collector.reports.service import silent_today  # noqa: PLC0415 (as above)

        unit, now_ms = request.args.get("unit", access.scope())[:32], pages.now_ms()
        known = pages.registry.commune(unit) or pages.registry.province(unit)
        if known is None or not access.inside(unit):
            return render_template("report_silent.html", unit=unit, texts=[], as_of_ms=now_ms, unknown=unit != "")
        with AT_ONCE:
            texts = silent_today(desk(), unit, now_ms)
        return render_template("report_silent.html", unit=unit, texts=texts, as_of_ms=now_ms, unknown=False)


def _writing(routes: Blueprint, pages: Pages, desk: OpenDesk) -> None:
    @routes.post("/reports")
    def make() -> Answer:
        kind, unit = request.form.get("kind", ""), request.form.get("unit", "").strip()
        spoken = request.form.get("language", "vi")
        if kind not in KINDS or spoken not in LANGUAGES:
            abort(400)
        if not access.inside(unit):
            return redirect(url_for("reports.overview", wrong="unit"))
        from collector.reports.make import parse_period  # noqa: PLC0415 (as above)

        try:
            now_ms, period = pages.now_ms(), request.form.get("period", "").strip()
            whole = parse_period(kind, period, now_ms)
            with AT_ONCE:
                made = desk().make(kind, unit, whole, now_ms, spoken, access.name())
        except Misconfigured as error:  # such as a font that is not installed: the log says which
            raise Unavailable(str(error)) from error
        except Refused as error:
            wrong = error.reason if error.reason in ("unit", "period") else "unit"
            return redirect(url_for("reports.overview", wrong=wrong, unit=unit))
        return redirect(url_for("reports.one", report_id=made.id))

    @routes.post("/reports/texts")
    def enter() -> Answer:
        unit, topic = request.form.get("unit", "").strip(), request.form.get("topic", "")
        if topic not in TOPICS:
            abort(400)
        known = pages.registry.commune(unit) or pages.registry.province(unit)
        if known is None or not access.inside(unit):
            return redirect(url_for("reports.overview", wrong="unit"))
        from collector.reports.make import parse_period  # noqa: PLC0415 (as above)

        try:
            now_ms = pages.now_ms()
            whole = parse_period("month", request.form.get("period", "").strip(), now_ms)
            desk().store.enter(unit, whole, topic, request.form.get("said", ""), access.name(), now_ms)
        except Refused as error:
            return redirect(url_for("reports.overview", wrong=error.reason, unit=unit))
        return redirect(url_for("reports.overview", done=1, unit=unit))


def _public(routes: Blueprint, desk: OpenDesk) -> None:
    @routes.get("/proofs/<report_id>")
    def proof(report_id: str) -> str:
        kept = desk().store.one(report_id)
        if kept is None:
            abort(404)
        newest = desk().store.before(kept.kind, kept.unit, kept.whole, kept.language)
        report = desk().store.report(kept)
        return render_template(
            "report_proof.html", kept=kept, report=report, files=desk().store.drawings(report_id),
            days=first_and_last(report.period), newer=newest.id if newest and newest.id != report_id else "",
        )  # fmt: skip


def _kept(desk: Desk, report_id: str) -> Kept:
    """A snapshot within this login's scope; 404 for any other."""
    found = desk.store.one(report_id)
    if found is None or not access.inside(found.unit):
        abort(404)
    return found


def _told(change: Changed, spoken: Language) -> tuple[str, str, str, str]:
    was, now = ("–" if cell is None else shown(cell, spoken) for cell in (change.before, change.after))
    return change.row_name, change.column_title, was, now
