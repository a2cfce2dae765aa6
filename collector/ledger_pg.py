"""Writing the ledger in PostgreSQL: the same statements, one order of commits, ownership by leases.

Numbers rise in the order of commits, for every cursor behind the ledger goes by them: whoever writes holds one advisory
lock from its first statement to COMMIT. synchronous_commit stays on: with a synchronous standby, COMMIT answers when
both have it. Source: design §7, §9; decision note on PostgreSQL.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from functools import lru_cache
from operator import itemgetter
from typing import Any

from collector.core.accept import Chain
from collector.core.rollup import DayKey
from collector.core.row import Row
from collector.ledger_place import Remote
from collector.ledger_port import Fenced, Head, StoredRow
from collector.ledger_records import PUT_BLOCK
from collector.ledger_rows import COLUMNS, FOLLOWS, INSERT
from collector.ledger_write import SqlLedger
from collector.pg import WRITE, Answer, PgDatabase, PgError, array
from collector.pg_copy import RowStream, numbers, spelt
from collector.pg_schema import check_version
from wire.errors import Unavailable

WRITE_LOCK = 0x646F736F6E67
"""Advisory lock of whoever writes ("dosong")."""
OPTIONS = (*("idle_in_transaction_session_timeout=5000", "lock_timeout=10000", "enable_seqscan=off", "jit=off"),)
"""A worker that stands still in a transaction loses it, so that the others go on. All that it asks for has an index;
a plan that was made, and kept, while the tables were small would go through all of them later."""
STILL_S = 10
_END_STILL = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'ClientRead'"
    " AND state_change < clock_timestamp() - make_interval(secs => ?) AND pid IN (SELECT pid FROM pg_locks"
    " WHERE locktype = 'advisory' AND granted AND (classid::bigint << 32) + objid::bigint = ?"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database()))"
)
"""Amid COPY, or statements that it waits for none of, no timeout of the server ends a writer that stands still."""
_LEAF, _TEXT = b"\1", b"\2"
_DETAIL = COLUMNS.index("fault_detail")


_DAY_TYPES = ("bigint", "text", "text", "text", "text")
_READ_DAYS = (
    "SELECT day_ms, province, commune, hamlet, plmn, hours FROM rollup_day JOIN"
    " unnest(?::bigint[], ?::text[], ?::text[], ?::text[], ?::text[])"
    " AS asked (day_ms, province, commune, hamlet, plmn) USING (day_ms, province, commune, hamlet, plmn)"
)


PROBES = (
    "SELECT id, records, (SELECT slot_ms FROM entry WHERE probe = k AND counted = 1"
    " ORDER BY probe DESC, slot_ms DESC, modem DESC LIMIT 1) FROM probe LEFT JOIN word ON text = id WHERE id = ANY(?)"
)
"""By the order of index entry_slot: the highest slot is its last entry of the probe. Of `max(slot_ms)` PostgreSQL reads
all of the probe's records."""


_CHAINS = "SELECT probe, epoch, upto, head, fork_seq, max_seq FROM chain WHERE probe = ANY(?)"


class _Writer(PgDatabase):
    """The writing connection. Rows of records go in while more of them are made (`RowStream`); those of chains and
    deliveries wait and go in together, a statement a table: at COMMIT, or before somebody asks for what they hold."""

    def __init__(self, place: Remote, options: tuple[str, ...]) -> None:
        super().__init__(place, options)
        self._waiting: dict[str, list[Any]] = {}
        self._keys: dict[str, set[Any]] = {}
        self._entries = RowStream("entry", COLUMNS)
        self._beside = False

    def executemany(self, sql: str, rows: Any, /) -> None:
        """Have rows wait; those of records go in all or none."""
        if sql == INSERT:
            self._entries.add(self, map(_entry, rows))
            return
        given = list(rows)
        if (places := _key_places(sql)) is not None:  # one statement changes a row once
            keys = {places(row) for row in given}
            if not keys.isdisjoint(self._keys.get(sql, ())):
                self._put(sql)
            self._keys.setdefault(sql, set()).update(keys)
        self._waiting.setdefault(sql, []).extend(given)

    def execute(self, sql: str, values: Sequence[Any] = (), /) -> Answer:
        """As `PgDatabase.execute`, behind the rows that wait and matter to it."""
        if sql == PUT_BLOCK:
            self._waiting.setdefault(sql, []).append(values)
            return Answer(None)
        if sql == "ROLLBACK" or sql.startswith("BEGIN"):  # of a connection that was lost no ROLLBACK was said
            self._forget()
            return super().execute(sql, values)
        self._put_entries(needed=sql == "COMMIT" or (not self._beside and _concerns(INSERT, sql)))
        if self._waiting and not self._beside:
            for put in [put for put in self._waiting if sql == "COMMIT" or _concerns(put, sql)]:
                self._put(put)
        if sql == "COMMIT":
            self.end_sending()
        return super().execute(sql, values)

    def _forget(self) -> None:
        self._waiting.clear()
        self._keys.clear()
        with suppress(PgError):
            self.end_sending()
        self._entries.abandon()

    def send(self) -> None:
        """Send the rows that wait: while they go in, blocks and sums are made here."""
        self._put_entries(needed=True)
        self.begin_sending()
        for put in list(self._waiting):
            self._put(put)

    def _put_entries(self, *, needed: bool) -> None:
        """Let the server finish the records that were sent; `needed`: all that were given."""
        if needed:
            self._entries.end(self)
        else:
            self._entries.pause()

    @contextmanager
    def beside(self) -> Iterator[None]:
        """Ask for rows that none of those that wait can be among."""
        self._beside = True
        try:
            yield
        finally:
            self._beside = False

    def _put(self, sql: str) -> None:
        rows = self._waiting.pop(sql)
        self._keys.pop(sql, None)
        self._put_entries(needed=False)
        super().executemany(sql, rows)


