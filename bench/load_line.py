"""Very many TLS sessions of probes in one process: non-blocking sockets, one epoll, just enough of MQTT 3.1.1.

A session connects, proves itself by its certificate, subscribes to its acknowledgements, and is there. What it does
when the broker drops it is the caller's choice: at once, or after a drawn wait as probes do.
"""

from __future__ import annotations

import heapq
import select
import socket
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from bench.pipeline_wire import _length, _text, publish
from wire import topics

CONNECT, SUBSCRIBE, PING = 0x10, 0x82, b"\xc0\x00"
CONNACK, PUBLISH, PUBACK, SUBACK = 0x20, 0x30, 0x40, 0x90
KEEPALIVE_S = 600
GIVE_UP_S = 30.0
MOST_OPENING = 200
"""Handshakes under way at once; a kernel's queue of listeners is not longer."""
Wait = Callable[[int], float]
"""Seconds before attempt number n (0 is the first) after a session was lost."""


@dataclass(slots=True)
class Session:
    """One probe's line. `ready`: subscribed. `attempt` counts what failed since it was last there."""

    probe: str
    tls: ssl.SSLContext
    sock: socket.socket | None = None
    ready: bool = False
    shaken: bool = False
    attempt: int = 0
    begun_s: float = 0.0
    held: bytearray = field(default_factory=bytearray)
    out: bytearray = field(default_factory=bytearray)
    mid: int = 0


