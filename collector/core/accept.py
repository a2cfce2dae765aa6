"""Where an authentic record stands in its probe's chain, and how far the chain is held without a hole.

`step(chain, event) -> (chain, effects)`. One `Chain` is one epoch of one probe. The caller feeds an `Arrival` for
each record with what the ledger holds at its place, carries out the effects in order, and answers every `Look`
with a `Found`, until none is left. Nothing here fails: a record is new, a duplicate, the second of a fork, or
without a place; whatever it is, it is kept, and it never stops the ones behind it from being acknowledged.

Rules. Identity is (probe, epoch, seq). Byte-equal again: duplicate. Same identity, other bytes: fork; both are
kept, the first stays as it was, and nothing that arrives in this epoch afterwards counts. `prev` that is not the
leaf of the record before: fault `broken_chain`, kept, not counted, judged when the hole before it is closed.
A `gap` moves the head over the records that it names; a record found later beats its gap. A record whose place
cannot be read takes its place when the `prev` of the next one names its leaf.
Source: design §4, §7 (ACK); facts note 08 §3.
"""

from __future__ import annotations

import re
from binascii import a2b_base64
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import IntEnum

from wire.codec import Opened, leaf_text
from wire.failure import RefusalReason
from wire.records import AnyRecord, GapRecord

_PREV = re.compile(rb'"prev":"([A-Za-z0-9+/]{43}=)"')
_LEAF = re.compile(r"[A-Za-z0-9+/]{43}=")


class Standing(IntEnum):
    """How a kept record stands: in its place, second of a fork, or without a readable place."""

    IN_CHAIN = 0
    FORK = 1
    LOOSE = 2


@dataclass(frozen=True, slots=True)
class Chain:
    """One epoch of a probe. All below `next_seq` is held; `head` is the leaf of `next_seq` - 1, None at the start.

    `end_seq` is one above the highest seq that is held or named by a gap. `fork_seq` is the first forked place,
    None while there is none.
    """

    epoch: int
    next_seq: int = 0
    head: bytes | None = None
    end_seq: int = 0
    fork_seq: int | None = None

    @property
    def upto(self) -> int | None:
        """The last seq held without a hole; None if not even the first is held."""
        return self.next_seq - 1 if self.next_seq else None


@dataclass(frozen=True, slots=True)
class Link:
    """A record in its place: its seq, its own leaf, the leaf text that it names as the one before, its fault."""

    seq: int
    leaf: bytes
    prev: str
    fault: str | None


@dataclass(frozen=True, slots=True)
class GapRange:
    """Places `from_seq` to `to_seq` of `epoch`, dropped by the probe; `last_leaf` is the leaf of the last of them."""

    epoch: int
    from_seq: int
    to_seq: int
    last_leaf: bytes


@dataclass(frozen=True, slots=True)
class Arrival:
    """An authentic record has come.

    `held`: leaf held at its identity. `aside`: these very bytes are already kept beside the chain. `before`: leaf
    held one place before it, `after`: `prev` of the record held one place behind it; both only needed below the head.
    """

    opened: Opened
    held: bytes | None = None
    aside: bool = False
    before: bytes | None = None
    after: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """Answer to `Look`: the first record at or behind the place, the gap over the place, and the loose before it.

    `loose` maps unplaced leaves, at least those that lead up to `link`, to the leaf text that each names as the one
    before, None if unreadable.
    """

    link: Link | None = None
    gap: GapRange | None = None
    loose: Mapping[bytes, str | None] | None = None


@dataclass(frozen=True, slots=True)
class Store:
    """Keep the record; `fault` says why it does not count, None if it may."""

    standing: Standing
    fault: str | None


@dataclass(frozen=True, slots=True)
class Duplicate:
    """These bytes are already held: acknowledge, do nothing."""


@dataclass(frozen=True, slots=True)
class NoteGap:
    """Remember the range of a gap record."""

    gap: GapRange


@dataclass(frozen=True, slots=True)
class Look:
    """Ask what is held at `seq` of `epoch` and behind it."""

    epoch: int
    seq: int


@dataclass(frozen=True, slots=True)
class Mark:
    """The record held at `seq` turns out to have this fault and no longer counts."""

    seq: int
    fault: str


@dataclass(frozen=True, slots=True)
class Settle:
    """The loose record with this leaf belongs at `seq`."""

    leaf: bytes
    seq: int


Effect = Store | Duplicate | NoteGap | Look | Mark | Settle
Event = Arrival | Found


def step(chain: Chain, event: Event) -> tuple[Chain, tuple[Effect, ...]]:
    """Take one event; return the chain after it and what is to be done, in order."""
    return _arrive(chain, event) if isinstance(event, Arrival) else _advance(chain, event)


def loose_prev(raw: bytes) -> str | None:
    """Leaf text that a record without a readable place names as the one before; None if not even that is there."""
    found = _PREV.search(raw)
    return found[1].decode() if found else None


