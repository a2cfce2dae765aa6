"""One look at the modem's link, in a process of its own: why does a registered modem reach nothing?

Run as `python -S -m probe.check_link`: one JSON request on standard input, one line of JSON (`Findings`) on standard
output. Every socket is bound to the link's interface and names are asked of the link's own servers. The echo comes
first, then all other parts at once, for a test may be due: some 7 KB and at most 10 s, then an alarm ends it.
Source: facts note 05 §4 (captive-portal check in three parts); design §5 (libraries load only in children).
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import ssl
import struct
import sys
import threading
import time
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from typing import Any

from probe.core import dns, engine_http
from probe.core.findings import Findings, LookRequest, Names, Tls, Web
from probe.devices import ask, bound, links
from probe.devices.echo import Echo

ECHO_TRIES, ECHO_WAIT_S = 2, 1.5
NAME_WAIT_S = 1.5
CONNECT_S = 3.0
HANDSHAKE_S = 6.0
LIMIT_S = 15
SAID_CHARACTERS = 300
_NO_SUCH_NAME = 3
_OUT_OF_TIME = frozenset({9, 10})
"""X509_V_ERR_CERT_NOT_YET_VALID, X509_V_ERR_CERT_HAS_EXPIRED: openssl-verification-options(1)."""
_OTHER_NAME = frozenset({62, 63, 64})
"""The broker's own certificate under a name of another kind: a mistake of ours, not a portal's."""


def look(request: LookRequest) -> Findings:
    """Look at the link, part by part."""
    if links.read_bytes(request.interface) is None:
        return Findings("missing")
    if not _has_bearer(request):
        return Findings("no_bearer")
    echo = _echo(request)
    if echo and request.stops_early:
        return Findings(echo=True)
    found: dict[str, Any] = {}
    parts: dict[str, Callable[[], Any]] = {"names": lambda: _names(request)}
    if request.web is not None:
        parts["page"] = lambda: _web(request)
    if request.broker is not None:
        parts["tls"] = partial(_tls, request, request.broker)
    parts |= {str(other): partial(_connects, request, other) for other in request.others}
    _at_once(parts, found)
    web, said = found.get("page", (None, ""))
    others = any(found[str(other)] for other in request.others) if request.others else None
    return Findings(echo=echo, names=found["names"], web=web, said=said, tls=found.get("tls"), others=others)


def _at_once(parts: Mapping[str, Callable[[], Any]], found: dict[str, Any]) -> None:
    """Do all parts in threads of their own, and put what each returns into `found`."""

    def do(name: str, work: Callable[[], Any]) -> None:
        found[name] = work()

    threads = [threading.Thread(target=do, args=part) for part in parts.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _has_bearer(request: LookRequest) -> bool:
    """Whether the interface has an address and a route: what has none refuses a datagram socket its peer."""
    target = request.echo or (request.others[0] if request.others else None)
    if target is None:
        return True
    try:
        with bound.datagram(request.interface, bound.family_of(target[0])) as sock:
            sock.connect(target)
    except OSError:
        return False
    return True


def _echo(request: LookRequest) -> bool | None:
    """Whether one of two more echoes is answered; the first answer is enough."""
    if request.echo is None:
        return None
    try:
        echo = Echo(request.interface, *request.echo)
    except OSError:
        return False
    with contextlib.closing(echo):
        return any(echo.series(1, 0.0, ECHO_WAIT_S)[0] is not None for _ in range(ECHO_TRIES))


def _names(request: LookRequest) -> Names | None:
    """Ask for a name that nobody has. A server that cannot ask further (SERVFAIL) counts as silent."""
    if not request.dns:
        return None
    asked = dns.question(f"{os.urandom(8).hex()}.com", dns.TYPE_A, struct.unpack(">H", os.urandom(2))[0])
    for server in request.dns:
        answer = _answer(request.interface, server, asked)
        if answer is None:
            continue
        with contextlib.suppress(dns.BadAnswer):
            try:
                return "lie" if dns.addresses(answer, asked) else "right"
            except dns.ErrorCode:
                if answer[3] & 0x0F == _NO_SUCH_NAME:
                    return "right"
    return "silent"


def _answer(interface: str, server: str, asked: bytes) -> bytes | None:
    """The first datagram that a name server sends back; None if none came in time."""
    try:
        with bound.datagram(interface, bound.family_of(server)) as sock:
            sock.settimeout(NAME_WAIT_S)
            sock.connect((server, 53))
            sock.send(asked)
            return sock.recv(4096)
    except OSError:
        return None


def _web(request: LookRequest) -> tuple[Web, str]:
    """Fetch our point's known page over plain HTTP: a portal cannot leave that alone."""
    assert request.web is not None  # noqa: S101 - the caller has looked
    host, port = request.web
    address = _address(request, host)
    if address is None:
        return "no_name", ""
    try:
        answer = ask.ask(request.interface, (address, port), engine_http.PORTAL_PATH, f"{host}:{port}")
    except engine_http.NotOurs:
        return "other", ""
    except ConnectionError:
        return "refused", ""
    except OSError:
        return "silent", ""
    return _page(answer)