@lru_cache(maxsize=64)
def _key_places(sql: str) -> itemgetter[Any] | None:
    """Where the key stands in the rows of a statement that may change rows; None for one that only adds."""
    found = re.search(r"INSERT INTO \w+ \(([^)]*)\).* ON CONFLICT \(([^)]*)\) DO UPDATE", sql)
    if found is None:
        return None
    columns = found[1].split(", ")
    return itemgetter(*(columns.index(name) for name in found[2].split(", ")))


@lru_cache(maxsize=4096)
def _concerns(put: str, sql: str) -> bool:
    """Whether a statement speaks of the table that rows wait for."""
    table = put.split()[2]
    names = r"\b(entry|record)\b" if table == "entry" else rf"\b{table}\b"
    return re.search(names, sql) is not None


def _entry(row: tuple[Any, ...]) -> str:
    """A row of `collector.ledger_rows` as COPY reads it."""
    behind = row[8:]
    rest = numbers(behind) if row[_DETAIL] is None else ",".join(map(spelt, behind))
    return f"{numbers(row[:6])},{spelt(row[6])},{spelt(kept(row[7]))},{rest}"


def kept(prev: int | bytes | str | None) -> bytes | None:
    """`prev` as column `prev` has it: see postgres_v1.sql."""
    if prev is None:
        return None
    if prev == FOLLOWS:
        return b""
    return _LEAF + prev if isinstance(prev, bytes) else _TEXT + str(prev).encode()


def unkept(prev: bytes | None) -> int | bytes | str | None:
    """The other way round."""
    if prev is None:
        return None
    if not prev:
        return FOLLOWS
    return prev[1:] if prev[:1] == _LEAF else prev[1:].decode()


