"""The partitions of a `receive` on its connection to the broker: what it subscribes to, lets by, and gives up.

What came for a partition that is no longer ours is dropped: its probe gets no signed acknowledgement and sends it
again, to the worker that has the partition now. Source: design §4 (topics), §9; decision note on workers.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from collector.broker import Connection
from collector.ingest import Ingest
from collector.ledger_write import SqlLedger
from collector.settings import Settings
from wire import topics
from wire.errors import Refused

if TYPE_CHECKING:
    from collector.leases import Leases
    from collector.ledger_pg import PostgresLedger
    from collector.ledger_place import Remote


class Partitions:
    """Follows the leases of one worker. Not safe for several threads."""

    def __init__(self, leases: Leases, ledger: PostgresLedger) -> None:
        self._leases, self._ledger = leases, ledger
        self.worker = leases.worker
        self.now: frozenset[int] = frozenset()
        """The partitions that this worker receives just now."""
        self._leaving: dict[int, int] = {}

    def turn(self, connection: Connection) -> bool:
        """Subscribe to what is ours now, leave what is not; say whether partitions came that were not ours before.

        What another worker waits for is left first and given back two turns later, when what had come of it is done.
        """
        owned = self._leases.owned()
        wanted = self._leases.wanted()
        left = [part for part in owned if part not in wanted]
        self._leaving = {part: self._leaving.get(part, -1) + 1 for part in left}
        done = [part for part, turns in self._leaving.items() if turns >= 2]
        if done:
            self._leases.give(done)
        before, self.now = self.now, frozenset(owned.keys() & wanted)
        connection.follow(self.now)
        return bool(self.now - before)

    def is_ours(self, topic: str) -> bool:
        """Whether a message of this topic is ours to take; what is no topic of ours is refused by whoever gets it."""
        try:
            probe = (
                topics.parse_status(topic) if topic.startswith(topics.STATUS_FILTER[:-1]) else topics.parse_up(topic)
            )
        except Refused:
            return True
        return topics.part(probe) in self.now

    def close(self) -> None:
        """Give all of them back."""
        self._leases.close()

    def hold(self, probes: Iterable[str]) -> None:
        """Inside a transaction: the partitions of these probes must still be ours, and stay so until COMMIT.

        Raises Fenced.
        """
        held = self._leases.owned()
        self._ledger.hold(self._leases.worker, {part: held.get(part, 0) for part in set(map(topics.part, probes))})


def worker_name(settings: Settings) -> tuple[str, str]:
    """What this machine's processes are called among the others, and the machine's own name."""
    host = socket.gethostname()
    given = settings.ledger_at.worker if settings.ledger_at is not None else None
    return given or "".join(sign if sign.isalnum() else "-" for sign in host)[:40], host


def partitions_of(settings: Settings, ledger: SqlLedger, ingest: Ingest) -> Partitions | None:
    """The partitions of this `receive` if its ledger is one that several may write; None: all are its own.

    Raises Misconfigured if another process has this worker's name, Unavailable.
    """
    if settings.ledger_at is None:
        return None
    from collector.leases import Leases  # noqa: PLC0415 (only who uses PostgreSQL has its driver)

    worker, host = worker_name(settings)
    made = Partitions(Leases(cast("Remote", settings.ledger), worker, host), cast("PostgresLedger", ledger))
    ingest.hold = made.hold
    return made
