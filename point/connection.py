"""One TCP connection of the point: a small state machine driven by epoll readiness.

What its bytes travel by, a plain socket or TLS, is the carrier's matter. Each step moves a bounded number of bytes, so
no connection starves another
and a UDP echo waits for at most a few milliseconds.
Source: facts note 03 §4 and §5 (MSG_TRUNC on plain TCP); tcp(7).
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from point import protocol
from point.carrier import READ_BYTES, SEND_BYTES, SINK, Plain
from point.desk import NO_KEY, Desk, Lease
from point.protocol import (
    HEAD_LIMIT_BYTES,
    BadRequest,
    Reply,
    Request,
    Site,
    answer,
    parse_head,
    refusal,
)
from point.stream import Stream
from point.tickets import Denied
from point.tls import Tls

_TRANSFERS = frozenset({("GET", "/v1/download"), ("POST", protocol.UPLOAD_PATH)})
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(Enum):
    """What the connection waits for."""

    HEAD = "head"
    BODY = "body"
    PULL = "pull"
    PUSH = "push"
    REPLY = "reply"
    NEXT = "next"
    LINGER = "linger"


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections share: the random file, the upload limit, and a view of the server's state.

    `desk` is None where the point has no key. `refuse_mini` says why the mini server shall not answer a request
    of this peer now, as a reply; None if it may. `wall_ms` reads the clock that notes are dated by.
    """

    image_fd: int
    max_upload_bytes: int
    site: Callable[[str], Site]
    desk: Desk | None
    refuse_mini: Callable[[Request, str, float], Reply | None]
    wall_ms: Callable[[], int]


