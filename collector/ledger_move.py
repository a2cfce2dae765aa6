"""From version 5 of `ledger.db` to 6: records move into `entry` and `block`, in the transaction of the schema files.

Numbers, leaves and bytes stay what they are. What no longer unpacks is kept as it lies there, in a block of its own
that does not read either: whoever changed it is found out as before.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from collector.blocks import MAX_RECORDS, BlockPacker
from collector.ledger_records import PUT_BLOCK
from collector.ledger_rows import COLUMNS, FOLLOWS, INSERT, KINDS, OUTCOMES, kept_prev, packed_steps
from collector.ledger_words import Words
from collector.pack import Packer
from wire.codec import leaf_hash, leaf_text

_WORDS = ("probe", "boot", "fault", "province", "commune", "hamlet", "modem", "plmn", "not_counted")
_BEFORE = "SELECT leaf FROM record_v5 WHERE probe = ? AND epoch = ? AND seq = ? - 1 AND standing = 0"
Old = dict[str, Any]


def move_records(db: sqlite3.Connection) -> None:
    """Move what `record_v5` holds and drop it; nothing if it is not there. Raises sqlite3.Error."""
    if db.execute("SELECT 1 FROM sqlite_schema WHERE name = 'record_v5'").fetchone() is None:
        return
    held = db.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()
    if held is not None:
        packer, blocks, words = Packer(held[0]), BlockPacker(held[0]), Words(db)
        for rows in _batches(db):
            db.executemany(INSERT, [_entry(db, words, row) for row in rows])
            _keep_bytes(db, packer, blocks, rows)
    db.execute("DROP TABLE record_v5")


def _batches(db: sqlite3.Connection) -> Iterator[list[Old]]:
    """Rows in order of their numbers, as many as a block holds."""
    after_n = 0
    while True:
        cursor = db.execute("SELECT * FROM record_v5 WHERE n > ? ORDER BY n LIMIT ?", (after_n, MAX_RECORDS))
        names = [column[0] for column in cursor.description]
        rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
        if not rows:
            return
        yield rows
        after_n = rows[-1]["n"]


def _entry(db: sqlite3.Connection, words: Words, row: Old) -> tuple[Any, ...]:
    new = row | {name: None if row[name] is None else words.number(row[name]) for name in _WORDS}
    new["kind"] = None if row["kind"] is None else KINDS[row["kind"]]
    new["outcome"] = None if row["outcome"] is None else OUTCOMES[row["outcome"]]
    new["steps"] = packed_steps(*(row[name] for name in ("covered", "degraded", "no_service", "unknown")))
    new["prev"] = None if row["prev"] is None else _prev(db, row)
    return tuple(new[name] for name in COLUMNS)


def _prev(db: sqlite3.Connection, row: Old) -> int | bytes | str:
    if row["standing"] == 0:
        before = db.execute(_BEFORE, (row["probe"], row["epoch"], row["seq"])).fetchone()
        if before is not None and leaf_text(before[0]) == row["prev"]:
            return FOLLOWS
    return kept_prev(row["prev"])


def _keep_bytes(db: sqlite3.Connection, packer: Packer, blocks: BlockPacker, rows: list[Old]) -> None:
    """Blocks of the rows' bytes: numbers without a hole and what still reads together, what does not alone."""
    read = [(row["n"], packer.read(row["raw"]), row["raw"]) for row in rows]
    for is_whole, group in groupby(read, key=lambda one: one[1] is not None):
        run = list(group)
        if not is_whole:
            db.executemany(PUT_BLOCK, [(n, packed, b"") for n, _, packed in run])
            continue
        for _, part in groupby(enumerate(run), key=lambda one: one[1][0] - one[0]):
            numbered = [(n, raw) for _, (n, raw, _) in part if raw is not None]
            raws = [raw for _, raw in numbered]
            block = blocks.pack(raws, [leaf_hash(raw) for raw in raws])
            db.execute(PUT_BLOCK, (numbered[0][0], block.packed, block.signatures))
