"""How we open SQLite: one writer that owns a file's journal, readers that cannot write, numbered schema files.

SQLite before 3.51.3 can corrupt a WAL file when two connections write or checkpoint at once (the WAL-reset bug).
So each WAL file has exactly one writable connection in the whole deployment, held under a lock file, and
readers open `mode=ro`, which never checkpoints. `registry.db` has several writers and therefore no WAL.
Source: sqlite.org/wal.html#walresetbug; facts note 08 §1.
"""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from collector.ledger_move import move_records
from wire.errors import Misconfigured, Unavailable

BUSY_TIMEOUT_S = 3.0
_VERSION = re.compile(r"_v([0-9]+)\.sql")


def open_writer(path: Path, schema: str, *, wal: bool = True) -> sqlite3.Connection:
    """Open `path` for writing and bring it to the newest version of `schema` ("ledger", "registry", "forward", "seal").

    Transactions are explicit (BEGIN IMMEDIATE ... COMMIT); synchronous=FULL: what is committed survives a power cut.
    Raises Misconfigured if the file is newer than this program, is no database, or its folder is missing.
    """
    try:
        connection = sqlite3.connect(path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
        connection.execute(f"PRAGMA journal_mode={'WAL' if wal else 'DELETE'}")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")
        migrate(connection, schema, path)
    except sqlite3.DatabaseError as error:
        raise _refuse_file(path, schema, error) from error
    return connection


_REMEDY = {
    "reports": "put back its backup; it knows what was reported, so never delete it",
    "ledger": "put back its backup; it is the evidence, so never delete it",
    "registry": "put back its backup",
    "session": "move it away: everybody then logs in again",
    "forward": "move it away: forward then writes every record to InfluxDB again",
    "verdict": "move it away and run dosong-collector rebuild verdicts",
    "dispute": "put back its backup; what people said stays, so never delete it",
    "seal": "put back its backup; it knows what was signed, so never delete it",
}


def _refuse_file(path: Path, schema: str, error: sqlite3.DatabaseError) -> Misconfigured | Unavailable:
    said = str(error)
    if not isinstance(error, sqlite3.OperationalError):
        return Misconfigured(f"{path} cannot be read as a database ({said}); {_REMEDY[schema]}")
    if "unable to open" in said or "readonly" in said or not path.parent.is_dir():
        return Misconfigured(
            f"cannot open {path} ({said}); its folder state_dir must exist, and folder and file belong to this account"
        )
    if "locked" in said:
        return Unavailable(f"{path} is in use by another program (locked); wait, or end the program that holds it")
    return Unavailable(f"cannot open {path} ({said}); free or repair the disk")


def open_reader(path: Path) -> sqlite3.Connection:
    """Open `path` read-only. Raises Unavailable while it does not exist or cannot be read."""
    try:
        connection = sqlite3.connect(
            f"file:{path}?mode=ro", uri=True, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA query_only=ON")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    except sqlite3.Error as error:
        remedy = "start dosong-collector receive or run, which makes it" if not path.exists() else "see its folder"
        raise Unavailable(f"cannot read {path}: {error}; {remedy}") from error
    connection.row_factory = sqlite3.Row
    return connection


def versions(schema: str) -> list[tuple[int, str]]:
    """Return the numbered SQL texts of `schema`, oldest first."""
    files = resources.files("collector.schema").iterdir()
    found = [(f.name, _VERSION.fullmatch(f.name.removeprefix(schema))) for f in files]
    texts = [(int(m[1]), (resources.files("collector.schema") / name).read_text()) for name, m in found if m]
    return sorted(texts)


def migrate(connection: sqlite3.Connection, schema: str, path: Path) -> None:
    """Run the schema files above the file's `user_version`, all in one transaction. Twice does nothing.

    Several processes may open a new file at once: the version is read again under the write lock.
    Raises Misconfigured if the file is newer than the program.
    """
    steps = versions(schema)
    if _version(connection) == steps[-1][0]:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        held = _version(connection)
        if held > steps[-1][0]:
            newest = steps[-1][0]
            raise Misconfigured(f"{path} has version {held}, this program knows {newest}; install the newer program")
        for number, text in steps:
            if number > held:
                apply(connection, schema, number, text)
        connection.execute(f"PRAGMA user_version={steps[-1][0]}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")


def apply(connection: sqlite3.Connection, schema: str, number: int, text: str) -> None:
    """Run one schema file, and what goes with it that no SQL can say. Raises sqlite3.Error."""
    for statement in _statements(text):
        connection.execute(statement)
    if (schema, number) == ("ledger", 6):
        move_records(connection)


def _version(connection: sqlite3.Connection) -> int:
    return int(connection.execute("PRAGMA user_version").fetchone()[0])


def _statements(text: str) -> Iterator[str]:
    """Split a schema file; `executescript` would commit the transaction that is open."""
    statement = ""
    for line in text.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


class Ownership:
    """The right to write one file: a lock on `<file>.lock`, held until `release` or the end of the process."""

    def __init__(self, path: Path) -> None:
        """Take it. Raises Misconfigured if another process has it, or if the folder cannot be written."""
        lock = path.with_name(f"{path.name}.lock")
        try:
            self._handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
        except OSError as error:
            raise Misconfigured(
                f"cannot write {lock} ({error.strerror}); its folder state_dir must exist and belong to this account"
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._handle)
            raise Misconfigured(f"{path} is already being written by another process; stop that one first") from error

    def release(self) -> None:
        """Give it back."""
        os.close(self._handle)
