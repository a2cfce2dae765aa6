"""What several `forward` remember together, in the ledger's PostgreSQL: cursors, touched days, parked lines.

Each forwards the partitions that its leases give it (`collector.leases`, as `receive` has them). A cursor moves only
under the lease's number that was known when its records were read; a forwarder that lost a partition writes points
again that are there already, and moves nothing. Rollup points of a hamlet fall to the partition that its code hashes
to, and what belongs to none (places, boards, comparing) to the owner of partition 0: so nobody writes an older sum over
a newer one. What a forwarder took off a list it takes off by the mark that it read.
Source: design §7, forward; §9; decision note on forwarders.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TypeVar

from collector.core.rollup import DayKey
from collector.forward_memory import Due
from collector.leases import FORWARD, Leases
from collector.ledger_place import Remote
from collector.ledger_port import Fenced
from collector.partitions import worker_name
from collector.pg import PgDatabase
from collector.settings import Settings
from wire import topics
from wire.errors import Unavailable

T = TypeVar("T")
STUCK_S = 600.0
"""Boards and rollups of a country, or a night's comparing, may take minutes in which no lease is asked for."""
SEEN_EVERY_S = 5.0
NOTHING_WAITS = 2**53 - 1
LEADING_PART = 0
OPTIONS = ("synchronous_commit=local", "idle_in_transaction_session_timeout=10000", "lock_timeout=10000")
"""Losing the last words costs points that are written twice, so that a standby that is away holds nobody up."""
_CURSORS = (
    "INSERT INTO forward_cursor (part, n, redo) SELECT part, 0, 0 FROM unnest(?::bigint[]) AS p (part)"
    " ON CONFLICT (part) DO NOTHING"
)
_MOVE = "UPDATE forward_cursor SET n = greatest(n, ?), redo = greatest(redo, ?) WHERE part = ANY(?)"
_TOUCH = (
    "INSERT INTO forward_touched AS held (day_ms, province, commune, hamlet, plmn, hours, part, mark)"
    " SELECT *, 1 FROM unnest(?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[], ?::bigint[], ?::bigint[])"
    " ON CONFLICT (day_ms, province, commune, hamlet, plmn)"
    " DO UPDATE SET hours = held.hours | excluded.hours, mark = held.mark + 1"
)
_TOUCHED = (
    "SELECT day_ms, province, commune, hamlet, plmn, hours, mark FROM forward_touched WHERE part = ANY(?) LIMIT ?"
)
_TOUCH_DONE = (
    "DELETE FROM forward_touched WHERE (day_ms, province, commune, hamlet, plmn, mark) IN"
    " (SELECT * FROM unnest(?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[], ?::bigint[]))"
)
_DUE = (
    "INSERT INTO forward_due AS held (span, start_ms, province, anew, mark) VALUES (?, ?, ?, ?, 1)"
    " ON CONFLICT (span, start_ms, province) DO UPDATE SET anew = greatest(held.anew, excluded.anew),"
    " mark = held.mark + 1"
)


