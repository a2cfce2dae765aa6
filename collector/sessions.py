"""Sessions and tries in `session.db`: opaque ids kept as hashes, with an idle and an absolute end, ended one or all.

The file may be lost: everybody logs in again. Tries survive a restart, so that a restart gives nobody new ones.
Source: facts note 08 §5 (server-side sessions, 30 min idle, rotate at login; rate limit by account and address).
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from collector.core.attempts import BUSY_WINDOW_MS, login_wait_s, net_of
from collector.sqlite import open_writer
from wire.errors import Unavailable

IDLE_MS = 30 * 60_000
LOGIN_MS = 12 * 3_600_000
BOARD_MS = 30 * 86_400_000
DEVICE_MS = 180 * 86_400_000
SEEN_EVERY_MS = 60_000
HOUR_MS = 3_600_000
MOST_SESSIONS = 20
"""Of one account; the oldest ends when another one begins."""
Kind = Literal["login", "board"]
_COLUMNS = "id, owner, kind, made_ms, seen_ms, until_ms, address, agent"


@dataclass(frozen=True, slots=True)
class Session:
    """One session. `owner` is an account's name, of a board its id; `id` is the hash, which opens nothing."""

    id: bytes
    owner: str
    kind: Kind
    made_ms: int
    seen_ms: int
    until_ms: int
    address: str
    agent: str

    @property
    def name(self) -> str:
        """What it is called where its owner ends it."""
        return self.id.hex()[:16]

    def is_alive(self, now_ms: int) -> bool:
        """Whether it still opens anything; a board has no idle end."""
        return now_ms < self.until_ms and (self.kind == "board" or now_ms - self.seen_ms < IDLE_MS)


@dataclass(frozen=True, slots=True)
class Try:
    """One try to get in that was written down before it was looked at."""

    owner: str
    keys: tuple[bytes, ...]


