"""Evidence packs for those who check: a unit's month as one zip, made when it is asked for."""

from __future__ import annotations

import threading
from contextlib import closing

from flask import Blueprint, Response, abort, render_template

from collector.core.period import Period
from collector.core.view import month, parse_month
from collector.evidence_pack import Packer, Wanted
from collector.ledger import LedgerReader
from collector.pack_reports import kept_reports
from collector.registry import Registry
from collector.settings import Settings
from collector.web import access
from collector.web.present import Pages
from wire.errors import Refused, Unavailable

AT_ONCE = threading.Semaphore(1)
"""A pack holds a thread for seconds and its bytes in memory: one after the other. A province's is made by command."""


def blueprint(pages: Pages, settings: Settings) -> Blueprint:
    """The download; who may use it stands in `access.RULES`, and a login gets its own unit's packs only."""
    routes = Blueprint("packs", __name__)
    reader = LedgerReader(settings.ledger)

    @routes.get("/packs/<unit>/<code>.zip")
    def pack(unit: str, code: str) -> Response | tuple[str, int]:
        found = parse_month(code)
        if found is None or not _is_inside(pages, unit):
            abort(404)
        asked = month(found.year, found.month)
        with AT_ONCE, closing(Registry(settings.registry)) as registry:
            try:
                period = Period(asked.start_ms, asked.end_ms)
                wanted = Wanted(unit, period, kept_reports(settings.state, unit, period))
                raw = Packer(settings, reader, registry).make(wanted).raw
            except (Refused, Unavailable) as error:
                return render_template("pack_not_yet.html", unit=unit, said=str(error)), 503
        name = f'attachment; filename="goi-{unit}-{asked.code}.zip"'
        return Response(raw, mimetype="application/zip", headers={"Content-Disposition": name})

    return routes


def _is_inside(pages: Pages, unit: str) -> bool:
    """Whether a hamlet or commune lies within this login's scope."""
    is_known = pages.registry.hamlet(unit) is not None or pages.registry.commune(unit) is not None
    return is_known and access.inside(unit)
