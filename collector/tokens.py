"""Tokens of the API: made once, shown once, kept as a hash, limited to a role, a unit and a time.

A token is `dsg_<id>_<secret>`: the id is public and names it in logs; the secret has 256 random bits, so one round of
SHA-256 is enough (a slow hash protects passwords that people choose). Lives in `registry.db`, written by web and
command line. When it was last used is kept to the hour, so that asking often does not write often.
Source: issue 5 (API tokens per role); facts note 08 §5.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import sqlite3
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from collector.registry_rows import Role
from collector.sqlite import open_writer
from wire.errors import Refused, Unavailable

PREFIX = "dsg"
USED_EVERY_MS = 3_600_000
DAY_MS = 86_400_000
MAX_DAYS = 1095
_TOKEN = re.compile(r"dsg_(?P<id>[a-z2-7]{8})_(?P<secret>[A-Za-z0-9_-]{43})")
_LABEL = re.compile(r"[\w .,()/'’-]{1,80}")
_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
_COLUMNS = "id, label, role, scope, created_ms, expires_ms, revoked_ms, last_used_ms"

Standing = Literal["good", "expired", "revoked"]


@dataclass(frozen=True, slots=True)
class Token:
    """A token without its secret. Times are UTC ms; `last_used_ms` is None before its first use."""

    id: str
    label: str
    role: Role
    scope: str
    created_ms: int
    expires_ms: int
    revoked_ms: int | None
    last_used_ms: int | None

    def standing(self, now_ms: int) -> Standing:
        """Whether it opens anything now."""
        if self.revoked_ms is not None:
            return "revoked"
        return "expired" if now_ms >= self.expires_ms else "good"


class TokenStore:
    """The tokens in `registry.db`. Safe for several threads. Raises Unavailable while the file cannot be used."""

    def __init__(self, path: Path) -> None:
        """Open `path`, creating it if missing. Raises Misconfigured if it cannot be used."""
        self.path = path
        self._lock = threading.Lock()
        self._db = open_writer(path, "registry", wal=False)

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def create(self, label: str, role: Role, scope: str, days: int, now_ms: int) -> tuple[str, Token]:
        """Make a token that lives `days`; returns its text, which is nowhere else from now on.

        Raises Refused for a label, scope or length of life that cannot be.
        """
        if _LABEL.fullmatch(label) is None:
            raise Refused("label", "label: 1 to 80 letters, digits, spaces and . , ( ) / ' -; say whose token it is")
        if not 1 <= days <= MAX_DAYS:
            raise Refused("days", f"days: 1 to {MAX_DAYS}; make a new token before the old one ends")
        if scope and not self._is_unit(scope):
            raise Refused("scope", f"scope: {scope!r} is no province, commune or hamlet of the registry; leave it out"
                          " for all units")  # fmt: skip
        identity = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        text = f"{PREFIX}_{identity}_{secrets.token_urlsafe(32)}"
        made = Token(identity, label, role, scope, now_ms, now_ms + days * DAY_MS, None, None)
        self._run(
            "INSERT INTO api_token (id, hash, label, role, scope, created_ms, expires_ms) VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(identity, _hash(text), label, role, scope, now_ms, made.expires_ms),
        )
        return text, made

    def revoke(self, identity: str, now_ms: int) -> bool:
        """End a token now; False if no token with this id was alive."""
        return bool(
            self._run("UPDATE api_token SET revoked_ms = ? WHERE id = ? AND revoked_ms IS NULL", now_ms, identity)[1]
        )

    def tokens(self) -> list[Token]:
        """All tokens that were ever made, oldest first."""
        return [Token(*row) for row in self._run(f"SELECT {_COLUMNS} FROM api_token ORDER BY created_ms, id")[0]]  # noqa: S608

    def named_by(self, text: str, now_ms: int) -> Token | None:
        """The token that `text` is, whatever its standing; None for any other text. Notes its use, to the hour."""
        parts = _TOKEN.fullmatch(text)
        rows = self._run(f"SELECT hash, {_COLUMNS} FROM api_token WHERE id = ?", parts["id"])[0] if parts else []  # noqa: S608
        if not rows or not hmac.compare_digest(rows[0][0], _hash(text)):
            return None
        found = Token(*rows[0][1:])
        self._note_use(found, now_ms)
        return found

    def _note_use(self, token: Token, now_ms: int) -> None:
        if token.standing(now_ms) != "good" or now_ms - (token.last_used_ms or 0) < USED_EVERY_MS:
            return
        try:
            self._run("UPDATE api_token SET last_used_ms = ? WHERE id = ?", now_ms, token.id)
        except Unavailable:
            return  # a disk that is full must not lock readers out

    def _is_unit(self, code: str) -> bool:
        names = ("province", "commune", "hamlet")
        return any(self._run(f"SELECT 1 FROM {name} WHERE code = ?", code)[0] for name in names)  # noqa: S608

    def _run(self, sql: str, *values: object) -> tuple[list[Any], int]:
        try:
            with self._lock:
                cursor = self._db.execute(sql, values)
                return cursor.fetchall(), cursor.rowcount
        except sqlite3.Error as error:
            raise Unavailable(f"cannot use {self.path}: {error}; free or repair the disk") from error


def _hash(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
