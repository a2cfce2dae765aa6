"""What `ingest` needs of a ledger, and the values that pass between them. One contract for every engine."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Protocol

from collector.core.accept import Chain, Found, GapRange, Standing
from collector.core.row import Row
from wire.errors import Unavailable
from wire.notes import Receipt
from wire.records import AnyRecord


@dataclass(frozen=True, slots=True)
class RefusedBytes:
    """Bytes that are refused: a whole message or one record of it."""

    probe: str | None
    reason: str
    detail: str
    raw: bytes = field(repr=False)


# Made for every message: a frozen one takes three times as long to make.
@dataclass(slots=True)
class DeliveryRow:
    """One PUBLISH and what became of the records in it."""

    received_ms: int
    topic: str
    probe: str | None
    size: int
    accepted: int
    duplicate: int
    refusals: tuple[RefusedBytes, ...]


@dataclass(frozen=True, slots=True)
class Head:
    """What an acknowledgement says of a probe: its current epoch, how far it is held, how many records in all."""

    epoch: int
    upto: int | None
    head: bytes | None
    size: int
    gen: int


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A stored record that is judged again: its number, its record, and what stands beside it."""

    n: int
    part: int
    record: AnyRecord
    fault: str | None
    standing: Standing
    received_ms: int
    forked: bool
    suspect: bool = False


@dataclass(frozen=True, slots=True)
class Span:
    """Dated records of from <= t < until in which one of `columns` (probe, commune, hamlet) is one of `codes`."""

    columns: tuple[str, ...]
    codes: tuple[str, ...]
    from_ms: int
    until_ms: int


@dataclass(frozen=True, slots=True)
class ReceiptRow:
    """A measurement point's receipt that has been verified, and its own bytes."""

    leaf: bytes
    receipt: Receipt
    received_ms: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class NoteRow:
    """A verified note that is a leaf of the log: its type, who signed it, which probe or code it is about."""

    leaf: bytes
    type: str
    signer: str
    subject: str
    signed_ms: int
    received_ms: int
    raw: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class PackedRun:
    """A block of records that was packed beforehand (`collector/blocks.py`), and their leaves."""

    leaves: tuple[bytes, ...]
    packed: bytes = field(repr=False)
    signatures: bytes = field(repr=False)


class Fenced(Unavailable):
    """Another worker has a partition now that this one was writing: nothing of the group is held."""


class Ledger(Protocol):
    """What ingest needs of a ledger. All but `transaction` are called inside one. Raises Unavailable."""

    def transaction(self) -> AbstractContextManager[None]:
        """Context manager: COMMIT at its end, ROLLBACK if it is left by an exception."""

    def expect(self, probes: Sequence[str]) -> None:
        """Records of these probes come in this transaction: a ledger may read at once what it will be asked of them."""

    def chain(self, probe: str, epoch: int) -> Chain:
        """The chain of one epoch; an empty one if nothing of it is held."""

    def last_epoch(self, probe: str) -> int | None:
        """The highest epoch seen; None if no record with a readable place is held."""

    def keep_chain(self, probe: str, chain: Chain) -> None:
        """Store a chain."""

    def leaf_at(self, probe: str, epoch: int, seq: int) -> bytes | None:
        """Leaf of the record in this place; None if there is none."""

    def prev_at(self, probe: str, epoch: int, seq: int) -> str | None:
        """`prev` of the record in this place; None if there is none."""

    def leaves(self, probe: str, epoch: int, places: range) -> dict[int, bytes]:
        """Leaves of the records held in these places, by place."""

    def is_aside(self, probe: str, leaf: bytes) -> bool:
        """Whether these very bytes are held as the second of a fork or without a place."""

    def look(self, probe: str, epoch: int, seq: int) -> Found:
        """What is held at this place or first behind it, the gap over it, and the loose records that lead up to it."""

    def insert(self, rows: Sequence[Row]) -> int:
        """Store records of one probe under consecutive numbers, add them to the sums; return the first one's number."""

    def offer(self, runs: Sequence[PackedRun]) -> None:
        """Blocks of records that may be inserted in this transaction: a ledger may take them, or pack by itself."""

    def keep_receipt(self, row: ReceiptRow) -> bool:
        """Keep a receipt for good, once by its leaf; say whether it is new."""

    def keep_note(self, row: NoteRow) -> bool:
        """Keep a note for good, once by its leaf; say whether it is new."""

    def settle(self, probe: str, leaf: bytes, epoch: int, seq: int) -> None:
        """A loose record has found its place."""

    def note_gap(self, probe: str, gap: GapRange, n: int) -> None:
        """Remember the range of the gap record with number `n`."""

    def at(self, probe: str, epoch: int, seq: int) -> StoredRow | None:
        """The readable record in this place; None if there is none."""

    def by_number(self, n: int) -> StoredRow | None:
        """The readable record with this number; None if there is none."""

    def numbered(self, n: int, leaf: bytes) -> tuple[str, StoredRow] | None:
        """The readable record with this number and leaf, and its probe; None if there is none."""

    def undated(self, probe: str, boot: str) -> list[StoredRow]:
        """Readable records of one boot that have no time yet."""

    def judge_again(self, stored: StoredRow, row: Row, *, moves: bool = False) -> None:
        """Replace what is derived of a stored record and have it forwarded again; its place stays unless it `moves`."""

    def slots_taken(self, probe: str, first_ms: int, last_ms: int) -> set[tuple[str, int]]:
        """Modem and slot of the counted samples held of slots that begin from `first_ms` to `last_ms`."""

    def held_in(self, span: Span, after_n: int, upto_n: int | None, limit: int) -> list[StoredRow]:
        """Readable records of a span behind number `after_n`, up to `upto_n` (None: all), in order of their numbers."""

    def last_judged(self) -> int | None:
        """Number of the newest record (0: none); those behind it this object will judge. None: others write too."""

    def derived(self, n: int) -> tuple[str, str, str, str]:
        """Province, commune, hamlet and reasons for not counting of record `n`, as they stand."""

    def note(self, key: str, value: int) -> None:
        """Keep a number under a name."""

    def noted(self, key: str) -> int | None:
        """A number kept under a name; None if there is none."""

    def slot_taken(self, probe: str, modem: str, slot_ms: int, but_n: int) -> bool:
        """Whether a counted sample of this slot and modem is held, other than record `but_n`."""

    def clock_of(self, probe: str, boot: str) -> tuple[int, int] | None:
        """Monotonic and wall time (ms) that date the records of a boot; None if its clock was never set."""

    def set_clock(self, probe: str, boot: str, mono_ms: int, t_ms: int) -> bool:
        """Remember what dates a boot; the first word holds. Say whether it was the first."""

    def deliver(self, deliveries: Sequence[DeliveryRow]) -> None:
        """Keep what became of messages, and the bytes that were refused."""

    def head_of(self, probe: str, epoch: int | None = None) -> Head | None:
        """What an ACK of this probe says now of `epoch` (None: its highest); None if it has no place there."""

    def set_status(self, probe: str, status: str, at_ms: int) -> None:
        """Keep a probe's liveness word and since when it says so."""
