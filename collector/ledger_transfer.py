"""Moves a ledger of SQLite to PostgreSQL: table by table in the order of its keys, each batch with how far it came.

Ended anywhere, it goes on from there. Numbers, leaves, packed bytes and the dictionary stay as they are; at the end
every table has as many rows, every leaf is computed again from the bytes as they read there, and the log's roots too.
Source: issue 10; design §7.
"""

from __future__ import annotations

import ast
import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.backup import verify
from collector.leaves import SOURCES, LedgerLeaves
from collector.ledger_pg import kept
from collector.ledger_place import Remote
from collector.pg import PgDatabase
from collector.pg_schema import prepare
from collector.sqlite import Ownership, open_reader, open_writer
from wire.errors import Misconfigured, Refused, Unavailable

BATCH = 2000
ROLLUP_KEY = ("day_ms", "province", "commune", "hamlet", "plmn")
TABLES: dict[str, tuple[str, ...]] = {
    "word": ("k",),
    "block": ("first_n",),
    "entry": ("n",),
    "chain": ("probe", "epoch"),
    "gap": ("probe", "epoch", "from_seq", "to_seq"),
    "probe": ("id",),
    "clock": ("probe", "boot"),
    "redo": ("n",),
    "delivery": ("n",),
    "refusal": ("n",),
    "receipt": ("n",),
    "note": ("n",),
    "witness": ("leaf", "record", "direction"),
    "rollup_day": ROLLUP_KEY,
    "rollup_total": ("span", "start_ms", "province", "commune", "plmn"),
    "total": ("key",),
}
"""Tables and their keys, evidence first."""
NUMBERED = {"word": "k", "redo": "n", "delivery": "n", "refusal": "n"}
Tell = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Moved:
    """What came of a move: rows by table, leaves whose bytes were read again over there."""

    rows: dict[str, int]
    leaves: int


def move(folder: Path, owner: Remote, role: str, tell: Tell) -> Moved:
    """Move `ledger.db` of a collector's state folder into a database, as its owner; `role` may use it afterwards.

    Raises Misconfigured while `receive` writes the file, or if another ledger lies there; Refused if what arrived is
    not what left; Unavailable.
    """
    source = folder / "ledger.db"
    if not source.exists():
        raise Misconfigured(f"{folder} holds no ledger.db; name the settings of a collector that has one")
    held = Ownership(source)
    try:
        open_writer(source, "ledger").close()  # brings an older file up to date
        prepare(owner, role)
        with contextlib.closing(open_reader(source)) as here, contextlib.closing(PgDatabase(owner)) as there:
            there.learn()
            _begin(here, there)
            for table in TABLES:
                _move_table(table, here, there, tell)
            rows = _counts(here, there)
            _end(here, there)
        return Moved(rows, _check(folder, owner, tell))
    except sqlite3.Error as error:
        raise Unavailable(f"cannot move {source} to {owner}: {error}; put that right and run it again") from error
    finally:
        held.release()


def _begin(here: sqlite3.Connection, there: PgDatabase) -> None:
    """Take the database for this ledger, which must be the one that was begun, or find it empty."""
    words = here.execute("SELECT value FROM meta WHERE key = 'dictionary'").fetchone()[0]
    if there.execute("SELECT 1 FROM moving LIMIT 1").fetchone():
        if there.execute("SELECT value FROM dictionary").fetchone()[0] == words:
            return
        raise Misconfigured("another ledger is being moved there; make a new database for this one")
    if there.execute("SELECT 1 FROM entry UNION ALL SELECT 1 FROM delivery LIMIT 1").fetchone():
        raise Misconfigured("there is a ledger in that database already; make a new one, nothing is merged")
    there.execute("BEGIN")
    there.execute("UPDATE dictionary SET value = ?", (words,))
    there.execute("ALTER TABLE word DISABLE TRIGGER USER")
    there.execute("DELETE FROM word")
    there.execute("ALTER TABLE word ENABLE TRIGGER USER")
    there.execute("INSERT INTO moving VALUES ('', '()')")
    there.execute("COMMIT")


def _move_table(table: str, here: sqlite3.Connection, there: PgDatabase, tell: Tell) -> None:
    key = TABLES[table]
    held = there.execute("SELECT after FROM moving WHERE name = ?", (table,)).fetchone()
    after = ast.literal_eval(held[0]) if held else ()
    total = here.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608 (names of ours, here and below)
    done = 0
    for columns, rows in _batches(table, key, after, here):
        there.execute("BEGIN")
        marks = ", ".join("?" * len(columns))
        there.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)  # noqa: S608
        last = repr(tuple(rows[-1][columns.index(name)] for name in key))
        there.execute(
            "INSERT INTO moving VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET after = excluded.after", (table, last)
        )
        there.execute("COMMIT")
        done += len(rows)
        tell(f"{table}: {done} of {total} rows" + (" (and those of before)" if held else ""))


def _batches(
    table: str, key: tuple[str, ...], after: tuple[Any, ...], here: sqlite3.Connection
) -> Iterator[tuple[list[str], list[tuple[Any, ...]]]]:
    names, marks = ", ".join(key), ", ".join("?" * len(key))
    while True:
        where = f"WHERE ({names}) > ({marks})" if after else ""
        sql = f"SELECT * FROM {table} {where} ORDER BY {names} LIMIT {BATCH}"  # noqa: S608
        cursor = here.execute(sql, after)
        columns = [column[0] for column in cursor.description]
        rows = [tuple(row) for row in cursor.fetchall()]
        if not rows:
            return
        after = tuple(rows[-1][columns.index(name)] for name in key)
        if table == "entry":
            at = columns.index("prev")
            rows = [(*row[:at], kept(row[at]), *row[at + 1 :]) for row in rows]
        yield columns, rows


def _counts(here: sqlite3.Connection, there: PgDatabase) -> dict[str, int]:
    """Rows by table, equal on both sides. Raises Refused."""
    found = {}
    for table in TABLES:
        sql = f"SELECT count(*) FROM {table}"  # noqa: S608
        found[table], arrived = (int(db.execute(sql).fetchone()[0]) for db in (here, there))
        if found[table] != arrived:
            raise Refused("count_differs", f"{table}: {found[table]} rows left, {arrived} arrived; make a new database")
    return found


def _end(here: sqlite3.Connection, there: PgDatabase) -> None:
    """Numbers go on behind what came, and the numbers that are kept under names come too."""
    there.execute("BEGIN")
    for table, column in NUMBERED.items():
        newest = f"(SELECT coalesce(max({column}), 0) + 1 FROM {table})"  # noqa: S608
        there.execute(f"SELECT setval(pg_get_serial_sequence(?, ?), {newest}, false)", (table, column))
    rows = [tuple(row) for row in here.execute("SELECT key, value FROM meta WHERE key <> 'dictionary'")]
    there.executemany(
        "INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value", rows
    )
    there.execute("DELETE FROM moving")
    there.execute("COMMIT")
    there.execute("ANALYZE")


def _check(folder: Path, place: Remote, tell: Tell) -> int:
    """Read every leaf's bytes over there. Raises Refused if one is not what it was."""
    checked = 0
    for source in SOURCES:
        with contextlib.closing(LedgerLeaves(place, source)) as leaves:
            after = 0
            while rows := leaves.rows(after, BATCH):
                bad = next((row.n for row in rows if not row.is_intact), None)
                if bad is not None:
                    raise Refused("leaf_differs", f"{source} {bad} does not read there as it did; keep the old ledger")
                checked, after = checked + len(rows), rows[-1].n
    if (folder / "seal.db").exists():
        verify(folder, tell, place)
    return checked
