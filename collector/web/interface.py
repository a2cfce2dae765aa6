"""`/api/v1` under Flask: a request is read by the table of routes, and answered with JSON, a stream or a problem."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import msgspec
from flask import Blueprint, Flask, request
from flask.wrappers import Response
from werkzeug.exceptions import HTTPException, MethodNotAllowed

from collector.api import bulk, openapi
from collector.api.params import Asked, read_all
from collector.api.problems import Wrong, problem, word_of_status
from collector.api.routes import BASE, ROUTES, Route
from collector.api.views import VIEWS, Caller, Sources, note
from collector.core.view import Language
from collector.web import access
from collector.web.gate import Gate, is_machine
from wire.errors import Unavailable

LOG = logging.getLogger("collector.api")
VARY = "Authorization, Cookie, Accept-Language"
Answerer = Callable[[Asked], Response]


def blueprint(sources: Sources, gate: Gate) -> Blueprint:
    """One rule a route of the table."""
    routes = Blueprint("v1", __name__)
    for route in ROUTES:
        rule = route.path.replace("{", "<").replace("}", ">")
        routes.add_url_rule(rule, route.name, _answering(route, _answerer(route, sources, gate)), methods=["GET"])
    return routes


def _answering(route: Route, answer: Answerer) -> Callable[..., Response]:
    def view(**path: str) -> Response:
        return answer(read_all(route.params, request.args.items(multi=True), path))

    return view


def _answerer(route: Route, sources: Sources, gate: Gate) -> Answerer:
    if route.is_bulk:
        return lambda asked: _stream(route, sources, gate, asked)
    if route.name == "openapi":
        body = msgspec.json.encode(openapi.document())
        return lambda _asked: _answer(body, route.media)
    if route.name == "note":
        return lambda asked: _answer(note(sources, _caller(), asked), route.media)
    seen = VIEWS[route.name]
    return lambda asked: _answer(msgspec.json.encode(seen(sources, _caller(), asked)), route.media)


def _caller() -> Caller:
    return Caller(access.role(), access.scope(), access.sees_positions)


def _answer(body: bytes, media: str) -> Response:
    """An answer that is asked for again by its ETag."""
    response = Response(body, mimetype=media)
    response.headers["Cache-Control"] = "private, no-cache"
    response.headers["Vary"] = VARY
    response.add_etag()
    response.make_conditional(request)
    return response


def _stream(route: Route, sources: Sources, gate: Gate, asked: Asked) -> Response:
    """A bulk download; the first rows are read before the head is sent, so that what fails at once is a problem."""
    name, _, form = route.name.rpartition("_")
    with ExitStack() as held:
        held.enter_context(gate.bulk())
        # Who asks is settled now: while a stream runs there is no request to ask any more.
        caller = _settled()
        table = bulk.TABLES[name](sources, caller, asked)
        texts = bulk.csv_text(table, asked["limit"], bom=asked["bom"]) if form == "csv" else bulk.ndjson_text(
            table, asked["limit"])  # fmt: skip
        first = next(texts)
        LOG.info("bulk began route=%s caller=%s", route.name, access.name())
        response = Response(_Sending(first, texts, held.pop_all()), mimetype=route.media)
    response.headers["Content-Disposition"] = f'attachment; filename="dosong-{name}.{form}"'
    return response


class _Sending(Iterator[bytes]):
    """The rest of a stream; `close`, which the server calls however it ends, gives the place back."""

    def __init__(self, first: str, texts: Iterator[str], held: ExitStack) -> None:
        self._first: str | None = first
        self._texts = texts
        self._held = held

    def __next__(self) -> bytes:
        text, self._first = self._first, None
        return (next(self._texts) if text is None else text).encode()

    def close(self) -> None:
        self._held.close()


def _settled() -> Caller:
    seen = {simulated: access.sees_positions(simulated) for simulated in (False, True)}
    return Caller(access.role(), access.scope(), seen.__getitem__)


def language() -> Language:
    """Language of a problem: what the caller accepts, English if it does not say."""
    return "vi" if request.accept_languages.best_match(["en", "vi"], "en") == "vi" else "en"


def refuse(wrong: Wrong) -> Response:
    """The problem as an answer."""
    found = problem(wrong, request.path[:200], language())
    response = Response(msgspec.json.encode(found), status=found.status, mimetype="application/problem+json")
    response.headers["Vary"] = VARY
    if wrong.wait_s is not None:
        response.headers["Retry-After"] = str(wrong.wait_s)
    if found.status == 401:
        given = "" if wrong.word == "token_missing" else f', error="invalid_token", error_description="{wrong.word}"'
        response.headers["WWW-Authenticate"] = f'Bearer realm="dosong"{given}'
    return response


def is_program() -> bool:
    """Whether this request is for a program, so that its errors are problems."""
    return request.path.startswith(f"{BASE}/") or request.path == BASE or is_machine(request.endpoint)


def refuse_status(error: HTTPException) -> Response:
    """The problem for what the framework refuses by a status of its own."""
    response = refuse(Wrong(word_of_status(error.code or 500), wait_s=None))
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        response.headers["Allow"] = ", ".join(sorted(error.valid_methods))
    return response


def install_problems(app: Flask) -> None:
    """Have refusals of the gate and of views answered."""

    @app.errorhandler(Wrong)
    def _wrong(error: Wrong) -> Response:
        return refuse(error)


def refuse_unavailable(error: Unavailable) -> Response:
    """The problem for a ledger or registry that cannot be read now."""
    LOG.warning("unavailable route=%s: %s", request.endpoint, error)
    return refuse(Wrong("unavailable", wait_s=60))
