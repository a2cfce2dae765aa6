"""What lies in the spool, as values: places in the chain, records as kept, runs that were dropped, counts."""

from __future__ import annotations

from dataclasses import dataclass

WAITING, ACKED, DISPUTED, DROPPED = 0, 1, 2, 3
"""Where a record stands: to be sent; released; of an epoch that the ledger knows otherwise; dropped for room."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the next record stands in the chain: `prev` is the base64 leaf hash of the one before, "" at seq 0."""

    epoch: int
    seq: int
    prev: str


@dataclass(frozen=True, slots=True)
class Kept:
    """A record as it lies on disk."""

    epoch: int
    seq: int
    kind: str
    raw: bytes


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
