"""HTTP/1.1 of the measurement point as values: bytes of a request head in, a reply out. No socket here.

Only what a throughput test needs is spoken: GET, HEAD and POST with a Content-Length. A request may name an
absolute URI (RFC 9112 §3.2.2 obliges a server to accept it), which lets an unmodified client reach the point
through `http_proxy`.
Source: RFC 9112 (HTTP/1.1); facts note 03 §4, "Mini server must serve".
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from xml.sax.saxutils import quoteattr

HEAD_LIMIT_BYTES = 8192
PORTAL_PATH = "/dosong-portal-check"
PORTAL_BODY = b"dosong point v1: this link reaches the internet\n"
"""Exact body of the portal check. A captive portal answers 200 with a body of its own, so status is no proof."""

IMAGE_BYTES = {
    350: 245_388,
    500: 505_544,
    750: 1_118_012,
    1000: 1_986_284,
    1500: 4_468_241,
    2000: 7_907_740,
    2500: 12_407_926,
    3000: 17_816_816,
    3500: 24_262_167,
    4000: 31_625_365,
}
"""Bytes of `random{n}x{n}.jpg`, as Ookla's own servers have them."""

UPLOAD_PATH = "/v1/upload"
UPLOAD_LENGTH_BYTES = 1 << 40
"""Content-Length of an upload that is ended by its client: never reached."""

STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nCache-Control: no-store, no-transform\r\n"
    b"Connection: close\r\n\r\n"
)
"""Head of a download without an end of its own."""

BULK_BYTES = 64 << 10
LARGEST_IMAGE_BYTES = max(IMAGE_BYTES.values())
_IMAGE = re.compile(r"/speedtest/random(\d{3,4})x(\d{3,4})\.jpg")
_HOST = re.compile(r"[A-Za-z0-9.\-\[\]:]{1,255}")
_REASONS = {
    200: "OK",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    410: "Gone",
    411: "Length Required",
    413: "Content Too Large",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    501: "Not Implemented",
    503: "Service Unavailable",
}
_INDEX = (
    b'<!doctype html><title>dosong point</title><script>var config = {upload_extension: "php"};</script>'
    b'<p>upload_extension: "php"<p>Measurement point of the dosong field network / '
    b"\xc4\x90i\xe1\xbb\x83m \xc4\x91o c\xe1\xbb\xa7a m\xe1\xba\xa1ng dosong.\n"
)


class BadRequest(Exception):
    """A head that is no request we answer; `status` says why."""

    def __init__(self, status: int) -> None:
        super().__init__(_REASONS[status])
        self.status = status


@dataclass(frozen=True, slots=True)
class Request:
    """One request head. `path` has no query; `body_bytes` is the Content-Length, 0 if there is no body.

    `query` is what followed the question mark, undecoded.
    """

    method: str
    path: str
    host: str
    body_bytes: int
    keep_alive: bool
    wants_continue: bool
    query: str = ""

    @property
    def measures(self) -> bool:
        """Whether this is of the measuring protocol."""
        return self.path.startswith("/v1/")

    @property
    def is_bulk(self) -> bool:
        """Whether the mini server would move many bytes for it."""
        return self.path.startswith("/speedtest/random") or self.body_bytes > BULK_BYTES


@dataclass(frozen=True, slots=True)
class Reply:
    """What to send: `head` (with any small body), then `image_bytes` bytes of the random file."""

    status: int
    head: bytes
    image_bytes: int = 0
    keep_alive: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """What replies say of the server: its state for `/health` and the caller's address for the client test.

    `history` makes the JSON of the last day's minutes, if it is asked for.
    """

    health: dict[str, int | str]
    peer: str
    history: Callable[[], bytes] = lambda: b"{}"


def parse_head(head: bytes, max_body_bytes: int) -> Request:
    """Read a request head without its empty line.

    Raises BadRequest with 400, 405, 411 or 413 if we do not answer such a request.
    """
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or words[2] not in {"HTTP/1.1", "HTTP/1.0"}:
        raise BadRequest(400)
    method, target, version = words
    fields = _fields(lines[1:])
    if method not in {"GET", "HEAD", "POST"}:
        raise BadRequest(405)
    connection = fields.get("connection", "").lower()
    path, query = _path(target)
    endless = method == "POST" and path == UPLOAD_PATH
    return Request(
        method=method,
        path=path,
        host=_host(fields.get("host", "")),
        body_bytes=_body_bytes(method, fields, UPLOAD_LENGTH_BYTES if endless else max_body_bytes),
        keep_alive="close" not in connection if version == "HTTP/1.1" else "keep-alive" in connection,
        wants_continue=fields.get("expect", "").lower() == "100-continue",
        query=query,
    )


