"""Reports as they were made, kept for good: the model, every form it was given out in, and what it was made from.

`reports.db` is the list; the bytes are files named by their SHA-256 in the folder `reports`. A file is written and
synced before the list names it. Web, command line and the reminder's process write here, so the list has no WAL.
"""

from __future__ import annotations

import hashlib
import os
import sqlite3
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from collector.core.period import Period
from collector.core.report_facts import Remark
from collector.core.report_heads import Office
from collector.core.report_model import Kind, Report
from collector.core.view import Language
from collector.reports.flat import from_json, to_json
from collector.sqlite import open_writer
from wire.errors import Refused, Unavailable

TOPICS = ("outreach", "difficulties", "proposals")
LONGEST_TEXT = 1_500
_COLUMNS = (
    "id, made_ms, made_by, kind, unit, unit_name, language, starts_ms, ends_ms, as_of_ms, subject, ledger_n, redo_n,"
    " registry_n, log_name, log_size, log_root, model, follows, changed"
)


@dataclass(frozen=True, slots=True)
class Kept:
    """One snapshot's line. `model`: SHA-256 of the model's bytes; `follows`: the snapshot before it of the same unit
    and period, None for the first; `changed`: figures that differ from that one."""

    id: str
    made_ms: int
    made_by: str
    kind: Kind
    unit: str
    unit_name: str
    language: Language
    starts_ms: int
    ends_ms: int
    as_of_ms: int
    subject: str
    ledger_n: int
    redo_n: int
    registry_n: int
    log_name: str | None
    log_size: int | None
    log_root: str | None
    model: str
    follows: str | None
    changed: int

    @property
    def whole(self) -> Period:
        """The period by the calendar that it is about."""
        return Period(self.starts_ms, self.ends_ms)


@dataclass(frozen=True, slots=True)
class Drawing:
    """One form of a snapshot, as it was drawn when the report was made."""

    format: str
    sha256: str
    size: int


