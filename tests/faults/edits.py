"""Random changes of one byte, figure or row, each looked for by a round of the sealer over a small ledger.

`tests.faults.tamper` waits for rounds over a large ledger; here a few dozen records stand for them, so that a round
takes milliseconds and many changes can be tried. Nothing is left out of the round: a new `Sealer` for every change,
with the checks that `seal` has, over the files as they lie. A change is found if nothing is signed over it. Each is
undone; in the end the honest ledger must be signed, or a change was not undone and the count is void.
No change is: a byte of a frame, or of a note's text, that reads as before. Not tried are indices of `seal.db`
that were given and not signed yet (they stand for milliseconds): `tests/collector/test_seal.py` tries those.
Source: facts note 08 §8, tampering.
"""

# ruff: noqa: S608 (names of ours)
from __future__ import annotations

import argparse
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from collector.blocks import Block, BlockPacker
from collector.leaves import SOURCES, LedgerLeaves
from collector.ledger_port import DeliveryRow, ReceiptRow, RefusedBytes
from collector.ledger_write import SqliteLedger
from collector.pack import Packer
from collector.seal import Sealer
from collector.seal_audit import Broken
from collector.seal_derived import DerivedCheck
from collector.seal_store import SealStore
from collector.seal_watch import TableWatch
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, FakeProbe
from tests.faults.judge import keep
from wire import codec, notes, tlog
from wire.errors import Refused, Unavailable
from wire.note import Signer, Verifier, sign

KEY = Signer.from_seed(f"{ORIGIN}/log", bytes(range(32)))
POINT = Signer.from_seed(f"{ORIGIN}/point/hn-1", bytes(range(32)))
NOW_MS = 1_790_000_500_000
RECORDS = 40
WHOLE_ROW = "(deleted)"
COLUMNS = {
    ("ledger.db", "entry"): ("leaf", WHOLE_ROW),
    ("ledger.db", "block"): ("packed", "signatures", WHOLE_ROW),
    ("ledger.db", "receipt"): ("raw", "leaf", WHOLE_ROW),
    ("ledger.db", "delivery"): ("received_ms", "topic", "bytes", "accepted", WHOLE_ROW),
    ("ledger.db", "refusal"): ("received_ms", "topic", "reason", "detail", "size", "raw", WHOLE_ROW),
    ("ledger.db", "rollup_day"): ("counted", WHOLE_ROW),
    ("ledger.db", "rollup_total"): ("counted", WHOLE_ROW),
    ("seal.db", "checkpoint"): ("root", "note"),
    ("seal.db", "run"): ("first_n", "count"),
    ("seal.db", "watch"): ("digest",),
}
"""What is changed, by file and table. The last two places, tiles and the published checkpoint, are files."""
FILES = ("tile", "checkpoint")
Undo = Callable[[], None]


