"""`dispute.db`: every step of every case, appended for ever, each chained to the one before by its digest.

Web workers and the command line write it; a case is the fold of its steps (`collector.core.dispute`), so a step that
is not allowed never gets in. Source: issue "Evidence for officials", 5; decision 0030.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import Any

from collector.core.dispute import Case, Step, Subject, begin, fold, step
from collector.sqlite import open_writer
from wire.errors import Refused, Unavailable

FILE = "dispute.db"
_COLUMNS = "n, opening, at_ms, actor, role, what, body, prev, digest"
Pin = Callable[[int, str, bytes], None]
"""Told of each step before it is committed: its number, its word, and its digest, which the audit trail may hold."""


class Disputes:
    """Appends and reads. Safe for several threads and processes. Raises Unavailable while the file cannot be used."""

    def __init__(self, path: Path, pin: Pin = lambda _n, _what, _digest: None) -> None:
        self.path, self._pin = path, pin
        self._lock = threading.RLock()
        self._db: sqlite3.Connection | None = None

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._db is not None:
                self._db.close()
            self._db = None

    def open_case(self, subject: Subject, first: Step) -> Case:
        """Begin a case. Raises Refused, also if one about the same thing is still open."""
        with self._transaction() as db:
            for one in self._cases(db):
                if one.is_open and _same(one.subject, subject):
                    raise Refused("case", f"case {one.n} about this is still open; go on there")
            n = 1 + int(db.execute("SELECT coalesce(max(n), 0) FROM step").fetchone()[0])
            case = begin(n, subject, first)
            self._append(db, n, n, first, {"subject": asdict(subject)})
        return case

    def add(self, opening: int, said: Step) -> Case:
        """Append a step to a case. Raises Refused if there is none, or it is not theirs to say."""
        with self._transaction() as db:
            found = next(self._cases(db, opening), None)
            if found is None:
                raise Refused("case", f"there is no case {opening}")
            case = step(found, said)
            n = 1 + int(db.execute("SELECT max(n) FROM step").fetchone()[0])
            self._append(db, n, opening, said, {})
        return case

    def case(self, opening: int) -> Case | None:
        """One case; None if there is none."""
        return next(iter(self.cases(opening)), None)

    def cases(self, opening: int | None = None) -> list[Case]:
        """All cases, newest first (or one)."""
        with self._reading() as db:
            return sorted(self._cases(db, opening), key=lambda one: -one.n)

    def verify(self) -> int:
        """Compute the chain of digests again; the number of steps. Raises Refused at the first that does not fit."""
        prev = b""
        with self._reading() as db:
            rows = db.execute(f"SELECT {_COLUMNS} FROM step ORDER BY n").fetchall()  # noqa: S608 (fixed names)
        for at, row in enumerate(rows, 1):
            if row[0] != at or bytes(row[7]) != prev or _digest(prev, *row[:7]) != bytes(row[8]):
                raise Refused("case", f"step {row[0]} of {self.path} was changed, or one before it is gone")
            prev = bytes(row[8])
        return len(rows)

    def _append(self, db: sqlite3.Connection, n: int, opening: int, said: Step, more: dict[str, Any]) -> None:
        body = {
            "text": said.text, "verdict": said.verdict, "due": _iso(said.due), "promised": _iso(said.promised), **more,
        }  # fmt: skip
        row = db.execute("SELECT digest FROM step ORDER BY n DESC LIMIT 1").fetchone()
        prev = b"" if row is None else bytes(row[0])
        text = json.dumps(body, ensure_ascii=False, sort_keys=True)
        values = (n, opening, said.at_ms, said.actor, said.role, said.what, text)
        digest = _digest(prev, *values)
        self._pin(opening, said.what, digest)
        db.execute("INSERT INTO step VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", (*values, prev, digest))

    def _cases(self, db: sqlite3.Connection, opening: int | None = None) -> Iterator[Case]:
        where, values = ("WHERE opening = ?", (opening,)) if opening is not None else ("", ())
        sql = f"SELECT {_COLUMNS} FROM step {where} ORDER BY opening, n"  # noqa: S608 (fixed names)
        held: dict[int, list[tuple[Step, dict[str, Any]]]] = {}
        for row in db.execute(sql, values):
            body = json.loads(row[6])
            said = Step(row[5], row[3], row[4], row[2], body["text"], body["verdict"],
                        _date(body["due"]), _date(body["promised"]))  # fmt: skip
            held.setdefault(row[1], []).append((said, body))
        for n, steps in held.items():
            yield fold(n, Subject(**steps[0][1]["subject"]), [said for said, _ in steps])

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._reading() as db:
            db.execute("BEGIN IMMEDIATE")
            try:
                yield db
                db.execute("COMMIT")
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._db is None:
                    self._db = open_writer(self.path, "dispute", wal=False)
                yield self._db
            except sqlite3.Error as error:
                raise Unavailable(f"cannot use {self.path}: {error}; free or repair the disk") from error


def _same(one: Subject, other: Subject) -> bool:
    names = ["kind", "hamlet", "plmn", "from_ms"]
    if one.kind == "sample":
        names = ["kind", "probe", "epoch", "seq"]
    return all(getattr(one, name) == getattr(other, name) for name in names)


def _digest(prev: bytes, *values: object) -> bytes:
    return sha256(prev + json.dumps(values, ensure_ascii=False).encode()).digest()


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()


def _date(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)
