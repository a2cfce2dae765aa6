"""The point's one loop: epoll over the listener, the connections and the UDP echo, on a single thread.

Source: design §6; facts note 03 §4 (an epoll server with sendfile and MSG_TRUNC was fast enough at 300 Mbit/s).
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import time
from dataclasses import dataclass

from point.connection import Connection, Phase, Service
from point.echo import answer_waiting, want_destination
from point.protocol import LARGEST_IMAGE_BYTES, Site
from point.settings import Settings
from wire.errors import Misconfigured

log = logging.getLogger("point")

ECHOES_PER_TURN = 64
EVENTS_PER_TURN = 32
SPARE_CONNECTIONS = 64  # room to say 503 instead of hanging up
SWEEP_S = 1.0
SUMMARY_S = 60.0


@dataclass(slots=True)
class Totals:
    """Counts since the last summary line."""

    connections: int = 0
    refused: int = 0
    requests: int = 0
    sent_bytes: int = 0
    received_bytes: int = 0
    echoes: int = 0


class Server:
    """Listens from construction on; `run` serves until `stop` is called (safe from a signal handler)."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._listener = _bound(settings, socket.SOCK_STREAM, settings.port)
        self.port: int = self._listener.getsockname()[1]
        try:
            self._echo = _bound(settings, socket.SOCK_DGRAM, _udp_port(settings, self.port))
        except Misconfigured:
            self._listener.close()
            raise
        self.udp_port: int = self._echo.getsockname()[1]
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._service = Service(_random_file(), settings.max_upload_bytes, self._site)
        self._epoll = select.epoll()
        for fd in (self._listener.fileno(), self._echo.fileno(), self._wake_read):
            self._epoll.register(fd, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._stopping = False
        self._started_s = time.monotonic()
        self._totals = Totals()

    def stop(self) -> None:
        """Make `run` return at once."""
        self._stopping = True
        os.write(self._wake_write, b"x")

    def run(self) -> None:
        """Serve until stopped, then close every socket."""
        now_s = time.monotonic()
        sweep_s, summary_s = now_s + SWEEP_S, now_s + SUMMARY_S
        while not self._stopping:
            events = self._epoll.poll(max(0.0, sweep_s - now_s), EVENTS_PER_TURN)
            now_s = time.monotonic()
            self._turn(events, now_s)
            if now_s >= sweep_s:
                self._sweep(now_s)
                sweep_s = now_s + SWEEP_S
            if now_s >= summary_s:
                self._summarise()
                summary_s = now_s + SUMMARY_S
        self._close()

    def _turn(self, events: list[tuple[int, int]], now_s: float) -> None:
        # First: a latency probe must not queue behind bulk data.
        self._totals.echoes += answer_waiting(self._echo, ECHOES_PER_TURN)
        for fd, _mask in events:
            if fd == self._listener.fileno():
                self._accept(now_s)
            elif (connection := self._connections.get(fd)) is not None:
                self._advance(fd, connection, now_s)

    def _accept(self, now_s: float) -> None:
        for _ in range(EVENTS_PER_TURN):
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED):
                    raise
                return
            self._admit(sock, address[0], now_s)

    def _admit(self, sock: socket.socket, peer: str, now_s: float) -> None:
        count = len(self._connections)
        busy = count >= self._settings.max_connections
        self._totals.refused += busy
        if count >= self._settings.max_connections + SPARE_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._totals.connections += 1
        self._connections[sock.fileno()] = Connection(sock, peer, self._service, now_s, busy=busy)
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _advance(self, fd: int, connection: Connection, now_s: float) -> None:
        wanted_write = connection.wants_write
        connection.step(now_s)
        if connection.ended is not None:
            self._drop(fd, connection, connection.ended)
        elif connection.wants_write != wanted_write:
            self._epoll.modify(fd, select.EPOLLOUT if connection.wants_write else select.EPOLLIN)

    def _drop(self, fd: int, connection: Connection, why: str) -> None:
        self._epoll.unregister(fd)
        del self._connections[fd]
        connection.close()
        self._totals.requests += connection.requests
        self._totals.sent_bytes += connection.sent_bytes
        self._totals.received_bytes += connection.received_bytes
        log.debug(
            "connection peer=%s requests=%d received_bytes=%d sent_bytes=%d duration_ms=%d end=%r",
            connection.peer,
            connection.requests,
            connection.received_bytes,
            connection.sent_bytes,
            (time.monotonic() - connection.opened_s) * 1000,
            why,
        )

    def _sweep(self, now_s: float) -> None:
        for fd, connection in list(self._connections.items()):
            why = _overdue(connection, self._settings, now_s)
            if why is not None:
                self._drop(fd, connection, why)

    def _site(self, peer: str) -> Site:
        health: dict[str, int | str] = {
            "status": "ok",
            "program": "dosong-point",
            "connections": len(self._connections),
            "max_connections": self._settings.max_connections,
            "udp_port": self.udp_port,
            "uptime_s": int(time.monotonic() - self._started_s),
        }
        return Site(health, peer)

    def _summarise(self) -> None:
        totals, self._totals = self._totals, Totals()
        log.info(
            "minute open=%d connections=%d refused=%d requests=%d received_bytes=%d sent_bytes=%d echoes=%d",
            len(self._connections),
            totals.connections,
            totals.refused,
            totals.requests,
            totals.received_bytes,
            totals.sent_bytes,
            totals.echoes,
        )

    def _close(self) -> None:
        for fd, connection in list(self._connections.items()):
            self._drop(fd, connection, "point stopped")
        self._epoll.close()
        self._listener.close()
        self._echo.close()
        for fd in (self._wake_read, self._wake_write, self._service.image_fd):
            os.close(fd)


def _overdue(connection: Connection, settings: Settings, now_s: float) -> str | None:
    if connection.phase is Phase.HEAD and now_s - connection.phase_s > settings.request_timeout_s:
        return "no request in time"
    if now_s - connection.moved_s > settings.idle_timeout_s:
        return "idle"
    if connection.phase is Phase.LINGER and now_s - connection.phase_s > 2.0:
        return "done"
    return None


def _udp_port(settings: Settings, tcp_port: int) -> int:
    return tcp_port if settings.udp_port is None else settings.udp_port


def _bound(settings: Settings, kind: socket.SocketKind, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((settings.bind, port))
        if kind is socket.SOCK_STREAM:
            sock.listen(512)
        else:
            want_destination(sock)
    except OSError as error:
        sock.close()
        raise Misconfigured(_bind_complaint(settings.bind, port, kind, error)) from error
    return sock


def _bind_complaint(bind: str, port: int, kind: socket.SocketKind, error: OSError) -> str:
    what = "TCP" if kind is socket.SOCK_STREAM else "UDP"
    if error.errno == errno.EADDRINUSE:
        option = "--port" if what == "TCP" else "--udp-port"
        return f"{what} port {port} is taken by another program: stop it, or choose another with {option}"
    return f"cannot listen on {bind} {what} port {port} ({error.strerror}): check --bind and --port"


def _random_file() -> int:
    """An anonymous file of incompressible bytes, as long as the largest image; returns its descriptor."""
    fd = os.memfd_create("dosong-point-image", os.MFD_CLOEXEC)
    left_bytes = LARGEST_IMAGE_BYTES
    while left_bytes:
        left_bytes -= os.write(fd, os.urandom(min(1 << 20, left_bytes)))
    return fd
