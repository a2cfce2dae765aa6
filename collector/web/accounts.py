"""The operator's list of accounts: who may log in to what; make, limit, close, let in anew, end sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import get_args

from flask import Blueprint, abort, g, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from collector.account_desk import Desk
from collector.core.audit import Deed
from collector.registry_rows import Role
from collector.web import access
from collector.web.entrance import Entrance
from wire.errors import Refused

REFUSED = frozenset({"name", "taken", "role", "scope", "self"})
DONE = frozenset({"scope", "disable", "enable", "end"})


def blueprint(entrance: Entrance) -> Blueprint:
    """Routes; every one is limited to accounts of the operator's own scope."""
    routes, views = Blueprint("accounts", __name__), Views(entrance)
    routes.add_url_rule("/accounts", "overview", views.overview, methods=["GET"])
    routes.add_url_rule("/accounts", "add", views.add, methods=["POST"])
    for deed in ("scope", "disable", "enable", "reset", "end"):
        routes.add_url_rule(f"/accounts/<account>/{deed}", deed, getattr(views, deed), methods=["POST"])
    return routes


class Views:
    """The views."""

    def __init__(self, entrance: Entrance) -> None:
        self._entrance = entrance

    def _desk(self) -> Desk:
        return Desk(self._entrance.registry, self._entrance.accounts, self._entrance.sessions, access.scope())

    def overview(self) -> str:
        """The list."""
        return self._page()

    def _page(self, wrong: str = "", link: str = "", named: str = "") -> str:
        done = request.args.get("done", "")
        lines = self._desk().lines(self._entrance.now_ms())
        return render_template(
            "accounts.html", lines=lines, roles=get_args(Role), wrong=wrong if wrong in REFUSED else "", link=link,
            named=named, done=done if done in DONE else "", deeds=self._deeds({line.user.name for line in lines}),
        )  # fmt: skip

    def _deeds(self, names: set[str]) -> list[Deed]:
        """The newest lines of the trail by accounts that are handled here; all of them for whoever sees all units."""
        found = self._entrance.trail.read(200)
        return [one for one in found if access.scope() == "" or one.actor in names][:30]

    def add(self) -> str | tuple[str, int]:
        """POST: a new account; its one-time link is shown this once."""
        form = {name: request.form.get(name, "").strip() for name in ("account", "role", "scope")}
        try:
            text = self._desk().add(form["account"], form["role"], form["scope"], self._entrance.now_ms())
        except Refused as error:
            return self._page(error.reason), 422
        return self._page(link=self._link(text), named=form["account"])

    def _link(self, text: str) -> str:
        return url_for("access.welcome", token=text, _external=True)

    def scope(self, account: str) -> Response | tuple[str, int]:
        """POST: another unit."""
        unit = request.form.get("scope", "").strip()
        return self._do(account, "scope", lambda desk: desk.set_scope(account, unit, self._entrance.now_ms()))

    def disable(self, account: str) -> Response | tuple[str, int]:
        """POST: close it."""
        return self._do(account, "disable", lambda desk: desk.disable(account, self._entrance.now_ms()))

    def enable(self, account: str) -> Response | tuple[str, int]:
        """POST: open it again."""
        return self._do(account, "enable", lambda desk: desk.enable(account, self._entrance.now_ms()))

    def end(self, account: str) -> Response | tuple[str, int]:
        """POST: end its sessions."""
        return self._do(account, "end", lambda desk: desk.end_sessions(account))

    def reset(self, account: str) -> str | tuple[str, int]:
        """POST: a new one-time link, shown this once."""
        if account == g.user.name:
            return self._page("self"), 422
        self._need(account)
        return self._page(link=self._link(self._desk().reset(account, self._entrance.now_ms())), named=account)

    def _need(self, account: str) -> None:
        if not self._desk().handles(account):
            abort(404)

    def _do(self, account: str, deed: str, act: Callable[[Desk], object]) -> Response | tuple[str, int]:
        """Do it; nobody closes or widens his own account."""
        self._need(account)
        if account == g.user.name and deed != "end":
            return self._page("self"), 422
        try:
            act(self._desk())
        except Refused as error:
            return self._page(error.reason), 422
        return redirect(url_for("accounts.overview", done=deed), 303)
