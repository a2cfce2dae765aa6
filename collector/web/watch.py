"""For programs that watch: `/readyz` (what is not ready, and what to do) and `/metrics` (Prometheus).

`/readyz` is 200 while records are taken and pages can be read, 503 otherwise; what does not hinder that (boards, the
sealed log) is named too and leaves it at 200. `/metrics` is for technicians and operators, by token.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path

from flask import Blueprint, Flask, g, jsonify, request
from flask.wrappers import Response

from collector.api.build import instant
from collector.api.problems import Wrong
from collector.api.views import Sources
from collector.core.sample import Deliveries
from collector.core.view_health import Fault
from collector.ledger_bulk import BulkReader
from collector.metrics import Facts, Requests, exposition
from collector.seal_store import SealReader
from collector.settings import Settings
from collector.tokens import TokenStore
from collector.verdict_store import VerdictReader
from collector.web import access, interface
from collector.web.doors import HealthView, health_view
from collector.web.entrance import Entrance
from collector.web.gate import Gate
from collector.web.ports import HealthSource
from collector.web.present import Pages
from collector.web.words import say
from wire.errors import Unavailable

NEEDED = ("receive", "broker", "ledger", "registry")
BESIDE = ("forward", "influx", "seal", "seal_broken")
FILES = ("ledger.db", "seal.db", "forward.db", "registry.db")


def install(app: Flask, settings: Settings, entrance: Entrance, pages: Pages, source: HealthSource) -> Gate:
    """Add everything that programs ask: the API, readiness and figures. Returns the gate that stands before it."""
    gate = Gate(settings.api, TokenStore(settings.registry), entrance, time.monotonic, pages.now_ms)
    sources = Sources(pages, BulkReader(settings.ledger), SealReader(settings.seal), VerdictReader(settings.verdicts))
    requests = Requests()
    _count(app, requests)
    app.register_blueprint(interface.blueprint(sources, gate))
    app.register_blueprint(blueprint(pages, source, settings, requests))
    app.extensions["pages"], app.extensions["gate"] = pages, gate
    return gate


def _count(app: Flask, requests: Requests) -> None:
    @app.before_request
    def begin() -> None:
        g.begun_s = time.monotonic()

    @app.after_request
    def end(response: Response) -> Response:
        length_s = time.monotonic() - g.get("begun_s", time.monotonic())
        requests.note(request.endpoint or "none", response.status_code, length_s)
        return response


def blueprint(pages: Pages, source: HealthSource, settings: Settings, requests: Requests) -> Blueprint:
    """Readiness and figures."""
    routes = Blueprint("machine", __name__)

    @routes.get("/readyz")
    def readyz() -> tuple[Response, int]:
        view = health_view(pages, source)
        broken = {fault.word: fault for fault in view.faults if fault.grave == "fault"}
        if not _reads(pages.registry.operators):
            broken["registry"] = Fault("registry", "fault")
        is_ready = not any(word in broken for word in NEEDED)
        words = [word for word in (*NEEDED, *BESIDE) if word in broken]
        body = {"ready": is_ready, "not_ready": [_part(broken[word]) for word in words]}
        return jsonify(body), 200 if is_ready else 503

    @routes.get("/metrics")
    def metrics() -> Response:
        if access.scope():
            raise Wrong("forbidden", roles="technician, operator (all units)")
        facts = gather(pages, source, settings)
        body, media = exposition(facts, requests, request.headers.get("Accept", ""))
        return Response(body, content_type=media)

    return routes


def _part(fault: Fault) -> dict[str, object]:
    """One part that is not ready. What the process itself said may name files, so only our own words go out."""
    since = instant(fault.since_ms)
    number = fault.number if fault.number is not None else 0
    return {
        "part": fault.word,
        "needed": fault.word in NEEDED,
        "since": {"ms": since.ms, "iso": since.iso} if since else None,
        "do": {language: say(f"fault.{fault.word}", language, n=number) for language in ("vi", "en")},
    }


def _reads(ask: Callable[[], object]) -> bool:
    try:
        ask()
    except Unavailable:
        return False
    return True


def gather(pages: Pages, source: HealthSource, settings: Settings) -> Facts:
    """Everything that is told now; a ledger that cannot be read leaves its figures out."""
    view: HealthView = health_view(pages, source)
    is_read = view.facts.ledger_fault is None or view.last_n > 0
    try:
        known = {probe.id for probe in pages.registry.probes()}
        fleet = [state for state in pages.reader.probe_states() if state.probe in known]
    except Unavailable:
        fleet = []
    deliveries: Deliveries | None = view.deliveries if is_read else None
    last_n = view.last_n if is_read else None
    sizes = {name: _size(settings.state, name) for name in FILES}
    return Facts(
        source(), view.faults, deliveries, last_n, view.last_commit_ms, fleet,
        {name: size for name, size in sizes.items() if size is not None}, _free(settings.state),
    )  # fmt: skip


def _size(folder: Path, name: str) -> int | None:
    """Bytes of a database and its write-ahead log; None if it is not there."""
    found = 0
    for path in (folder / name, folder / f"{name}-wal"):
        try:
            found += path.stat().st_size
        except OSError:
            continue
    return found or None


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return None
