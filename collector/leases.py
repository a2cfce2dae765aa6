"""Which partitions a worker has: rows of `lease`, each with an end and a number of its last change of hands.

A thread of its own says every second and a half that the worker is there and prolongs its leases. Partitions are
shared out by rendezvous hashing among the workers that were seen lately: each takes what is its own and free, and
gives back what is another's. Whoever dies loses its leases after six seconds; nobody need be told. The clock is the
database's. Source: design §9; issue 10; decision note on workers.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from hashlib import sha256

from collector.ledger_place import Remote
from collector.pg import PgDatabase
from wire import topics
from wire.errors import Misconfigured, Unavailable

LOG = logging.getLogger("collector.leases")
TERM_MS = 6000
BEAT_S = 1.5
OPTIONS = ("statement_timeout=5000", "synchronous_commit=local")
"""A standby that is away keeps nobody from prolonging. Whichever server is the primary compares names and numbers of
its own, so that a lease that it never heard of covers nothing."""
AHEAD_MS = 60_000
SILENT_S = 5.0
_ALONE = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user"
    " AND wait_event = 'SyncRep' LIMIT 1"
)
STUCK_S = 30.0
"""A worker whose loop has not turned for so long gives up its leases by not prolonging them."""
_NOW = "(extract(epoch FROM clock_timestamp()) * 1000)::bigint"


@dataclass(frozen=True, slots=True)
class Rows:
    """The statements of one kind of leases, on tables of its own: `lease` and `worker`, or `forward_lease` and so on.

    `kind`: what its processes are called; `lock`: class of the advisory locks on their names.
    """

    kind: str
    lock: int
    prefix: str = ""

    @property
    def seen(self) -> str:
        """Say that a worker is there."""
        return (
            f"INSERT INTO {self.prefix}worker (name, seen_ms, host) VALUES (?, {_NOW}, ?)"  # noqa: S608 (ours, as below)
            " ON CONFLICT (name) DO UPDATE SET seen_ms = excluded.seen_ms, host = excluded.host"
        )

    @property
    def workers(self) -> str:
        """Who was seen lately."""
        return f"SELECT name FROM {self.prefix}worker WHERE abs({_NOW} - seen_ms) < ? ORDER BY name"  # noqa: S608

    @property
    def keep(self) -> str:
        """Prolong what a worker has, and name it."""
        return f"UPDATE {self.prefix}lease SET until_ms = {_NOW} + ? WHERE worker = ? RETURNING part, fence"  # noqa: S608

    @property
    def take(self) -> str:
        """Take partitions that are free, each under a new number.

        A lease that ends later than any can was given by a clock that was ahead: of a server that is lost.
        """
        return (
            f"INSERT INTO {self.prefix}lease AS held (part, worker, fence, until_ms) SELECT part, ?, 1, {_NOW} + ?"  # noqa: S608
            " FROM unnest(?::bigint[]) AS p (part) ON CONFLICT (part) DO UPDATE SET worker = excluded.worker,"
            f" fence = held.fence + 1, until_ms = excluded.until_ms"
            f" WHERE held.until_ms NOT BETWEEN {_NOW} AND {_NOW} + {AHEAD_MS} RETURNING part, fence"
        )

    @property
    def give(self) -> str:
        """Give partitions back."""
        return f"UPDATE {self.prefix}lease SET until_ms = 0, worker = '' WHERE worker = ? AND part = ANY(?)"  # noqa: S608

    @property
    def leave(self) -> str:
        """A worker ends."""
        return f"DELETE FROM {self.prefix}worker WHERE name = ?"  # noqa: S608

    @property
    def forget(self) -> str:
        """Workers that nobody has seen for an hour."""
        return f"DELETE FROM {self.prefix}worker WHERE seen_ms < {_NOW} - 3600000"  # noqa: S608

    @property
    def hold(self) -> str:
        """In a transaction: the numbers of a worker's partitions, which stay as they are until COMMIT."""
        return f"SELECT part, fence FROM {self.prefix}lease WHERE worker = ? AND part = ANY(?) FOR SHARE"  # noqa: S608


RECEIVE = Rows("receive", 7)
FORWARD = Rows("forward", 8, "forward_")


def share(worker: str, workers: Collection[str]) -> frozenset[int]:
    """The partitions of one worker among these: one that comes or goes moves no partition between the others."""
    return frozenset(part for part in range(topics.PARTS) if max(workers, key=lambda one: _weight(one, part)) == worker)


def _weight(worker: str, part: int) -> bytes:
    return sha256(f"{worker} {part}".encode()).digest()