def _arrive(chain: Chain, event: Arrival) -> tuple[Chain, tuple[Effect, ...]]:
    opened = event.opened
    if event.aside or event.held == opened.leaf:
        return chain, (Duplicate(),)
    fault = opened.fault.reason if opened.fault else None
    if opened.head is None:
        return chain, (Store(Standing.LOOSE, fault), Look(chain.epoch, chain.next_seq))
    if event.held is not None:
        first = opened.head.seq if chain.fork_seq is None else min(chain.fork_seq, opened.head.seq)
        return replace(chain, fork_seq=first), (Store(Standing.FORK, RefusalReason.FORK),)
    return _take(chain, event, opened.head.seq, opened.head.prev, fault)


def _take(chain: Chain, event: Arrival, seq: int, prev: str, fault: str | None) -> tuple[Chain, tuple[Effect, ...]]:
    """A record with a new identity takes its place."""
    leaf = event.opened.leaf
    gap = gap_named(event.opened.record)
    effects: list[Effect] = [NoteGap(gap)] if gap else []
    end = max(chain.end_seq, seq + 1)
    if seq < chain.next_seq:
        broken = (event.before is not None and prev != leaf_text(event.before)) or (
            event.after is not None and event.after != leaf_text(leaf)
        )
        after = replace(chain, end_seq=end)
    elif seq == chain.next_seq:
        broken = prev != expected(chain)
        after = replace(chain, next_seq=seq + 1, head=leaf, end_seq=end)
    else:
        broken = False
        after = replace(chain, end_seq=end)
    if broken and fault is None:
        fault = RefusalReason.BROKEN_CHAIN
    effects.insert(0, Store(Standing.IN_CHAIN, fault))
    if gap and gap.epoch != chain.epoch:
        effects.append(Look(gap.epoch, gap.from_seq))
    if after.next_seq < after.end_seq:
        effects.append(Look(after.epoch, after.next_seq))
    return after, tuple(effects)


def expected(chain: Chain) -> str:
    """What `prev` of the record at `next_seq` must be."""
    return "" if chain.head is None else leaf_text(chain.head)


def gap_named(record: AnyRecord | None) -> GapRange | None:
    """The range that a gap record names; None if it is no gap, or claims places that it cannot know of."""
    if not isinstance(record, GapRecord) or record.gap_epoch > record.epoch:
        return None
    if record.gap_epoch == record.epoch and record.to_seq >= record.seq:
        return None
    last_leaf = leaf_bytes(record.last_leaf)
    return GapRange(record.gap_epoch, record.from_seq, record.to_seq, last_leaf)


def leaf_bytes(text: str) -> bytes:
    """A leaf hash from the text of `prev`, `head` or `last_leaf`."""
    return a2b_base64(text)


def leaf_of(text: str) -> bytes | None:
    """The leaf hash that a `prev` names; None for a first record's, and for text that is no leaf hash."""
    return leaf_bytes(text) if _LEAF.fullmatch(text) else None


def _advance(chain: Chain, found: Found) -> tuple[Chain, tuple[Effect, ...]]:
    """Move the head over what is held at its place, if anything is."""
    link, gap = found.link, found.gap
    if link is not None and link.seq == chain.next_seq:
        broken = link.prev != expected(chain) and link.fault is None
        marks: tuple[Effect, ...] = (Mark(link.seq, RefusalReason.BROKEN_CHAIN),) if broken else ()
        return _moved(chain, link.seq + 1, link.leaf, marks)
    if gap is not None and gap.from_seq <= chain.next_seq <= gap.to_seq:
        return _moved(chain, gap.to_seq + 1, gap.last_leaf, ())
    if link is not None and found.loose:
        settled = _settle(chain.next_seq, link, found.loose)
        if settled:
            return _moved(chain, link.seq, settled[-1].leaf, settled)
    return chain, ()


def _moved(chain: Chain, next_seq: int, head: bytes, effects: tuple[Effect, ...]) -> tuple[Chain, tuple[Effect, ...]]:
    after = replace(chain, next_seq=next_seq, head=head, end_seq=max(chain.end_seq, next_seq))
    if after.next_seq < after.end_seq:
        effects = (*effects, Look(after.epoch, after.next_seq))
    return after, effects


def _settle(next_seq: int, link: Link, loose: Mapping[bytes, str | None]) -> tuple[Settle, ...]:
    """Fill the hole before `link` with loose records, walking back by hashes; empty unless all of it is filled.

    Only hashes decide: a place is never acknowledged on a guess, for what is acknowledged must be held.
    """
    texts = {leaf_text(leaf): leaf for leaf in loose}
    wanted: str | None = link.prev
    found: list[Settle] = []
    for seq in range(link.seq - 1, next_seq - 1, -1):
        leaf = texts.pop(wanted, None) if wanted is not None else None
        if leaf is None:
            return ()
        found.append(Settle(leaf, seq))
        wanted = loose[leaf]
    return tuple(reversed(found))
