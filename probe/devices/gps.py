"""The position receiver, by gpsd-py3, guarded.

gpsd-py3 0.3.0 has no time-out anywhere, keeps its one connection in module globals, never reconnects, turns absent
figures into 0.0 and raises IndexError on empty lists. So it runs in a thread of its own, and `position` only reads
what that thread last learnt:

- The thread cannot hang. The library's sockets are ours: one deadline and one byte limit hold for each turn (connect
  and greeting, or one poll), however slowly the peer drips. This is stronger than a time-out, which starts anew with
  each byte. A child process could be killed too, but costs 10 MB of the 50 MB that an idle probe may take.
- If it did hang, nothing would wait for it: `position` has its own bound, and an old fix goes stale by itself.
- Any exception of the library ends the connection; the next turn begins with a new one.

The raw report is read instead of the library's GpsResponse, which drops eph, hdop and the altitude's absence.

Source: facts/05-hardware.md §3.1. To be thrown away with the first release of gpsd-py3 that has time-outs.
"""

from __future__ import annotations

import contextlib
import logging
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import gpsd

from probe.core.tpv import Fix, Freshness, parse_poll
from wire.errors import Misconfigured

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

log = logging.getLogger(__name__)

TURN_LIMIT_S = 2.0
TURN_LIMIT_BYTES = 65_536
POLL_EVERY_S = 1.0
SETTLED_AFTER_POLLS = 3
POSITION_BOUND_S = 3.0
"""`GpsReader.position` returns within this, whatever gpsd does."""


class _GuardedSocket(socket.socket):
    """A socket on which one deadline and one byte limit hold from `begin_turn` on."""

    _deadline_s = 0.0
    _left_bytes = 0

    def begin_turn(self) -> None:
        """Start the time and the bytes of one connect or one poll."""
        self._deadline_s = time.monotonic() + TURN_LIMIT_S
        self._left_bytes = TURN_LIMIT_BYTES

    def connect(self, address: Any) -> None:
        """Connect; this begins a turn, for the library does so right after making the socket."""
        self.begin_turn()
        self._arm()
        super().connect(address)

    def recv_into(self, buffer: WriteableBuffer, nbytes: int = 0, flags: int = 0) -> int:
        """Receive within what is left of the turn. Raises TimeoutError behind its end."""
        self._arm()
        count = super().recv_into(buffer, nbytes, flags)
        self._left_bytes -= count
        return count

    def send(self, data: ReadableBuffer, flags: int = 0) -> int:
        """Send within what is left of the turn. Raises TimeoutError behind its end."""
        self._arm()
        return super().send(data, flags)

    def _arm(self) -> None:
        left_s = self._deadline_s - time.monotonic()
        if left_s <= 0 or self._left_bytes <= 0:
            raise TimeoutError("gpsd took too long, or said too much, for one answer")
        self.settimeout(left_s)


class _RawReport:
    """Stands in for gpsd.GpsResponse: hands the report out as it came."""

    @staticmethod
    def from_json(packet: object) -> object:
        """Return the decoded POLL report."""
        return packet


def _guard_library() -> None:
    gpsd.socket = SimpleNamespace(socket=_GuardedSocket, AF_INET=socket.AF_INET, SOCK_STREAM=socket.SOCK_STREAM)
    gpsd.GpsResponse = _RawReport
    gpsd.logger = SimpleNamespace(debug=log.debug, warn=log.debug)  # it still calls the deprecated warn()


class GpsReader:
    """The fix of the receiver behind gpsd, read in the background.

    One at a time in a process, since the library has one connection: a second one raises Misconfigured. `retry_s`:
    pause before gpsd is tried again while it is down.
    """

    _one_at_a_time = threading.Lock()

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 2947,
        *,
        retry_s: float = 5.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        if not self._one_at_a_time.acquire(blocking=False):
            raise Misconfigured("a GPS reader is open already; close it first, gpsd-py3 has one connection a process")
        _guard_library()
        self._host, self._port, self._retry_s, self._monotonic = host, port, retry_s, monotonic
        self._stop = threading.Event()
        self._settled = threading.Event()
        self._guard = threading.Lock()
        self._fix: Fix | None = None
        self._freshness = Freshness()
        self._polls = 0
        self._is_lost = False
        self._thread = threading.Thread(target=self._run, name="gps", daemon=True)
        self._thread.start()

    def position(self) -> Fix | None:
        """Return the present fix, or None: no receiver, no fix, an old fix, or no gpsd.

        Waits at most 3 s (POSITION_BOUND_S), and only until the first verdict after the start.
        """
        self._settled.wait(POSITION_BOUND_S)
        with self._guard:
            return self._freshness.fresh(self._fix, self._monotonic())

    def time(self) -> tuple[int, float] | None:
        """Return what time a fresh fix told (UTC ms) and when (monotonic s); None without one. Never waits."""
        with self._guard:
            fix = self._freshness.fresh(self._fix, self._monotonic())
            return None if fix is None or fix.t_ms is None else (fix.t_ms, self._freshness.moved_at_s)

    @property
    def is_heard(self) -> bool:
        """True while gpsd answers, with a fix or without."""
        return self._polls > 0 and not self._is_lost

    def close(self) -> None:
        """Stop reading; returns within one turn. Closing twice is allowed."""
        if self._stop.is_set():
            return
        self._stop.set()
        with contextlib.suppress(OSError, AttributeError):
            gpsd.gpsd_socket.shutdown(socket.SHUT_RDWR)
        self._thread.join(TURN_LIMIT_S + POLL_EVERY_S)
        self._one_at_a_time.release()

    def _run(self) -> None:
        while not self._stop.is_set():
            is_connected = False
            try:
                gpsd.connect(self._host, self._port)
                is_connected = True
                self._poll_until_broken()
            except Exception as error:  # the library raises bare Exception for a line that it did not await
                self._lose(error)
            finally:
                _disconnect()
            if not is_connected:
                self._settled.set()  # no gpsd at all is a verdict; one odd line of it is none
            self._stop.wait(POLL_EVERY_S if is_connected else self._retry_s)

    def _poll_until_broken(self) -> None:
        while not self._stop.wait(POLL_EVERY_S):
            gpsd.gpsd_socket.begin_turn()
            self._learn(parse_poll(gpsd.get_current()))
            if self._is_lost:
                self._is_lost = False
                log.info("gpsd=back host=%s port=%d", self._host, self._port)

    def _learn(self, fix: Fix | None) -> None:
        with self._guard:
            self._polls += 1
            now_s = self._monotonic()
            self._freshness = self._freshness.after(fix, now_s)
            self._fix = fix
            is_known = self._freshness.fresh(fix, now_s) is not None
        if is_known or self._polls >= SETTLED_AFTER_POLLS:
            self._settled.set()

    def _lose(self, error: Exception) -> None:
        self._learn(None)
        if not self._is_lost and not self._stop.is_set():
            self._is_lost = True
            log.warning(
                "gpsd=lost host=%s port=%d cause=%s: start gpsd and check the receiver's cable, or correct [gps];"
                " tests go on with the surveyed position",
                *(self._host, self._port, type(error).__name__),
            )


def _disconnect() -> None:
    for part in (gpsd.gpsd_stream, gpsd.gpsd_socket):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            part.close()
    gpsd.gpsd_stream = gpsd.gpsd_socket = None
