"""Values that the ledger hands to its readers."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from wire.records import AnyRecord


# Made for every record: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Sample:
    """One authentic record as the ledger keeps it. (part, n) numbers it in order of receipt.

    `epoch`, `seq` are None while its place in the chain cannot be read; `record` is None and `fault` says why if
    it breaks the form; `t_ms` is when it began (UTC ms), by its own clock or a later `clock_set` event, else None.
    `raw` are the signed bytes, bit for bit. `province`, `commune`, `hamlet` are "" for a probe that stood nowhere.
    """

    n: int
    part: int
    probe: str
    epoch: int | None
    seq: int | None
    received_ms: int
    t_ms: int | None
    kind: str | None
    record: AnyRecord | None
    raw: bytes = field(repr=False)
    leaf: bytes = field(repr=False)
    fault: str | None
    fault_detail: str | None
    in_chain: bool
    province: str
    commune: str
    hamlet: str
    counted: bool
    not_counted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HamletCounts:
    """Sums over one hamlet and a span of time; times are None if there is nothing in it.

    `tests` = ok + partial + failed + skipped. `covered` to `unknown` count steps of coverage records.
    """

    tests: int = 0
    ok: int = 0
    partial: int = 0
    failed: int = 0
    skipped: int = 0
    counted: int = 0
    invalid_path: int = 0
    covered: int = 0
    degraded: int = 0
    no_service: int = 0
    unknown: int = 0
    last_received_ms: int | None = None
    last_t_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Bytes that were refused: a whole message or one record of it. `probe` is None if the topic names none."""

    n: int
    received_ms: int
    topic: str
    probe: str | None
    reason: str
    detail: str
    size: int


@dataclass(frozen=True, slots=True)
class Deliveries:
    """What became of all records that ever reached the collector. `let_go`: refusals of which only this is kept."""

    accepted: int
    duplicate: int
    refused: int
    let_go: int = 0


@dataclass(frozen=True, slots=True)
class ProbeState:
    """Where one probe stands. `upto` is the acknowledged head of its current epoch, `max_seq` the highest held.

    `status` is the word of its status topic (liveness, never evidence), None if it never said one.
    """

    probe: str
    epoch: int | None
    upto: int | None
    max_seq: int | None
    records: int
    last_received_ms: int | None
    last_t_ms: int | None
    last_kind: str | None
    status: Literal["online", "offline"] | None
    status_ms: int | None
