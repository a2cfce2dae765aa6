"""One small HTTP exchange by one interface, timed. No library: `http.client` costs a child more than its whole test.

Source: measuring protocol v1; RFC 9112.
"""

from __future__ import annotations

import socket
import time
from dataclasses import dataclass

from probe.core import engine_http
from probe.core.engine_terms import Trust
from probe.devices.bound import bind_to, family_of

TIMEOUT_S = 6.0
MOST_BODY_BYTES = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """What came. `connect_us` and `first_byte_us` count from the start of the connection; TLS lies between them."""

    reply: engine_http.Reply
    body: bytes
    connect_us: int
    first_byte_us: int


def ask(
    interface: str, address: tuple[str, int], path: str, host: str, fields: str = "", trust: Trust | None = None
) -> Answer:
    """GET `path`, with `fields` in the head, on a connection of its own, 6 s at most for each wait and 12 s in all.

    Over TLS with a `trust`.

    Raises OSError (TimeoutError included), NotOurs if what comes is no HTTP, and NotTrusted.
    """
    started_s = time.monotonic()
    with socket.socket(family_of(address[0]), socket.SOCK_STREAM) as plain:
        bind_to(plain, interface)
        plain.settimeout(TIMEOUT_S)
        plain.connect(address)
        connect_us = _since_us(started_s)
        if trust is None:
            return _exchange(plain, engine_http.get(path, host, fields), started_s, connect_us)
        from probe.devices import tls  # noqa: PLC0415 - only where it is wanted: see there

        with tls.wrapped(plain, trust) as sock:
            return _exchange(sock, engine_http.get(path, host, fields), started_s, connect_us)


def _exchange(sock: socket.socket, request: bytes, started_s: float, connect_us: int) -> Answer:
    sock.sendall(request)
    received = sock.recv(4096)
    first_byte_us = _since_us(started_s)
    while more := _wanted(received):
        if time.monotonic() - started_s > 2 * TIMEOUT_S:
            raise TimeoutError
        part = sock.recv(more)
        if not part:
            break
        received += part
    reply = engine_http.read_head(received)
    if reply is None:
        raise engine_http.NotOurs("the connection ended inside the head")
    return Answer(reply, received[reply.head_bytes :], connect_us, first_byte_us)


def _wanted(received: bytes) -> int:
    """How many bytes to read next; 0 once the answer is whole or too long for one of ours."""
    if not received or len(received) > MOST_BODY_BYTES:
        return 0
    reply = engine_http.read_head(received)
    if reply is None:
        return 4096
    length = reply.fields.get("content-length", "")
    if length.isascii() and length.isdigit():
        return max(0, min(int(length), MOST_BODY_BYTES) - (len(received) - reply.head_bytes))
    return 4096


def _since_us(started_s: float) -> int:
    return round((time.monotonic() - started_s) * 1_000_000)
