"""The enrolment door: four POSTs that are passed on to the authority, and nothing else. An application of its own.

It holds no key and decides nothing; it keeps questions small, few from one address, and answers every mistake with
one line of JSON.
Source: facts note 08 §4, §5; `wire.enrolment`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec
from flask import Flask, request
from flask.wrappers import Response
from werkzeug.exceptions import HTTPException
from werkzeug.middleware.proxy_fix import ProxyFix

from wire.enrolment import LATER, MAX_BODY_BYTES, PREFIX, Reason, Refusal
from wire.errors import Unavailable

ASKS = ("claim", "nonce", "renew", "rotate")
WINDOW_S = 60.0
A_MINUTE = 60
"""Questions from one address in a minute: behind an operator's NAT that is many probes, for a guesser of tokens few."""
Ask = Callable[[str, bytes, str], bytes]
_HTTP: dict[str, int] = {"bad_request": 400, "too_often": 429, "busy": 503, "unavailable": 503}


@dataclass(slots=True)
class Few:
    """Counts questions by address in windows of a minute; what came in an earlier window is forgotten."""

    now_s: Callable[[], float] = time.monotonic
    _window: int = -1
    _counts: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, address: str) -> bool:
        """Whether one more question of this address is taken."""
        with self._lock:
            window = int(self.now_s() / WINDOW_S)
            if window != self._window:
                self._window, self._counts = window, {}
            self._counts[address] = self._counts.get(address, 0) + 1
            return self._counts[address] <= A_MINUTE


def create_door(ask: Ask, few: Few | None = None, *, behind_proxy: bool) -> Flask:
    """Build the application over the line to the authority."""
    app = Flask("dosong-enrol", static_folder=None)
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    counted = few or Few()

    def answer(what: str) -> Response:
        address = request.remote_addr or ""
        if not counted.takes(address):
            return _say(Refusal(error="too_often", detail="too many questions from this address; wait a minute"))
        raw = ask(what, request.get_data(cache=False), address)
        error = msgspec.json.decode(raw, type=dict[str, object]).get("error")
        return _json(raw, 200 if error is None else _HTTP.get(str(error), 409 if error in LATER else 403))

    for what in ASKS:
        app.add_url_rule(f"{PREFIX}/{what}", what, lambda name=what: answer(name), methods=["POST"])
    _install_errors(app)
    if behind_proxy:
        # Only a proxy on this machine reaches a unix socket, so exactly its word on the visitor's address is taken.
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    return app


def _install_errors(app: Flask) -> None:
    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        reason: Reason = "bad_request"
        return _json(msgspec.json.encode(Refusal(error=reason, detail=error.name)), error.code or 500)

    @app.errorhandler(Unavailable)
    def unavailable(error: Unavailable) -> Response:
        app.logger.warning("%s", error)
        return _say(Refusal(error="unavailable", detail="the authority does not answer; try again later"))


def _say(refusal: Refusal) -> Response:
    return _json(msgspec.json.encode(refusal), _HTTP[refusal.error])


def _json(body: bytes, code: int) -> Response:
    answer = Response(body, code, mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["X-Content-Type-Options"] = "nosniff"
    return answer
