"""Who may see the page: one-time codes by number, sessions in memory, and the number of the last code on disk."""

from __future__ import annotations

import contextlib
import hmac
import os
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from probe.core import gate
from wire import visit
from wire.errors import Misconfigured

IDLE_S = 1_800.0
LONGEST_S = 12 * 3_600.0
MOST_SESSIONS = 4
LAST_FILE = "page.last"


@dataclass(frozen=True, slots=True)
class Session:
    """One phone. `token` guards its forms; the cookie is the key under which it is kept."""

    token: str
    begun_s: float
    used_s: float


class Closed(Exception):
    """The door takes no try now; wait `seconds`."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"wait {seconds:.0f} s")
        self.seconds = seconds


class Porter:
    """Opens with a code that was never used, remembers who is in. Safe for several threads."""

    def __init__(self, key: bytes, state_dir: Path, monotonic: Callable[[], float]) -> None:
        self._key, self._path, self._monotonic = key, state_dir / LAST_FILE, monotonic
        self._lock = threading.Lock()
        self._gate = gate.Gate()
        self._sessions: dict[str, Session] = {}
        self._last = _read_last(self._path)

    def open(self, code: str, source: str) -> str | None:
        """Return a cookie for a right code, None for a wrong one. Raises Closed while too many were wrong.

        A slip of the finger (the code's own check fails) opens nothing and counts as a try like any other.
        """
        with self._lock:
            now_s = self._monotonic()
            if (seconds := gate.wait_s(self._gate, source, now_s)) > 0:
                raise Closed(seconds)
            number = visit.pass_number(self._key, self._last, code)
            if number is None:
                self._gate = gate.failed(self._gate, source, now_s)
                return None
            self._gate, self._last = gate.opened(self._gate, source), number
            _write_last(self._path, number)
            cookie = secrets.token_urlsafe(32)
            oldest_first = sorted(self._living(now_s).items(), key=lambda one: one[1].used_s)
            self._sessions = dict(oldest_first[-MOST_SESSIONS + 1 :])
            self._sessions[cookie] = Session(secrets.token_urlsafe(32), now_s, now_s)
            return cookie

    def session(self, cookie: str | None) -> Session | None:
        """Return the session of a cookie, kept awake by this; None if there is none any more."""
        with self._lock:
            now_s = self._monotonic()
            self._sessions = self._living(now_s)
            name = next((one for one in self._sessions if _is_same(one, cookie)), None)
            if name is None:
                return None
            found = self._sessions[name]
            self._sessions[name] = Session(found.token, found.begun_s, now_s)
            return found

    def leave(self, cookie: str | None) -> None:
        """End a session."""
        with self._lock:
            self._sessions = {name: one for name, one in self._sessions.items() if not _is_same(name, cookie)}

    def _living(self, now_s: float) -> dict[str, Session]:
        return {
            name: one
            for name, one in self._sessions.items()
            if now_s - one.used_s < IDLE_S and now_s - one.begun_s < LONGEST_S
        }


def is_token(session: Session, given: str) -> bool:
    """Whether a form carries the session's own token, compared in constant time."""
    return _is_same(session.token, given)


def read_key(path: Path) -> bytes:
    """Read the page's key: 64 hexadecimal digits. Raises Misconfigured."""
    try:
        key = bytes.fromhex(path.read_text().strip())
    except (OSError, ValueError) as error:
        raise Misconfigured(f"page.key_file {path} cannot be read ({error}); take it from dosong-provision") from error
    if len(key) != 32:
        raise Misconfigured(f"page.key_file {path} must hold 64 hexadecimal digits; take it from dosong-provision")
    return key


def _is_same(known: str, given: str | None) -> bool:
    return given is not None and hmac.compare_digest(known.encode(), given.encode())


def _read_last(path: Path) -> int:
    try:
        return max(0, int(path.read_text()))
    except (OSError, ValueError):
        return 0


def _write_last(path: Path, number: int) -> None:
    """Put the number on disk. A card that takes nothing must not lock the technician out who comes to change it."""
    with contextlib.suppress(OSError):
        partial = path.with_suffix(".partial")
        with partial.open("w") as file:
            file.write(f"{number}\n")
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
