"""One registry for several machines: its changes lie in the ledger's PostgreSQL, whole rows in one order.

On the machine whose settings say `registry = "source"` triggers in `registry.db` note which rows changed, whoever
changed them; `receive` and `forward` there append those rows to table `registry_line`, a whole transaction at once.
Where it says "copy" they bring the local `registry.db` to the newest line, before anything is judged: a group that was
judged by an older one is not committed (`hold`), so that a line which was followed once is followed for ever. Logins,
tokens, claims, SIMs, caretakers and the audit trail stay where they are.
Source: design §7, registry; §9; decision note.
"""

from __future__ import annotations

import json
import logging
import secrets
import sqlite3
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from collector.ledger_place import Remote
from collector.ledger_port import Fenced
from collector.pg import PgDatabase
from collector.sqlite import open_writer
from wire.errors import Misconfigured, Unavailable

LOG = logging.getLogger("collector.registry")
LOOK_EVERY_S = 1.0
TABLES = (
    *("province", "commune", "hamlet", "site", "probe", "probe_site", "probe_key", "certificate", "referral"),
    *("operator", "quota", "point", "unit_name", "old_unit", "old_successor", "hamlet_name", "hamlet_end"),
    *("site_hamlet", "site_survey", "tariff", "campaign", "campaign_quota", "campaign_report", "limit_value"),
    *("entered_count", "holiday", "change"),
)
"""What every machine needs to judge, to draw boards and to count."""
_STATE = (
    "CREATE TABLE IF NOT EXISTS mirror_state (one INTEGER PRIMARY KEY CHECK (one = 1), source TEXT NOT NULL,"
    " line INTEGER NOT NULL, is_copy INTEGER NOT NULL) STRICT"
)
_DUE = (
    "CREATE TABLE IF NOT EXISTS mirror_due"
    " (n INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, key TEXT NOT NULL) STRICT"
)
_NEWEST = (
    "SELECT name, key, body FROM (SELECT DISTINCT ON (name, key) n, name, key, body FROM registry_line"
    " ORDER BY name, key, n DESC) AS newest WHERE body IS NOT NULL"
)
_APPEND = "INSERT INTO registry_line (n, name, key, body) VALUES (?, ?, ?, ?)"
_LINE = "SELECT id, line FROM registry_source"
_HELD = "SELECT id || ':' || (SELECT value FROM meta WHERE key = 'gen'), line FROM registry_source"
"""With the ledger's generation: after a restore every copy is made anew."""
Line = tuple[str, str, str | None]
"""Table, key as JSON, the whole row as JSON; None: it is gone."""