@dataclass(slots=True)
class Lines:
    """All sessions on one epoll. `on_message` gets (session, payload) of each PUBLISH that comes."""

    host: str
    port: int
    wait: Wait
    on_message: Callable[[Session, bytes], None]
    sessions: list[Session] = field(default_factory=list)
    ready: int = 0
    drops: int = 0
    refused: int = 0
    opening: set[int] = field(default_factory=set)
    _due: list[tuple[float, int, Session]] = field(default_factory=list)
    _by_handle: dict[int, Session] = field(default_factory=dict)
    _epoll: select.epoll = field(default_factory=select.epoll)
    _turn: int = 0

    def add(self, session: Session, at_s: float) -> None:
        """Have a session opened at that moment (monotonic)."""
        self.sessions.append(session)
        self._later(session, at_s)

    def _later(self, session: Session, at_s: float) -> None:
        self._turn += 1
        heapq.heappush(self._due, (at_s, self._turn, session))

    def step(self, wait_s: float = 0.02) -> None:
        """Open what is due, move what can be moved."""
        now_s = time.monotonic()
        while self._due and self._due[0][0] <= now_s and len(self.opening) < MOST_OPENING:
            self._open(heapq.heappop(self._due)[2], now_s)
        for handle, mask in self._epoll.poll(wait_s, 2_000):
            session = self._by_handle.get(handle)
            if session is not None:
                self._move(session, mask)

    def expire(self) -> None:
        """Give up handshakes that take too long; call it now and then."""
        now_s = time.monotonic()
        for handle in list(self.opening):
            session = self._by_handle[handle]
            if now_s - session.begun_s > GIVE_UP_S:
                self._lose(session)

    def send(self, session: Session, payload: bytes) -> None:
        """Publish at QoS 1 on the session's own topic."""
        session.mid = session.mid % 65_535 + 1
        session.out += publish(topics.up(session.probe), payload, session.mid)
        self._flush(session)

    def close(self) -> None:
        """End all."""
        for session in self.sessions:
            if session.sock is not None:
                session.sock.close()
        self._epoll.close()

    def _open(self, session: Session, now_s: float) -> None:
        raw = socket.socket()
        raw.setblocking(False)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        raw.connect_ex((self.host, self.port))
        session.sock = raw
        session.shaken, session.ready, session.begun_s = False, False, now_s
        session.held.clear()
        session.out.clear()
        handle = session.sock.fileno()
        self._by_handle[handle] = session
        self.opening.add(handle)
        self._epoll.register(handle, select.EPOLLIN | select.EPOLLOUT)

    def _move(self, session: Session, mask: int) -> None:
        try:
            if not session.shaken:
                self._shake(session, mask)
            if session.shaken:
                self._read(session)
                self._flush(session)
        except (OSError, ValueError):
            self._lose(session)

    def _shake(self, session: Session, mask: int) -> None:
        sock = session.sock
        assert sock is not None
        if mask & (select.EPOLLERR | select.EPOLLHUP):
            raise ConnectionError
        if not isinstance(sock, ssl.SSLSocket):  # connected only now; the handle stays the same
            sock = session.sock = session.tls.wrap_socket(
                sock, do_handshake_on_connect=False, server_hostname=self.host
            )
        try:
            sock.do_handshake()
        except ssl.SSLWantReadError:
            self._epoll.modify(sock.fileno(), select.EPOLLIN)
            return
        except ssl.SSLWantWriteError:
            self._epoll.modify(sock.fileno(), select.EPOLLOUT)
            return
        session.shaken = True
        body = _text("MQTT") + b"\x04\x02" + KEEPALIVE_S.to_bytes(2, "big") + _text(session.probe)
        session.out += bytes([CONNECT]) + _length(len(body)) + body
        self._epoll.modify(sock.fileno(), select.EPOLLIN)

    def _flush(self, session: Session) -> None:
        sock = session.sock
        if sock is None or not session.shaken:
            return
        while session.out:
            try:
                sent = sock.send(session.out)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                self._epoll.modify(sock.fileno(), select.EPOLLIN | select.EPOLLOUT)
                return
            del session.out[:sent]
        self._epoll.modify(sock.fileno(), select.EPOLLIN)

    def _read(self, session: Session) -> None:
        sock = session.sock
        assert sock is not None
        while True:
            try:
                got = sock.recv(65_536)
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                break
            if not got:
                raise ConnectionError
            session.held += got
        while (packet := _whole(session.held)) is not None:
            self._packet(session, *packet)

    def _packet(self, session: Session, kind: int, flags: int, body: bytes) -> None:
        if kind == CONNACK:
            if body[1:2] != b"\x00":
                self.refused += 1
                raise ConnectionError
            packet = b"\x00\x01" + _text(topics.ack(session.probe)) + b"\x01"
            session.out += bytes([SUBSCRIBE]) + _length(len(packet)) + packet
        elif kind == SUBACK:
            handle = session.sock.fileno() if session.sock is not None else -1
            self.opening.discard(handle)
            session.ready, session.attempt = True, 0
            self.ready += 1
        elif kind == PUBLISH:
            size = int.from_bytes(body[:2], "big")
            at = 2 + size
            if flags & 0x06:
                session.out += b"\x40\x02" + body[at : at + 2]
                at += 2
            self.on_message(session, body[at:])

    def _lose(self, session: Session) -> None:
        sock = session.sock
        if sock is None:
            return
        handle = sock.fileno()
        self.opening.discard(handle)
        self._by_handle.pop(handle, None)
        self._epoll.unregister(handle)
        sock.close()
        self.ready -= session.ready
        self.drops += session.ready
        session.sock, session.ready = None, False
        self._later(session, time.monotonic() + self.wait(session.attempt))
        session.attempt += 1


def _whole(held: bytearray) -> tuple[int, int, bytes] | None:
    """The next whole packet: kind, flags, body; None if it has not come yet."""
    length, shift, at = 0, 0, 1
    while True:
        if at >= len(held):
            return None
        length |= (held[at] & 127) << shift
        shift, at = shift + 7, at + 1
        if not held[at - 1] & 128:
            break
    if at + length > len(held):
        return None
    kind, flags, body = held[0] & 0xF0, held[0] & 0x0F, bytes(held[at : at + length])
    del held[: at + length]
    return kind, flags, body
