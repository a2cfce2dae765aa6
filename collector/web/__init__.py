"""The web pages: map, live feed, hamlets, records, and three doors. Server-rendered, vi and en, no outside request."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from flask import Flask, Response, render_template, request
from flask_wtf import CSRFProtect
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from collector.health import read_health
from collector.scopes import Scopes
from collector.settings import Settings, read_secret
from collector.web import (
    accept,
    access,
    account,
    accounts,
    api,
    campaigns,
    claims,
    counts,
    coverage,
    doors,
    headers,
    heads,
    language,
    lean,
    log,
    login,
    pages,
    registry_pages,
    wall,
)
from collector.web.board import blueprint as live_board
from collector.web.cases import blueprint as case_pages
from collector.web.entrance import Entrance
from collector.web.fleet import blueprint as fleet_pages
from collector.web.fleet import make_fleet
from collector.web.guide import blueprint as villagers_guide
from collector.web.interface import install_problems, is_program, refuse_status, refuse_unavailable
from collector.web.office import blueprint as office_pages
from collector.web.packs import blueprint as evidence_packs
from collector.web.ports import HealthSource, Reader, Registry
from collector.web.present import Pages
from collector.web.reports import blueprint as report_pages
from collector.web.verdicts import blueprint as verdict_pages
from collector.web.watch import install as install_machine
from wire.errors import Misconfigured, Unavailable

KNOWN_ERRORS = frozenset({400, 403, 404, 405, 413, 500, 503})
SECRET_MIN = 32
_LOOPBACK = re.compile(r"(127\.[0-9.]+|localhost|\[::1\]):[0-9]+")


def create_app(
    settings: Settings,
    reader: Reader,
    registry: Registry,
    health: HealthSource | None = None,
    now_ms: Callable[[], int] | None = None,
) -> Flask:
    """Build the web application over the read sides of ledger and registry.

    `health` tells what `receive` and `forward` last said (None: their state files); `now_ms` is the wall clock in
    UTC ms. Raises Misconfigured if the file that signs sessions is missing or too short.
    """
    app = Flask(__name__)
    app.config.update(_configuration(settings))
    clock = now_ms or (lambda: time.time_ns() // 1_000_000)
    source = health or (lambda: read_health(settings.state, clock()))
    gathered = Pages(reader, registry, clock)
    entrance = Entrance(registry, settings, app.config["SECRET_KEY"], clock)
    app.extensions["entrance"], app.extensions["scopes"] = entrance, Scopes(registry)
    # The language comes first: what refuses a request later answers with a page in it.
    language.install(app, settings.web.language, gathered)
    accept.make_room(app)
    counts.make_room(app)
    CSRFProtect(app)
    headers.install(app)
    lean.install(app)
    gate = install_machine(app, settings, entrance, gathered, source)
    app.before_request(access.guard(entrance, gate.is_for))
    app.after_request(access.note_refusal)
    _install_people(app, entrance, gathered, settings)
    app.register_blueprint(pages.blueprint(gathered, settings.origin))
    app.register_blueprint(coverage.blueprint(gathered))
    app.register_blueprint(campaigns.blueprint(gathered, registry, settings.state))
    app.register_blueprint(doors.blueprint(gathered, source))
    _install_boards(app, gathered, source, settings)
    app.register_blueprint(claims.blueprint(gathered, settings))
    app.register_blueprint(accept.blueprint(gathered, settings))
    app.register_blueprint(api.blueprint(gathered, source))
    app.register_blueprint(log.blueprint(gathered, settings))
    app.register_blueprint(registry_pages.blueprint(registry, clock))
    _install_errors(app)
    app.register_blueprint(verdict_pages(settings))
    app.register_blueprint(report_pages(gathered, settings))
    for made in (evidence_packs, case_pages, office_pages, villagers_guide):
        app.register_blueprint(made(gathered, settings))
    if settings.web.bind.startswith("unix:"):
        # Only a proxy on this machine reaches a unix socket, so exactly its word on the visitor's address is taken.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    return app


def _install_people(app: Flask, entrance: Entrance, gathered: Pages, settings: Settings) -> None:
    """Who gets in, and what people enter: everything that goes by the entrance."""
    app.register_blueprint(account.blueprint(entrance, settings.origin))
    app.register_blueprint(wall.blueprint(entrance, gathered))
    for part in (login, accounts, heads, counts):
        app.register_blueprint(part.blueprint(entrance))


def _install_boards(app: Flask, gathered: Pages, source: HealthSource, settings: Settings) -> None:
    """The fleet and the live board: they see probes by one watch."""
    fleet = make_fleet(gathered, source)
    app.register_blueprint(fleet_pages(gathered, fleet, settings.registry))
    app.register_blueprint(live_board(gathered, fleet, settings))


def _configuration(settings: Settings) -> dict[str, object]:
    secret = read_secret(settings, "web.secret_file", settings.web.secret_file)
    if secret is None or len(secret) < SECRET_MIN:
        raise Misconfigured(
            f"web.secret_file: it must name a file with at least {SECRET_MIN} random characters; "
            "make one with: openssl rand -hex 32"
        )
    if settings.demo and _LOOPBACK.fullmatch(settings.web.bind) is None:
        raise Misconfigured(
            f"demo = true has logins that everybody knows, so it is served on 127.0.0.1 alone, not {settings.web.bind};"
            " write demo = false, or bind to this machine"
        )
    vendor = Path(__file__).parent / "static" / "vendor"
    return {
        "SECRET_KEY": secret,
        # The prefix has browsers take it from this very host over TLS only, so that no neighbour can fix a session.
        "SESSION_COOKIE_NAME": "dosong" if settings.demo else "__Host-dosong",
        "SESSION_COOKIE_HTTPONLY": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        # A demonstration is looked at over plain HTTP on this machine; everything else stands behind TLS.
        "SESSION_COOKIE_SECURE": not settings.demo,
        # The cookie only names a session, whose ends are the database's (`collector.sessions`); a board has 30 days.
        "PERMANENT_SESSION_LIFETIME": timedelta(days=30),
        "MAX_CONTENT_LENGTH": 64 * 1024,
        "MAX_FORM_MEMORY_SIZE": 16 * 1024,
        "MAX_FORM_PARTS": 20,
        "WTF_CSRF_TIME_LIMIT": None,
        "SEND_FILE_MAX_AGE_DEFAULT": 3600,
        "DEMO": settings.demo,
        "GRAFANA_URL": settings.web.grafana_url or "",
        "HAS_MAP": (vendor / "leaflet.js").is_file() and (vendor / "leaflet.css").is_file(),
    }


def _install_errors(app: Flask) -> None:
    """Answer every error with a page of ours: one sentence, and no word of what is inside."""

    def page(code: int) -> tuple[str, int]:
        known = code if code in KNOWN_ERRORS else 500
        return render_template("error.html", word_key=f"error.{known}", code=code), code

    install_problems(app)

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> tuple[str, int] | HTTPException | Response:
        if is_program() and (error.code or 500) >= 400:
            return refuse_status(error)
        code = error.code or 500
        return error if code < 400 else page(code)

    @app.errorhandler(Unavailable)
    def unavailable(error: Unavailable) -> tuple[str, int] | Response:
        if is_program():
            return refuse_unavailable(error)
        app.logger.warning("%s %s: %s", request.method, request.path, error)
        return page(503)