class Leases:
    """This worker's partitions. `owned`, `wanted` and `give` may be called from any thread."""

    def __init__(self, place: Remote, worker: str, host: str, rows: Rows = RECEIVE, stuck_s: float = STUCK_S) -> None:
        """Take the worker's name. Raises Misconfigured if another process has it, Unavailable."""
        self.worker, self.rows = worker, rows
        self._place, self._host, self._stuck_s = place, host, stuck_s
        self._lock = threading.Lock()
        self._owned: dict[int, int] = {}
        self._until_s = 0.0
        self._wanted: frozenset[int] = frozenset()
        self._giving: frozenset[int] = frozenset()
        self._turned_s = time.monotonic()
        self._is_alone = False
        self._stop = threading.Event()
        self._db: PgDatabase | None = self._connect()
        self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
        self._thread.start()

    def owned(self) -> dict[int, int]:
        """Partition to the number of its last change of hands; empty once the leases may have run out."""
        self._turned_s = time.monotonic()
        with self._lock:
            return dict(self._owned) if time.monotonic() < self._until_s else {}

    def wanted(self) -> frozenset[int]:
        """The partitions that fall to this worker among those that are there now."""
        with self._lock:
            return self._wanted

    def give(self, parts: Collection[int]) -> None:
        """Give partitions back that another worker waits for: nothing of them is being committed any more."""
        with self._lock:
            self._giving |= frozenset(parts)
            for part in parts:
                self._owned.pop(part, None)

    def close(self) -> None:
        """Give everything back and end."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        while not self._stop.wait(BEAT_S if self._until_s else 0):
            self._try(self._say_alone)
            if time.monotonic() - self._turned_s < self._stuck_s:
                self._try(self._beat)
        self._try(lambda db: db.execute(self.rows.give, (self.worker, list(range(topics.PARTS)))))
        self._try(lambda db: db.execute(self.rows.leave, (self.worker,)))
        if self._db is not None:
            self._db.close()

    def _try(self, what: Callable[[PgDatabase], object]) -> None:
        try:
            if self._db is None:
                self._db = self._connect()
            what(self._db)
        except (sqlite3.Error, Unavailable, Misconfigured) as error:
            LOG.warning("leases wait: %s", error)
            self._until_s = self._until_s or 1e-9
            if self._db is not None:
                self._db.close()
            self._db = None

    def _connect(self) -> PgDatabase:
        db = PgDatabase(self._place, OPTIONS)
        if not db.execute("SELECT pg_try_advisory_lock(?::int, hashtext(?))", (self.rows.lock, self.worker)).fetchone()[
            0
        ]:
            db.close()
            raise Misconfigured(
                f"another {self.rows.kind} is called {self.worker}; give each a name of its own in ledger.worker"
            )
        return db

    def _take(self, db: PgDatabase, free: list[int]) -> dict[int, int]:
        """Take these, if no commit under way holds one of them: who waited for a worker that stands still would lose
        its own meanwhile."""
        try:
            for sql in ("BEGIN", "SET LOCAL lock_timeout = 1000"):
                db.execute(sql)
            taken: dict[int, int] = dict(db.execute(self.rows.take, (self.worker, TERM_MS, free)).fetchall())
            db.execute("COMMIT")
        except sqlite3.Error as error:
            LOG.info("partitions that are free are not taken yet: %s", error)
            db.execute("ROLLBACK")
            return {}
        return taken

    def _say_alone(self, db: PgDatabase) -> None:
        """Say, once, what a loop that waits for COMMIT cannot say itself."""
        was, self._is_alone = self._is_alone, False
        if time.monotonic() - self._turned_s >= SILENT_S:
            self._is_alone = bool(db.execute(_ALONE).fetchall())
        if self._is_alone and not was:
            LOG.warning("COMMIT waits for the standby, which is away: nothing is acknowledged (docs/postgresql.md)")

    def _beat(self, db: PgDatabase) -> None:
        """Say that we are there; prolong, give back, take."""
        begun_s = time.monotonic()
        db.execute(self.rows.seen, (self.worker, self._host))
        names = {row[0] for row in db.execute(self.rows.workers, (TERM_MS,)).fetchall()} | {self.worker}
        wanted = share(self.worker, names)
        with self._lock:
            giving, self._giving = self._giving, frozenset()
            free = sorted(wanted - self._owned.keys())
        if giving:
            db.execute(self.rows.give, (self.worker, sorted(giving)))
        held: dict[int, int] = dict(db.execute(self.rows.keep, (TERM_MS, self.worker)).fetchall())
        if free:
            held |= self._take(db, free)
        db.execute(self.rows.forget)
        with self._lock:
            if held.keys() != self._owned.keys():
                LOG.info("%s partitions=%d of %d workers=%d", self.rows.kind, len(held), topics.PARTS, len(names))
            held = {part: fence for part, fence in held.items() if part not in self._giving}
            self._owned, self._wanted, self._until_s = held, wanted, begun_s + TERM_MS / 1000