def _fields(lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise BadRequest(400)
        key = name.lower()
        if key == "content-length" and fields.get(key, value.strip()) != value.strip():
            raise BadRequest(400)
        fields[key] = value.strip()
    return fields


def _path(target: str) -> tuple[str, str]:
    if target.startswith("http://"):
        target = "/" + target.removeprefix("http://").partition("/")[2]
    if not target.startswith("/"):
        raise BadRequest(400)
    path, _, query = target.partition("?")
    return path, query


def _host(value: str) -> str:
    return value if _HOST.fullmatch(value) else "localhost"


def _body_bytes(method: str, fields: dict[str, str], limit_bytes: int) -> int:
    length = fields.get("content-length")
    if "transfer-encoding" in fields or (method == "POST" and length is None):
        raise BadRequest(411)
    if length is None:
        return 0
    if not (length.isascii() and length.isdigit()) or len(length) > 15:
        raise BadRequest(400)
    if int(length) > limit_bytes:
        raise BadRequest(413)
    return int(length)


def answer(request: Request, site: Site) -> Reply:
    """Choose the reply to a request whose body, if any, has been read to its end."""
    if request.path == "/speedtest/upload.php":
        return _reply(request, 200, "text/plain", b"size=%d" % request.body_bytes)
    image = _IMAGE.fullmatch(request.path)
    if image and image[1] == image[2] and int(image[1]) in IMAGE_BYTES:
        return _image(request, IMAGE_BYTES[int(image[1])])
    page = _page(request, site)
    if page is None:
        return _reply(request, 404, "text/plain", b"not found\n")
    kind, body = page
    return _reply(request, 200, kind, body)


def refusal(status: int) -> Reply:
    """The reply that ends a connection: a bad head, or no room (503, ask again in 30 s)."""
    body = _REASONS[status].encode() + b"\n"
    extra = "Retry-After: 30\r\n" if status == 503 else ""
    return Reply(status, _head(status, "text/plain", len(body), False, extra) + body)


def words(status: int, text: str, *, keep_alive: bool = False, retry_after_s: int | None = None) -> Reply:
    """A short reply in plain text: a reason word, a colon, one sentence."""
    body = text.encode() + b"\n"
    extra = "" if retry_after_s is None else f"Retry-After: {retry_after_s}\r\n"
    return Reply(status, _head(status, "text/plain", len(body), keep_alive, extra) + body, 0, keep_alive)


def note(body: bytes, *, keep_alive: bool, extra: str = "") -> Reply:
    """A signed note; `extra` is further header lines, each ended by CR LF."""
    return Reply(200, _head(200, "application/octet-stream", len(body), keep_alive, extra) + body, 0, keep_alive)


def _page(request: Request, site: Site) -> tuple[str, bytes] | None:
    match request.path:
        case "/":
            return "text/html; charset=utf-8", _INDEX
        case "/speedtest/latency.txt":
            return "text/plain", b"test=test\n"
        case "/health":
            state = json.dumps(site.health, sort_keys=True).encode()[:-1]
            return "application/json", state + b', "history": ' + site.history() + b"}\n"
        case "/speedtest-config.php":
            return "text/xml", _client_config(site.peer)
        case "/speedtest-servers-static.php" | "/speedtest-servers.php":
            return "text/xml", _server_list(request.host)
    return ("text/plain", PORTAL_BODY) if request.path == PORTAL_PATH else None


def _client_config(peer: str) -> bytes:
    """The four elements that speedtest-cli reads, with Ookla's customary values."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><settings><client ip={quoteattr(peer)} lat="21.03" lon="105.85" '
        'isp="dosong" isprating="3.7" rating="0" ispdlavg="0" ispulavg="0" loggedin="0" country="VN"/>'
        '<server-config threadcount="4" ignoreids="" notonmap="" forcepingid="" preferredserverid=""/>'
        '<download testlength="10" initialtest="250K" mintestsize="250K" threadsperurl="4"/>'
        '<upload testlength="10" ratio="5" initialtest="0" mintestsize="32K" threads="2" '
        'maxchunksize="512K" maxchunkcount="50" threadsperurl="4"/></settings>'
    ).encode()


def _server_list(host: str) -> bytes:
    url = quoteattr(f"http://{host}/speedtest/upload.php")
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><settings><servers><server url={url} lat="21.03" lon="105.85" '
        f'name="dosong point" country="Viet Nam" cc="VN" sponsor="dosong" id="1" host={quoteattr(host)}/>'
        "</servers></settings>"
    ).encode()


def _image(request: Request, size_bytes: int) -> Reply:
    head = _head(200, "image/jpeg", size_bytes, request.keep_alive)
    return Reply(200, head, 0 if request.method == "HEAD" else size_bytes, request.keep_alive)


def _reply(request: Request, status: int, kind: str, body: bytes) -> Reply:
    head = _head(status, kind, len(body), request.keep_alive)
    return Reply(status, head if request.method == "HEAD" else head + body, 0, request.keep_alive)


def _head(status: int, kind: str, length_bytes: int, keep_alive: bool, extra: str = "") -> bytes:
    return (
        f"HTTP/1.1 {status} {_REASONS[status]}\r\nContent-Type: {kind}\r\nContent-Length: {length_bytes}\r\n"
        f"Cache-Control: no-store, no-transform\r\nConnection: {'keep-alive' if keep_alive else 'close'}\r\n"
        f"{extra}\r\n"
    ).encode()