class Bench:
    """A small sealed ledger with records that wait behind it, and hands that reach every byte of it."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder, self.draw = folder, random.Random(seed)
        self._make()
        self.dbs = {name: self._free(folder / name) for name in ("ledger.db", "seal.db")}
        self.store = SealStore(folder / "seal.db")
        self.sources = [LedgerLeaves(folder / "ledger.db", name) for name in SOURCES]
        self.checks = [TableWatch(self.store, folder / "ledger.db", now_ms=lambda: NOW_MS)]
        self.derived = DerivedCheck(folder / "ledger.db")
        self.sealer().round(NOW_MS)
        self.sealed = {source.name: source.last_n() for source in self.sources}
        self.rows = {place: self._keys(*place) for place in COLUMNS}
        self._grow(3)
        self.sealer().round(NOW_MS, may_sign=False)
        held = self.dbs["ledger.db"].execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()[0]
        self.blocks, self.receipts = BlockPacker(held), Packer(held)
        self.log = {one: one.read_bytes() for one in (folder / "log").rglob("*") if one.is_file()}
        self.given = self._given()

    def _given(self) -> set[tuple[int, int]]:
        """Where the stretches begin that have indices."""
        return set(self.dbs["seal.db"].execute("SELECT shard, first_index FROM run"))

    def _make(self) -> None:
        self.probe = FakeProbe("p-one")
        self._grow(RECORDS)
        with closing(SqliteLedger(self.folder / "ledger.db")) as ledger, ledger.transaction():
            for number in range(5):
                receipt = notes.Receipt(
                    v=1, signed_ms=NOW_MS - 1000 + number, ticket=f"{number:022d}", probe="p-one", point="hn-1",
                    direction="downlink", source="198.18.0.1", bytes=1_000_000, duration_us=1_000_000,
                )  # fmt: skip
                raw = notes.seal(receipt, ORIGIN, POINT)
                ledger.keep_receipt(ReceiptRow(codec.leaf_hash(raw), receipt, NOW_MS, raw))
                refused = RefusedBytes("p-one", "bad_signature", "made up", sign(b"dosong.example/x/v1\n{}\n", POINT))
                ledger.deliver([DeliveryRow(NOW_MS, "dosong/v1/up/1/p-one", "p-one", 99, 0, 0, (refused,))])

    def _grow(self, count: int) -> None:
        with closing(Door(self.folder, self.probe)) as door:
            for _ in range(count):
                door.take(self.probe.probe, self.probe.test())

    @staticmethod
    def _free(path: Path) -> sqlite3.Connection:
        if path.name == "seal.db":
            SealStore(path).close()
        db = sqlite3.connect(path, isolation_level=None)
        db.executescript("PRAGMA synchronous = OFF; PRAGMA ignore_check_constraints = 1")
        for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            db.execute(f"DROP TRIGGER {name}")
        return db

    def sealer(self) -> Sealer:
        """As a process that starts now would have it."""
        checks = [*self.checks, self.derived]
        return Sealer(self.store, self.sources, self.folder / "log", KEY, ORIGIN, checks=checks)

    def _keys(self, file: str, table: str) -> list[tuple[str, tuple[object, ...]]]:
        """Rows that were there at the last signature, each as a condition with its values."""
        db = self.dbs[file]
        keys = [row[1] for row in sorted(db.execute(f"PRAGMA table_info({table})"), key=lambda r: r[5]) if row[5]]
        where = " AND ".join(f"{key} = ?" for key in keys)
        source = {"entry": "record", "block": "record", "receipt": "receipt"}.get(table)
        upto = self.sealed[source] if source else None
        found = db.execute(f"SELECT {', '.join(keys)} FROM {table}").fetchall()
        return [(where, tuple(row)) for row in found if upto is None or row[0] <= upto]

    def edit(self) -> tuple[str, Undo]:
        """Change something; return its name and what puts it back."""
        places: list[tuple[str, str]] = [*COLUMNS, *(("log", name) for name in FILES)]
        while True:
            file, table = self.draw.choice(places)
            done = self._file(table) if file == "log" else self._row(file, table)
            if done is not None:
                return done

    def _file(self, name: str) -> tuple[str, Undo] | None:
        paths = [one for one in self.log if one.name == "checkpoint"]
        if name == "tile":
            paths = [one for one in self.log if one.parent.name == "000.p" and int(one.name) == self._last_size()]
        path = self.draw.choice(paths)
        now = self._flipped(self.log[path])
        if name == "checkpoint" and self._opens(now):
            return None
        path.chmod(0o644)
        path.write_bytes(now)
        return f"log: {name}", lambda: None

    def _last_size(self) -> int:
        last = self.store.last_checkpoint(self.store.shards()[-1].n)
        assert last is not None
        return last.size

    def _opens(self, note: bytes) -> bool:
        """Whether a changed checkpoint still reads as one that we signed: then nothing was changed."""
        try:
            tlog.open_checkpoint(note, self._verifier())
        except (Refused, ValueError):
            return False
        return True

    def _verifier(self) -> Verifier:
        return Signer.from_seed(self.store.shards()[-1].name, KEY.seed).verifier

    def _flipped(self, was: bytes) -> bytes:
        now = bytearray(was)
        now[self.draw.randrange(len(now))] ^= 1 << self.draw.randrange(8)
        return bytes(now)

    def _row(self, file: str, table: str) -> tuple[str, Undo] | None:
        db, (where, key) = self.dbs[file], self.draw.choice(self.rows[file, table])
        column = self.draw.choice(COLUMNS[file, table])
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        row = dict(zip(names, db.execute(f"SELECT * FROM {table} WHERE {where}", key).fetchone(), strict=True))
        name = f"{file}: {table}.{column}"
        if column == WHOLE_ROW:
            db.execute(f"DELETE FROM {table} WHERE {where}", key)
            marks = ", ".join("?" * len(names))
            sql = f"INSERT INTO {table} ({', '.join(names)}) VALUES ({marks})"
            return name, lambda: void(db.execute(sql, tuple(row.values())))
        now = self._other(row[column])
        if now is None or self._reads_alike(table, row, {**row, column: now}):
            return None
        db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (now, *key))
        sql, values = f"UPDATE {table} SET {column} = ? WHERE {where}", (row[column], *key)
        return name, lambda: void(db.execute(sql, values))

    def _other(self, was: object) -> object:
        if isinstance(was, int):
            return was ^ (1 << self.draw.randrange(8))
        if isinstance(was, bytes) and was:
            return self._flipped(was)
        if isinstance(was, str) and was:
            at = self.draw.randrange(len(was))
            return was[:at] + ("x" if was[at] != "x" else "y") + was[at + 1 :]
        return None

    def _reads_alike(self, table: str, was: dict[str, bytes], now: dict[str, bytes]) -> bool:
        if table == "block":
            old, new = (self.blocks.unpack(Block(one["packed"], one["signatures"])) for one in (was, now))
            return old == new
        if table == "receipt":
            return was["leaf"] == now["leaf"] and self.receipts.read(was["raw"]) == self.receipts.read(now["raw"])
        return table == "checkpoint" and was["root"] == now["root"] and self._opens(now["note"])

    def is_found(self) -> bool:
        """Whether a sealer that starts now signs nothing."""
        try:
            return self.sealer().round(NOW_MS).signed is None
        except (Broken, Unavailable, Refused):
            return True

    def undo(self, undo: Undo) -> None:
        """Put back what was changed, and files and indices as they were before the round over it."""
        undo()
        for place in self._given() - self.given:
            self.dbs["seal.db"].execute("DELETE FROM run WHERE (shard, first_index) = (?, ?)", place)
        for path in (one for one in (self.folder / "log").rglob("*") if one.is_file() and one not in self.log):
            path.unlink()
        for path, was in self.log.items():
            if not path.exists() or path.read_bytes() != was:
                path.unlink(missing_ok=True)
                path.write_bytes(was)

    def close(self) -> None:
        """Close every file."""
        self.store.close()
        for one in (*self.sources, *self.dbs.values()):
            one.close()


def void(_result: object) -> None:
    """Take a statement's result and leave it."""