def _page(answer: ask.Answer) -> tuple[Web, str]:
    """Judge a page: an error that a server of ours may send itself is no portal."""
    status = answer.reply.status
    if status == 200 and answer.body == engine_http.PORTAL_BODY:
        return "exact", ""
    if status != 511 and status >= 400:
        return "refused", ""
    text = answer.reply.fields.get("location", "") + " " + answer.body.decode("utf-8", "replace")
    return "other", plain(text)[:SAID_CHARACTERS]


def plain(text: str) -> str:
    """Text without Vietnamese marks, in small letters, printable ASCII only."""
    bare = unicodedata.normalize("NFD", text.lower().replace("đ", "d"))
    return "".join(c for c in bare if " " <= c <= "~")


def _address(request: LookRequest, host: str) -> str | None:
    """A host's address by the link's own servers; None if they do not know it."""
    if bound.is_literal(host):
        return host
    try:
        return bound.resolve(host, request.dns, request.interface, NAME_WAIT_S)[0]
    except (bound.NoAnswer, OSError):
        return None


def _tls(request: LookRequest, broker: tuple[str, int]) -> Tls | None:
    """Shake hands with the broker; None if its name cannot be asked for, since the link's servers are not known."""
    host, port = broker
    if not bound.is_literal(host) and not request.dns:
        return None
    address = _address(request, host)
    if address is None:
        return "no_name"
    context = ssl.create_default_context(cafile=request.broker_files[0])
    context.load_cert_chain(*request.broker_files[1:])
    try:
        with _connected(request.interface, (address, port), HANDSHAKE_S) as sock:
            context.wrap_socket(sock, server_hostname=host).close()
    except OSError as error:
        return _tls_word(error)
    return "ok"


def _tls_word(error: OSError) -> Tls:
    """What a failed handshake says; errors of ssl are OSErrors too."""
    if isinstance(error, ssl.SSLCertVerificationError):
        if error.verify_code in _OTHER_NAME:
            return "refused"
        return "bad_time" if error.verify_code in _OUT_OF_TIME else "foreign"
    if isinstance(error, ConnectionRefusedError):
        return "refused"
    is_cut = isinstance(error, ConnectionError) or (isinstance(error, ssl.SSLError) and "timed out" not in str(error))
    return "reset" if is_cut else "silent"


def _connects(request: LookRequest, other: tuple[str, int]) -> bool:
    """Whether an independent target takes a connection; it is closed at once."""
    try:
        _connected(request.interface, other, CONNECT_S).close()
    except OSError:
        return False
    return True


def _connected(interface: str, address: tuple[str, int], timeout_s: float) -> socket.socket:
    """A connection by the interface. Raises OSError."""
    sock = socket.socket(bound.family_of(address[0]), socket.SOCK_STREAM)
    try:
        bound.bind_to(sock, interface)
        sock.settimeout(timeout_s)
        sock.connect(address)
    except OSError:
        sock.close()
        raise
    return sock


def read_request(line: bytes) -> LookRequest:
    """A request as it comes over standard input."""
    given = json.loads(line)
    pairs = {name: tuple(given[name]) for name in ("echo", "web", "broker") if given.get(name)}
    others = tuple((str(host), int(port)) for host, port in given.get("others", ()))
    files = {"dns": tuple(given.get("dns", ())), "broker_files": tuple(given.get("broker_files", ("", "", "")))}
    return LookRequest(given["interface"], others=others, stops_early=bool(given.get("stops_early")), **pairs, **files)


def _end_with_parent() -> None:
    """Leave at once when standard input ends."""
    while sys.stdin.buffer.read(1):
        pass
    os._exit(1)


def main() -> None:
    """Read the request, look, say what was found."""
    request = read_request(sys.stdin.buffer.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    signal.alarm(LIMIT_S)
    began_s = time.monotonic()
    found = look(request)
    os.write(1, json.dumps(asdict(found) | {"took_ms": round((time.monotonic() - began_s) * 1000)}).encode() + b"\n")
    os._exit(0)  # the thread holds standard input's lock


if __name__ == "__main__":
    main()
