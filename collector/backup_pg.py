"""Backups of a collector whose ledger lies in PostgreSQL: one snapshot, dumped by pg_dump and proven by the log.

`seal.db` is copied first, the ledger behind it, the registry last: so whatever a checkpoint covers is in the dump, and
whatever the ledger says it has followed is in the registry. All that is said of the ledger is read in one snapshot: the
roots are computed in it, and every table in the dump is compared with it, row by row. Programs go on meanwhile.
Source: design §7 (ACK, `gen`, restore); decision note on backups in PostgreSQL.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import sqlite3
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, cast

from collector import backup
from collector.backup import Tell, Verified
from collector.health import now_ms
from collector.ledger_engine import open_ledger
from collector.ledger_place import Remote
from collector.pg import SCHEMA, PgDatabase
from collector.pg_schema import READ_OPTIONS, check_version, prepare
from wire.errors import Misconfigured, Refused, Unavailable

DUMP, LISTED = "ledger.dump", "ledger.json"
FILES_BEHIND = tuple(name for name in backup.FILES if name not in {"seal.db", "ledger.db"})
_END = b"\\.\n"


@dataclass(frozen=True, slots=True)
class Table:
    """One table of a dump: how its rows are asked for, how many there are, SHA-256 over them as COPY writes them."""

    named: str
    rows: int
    sha256: str


def make(state: Path, place: Remote, target: Path, tell: Tell) -> list[Verified]:
    """Copy a collector's state and its ledger into a new folder, proven. Raises Unavailable, Misconfigured, Refused."""
    backup.new_folder(target)
    backup.copy_log(state, target)
    backup.copy_databases(state, target, ("seal.db",), tell)
    options = (*READ_OPTIONS, "synchronize_seqscans=off")
    with contextlib.closing(PgDatabase(place, options)) as db:
        try:
            check_version(db, place)
            db.execute("BEGIN")
            snapshot = str(db.execute("SELECT pg_export_snapshot()").fetchone()[0])
            tell(f"dumping the ledger at {place}")
            _tool("pg_dump", "-Fc", "-n", SCHEMA, f"--snapshot={snapshot}", "-f", str(target / DUMP), place=place)
            tables = list(_tables(target / DUMP))
            for table in tables:
                _compare(db, table)
            tell(f"{sum(table.rows for table in tables)} rows in {len(tables)} tables, in the dump as in the ledger")
            done = backup.verify(target, tell, replace(place, snapshot=snapshot))
        except sqlite3.Error as error:
            raise Unavailable(f"cannot read {place}: {error}") from error
    _list(target, tables)
    backup.copy_databases(state, target, FILES_BEHIND, tell)
    backup.copy_beside(state, target)
    return done


def check(folder: Path, tell: Tell) -> None:
    """Whether a backup's dump still holds the rows that were proven. Raises Refused if not, Misconfigured."""
    try:
        listed = json.loads((folder / LISTED).read_text(encoding="utf-8"))
        held = [Table(**one) for one in listed["tables"]]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise Misconfigured(f"{folder} holds no backup of a ledger in PostgreSQL ({error}); name another") from error
    found = list(_tables(folder / DUMP))
    if found != held:
        names = sorted({one.named.split(" ")[0] for one in set(held) ^ set(found)})
        raise Refused("file_differs", f"{DUMP}: {', '.join(names)} is not what was proven when the backup was made")
    tell(f"{DUMP}: {sum(table.rows for table in found)} rows in {len(found)} tables, as when the backup was made")


def restore(source: Path, state: Path, place: Remote, owner: Remote, tell: Tell) -> int:
    """Put a backup into an empty database and an empty state folder; raise the ledger's generation and return it.

    `owner`: the database as its owner; the role as which `place` logs in gets what it needs. Raises Misconfigured if
    something is in the way, Refused if the dump is not what was proven, or a root of the log differs.
    """
    backup.must_be_empty(state)
    check(source, tell)
    with contextlib.closing(PgDatabase(owner)) as db:
        if db.execute("SELECT 1 FROM pg_namespace WHERE nspname = ?", (SCHEMA,)).fetchone():
            raise Misconfigured(f"{owner} holds a ledger already; make a new database, nothing is written over")
    tell("restoring the ledger")
    words = ("--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error", str(source / DUMP))
    _tool("pg_restore", *words, place=owner)
    prepare(owner, _role(place))
    with contextlib.closing(PgDatabase(owner)) as db:
        db.execute("ANALYZE")
    state.mkdir(parents=True, exist_ok=True)
    backup.copy_databases(source, state, (*FILES_BEHIND, "seal.db"), tell)
    backup.put_log_back(source, state)
    backup.copy_beside(source, state)
    backup.verify(state, tell, place)
    with contextlib.closing(open_ledger(place)) as ledger:
        return ledger.raise_generation(now_ms())


def _role(place: Remote) -> str:
    with contextlib.closing(PgDatabase(place)) as db:
        return str(db.execute("SELECT current_user").fetchone()[0])


def _compare(db: PgDatabase, table: Table) -> None:
    """Raises Refused unless the snapshot holds just these rows."""
    digest, rows = hashlib.sha256(), 0
    for row in db.copied(f"COPY {table.named} TO STDOUT"):
        digest.update(row)
        rows += 1
    if (rows, digest.hexdigest()) != (table.rows, table.sha256):
        raise Refused(
            "file_differs", f"{DUMP}: {table.named.split(' ')[0]} is not as in the ledger; make another backup"
        )


def _tables(dump: Path) -> Iterator[Table]:
    """Every table of a dump, read as pg_restore gives it. Raises Refused if it does not read."""
    words = ["pg_restore", "--data-only", "-f", "-", str(dump)]
    with _started(words) as reading:
        out = cast(IO[bytes], reading.stdout)  # a pipe was asked for
        for line in out:
            if line.startswith(b"COPY "):
                yield _table(line.decode().removeprefix("COPY ").rpartition(" FROM stdin;")[0], out)
        said = reading.stderr.read().decode() if reading.stderr else ""
        if reading.wait() != 0:
            raise Refused("file_differs", f"{dump.name} does not read: {_line(said)}")


def _table(named: str, out: IO[bytes]) -> Table:
    digest = hashlib.sha256()
    for rows, line in enumerate(out):
        if line == _END:
            return Table(named, rows, digest.hexdigest())
        digest.update(line)
    raise Refused("file_differs", f"{DUMP} ends within {named.split(' ', maxsplit=1)[0]}")


def _list(target: Path, tables: list[Table]) -> None:
    rows = [{"named": one.named, "rows": one.rows, "sha256": one.sha256} for one in tables]
    try:
        with (target / LISTED).open("w", encoding="utf-8") as file:
            json.dump({"tables": rows}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise Unavailable(f"cannot write {error.filename} ({error.strerror}); free the disk or mend it") from error


def _tool(*words: str, place: Remote) -> None:
    """Run one of PostgreSQL's programs on a database. Raises Misconfigured if it is not here, Unavailable."""
    with _started([*words, "-d", place.url], place.password) as running:
        said = running.communicate()[1].decode()
        if running.returncode != 0:
            raise Unavailable(f"{words[0]} at {place}: {_line(said)}")


def _started(words: list[str], password: str | None = None) -> subprocess.Popen[bytes]:
    secret = {} if password is None else {"PGPASSWORD": password}
    try:
        return subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, **secret, "LC_ALL": "C.UTF-8"}
        )
    except FileNotFoundError as error:
        raise Misconfigured(f"{words[0]} is not on this machine; apt-get install postgresql-client") from error


def _line(said: str) -> str:
    return " ".join(said.split())[:300] or "no reason given"