class RegistryMirror(ABC):
    """One process's end of it. Not safe for several threads. Every call raises Unavailable, Misconfigured."""

    def __init__(self, path: Path, place: Remote) -> None:
        self.path, self._place = path, place
        self._db = open_writer(path, "registry", wal=False)
        self._there: PgDatabase | None = None
        self._keys = {table: _key(self._db, table) for table in TABLES}
        self.line = 0
        """The newest line that this process knows to be in the file."""

    def close(self) -> None:
        """Close both ends."""
        self._db.close()
        if self._there is not None:
            self._there.close()

    @abstractmethod
    def refresh(self) -> None:
        """Bring both ends together."""

    def hold(self, newest: int | None) -> None:
        """Inside a transaction of the ledger, whose registry has this newest line: nothing was judged by an older one.

        Raises Fenced otherwise; the next group is judged by the newer one.
        """
        if newest is not None and newest != self.line:
            self.look_again()
            raise Fenced("the registry has changed while this group was being judged")

    def look_again(self) -> None:
        """Bring both ends together whatever this process has seen."""
        self.refresh()

    def followable(self) -> int:
        """The last line of the change list that every machine can know: of a copy, all that it has."""
        return 2**53

    @contextmanager
    def _both(self) -> Iterator[PgDatabase]:
        """The other end, in a transaction of its own."""
        try:
            if self._there is None:
                self._there = PgDatabase(self._place, ("lock_timeout=10000",))
            self._there.execute("BEGIN")
            yield self._there
            self._there.execute("COMMIT")
        except sqlite3.Error as error:
            raise Unavailable(f"the registry of {self.path} and {self._place} cannot be compared: {error}") from error
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
            if self._there is not None and self._there.in_transaction:
                with suppress(sqlite3.Error):
                    self._there.execute("ROLLBACK")

    @contextmanager
    def _here(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise Unavailable(f"cannot use {self.path}: {error}; free or repair the disk") from error

    def _state(self) -> tuple[str, int, int] | None:
        """Whose lines this file holds, up to which, and whether as a copy; None before the first time."""
        found: tuple[str, int, int] | None = self._db.execute(
            "SELECT source, line, is_copy FROM mirror_state WHERE one = 1"
        ).fetchone()
        return found

    def _put_state(self, source: str, line: int, is_copy: int) -> None:
        sql = "INSERT OR REPLACE INTO mirror_state VALUES (1, ?, ?, ?)"
        self._db.execute(sql, (source, line, is_copy))


class Source(RegistryMirror):
    """The machine where the registry is changed. Raises Misconfigured if another one is that already."""

    def __init__(self, path: Path, place: Remote) -> None:
        super().__init__(path, place)
        self._seen: int | None = None
        self._is_first = True
        with self._here():
            self._name = self._made()
        self.followed = 0
        """The newest line of the change list that every machine can know."""

    def followable(self) -> int:
        """The last line of the change list that was published."""
        return self.followed

    def look_again(self) -> None:
        """Another process of this machine may have published."""
        self._seen = None
        self.refresh()

    def refresh(self) -> None:
        """Publish what changed; at the first time all that is not there yet."""
        with self._here():
            version = self._db.execute("PRAGMA data_version").fetchone()[0]
        if version == self._seen:
            return
        with self._both() as there:
            # The row stays locked until COMMIT, so that nobody publishes an older state of a row behind a newer one.
            mine, held = self._name, there.execute(f"{_LINE} FOR UPDATE").fetchone()
            if held is None:
                there.execute("INSERT INTO registry_source (one, id, line) VALUES (1, ?, 0)", (mine,))
                held = (mine, 0)
            if held[0] != mine:
                raise Misconfigured(
                    f'another registry than {self.path} is the source of this ledger\'s; write registry = "copy",'
                    " or make this one the source by dosong-collector postgres registry-source"
                )
            self._db.execute("BEGIN")
            done = self._db.execute("SELECT coalesce(max(n), 0) FROM mirror_due").fetchone()[0]
            lines = list(self._different(there) if self._is_first else self._noted())
            followed = self._db.execute("SELECT coalesce(max(n), 0) FROM change").fetchone()[0]
            self._db.execute("COMMIT")
            if lines:
                there.executemany(_APPEND, [(held[1] + number, *line) for number, line in enumerate(lines, 1)])
                there.execute("UPDATE registry_source SET line = ?", (held[1] + len(lines),))
                LOG.info("registry: %d changed rows published", len(lines))
        if done:
            with suppress(sqlite3.Error):  # they are published once more then
                self._db.execute("DELETE FROM mirror_due WHERE n <= ?", (done,))
        self.line, self.followed = held[1] + len(lines), followed
        self._seen, self._is_first = version, False

    def take_over(self) -> None:
        """Make this file the source, whichever was it before: that one is refused from now on."""
        with self._both() as there:
            there.execute("UPDATE registry_source SET id = ?", (self._name,))

    def _made(self) -> str:
        """This source's own name; at the first time it is made, with the triggers that note changes."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute(_STATE)
        self._db.execute(_DUE)
        for table, key in self._keys.items():
            for word in ("insert", "update", "delete"):
                self._db.execute(_noting(table, key, word))
                self._db.execute(f"DROP TRIGGER IF EXISTS mirror_guard_{table}_{word}")
        state = self._state()
        name = state[0] if state is not None and not state[2] else secrets.token_hex(8)
        self._put_state(name, 0, 0)
        self._db.execute("COMMIT")
        return name

    def _noted(self) -> Iterator[Line]:
        """Rows that changed since they were published, as they are now."""
        for table, key in self._db.execute("SELECT DISTINCT name, key FROM mirror_due").fetchall():
            where = " AND ".join(f"{column} = ?" for column in self._keys[table])
            found = self._rows(table, f"WHERE {where}", json.loads(key))
            yield next(iter(found), (table, key, None))

    def _different(self, there: PgDatabase) -> Iterator[Line]:
        """Rows that are not there as they are here, and those that are here no more."""
        held = {(name, key): row for name, key, row in there.execute(_NEWEST).fetchall()}
        for table in TABLES:
            for _, key, row in self._rows(table):
                if held.pop((table, key), None) != row:
                    yield table, key, row
        yield from ((name, key, None) for name, key in held)

    def _rows(self, table: str, where: str = "", values: Iterable[Any] = ()) -> Iterator[Line]:
        cursor = self._db.execute(f"SELECT * FROM {table} {where}", tuple(values))  # noqa: S608 (names of ours)
        names = [column[0] for column in cursor.description]
        for values_of in cursor.fetchall():
            row = dict(zip(names, values_of, strict=True))
            yield table, _text([row[column] for column in self._keys[table]]), _text(row)


class Copy(RegistryMirror):
    """A machine that follows the source. Its file can be changed by nobody else."""

    def refresh(self) -> None:
        """Apply what is newer than what the file holds, in one transaction of it."""
        with self._both() as there:
            held = there.execute(_HELD).fetchone()
            if held is None:
                raise Unavailable('no registry was published yet; start the machine that has registry = "source"')
            if held[1] == self.line:
                return
            self._db.execute("PRAGMA foreign_keys=OFF")
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute(_STATE)
            state = self._state()
            is_new = state is None or not state[2] or state[0] != held[0]
            after = 0 if state is None or is_new else state[1]
            sql = "SELECT name, key, body FROM registry_line WHERE n > ? AND n <= ? ORDER BY n"
            lines = there.execute(_NEWEST).fetchall() if is_new else there.execute(sql, (after, held[1])).fetchall()
            if lines or is_new:
                self._apply(lines, anew=is_new)
                LOG.info("registry: %d changed rows taken over", len(lines))
            self._put_state(held[0], held[1], 1)
            self._db.execute("COMMIT")
        self.line = held[1]

    def _apply(self, lines: Iterable[Line], *, anew: bool) -> None:
        """Write rows as they are at the source; what its triggers did there comes as rows of its own."""
        made = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' AND name NOT LIKE 'mirror_%'"
        triggers = self._db.execute(made).fetchall()
        for (name,) in self._db.execute("SELECT name FROM sqlite_schema WHERE type = 'trigger'").fetchall():
            self._db.execute(f"DROP TRIGGER {name}")
        for table in TABLES if anew else ():
            self._db.execute(f"DELETE FROM {table}")  # noqa: S608 (names of ours, here and below)
        for table, key, row in lines:
            if table not in self._keys:
                raise Misconfigured(f"the source's registry has rows of {table}; install the newer program here too")
            if row is None:
                where = " AND ".join(f"{column} = ?" for column in self._keys[table])
                self._db.execute(f"DELETE FROM {table} WHERE {where}", json.loads(key))  # noqa: S608
            else:
                values = json.loads(row)
                marks = ", ".join("?" * len(values))
                sql = f"INSERT OR REPLACE INTO {table} ({', '.join(values)}) VALUES ({marks})"  # noqa: S608
                self._db.execute(sql, tuple(values.values()))
        for _, sql in triggers:
            self._db.execute(sql)
        for table in TABLES:
            for word in ("insert", "update", "delete"):
                self._db.execute(_guarding(table, word))


def _key(db: sqlite3.Connection, table: str) -> tuple[str, ...]:
    rows = db.execute(f"PRAGMA table_info({table})").fetchall()
    return tuple(row[1] for row in sorted((row for row in rows if row[5]), key=lambda row: int(row[5])))


def _noting(table: str, key: tuple[str, ...], word: str) -> str:
    row = "OLD" if word == "delete" else "NEW"
    columns = ", ".join(f"{row}.{column}" for column in key)
    return (
        f"CREATE TRIGGER IF NOT EXISTS mirror_{table}_{word} AFTER {word.upper()} ON {table} BEGIN"  # noqa: S608 (ours)
        f" INSERT INTO mirror_due (name, key) VALUES ('{table}', json_array({columns})); END"
    )


def _guarding(table: str, word: str) -> str:
    return (
        f"CREATE TRIGGER mirror_guard_{table}_{word} BEFORE {word.upper()} ON {table} BEGIN"
        " SELECT RAISE(ABORT, 'this registry is a copy: change it on the machine that has registry = \"source\"'); END"
    )


def _text(value: Any) -> str:
    """JSON as SQLite's json_array writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class Beside:
    """A thread that keeps the file fresh in a process that judges nothing. `close` ends it."""

    def __init__(self, make: Callable[[], RegistryMirror]) -> None:
        self._make = make
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="registry", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join(10)

    def _run(self) -> None:
        mirror: RegistryMirror | None = None
        told = ""
        while not self._stop.is_set():
            try:
                mirror = mirror or self._make()
                mirror.refresh()
                told = ""
            except (Unavailable, Misconfigured, sqlite3.Error) as error:
                if str(error) != told:
                    LOG.warning("%s; trying again", error)
                told = str(error)
            self._stop.wait(LOOK_EVERY_S)
        if mirror is not None:
            mirror.close()
