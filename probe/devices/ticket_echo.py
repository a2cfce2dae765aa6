"""Ticketed UDP echoes that never block: idle ones at a fixed pace, and single ones inside a transfer's loop.

The kernel's receive time stamp takes the loop's own waiting out of the figure.
Source: measuring protocol v1, rule 5; RFC 2681; socket(7), SO_TIMESTAMPNS.
"""

from __future__ import annotations

import contextlib
import select
import socket
import time

from probe.core import engine_echo
from probe.devices.bound import datagram, family_of
from probe.devices.echo import ANCILLARY_BYTES, SO_TIMESTAMPNS, waited_ns


class TicketEcho:
    """A socket to one point's echo port. Close it after use. Raises OSError if the interface is missing."""

    def __init__(self, iface: str, address: tuple[str, int], ticket: str, key: bytes) -> None:
        self._ticket, self._key = ticket, key
        self._number = 0
        self._sent_ns: dict[int, int] = {}
        self._found_us: dict[int, int] = {}
        self.received = 0
        self._sock = datagram(iface, family_of(address[0]))
        try:
            self._sock.setblocking(False)
            self._sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            self._sock.connect(address)
        except OSError:
            self._sock.close()
            raise

    @property
    def sent(self) -> int:
        """Echoes sent so far, since the socket was made."""
        return self._number

    def close(self) -> None:
        """Close the socket."""
        self._sock.close()

    def send(self) -> None:
        """Send the next echo; one that cannot be sent now counts as lost."""
        self._number += 1
        packet = engine_echo.packet(self._ticket, self._key, self._number)
        self._sent_ns[self._number] = time.monotonic_ns()
        with contextlib.suppress(OSError):  # no route now, or the answer to an earlier one was "unreachable"
            self._sock.send(packet)

    def receive(self) -> None:
        """Take in every reply that has come."""
        while True:
            try:
                reply, ancillary, _flags, _sender = self._sock.recvmsg(256, ANCILLARY_BYTES)
            except BlockingIOError:
                return
            except OSError:  # an earlier echo's "unreachable"; the next read has what is left
                continue
            now_ns, wall_ns = time.monotonic_ns(), time.time_ns()
            number = engine_echo.number_of(reply, self._ticket, self._key)
            if number in self._sent_ns and number not in self._found_us:
                self.received += 1
                self._found_us[number] = max(
                    1, (now_ns - waited_ns(ancillary, wall_ns) - self._sent_ns[number]) // 1000
                )

    def take(self) -> tuple[int | None, ...]:
        """Round trips in microseconds of all echoes since the last `take`, None for those unanswered."""
        trips = tuple(self._found_us.get(number) for number in self._sent_ns)
        self._sent_ns, self._found_us = {}, {}
        return trips

    def series(self, count: int, interval_s: float, wait_s: float) -> tuple[int | None, ...]:
        """Send `count` echoes at a fixed pace, wait for the last at most `wait_s`; round trips as in `take`."""
        due_s = time.monotonic()
        for _ in range(count):
            self.send()
            due_s += interval_s
            self._collect(due_s, until_all=False)
        self._collect(time.monotonic() + wait_s, until_all=True)
        return self.take()

    def _collect(self, until_s: float, *, until_all: bool) -> None:
        while (left_s := until_s - time.monotonic()) > 0:
            if until_all and len(self._found_us) == len(self._sent_ns):
                return
            if select.select([self._sock], [], [], left_s)[0]:
                self.receive()
