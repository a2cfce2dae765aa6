"""An office's letterhead and whom to remind, entered on a page: the same as `dosong-collector report office`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from flask import Blueprint, redirect, render_template, request, url_for
from werkzeug.wrappers import Response as Answer

from collector.core.office_form import LISTS, NEEDED, read_office
from collector.core.report_heads import Office, default_head
from collector.registry_rows import CommuneEntry, ProvinceEntry
from collector.web import access
from collector.web.present import Pages
from wire.errors import Refused

if TYPE_CHECKING:
    from collector.reports.desk import Desk

FIELDS = (
    *("superior", "issuer", "issuer_name", "place", "symbol"),
    *("addressed", "recipients", "authority", "signer"),
)
"""In the order in which they stand on the paper."""


def add_routes(routes: Blueprint, pages: Pages, desk: Callable[[], Desk]) -> None:
    """The form and its deed; who may use them stands in `access.RULES`."""

    @routes.get("/reports/office")
    def office() -> str:
        unit = request.args.get("unit", access.scope()).strip()[:32]
        known = _known(pages, unit)
        if known is None:
            return render_template(
                "report_office.html", unit=unit, known=None, wrong="unit" if unit else "", done=False
            )
        held = desk().store.office(unit)
        return _page(desk(), known, held or _default(pages, known), wrong="", done="done" in request.args)

    @routes.post("/reports/office")
    def set_office() -> Answer | str:
        unit = request.form.get("unit", "").strip()
        known = _known(pages, unit)
        if known is None:
            return redirect(url_for("reports.office", unit=unit[:32]))
        held = desk().store.office(unit)
        try:
            wanted = read_office(request.form, held, may_hook=access.role() == "operator")
        except Refused as error:
            return _page(desk(), known, held or _default(pages, known), wrong=error.reason, done=False)
        if wanted != held:
            desk().store.set_office(unit, wanted, access.name(), pages.now_ms())
        return redirect(url_for("reports.office", unit=unit, done=1))


def _page(desk: Desk, known: CommuneEntry | ProvinceEntry, held: Office, *, wrong: str, done: bool) -> str:
    """The form; after a mistake with what was typed, so that nobody types it twice."""
    filled = {name: _text(getattr(held.head, name)) for name in FIELDS}
    filled |= {"emails": "\n".join(held.emails), "webhook": held.webhook}
    if wrong:
        filled |= {name: request.form.get(name, "") for name in filled}
    return render_template(
        "report_office.html", unit=known.code, known=known, filled=filled, fields=FIELDS, lists=LISTS, needed=NEEDED,
        wrong=wrong, done=done, may_hook=access.role() == "operator", entries=desk.store.office_entries(known.code),
    )  # fmt: skip


def _text(held: str | tuple[str, ...]) -> str:
    return held if isinstance(held, str) else "\n".join(held)


def _known(pages: Pages, unit: str) -> CommuneEntry | ProvinceEntry | None:
    """A commune or province within this login's scope; None for anything else."""
    found = pages.registry.commune(unit) or pages.registry.province(unit)
    return found if found is not None and access.inside(unit) else None


def _default(pages: Pages, known: CommuneEntry | ProvinceEntry) -> Office:
    """What reports bear as long as nothing was entered."""
    if isinstance(known, ProvinceEntry):
        return Office(default_head("province", known.name, "", ()))
    province = pages.registry.province(known.province)
    return Office(default_head("commune", known.name, province.name if province else "", ()))
