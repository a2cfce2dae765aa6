"""My account: password, second factor, recovery codes, and where I am logged in."""

from __future__ import annotations

from flask import Blueprint, abort, g, redirect, render_template, request, session, url_for
from werkzeug.wrappers import Response

from collector import qr
from collector.core import totp
from collector.registry_rows import UserEntry
from collector.web.entrance import Entrance
from collector.web.login import wrong_password


def blueprint(entrance: Entrance, issuer: str) -> Blueprint:
    """Routes of one's own account. `issuer` is the name that an authenticator app shows."""
    routes = Blueprint("account", __name__)
    mine = Mine(entrance, issuer)
    for name, address, methods in (
        ("overview", "/account", ["GET"]),
        ("change_password", "/account/password", ["POST"]),
        ("enrol", "/account/second-factor", ["GET", "POST"]),
        ("renew_codes", "/account/recovery", ["POST"]),
        ("end_session", "/account/sessions", ["POST"]),
    ):
        routes.add_url_rule(address, name, getattr(mine, name), methods=methods)
    return routes


class Mine:
    """The views."""

    def __init__(self, entrance: Entrance, issuer: str) -> None:
        self._entrance = entrance
        self._issuer = issuer

    def overview(self) -> str:
        """The page of one's account."""
        return self._page()

    def _page(self, wrong: str | None = None, codes: list[str] | None = None) -> str:
        user, now_ms = self._me(), self._entrance.now_ms()
        return render_template(
            "account.html", me=user, kept=self._entrance.accounts.get(user.name), wrong=wrong, codes=codes,
            codes_left=self._entrance.accounts.codes_left(user.name), here=g.session.name,
            sessions=self._entrance.sessions.of(user.name, "login", now_ms), done=request.args.get("done", ""),
            deeds=self._entrance.trail.read(20, user.name), is_demo_login=self._is_demo(user),
        )  # fmt: skip

    def _is_demo(self, user: UserEntry) -> bool:
        return self._entrance.registry.user(user.name) is None

    def _me(self) -> UserEntry:
        """The account itself, not the role that it has while it is enrolling."""
        user = self._entrance.named(g.user.name)
        if user is None:
            abort(403)
        return user

    def _proved(self) -> bool:
        """Whether the password that came with the form is this account's own; tries count as logins do."""
        user, address, now_ms = self._me(), request.remote_addr or "", self._entrance.now_ms()
        one, _wait_s = self._entrance.sessions.ask(user.name, address, None, now_ms)
        if one is None or not self._entrance.has_password(user, request.form.get("current", "")):
            return False
        self._entrance.sessions.passed(one)
        return True

    def change_password(self) -> Response | tuple[str, int]:
        """POST: another password; every other session ends."""
        user = self._me()
        if self._is_demo(user):
            return self._page("password.demo"), 422
        if not self._proved():
            return self._page("password.wrong"), 422
        wrong = wrong_password(user.name, request.form)
        if wrong:
            return self._page(wrong), 422
        self._entrance.set_password(user, request.form["password"])
        self._entrance.sessions.end_all(user.name, but=session["sid"])
        return redirect(url_for("account.overview", done="password"), 303)

    def enrol(self) -> Response | str | tuple[str, int]:
        """Set up the second factor: the key as QR code and text, and the first code to prove that it arrived."""
        user, now_ms = self._me(), self._entrance.now_ms()
        if self._is_demo(user) or self._entrance.accounts.has_totp(user.name):
            return redirect(url_for("account.overview"), 303)
        secret = self._entrance.accounts.propose_totp(user.name, now_ms)
        address = totp.address(secret, user.name, self._issuer)
        shown = {"key": totp.base32(secret), "address": address, "code": qr.data_address(address)}
        if request.method == "GET":
            return render_template("enrol.html", wrong=None, **shown)
        given = request.form.get("otp", "").replace(" ", "")[:16]
        codes = self._entrance.accounts.confirm_totp(user.name, given, now_ms)
        if codes is None:
            return render_template("enrol.html", wrong="enrol.wrong", **shown), 422
        self._entrance.sessions.end_all(user.name, but=session["sid"])
        g.user = user
        return self._page(codes=codes)

    def renew_codes(self) -> str | tuple[str, int]:
        """POST: new recovery codes."""
        user = self._me()
        if not self._entrance.accounts.has_totp(user.name) or not self._proved():
            return self._page("password.wrong"), 422
        return self._page(codes=self._entrance.accounts.renew_codes(user.name))

    def end_session(self) -> Response:
        """POST: end one of one's own sessions, or all others."""
        name, which = self._me().name, request.form.get("session", "")
        if which == "others":
            self._entrance.sessions.end_all(name, but=session["sid"])
        elif not self._entrance.sessions.end_named(name, "login", which):
            abort(404)
        return redirect(url_for("account.overview", done="session"), 303)
