"""Accounts beyond name, password and role: invited, active or disabled; second factor, recovery codes, one-time links.

Lives in `registry.db`, beside table `user`. The key of a second factor is not stored: it is derived from a nonce there
and from the secret file of the web, so that a copy of the database alone opens nothing.
Source: issue 6, accounts; facts note 08 §5 (argon2id, TOTP for operator and official).
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

from collector.core import totp
from collector.sqlite import open_writer
from wire.errors import Unavailable

State = Literal["invited", "active", "disabled"]
NEEDS_TOTP = frozenset({"operator", "official"})
"""Roles that get in with a second factor only."""
INVITE_MS = 72 * 3_600_000
RECOVERY_CODES = 10
_LETTERS = "abcdefghjkmnpqrstuvwxyz23456789"
_COLUMNS = "name, state, made_ms, changed_ms, totp_nonce IS NOT NULL, invite_until_ms"


@dataclass(frozen=True, slots=True)
class Account:
    """What is kept of an account beside its row in `user`. Times are UTC ms; None: never, or no link is open."""

    name: str
    state: State
    made_ms: int
    changed_ms: int | None
    has_totp: bool
    invite_until_ms: int | None


class AccountStore:
    """Reads and changes. `pepper` is derived from the web's secret file. Safe for several threads and processes."""

    def __init__(self, path: Path, pepper: bytes) -> None:
        self.path = path
        self._pepper = pepper
        self._lock = threading.RLock()
        self._db = open_writer(path, "registry", wal=False)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def get(self, name: str) -> Account | None:
        """What is kept of an account; None for one that was entered by an import and never touched since."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM account WHERE name = ?", name)  # noqa: S608 (fixed names)
        return _account(rows[0]) if rows else None

    def all(self) -> dict[str, Account]:
        """All of them, by name."""
        return {row[0]: _account(row) for row in self._rows(f"SELECT {_COLUMNS} FROM account ORDER BY name")}  # noqa: S608

    def is_open(self, name: str) -> bool:
        """Whether the account may be used at all."""
        found = self.get(name)
        return found is None or found.state == "active"

    def touch(self, name: str, now_ms: int, state: State | None = None) -> None:
        """Make sure that the account is kept here, in a state if one is given."""
        with self._writing():
            self._touch(name, now_ms)
            if state is not None:
                self._db.execute("UPDATE account SET state = ? WHERE name = ?", (state, name))

    # --- one-time links -------------------------------------------------------------------------------------------

    def invite(self, name: str, now_ms: int) -> str:
        """A one-time link's secret: whoever opens it sets the password. Second factor and older links are void."""
        text = secrets.token_urlsafe(24)
        with self._writing():
            self._touch(name, now_ms)
            self._db.execute(
                "UPDATE account SET state = 'invited', invite = ?, invite_until_ms = ?, totp_nonce = NULL,"
                " totp_pending = NULL, totp_step = NULL WHERE name = ?",
                (_hash(text), now_ms + INVITE_MS, name),
            )
            self._db.execute("DELETE FROM recovery_code WHERE name = ?", (name,))
        return text

    def invited(self, text: str, now_ms: int) -> str | None:
        """Whose link this is; None if it is nobody's, was used, or is too old."""
        rows = self._rows(
            "SELECT name FROM account WHERE invite = ? AND invite_until_ms > ? AND state = 'invited'",
            _hash(text), now_ms,
        )  # fmt: skip
        return str(rows[0][0]) if rows else None

    def accept(self, text: str, now_ms: int) -> str | None:
        """Use a link up, once: the account is active from now on. Its name, or None."""
        with self._writing():
            name = self.invited(text, now_ms)
            if name is not None:
                self._db.execute(
                    "UPDATE account SET state = 'active', invite = NULL, invite_until_ms = NULL, changed_ms = ?"
                    " WHERE name = ?", (now_ms, name),
                )  # fmt: skip
        return name

    def changed(self, name: str, now_ms: int) -> None:
        """The password was changed."""
        with self._writing():
            self._touch(name, now_ms)
            self._db.execute("UPDATE account SET changed_ms = ? WHERE name = ?", (now_ms, name))

    # --- second factor --------------------------------------------------------------------------------------------

    def has_totp(self, name: str) -> bool:
        """Whether a second factor is in force."""
        found = self.get(name)
        return found is not None and found.has_totp

    def propose_totp(self, name: str, now_ms: int) -> bytes:
        """The key that an app is to be given: not in force before `confirm_totp`; the same until then."""
        with self._writing():
            self._touch(name, now_ms)
            held = self._db.execute("SELECT totp_pending FROM account WHERE name = ?", (name,)).fetchone()[0]
            nonce = held or secrets.token_bytes(16)
            self._db.execute("UPDATE account SET totp_pending = ? WHERE name = ?", (nonce, name))
        return self._key(name, nonce)

    def confirm_totp(self, name: str, given: str, now_ms: int) -> list[str] | None:
        """Put the proposed key in force if `given` is its code; the new recovery codes, None for a wrong code."""
        rows = self._rows("SELECT totp_pending FROM account WHERE name = ?", name)
        if not rows or rows[0][0] is None:
            return None
        step = totp.matching_step(self._key(name, rows[0][0]), given, now_ms, None)
        if step is None:
            return None
        with self._writing():
            self._db.execute(
                "UPDATE account SET totp_nonce = totp_pending, totp_pending = NULL, totp_step = ? WHERE name = ?",
                (step, name),
            )
            return self._new_codes(name)

    def use_code(self, name: str, given: str, now_ms: int) -> bool:
        """Whether `given` is a code of now, or a recovery code; either is used up by this, once and for all."""
        text = given.replace(" ", "").replace("-", "").lower()
        if len(text) == totp.DIGITS and text.isascii() and text.isdigit():
            return self._use_step(name, text, now_ms)
        with self._writing():
            done = self._db.execute(
                "UPDATE recovery_code SET used_ms = ? WHERE name = ? AND hash = ? AND used_ms IS NULL",
                (now_ms, name, self._keyed("recovery", name, text)),
            )
        return done.rowcount == 1

    def codes_left(self, name: str) -> int:
        """How many recovery codes were not used yet."""
        return int(self._rows("SELECT count(*) FROM recovery_code WHERE name = ? AND used_ms IS NULL", name)[0][0])

    def renew_codes(self, name: str) -> list[str]:
        """New recovery codes; the old ones are void."""
        with self._writing():
            return self._new_codes(name)

    def drop_totp(self, name: str) -> None:
        """Take the second factor and its recovery codes away."""
        with self._writing():
            self._db.execute("UPDATE account SET totp_nonce = NULL, totp_pending = NULL WHERE name = ?", (name,))
            self._db.execute("DELETE FROM recovery_code WHERE name = ?", (name,))

    def _use_step(self, name: str, text: str, now_ms: int) -> bool:
        with self._writing():
            row = self._db.execute("SELECT totp_nonce, totp_step FROM account WHERE name = ?", (name,)).fetchone()
            if row is None or row[0] is None:
                return False
            step = totp.matching_step(self._key(name, row[0]), text, now_ms, row[1])
            if step is not None:
                self._db.execute("UPDATE account SET totp_step = ? WHERE name = ?", (step, name))
        return step is not None

    def _new_codes(self, name: str) -> list[str]:
        made = ["".join(secrets.choice(_LETTERS) for _ in range(10)) for _ in range(RECOVERY_CODES)]
        self._db.execute("DELETE FROM recovery_code WHERE name = ?", (name,))
        self._db.executemany(
            "INSERT INTO recovery_code VALUES (?, ?, NULL)",
            [(name, self._keyed("recovery", name, text)) for text in made],
        )
        return [f"{text[:5]}-{text[5:]}" for text in made]

    def _key(self, name: str, nonce: bytes) -> bytes:
        return self._keyed("totp", name, nonce.hex())[:20]

    def _keyed(self, what: str, name: str, text: str) -> bytes:
        return hmac.new(self._pepper, f"{what}\n{name}\n{text}".encode(), hashlib.sha256).digest()

    def _touch(self, name: str, now_ms: int) -> None:
        self._db.execute("INSERT OR IGNORE INTO account (name, state, made_ms) VALUES (?, 'active', ?)", (name, now_ms))

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


def pepper_of(secret: str) -> bytes:
    """What keys the hashes of accounts, from the web's secret file; another file means that everybody enrols anew."""
    return hashlib.sha256(f"dosong accounts\n{secret}".encode()).digest()


def _account(row: Any) -> Account:
    return Account(row[0], row[1], row[2], row[3], bool(row[4]), row[5])


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