class SharedStore:
    """One forwarder's view of it. Not safe for several threads. Every call raises Unavailable, `move` Fenced."""

    def __init__(self, place: Remote, leases: Leases) -> None:
        self._place, self._leases = place, leases
        self._db: PgDatabase | None = None
        self._fences: dict[int, int] = {}
        self._taken: dict[int, int] = {}
        self._redone: dict[int, int] = {}
        self._marks: dict[DayKey, int] = {}
        self._due_marks: dict[tuple[str, Due], int] = {}
        self._seen_due_s = 0.0
        self._parked, self._parked_due_s = 0, 0.0

    def close(self) -> None:
        """Give the partitions back and close."""
        self._leases.close()
        if self._db is not None:
            self._db.close()

    @property
    def parts(self) -> frozenset[int] | None:
        """The partitions that this process forwards just now."""
        return frozenset(self._fences)

    @property
    def leads(self) -> bool:
        """Whether what belongs to no partition is ours."""
        return LEADING_PART in self._fences

    def turn(self) -> bool:
        """Take what is ours now, with its cursors, and give back what is another's."""
        owned, wanted = self._leases.owned(), self._leases.wanted()
        leaving = owned.keys() - wanted
        if leaving:
            self._leases.give(leaving)
        mine = {part: fence for part, fence in owned.items() if part in wanted}
        if mine == self._fences:
            return False
        self._fences = {}
        if not mine:
            return True
        self._run(lambda db: db.execute(_CURSORS, (sorted(mine),)))
        sql = "SELECT part, n, redo FROM forward_cursor WHERE part = ANY(?)"
        rows = self._run(lambda db: db.execute(sql, (sorted(mine),)).fetchall())
        self._taken, self._redone = {row[0]: row[1] for row in rows}, {row[0]: row[2] for row in rows}
        self._fences = mine
        return True

    def is_taken(self, part: int, n: int) -> bool:
        """Whether the cursor of a record's partition is at or behind it."""
        return n <= self._taken.get(part, 0)

    def seen(self, n: int, redo: int) -> None:
        """Nothing of ours waits up to these numbers: cursors of partitions without traffic stay near the end."""
        if (
            time.monotonic() >= self._seen_due_s
            and self._fences
            and (n > self.position() or redo > self.redo_position())
        ):
            self._seen_due_s = time.monotonic() + SEEN_EVERY_S
            self._moved(n, redo, {})

    def position(self) -> int:
        """Number up to which InfluxDB has taken all of our partitions."""
        return min(self._taken.values(), default=NOTHING_WAITS) if self._fences else NOTHING_WAITS

    def redo_position(self) -> int:
        """The same of changes to older records."""
        return min(self._redone.values(), default=NOTHING_WAITS) if self._fences else NOTHING_WAITS

    def parked(self) -> int:
        """How many lines are parked, by all forwarders; what was known last while the database is away."""
        if time.monotonic() >= self._parked_due_s:
            self._parked_due_s = time.monotonic() + SEEN_EVERY_S
            with suppress(Unavailable):
                found = self._run(lambda db: db.execute("SELECT count(*) FROM forward_parked").fetchone())
                self._parked = int(found[0])
        return self._parked

    def move(self, taken: Mapping[int, int], touched: Mapping[DayKey, int]) -> None:
        """InfluxDB has all records of our partitions up to the highest of these; these hours were touched."""
        self._moved(max(taken.values(), default=0), 0, touched)

    def move_redo(self, taken: Mapping[int, int], touched: Mapping[DayKey, int]) -> None:
        """The same of changes to older records."""
        self._moved(0, max(taken.values(), default=0), touched)

    def _moved(self, n: int, redo: int, touched: Mapping[DayKey, int]) -> None:
        """One step under our leases' numbers. Raises Fenced; then nothing of it is held."""
        parts = sorted(self._fences)

        def step(db: PgDatabase) -> None:
            if n or redo:
                held = dict(db.execute(FORWARD.hold, (self._leases.worker, parts)).fetchall())
                if held != self._fences:
                    raise Fenced("another forwarder has some of our partitions now, or all begins again")
                db.execute(_MOVE, (n, redo, parts))
            if touched:
                db.execute(_TOUCH, _columns(sorted((*key, hours, part_of(key)) for key, hours in touched.items())))

        self._run(step, whole=True)
        for kept, upto in ((self._taken, n), (self._redone, redo)):
            kept.update({part: max(upto, kept.get(part, 0)) for part in parts})

    def touched(self, limit: int) -> dict[DayKey, int]:
        """Days of hamlets that fall to us, with hours whose rollup points are to be written again, as bits."""
        rows = self._run(lambda db: db.execute(_TOUCHED, (sorted(self._fences), limit)).fetchall())
        self._marks = {DayKey(*row[:5]): row[6] for row in rows}
        return {DayKey(*row[:5]): row[5] for row in rows}

    def settle(self, done: Mapping[DayKey, int], due: Mapping[str, Mapping[Due, bool]]) -> None:
        """These rollup points are written, unless touched again since they were read; what hangs on them is due."""
        rows = sorted((*key, self._marks.get(key, 0)) for key in done)
        hanging = sorted((span, *key, int(anew)) for span, keys in due.items() for key, anew in keys.items())

        def step(db: PgDatabase) -> None:
            if rows:
                db.execute(_TOUCH_DONE, _columns(rows))
            for one in hanging:
                db.execute(_DUE, one)

        self._run(step, whole=True)

    def due(self, span: str, limit: int) -> dict[Due, bool]:
        """What is due of a span, newest first; True: to be deleted before it is written."""
        sql = (
            "SELECT start_ms, province, anew, mark FROM forward_due WHERE span = ?"
            " ORDER BY anew DESC, start_ms DESC LIMIT ?"
        )
        rows = self._run(lambda db: db.execute(sql, (span, limit)).fetchall())
        self._due_marks.update({(span, (row[0], row[1])): row[3] for row in rows})
        return {(row[0], row[1]): bool(row[2]) for row in rows}

    def written(self, span: str, keys: Iterable[Due]) -> None:
        """These points of a span are written, unless they became due again since they were read."""
        sql = "DELETE FROM forward_due WHERE (span, start_ms, province, mark) = (?, ?, ?, ?)"
        rows = [(span, *key, self._due_marks.pop((span, key), 0)) for key in keys]
        self._run(lambda db: [db.execute(sql, row) for row in sorted(rows)], whole=True)

    def noted(self, key: str) -> int | None:
        """A number kept under a name; None if there is none."""
        found = self._run(lambda db: db.execute("SELECT value FROM forward_note WHERE key = ?", (key,)).fetchone())
        return None if found is None else int(found[0])

    def note(self, key: str, value: int) -> None:
        """Keep a number under a name."""
        sql = (
            "INSERT INTO forward_note (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        )
        self._run(lambda db: db.execute(sql, (key, value)))

    def start_over(self) -> None:
        """Forget how far InfluxDB has taken the ledger, for every forwarder: their leases get other numbers."""

        def step(db: PgDatabase) -> None:
            db.execute("UPDATE forward_lease SET fence = fence + 1")
            db.execute("UPDATE forward_cursor SET n = 0, redo = 0")

        self._run(step, whole=True)

    def park(self, line: str, reason: str, at_ms: int) -> None:
        """Keep a line that InfluxDB will never take, with its reason."""
        sql = "INSERT INTO forward_parked (parked_ms, reason, line) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
        self._run(lambda db: db.execute(sql, (at_ms, reason[:200], line)))
        self._parked_due_s = 0.0

    def _run(self, what: Callable[[PgDatabase], T], *, whole: bool = False) -> T:
        """Do something in the database, as one transaction if it is a whole. Raises Unavailable."""
        try:
            if self._db is None:
                self._db = PgDatabase(self._place, OPTIONS)
            if not whole:
                return what(self._db)
            self._db.execute("BEGIN")
            try:
                done = what(self._db)
                self._db.execute("COMMIT")
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
            return done
        except sqlite3.Error as error:
            if self._db is not None:
                self._db.close()
            self._db = None
            raise Unavailable(f"cannot use {self._place}: {error}") from error


def part_of(key: DayKey) -> int:
    """The partition whose forwarder writes a hamlet's rollup points."""
    return topics.part(key.hamlet)


def _columns(rows: Sequence[tuple[object, ...]]) -> list[list[object]]:
    return [list(column) for column in zip(*rows, strict=True)]


def shared_store(settings: Settings, place: Remote) -> SharedStore:
    """This machine's view. Raises Misconfigured if another forward has this worker's name, Unavailable."""
    return SharedStore(place, Leases(place, *worker_name(settings), FORWARD, STUCK_S))
