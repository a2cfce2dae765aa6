"""UDP echoes through one interface to a measurement point: round trips, and which were lost.

The kernel's receive time stamp takes the wake-up of this process out of the figure, which matters on a busy
machine. A reply counts if it carries the token and number of its request.
Source: RFC 2681 (round-trip delay); socket(7), SO_TIMESTAMPNS.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import threading
import time

from probe.devices.bound import datagram, family_of

SO_TIMESTAMPNS = 35
_PACKET = struct.Struct(">8sI12x")
ANCILLARY_BYTES = 64


class Echo:
    """A socket to one point's echo port. Close it after use. Raises OSError if the interface is missing."""

    def __init__(self, iface: str, address: str, port: int) -> None:
        self._token = os.urandom(8)
        self._number = 0
        self._sock = datagram(iface, family_of(address))
        try:
            self._sock.setblocking(False)
            self._sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._sock.connect((address, port))
        except OSError:
            self._sock.close()
            raise

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def series(
        self, count: int, interval_s: float, wait_s: float, stop: threading.Event | None = None
    ) -> tuple[int | None, ...]:
        """Send up to `count` echoes and wait `wait_s` after the last; microseconds each, None for a lost one.

        Setting `stop` ends the sending early.
        """
        sent_ns: dict[int, int] = {}
        found: dict[int, int] = {}
        next_ns = time.monotonic_ns()
        while len(sent_ns) < count and not (stop and stop.is_set()):
            self._send(sent_ns)
            next_ns += int(interval_s * 1e9)
            self._collect(next_ns, sent_ns, found, stop, until_all=False)
        self._collect(time.monotonic_ns() + int(wait_s * 1e9), sent_ns, found, None, until_all=True)
        return tuple(found.get(number) for number in sent_ns)

    def _send(self, sent_ns: dict[int, int]) -> None:
        self._number += 1
        packet = _PACKET.pack(self._token, self._number)
        sent_ns[self._number] = time.monotonic_ns()
        with contextlib.suppress(OSError):  # no route now, or the answer to an earlier one was "unreachable"
            self._sock.send(packet)

    def _collect(
        self,
        until_ns: int,
        sent_ns: dict[int, int],
        found: dict[int, int],
        stop: threading.Event | None,
        *,
        until_all: bool,
    ) -> None:
        while (left_ns := until_ns - time.monotonic_ns()) > 0:
            if (until_all and len(found) == len(sent_ns)) or (stop and stop.is_set()):
                return
            if select.select([self._sock], [], [], min(left_ns / 1e9, 0.1))[0]:
                self._receive(sent_ns, found)

    def _receive(self, sent_ns: dict[int, int], found: dict[int, int]) -> None:
        try:
            packet, ancillary, _flags, _sender = self._sock.recvmsg(256, ANCILLARY_BYTES)
        except OSError:
            return
        now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
        if len(packet) != _PACKET.size:
            return
        token, number = _PACKET.unpack(packet)
        if token == self._token and number in sent_ns and number not in found:
            found[number] = max(1, (now_ns - waited_ns(ancillary, wall_ns) - sent_ns[number]) // 1000)


def waited_ns(ancillary: list[tuple[int, int, bytes]], wall_ns: int) -> int:
    """How long the datagram lay in the socket; 0 if the kernel did not say, or the clock was set meanwhile."""
    for level, kind, value in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(value) in (8, 16):
            seconds, nanoseconds = struct.unpack("=qq" if len(value) == 16 else "=ii", value)
            waited_ns = wall_ns - (seconds * 1_000_000_000 + nanoseconds)
            return int(waited_ns) if 0 <= waited_ns < 1_000_000_000 else 0
    return 0