class PostgresLedger(SqlLedger):
    """A ledger in PostgreSQL. Not safe for several threads; several processes may each have one."""

    begin = "BEGIN"

    def __init__(self, place: Remote) -> None:
        """Connect. Raises Misconfigured for a database that was not prepared, Unavailable for one that is not there."""
        self._writer = db = _Writer(place, OPTIONS)
        self._chains: dict[str, dict[int, Chain]] = {}
        """Of the probes that are expected in this transaction: their chains by epoch, and how many records each has."""
        self._sizes: dict[str, int] = {}
        self._last_slots: dict[str, int] = {}
        """Of those probes that have records: the last slot that a counted sample holds; 0 for none."""
        self._fresh: set[str] = set()
        """Probes of which this transaction has stored records."""
        self._gen = 0
        self.registry: Callable[[int | None], None] | None = None
        """Asked in every transaction, with the newest line of the registry: raises Fenced if an older one judged."""
        try:
            check_version(db, place)
            db.learn()
            super().__init__(place, db, db.execute("SELECT value FROM dictionary").fetchone()[0])
            self._rollups.read_days = self._read_days
        except PgError as error:
            db.close()
            raise Unavailable(f"cannot use {place}: {error}") from error
        except BaseException:
            db.close()
            raise

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable transaction, alone among all writers. Raises Unavailable; then nothing of it is held."""
        with super().transaction():
            self._be_alone()
            if self.registry is not None:
                held = self._one("SELECT line FROM registry_source")
                self.registry(None if held is None else int(held[0]))
            self._records.renumber()
            self._chains.clear()
            self._sizes.clear()
            self._fresh.clear()
            self._last_slots.clear()
            yield
            self._rollups.fetch()
            if not self._fresh:  # what is said of records that are there already is on both, too
                self._db.execute(WRITE)
            self._writer.send()

    def _be_alone(self) -> None:
        """Wait for who writes; end it if it stands still, for who comes next."""
        try:
            self._db.execute("SELECT pg_advisory_xact_lock(?)", (WRITE_LOCK,))
        except PgError:
            self._db.execute("ROLLBACK")
            self._db.execute(_END_STILL, (STILL_S, WRITE_LOCK))
            raise

    def hold(self, worker: str, fences: Mapping[int, int]) -> None:
        """Inside a transaction: `worker` has these partitions under these numbers, and keeps them until COMMIT.

        Raises Fenced.
        """
        sql = "SELECT part, fence FROM lease WHERE worker = ? AND part = ANY(?) FOR SHARE"
        held = dict(self._db.execute(sql, (worker, sorted(fences))).fetchall())
        lost = [part for part, fence in fences.items() if held.get(part) != fence]
        if lost:
            raise Fenced(f"another worker has partition {lost[0]} now")

    def expect(self, probes: Sequence[str]) -> None:
        """Records of these probes come in this transaction: read now what each of them will ask."""
        asked = (list(probes),)
        self._writer.begin_sending()  # one way there and back for all three
        gen = self._db.execute("SELECT value FROM meta WHERE key = 'gen'")
        sizes, chains = self._db.execute(PROBES, asked), self._db.execute(_CHAINS, asked)
        self._gen = int(gen.fetchone()[0])
        for probe, size, slot_ms in sizes:
            self._sizes[probe], self._last_slots[probe] = size, slot_ms or 0
        self._chains.update((probe, {}) for probe in probes)
        for probe, epoch, upto, head, fork_seq, max_seq in chains:
            ends = (0 if upto is None else upto + 1, head, 0 if max_seq is None else max_seq + 1)
            self._chains[probe][epoch] = Chain(epoch, *ends, fork_seq)
        self._writer.end_sending()

    def chain(self, probe: str, epoch: int) -> Chain:
        """The chain of one epoch; an empty one if nothing of it is held."""
        held = self._chains.get(probe)
        return super().chain(probe, epoch) if held is None else held.get(epoch, Chain(epoch))

    def last_epoch(self, probe: str) -> int | None:
        """The highest epoch seen; None if no record with a readable place is held."""
        held = self._chains.get(probe)
        return super().last_epoch(probe) if held is None else max(held, default=None)

    def keep_chain(self, probe: str, chain: Chain) -> None:
        """Store a chain."""
        if probe in self._chains:
            self._chains[probe][chain.epoch] = chain
        super().keep_chain(probe, chain)

    def head_of(self, probe: str, epoch: int | None = None) -> Head | None:
        """What an ACK of this probe says now of `epoch` (None: its highest); None if it has no place there."""
        held = self._chains.get(probe)
        if held is None:
            return super().head_of(probe, epoch)
        chain = held.get(max(held, default=0) if epoch is None else epoch)
        if chain is None:
            return None
        return Head(chain.epoch, chain.upto, chain.head, self._sizes.get(probe, 0), self._gen)

    def insert(self, rows: Sequence[Row]) -> int:
        """Store records of one probe under consecutive numbers, add them to the sums; return the first one's number."""
        probe = rows[0].probe
        self._fresh.add(probe)
        if probe in self._chains:
            self._sizes[probe] = self._sizes.get(probe, 0) + len(rows)
        return super().insert(rows)

    def leaves(self, probe: str, epoch: int, places: range) -> dict[int, bytes]:
        """Leaves of the records held in these places, by place."""
        with self._beside(probe):
            return super().leaves(probe, epoch, places)

    def undated(self, probe: str, boot: str) -> list[StoredRow]:
        """Readable records of one boot that have no time yet."""
        with self._beside(probe):
            return super().undated(probe, boot)

    def slots_taken(self, probe: str, first_ms: int, last_ms: int) -> set[tuple[str, int]]:
        """Modem and slot of the counted samples held of slots that begin from `first_ms` to `last_ms`."""
        if probe not in self._fresh and first_ms > self._last_slots.get(probe, first_ms):
            return set()
        with self._beside(probe):
            return super().slots_taken(probe, first_ms, last_ms)

    def last_judged(self) -> None:
        """None: records behind any number may be those of another worker, who had not read the registry anew."""

    def _beside(self, probe: str) -> AbstractContextManager[None]:
        """A question about one probe's records: rows of others may go on waiting."""
        return nullcontext() if probe in self._fresh else self._writer.beside()

    def _read_days(self, keys: Sequence[DayKey]) -> dict[DayKey, bytes]:
        """Packed hours of those of these days that are held."""
        columns = (array(kind, list(column)) for kind, column in zip(_DAY_TYPES, zip(*keys, strict=True), strict=True))
        rows = self._db.execute(_READ_DAYS, tuple(columns)).fetchall()
        return {DayKey(*row[:5]): row[5] for row in rows}

    def _prev(self, probe: str, epoch: int | None, seq: int | None, kept: int | bytes | str | None) -> str | None:
        return super()._prev(probe, epoch, seq, unkept(kept) if isinstance(kept, bytes) else kept)