class SessionStore:
    """The sessions. `pepper` keys the hashes of what people typed. Safe for several threads and processes."""

    def __init__(self, path: Path, pepper: bytes) -> None:
        self.path = path
        self._pepper = pepper
        self._lock = threading.RLock()
        self._db = open_writer(path, "session", wal=False)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # --- sessions -------------------------------------------------------------------------------------------------

    def begin(self, owner: str, kind: Kind, address: str, agent: str, now_ms: int, until_ms: int | None = None) -> str:
        """Begin a session under a new id; returns it, which is nowhere else from now on."""
        text = secrets.token_urlsafe(32)
        end_ms = until_ms if until_ms is not None else now_ms + (LOGIN_MS if kind == "login" else BOARD_MS)
        row = (_hash(text), owner, kind, now_ms, now_ms, end_ms, address[:64], agent[:80])
        with self._writing():
            self._db.execute("DELETE FROM session WHERE until_ms <= ?", (now_ms,))
            self._db.execute(
                "DELETE FROM session WHERE id IN (SELECT id FROM session WHERE owner = ? AND kind = ?"
                " ORDER BY seen_ms DESC LIMIT -1 OFFSET ?)", (owner, kind, MOST_SESSIONS - 1),
            )  # fmt: skip
            self._db.execute(f"INSERT INTO session ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)  # noqa: S608
        return text

    def find(self, text: str, now_ms: int, *, is_use: bool) -> Session | None:
        """The living session of an id. `is_use`: a person did something (a page that renews itself is none)."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM session WHERE id = ?", _hash(text))  # noqa: S608
        if not rows:
            return None
        found = Session(*rows[0])
        if not found.is_alive(now_ms):
            return None
        if is_use and now_ms - found.seen_ms >= SEEN_EVERY_MS:
            with self._writing():
                self._db.execute("UPDATE session SET seen_ms = ? WHERE id = ?", (now_ms, found.id))
        return found

    def of(self, owner: str, kind: Kind, now_ms: int) -> list[Session]:
        """Living sessions of an owner, newest first."""
        rows = self._rows(
            f"SELECT {_COLUMNS} FROM session WHERE owner = ? AND kind = ? ORDER BY made_ms DESC, id",  # noqa: S608
            owner,
            kind,
        )
        return [one for one in (Session(*row) for row in rows) if one.is_alive(now_ms)]

    def end(self, text: str) -> None:
        """End one session by its id."""
        with self._writing():
            self._db.execute("DELETE FROM session WHERE id = ?", (_hash(text),))

    def end_named(self, owner: str, kind: Kind, name: str) -> bool:
        """End one of an owner's sessions by its short name; False if there is none."""
        with self._writing():
            done = self._db.execute(
                "DELETE FROM session WHERE owner = ? AND kind = ? AND substr(lower(hex(id)), 1, 16) = ?",
                (owner, kind, name),
            )
        return done.rowcount > 0

    def end_all(self, owner: str, kind: Kind = "login", but: str | None = None) -> int:
        """End all sessions of an owner, `but` the one with this id; how many ended."""
        keep = b"" if but is None else _hash(but)
        with self._writing():
            done = self._db.execute("DELETE FROM session WHERE owner = ? AND kind = ? AND id <> ?", (owner, kind, keep))
            if but is None:
                self._db.execute("DELETE FROM device WHERE owner = ?", (owner,))
        return done.rowcount

    # --- tries ----------------------------------------------------------------------------------------------------

    def ask(self, owner: str, address: str, device: str | None, now_ms: int) -> tuple[Try | None, int]:
        """Write a try down before it is looked at; (None, seconds) if it must wait, and then it is not written."""
        known = device is not None and self._is_known(device, owner, now_ms)
        where = f"device {device}" if known else f"net {net_of(address)}"
        pair, net, name = (self._key(*parts) for parts in ((owner, where), ("", f"net {net_of(address)}"), (owner, "")))
        with self._writing():
            self._db.execute("DELETE FROM attempt WHERE at_ms <= ?", (now_ms - BUSY_WINDOW_MS,))
            times = [
                [int(r[0]) for r in self._rows("SELECT at_ms FROM attempt WHERE key = ?", k)] for k in (pair, net, name)
            ]
            wait_s = login_wait_s(times[0], times[1], times[2], now_ms, is_known_device=known)
            if wait_s:
                return None, wait_s
            keys = (pair,) if known else (pair, net, name)
            self._db.executemany("INSERT INTO attempt (key, at_ms) VALUES (?, ?)", [(key, now_ms) for key in keys])
        return Try(owner, keys), 0

    def passed(self, one: Try) -> None:
        """It was right: this device or address begins anew, and the try counts for nobody else."""
        with self._writing():
            self._db.execute("DELETE FROM attempt WHERE key = ?", (one.keys[0],))
            for key in one.keys[1:]:
                self._db.execute("DELETE FROM attempt WHERE n = (SELECT max(n) FROM attempt WHERE key = ?)", (key,))

    def failed(self, owner: str, now_ms: int) -> None:
        """Count a failed try of an account that exists ("" for any other name), by the hour."""
        with self._writing():
            self._db.execute(
                "INSERT INTO failed VALUES (?, ?, 1) ON CONFLICT DO UPDATE SET times = times + 1",
                (owner, now_ms // HOUR_MS * HOUR_MS),
            )

    def take_failed(self, before_ms: int) -> list[tuple[str, int, int]]:
        """Hours that ended before `before_ms`, taken out: account ("" for unknown names), hour (UTC ms), times."""
        hour_ms = before_ms // HOUR_MS * HOUR_MS
        if not self._rows("SELECT 1 FROM failed WHERE hour_ms < ? LIMIT 1", hour_ms):
            return []
        with self._writing():
            found = self._rows("SELECT owner, hour_ms, times FROM failed WHERE hour_ms < ? ORDER BY 2, 1", hour_ms)
            self._db.execute("DELETE FROM failed WHERE hour_ms < ?", (hour_ms,))
        return [(str(row[0]), int(row[1]), int(row[2])) for row in found]

    # --- devices --------------------------------------------------------------------------------------------------

    def remember_device(self, owner: str, device: str | None, now_ms: int) -> str:
        """A browser that got in: the id that it brings along from now on (the one that it has, if it is known)."""
        text = device if device is not None and self._is_known(device, owner, now_ms) else secrets.token_urlsafe(24)
        with self._writing():
            self._db.execute("DELETE FROM device WHERE seen_ms <= ?", (now_ms - DEVICE_MS,))
            self._db.execute(
                "INSERT INTO device VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET seen_ms = excluded.seen_ms",
                (_hash(text), owner, now_ms),
            )
        return text

    def _is_known(self, device: str, owner: str, now_ms: int) -> bool:
        sql = "SELECT 1 FROM device WHERE hash = ? AND owner = ? AND seen_ms > ?"
        return bool(self._rows(sql, _hash(device), owner, now_ms - DEVICE_MS))

    def _key(self, owner: str, where: str) -> bytes:
        """What was typed as a name may be a password: only its keyed hash is written down."""
        return hmac.new(self._pepper, f"try\n{owner}\n{where}".encode(), hashlib.sha256).digest()[:16]

    @contextmanager
    def _writing(self) -> Iterator[None]:
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield
                    self._db.execute("COMMIT")
                finally:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
            except sqlite3.Error as error:
                raise Unavailable(f"cannot write {self.path}: {error}; free or repair the disk") from error

    def _rows(self, sql: str, *values: object) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as error:
            raise Unavailable(f"cannot use {self.path}: {error}; free or repair the disk") from error


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
