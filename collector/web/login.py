"""The doors of the entrance: login, logout, and the one-time link by which an account sets its password.

One form asks for name, password and code together, so that no answer tells which of them was wrong.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from flask import Blueprint, abort, current_app, redirect, render_template, request, url_for
from werkzeug.wrappers import Response

from collector.registry_rows import UserEntry
from collector.web.access import HOME, safe_path
from collector.web.demo import DEMO_LOGINS
from collector.web.entrance import Entrance

NAME_MAX, PASSWORD_MIN, PASSWORD_MAX, CODE_MAX = 64, 12, 256, 16
DEVICE = "device"
DEVICE_S = 180 * 86_400


def blueprint(entrance: Entrance) -> Blueprint:
    """Login, logout, first password."""
    routes = Blueprint("access", __name__)

    @routes.route("/login", methods=["GET", "POST"])
    def login() -> Response | str | tuple[str, int]:
        return _form("", None) if request.method == "GET" else _login(entrance)

    @routes.post("/logout")
    def logout() -> Response:
        entrance.leave()
        return redirect(url_for("pages.first"))

    @routes.route("/welcome/<token>", methods=["GET", "POST"])
    def welcome(token: str) -> Response | str | tuple[str, int]:
        name = entrance.accounts.invited(token, entrance.now_ms())
        user = entrance.registry.user(name) if name else None
        if user is None:
            abort(404)
        if request.method == "GET":
            return render_template("welcome.html", name=user.name, wrong=None)
        return _welcome(entrance, user, token)

    return routes


def _login(entrance: Entrance) -> Response | tuple[str, int]:
    name, password = request.form.get("name", "").strip(), request.form.get("password", "")
    given = request.form.get("otp", "").strip()
    if len(name) > NAME_MAX or len(password) > PASSWORD_MAX or len(given) > CODE_MAX:
        return _form("", "login.wrong"), 401
    device = request.cookies.get(_device_name())
    user, wait_s = entrance.try_login(name, password, given, device)
    if wait_s:
        return _form(name, "login.wait", wait_s), 429
    if user is None:
        return _form(name, "login.wrong"), 401
    return _enter(entrance, user, device)


def _welcome(entrance: Entrance, user: UserEntry, token: str) -> Response | tuple[str, int]:
    """The first password; a link that somebody else used meanwhile is used up."""
    wrong = wrong_password(user.name, request.form)
    if wrong:
        return render_template("welcome.html", name=user.name, wrong=wrong), 422
    if entrance.accounts.accept(token, entrance.now_ms()) is None:
        abort(404)
    entrance.set_password(user, request.form["password"])
    entrance.sessions.end_all(user.name)
    return _enter(entrance, user, None, "first_login")


def wrong_password(name: str, form: Mapping[str, str]) -> str | None:
    """Key of the sentence that says why a new password cannot be; None if it can."""
    password = form.get("password", "")
    if password != form.get("again", ""):
        return "password.differ"
    if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
        return "password.length"
    if name.lower() in password.lower() or len(set(password)) < 5:
        return "password.easy"
    return None


def _enter(entrance: Entrance, user: UserEntry, device: str | None, how: str = "login") -> Response:
    entrance.enter(user, how)
    kept = entrance.sessions.remember_device(user.name, device, entrance.now_ms())
    onward = safe_path(request.form.get("next", "")) or url_for(HOME.get(user.role, "pages.first"))
    seen = entrance.seen_as(user.name)
    answer = redirect(url_for("account.enrol") if seen is not None and seen.role == "enrolling" else onward)
    is_secure = bool(current_app.config["SESSION_COOKIE_SECURE"])
    answer.set_cookie(_device_name(), kept, max_age=DEVICE_S, secure=is_secure, httponly=True, samesite="Lax")
    return answer


def _device_name() -> str:
    return f"{current_app.config['SESSION_COOKIE_NAME']}-{DEVICE}"


def _form(name: str, wrong: str | None, seconds: int = 0) -> str:
    demo: Iterable[object] = DEMO_LOGINS if current_app.config["DEMO"] else ()
    onward = safe_path(request.values.get("next", ""))
    return render_template("login.html", name=name, wrong=wrong, seconds=seconds, demo=demo, onward=onward)
