"""The campaigns' page: what is reached, what will be, which report is due; and the form for figures read elsewhere."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from collector.allotments import signed_grid
from collector.campaigns import COUNTRY, Campaigns, CampaignView, LineView, soonest
from collector.core.period import Period, date_of
from collector.core.quota import RULE_ID
from collector.core.view import local
from collector.web import access
from collector.web.ports import Registry
from collector.web.present import Pages
from wire.errors import Refused

_VALUE = re.compile(r"[0-9]{1,9}|[0-9]{1,3}(\.[0-9]{3}){1,2}")
"""Plain digits, or dots between groups of three as they are written here; a decimal is refused, never rounded."""
MOST_UNITS = 500
"""Units shown of a line; who misses most comes first. Everything is in the API's and the registry's exports."""


def blueprint(pages: Pages, registry: Registry, state: Path) -> Blueprint:
    """Routes of the official's and operator's page of campaigns."""
    routes = Blueprint("campaigns", __name__)
    campaigns = Campaigns(pages.reader, registry, signed_grid(state / "config", registry))

    @routes.get("/campaigns")
    def overview() -> str:
        now_ms = pages.now_ms()
        views = campaigns.at(now_ms, access.scope())
        return render_template(
            "campaigns.html", views=views, due=soonest(views), as_of_ms=now_ms, rule=RULE_ID, most=MOST_UNITS,
            days=_days, iso=_iso, wrong="wrong" in request.args, done=request.args.get("done", ""),
            value=request.args.get("value", ""),
        )  # fmt: skip

    @routes.post("/campaigns/counts")
    def enter() -> Response:
        found = _line(campaigns.at(pages.now_ms(), access.scope()), request.form.get("line", ""))
        unit, value = request.form.get("unit", "").strip(), request.form.get("value", "").strip()
        counter = request.form.get("counter", "")
        if found is None:
            abort(404)
        known = unit in {one.code for one in found.units} and unit not in {COUNTRY, "bodies"}
        if not known or _VALUE.fullmatch(value) is None or counter not in ("portal", "people"):
            return redirect(url_for("campaigns.overview", wrong=1))
        row = {
            "counter": counter, "unit": unit, "value": int(value.replace(".", "")), "source": f"web: {g.user.name}",
            "starts_ms": found.period.start_ms, "ends_ms": found.period.end_ms, "valid_from_ms": pages.now_ms(),
        }  # fmt: skip
        try:
            registry.load({"counts": [row]}, pages.now_ms())
        except Refused:
            return redirect(url_for("campaigns.overview", wrong=1))
        return redirect(url_for("campaigns.overview", done=unit, value=value))

    return routes


def _line(views: list[CampaignView], asked: str) -> LineView | None:
    return next((line for view in views for line in view.lines if f"{view.row.code}/{line.line.code}" == asked), None)


def _iso(period: Period) -> dict[str, str]:
    """A period as the page of its records is asked for it: its first and its last day."""
    return {"from": date_of(period.start_ms).isoformat(), "to": date_of(period.end_ms - 1).isoformat()}


def _days(start_ms: int, end_ms: int) -> tuple[str, str]:
    """The first and the last day of a period that ends before `end_ms`."""
    first, last = local(start_ms), local(end_ms) - timedelta(milliseconds=1)
    return f"{first:%d/%m/%Y}", f"{last:%d/%m/%Y}"
