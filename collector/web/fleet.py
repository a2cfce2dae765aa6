"""The operator's pages of the fleet: all probes, one probe, and what happened since offices last closed.

Everything works by links and forms, without JavaScript. Names and numbers of caretakers are shown here and nowhere
else. Who may do what stands in `access.RULES`.
"""

from __future__ import annotations

from contextlib import closing
from datetime import datetime
from pathlib import Path

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from collector.core.common_cause import Group
from collector.core.view import ICT, local
from collector.core.visits import BRING, BRING_STATE
from collector.fleet_book import FleetBook
from collector.probe_watch import ProbeWatch
from collector.registry_dated import AssignmentRow
from collector.web import access
from collector.web.fleet_view import PAGE_ROWS, SORTS, Fleet, FleetRow, shape_of
from collector.web.language import current
from collector.web.ports import HealthSource
from collector.web.present import Pages
from collector.web.registry_view import RegistryView
from collector.web.words import say
from wire.errors import Refused

TEXT_MAX = 60
EVENTS, RECORDS = 30, 20


class FleetPages:
    """The views."""

    def __init__(self, pages: Pages, fleet: Fleet, registry: Path) -> None:
        self._pages, self._fleet, self._registry_path = pages, fleet, registry

    def overview(self) -> str:
        """All probes: tiles by state, filters, columns to sort by."""
        rows = self._fleet.rows(access.scope())
        asked = {name: request.args.get(name, "")[:TEXT_MAX].strip() for name in ("state", "unit", "q", "sort")}
        chosen = self._fleet.chosen(rows, asked["state"], asked["unit"], asked["q"], asked["sort"])
        number = max(0, request.args.get("page", 0, type=int))
        counts = self._fleet.counts(rows)
        return render_template(
            "fleet.html",
            urgent=sum(n for state, n in counts if shape_of(state) == "bad"),
            rows=chosen[number * PAGE_ROWS : (number + 1) * PAGE_ROWS],
            total=len(rows),
            counts=counts,
            asked=asked,
            number=number,
            last_page=max(0, (len(chosen) - 1) // PAGE_ROWS),
            sorts=SORTS,
            shape_of=shape_of,
        )

    def probe(self, probe: str) -> str:
        """Everything that is known of one probe."""
        row = self._row(probe)
        reader, registry = self._pages.reader, self._pages.registry
        with closing(FleetBook(self._registry_path)) as book:
            notes = book.notes(probe)
            caretaker = book.caretaker(row.site.code) if row.site else None
        boots = reader.samples(probe=probe, kind="boot", limit=5)
        happened = [*reader.samples(probe=probe, kind="event", limit=EVENTS), *boots]
        sites = {site.code: site for site in registry.sites()}
        return render_template(
            "fleet_probe.html",
            row=row,
            notes=notes,
            caretaker=caretaker,
            boot=boots[0].record if boots else None,
            happened=sorted(happened, key=lambda s: -s.n)[:EVENTS],
            recent=reader.samples(probe=probe, limit=RECORDS),
            view=RegistryView(registry).probe(probe, access.scope()),
            history=[(a, sites.get(a.site or "")) for a in registry.dated.history(AssignmentRow, probe=probe)],
            names=registry.operators(),
            wrong=self._wrong(),
        )

    def since(self) -> str:
        """What happened since offices last closed (or since the moment asked for), by common cause."""
        since_ms = self._asked_since()
        listed = self._fleet.monday(access.scope(), since_ms)
        rows = {row.id: row for row in self._fleet.rows(access.scope())}
        with closing(FleetBook(self._registry_path)) as book:
            notes, caretakers = book.newest(), book.caretakers()
        return render_template(
            "fleet_since.html",
            listed=listed,
            rows=rows,
            notes=notes,
            caretakers=caretakers,
            asked=f"{local(since_ms):%Y-%m-%dT%H:%M}",
            group_name=self._group_name,
            bring=lambda word, troubles: self._bring(word, troubles, rows),
            shape_of=shape_of,
            communes={c.code: c for c in self._pages.registry.communes()},
            wrong=self._wrong(),
        )

    def note(self, probe: str) -> Response:
        """POST: who goes, and what is to be said."""
        self._row(probe)
        wrong = None
        with closing(FleetBook(self._registry_path)) as book:
            try:
                form = request.form
                book.write(probe, form.get("assignee", ""), form.get("note", ""), g.user.name, self._pages.now_ms())
            except Refused as error:
                wrong = error.reason
        return self._back(probe, wrong)

    def caretaker(self, probe: str) -> Response:
        """POST: who keeps the key of the house where this probe stands."""
        row = self._row(probe)
        if row.site is None:
            abort(404)
        wrong = None
        with closing(FleetBook(self._registry_path)) as book:
            try:
                form = request.form
                book.keep(row.site.code, form.get("name", ""), form.get("phone", ""))
            except Refused as error:
                wrong = error.reason
        return self._back(probe, wrong)

    def _row(self, probe: str) -> FleetRow:
        row = self._fleet.row(access.scope(), probe)
        if row is None:
            abort(404)
        return row

    def _back(self, probe: str, wrong: str | None) -> Response:
        """To the page that the form stood on."""
        since = request.form.get("since", "")
        if _moment(since) is not None:
            return redirect(url_for("fleet.since", since=since, wrong=wrong, _anchor=probe), 303)
        return redirect(url_for("fleet.probe", probe=probe, wrong=wrong), 303)

    @staticmethod
    def _wrong() -> str | None:
        word = request.args.get("wrong", "")
        return word if word in ("too_long", "text", "phone") else None

    def _asked_since(self) -> int:
        asked = _moment(request.args.get("since", ""))
        return self._fleet.since() if asked is None else min(asked, self._pages.now_ms())

    def _group_name(self, group: Group) -> str:
        registry = self._pages.registry
        if group.kind == "power":
            found = registry.commune(group.key)
            return found.name if found else group.key
        if group.kind == "house":
            site = registry.site(group.key)
            hamlet = registry.hamlet(site.hamlet) if site else None
            return f"{site.name}, {hamlet.label}" if site and hamlet else group.key
        plmn, _, mast = group.key.partition("/")
        operator = registry.operators().get(plmn, plmn)
        return f"{operator} {mast}".strip()

    def _bring(self, word: str, troubles: object, rows: dict[str, FleetRow]) -> str:
        """A part in words; a SIM with the operator whose it must be."""
        plmns: dict[str, None] = {}
        names = self._pages.registry.operators()
        for trouble in troubles if isinstance(troubles, tuple) else ():
            wanted = BRING.get(trouble.word, BRING_STATE.get(trouble.state, ()))
            row = rows.get(trouble.station.probe)
            if row is not None and word in wanted:
                plmns |= {names.get(m.plmn, m.plmn): None for m in row.watched.vitals.modems if m.plmn}
        text = say(f"bring.{word}", current())
        return text.format(operator="/".join(plmns)).strip() if "{" in text else text


def _moment(text: str) -> int | None:
    """A moment as forms write it, Vietnam time; None for anything else."""
    try:
        return round(datetime.strptime(text, "%Y-%m-%dT%H:%M").replace(tzinfo=ICT).timestamp() * 1000)
    except ValueError:
        return None


def make_fleet(pages: Pages, source: HealthSource) -> Fleet:
    """The fleet as every page sees it; `source` tells what the collector's processes last said."""
    return Fleet(pages, ProbeWatch(pages.reader, pages.registry, source))


def blueprint(pages: Pages, fleet: Fleet, registry: Path) -> Blueprint:
    """Make the routes."""
    routes = Blueprint("fleet", __name__)
    views = FleetPages(pages, fleet, registry)
    for name, address in (
        ("overview", "/fleet"),
        ("since", "/fleet/since"),
        ("probe", "/fleet/probes/<probe>"),
    ):
        routes.add_url_rule(address, name, getattr(views, name), methods=["GET"])
    for name, address in (("note", "/fleet/probes/<probe>/note"), ("caretaker", "/fleet/probes/<probe>/caretaker")):
        routes.add_url_rule(address, name, getattr(views, name), methods=["POST"])
    return routes
