"""Writing the ledger: `collector.ledger_port.Ledger` by statements of SQL, and SQLite, its embedded default.

The statements are of the part that SQLite and PostgreSQL share (`collector.ledger_pg` for the latter). SQLite: one
process holds the one writable connection; all of a group is one transaction; synchronous=FULL.
Source: design §7, ledger; facts note 04 §1c.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from collector import ledger_notes
from collector import ledger_spans as spans
from collector.core.accept import Chain, Found, GapRange, Link, Standing, leaf_of
from collector.core.place import Place
from collector.core.row import Row
from collector.core.sealing import next_generation
from collector.ledger_delivery import keep_deliveries
from collector.ledger_place import Database, LedgerPlace
from collector.ledger_port import DeliveryRow, Head, NoteRow, PackedRun, ReceiptRow, Span, StoredRow
from collector.ledger_records import RecordWriter
from collector.ledger_rows import FOLLOWS
from collector.pack import Packer, make_dictionary
from collector.retention import drop
from collector.rollup_write import RollupWriter
from collector.settings import RetentionSettings
from collector.sqlite import Ownership, open_writer
from wire.codec import leaf_text
from wire.errors import Unavailable

CACHE_KIB = 8 * 1024
FOLD_PAGES = 4096
MAX_LOOSE_WALK = 10_000
"""How many records without a readable place are followed back from one that has a place."""


class SqlLedger:
    """A ledger by statements of SQL, over the one connection that writes. Not safe for several threads."""

    begin = "BEGIN IMMEDIATE"

    def __init__(self, path: LedgerPlace, db: Database, dictionary: bytes) -> None:
        """`path` is where `db` leads, `dictionary` what its bytes are packed with."""
        self.path, self.dictionary = path, dictionary
        self._db = db
        self._packer = Packer(dictionary)
        self._records = RecordWriter(db, dictionary)
        self._words = self._records.words
        self._rollups = RollupWriter(db, self._records)
        self._rollups.catch_up(self._be_alone)

    def close(self) -> None:
        """End the connection."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One durable transaction. Raises Unavailable if the disk refuses; then nothing of it is held."""
        try:
            self._db.execute(self.begin)
            yield
            self._records.flush()
            self._rollups.flush()
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._roll_back()
            raise Unavailable(f"cannot write {self.path}: {error}") from error
        except BaseException:
            self._roll_back()
            raise

    def _be_alone(self) -> None:
        """Inside a transaction that has begun: nobody else writes until it ends. Here its BEGIN has seen to that."""

    def _roll_back(self) -> None:
        self._records.forget()
        self._rollups.forget()
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")

    def _one(self, sql: str, *values: Any) -> Any:
        return self._db.execute(sql, values).fetchone()

    def expect(self, probes: Sequence[str]) -> None:
        """Records of these probes come: here each question is answered when it is asked."""

    def chain(self, probe: str, epoch: int) -> Chain:
        """The chain of one epoch; an empty one if nothing of it is held."""
        sql = "SELECT upto, head, fork_seq, max_seq FROM chain WHERE probe = ? AND epoch = ?"
        row = self._one(sql, probe, epoch)
        if row is None:
            return Chain(epoch)
        upto, head, fork_seq, max_seq = row
        return Chain(epoch, 0 if upto is None else upto + 1, head, 0 if max_seq is None else max_seq + 1, fork_seq)

    def last_epoch(self, probe: str) -> int | None:
        """The highest epoch seen; None if no record with a readable place is held."""
        return self._one("SELECT max(epoch) FROM chain WHERE probe = ?", probe)[0]  # type: ignore[no-any-return]

    def keep_chain(self, probe: str, chain: Chain) -> None:
        """Store a chain."""
        self._db.executemany(
            "INSERT INTO chain (probe, epoch, upto, head, fork_seq, max_seq) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (probe, epoch) DO UPDATE SET upto = excluded.upto, head = excluded.head,"
            " fork_seq = excluded.fork_seq, max_seq = excluded.max_seq",
            [
                (
                    probe,
                    chain.epoch,
                    chain.upto,
                    chain.head,
                    chain.fork_seq,
                    chain.end_seq - 1 if chain.end_seq else None,
                )
            ],
        )

    def leaf_at(self, probe: str, epoch: int, seq: int) -> bytes | None:
        """Leaf of the record in this place; None if there is none."""
        sql = "SELECT leaf FROM entry WHERE probe = ? AND epoch = ? AND seq = ? AND standing = 0"
        row = self._one(sql, self._words.find(probe), epoch, seq)
        return row[0] if row else None

    def prev_at(self, probe: str, epoch: int, seq: int) -> str | None:
        """`prev` of the record in this place; None if there is none."""
        sql = "SELECT prev FROM entry WHERE probe = ? AND epoch = ? AND seq = ? AND standing = 0"
        row = self._one(sql, self._words.find(probe), epoch, seq)
        return self._prev(probe, epoch, seq, row[0]) if row else None

    def _prev(self, probe: str, epoch: int | None, seq: int | None, kept: int | bytes | str | None) -> str | None:
        """The text of a `prev` as it is kept: see ledger_v6.sql."""
        if kept == FOLLOWS and epoch is not None and seq is not None:
            kept = self.leaf_at(probe, epoch, seq - 1)
        return leaf_text(kept) if isinstance(kept, bytes) else None if kept is None else str(kept)

    def leaves(self, probe: str, epoch: int, places: range) -> dict[int, bytes]:
        """Leaves of the records held in these places, by place."""
        sql = "SELECT seq, leaf FROM entry WHERE probe = ? AND epoch = ? AND seq BETWEEN ? AND ? AND standing = 0"
        return dict(self._db.execute(sql, (self._words.find(probe), epoch, places.start, places.stop - 1)).fetchall())

    def is_aside(self, probe: str, leaf: bytes) -> bool:
        """Whether these very bytes are held as the second of a fork or without a place."""
        sql = "SELECT 1 FROM entry WHERE probe = ? AND leaf = ? AND standing > 0"
        return self._one(sql, self._words.find(probe), leaf) is not None

    def look(self, probe: str, epoch: int, seq: int) -> Found:
        """What is held at this place or first behind it, the gap over it, and the loose records that lead up to it."""
        row = self._one(
            "SELECT seq, leaf, prev, (SELECT text FROM word WHERE k = fault) FROM entry"
            " WHERE probe = ? AND epoch = ? AND seq >= ? AND standing = 0 ORDER BY seq LIMIT 1",
            *(self._words.find(probe), epoch, seq),
        )
        link = Link(row[0], row[1], self._prev(probe, epoch, row[0], row[2]) or "", row[3]) if row else None
        if link is not None and link.seq == seq:
            return Found(link)
        gap = self._one(
            "SELECT epoch, from_seq, to_seq, last_leaf FROM gap"
            " WHERE probe = ? AND epoch = ? AND from_seq <= ? AND to_seq >= ? ORDER BY to_seq DESC LIMIT 1",
            *(probe, epoch, seq, seq),
        )
        loose = self._loose_before(probe, link, link.seq - seq) if link is not None else {}
        return Found(link, GapRange(*gap) if gap else None, loose)

    def _loose_before(self, probe: str, link: Link, places: int) -> dict[bytes, str | None]:
        """Walk back by hashes from `link` over records without a place: never more than could fill the hole."""
        found: dict[bytes, str | None] = {}
        wanted: str | None = link.prev
        while wanted is not None and len(found) < min(places, MAX_LOOSE_WALK):
            leaf = leaf_of(wanted)
            row = self._one(
                "SELECT prev FROM entry WHERE probe = ? AND leaf = ? AND standing = 2 AND standing > 0 AND seq IS NULL",
                *(self._words.find(probe), leaf),
            )
            if leaf is None or row is None:
                break
            found[leaf] = wanted = self._prev(probe, None, None, row[0])
        return found

    def insert(self, rows: Sequence[Row]) -> int:
        """Store records of one probe under consecutive numbers, add them to the sums; return the first one's number."""
        first = self._records.append(rows)
        ledger_notes.add_to_probe(self._db, rows)
        ledger_notes.link_receipts(self._db, rows, first)
        self._rollups.add(rows)
        return first

    def offer(self, runs: Sequence[PackedRun]) -> None:
        """Blocks of records that may be inserted in this transaction, to be taken where they come as they are."""
        self._records.offer(runs)

    def keep_receipt(self, row: ReceiptRow) -> bool:
        """Keep a receipt for good, once by its leaf; say whether it is new."""
        return ledger_notes.insert_receipt(self._db, self._packer, row)

    def keep_note(self, row: NoteRow) -> bool:
        """Keep a note for good, once by its leaf; say whether it is new."""
        return ledger_notes.insert(self._db, self._packer, row)

    def settle(self, probe: str, leaf: bytes, epoch: int, seq: int) -> None:
        """A loose record has found its place."""
        self._db.execute(
            "UPDATE entry SET epoch = ?, seq = ? WHERE probe = ? AND leaf = ? AND standing = 2 AND standing > 0",
            (epoch, seq, self._words.find(probe), leaf),
        )

    def note_gap(self, probe: str, gap: GapRange, n: int) -> None:
        """Remember the range of the gap record with number `n`."""
        self._db.execute(
            "INSERT INTO gap (probe, epoch, from_seq, to_seq, last_leaf, n) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT DO NOTHING",
            (probe, gap.epoch, gap.from_seq, gap.to_seq, gap.last_leaf, n),
        )

    def at(self, probe: str, epoch: int, seq: int) -> StoredRow | None:
        """The readable record in this place; None if there is none."""
        where = "probe = ? AND epoch = ? AND seq = ? AND standing = 0"
        found = self._stored(where, self._words.find(probe), epoch, seq)
        return found[0] if found else None

    def by_number(self, n: int) -> StoredRow | None:
        """The readable record with this number; None if there is none."""
        found = self._stored("n = ?", n)
        return found[0] if found else None

    def numbered(self, n: int, leaf: bytes) -> tuple[str, StoredRow] | None:
        """The readable record with this number and leaf, and its probe; None if there is none."""
        row = self._one("SELECT (SELECT text FROM word WHERE k = probe) FROM entry WHERE n = ? AND leaf = ?", n, leaf)
        found = self._stored("n = ?", n) if row else []
        return (row[0], found[0]) if found else None

    def undated(self, probe: str, boot: str) -> list[StoredRow]:
        """Readable records of one boot that have no time yet."""
        find = self._words.find
        return self._stored("probe = ? AND boot = ? AND t_ms IS NULL", find(probe), find(boot))

    def _stored(self, where: str, *values: Any) -> list[StoredRow]:
        rows = self._db.execute(
            "SELECT n, part, (SELECT text FROM word WHERE k = fault), standing, received_ms,"  # noqa: S608
            " (SELECT text FROM word WHERE k = not_counted) FROM entry"
            f" WHERE kind IS NOT NULL AND {where}{'' if 'ORDER' in where else ' ORDER BY n'}",
            values,
        ).fetchall()
        records = self._records.records([row[0] for row in rows])
        return [
            StoredRow(n, part, records[n], fault, Standing(standing), at_ms, "fork" in why, "suspect" in why)
            for n, part, fault, standing, at_ms, why in ((*row[:5], row[5].split()) for row in rows)
        ]

    def held_in(self, span: Span, after_n: int, upto_n: int | None, limit: int) -> list[StoredRow]:
        """Readable records of a span behind number `after_n`, up to `upto_n` (None: all), in order of their numbers."""
        where, values = spans.where(span, self._words.find)
        upto_n = spans.NO_END if upto_n is None else upto_n
        return self._stored(f"{where} AND n > ? AND n <= ? ORDER BY n LIMIT ?", *values, after_n, upto_n, limit)

    def last_judged(self) -> int | None:
        """Number of the newest record (0: none); those behind it this object will judge. None: others write too."""
        return int(self._one("SELECT coalesce(max(n), 0) FROM entry")[0])

    def derived(self, n: int) -> tuple[str, str, str, str]:
        """Province, commune, hamlet and reasons for not counting of record `n`, as they stand."""
        row: tuple[str, str, str, str] = self._one(
            "SELECT province, commune, hamlet, not_counted FROM record WHERE n = ?", n
        )
        return row

    def note(self, key: str, value: int) -> None:
        """Keep a number under a name."""
        self._db.execute(
            "INSERT INTO meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", (key, value)
        )

    def noted(self, key: str) -> int | None:
        """A number kept under a name; None if there is none."""
        row = self._one("SELECT value FROM meta WHERE key = ?", key)
        return int(row[0]) if row else None

    def judge_again(self, stored: StoredRow, row: Row, *, moves: bool = False) -> None:
        """Replace what is derived of a stored record (time, fault, counted) and have it forwarded again.

        Its place is found when it is first dated and then stays, unless `moves`: the registry says that the probe
        stood elsewhere. Then the codes that its points lie under are kept for forward.
        """
        *unit, reasons = self.derived(stored.n)
        t_ms = self._one("SELECT t_ms FROM entry WHERE n = ?", stored.n)[0]
        held = Place(unit[0], unit[1], unit[2], "", None, None)
        was = replace(row, t_ms=t_ms, not_counted=tuple(reasons.split()), place=held)
        row = row if t_ms is None or moves else replace(row, place=held)
        now = [row.place.province, row.place.commune, row.place.hamlet] if row.place else ["", "", ""]
        self._replace(stored.n, row, now)
        self._rollups.move(was, row)
        self._db.execute(
            "INSERT INTO redo (record, part, was) VALUES (?, ?, ?)",
            (stored.n, stored.part, " ".join(unit) if t_ms is not None and unit != now else None),
        )
        self._db.execute(
            "UPDATE probe SET last_t_ms = coalesce(max(last_t_ms, ?1), last_t_ms, ?1) WHERE id = ?2",
            (row.t_ms, row.probe),
        )

    def _replace(self, n: int, row: Row, unit: Sequence[str]) -> None:
        """Write what is derived of a record anew."""
        number = self._words.number
        self._db.execute(
            "UPDATE entry SET t_ms = ?, fault = ?, counted = ?, not_counted = ?, province = ?, commune = ?, hamlet = ?"
            " WHERE n = ?",
            (
                *(row.t_ms, None if row.fault is None else number(row.fault), int(row.counted)),
                *(number(" ".join(row.not_counted)), *(number(code) for code in unit), n),
            ),
        )

    def slots_taken(self, probe: str, first_ms: int, last_ms: int) -> set[tuple[str, int]]:
        """Modem and slot of the counted samples held of slots that begin from `first_ms` to `last_ms`."""
        sql = (
            "SELECT (SELECT text FROM word WHERE k = modem), slot_ms FROM entry"
            " WHERE probe = ? AND slot_ms BETWEEN ? AND ? AND counted = 1"
        )
        return set(self._db.execute(sql, (self._words.find(probe), first_ms, last_ms)).fetchall())

    def rebuild_rollups(self) -> int:
        """Make every rollup again from the stored bytes; return how many records are in them. Raises Unavailable."""
        with self.transaction():
            return self._rollups.rebuild()

    def slot_taken(self, probe: str, modem: str, slot_ms: int, but_n: int) -> bool:
        """Whether a counted sample of this slot and modem is held, other than record `but_n`."""
        sql = "SELECT 1 FROM entry WHERE probe = ? AND modem = ? AND slot_ms = ? AND counted = 1 AND n <> ?"
        return self._one(sql, self._words.find(probe), self._words.find(modem), slot_ms, but_n) is not None

    def clock_of(self, probe: str, boot: str) -> tuple[int, int] | None:
        """Monotonic and wall time (ms) that date the records of a boot; None if its clock was never set."""
        row = self._one("SELECT mono_ms, t_ms FROM clock WHERE probe = ? AND boot = ?", probe, boot)
        return (row[0], row[1]) if row else None

    def set_clock(self, probe: str, boot: str, mono_ms: int, t_ms: int) -> bool:
        """Remember what dates a boot; the first word holds. Say whether it was the first."""
        cursor = self._db.execute(
            "INSERT INTO clock (probe, boot, mono_ms, t_ms, n) VALUES (?, ?, ?, ?, 0) ON CONFLICT DO NOTHING",
            (probe, boot, mono_ms, t_ms),
        )
        return bool(cursor.rowcount == 1)

    def let_go(self, policy: RetentionSettings, now_ms: int) -> dict[str, int]:
        """Drop some of what is older than the policy keeps, in a transaction of its own; rows that went, by name."""
        with self.transaction():
            return drop(self._db, policy, now_ms)

    def deliver(self, deliveries: Sequence[DeliveryRow]) -> None:
        """Keep what became of messages, and the bytes that were refused."""
        keep_deliveries(self._db, self._packer, deliveries)

    def head_of(self, probe: str, epoch: int | None = None) -> Head | None:
        """What an ACK of this probe says now of `epoch` (None: its highest); None if it has no place there."""
        row = self._one(
            "SELECT epoch, upto, head, (SELECT records FROM probe WHERE id = ?),"
            " (SELECT value FROM meta WHERE key = 'gen')"
            " FROM chain WHERE probe = ? AND epoch = coalesce(?, epoch) ORDER BY epoch DESC LIMIT 1",
            *(probe, probe, epoch),
        )
        return Head(row[0], row[1], row[2], row[3] or 0, row[4]) if row else None

    def raise_generation(self, at_ms: int = 0) -> int:
        """Say that this file was put back from a backup, now; returns the new generation. Probes then send again."""
        with self.transaction():
            gen = next_generation(int(self._one("SELECT value FROM meta WHERE key = 'gen'")[0]), at_ms)
            self._db.execute("UPDATE meta SET value = ? WHERE key = 'gen'", (gen,))
        return gen

    def set_status(self, probe: str, status: str, at_ms: int) -> None:
        """Keep a probe's liveness word and since when it says so."""
        self._db.execute(
            "INSERT INTO probe (id, status, status_ms) VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET status_ms ="
            " CASE WHEN probe.status = excluded.status THEN probe.status_ms ELSE excluded.status_ms END,"
            " status = excluded.status",
            (probe, status, at_ms),
        )


class SqliteLedger(SqlLedger):
    """`ledger.db`."""

    def __init__(self, path: Path) -> None:
        """Open and bring up to date. Raises Misconfigured if another process writes it or it cannot be used."""
        self._own = Ownership(path)
        db = open_writer(path, "ledger")
        # Pages of a group stay in memory until its COMMIT, and the log is folded back every 16 MiB, not every 4.
        db.execute(f"PRAGMA cache_size=-{CACHE_KIB}")
        db.execute(f"PRAGMA wal_autocheckpoint={FOLD_PAGES}")
        db.execute("INSERT OR IGNORE INTO meta VALUES ('dictionary', ?), ('gen', 0)", (make_dictionary(),))
        super().__init__(path, db, db.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()[0])

    def close(self) -> None:
        """Close the file and give up the right to write it."""
        super().close()
        self._own.release()
