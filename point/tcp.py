"""What the kernel knows of a TCP connection (TCP_INFO), and the few socket options that measuring needs.

Offsets are those of `struct tcp_info` in linux/tcp.h, which only ever grows at its end; a shorter reply of an older
kernel leaves the later values None.
Source: facts note 03 §5; tcp(7).
"""

from __future__ import annotations

import contextlib
import socket
import struct
from dataclasses import dataclass

_INFO_BYTES = 256
_NO_RTT = 0xFFFF_FFFF
_LINGER_0 = struct.pack("ii", 1, 0)


@dataclass(frozen=True, slots=True)
class TcpInfo:
    """One reading. Times in microseconds; None where the kernel does not say.

    `acked_bytes` counts what the peer's TCP has acknowledged of what we sent (our FIN counts one), `busy_us` is the
    time in which we had bytes on their way or waiting, `last_ack_ms` how long ago the last acknowledgement came.
    """

    rtt_us: int | None
    rtt_us_min: int | None
    retrans: int | None
    last_ack_ms: int | None
    acked_bytes: int | None
    received_bytes: int | None
    busy_us: int | None


def parse_info(raw: bytes) -> TcpInfo:
    """Read a TCP_INFO reply, whatever its length."""
    rtt_us_min = _u32(raw, 148)
    return TcpInfo(
        rtt_us=_u32(raw, 68),
        rtt_us_min=None if rtt_us_min == _NO_RTT else rtt_us_min,
        retrans=_u32(raw, 100),
        last_ack_ms=_u32(raw, 56),
        acked_bytes=_u64(raw, 120),
        received_bytes=_u64(raw, 128),
        busy_us=_u64(raw, 168),
    )


def read_info(sock: socket.socket) -> TcpInfo:
    """Ask the kernel; a socket that has none (closed) gives a reading without values."""
    try:
        return parse_info(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES))
    except OSError:
        return parse_info(b"")


def use_control(sock: socket.socket, number: int) -> bool:
    """Send by BBR, and every second connection of a transfer by CUBIC; returns whether the kernel lets us.

    Otherwise its own choice stays. BBR finds a link's rate soon and leaves no queue, so that it follows a rate that
    rises only in seconds; CUBIC keeps a queue, from which such a link is served at once. `number` counts from 1.
    """
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"bbr" if number % 2 else b"cubic")
    except OSError:
        return False
    return True


def reset_on_close(sock: socket.socket) -> None:
    """Make close() drop what was not sent and reset the connection: a peer that vanished must not hold memory."""
    with contextlib.suppress(OSError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_0)


def _u32(raw: bytes, at: int) -> int | None:
    return int(struct.unpack_from("=I", raw, at)[0]) if len(raw) >= at + 4 else None


def _u64(raw: bytes, at: int) -> int | None:
    return int(struct.unpack_from("=Q", raw, at)[0]) if len(raw) >= at + 8 else None
