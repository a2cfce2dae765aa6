"""One connection of a transfer of our engine: from its SYN to its reset, never waiting.

Downlink bytes are thrown away by the kernel (MSG_TRUNC), uplink bytes come from one random buffer; what was moved is
read from TCP_INFO. Uplinks are sent by BBR and CUBIC in turn (decision 0019). Receive buffers are left to the kernel: a
fixed SO_RCVBUF caps the rate while looking perfectly stable. At the end it is reset (SO_LINGER 0), so that nothing more
is sent.
Source: facts note 03 §5 rules 1 to 3, 7; tcp(7), struct tcp_info of linux/tcp.h.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probe.core import cause, engine_http
from probe.core.engine import Terms
from probe.core.engine_sample import Flow
from probe.core.engine_terms import Trust
from probe.devices.bound import bind_to, family_of

if TYPE_CHECKING:
    from probe.devices.tls import Tunnel

READ_BYTES = 1 << 20
_SENDS_A_TICK = 16
_READS_A_TICK = 32
_TICKS_A_LOOK = 5
"""How often an uplink looks for an answer: only a refusal comes."""

_TCP_INFO_BYTES = 256
_LEAST_INFO_BYTES = 136
_HANDSHAKE_OR_OPEN = (1, 2, 3)
"""TCP_ESTABLISHED, TCP_SYN_SENT, TCP_SYN_RECV."""

_CONTROLS = (b"bbr", b"cubic")
"""BBR finds a link's rate soon and leaves no queue, so that it follows a rate that rises only in seconds; CUBIC keeps a
queue, from which such a link is served at once."""

_NO_LINGER = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class Order:
    """What to move: by which interface, from or to where. `path` is the request's target, `host` its Host field.

    `trust` None is plain TCP.
    """

    interface: str
    address: str
    port: int
    host: str
    path: str
    terms: Terms
    is_uplink: bool
    trust: Trust | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """One connection's counts: payload as in `Sample`, payload handed to the link (None: unknown), and the rest.

    `step_ms_ago`: when the last acknowledgement came (uplink), in whole jiffies. (Its downlink twin, last_data_recv,
    stands still while a hole is open.)
    """

    payload_bytes: int
    sent_bytes: int | None
    flow: Flow
    step_ms_ago: int


class Connection:
    """One connection, from its SYN to its reset. `problem` is a word of `wire.failure` once it can do no more.

    It rests after its handshake until `begin`: the handshakes of connections that are needed soon cost no time then.
    `number` counts the connections of a transfer, from 0 on.
    """

    def __init__(self, order: Order, buffers: tuple[bytearray, memoryview], number: int) -> None:
        self.problem: str | None = None
        self.is_used = self.has_begun = False
        self._interface = order.interface
        self._sink, self._source = buffers
        self._is_uplink = order.is_uplink
        make = engine_http.post if order.is_uplink else engine_http.get
        self._request = make(order.path, order.host)
        self._tunnel = None if order.trust is None else _tunnel(order.trust)
        self._to_send = self._request if self._tunnel is None else b""
        self._overhead_bytes = len(self._to_send)
        self._cipher = memoryview(b"")
        self._head, self._came_bytes = b"", 0
        self._is_read = False
        self._ticks = 0
        self._head_bytes = 0
        self._sock = socket.socket(family_of(order.address), socket.SOCK_STREAM)
        try:
            bind_to(self._sock, order.interface)
            self._sock.setblocking(False)
            if order.is_uplink:
                _send_by(self._sock, _CONTROLS[number % len(_CONTROLS)])
            with contextlib.suppress(BlockingIOError):
                self._sock.connect((order.address, order.port))
        except OSError as error:
            self.problem = cause.of_error(error)

    @property
    def is_alive(self) -> bool:
        """Whether the handshake is done or goes on; a point hangs up on who rests for long."""
        if self.problem is not None:
            return True  # it is told when the transfer begins
        with contextlib.suppress(OSError, IndexError):
            return self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _HANDSHAKE_OR_OPEN
        return False

    def begin(self) -> None:
        """Ask for the transfer as soon as the handshake is done."""
        self.is_used = True

    def step(self) -> None:
        """Move what can be moved without waiting."""
        if self.problem is not None or not self.is_used:
            return
        try:
            if self._tunnel is not None and not self._tunnel.is_open:
                self._shake(self._tunnel)
            if self._to_send:
                self._to_send = self._to_send[self._sock.send(self._to_send) :]
            if not self._to_send:
                self._ticks += 1
                if not self._is_uplink or self._ticks % _TICKS_A_LOOK == 1:
                    self._receive()
                if self._is_uplink and self.problem is None:
                    self._fill()
        except BlockingIOError:
            pass
        except ConnectionResetError:
            self.problem = "reset"
        except engine_http.NotOurs:
            self.problem = "captive"
        except engine_http.NotTrusted as stranger:
            self.problem = stranger.cause
        except OSError as error:
            self.problem = cause.of_error(error)

    def _shake(self, tunnel: Tunnel) -> None:
        """Go on with the handshake; once it is done the request is to be sent."""
        received = b""
        while True:
            self._queue(tunnel.advance(received))
            while self._to_send:
                self._to_send = self._to_send[self._sock.send(self._to_send) :]
            if tunnel.is_open:
                self._queue(tunnel.wrap(self._request))
                return
            received = self._sock.recv(READ_BYTES)
            self._came_bytes += len(received)
            if not received:
                raise ConnectionResetError

    def _queue(self, raw: bytes) -> None:
        self._to_send += raw
        self._overhead_bytes += len(raw)

    def look(self) -> Look | None:
        """What TCP says of the connection; None if it says nothing."""
        try:
            raw = self._sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
        except OSError:
            return None
        if len(raw) < _LEAST_INFO_BYTES:
            return None
        # What TCP counts besides: its SYN, and handshake and head that came or went with the payload.
        head = self._overhead_bytes + 1 if self._is_uplink else self._head_bytes
        sent = struct.unpack_from("=Q", raw, 200)[0] - self._overhead_bytes if len(raw) >= 208 else None
        payload = max(0, _payload(raw, is_uplink=self._is_uplink) - head)
        (step_ms_ago,) = struct.unpack_from("=I", raw, 56)
        return Look(payload, None if sent is None else max(0, sent), _flow(raw, self._is_uplink), step_ms_ago)

    def end(self) -> socket.socket | None:
        """Reset the connection: what was not sent yet never is. Returns what stands in for it; close that later.

        What is still under way finds no socket, and the kernel's answer to that goes by the route table, so by another
        link than the modem. Seen: 25 KB at 50 Mbit/s, enough to spoil the proof of path behind a deep queue. A bound
        socket that listens on the port keeps the answers on the interface; it accepts nobody.
        """
        port = 0
        with contextlib.suppress(OSError):
            port = self._sock.getsockname()[1]
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self._sock.close()
        return _stand_in(self._sock.family, self._interface, port) if port else None

    def _receive(self) -> None:
        if not self._is_read:
            self._read_head()
            return
        for _ in range(_READS_A_TICK):
            count = self._sock.recv_into(self._sink, READ_BYTES, socket.MSG_TRUNC)
            if not count:
                self.problem = "server_error"
            if count < READ_BYTES:
                return

    def _read_head(self) -> None:
        """An uplink has an answer only if it was refused. BlockingIOError here means that there is none yet."""
        try:
            received = self._sock.recv(engine_http.MOST_HEAD_BYTES)
        except BlockingIOError:
            self.has_begun = self._is_uplink
            return
        self._came_bytes += len(received)
        self._head += received if self._tunnel is None or not received else self._tunnel.unwrap(received)
        reply = engine_http.read_head(self._head) if received else None
        if not received or (reply is not None and self._is_uplink and reply.status == 200):
            self.problem = "server_error"
        elif reply is not None and reply.status != 200:
            self.problem = word_of(reply.status)
        elif reply is not None and not reply.fields.get("content-type", "").startswith("application/octet-stream"):
            self.problem = "captive"
        elif reply is not None:
            self._head_bytes, self._is_read, self.has_begun = self._before_payload_bytes(reply.head_bytes), True, True

    def _before_payload_bytes(self, head_bytes: int) -> int:
        """What TCP had counted when the payload began: all that came but the payload that came with the head."""
        waiting = 0 if self._tunnel is None else self._tunnel.waiting_bytes
        return self._came_bytes - waiting - (len(self._head) - head_bytes)

    def _fill(self) -> None:
        for _ in range(_SENDS_A_TICK):
            if self._tunnel is not None:
                self._cipher = self._cipher or memoryview(self._tunnel.wrap(self._source))
                self._cipher = self._cipher[self._sock.send(self._cipher) :]
                if self._cipher:
                    return
            elif self._sock.send(self._source) < len(self._source):
                return


def _send_by(sock: socket.socket, control: bytes) -> None:
    """Choose who says how fast to send; where the kernel has it not, or not for us, its own choice stays."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, control)


