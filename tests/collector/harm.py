"""What somebody with all rights on the disk does to a ledger's file; and a ledger as an older program left it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from collector.blocks import Block, BlockPacker
from collector.ledger_bytes import BlockReader
from collector.pack import Packer
from collector.sqlite import apply, versions
from wire.codec import leaf_hash, leaf_text

FREE = "DROP TRIGGER IF EXISTS block_stays; DROP TRIGGER IF EXISTS block_is_final;"
OLD_COLUMNS = (
    *("n", "part", "probe", "epoch", "seq", "standing", "leaf", "received_ms", "kind", "boot", "t_ms", "fault"),
    *("fault_detail", "province", "commune", "hamlet", "modem", "plmn", "slot_ms", "counted", "not_counted", "outcome"),
    *("invalid_path", "covered", "degraded", "no_service", "unknown"),
)


def rewrite(path: Path, changes: Mapping[int, bytes]) -> None:
    """Put other bytes in the place of records' own, in blocks that read as well as before."""
    with closing(sqlite3.connect(path)) as db:
        db.executescript(FREE)
        packer = BlockPacker(_dictionary(db))
        for first_n, packed, signatures in db.execute("SELECT * FROM block").fetchall():
            raws = packer.unpack(Block(packed, signatures))
            assert raws is not None
            now = [changes.get(first_n + at, raw) for at, raw in enumerate(raws)]
            if now != raws:
                block = packer.pack(now, [leaf_hash(raw) for raw in now])
                sql = "UPDATE block SET packed = ?, signatures = ? WHERE first_n = ?"
                db.execute(sql, (block.packed, block.signatures, first_n))
        db.commit()


def raws_of(path: Path) -> dict[int, bytes]:
    """The bytes of all records by number."""
    with closing(sqlite3.connect(path)) as db:
        return _raws(db)


def _raws(db: sqlite3.Connection) -> dict[int, bytes]:
    numbers = [n for (n,) in db.execute("SELECT n FROM entry")]
    return BlockReader(db, _dictionary(db)).raws(numbers)


def _dictionary(db: sqlite3.Connection) -> bytes:
    held: bytes = db.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()[0]
    return held


def downgrade(path: Path, to: int = 5) -> None:
    """Lay a ledger's file out as version 5, or 4, had it: one row a record with its own bytes."""
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        raws, packer = _raws(db), Packer(_dictionary(db))
        rows = db.execute(f"SELECT {', '.join(OLD_COLUMNS)} FROM record ORDER BY n").fetchall()  # noqa: S608
        before = prevs(db)
        db.executescript("DROP VIEW record; DROP TABLE entry; DROP TABLE block; DROP TABLE word;")
        texts = dict(versions("ledger"))
        table = texts[1]
        db.executescript(table[table.index("CREATE TABLE record (") : table.index("-- How far each epoch")])
        db.executescript("ALTER TABLE rollup_day RENAME TO rollup_new")
        db.executescript(texts[5][: texts[5].index("-- Sums of a commune")])
        db.executescript("INSERT INTO rollup_day SELECT * FROM rollup_new; DROP TABLE rollup_new;")
        names = (*OLD_COLUMNS, "prev", "raw")
        sql = f"INSERT INTO record ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"  # noqa: S608
        db.executemany(sql, [(*row, before[row[0]], packer.pack(raws[row[0]])) for row in rows])
        if to == 4:
            db.executescript("DROP TABLE rollup_day; DROP TABLE rollup_total; ALTER TABLE redo DROP COLUMN was;")
            db.execute("DELETE FROM meta WHERE key = 'rollup'")
            db.executescript(table[table.index("CREATE TABLE hour") :])
        db.execute(f"PRAGMA user_version = {to}")


def prevs(db: sqlite3.Connection) -> dict[int, str | None]:
    """`prev` of every record as older versions kept it: the text that it names."""
    leaves = {row[:3]: row[3] for row in db.execute("SELECT probe, epoch, seq, leaf FROM entry WHERE standing = 0")}
    found: dict[int, str | None] = {}
    for n, probe, epoch, seq, prev in db.execute("SELECT n, probe, epoch, seq, prev FROM entry"):
        held = leaves[probe, epoch, seq - 1] if prev == 1 else prev
        found[n] = leaf_text(held) if isinstance(held, bytes) else held
    return found


def lay(db: sqlite3.Connection, schema: str, upto: int, behind: int = 0) -> None:
    """A new file as the program of that version made it, or one of version `behind` as it was brought up to it."""
    for number, text in versions(schema)[behind:upto]:
        apply(db, schema, number, text)
        db.execute(f"PRAGMA user_version={number}")
