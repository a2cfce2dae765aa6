"""How fast this host can measure at all: our engine against itself over loopback, both directions.

A rate above 0.7 of that is marked as limited by the host. Loopback has no modem and no USB: it is a bound from above.
Source: issue of the measuring engine, item 6; facts note 03 §5.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from probe.core.engine import Terms
from probe.devices import connection, transfer
from wire.errors import Unavailable

MARK = "ceiling"
_CAP_US, _HARD_US = 2_000_000, 4_000_000


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most that this host moved each way, bit/s of payload."""

    downlink_bps: int
    uplink_bps: int

    def as_mark(self) -> str:
        """How it stands in the spool."""
        return f"{self.downlink_bps} {self.uplink_bps}"


def read(mark: str | None) -> Ceiling | None:
    """The ceiling of a spool's mark; None if this host was never calibrated."""
    words = (mark or "").split()
    return Ceiling(int(words[0]), int(words[1])) if len(words) == 2 and all(map(str.isdecimal, words)) else None


def measure() -> Ceiling:
    """Move bytes over loopback for about two seconds each way. Raises Unavailable if that fails."""
    with _far_end() as port:
        return Ceiling(_one_way(port, is_uplink=False), _one_way(port, is_uplink=True))


def _one_way(port: int, *, is_uplink: bool) -> int:
    terms = Terms(link_is_last=False, cap_us=_CAP_US, hard_us=_HARD_US)
    order = connection.Order("lo", "127.0.0.1", port, "127.0.0.1", "/", terms, is_uplink)
    moved = transfer.Transfer(order).run()
    if moved.cause is not None or moved.outcome.bps is None:
        raise Unavailable(f"loopback could not be measured ({moved.cause}); is the interface lo up?")
    return moved.outcome.bps


@contextmanager
def _far_end() -> Iterator[int]:
    command = [sys.executable, "-m", "probe.loopback"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            line = child.stdout.readline() if child.stdout else ""
            if not line.strip().isdecimal():
                raise Unavailable("the far end of the calibration did not start; see the log above")
            yield int(line)
        finally:
            child.kill()
