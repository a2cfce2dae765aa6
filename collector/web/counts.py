"""People's counts of a day for the office: who has reported and who not, entries for those who telephone, tables."""

from __future__ import annotations

from datetime import date, timedelta

from flask import Blueprint, Flask, Response, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from collector import count_table
from collector.campaigns import COUNTRY
from collector.core.period import Period, date_of, start_of
from collector.people import Entry, People
from collector.web import access
from collector.web.entrance import Entrance
from collector.web.heads import read_number
from wire.errors import Refused

FILE_BYTES = 300_000
LONGEST_DAYS = 62


def blueprint(entrance: Entrance) -> Blueprint:
    """Routes of officials and operators."""
    routes, views = Blueprint("counts", __name__), Views(entrance)
    routes.add_url_rule("/counts", "overview", views.overview, methods=["GET"])
    routes.add_url_rule("/counts", "enter", views.enter, methods=["POST"])
    routes.add_url_rule("/counts/template.<form>", "template", views.template, methods=["GET"])
    routes.add_url_rule("/counts/table", "table", views.table, methods=["POST"])
    return routes


def make_room(app: Flask) -> None:
    """Let the one form with a table be larger than all others; before the check of forms' tokens, which reads them."""

    @app.before_request
    def room() -> None:
        if request.endpoint == "counts.table" and request.method == "POST":
            request.max_content_length = FILE_BYTES
            request.max_form_memory_size = FILE_BYTES


class Views:
    """The views."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance
        self._people = People(entrance.registry)

    def overview(self) -> str:
        """A day: every hamlet of the scope."""
        return self._page()

    def _page(self, wrong: str = "", problems: tuple[count_table.Problem, ...] = (), checked: int = -1) -> str:
        day, today = self._day(), date_of(self._entrance.now_ms())
        period = self._campaign(start_of(day))
        lines = self._people.lines(access.scope(), day, period)
        return render_template(
            "counts.html", day=day, today=today, before=day - timedelta(days=1), lines=lines, wrong=wrong,
            silent=[one for one in lines if not one.day], first=date_of(period.start_ms), problems=problems,
            checked=checked, done=request.args.get("done", ""), can_enter=access.may("counts.enter"), country=COUNTRY,
        )  # fmt: skip

    def _day(self) -> date:
        text = request.values.get("day", "")
        try:
            return date.fromisoformat(text) if text else date_of(self._entrance.now_ms())
        except ValueError:
            abort(404)

    def _campaign(self, day_ms: int) -> Period:
        """The shortest campaign of people that holds a day, else its month: what the sums run over."""
        rows = [one for one in self._entrance.registry.campaigns() if one.ends_ms is not None]
        found = [Period(one.starts_ms, one.ends_ms) for one in rows if one.ends_ms is not None]
        found = [one for one in found if one.holds(day_ms) and one.end_ms - one.start_ms <= LONGEST_DAYS * 86_400_000]
        first = date_of(day_ms).replace(day=1)
        month = Period(start_of(first), start_of((first + timedelta(days=32)).replace(day=1)))
        return min(found, key=lambda one: one.end_ms - one.start_ms, default=month)

    def enter(self) -> Answer | tuple[str, int]:
        """POST: an official enters for one who telephones; who entered stands beside the figure."""
        unit = request.form.get("unit", "").strip()
        access.need_inside(unit or None)
        try:
            people, samples = (read_number(request.form.get(name, "")) for name in ("people", "samples"))
        except ValueError:
            return self._page("head.wrong"), 422
        day = self._day()
        if (people is None and samples is None) or day > date_of(self._entrance.now_ms()):
            return self._page("head.wrong"), 422
        how = "telephone" if request.form.get("how") == "telephone" else "web"
        try:
            self._people.enter([Entry(unit, day, people, samples)], f"{how}: {g.user.name}", self._entrance.now_ms())
        except Refused:
            return self._page("head.wrong"), 422
        return redirect(url_for("counts.overview", day=day.isoformat(), done=unit), 303)

    def template(self, form: str) -> Response:
        """A table to fill in: the hamlets of the scope, a line each."""
        if form not in ("csv", "xlsx"):
            abort(404)
        day = self._day()
        rows = [(one.hamlet.code, one.hamlet.label, day) for one in self._people.lines(access.scope(), day, _one(day))]
        raw = count_table.empty_csv(rows) if form == "csv" else count_table.empty_xlsx(rows)
        name = f'attachment; filename="so-lieu-{day.isoformat()}.{form}"'
        kind = "text/csv; charset=utf-8" if form == "csv" else count_table.XLSX
        return Response(raw, mimetype=kind, headers={"Content-Disposition": name})

    def table(self) -> Answer | tuple[str, int]:
        """POST: a table, all of it or nothing; `dry` only checks."""
        given = request.files.get("file")
        raw = given.read(FILE_BYTES) if given is not None else b""
        read = count_table.read(raw, date_of(self._entrance.now_ms()))
        problems = (*read.problems, *self._outside(read.entries))
        if problems:
            return self._page(problems=tuple(problems)), 422
        entries = [one for _, one in read.entries]
        if request.form.get("dry"):
            return self._page(checked=len(entries)), 200
        try:
            self._people.enter(entries, f"table: {g.user.name}", self._entrance.now_ms())
        except Refused:
            return self._page("head.wrong"), 422
        return redirect(url_for("counts.overview", done=str(len(entries))), 303)

    def _outside(self, entries: tuple[tuple[int, Entry], ...]) -> list[count_table.Problem]:
        """Units that the registry does not know, or that the scope does not cover: told alike."""
        registry = self._entrance.registry
        found = []
        for row, one in entries:
            is_known = registry.hamlet(one.unit) is not None or registry.commune(one.unit) is not None
            if not is_known or not access.inside(one.unit):
                found.append(count_table.Problem(row, "unit", one.unit, "unknown"))
        return found


def _one(day: date) -> Period:
    return Period(start_of(day), start_of(day) + 86_400_000)
