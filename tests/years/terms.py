"""What travels in the simulation: records without their figures, and what they mean to the cores."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from hashlib import sha256

from collector.core.accept import GapRange
from wire.codec import Head, Opened, leaf_text
from wire.records import GapRecord

PROBE = "p-sim"
SECOND_MS, HOUR_MS, DAY_MS = 1_000, 3_600_000, 86_400_000
YEAR_MS = 365 * DAY_MS
_NONCE = itertools.count()


@dataclass(frozen=True, slots=True)
class Rec:
    """A record as the spool and the ledger hold it. `slot_ms`: of a test that would count; `gap`: what it declares."""

    epoch: int
    seq: int
    prev: str
    kind: str
    leaf: bytes
    slot_ms: int | None = None
    gap: GapRange | None = None

    @property
    def key(self) -> tuple[int, int]:
        """(epoch, seq)."""
        return self.epoch, self.seq


@dataclass(slots=True)
class Mutants:
    """Defects that can be switched on, to see that the simulation finds them. Source: facts note 08 §7.3."""

    on: frozenset[str] = field(default_factory=frozenset)

    NAMES = (
        "no_fsync",
        "ledger_not_synchronous",
        "delete_on_puback",
        "ack_before_commit",
        "no_unique",
        "published_before_persisted",
        "batch_dropped_on_400",
        "wall_clock_for_intervals",
        "gap_not_declared",
        "purged_by_wall_clock",
        "hole_not_declared",
        "older_epoch_not_disputed",
    )

    def __contains__(self, name: str) -> bool:
        return name in self.on


def made(epoch: int, seq: int, prev: str, kind: str, slot_ms: int | None = None, gap: GapRange | None = None) -> Rec:
    """A new record; no two have the same bytes, hence leaves."""
    leaf = sha256(f"{epoch} {seq} {prev} {next(_NONCE)}".encode()).digest()
    return Rec(epoch, seq, prev, kind, leaf, slot_ms, gap)


def opened(rec: Rec) -> Opened:
    """What `collector.core.accept` is told of a record."""
    record = None
    if rec.gap is not None:
        gap = rec.gap
        record = GapRecord(
            v=1, probe=PROBE, epoch=rec.epoch, seq=rec.seq, prev=rec.prev, boot="b", mono_ms=0, clock="trusted",
            t_src="ntp", fw="sim", simulated=True, t_ms=0, gap_epoch=gap.epoch, from_seq=gap.from_seq,
            to_seq=gap.to_seq, last_leaf=leaf_text(gap.last_leaf), reason="spool_full",
        )  # fmt: skip
    return Opened(b"", rec.leaf, record, Head(PROBE, rec.epoch, rec.seq, rec.prev), None)
