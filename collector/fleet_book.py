"""Who goes where: notes and assignees of probes (appended, never changed), and the caretakers of houses.

A caretaker is a person: name and number lie in `registry.db` alone, are shown to technicians and operators only, never
enter a log, a record or an export, and can be erased; the audit trail says who did it when, not what.
Source: issue 7 (Monday list); facts note 01 §8 (personal data).
"""

from __future__ import annotations

import re
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from collector.sqlite import open_writer
from wire.errors import Refused, Unavailable
from wire.fold import deceptive

ASSIGNEE_MAX, NOTE_MAX, NAME_MAX = 40, 300, 60
_PHONE = re.compile(r"\+?[0-9][0-9 .-]{5,18}[0-9]")


@dataclass(frozen=True, slots=True)
class VisitNote:
    """Who sees to a probe, and what was said; `actor` is the login that wrote it. "" : nobody, nothing."""

    n: int
    probe: str
    assignee: str
    note: str
    actor: str
    recorded_ms: int


@dataclass(frozen=True, slots=True, repr=False)
class Caretaker:
    """Who keeps the key of a house. Never in a log: it has no text form."""

    site: str
    name: str
    phone: str


class FleetBook:
    """Notes and caretakers in `registry.db`. Safe for several threads. Raises Unavailable while it cannot be used."""

    def __init__(self, path: Path) -> None:
        """Open `path`, creating it if missing. Raises Misconfigured if it cannot be used."""
        self.path = path
        self._lock = threading.Lock()
        self._db = open_writer(path, "registry", wal=False)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def write(self, probe: str, assignee: str, note: str, actor: str, now_ms: int) -> None:
        """Append a note. Raises Refused for text that is too long or cannot be read as it stands."""
        assignee, note = _text(assignee, ASSIGNEE_MAX), _text(note, NOTE_MAX)
        self._run(
            "INSERT INTO visit_note (probe, assignee, note, actor, recorded_ms) VALUES (?, ?, ?, ?, ?)",
            *(probe, assignee, note, actor, now_ms),
        )

    def newest(self) -> dict[str, VisitNote]:
        """The newest note of every probe that has one."""
        rows = self._run(
            "SELECT n, probe, assignee, note, actor, recorded_ms FROM visit_note"
            " WHERE n IN (SELECT max(n) FROM visit_note GROUP BY probe)"
        )
        return {row[1]: VisitNote(*row) for row in rows}

    def notes(self, probe: str, limit: int = 50) -> list[VisitNote]:
        """Notes of a probe, newest first."""
        sql = "SELECT n, probe, assignee, note, actor, recorded_ms FROM visit_note WHERE probe = ?"
        return [VisitNote(*row) for row in self._run(f"{sql} ORDER BY n DESC LIMIT ?", probe, limit)]

    def caretakers(self) -> dict[str, Caretaker]:
        """By site."""
        return {row[0]: Caretaker(*row) for row in self._run("SELECT site, name, phone FROM caretaker")}

    def caretaker(self, site: str) -> Caretaker | None:
        """Who keeps the key of this house; None if nobody is known."""
        rows = self._run("SELECT site, name, phone FROM caretaker WHERE site = ?", site)
        return Caretaker(*rows[0]) if rows else None

    def keep(self, site: str, name: str, phone: str) -> None:
        """Set a house's caretaker; without name and number it is erased. Raises Refused for what is no number."""
        name, phone = _text(name, NAME_MAX), phone.strip()
        if phone and _PHONE.fullmatch(phone) is None:
            raise Refused("phone", "a telephone number: digits, spaces, dots, and + in front")
        if name or phone:
            deed = "INSERT INTO caretaker VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET name = excluded.name,"
            self._run(f"{deed} phone = excluded.phone", site, name, phone)
        else:
            self._run("DELETE FROM caretaker WHERE site = ?", site)

    def _run(self, sql: str, *values: Any) -> list[Any]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise Unavailable(f"cannot use {self.path}: {error}") from error


def _text(text: str, longest: int) -> str:
    """One line of text as it is kept. Raises Refused if it is too long, or holds what is not seen as it is."""
    text = " ".join(text.split())
    if len(text) > longest:
        raise Refused("too_long", f"at most {longest} characters")
    if deceptive(text):
        raise Refused("text", "characters that are not seen as they are")
    return text
