"""Who may see what: roles by one table, scopes by one question (`inside`), and the check before every request.

An endpoint that is not in `RULES` is closed to everybody. How one gets in: `collector.web.login`, `.entrance`.
Source: design §7 (web), facts note 08 §5.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import suppress

from flask import abort, current_app, g, redirect, request, url_for
from werkzeug.wrappers import Response

from collector.api.routes import ROUTES
from collector.core.sample import Sample
from collector.registry_rows import UserEntry
from collector.scopes import Scopes
from collector.web.entrance import Entrance
from collector.web.present import FeedRow
from wire.errors import Unavailable

ROLES = frozenset({"technician", "operator", "official", "auditor"})
BOARD = frozenset({"board"})
"""A television on a wall: looks at what this is added to, and does no deed."""
ENROLLING = frozenset({"enrolling"})
"""Somebody who knows the password, and must set up the second factor before anything else."""
COMPANY = frozenset({"company"})
"""A telecom company: public pages, and the weak spots of its own network; its scope is the network's PLMN."""
PUBLIC = ROLES | BOARD | ENROLLING | COMPANY | {""}
ANYONE_IN = ROLES | ENROLLING | COMPANY
RULES: dict[str, frozenset[str]] = {
    "static": PUBLIC,
    "access.login": PUBLIC,
    "access.logout": ANYONE_IN,
    "access.welcome": PUBLIC,
    **dict.fromkeys(
        (f"account.{page}" for page in ("overview", "change_password", "renew_codes", "end_session")), ROLES | COMPANY
    ),
    "account.enrol": ROLES | ENROLLING | COMPANY,
    **dict.fromkeys(
        (f"accounts.{page}" for page in ("overview", "add", "scope", "disable", "enable", "reset", "end")),
        frozenset({"operator"}),
    ),
    **dict.fromkeys((f"wall.{page}" for page in ("overview", "make", "revoke")), frozenset({"operator"})),
    **dict.fromkeys((f"heads.{page}" for page in ("overview", "make", "revoke")), frozenset({"operator", "official"})),
    "heads.form": PUBLIC,
    "heads.enter": PUBLIC - BOARD,
    **dict.fromkeys(("counts.overview", "counts.template"), frozenset({"operator", "official", "auditor"})),
    **dict.fromkeys(("counts.enter", "counts.table"), frozenset({"operator", "official"})),
    "wall.door": PUBLIC,
    "wall.open": PUBLIC,
    "wall.show": BOARD,
    "pages.first": PUBLIC,
    "pages.first_live": PUBLIC,
    "pages.hamlets": PUBLIC,
    "pages.hamlet": PUBLIC,
    "pages.hamlet_live": PUBLIC,
    **dict.fromkeys((f"board.{page}" for page in ("country", "unit", "live", "boundaries")), PUBLIC),
    "coverage.calendar": PUBLIC,
    "coverage.outages": PUBLIC,
    "pages.sample": PUBLIC,
    "pages.raw": PUBLIC,
    "log.overview": PUBLIC,
    "log.checkpoint": PUBLIC,
    "log.newest": PUBLIC,
    "log.vkeys": PUBLIC,
    "log.witnesses": PUBLIC,
    "log.verifier": PUBLIC,
    "log.tile": PUBLIC,
    "log.proof": PUBLIC,
    "verdicts.rules": PUBLIC,
    "log.entries": frozenset({"operator", "official", "auditor"}),
    "api.feed": PUBLIC,
    "api.samples": PUBLIC,
    "api.places": PUBLIC,
    "api.healthz": PUBLIC,
    **{route.endpoint: route.roles for route in ROUTES},
    "machine.readyz": PUBLIC,
    "machine.metrics": frozenset({"technician", "operator"}),
    "doors.technician": frozenset({"technician", "operator"}),
    "doors.operator": frozenset({"operator"}),
    "doors.official": frozenset({"official", "operator"}) | BOARD,
    "campaigns.overview": frozenset({"official", "operator", "auditor"}) | BOARD,
    "campaigns.enter": frozenset({"official", "operator"}),
    **dict.fromkeys(
        (f"fleet.{page}" for page in ("overview", "since", "probe", "note")), frozenset({"technician", "operator"})
    ),
    "fleet.caretaker": frozenset({"operator"}),
    **dict.fromkeys(
        (f"reports.{page}" for page in ("overview", "one", "changed", "file", "silent")),
        frozenset({"official", "operator", "auditor"}),
    ),
    **dict.fromkeys(
        ("reports.make", "reports.enter", "reports.office", "reports.set_office"), frozenset({"official", "operator"})
    ),
    "reports.proof": PUBLIC,
    "packs.pack": frozenset({"official", "operator", "auditor"}),
    **dict.fromkeys(
        ("office.today", "office.allotment", "office.behind"), frozenset({"official", "operator", "auditor"})
    ),
    "office.approve": frozenset({"operator"}),
    **dict.fromkeys(("office.indicators", "guide.unit", "guide.poster"), PUBLIC),
    "cases.why": frozenset({"official", "operator", "auditor"}),
    **dict.fromkeys(("cases.overview", "cases.one"), frozenset({"official", "operator", "auditor"}) | COMPANY),
    "cases.open_one": frozenset({"official", "operator"}),
    "cases.say": frozenset({"official", "operator"}) | COMPANY,
    "doors.health": frozenset({"technician", "operator"}),
    "doors.refusals": frozenset({"operator"}),
    "claims.overview": frozenset({"technician", "operator"}),
    "claims.arm": frozenset({"technician", "operator"}),
    "claims.file": frozenset({"operator"}),
    **dict.fromkeys(
        (f"accept.{part}" for part in ("page", "confirm", "photo", "picture", "accept", "sheet", "paper")),
        frozenset({"technician", "operator"}),
    ),
    **dict.fromkeys(
        (f"registry.{page}" for page in ("search", "unit", "hamlet", "probe", "referral")),
        frozenset({"technician", "operator", "official"}),
    ),
    **dict.fromkeys(
        (f"registry.{deed}" for deed in ("add_hamlet", "change_hamlet", "merge_hamlet", "move_probe", "remap_code")),
        frozenset({"operator"}),
    ),
}
"""Roles that may use each endpoint; "" is a visitor without a login. Exact positions: see `sees_positions`."""

