"""How the processes of the collector feel: each writes one small JSON file, anyone may read all of them.

Never evidence and never fsynced: a lost one is written again within seconds. The web's health page and
`dosong-collector status` show what stands here.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import msgspec

STALE_AFTER_MS = 15_000
_WRITE_EVERY_S = 1.0
_ROOM_BYTES = 2048
"""A state is padded to so many bytes, so that it can be written over another one without a new block."""


def now_ms() -> int:
    """Wall clock, UTC milliseconds."""
    return int(time.time() * 1000)


@dataclass(frozen=True, slots=True)
class ReceiveState:
    """What `receive` last said. `*_error` is a sentence that says what to do, None while all is well.

    `last_commit_ms` is None before its first commit; counts run since it was started.
    """

    pid: int
    at_ms: int
    started_ms: int
    broker_connected: bool
    broker_since_ms: int
    broker_error: str | None
    ledger_error: str | None
    last_commit_ms: int | None
    accepted: int
    duplicate: int
    refused: int
    delayed: int = 0
    """Messages passed over because their probe was over its rate."""


@dataclass(frozen=True, slots=True)
class ForwardState:
    """What `forward` last said. `lag` counts records that InfluxDB has not yet taken; `parked` lines it never will.

    `unequal`: hours whose count still differed after the last comparison and its repair.
    """

    pid: int
    at_ms: int
    started_ms: int
    influx_connected: bool
    influx_error: str | None
    cursor_n: int
    ledger_n: int
    lag: int
    lines: int
    parked: int
    last_write_ms: int | None
    unequal: int = 0


@dataclass(frozen=True, slots=True)
class SealState:
    """What `seal` last said: leaves under its last checkpoint and when it signed it, since it was started.

    `witnessed`: how many witnesses cosigned the newest checkpoint, None if none is asked; `witness_error`: what one of
    them says that is not well.
    """

    pid: int
    at_ms: int
    started_ms: int
    size: int
    signed_ms: int | None
    error: str | None
    unsigned: int = 0
    """Records that the audit found to bear no good signature of their own."""
    witnessed: int | None = None
    witness_error: str | None = None


@dataclass(frozen=True, slots=True)
class JudgeState:
    """What `judge` last said: probes' months that wait to be judged, and why it waits (None: it works)."""

    pid: int
    at_ms: int
    started_ms: int
    waiting: int
    error: str | None


class StateFile:
    """Writes one process's state, at most once a second unless something changed for good or bad."""

    def __init__(self, folder: Path, name: str) -> None:
        self._path = folder / f"{name}.state.json"
        self._written_s = 0.0

    def write(self, state: ReceiveState | ForwardState | SealState | JudgeState, *, now: bool = False) -> None:
        """Replace the file atomically; on a full disk write over it in its place, for that is when it is needed most.

        A disk that refuses even this is not this file's business: it is passed over.
        """
        if not now and time.monotonic() - self._written_s < _WRITE_EVERY_S:
            return
        self._written_s = time.monotonic()
        text = json.dumps(asdict(state)).encode().ljust(_ROOM_BYTES)
        beside = self._path.with_suffix(f".{os.getpid()}.tmp")
        try:
            beside.write_bytes(text)
            beside.replace(self._path)
        except OSError:
            # A disk that was remounted read-only refuses even this.
            with contextlib.suppress(OSError):
                beside.unlink(missing_ok=True)
            with contextlib.suppress(OSError), self._path.open("r+b") as file:
                file.write(text)


@dataclass(frozen=True, slots=True)
class Health:
    """All states, None for a process that never wrote or whose file cannot be read, and which of them are stale."""

    receive: ReceiveState | None
    forward: ForwardState | None
    receive_alive: bool
    forward_alive: bool
    seal: SealState | None = None
    seal_alive: bool = False
    judge: JudgeState | None = None
    judge_alive: bool = False


JUDGE_STALE_MS = 120_000
"""A month of a probe may take it that long on a small machine, and nobody waits for a verdict."""


def read_health(folder: Path, at_ms: int) -> Health:
    """Read what the processes last said. One that has said nothing for 15 s counts as not alive."""
    receive = _read(folder / "receive.state.json", ReceiveState)
    forward = _read(folder / "forward.state.json", ForwardState)
    seal = _read(folder / "seal.state.json", SealState)
    judge = _read(folder / "judge.state.json", JudgeState)
    return Health(
        receive,
        forward,
        receive is not None and abs(at_ms - receive.at_ms) < STALE_AFTER_MS,
        forward is not None and abs(at_ms - forward.at_ms) < STALE_AFTER_MS,
        seal,
        seal is not None and abs(at_ms - seal.at_ms) < STALE_AFTER_MS,
        judge,
        judge is not None and abs(at_ms - judge.at_ms) < JUDGE_STALE_MS,
    )


def _read(path: Path, shape: Any) -> Any:
    try:
        return msgspec.json.decode(path.read_bytes(), type=shape)
    except (OSError, msgspec.DecodeError):
        return None
