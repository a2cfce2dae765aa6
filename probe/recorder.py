"""From a draft to a signed, chained record on disk: the only place in the probe that signs.

A record is signed when it is made and committed before anything may send it. Raises Unavailable from the spool.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from probe.core.draft import Head, Identity, Stamp, head
from probe.spool import Dropped, Kept, Place, Spool
from wire import codec
from wire.note import Signer
from wire.records import AnyRecord, BootRecord, EventName, EventRecord, GapRecord

log = logging.getLogger(__name__)
R = TypeVar("R", bound=AnyRecord)
_DRAFT_TAG = {"TestRecord": "test", "CoverageRecord": "coverage", "BootRecord": "boot", "EventRecord": "event"}


class Recorder:
    """Makes records of one probe. Safe for several threads: the spool gives each its place."""

    def __init__(
        self, spool: Spool, signer: Signer, origin: str, identity: Identity, stamp: Callable[[], Stamp]
    ) -> None:
        self._spool, self._signer, self._origin = spool, signer, origin
        self._identity = identity
        self.stamp = stamp

    def become(self, **fields: Any) -> None:
        """Say something else of this probe from now on: fields of `Identity`, such as site and config_rev."""
        self._identity = replace(self._identity, **fields)

    def head(self, stamp: Stamp | None = None) -> Head:
        """Return the head of a draft begun at `stamp` (None: now)."""
        return head(self._identity, stamp or self.stamp())

    def keep(self, draft: AnyRecord, marks: Mapping[str, str] | None = None, receipts: Sequence[bytes] = ()) -> Kept:
        """Sign a draft and commit it, with the receipts that it names.

        Raises Refused if the draft breaks the contract, Unavailable from the disk.
        """
        if self._spool.is_over_limit():
            self._make_room()
        return self._spool.append(
            _DRAFT_TAG[type(draft).__name__], lambda place: self._seal(draft, place), marks, receipts
        )

    def event(self, name: EventName, **fields: Any) -> Kept:
        """Keep an event that happened now."""
        return self.keep(EventRecord(**self.head(), event=name, **fields))

    def remember(self, marks: Mapping[str, str]) -> None:
        """Set marks beside the records, on disk when this returns. Raises Unavailable from the disk."""
        self._spool.put_marks(marks)

    def begin_epoch(self, epoch: int, boot: BootRecord) -> Kept:
        """Go on in a new epoch, whose first record is `boot`: one commit, so no epoch begins without its reason."""
        return self._spool.begin_epoch(epoch, lambda place: self._seal(boot, place))

    def _seal(self, draft: AnyRecord, place: Place) -> bytes:
        placed = msgspec.structs.replace(draft, epoch=place.epoch, seq=place.seq, prev=place.prev)
        return codec.seal(placed, self._origin, self._signer)

    def _make_room(self) -> None:
        dropped = self._spool.drop_oldest(self._seal_gap)
        if dropped is not None:
            log.warning("spool=full dropped epoch=%d seq=%d..%d", dropped.epoch, dropped.from_seq, dropped.to_seq)

    def _seal_gap(self, dropped: Dropped, place: Place) -> bytes:
        gap = GapRecord(
            **self.head(),
            gap_epoch=dropped.epoch,
            from_seq=dropped.from_seq,
            to_seq=dropped.to_seq,
            last_leaf=dropped.last_leaf,
            reason="spool_full",
        )
        return self._seal(gap, place)