HOME = {"technician": "doors.technician", "operator": "doors.operator", "official": "doors.official"}
HOME |= {"company": "cases.overview"}
UNWRITTEN = frozenset({"access.login", "access.welcome", "wall.open", "heads.enter"})
"""Forms that write their own line of the audit trail, if any."""
_CODE = re.compile(r"[A-Za-z0-9_.-]{1,32}")
_NAMED = ("commune", "hamlet", "unit", "site", "probe", "into", "line", "account")
"""Fields of a form whose codes stand in the audit trail; nothing else that was typed does."""


def role() -> str:
    """Role of this request's visitor, "" without a login."""
    user: UserEntry | None = g.get("user")
    return user.role if user else ""


def scope() -> str:
    """Unit code that this visitor is limited to, "" for all."""
    user: UserEntry | None = g.get("user")
    return user.scope if user else ""


def unit_scope() -> str:
    """The unit that this visitor is limited to, "" for all. A company's scope is a network: it sees what is public."""
    return "" if role() == "company" else scope()


def inside(unit: str | None, at_ms: int | None = None) -> bool:
    """Whether this visitor's scope covers a province, commune or hamlet (at a moment; None: as the registry is now)."""
    return scopes().covers(unit_scope(), unit, at_ms)


def need_inside(unit: str | None, at_ms: int | None = None) -> None:
    """Answer 404 if a unit is outside this visitor's scope: what lies outside is as if it were not there."""
    if not inside(unit, at_ms):
        abort(404)


def inside_probe(probe: str | None) -> bool:
    """Whether a probe stands in this visitor's scope; what names no probe is for those who see all units."""
    return unit_scope() == "" or (probe is not None and scopes().covers_probe(unit_scope(), probe))


def need_record(sample: Sample | None) -> Sample:
    """The record, or 404: there is none, or it was taken outside this visitor's scope."""
    if sample is None or not scopes().covers_record(unit_scope(), (sample.hamlet, sample.commune, sample.province)):
        abort(404)
    return sample


def only_inside(rows: Iterable[FeedRow]) -> list[FeedRow]:
    """Those of a feed that were taken in this visitor's scope."""
    places = ((row, (row.sample.hamlet, row.sample.commune, row.sample.province)) for row in rows)
    return [row for row, place in places if scopes().covers_record(unit_scope(), place)]


def scopes() -> Scopes:
    """The rule of scopes, also for sites, probes and records; see docs/accounts.md."""
    found: Scopes = current_app.extensions["scopes"]
    return found


def sees_positions(simulated: bool) -> bool:
    """Exact positions, referral codes and raw bytes: for logins, and for anybody if the record is simulated."""
    return simulated or role() in ROLES


def name() -> str:
    """Name of this request's login or token, "-" without one; for logs."""
    user: UserEntry | None = g.get("user")
    return user.name if user else "-"


def may(endpoint: str) -> bool:
    """Whether this visitor may use an endpoint; templates ask before they show a link."""
    return role() in RULES.get(endpoint, frozenset())


def safe_path(text: str) -> str:
    """A path on this site to go to after the login, "" if it leads anywhere else."""
    is_here = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if is_here else ""


def guard(entrance: Entrance, machine: Callable[[], bool]) -> Callable[[], Response | None]:
    """Make the check that runs before every request. `machine` checks those of programs itself and says so."""

    def before() -> Response | None:
        if machine():
            return None
        g.user = entrance.visitor()
        if request.endpoint is None or may(request.endpoint):
            _write_down(entrance)
            return None
        if request.method == "GET" and role() == "enrolling":
            return redirect(url_for("account.enrol"))
        if g.user is None and request.method == "GET":
            return redirect(url_for("access.login", next=request.full_path.rstrip("?")))
        return abort(403)

    return before


def _write_down(entrance: Entrance) -> None:
    """A deed of somebody who is in has its line in the audit trail before it is done. Raises Unavailable."""
    endpoint = request.endpoint or ""
    is_look = request.method in ("GET", "HEAD", "OPTIONS") or not endpoint
    if is_look or g.user is None or endpoint in UNWRITTEN:
        return
    given = [*(request.view_args or {}).values(), *(request.form.get(field, "") for field in _NAMED)]
    codes = [str(one) for one in given if _CODE.fullmatch(str(one))]
    entrance.write(g.user.name, g.user.role, endpoint, " ".join(codes))


def note_refusal(response: Response) -> Response:
    """A deed that was refused has a second line, with the answer's status."""
    endpoint = request.endpoint or ""
    is_deed = request.method == "POST" and endpoint and g.get("user") is not None and endpoint not in UNWRITTEN
    if is_deed and response.status_code >= 400:
        entrance: Entrance = current_app.extensions["entrance"]
        with suppress(Unavailable):
            entrance.write(g.user.name, g.user.role, "refused", endpoint, response.status_code)
    return response
