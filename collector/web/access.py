"""Who may see what, and how one gets in: accounts of the registry, session cookie, roles by one table.

An endpoint that is not in `RULES` is closed to everybody. Source: design §7 (web), facts note 08 §5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from math import ceil

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask import Blueprint, abort, current_app, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from collector.api.routes import ROUTES
from collector.registry_rows import UserEntry
from collector.web.demo import DEMO_LOGINS, demo_users
from collector.web.ports import Registry

PUBLIC = frozenset({"", "technician", "operator", "official", "auditor"})
ANYONE_IN = PUBLIC - {""}
RULES: dict[str, frozenset[str]] = {
    "static": PUBLIC,
    "access.login": PUBLIC,
    "access.logout": ANYONE_IN,
    "pages.first": PUBLIC,
    "pages.first_live": PUBLIC,
    "pages.hamlets": PUBLIC,
    "pages.hamlet": PUBLIC,
    "pages.hamlet_live": PUBLIC,
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
    "doors.official": frozenset({"official", "operator"}),
    "campaigns.overview": frozenset({"official", "operator", "auditor"}),
    "campaigns.enter": frozenset({"official", "operator"}),
    **dict.fromkeys(
        (f"fleet.{page}" for page in ("overview", "since", "probe", "note")), frozenset({"technician", "operator"})
    ),
    "fleet.caretaker": frozenset({"operator"}),
    "doors.health": frozenset({"technician", "operator"}),
    "doors.refusals": frozenset({"operator"}),
    "claims.overview": frozenset({"technician", "operator"}),
    "claims.arm": frozenset({"technician", "operator"}),
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
WINDOW_S = 300
TRIES_ACCOUNT = 5
TRIES_ADDRESS = 30
NAME_MAX, PASSWORD_MAX = 64, 256


@dataclass(slots=True)
class Throttle:
    """Counts failed logins by account and by address in a sliding window; forgets what is older."""

    _failures: dict[tuple[str, str], list[float]] = field(default_factory=dict)

    def wait_s(self, account: str, address: str, now_s: float) -> int:
        """Seconds to wait before the next try; 0 if it may be made now."""
        return max(
            self._wait_s(("account", account), TRIES_ACCOUNT, now_s),
            self._wait_s(("address", address), TRIES_ADDRESS, now_s),
        )

    def failed(self, account: str, address: str, now_s: float) -> None:
        """Remember a failed try."""
        self._forget(now_s)
        for key in (("account", account), ("address", address)):
            self._failures.setdefault(key, []).append(now_s)

    def _wait_s(self, key: tuple[str, str], tries: int, now_s: float) -> int:
        recent = [t for t in self._failures.get(key, ()) if now_s - t < WINDOW_S]
        return ceil(recent[-tries] + WINDOW_S - now_s) if len(recent) >= tries else 0

    def _forget(self, now_s: float) -> None:
        old = [key for key, times in self._failures.items() if now_s - times[-1] >= WINDOW_S]
        for key in old:
            del self._failures[key]


class Accounts:
    """Checks passwords. An unknown account costs the same time and gets the same answer as a wrong password."""

    def __init__(self, registry: Registry, is_demo: bool) -> None:
        self._registry = registry
        self._hasher = PasswordHasher()
        self._nobody = self._hasher.hash("nobody has this password")
        self._demo = {user.name: user for user in demo_users(self._hasher)} if is_demo else {}

    def check(self, name: str, password: str) -> UserEntry | None:
        """Return the account if the password is its own."""
        user = self.named(name)
        try:
            self._hasher.verify(user.argon2 if user else self._nobody, password)
        except (VerificationError, InvalidHashError):
            return None
        return user

    def named(self, name: str) -> UserEntry | None:
        """The account as the registry knows it now: a removed one loses its session at the next request."""
        return self._registry.user(name) or self._demo.get(name)


def role() -> str:
    """Role of this request's visitor, "" without a login."""
    user: UserEntry | None = g.get("user")
    return user.role if user else ""


def scope() -> str:
    """Unit code that this visitor is limited to, "" for all."""
    user: UserEntry | None = g.get("user")
    return user.scope if user else ""


def sees_positions(simulated: bool) -> bool:
    """Exact positions, referral codes and raw bytes: for logins, and for anybody if the record is simulated."""
    return simulated or role() != ""


def name() -> str:
    """Name of this request's login or token, "-" without one; for logs."""
    user: UserEntry | None = g.get("user")
    return user.name if user else "-"


def may(endpoint: str) -> bool:
    """Whether this visitor may use an endpoint; templates ask before they show a link."""
    return role() in RULES.get(endpoint, frozenset())


def safe_path(text: str) -> str:
    """A path on this site to go to after the login, "" if it leads anywhere else."""
    inside = text.startswith("/") and not text.startswith("//") and "\\" not in text and text.isprintable()
    return text if inside else ""


def guard(accounts: Accounts, machine: Callable[[], bool]) -> Callable[[], Response | None]:
    """Make the check that runs before every request. `machine` checks those of programs itself and says so."""

    def before() -> Response | None:
        if machine():
            return None
        g.user = accounts.named(session["user"]) if "user" in session else None
        if request.endpoint is None or may(request.endpoint):
            return None
        if g.user is None and request.method == "GET":
            return redirect(url_for("access.login", next=request.full_path.rstrip("?")))
        return abort(403)

    return before


def blueprint(accounts: Accounts, throttle: Throttle, now_s: Callable[[], float]) -> Blueprint:
    """Login, logout, language."""
    routes = Blueprint("access", __name__)

    @routes.route("/login", methods=["GET", "POST"])
    def login() -> Response | str | tuple[str, int]:
        if request.method == "GET":
            return _form("", None)
        name, password = request.form.get("name", "").strip(), request.form.get("password", "")
        if len(name) > NAME_MAX or len(password) > PASSWORD_MAX:
            return _form("", "login.wrong"), 401
        address = request.remote_addr or ""
        wait_s = throttle.wait_s(name, address, now_s())
        if wait_s:
            return _form(name, "login.wait", wait_s), 429
        user = accounts.check(name, password)
        if user is None:
            throttle.failed(name, address, now_s())
            return _form(name, "login.wrong"), 401
        _enter(user)
        return redirect(safe_path(request.form.get("next", "")) or url_for(HOME.get(user.role, "pages.first")))

    @routes.post("/logout")
    def logout() -> Response:
        session.clear()
        return redirect(url_for("pages.first"))

    return routes


def _enter(user: UserEntry) -> None:
    """Begin a session of its own: nothing of the visitor's old session survives, so none can be fixed beforehand."""
    session.clear()
    session["user"] = user.name
    session.permanent = True


def _form(name: str, wrong: str | None, seconds: int = 0) -> str:
    demo: Iterable[object] = DEMO_LOGINS if current_app.config["DEMO"] else ()
    onward = safe_path(request.values.get("next", ""))
    return render_template("login.html", name=name, wrong=wrong, seconds=seconds, demo=demo, onward=onward)