class Connection:
    """A client's connection. `wants_write` tells epoll what to wait for; `ended` names why it is over."""

    def __init__(
        self, carried: tuple[socket.socket, Plain | Tls], peer: str, service: Service, now_s: float, *, busy: bool
    ) -> None:
        self.sock, self._carrier = carried
        self.peer = peer
        self.opened_s = self.moved_s = self.phase_s = now_s
        self.received_bytes = self.sent_bytes = self.requests = 0
        self.ended: str | None = None
        self.phase = Phase.HEAD
        self._service = service
        self._busy = busy
        self._head = bytearray()
        self._request: Request | None = None
        self._body_left_bytes = 0
        self._out = b""
        self._image_offset = self._image_left_bytes = 0
        self._keep_alive = False
        self._stream: Stream | None = None

    @property
    def measures(self) -> bool:
        """Whether this is part of a test's transfer."""
        return self._stream is not None

    @property
    def wants_write(self) -> bool:
        """Whether to go on as soon as the socket takes bytes: a reply, or a request that is already here."""
        return self.phase in (Phase.REPLY, Phase.NEXT, Phase.PUSH)

    def step(self, now_s: float, *, gone: bool = False) -> None:
        """Do what the socket is ready for; sets `ended` when the connection is over.

        `gone`: the peer has closed its side. To a client of a download that means that it has had enough.
        """
        if gone and self.phase is Phase.PUSH:
            self.ended = "closed by peer"
            return
        before = (self.received_bytes, self.sent_bytes)
        try:
            _STEPS[self.phase](self, now_s)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.ended = f"lost: {error.strerror}"
        if before != (self.received_bytes, self.sent_bytes):
            self.moved_s = now_s

    def close(self, now_s: float) -> None:
        """Close the socket; bytes that the peer did not take are dropped."""
        if self._stream is not None:
            self.sample()
            self._stream.close(now_s)
            self._stream = None
        self.sock.close()

    def sample(self) -> None:
        """Bring `sent_bytes` of a download up to what its peer has acknowledged by now."""
        if self._stream is not None:
            self.sent_bytes += self._stream.newly_acked()

    def keep_limits(self, now_s: float) -> None:
        """End a transfer whose time or bytes are used up, though its socket may be stuck."""
        if self._stream is not None and self.phase in (Phase.PUSH, Phase.PULL) and self._stream.is_due(now_s):
            self._end_transfer(now_s)

    def _read_head(self, now_s: float) -> None:
        chunk = self._carrier.read(HEAD_LIMIT_BYTES)
        if not chunk:
            self.ended = "closed by peer"
            return
        self.received_bytes += len(chunk)
        self._head += chunk
        self._take_head(now_s)

    def _take_head(self, now_s: float) -> None:
        end = self._head.find(b"\r\n\r\n")
        if end > HEAD_LIMIT_BYTES or (end < 0 and len(self._head) > HEAD_LIMIT_BYTES):
            self._start_reply(refusal(431), now_s)
        elif end < 0:
            self.phase = Phase.HEAD  # entered at the first byte, so a slow head still runs out of time
        else:
            head, rest = bytes(self._head[:end]), bytes(self._head[end + 4 :])
            self._head.clear()
            self._begin(head, rest, now_s)

    def _begin(self, head: bytes, rest: bytes, now_s: float) -> None:
        self.requests += 1
        if self._busy:
            self._start_reply(refusal(503), now_s)
            return
        try:
            request = parse_head(head, self._service.max_upload_bytes)
        except BadRequest as error:
            self._start_reply(refusal(error.status), now_s)
            return
        if request.measures:
            self._measure(request, rest, now_s)
            return
        refused = self._service.refuse_mini(request, self.peer, now_s)
        if refused is not None:
            self._start_reply(refused, now_s)
            return
        early = rest[: request.body_bytes]
        self._head += rest[request.body_bytes :]
        self._request = request
        self._body_left_bytes = request.body_bytes - len(early)
        self._enter(Phase.BODY, now_s)
        if request.wants_continue and self._body_left_bytes:
            self.sent_bytes += self._carrier.write(_CONTINUE)
        self._finish_body(now_s)

    def _measure(self, request: Request, rest: bytes, now_s: float) -> None:
        """A request of the measuring protocol. Only a GET leaves the connection usable: it has no body."""
        desk = self._service.desk
        reusable = request.keep_alive and request.body_bytes == 0
        try:
            if desk is None:
                self._start_reply(protocol.words(501, NO_KEY, keep_alive=reusable), now_s)
            elif (request.method, request.path) in _TRANSFERS:
                self._begin_transfer(desk.begin(request, self.peer, now_s), request, rest, now_s)
            else:
                reply = desk.answer(request, self.peer, now_s, self._service.wall_ms())
                self._head += rest
                self._start_reply(reply, now_s)
        except Denied as denied:
            if reusable:
                self._head += rest
            wait_s = denied.retry_after_s
            self._start_reply(
                protocol.words(denied.status, str(denied), keep_alive=reusable, retry_after_s=wait_s), now_s
            )

    def _begin_transfer(self, lease: Lease, request: Request, rest: bytes, now_s: float) -> None:
        self._stream = Stream(self.sock, self._carrier, self._service.image_fd, lease)
        self._enter(Phase.PUSH if lease.is_downlink else Phase.PULL, now_s)
        if rest and not lease.is_downlink:
            self._stream.early(len(rest), now_s)
        elif request.wants_continue:
            self.sent_bytes += self._carrier.write(_CONTINUE)

    def _pull(self, now_s: float) -> None:
        if self._stream is None or self._stream.is_due(now_s):
            self._end_transfer(now_s)
            return
        count = self._stream.pull(now_s)
        self.received_bytes += count
        if count == 0:
            self.ended = "closed by peer"

    def _push(self, now_s: float) -> None:
        if self._stream is None or self._stream.is_due(now_s):
            self._end_transfer(now_s)
        elif self._stream.push(now_s):
            self.moved_s = now_s

    def _end_transfer(self, now_s: float) -> None:
        """Our limit is reached: a download ends after what is on its way, an upload gets its answer."""
        if self.phase is Phase.PULL:
            self._start_reply(protocol.words(200, "limit: this ticket's bytes or seconds are used up"), now_s)
        else:
            self._hang_up(now_s)

    def _read_body(self, now_s: float) -> None:
        wanted = min(READ_BYTES, self._body_left_bytes)
        count = self._carrier.discard(wanted)
        if count == 0:
            self.ended = "cut off while sending"
            return
        self.received_bytes += count
        self._body_left_bytes -= count
        self._finish_body(now_s)

    def _finish_body(self, now_s: float) -> None:
        if self._body_left_bytes == 0 and self._request is not None:
            self._start_reply(answer(self._request, self._service.site(self.peer)), now_s)

    def _start_reply(self, reply: Reply, now_s: float) -> None:
        self._out = reply.head
        self._image_offset, self._image_left_bytes = 0, reply.image_bytes
        self._keep_alive = reply.keep_alive
        self._enter(Phase.REPLY, now_s)
        self._write(now_s)

    def _write(self, now_s: float) -> None:
        self._carrier.flush()
        if self._out:
            count = self._carrier.write(self._out, has_more=self._image_left_bytes > 0)
            self.sent_bytes += count
            self._out = self._out[count:]
            if self._out:
                return
        if self._image_left_bytes:
            wanted = min(SEND_BYTES, self._image_left_bytes)
            count = self._carrier.write_file(self._service.image_fd, self._image_offset, wanted)
            self.sent_bytes += count
            self._image_offset += count
            self._image_left_bytes -= count
        if not self._image_left_bytes and not self._carrier.has_pending:
            self._after_reply(now_s)

    def _after_reply(self, now_s: float) -> None:
        if self._keep_alive:
            # A pipelined request waits for the next turn: answering it here would recurse, once for each.
            self._enter(Phase.NEXT if self._head else Phase.HEAD, now_s)
            return
        self._hang_up(now_s)

    def _hang_up(self, now_s: float) -> None:
        # Closing with unread input would reset the connection and could destroy the reply on its way.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        self._enter(Phase.LINGER, now_s)

    def _drain(self, _now_s: float) -> None:
        if self.sock.recv_into(SINK, READ_BYTES, socket.MSG_TRUNC) == 0:
            self.ended = "done"

    def _enter(self, phase: Phase, now_s: float) -> None:
        self.phase = phase
        self.phase_s = now_s


_STEPS: dict[Phase, Callable[[Connection, float], None]] = {
    Phase.HEAD: Connection._read_head,
    Phase.BODY: Connection._read_body,
    Phase.PULL: Connection._pull,
    Phase.PUSH: Connection._push,
    Phase.REPLY: Connection._write,
    Phase.NEXT: Connection._take_head,
    Phase.LINGER: Connection._drain,
}