def run(folder: Path, count: int, seed: int, seconds: float) -> tuple[Counter[str], Counter[str], bool]:
    """Make `count` changes, or as many as `seconds` allow: tried and missed by kind; whether the honest one is signed.

    A change that is signed over ends it: the log is then no longer ours.
    """
    tried: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    with closing(Bench(folder, seed)) as bench:
        end_s = time.monotonic() + seconds
        while tried.total() < count and time.monotonic() < end_s:
            name, undo = bench.edit()
            tried[name] += 1
            found = bench.is_found()
            bench.undo(undo)
            if not found:
                missed[name] += 1
                return tried, missed, False
        return tried, missed, bench.sealer().round(NOW_MS).signed is not None


def main(argv: list[str] | None = None) -> int:
    """Change, look, undo, count; exits 1 if something was signed over, or the honest ledger is not signed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--edits", type=int, default=100_000, help="how many changes (100000)")
    parser.add_argument("--seconds", type=float, default=1800, help="stop after so many seconds (1800)")
    parser.add_argument("--seed", type=int, default=1, help="which changes are drawn (1)")
    options = parser.parse_args(argv)
    begun_s = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="dosong-edits-") as name:
        tried, missed, honest = run(Path(name), options.edits, options.seed, options.seconds)
    took_s, count = time.monotonic() - begun_s, tried.total()
    for kind in sorted(tried):
        print(f"{kind:36}{tried[kind]:>8}{missed[kind]:>8}")
    keep(f"faults_edits_{options.seed}", {"tried": tried, "missed": missed, "honest": honest, "took_s": took_s})
    is_met = honest and not missed and count >= options.edits
    print(f"goal: random changes signed over: {missed.total()} of {count} tried of {options.edits} (0)"
          f" in {took_s:.0f} s; the honest ledger is {'signed' if honest else 'NOT signed'}:"
          f" {'met' if is_met else 'short'}")  # fmt: skip
    return 0 if honest and not missed else 1


if __name__ == "__main__":
    sys.exit(main())
