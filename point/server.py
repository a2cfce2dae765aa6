"""The point's one loop: epoll over the listener, the connections and the UDP echo, on a single thread.

While a test holds a place the loop wakes every 10 ms: how late it wakes is how it knows that it was starved.
Source: design §6; facts note 03 §4 (an epoll server with sendfile and MSG_TRUNC was fast enough at 300 Mbit/s).
"""

from __future__ import annotations

import errno
import logging
import os
import select
import socket
import time
from pathlib import Path

from point.admission import Admission
from point.carrier import Plain
from point.connection import Connection, Phase, Service
from point.desk import Desk, Identity, Limits
from point.echo import answer_waiting
from point.gate import Gate
from point.health import Health
from point.listen import bound, random_file
from point.load import Load
from point.protocol import Site
from point.settings import Settings
from point.tls import Tls, context
from wire.errors import Misconfigured

log = logging.getLogger("point")

ECHOES_PER_TURN = 64
EVENTS_PER_TURN = 32
SPARE_CONNECTIONS = 64  # room to say 503 instead of hanging up
TICK_S = 0.01
SWEEP_S = 0.25
MINUTE_S = 60.0
LINGER_S = 2.0
SLOW_HEAD_S = 2.0


class Server:
    """Listens from construction on; `run` serves until `stop` is called (safe from a signal handler).

    `identity` None: no key, so the measuring protocol answers 501 and the rest works.
    """

    def __init__(self, settings: Settings, identity: Identity | None = None) -> None:
        self._settings = settings
        self._started_s = time.monotonic()
        self._load = Load(settings.capacity_bps, self._started_s)
        folder = None if settings.state_dir is None else Path(settings.state_dir)
        self._health = Health(self._load, folder, _wall_ms())
        self._desk = None if identity is None else self._new_desk(identity)
        self._gate = Gate(settings.mini_requests_s, settings.echoes_s, self._desk)
        self._listener = bound(settings, socket.SOCK_STREAM, settings.port)
        self.port: int = self._listener.getsockname()[1]
        self._tls_listener, self._tls_context = None, None
        try:
            if settings.tls_port is not None:
                self._tls_context = context(settings.tls_cert_file or "", settings.tls_key_file or "")
                self._tls_listener = bound(settings, socket.SOCK_STREAM, settings.tls_port)
            udp_port = self.port if settings.udp_port is None else settings.udp_port
            self._echo = bound(settings, socket.SOCK_DGRAM, udp_port)
        except Misconfigured:
            self._listener.close()
            if self._tls_listener is not None:
                self._tls_listener.close()
            raise
        self.tls_port: int | None = None if self._tls_listener is None else self._tls_listener.getsockname()[1]
        self.udp_port: int = self._echo.getsockname()[1]
        self._wake_read, self._wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._service = Service(
            random_file(), settings.max_upload_bytes, self._site, self._desk, self._gate.refuse_mini, _wall_ms
        )
        self._epoll = select.epoll()
        self._listeners = {one.fileno(): one for one in (self._listener, self._tls_listener) if one is not None}
        for fd in (*self._listeners, self._echo.fileno(), self._wake_read):
            self._epoll.register(fd, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._stopping = False

    def _new_desk(self, identity: Identity) -> Desk:
        settings = self._settings
        limits = Limits(
            test_bytes=settings.test_bytes,
            test_s=settings.test_s,
            tests_of_a_source=settings.tests_of_a_source,
            ticket_s=settings.ticket_s,
            rest_s=settings.rest_s,
        )
        admission = Admission(settings.capacity_bps, settings.max_tests)
        return Desk(identity, limits, self._load, admission, lambda: self._health.minute)

    def stop(self) -> None:
        """Make `run` return at once."""
        self._stopping = True
        os.write(self._wake_write, b"x")

    def run(self) -> None:
        """Serve until stopped, then close every socket."""
        now_s = time.monotonic()
        due_s, sweep_s, minute_s = now_s, now_s + SWEEP_S, now_s + MINUTE_S
        while not self._stopping:
            asleep_s = time.monotonic()
            events = self._epoll.poll(max(0.0, due_s - asleep_s), EVENTS_PER_TURN)
            now_s = time.monotonic()
            self._load.waited(asleep_s, now_s, due_s)
            self._turn(events)
            if self._load.window_is_due(now_s):
                self._sample()
                self._load.end_window(now_s)
            if now_s >= sweep_s:
                self._sweep(now_s)
                sweep_s = now_s + SWEEP_S
            if now_s >= minute_s:
                self._end_minute()
                minute_s += MINUTE_S
            next_s = now_s + (TICK_S if self._desk is not None and self._desk.book.active else SWEEP_S)
            due_s = next_s if now_s >= due_s else min(due_s, next_s)
        self._close()

    def _turn(self, events: list[tuple[int, int]]) -> None:
        # First: a latency probe must not queue behind bulk data.
        self._health.minute.echoes += answer_waiting(self._echo, ECHOES_PER_TURN, self._may_echo)
        for fd, mask in events:
            if fd in self._listeners:
                self._accept(self._listeners[fd], time.monotonic())
            elif (connection := self._connections.get(fd)) is not None:
                self._advance(fd, connection, mask, time.monotonic())

    def _may_echo(self, datagram: bytes, source: str) -> bool:
        return self._gate.may_echo(datagram, source, time.monotonic())

    def _accept(self, listener: socket.socket, now_s: float) -> None:
        for _ in range(EVENTS_PER_TURN):
            try:
                sock, address = listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno not in (errno.EMFILE, errno.ENFILE, errno.ECONNABORTED):
                    raise
                return
            # A listener for both families shows IPv4 addresses in their IPv6 dress.
            self._admit(sock, address[0].removeprefix("::ffff:"), now_s, is_tls=listener is self._tls_listener)

    def _admit(self, sock: socket.socket, peer: str, now_s: float, *, is_tls: bool) -> None:
        if len(self._connections) >= self._settings.max_connections:
            self._drop_slowest_head(now_s)
        count = len(self._connections)
        busy = count >= self._settings.max_connections
        self._health.minute.refused += busy
        if count >= self._settings.max_connections + SPARE_CONNECTIONS:
            sock.close()
            return
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        carrier = Tls(sock, self._tls_context) if is_tls and self._tls_context is not None else Plain(sock)
        self._connections[sock.fileno()] = Connection((sock, carrier), peer, self._service, now_s, busy=busy)
        self._epoll.register(sock.fileno(), select.EPOLLIN)

    def _drop_slowest_head(self, now_s: float) -> None:
        """Make room at the cost of whoever has dawdled longest over a request: never of a transfer."""
        waiting = [(c.phase_s, fd) for fd, c in self._connections.items() if c.phase is Phase.HEAD]
        if waiting and now_s - min(waiting)[0] > SLOW_HEAD_S:
            fd = min(waiting)[1]
            self._drop(fd, self._connections[fd], "gave way", now_s)

    def _advance(self, fd: int, connection: Connection, mask: int, now_s: float) -> None:
        waited_for = _waits_for(connection)
        before = (connection.sent_bytes, connection.received_bytes)
        connection.step(now_s, gone=bool(mask & (select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR)))
        self._count(connection, before)
        self._after(fd, connection, waited_for, now_s)

    def _count(self, connection: Connection, before: tuple[int, int]) -> None:
        sent_bytes, received_bytes = connection.sent_bytes - before[0], connection.received_bytes - before[1]
        self._load.moved(sent_bytes, received_bytes)
        self._health.minute.sent_bytes += sent_bytes
        self._health.minute.received_bytes += received_bytes

    def _sample(self) -> None:
        """Ask the kernel how far each running download has come."""
        for connection in self._connections.values():
            if connection.measures:
                before = (connection.sent_bytes, connection.received_bytes)
                connection.sample()
                self._count(connection, before)

    def _after(self, fd: int, connection: Connection, waited_for: int, now_s: float) -> None:
        if connection.ended is not None:
            self._drop(fd, connection, connection.ended, now_s)
        elif (waits_for := _waits_for(connection)) != waited_for:
            self._epoll.modify(fd, waits_for)

    def _drop(self, fd: int, connection: Connection, why: str, now_s: float) -> None:
        self._epoll.unregister(fd)
        del self._connections[fd]
        before = (connection.sent_bytes, connection.received_bytes)
        connection.close(now_s)
        self._count(connection, before)
        log.debug(
            "connection peer=%s requests=%d received_bytes=%d sent_bytes=%d duration_ms=%d end=%r",
            connection.peer,
            connection.requests,
            connection.received_bytes,
            connection.sent_bytes,
            (now_s - connection.opened_s) * 1000,
            why,
        )

    def _sweep(self, now_s: float) -> None:
        for fd, connection in list(self._connections.items()):
            waited_for = _waits_for(connection)
            connection.keep_limits(now_s)
            connection.ended = connection.ended or _overdue(connection, self._settings, now_s)
            self._after(fd, connection, waited_for, now_s)
        if self._desk is not None:
            self._desk.tidy(now_s)

    def _site(self, peer: str) -> Site:
        now_s = time.monotonic()
        health: dict[str, int | str] = {
            "status": "ok",
            "state": self._health.state(self._desk, now_s),
            "program": "dosong-point",
            "connections": len(self._connections),
            "max_connections": self._settings.max_connections,
            "active_tests": 0 if self._desk is None else self._desk.book.active,
            "max_tests": self._settings.max_tests,
            "capacity_bps": self._settings.capacity_bps,
            "used_bps": self._load.used_bps,
            "udp_port": self.udp_port,
            "uptime_s": int(now_s - self._started_s),
        }
        return Site(health, peer, self._health.history.encoded)

    def _end_minute(self) -> None:
        ended = self._health.end_minute(_wall_ms())
        log.info(
            "minute open=%d tests=%d refused=%d spoiled=%d receipts=%d received_bytes=%d sent_bytes=%d echoes=%d "
            "lag_us_max=%d",
            len(self._connections),
            ended.tests,
            ended.refused,
            ended.spoiled,
            ended.receipts,
            ended.received_bytes,
            ended.sent_bytes,
            ended.echoes,
            ended.lag_us_max,
        )

    def _close(self) -> None:
        now_s = time.monotonic()
        for fd, connection in list(self._connections.items()):
            self._drop(fd, connection, "point stopped", now_s)
        self._end_minute()
        self._epoll.close()
        for listener in self._listeners.values():
            listener.close()
        self._echo.close()
        for fd in (self._wake_read, self._wake_write, self._service.image_fd):
            os.close(fd)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _waits_for(connection: Connection) -> int:
    if connection.phase is Phase.PUSH:
        return select.EPOLLOUT | select.EPOLLRDHUP
    return select.EPOLLOUT if connection.wants_write else select.EPOLLIN


def _overdue(connection: Connection, settings: Settings, now_s: float) -> str | None:
    if connection.phase is Phase.HEAD and now_s - connection.phase_s > settings.request_timeout_s:
        return "no request in time"
    if now_s - connection.moved_s > settings.idle_timeout_s:
        return "idle"
    if connection.phase is Phase.LINGER and now_s - connection.phase_s > LINGER_S:
        return "done"
    return None
