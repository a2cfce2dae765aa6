"""One TCP connection of the point: a small state machine driven by epoll readiness.

Uploads are read with MSG_TRUNC, so the kernel throws the bytes away without copying them; downloads leave by
sendfile from one anonymous file. Each step moves a bounded number of bytes, so no connection starves another
and a UDP echo waits for at most a few milliseconds.
Source: facts note 03 §4 and §5 (MSG_TRUNC on plain TCP); tcp(7).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from point.protocol import HEAD_LIMIT_BYTES, BadRequest, Reply, Request, Site, answer, parse_head, refusal

READ_BYTES = 1 << 20
SEND_BYTES = 512 << 10
_SINK = bytearray(READ_BYTES)  # never touched: MSG_TRUNC leaves it alone, so its pages stay unallocated
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Phase(Enum):
    """What the connection waits for."""

    HEAD = "head"
    BODY = "body"
    REPLY = "reply"
    NEXT = "next"
    LINGER = "linger"


@dataclass(frozen=True, slots=True)
class Service:
    """What all connections share: the random file, the upload limit, and a view of the server's state."""

    image_fd: int
    max_upload_bytes: int
    site: Callable[[str], Site]


class Connection:
    """A client's connection. `wants_write` tells epoll what to wait for; `ended` names why it is over."""

    def __init__(self, sock: socket.socket, peer: str, service: Service, now_s: float, *, busy: bool) -> None:
        self.sock = sock
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

    @property
    def wants_write(self) -> bool:
        """Whether to go on as soon as the socket takes bytes: a reply, or a request that is already here."""
        return self.phase in (Phase.REPLY, Phase.NEXT)

    def step(self, now_s: float) -> None:
        """Do what the socket is ready for; sets `ended` when the connection is over."""
        before = (self.received_bytes, self.sent_bytes)
        try:
            _STEPS[self.phase](self, now_s)
        except (BlockingIOError, InterruptedError):
            pass
        except OSError as error:
            self.ended = f"lost: {error.strerror}"
        if before != (self.received_bytes, self.sent_bytes):
            self.moved_s = now_s

    def close(self) -> None:
        """Close the socket; bytes that the peer did not take are dropped."""
        self.sock.close()

    def _read_head(self, now_s: float) -> None:
        chunk = self.sock.recv(HEAD_LIMIT_BYTES)
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
        early = rest[: request.body_bytes]
        self._head += rest[request.body_bytes :]
        self._request = request
        self._body_left_bytes = request.body_bytes - len(early)
        self._enter(Phase.BODY, now_s)
        if request.wants_continue and self._body_left_bytes:
            self.sent_bytes += self.sock.send(_CONTINUE)
        self._finish_body(now_s)

    def _read_body(self, now_s: float) -> None:
        wanted = min(READ_BYTES, self._body_left_bytes)
        count = self.sock.recv_into(_SINK, wanted, socket.MSG_TRUNC)
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
        if self._out:
            count = self.sock.send(self._out, socket.MSG_MORE if self._image_left_bytes else 0)
            self.sent_bytes += count
            self._out = self._out[count:]
            if self._out:
                return
        if self._image_left_bytes:
            wanted = min(SEND_BYTES, self._image_left_bytes)
            count = os.sendfile(self.sock.fileno(), self._service.image_fd, self._image_offset, wanted)
            self.sent_bytes += count
            self._image_offset += count
            self._image_left_bytes -= count
        if not self._image_left_bytes:
            self._after_reply(now_s)

    def _after_reply(self, now_s: float) -> None:
        if self._keep_alive:
            # A pipelined request waits for the next turn: answering it here would recurse, once for each.
            self._enter(Phase.NEXT if self._head else Phase.HEAD, now_s)
            return
        # Closing with unread input would reset the connection and could destroy the reply on its way.
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)
        self._enter(Phase.LINGER, now_s)

    def _drain(self, _now_s: float) -> None:
        if self.sock.recv_into(_SINK, READ_BYTES, socket.MSG_TRUNC) == 0:
            self.ended = "done"

    def _enter(self, phase: Phase, now_s: float) -> None:
        self.phase = phase
        self.phase_s = now_s


_STEPS: dict[Phase, Callable[[Connection, float], None]] = {
    Phase.HEAD: Connection._read_head,
    Phase.BODY: Connection._read_body,
    Phase.REPLY: Connection._write,
    Phase.NEXT: Connection._take_head,
    Phase.LINGER: Connection._drain,
}