def _tunnel(trust: Trust) -> Tunnel:
    from probe.devices import tls  # noqa: PLC0415 - only where it is wanted: see there

    return tls.Tunnel(trust)


def _stand_in(family: int, interface: str, port: int) -> socket.socket | None:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bind_to(sock, interface)
        sock.bind(("", port))
        sock.listen(0)
    except OSError:
        sock.close()
        return None
    return sock


def word_of(status: int) -> str:
    """The word for a status of a point: as of any server, and what it says of a ticket."""
    return "ticket_refused" if status in {401, 403, 409, 410} else cause.of_status(status)


def _payload(raw: bytes, *, is_uplink: bool) -> int:
    """Received in order, or acknowledged: with what was acknowledged selectively, so that a hole delays only itself.

    Offsets of struct tcp_info: snd_mss 16, sacked 28, bytes_acked 120, bytes_received 128.
    """
    acked, received = struct.unpack_from("=QQ", raw, 120)
    if not is_uplink:
        return int(received)
    (mss,) = struct.unpack_from("=I", raw, 16)
    (sacked,) = struct.unpack_from("=I", raw, 28)
    return int(acked + sacked * mss)


def _flow(raw: bytes, is_uplink: bool) -> Flow:
    """Offsets: rtt 68, rcv_rtt 92, total_retrans 100, min_rtt 148, snd_wnd 228, rcv_wnd 232, rcv_ssthresh 64."""
    (rtt_us,) = struct.unpack_from("=I", raw, 68)
    (rcv_rtt_us,) = struct.unpack_from("=I", raw, 92)
    (retrans,) = struct.unpack_from("=I", raw, 100)
    min_us = struct.unpack_from("=I", raw, 148)[0] if len(raw) >= 152 else None
    window = struct.unpack_from("=I", raw, 228 if is_uplink else 232)[0] if len(raw) >= 236 else None
    if window is None and not is_uplink:
        (window,) = struct.unpack_from("=I", raw, 64)
    trip_us = rtt_us if is_uplink else rcv_rtt_us or rtt_us
    return Flow(trip_us, min_us, retrans, window)
