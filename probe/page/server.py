"""The page's server: HTTP/1.0 of the standard library, one connection a request, and nothing that it need not answer.

What a stranger on the access point can do is bounded: eight connections at a time, ten seconds each however slowly the
bytes drip, 512 bytes of form, and the one name under which it answers (a name of another site that points here would
let that site's script in). Cookies are HttpOnly and SameSite=Strict; every form carries the session's token.
Source: facts note 08 §4 (web hardening); RFC 9110; OWASP ASVS (sessions, CSRF, DNS rebinding).
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from socketserver import TCPServer, ThreadingMixIn
from typing import Any, ClassVar, cast
from urllib.parse import parse_qs

from probe.core.doctor_words import LANGUAGES, Language
from probe.page import view
from probe.page.room import Room
from probe.page.session import Closed, Porter, Session, is_token
from probe.page.view import Picture
from probe.page.words import word
from wire import visit

COOKIE = "visit"
MOST_CONNECTIONS = 8
CONNECTION_S = 10.0
MOST_BODY_BYTES = 512
STATIC = {
    "/page.css": ("page.css", "text/css; charset=utf-8"),
    "/page.js": ("page.js", "text/javascript; charset=utf-8"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
}
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True)
class Site:
    """What the server serves: whose page it is, under which names it answers, who keeps the door, what is behind it."""

    site: str
    hosts: tuple[str, ...]
    language: Language
    porter: Porter
    room: Room


class PageServer(ThreadingMixIn, TCPServer):
    """Serves a socket that is listening already."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, sock: socket.socket, site: Site, touched: Callable[[], None]) -> None:
        super().__init__(sock.getsockname(), Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.site, self.touched = sock, site, touched
        self._room = threading.BoundedSemaphore(MOST_CONNECTIONS)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Serve in a thread, or close at once while all places are taken."""
        if self._room.acquire(blocking=False):
            super().process_request(request, client_address)
        else:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve one connection; whoever drips is cut off."""
        cut = threading.Timer(CONNECTION_S, _cut, (request,))
        cut.daemon = True
        cut.start()
        try:
            super().process_request_thread(request, client_address)
        finally:
            cut.cancel()
            self._room.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A connection that broke is nobody's business: no trace of it is printed."""


def _cut(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class Handler(BaseHTTPRequestHandler):
    """One request."""

    timeout: ClassVar[float] = 5.0
    server_version = "dosong"
    sys_version = ""

    @property
    def _site(self) -> Site:
        return cast("PageServer", self.server).site

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing of what strangers ask for goes into the log."""

    def send_error(self, code: int, *_: Any, **__: Any) -> None:
        """Answer what the library itself refuses as shortly as anything else."""
        self._send(code, "text/plain; charset=utf-8", f"{HTTPStatus(code).phrase}\n".encode())

    def do_GET(self) -> None:
        """Answer a page or one of its files."""
        if not self._is_ours():
            return
        if self.path in STATIC:
            name, kind = STATIC[self.path]
            self._send(200, kind, (Path(__file__).parent / "static" / name).read_bytes())
            return
        language, rest = self._language()
        if language is None:
            self._redirect(f"/{self._site.language}") if self.path == "/" else self._missing()
        elif rest in ("", "live"):
            self._page(language, is_part=rest == "live")
        else:
            self._missing()

    def do_POST(self) -> None:
        """Take a form."""
        if not self._is_ours() or not self._is_same_origin():
            return
        language, rest = self._language()
        form = self._form()
        if language is None or form is None:
            self._missing()
        elif rest == "open":
            self._open(language, form)
        elif rest in ("test", "leave"):
            self._act(language, rest, form)
        else:
            self._missing()

    def _is_ours(self) -> bool:
        """Whether the request names this very page: a foreign name that was made to point here gets nothing."""
        if self.headers.get("Host", "").lower() in self._site.hosts:
            cast("PageServer", self.server).touched()
            return True
        self._text(421, word("error.host", self._site.language))
        return False

    def _is_same_origin(self) -> bool:
        origin, fetched = self.headers.get("Origin"), self.headers.get("Sec-Fetch-Site", "same-origin")
        is_own = origin is None or origin in {f"http://{host}" for host in self._site.hosts}
        if is_own and fetched in ("same-origin", "none"):
            return True
        self._text(403, word("error.host", self._site.language))
        return False

    def _language(self) -> tuple[Language | None, str]:
        _, first, *rest = self.path.split("/", 2) if self.path.startswith("/") else ("", "")
        found = next((language for language in LANGUAGES if language == first), None)
        return found, rest[0] if rest else ""

    def _form(self) -> dict[str, str] | None:
        """The fields of a small form; None if it is none."""
        length = self.headers.get("Content-Length", "")
        if not (length.isascii() and length.isdigit()) or int(length) > MOST_BODY_BYTES:
            return None
        body = self.rfile.read(int(length)).decode("ascii", "replace")
        try:
            return {name: values[-1] for name, values in parse_qs(body, max_num_fields=4).items()}
        except ValueError:
            return None

    def _cookie(self) -> str | None:
        try:
            found = SimpleCookie(self.headers.get("Cookie", "")).get(COOKIE)
        except CookieError:
            return None
        return found.value if found else None

    def _session(self) -> Session | None:
        return self._site.porter.session(self._cookie())

    def _page(self, language: Language, *, is_part: bool) -> None:
        session = self._session()
        if session is None:
            text = view.login(self._picture(language))
            self._html(401 if is_part else 200, text)
            return
        picture = self._picture(language, session)
        self._html(200, view.parts(picture) if is_part else view.whole(picture))

    def _picture(self, language: Language, session: Session | None = None) -> Picture:
        if session is None:
            return Picture(language=language, site=self._site.site)
        seen, levels, refusal = self._site.room.look()
        return Picture(
            language=language,
            site=self._site.site,
            seen=seen,
            levels=levels,
            token=session.token,
            refusal=refusal,
        )

    def _open(self, language: Language, form: dict[str, str]) -> None:
        """Let in whoever knows a code that was never used."""
        typed = form.get("code", "")
        try:
            cookie = self._site.porter.open(typed, self.client_address[0])
        except Closed as closed:
            minutes = max(1, round(closed.seconds / 60 + 0.5))
            self._refuse(429, language, word("open.closed", language, minutes=minutes))
            return
        if cookie is None:
            self._refuse(403, language, word("open.slip" if visit.normal(typed) is None else "open.wrong", language))
            return
        self._site.room.enter()
        self._redirect(f"/{language}", f"{COOKIE}={cookie}; Path=/; HttpOnly; SameSite=Strict")

    def _refuse(self, status: int, language: Language, problem: str) -> None:
        self._html(status, view.login(self._picture(language), problem))

    def _act(self, language: Language, what: str, form: dict[str, str]) -> None:
        session = self._session()
        if session is None or not is_token(session, form.get("token", "")):
            self._refuse(403, language, word("error.lost", language))
            return
        if what == "leave":
            self._site.porter.leave(self._cookie())
            self._redirect(f"/{language}", f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict")
            return
        self._site.room.test()
        self._redirect(f"/{language}")

    def _missing(self) -> None:
        self._text(404, word("error.gone", self._site.language))

    def _text(self, status: int, text: str) -> None:
        self._html(status, view.message(Picture(language=self._site.language, site=self._site.site), text))

    def _html(self, status: int, text: str) -> None:
        self._send(status, "text/html; charset=utf-8", text.encode())

    def _redirect(self, path: str, cookie: str | None = None) -> None:
        self._send(
            303, "text/plain; charset=utf-8", b"", {"Location": path} | ({"Set-Cookie": cookie} if cookie else {})
        )

    def _send(self, status: int, kind: str, body: bytes, more: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (HEADERS | {"Content-Type": kind, "Content-Length": str(len(body))} | (more or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
