"""What lies in the spool, as values: places in the chain, records as kept, runs that were dropped, counts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from probe.core.parcel import unpack_receipts

WAITING, ACKED, DISPUTED, DROPPED = 0, 1, 2, 3
"""Where a record stands: to be sent; released; of an epoch that the ledger knows otherwise; dropped for room."""


SIZE = "coalesce(length(raw), 0) + coalesce(length(receipts), 0)"
"""What a row counts against the limit, in SQL."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next record stands in the chain: `prev` is the base64 leaf hash of the one before, "" at seq 0."""

    epoch: int
    seq: int
    prev: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it lies on disk; `receipts`: the measurement point's notes that it names, to be sent before it."""

    epoch: int
    seq: int
    kind: str
    raw: bytes
    receipts: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Dropped:
    """A run of records of one epoch that were dropped before they were acknowledged."""

    epoch: int
    from_seq: int
    to_seq: int
    last_leaf: str


@dataclass(frozen=True, slots=True)
class Depth:
    """How much the spool holds. `waiting`: not acknowledged. `oldest`: (epoch, seq) of the oldest one waiting."""

    records: int
    waiting: int
    disputed: int
    bytes: int
    oldest: tuple[int, int] | None


@dataclass(frozen=True, slots=True)
class Standing:
    """What a spool says of its probe. `last_ack`: (epoch, upto, UTC ms of its arrival); None: none yet, as below."""

    place: Place
    depth: Depth
    last_ack: tuple[int, int, int] | None
    last_test: bytes | None


def kept_of(row: tuple[int, int, str, bytes, bytes | None]) -> Kept:
    """Return a row (epoch, seq, kind, raw, packed receipts) as a value."""
    return Kept(*row[:4], unpack_receipts(row[4]))


def oldest_run(rows: Sequence[tuple[int, int, int]], wanted_bytes: int) -> tuple[list[tuple[int, int, int]], int]:
    """Rows (epoch, seq, bytes) from the front without a hole that free `wanted_bytes`, and what they free."""
    run: list[tuple[int, int, int]] = []
    freed = 0
    for row in rows:
        if freed >= wanted_bytes or (run and row[:2] != (run[-1][0], run[-1][1] + 1)):
            break
        run.append(row)
        freed += row[2]
    return run, freed
