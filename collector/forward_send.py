"""Lines to a time-series database: 5,000 a request, what is refused halved down to the lines at fault; some at once.

Source: design §7, forwarder; facts note 04 §1d.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import SimpleQueue
from typing import Protocol

from collector.forward_rollups import Deleter
from collector.reconcile import PointCounter
from wire.errors import Refused

MAX_LINES = 5_000
IN_FLIGHT = 2
"""So many requests at once: while the server takes one apart, it syncs the other."""
Sent = tuple[int, list[tuple[str, str]]]
"""How many lines were taken, and those that never will be, with their reason."""


class PointWriter(Protocol):
    """What forward needs of a time-series database."""

    def prepare(self) -> None:
        """Make the database usable. Raises Unavailable, Misconfigured."""

    def write(self, lines: list[str]) -> None:
        """Write lines; returning means they are taken. Raises Refused, Unavailable, Misconfigured."""


class Target(PointWriter, PointCounter, Deleter, Protocol):
    """All that forward needs of a time-series database."""

    def twin(self) -> Target:
        """Another one of the same, for another thread."""

    def close(self) -> None:
        """Close the connections."""


def write_all(writer: PointWriter, lines: list[str], park: Callable[[str, str], None]) -> int:
    """Write lines, 5,000 a request; halve what is refused down to the lines at fault and hand those to `park`
    (at once where the server says that it dropped all of them).

    Returns how many were written. Raises Unavailable or Misconfigured; writing all of them again is then harmless.
    """
    written = 0
    waiting = [lines[at : at + MAX_LINES] for at in range(0, len(lines), MAX_LINES)][::-1]
    while waiting:
        batch = waiting.pop()
        try:
            writer.write(batch)
            written += len(batch)
        except Refused as error:
            if len(batch) == 1 or error.detail.endswith(f"dropped={len(batch)}"):
                for line in batch:
                    park(line, error.detail or error.reason)
            else:
                middle = len(batch) // 2
                waiting += [batch[middle:], batch[:middle]]
    return written


def written_by(writer: PointWriter, lines: list[str]) -> Sent:
    """Write lines; return how many were taken, and those that never will be. Raises Unavailable, Misconfigured."""
    parked: list[tuple[str, str]] = []
    return write_all(writer, lines, lambda line, reason: parked.append((line, reason))), parked


class Senders:
    """`IN_FLIGHT` threads, each with a connection of its own."""

    def __init__(self, writer: Target) -> None:
        """Connects nowhere yet. Raises Misconfigured."""
        self._pool = ThreadPoolExecutor(IN_FLIGHT, "forward")
        self._twins = [writer.twin() for _ in range(IN_FLIGHT)]
        self._free: SimpleQueue[Target] = SimpleQueue()
        for twin in self._twins:
            self._free.put(twin)

    def begin(self, lines: list[str]) -> Future[Sent]:
        """Have lines written. What `written_by` raises is raised where the result is asked for."""
        return self._pool.submit(self._send, lines)

    def _send(self, lines: list[str]) -> Sent:
        twin = self._free.get()
        try:
            return written_by(twin, lines)
        finally:
            self._free.put(twin)

    def close(self) -> None:
        """Wait for what is under way, then close the connections."""
        self._pool.shutdown()
        for twin in self._twins:
            twin.close()
