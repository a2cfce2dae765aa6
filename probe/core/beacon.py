"""The log's newest checkpoint as a probe follows it: when to ask, what to believe, which one a record may name.

A checkpoint is retained by the broker and changes every minute, so it is heard for as long as one message takes, and
then not for hours. It is believed if the log's key signed it, and if it does not go back: within one log (a year, or
what follows a restore) the size never falls and one size has one root. Two roots for one size are told at once. An
older one is told only if nothing newer follows it: a broker that was killed gives what it had half an hour ago, until
the collector is connected to it again.
Source: docs/decisions/0050; design §4 (checkpoint); C2SP tlog-checkpoint; facts note 08 §3.2.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Literal

from wire import tlog
from wire.codec import leaf_text
from wire.data_use import BEACON_EVERY_S
from wire.errors import Refused
from wire.note import Verifier

MOST_SIZE = 999_999_999_999
"""What a record's `beacon_size` can name."""
KEPT = 4
"""Checkpoints whose moment is remembered: enough for a record that is stamped with the beginning of its hour."""
_SHARD = re.compile(r"(?P<key>.+)/(?P<year>[0-9]{4})(?:-(?P<gen>[1-9][0-9]{0,8}))?")


@dataclass(frozen=True, slots=True)
class Heard:
    """An authentic checkpoint. `shard`: (restores, year), which only rises. `root`: base64. `note`: as signed."""

    name: str
    shard: tuple[int, int]
    size: int
    root: str
    note: bytes

    @property
    def place(self) -> tuple[tuple[int, int], int]:
        """What never goes down."""
        return self.shard, self.size


@dataclass(frozen=True, slots=True)
class Named:
    """What a record says of the log: the fields `beacon_size` and `beacon_root`."""

    size: int
    root: str


@dataclass(frozen=True, slots=True)
class Policy:
    """How often the checkpoint is asked for, and how long, or for how many sessions, an older one may stand untold."""

    every_ms: int = BEACON_EVERY_S * 1000
    patience_ms: int = 600_000
    sessions: int = 3


@dataclass(frozen=True, slots=True)
class State:
    """`since`: (ms since boot, checkpoint), oldest first.

    `older`: when one that goes back first came in this session, and the last such. `in_vain`: sessions that ended so.
    """

    known: Heard | None = None
    since: tuple[tuple[int, Named], ...] = ()
    due_ms: int = 0
    is_asking: bool = False
    older: tuple[int, Heard] | None = None
    in_vain: int = 0


@dataclass(frozen=True, slots=True)
class Turn:
    """Time passes. `may_ask` False: a test has the link to itself."""

    mono_ms: int
    may_ask: bool


@dataclass(frozen=True, slots=True)
class Came:
    """A message came: an authentic checkpoint, or why it is none."""

    mono_ms: int
    found: Heard | Refused


@dataclass(frozen=True, slots=True)
class Disconnected:
    """The session is over; the broker forgets what was asked in it."""


@dataclass(frozen=True, slots=True)
class Ask:
    """Subscribe."""


@dataclass(frozen=True, slots=True)
class Leave:
    """Unsubscribe."""


@dataclass(frozen=True, slots=True)
class Keep:
    """Keep a checkpoint as the newest."""

    heard: Heard


@dataclass(frozen=True, slots=True)
class Conflict:
    """The log does not agree with itself: keep both notes and say so. `older`: it went back; `fork`: two roots."""

    word: Literal["older", "fork"]
    known: Heard
    seen: Heard


@dataclass(frozen=True, slots=True)
class Reject:
    """Say why a message was not taken."""

    why: str


Effect = Ask | Leave | Keep | Conflict | Reject


def read(raw: bytes, key: Verifier) -> Heard:
    """Verify a checkpoint of one of the logs of `key` (`<origin>/log`). Raises Refused."""
    if len(raw) > tlog.MAX_CHECKPOINT_BYTES:
        raise Refused("too_big", f"{len(raw)} bytes; a checkpoint has at most {tlog.MAX_CHECKPOINT_BYTES}")
    name = raw.partition(b"\n")[0].decode("utf-8", "replace")
    match = _SHARD.fullmatch(name)
    if match is None or match["key"] != key.name:
        raise Refused("wrong_domain", f"its first line names no log of {key.name}")
    found = tlog.open_checkpoint(raw, Verifier(name, key.public))
    if not 1 <= found.size <= MOST_SIZE:
        raise Refused("schema", f"a size of {found.size}; 1 to {MOST_SIZE} can be named")
    return Heard(name, (int(match["gen"] or 0), int(match["year"])), found.size, leaf_text(found.root), raw)


def loaded(known: Heard, mono_ms: int) -> State:
    """Return the state of a start that found `known` on its disk."""
    return State(known=known, since=((mono_ms, Named(known.size, known.root)),))


def named_at(state: State, mono_ms: int) -> Named | None:
    """The newest checkpoint that was known at a moment of this boot; None if there was none, or it is forgotten."""
    return next((named for since_ms, named in reversed(state.since) if since_ms <= mono_ms), None)


def step(state: State, event: Turn | Came | Disconnected, policy: Policy) -> tuple[State, tuple[Effect, ...]]:
    """One event."""
    match event:
        case Disconnected():
            vain = state.in_vain + 1 if state.older is not None else state.in_vain
            return replace(state, is_asking=False, older=None, in_vain=vain), ()
        case Turn(mono_ms, may_ask):
            return _turn(state, mono_ms, policy, may_ask=may_ask)
        case Came(mono_ms, found) if isinstance(found, Refused):
            ended, left = _answered(state, mono_ms, policy)
            return ended, (*left, Reject(str(found)))
        case Came(mono_ms, found) if isinstance(found, Heard):
            return _heard(state, mono_ms, found, policy)
    return state, ()


def _turn(state: State, mono_ms: int, policy: Policy, *, may_ask: bool) -> tuple[State, tuple[Effect, ...]]:
    older, known = state.older, state.known
    if older is not None and known is not None:
        if mono_ms - older[0] < policy.patience_ms and state.in_vain < policy.sessions:
            return state, ()
        ended, left = _answered(state, mono_ms, policy)
        return ended, (*left, Conflict("older", known, older[1]))
    if state.is_asking or not may_ask or mono_ms < state.due_ms:
        return state, ()
    return replace(state, is_asking=True), (Ask(),)


def _answered(state: State, mono_ms: int, policy: Policy) -> tuple[State, tuple[Effect, ...]]:
    """The question is answered: it costs data to go on hearing."""
    left = (Leave(),) if state.is_asking else ()
    return replace(state, is_asking=False, due_ms=mono_ms + policy.every_ms, older=None, in_vain=0), left


def _heard(state: State, mono_ms: int, found: Heard, policy: Policy) -> tuple[State, tuple[Effect, ...]]:
    known = state.known
    if known is not None and found.place < known.place:
        since_ms = mono_ms if state.older is None else state.older[0]
        why = f"size {found.size} of {found.name} goes back behind size {known.size} of {known.name}"
        return replace(state, older=(since_ms, found) if state.is_asking else None), (Reject(why),)
    ended, left = _answered(state, mono_ms, policy)
    if known is not None and found.place == known.place:
        return ended, left if found.root == known.root else (*left, Conflict("fork", known, found))
    since = (*state.since, (mono_ms, Named(found.size, found.root)))[-KEPT:]
    return replace(ended, known=found, since=since), (*left, Keep(found))
