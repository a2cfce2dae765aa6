"""Passes without an account: a television that may look at boards, and a hamlet's sheet whose QR code takes totals.

Both are made by an operator or official, limited to a unit, and ended at once. Lives in `registry.db`; links are kept
as hashes, a sheet's PIN as argon2id of its keyed hash (by whoever hashes: this module stores).
Source: issue 6, accounts (wall board, hamlet head).
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
from typing import Any

from collector.sessions import BOARD_MS
from collector.sqlite import open_writer
from wire.errors import Unavailable

CODE_MS = 24 * 3_600_000
"""A board's code opens one television, within a day."""
MOST_WRONG = 50
"""Wrong PINs since the last right one, from anywhere: then the sheet is dead and a new one is printed."""
PIN_DIGITS = 6
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"
_BOARD = "id, label, scope, made_by, made_ms, opened_ms, expires_ms, revoked_ms"
_HEAD = "id, hamlet, pin, made_by, made_ms, used_ms, revoked_ms, wrong"


@dataclass(frozen=True, slots=True)
class Board:
    """A wall board. Times are UTC ms; None: nobody opened it, nobody ended it."""

    id: str
    label: str
    scope: str
    made_by: str
    made_ms: int
    opened_ms: int | None
    expires_ms: int
    revoked_ms: int | None

    def is_alive(self, now_ms: int) -> bool:
        """Whether it shows anything now."""
        return self.revoked_ms is None and now_ms < self.expires_ms


@dataclass(frozen=True, slots=True)
class HeadLink:
    """A hamlet's sheet. `pin` is a hash; `wrong` counts wrong PINs since the last right one."""

    id: str
    hamlet: str
    pin: str
    made_by: str
    made_ms: int
    used_ms: int | None
    revoked_ms: int | None
    wrong: int

    @property
    def is_alive(self) -> bool:
        """Whether it takes anything."""
        return self.revoked_ms is None and self.wrong < MOST_WRONG


class PassStore:
    """Reads and changes passes. Safe for several threads and processes. Raises Unavailable."""

    def __init__(self, path: Path, pepper: bytes) -> None:
        self.path = path
        self._pepper = pepper
        self._lock = threading.RLock()
        self._db = open_writer(path, "registry", wal=False)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    # --- boards ---------------------------------------------------------------------------------------------------

    def make_board(self, label: str, scope: str, by: str, now_ms: int) -> tuple[str, Board]:
        """A board for 30 days; returns the code that opens it once, and the board."""
        text = "".join(secrets.choice(_LETTERS) for _ in range(12))
        made = Board(_identity(), label, scope, by, now_ms, None, now_ms + BOARD_MS, None)
        self._run(
            "INSERT INTO wall_board (id, label, scope, made_by, made_ms, expires_ms, code, code_until_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            *(made.id, label, scope, by, now_ms, made.expires_ms, _hash(text), now_ms + CODE_MS),
        )
        return f"{text[:4]}-{text[4:8]}-{text[8:]}", made

    def open_board(self, code: str, now_ms: int) -> Board | None:
        """The board that a code opens, which opens nothing from now on; None for any other text."""
        key = _hash(code.replace("-", "").replace(" ", "").upper())
        rows = self._run(
            "UPDATE wall_board SET code = NULL, opened_ms = ?"  # noqa: S608 (fixed names)
            f" WHERE code = ? AND code_until_ms > ? AND revoked_ms IS NULL RETURNING {_BOARD}", now_ms, key, now_ms,
        )[0]  # fmt: skip
        return Board(*rows[0]) if rows else None

    def board(self, identity: str) -> Board | None:
        """A board by its id."""
        rows = self._run(f"SELECT {_BOARD} FROM wall_board WHERE id = ?", identity)[0]  # noqa: S608
        return Board(*rows[0]) if rows else None

    def boards(self) -> list[Board]:
        """All boards, newest first."""
        return [Board(*row) for row in self._run(f"SELECT {_BOARD} FROM wall_board ORDER BY made_ms DESC, id")[0]]  # noqa: S608

    def revoke_board(self, identity: str, now_ms: int) -> bool:
        """End a board now; False if there is no living one with this id."""
        sql = "UPDATE wall_board SET revoked_ms = ?, code = NULL WHERE id = ? AND revoked_ms IS NULL"
        return self._run(sql, now_ms, identity)[1] == 1

    # --- hamlets' sheets ------------------------------------------------------------------------------------------

    def make_head(self, hamlet: str, pin_hash: str, by: str, now_ms: int) -> tuple[str, HeadLink]:
        """A sheet for a hamlet; older ones of it end. Returns the link's secret, and the sheet."""
        text = secrets.token_urlsafe(18)
        made = HeadLink(_identity(), hamlet, pin_hash, by, now_ms, None, None, 0)
        with self._writing():
            self._db.execute(
                "UPDATE head_link SET revoked_ms = ? WHERE hamlet = ? AND revoked_ms IS NULL", (now_ms, hamlet)
            )
            self._db.execute(
                "INSERT INTO head_link (id, hamlet, token, pin, made_by, made_ms) VALUES (?, ?, ?, ?, ?, ?)",
                (made.id, hamlet, _hash(text), pin_hash, by, now_ms),
            )
        return text, made

    def head(self, text: str) -> HeadLink | None:
        """The living sheet that a link's secret belongs to."""
        rows = self._run(f"SELECT {_HEAD} FROM head_link WHERE token = ?", _hash(text))[0]  # noqa: S608
        found = HeadLink(*rows[0]) if rows else None
        return found if found is not None and found.is_alive else None

    def heads(self) -> dict[str, HeadLink]:
        """The living sheet of each hamlet, or its newest, by hamlet."""
        rows = self._run(f"SELECT {_HEAD} FROM head_link ORDER BY revoked_ms IS NULL, made_ms, id")[0]  # noqa: S608
        return {row[1]: HeadLink(*row) for row in rows}

    def revoke_head(self, identity: str, now_ms: int) -> bool:
        """End a sheet now; False if there is no living one with this id."""
        return (
            self._run("UPDATE head_link SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL", now_ms, identity)[1]
            == 1
        )

    def note_pin(self, identity: str, now_ms: int, *, is_right: bool) -> None:
        """Remember how a PIN was: a right one begins the count of wrong ones anew."""
        if is_right:
            self._run("UPDATE head_link SET wrong = 0, used_ms = ? WHERE id = ?", now_ms, identity)
        else:
            self._run("UPDATE head_link SET wrong = wrong + 1 WHERE id = ?", identity)

    def keyed_pin(self, pin: str) -> str:
        """What of a PIN is given to argon2id: keyed by the secret file, for a million PINs are soon tried."""
        return hmac.new(self._pepper, f"pin\n{pin}".encode(), hashlib.sha256).hexdigest()

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

    def _run(self, sql: str, *values: object) -> tuple[list[Any], int]:
        try:
            with self._lock:
                cursor = self._db.execute(sql, values)
                return cursor.fetchall(), cursor.rowcount
        except sqlite3.Error as error:
            raise Unavailable(f"cannot use {self.path}: {error}; free or repair the disk") from error


def new_pin() -> str:
    """A PIN: six digits, none of them by chance all the same."""
    while len(set(text := f"{secrets.randbelow(10**PIN_DIGITS):0{PIN_DIGITS}d}")) < 3:
        pass
    return text


def _identity() -> str:
    return secrets.token_hex(4)


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
