"""The log's newest checkpoint, live: heard in the publisher's session, checked, kept, and named by records.

In the state folder, `beacon/checkpoint` is the newest one as signed; it is checked anew at each start. Where the log
does not agree with itself, the two notes lie beside it as `conflict-<hash>-known` and `-seen`: evidence for the office,
at most `KEPT_CONFLICTS` pairs, the first ones. A disk that takes nothing costs no record: the checkpoint is known then
until the program ends. Nothing here raises, waits, or stands in the way of a test.
Source: docs/decisions/0050; the rules are `probe.core.beacon`.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, Protocol

from probe.core import beacon
from probe.core.beacon import Conflict, Heard, Keep, Named, Policy, State
from probe.core.draft import Stamp
from probe.spool_files import write_whole
from wire import topics
from wire.errors import Refused
from wire.note import Verifier, parse_vkey

log = logging.getLogger(__name__)
FOLDER, NEWEST = "beacon", "checkpoint"
KEPT_CONFLICTS = 8


class Hearing(Protocol):
    """What a session with the broker offers."""

    def hear(self, topic: str) -> None:
        """Subscribe to one more topic; a refusal of it does not end the session."""
        ...

    def leave(self, topic: str) -> None:
        """Unsubscribe from it."""
        ...


class Beacon:
    """Follows the log of one key; without one (`verifier` None) it asks for nothing and records name nothing.

    `turn`, `take` and `lost` are called by the publisher's thread, `named` by any.
    """

    def __init__(
        self,
        state_dir: Path,
        verifier: Verifier | None,
        boot: str,
        mono_ms: Callable[[], int],
        policy: Policy | None = None,
    ) -> None:
        self._folder, self._verifier = state_dir / FOLDER, verifier
        self._boot, self._mono_ms, self._policy = boot, mono_ms, policy or Policy()
        self._is_unkept = False
        known = None if verifier is None else self._newest(verifier)
        self._state = State() if known is None else beacon.loaded(known, mono_ms())

    def _newest(self, verifier: Verifier) -> Heard | None:
        """What an earlier run kept; what the log's key did not sign is dropped."""
        try:
            return _read(self._folder, verifier)
        except (OSError, Refused) as error:
            log.warning("checkpoint=dropped %s: %s; it is asked for anew", self._folder / NEWEST, error)
            return None

    def named(self, stamp: Stamp) -> Named | None:
        """The newest checkpoint that was known at `stamp`; None if none was, or if that was before this boot."""
        return beacon.named_at(self._state, stamp.mono_ms) if stamp.boot == self._boot else None

    def turn(self, session: Hearing, *, may_ask: bool) -> None:
        """Ask if it is time."""
        if self._verifier is not None:
            self._step(beacon.Turn(self._mono_ms(), may_ask), session)

    def take(self, payload: bytes, session: Hearing) -> None:
        """Judge what came."""
        if self._verifier is None:
            return
        found: Heard | Refused
        try:
            found = beacon.read(payload, self._verifier)
        except Refused as refusal:
            found = refusal
        self._step(beacon.Came(self._mono_ms(), found), session)

    def lost(self) -> None:
        """The session is over."""
        self._state, _ = beacon.step(self._state, beacon.Disconnected(), self._policy)

    def _step(self, event: beacon.Turn | beacon.Came, session: Hearing) -> None:
        self._state, effects = beacon.step(self._state, event, self._policy)
        for effect in effects:
            self._carry_out(effect, session)

    def _carry_out(self, effect: beacon.Effect, session: Hearing) -> None:
        match effect:
            case beacon.Ask():
                session.hear(topics.CHECKPOINT)
            case beacon.Leave():
                session.leave(topics.CHECKPOINT)
            case Keep(heard):
                log.info("checkpoint=taken log=%s size=%d", heard.name, heard.size)
                self._put({NEWEST: heard.note})
            case beacon.Reject(why):
                log.warning("checkpoint=refused: %s; the one before holds", why)
            case Conflict():
                self._tell(effect)

    def _tell(self, found: Conflict) -> None:
        """Keep both notes, each time under the same name, and say where they are."""
        word = "the log has two roots" if found.word == "fork" else "the log went back"
        log.error(
            "checkpoint=conflict %s: size %d of %s is known, size %d of %s was heard; tell the office: both are in %s",
            *(word, found.known.size, found.known.name, found.seen.size, found.seen.name, self._folder),
        )  # fmt: skip
        name = f"conflict-{sha256(found.known.note + found.seen.note).hexdigest()[:12]}"
        if len(conflicts(self._folder)) < KEPT_CONFLICTS:
            self._put({f"{name}-known": found.known.note, f"{name}-seen": found.seen.note})

    def _put(self, files: dict[str, bytes]) -> None:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for name, content in files.items():
                write_whole(self._folder / name, content)
            self._is_unkept = False
        except OSError as error:
            if not self._is_unkept:
                log.warning("checkpoint=not_kept %s: %s; it is known until the program ends", self._folder, error)
            self._is_unkept = True


def conflicts(folder: Path) -> list[str]:
    """Names of the pairs of notes that contradict each other, without their endings."""
    return sorted(path.name.removesuffix("-seen") for path in folder.glob("conflict-*-seen"))


def _read(folder: Path, verifier: Verifier) -> Heard | None:
    """The checkpoint on the disk; None if there is none. Raises OSError, Refused."""
    try:
        return beacon.read((folder / NEWEST).read_bytes(), verifier)
    except FileNotFoundError:
        return None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a probe knows of the log. `word`: `no_key`, `none` (not heard yet), `known`, `conflict`."""

    word: Literal["no_key", "none", "known", "conflict"]
    log: str | None = None
    size: int | None = None
    heard_ms: int | None = None
    folder: str | None = None

    def document(self) -> dict[str, Any]:
        """As plain values, for scripts; None where it is not known."""
        return {name: getattr(self, name) for name in self.__slots__}


def standing(state_dir: Path, log_vkey: str | None) -> Standing:
    """Read, beside a running daemon or without one, what the probe of a state folder knows of the log."""
    if log_vkey is None:
        return Standing("no_key")
    folder = state_dir / FOLDER
    known = heard_ms = None
    with contextlib.suppress(OSError, Refused):
        known = _read(folder, parse_vkey(log_vkey))
        heard_ms = (folder / NEWEST).stat().st_mtime_ns // 1_000_000
    word: Literal["none", "known", "conflict"]
    word = "conflict" if conflicts(folder) else "none" if known is None else "known"
    where = str(folder) if word == "conflict" else None
    if known is None:
        return Standing(word, folder=where)
    return Standing(word, known.name, known.size, heard_ms, where)