class ReportStore:
    """The store. Safe for several threads. Raises Misconfigured if the file cannot be used, Unavailable on a fault."""

    def __init__(self, state: Path) -> None:
        self.folder = state / "reports"
        self._lock = threading.RLock()
        self._db = open_writer(state / "reports.db", "reports", wal=False)
        self.folder.mkdir(exist_ok=True)

    def close(self) -> None:
        """Close the list."""
        with self._lock:
            self._db.close()

    def keep(
        self, report: Report, whole: Period, drawn: Mapping[str, bytes], made_ms: int, made_by: str,
        follows: str | None = None, changed: int = 0,
    ) -> Kept:  # fmt: skip
        """Keep a report and its drawings; one that is kept already is left as it is."""
        model = self._put(to_json(report))
        files = {name: (self._put(raw), len(raw)) for name, raw in drawn.items()}
        proof = report.provenance
        kept = Kept(
            report.id, made_ms, made_by, report.kind, report.unit, report.unit_name, report.language, whole.start_ms,
            whole.end_ms, report.as_of_ms, report.subject, proof.ledger_n, proof.redo_n, proof.registry_n,
            proof.log_name, proof.log_size, proof.log_root, model, follows, changed,
        )  # fmt: skip
        values = [getattr(kept, name) for name in Kept.__dataclass_fields__]
        with self.writing() as db:
            if db.execute("SELECT 1 FROM snapshot WHERE id = ?", (report.id,)).fetchone() is None:
                marks = ", ".join("?" * len(values))
                row = db.execute(f"INSERT INTO snapshot ({_COLUMNS}) VALUES ({marks})", values)  # noqa: S608 (fixed)
                rows = [(row.lastrowid, name, sha, size) for name, (sha, size) in files.items()]
                db.executemany("INSERT INTO drawing VALUES (?, ?, ?, ?)", rows)
        return self.one(report.id) or kept

    def one(self, report_id: str) -> Kept | None:
        """A snapshot by its id; None if there is none."""
        rows = self.rows(f"SELECT {_COLUMNS} FROM snapshot WHERE id = ?", report_id)  # noqa: S608 (fixed names)
        return Kept(*rows[0]) if rows else None

    def newest(self, limit: int = 200, *, unit: str | None = None) -> list[Kept]:
        """Snapshots, newest first."""
        where, values = ("WHERE unit = ?", (unit,)) if unit is not None else ("", ())
        sql = f"SELECT {_COLUMNS} FROM snapshot {where} ORDER BY n DESC LIMIT ?"  # noqa: S608 (fixed names)
        return [Kept(*row) for row in self.rows(sql, *values, limit)]

    def before(self, kind: Kind, unit: str, whole: Period, language: Language) -> Kept | None:
        """The newest snapshot of the same kind, unit, period and language; None for the first."""
        rows = self.rows(
            f"SELECT {_COLUMNS} FROM snapshot WHERE kind = ? AND unit = ? AND starts_ms = ? AND ends_ms = ?"  # noqa: S608
            " AND language = ? ORDER BY n DESC LIMIT 1",
            kind, unit, whole.start_ms, whole.end_ms, language,
        )  # fmt: skip
        return Kept(*rows[0]) if rows else None

    def report(self, kept: Kept) -> Report:
        """The model of a snapshot, as it was made."""
        try:
            return from_json(self.bytes_of(kept.model))
        except msgspec.ValidationError as error:
            raise Unavailable(f"report {kept.id} was kept by another version of this program: {error}") from error

    def drawings(self, report_id: str) -> list[Drawing]:
        """The forms of a snapshot."""
        sql = "SELECT format, sha256, size FROM drawing JOIN snapshot ON n = snapshot WHERE id = ? ORDER BY format"
        return [Drawing(*row) for row in self.rows(sql, report_id)]

    def drawn(self, report_id: str, name: str) -> bytes | None:
        """One form of a snapshot, byte for byte as it was given out; None if it has no such form."""
        found = next((one for one in self.drawings(report_id) if one.format == name), None)
        return None if found is None else self.bytes_of(found.sha256)

    def bytes_of(self, sha256: str) -> bytes:
        """A file by its name, checked. Raises Unavailable if it is gone or was altered."""
        try:
            raw = (self.folder / sha256).read_bytes()
        except OSError as error:
            raise Unavailable(f"cannot read {self.folder / sha256}: {error.strerror}; put back its backup") from error
        if hashlib.sha256(raw).hexdigest() != sha256:
            raise Unavailable(f"{self.folder / sha256} was altered: its bytes are not those that it is named by")
        return raw

    def enter(self, unit: str, whole: Period, topic: str, said: str, by: str, now_ms: int) -> None:
        """Keep what an official wrote for a period; what was written before stays. Raises Refused."""
        if topic not in TOPICS or len(said) > LONGEST_TEXT:
            raise Refused(
                "remark", f"the topics are {', '.join(TOPICS)}, and a text has {LONGEST_TEXT} letters at most"
            )
        kept = "\n".join(line.strip() for line in said.replace("\0", "").splitlines() if line.strip())
        with self.writing() as db:
            db.execute(
                "INSERT INTO remark (unit, starts_ms, ends_ms, topic, said, by, entered_ms)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (unit, whole.start_ms, whole.end_ms, topic, kept, by, now_ms),
            )

    def remarks(self, unit: str, whole: Period, as_of_ms: int) -> tuple[Remark, ...]:
        """A unit's texts within a period: the newest of each period and topic that was entered until `as_of_ms`."""
        rows = self.rows(
            "SELECT topic, said, by, entered_ms FROM remark r WHERE unit = ?1 AND starts_ms >= ?2 AND ends_ms <= ?3"
            " AND n = (SELECT max(n) FROM remark o WHERE o.unit = r.unit AND o.topic = r.topic"
            " AND o.starts_ms = r.starts_ms AND o.ends_ms = r.ends_ms AND o.entered_ms <= ?4)"
            " AND said <> '' ORDER BY starts_ms, n",
            unit, whole.start_ms, whole.end_ms, as_of_ms,
        )  # fmt: skip
        return tuple(Remark(*row) for row in rows)

    def set_office(self, unit: str, office: Office, by: str, now_ms: int) -> None:
        """Enter an office's letterhead and whom to remind; the one before stays in the list."""
        text = msgspec.json.encode(office).decode()
        with self.writing() as db:
            db.execute(
                "INSERT INTO office (unit, office, by, entered_ms) VALUES (?, ?, ?, ?)", (unit, text, by, now_ms)
            )

    def office(self, unit: str) -> Office | None:
        """What was entered for a unit's office; None if nothing was."""
        rows = self.rows("SELECT office FROM office WHERE unit = ? ORDER BY n DESC LIMIT 1", unit)
        return msgspec.json.decode(rows[0][0], type=Office) if rows else None

    def office_entries(self, unit: str) -> list[tuple[str, int]]:
        """Who entered a unit's office, and when (UTC ms), newest first."""
        rows = self.rows("SELECT by, entered_ms FROM office WHERE unit = ? ORDER BY n DESC LIMIT 20", unit)
        return [(str(row[0]), int(row[1])) for row in rows]

    def offices(self) -> dict[str, Office]:
        """Every office that was entered, by unit."""
        rows = self.rows("SELECT unit, office FROM office o WHERE n = (SELECT max(n) FROM office WHERE unit = o.unit)")
        return {unit: msgspec.json.decode(text, type=Office) for unit, text in rows}

    def _put(self, raw: bytes) -> str:
        """Write a file under its SHA-256, synced, or leave the one that is there."""
        name = hashlib.sha256(raw).hexdigest()
        path = self.folder / name
        try:
            if not path.exists():
                with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".", delete=False) as file:
                    file.write(raw)
                    file.flush()
                    os.fsync(file.fileno())
                Path(file.name).chmod(0o640)
                Path(file.name).replace(path)
        except OSError as error:
            raise Unavailable(f"cannot write {path}: {error.strerror}; free or repair the disk") from error
        return name

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it or nothing."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield self._db
                self._db.execute("COMMIT")
            except sqlite3.Error as error:
                raise Unavailable(f"cannot write reports.db: {error}") from error
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Answer one statement. Raises Unavailable."""
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise Unavailable(f"cannot read reports.db: {error}") from error
