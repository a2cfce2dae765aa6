"""From a draft to a signed, chained record on disk: the only place in the probe that signs.

A record is signed when it is made and committed before anything may send it. Raises Unavailable from the spool.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import msgspec

from probe.core.beacon import Named
from probe.core.draft import Head, Identity, Stamp, head
from probe.spool import DiskFull, Dropped, Kept, Place, Spool
from wire import codec
from wire.errors import Refused, Unavailable
from wire.note import Signer
from wire.records import AnyRecord, BootRecord, EventName, EventRecord, GapRecord

log = logging.getLogger(__name__)
HELD_RECORDS = 100
"""Events that memory holds while the disk takes none; coverage and tests have queues of their own."""
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
        self.named_log: Callable[[Stamp], Named | None] = lambda _stamp: None
        """Which checkpoint of the log was known at a moment; records begun at it name it."""
        self._later: list[tuple[AnyRecord, Mapping[str, str]]] = []
        self._lock, self._flushing = threading.Lock(), threading.Lock()
        self._pressed = False
        self.lost = 0
        """Records that were never kept, because the disk took nothing for longer than memory could hold them."""

    def become(self, **fields: Any) -> None:
        """Say something else of this probe from now on: fields of `Identity`, such as site and config_rev."""
        self._identity = replace(self._identity, **fields)

    def sign_with(self, signer: Signer) -> None:
        """Sign with another key from now on; the next record must be the first of a new epoch."""
        self._signer = signer

    def head(self, stamp: Stamp | None = None) -> Head:
        """Return the head of a draft begun at `stamp` (None: now)."""
        begun = stamp or self.stamp()
        return head(self._identity, begun, self.named_log(begun))

    def keep(self, draft: AnyRecord, marks: Mapping[str, str] | None = None, receipts: Sequence[bytes] = ()) -> Kept:
        """Sign a draft and commit it, with the receipts that it names.

        Raises Refused if the draft breaks the contract, Unavailable from the disk.
        """
        if self._spool.is_over_limit():
            self._tell_dropped(self._spool.drop_oldest(self._seal_gap))
        tag = _DRAFT_TAG[type(draft).__name__]
        try:
            return self._spool.append(tag, lambda place: self._seal(draft, place), marks, receipts)
        except DiskFull:
            with self._spool.squeezed(self._seal_gap, is_pressing=self._pressed) as dropped:
                self._tell_dropped(dropped)
                return self._spool.append(tag, lambda place: self._seal(draft, place), marks, receipts)

    def press(self, lost: int = 0) -> None:
        """Memory holds all it may, or `lost` records more: until it is empty a full disk drops the oldest that wait."""
        with self._lock:
            self._pressed, self.lost = True, self.lost + lost

    def relax(self) -> None:
        """Memory holds nothing any more."""
        self._pressed = False

    def keep_later(self, draft: AnyRecord, marks: Mapping[str, str] | None = None) -> None:
        """Keep a draft now, or as soon as the disk takes it again, in order; at most `HELD_RECORDS` are held.

        For what must not end or stop its maker. A draft that breaks the contract is logged and lost.
        """
        with self._lock:
            self._later.append((draft, marks or {}))
        self.flush()

    def flush(self) -> None:
        """Try to keep what is held."""
        with self._flushing:
            while self._later:
                try:
                    self.keep(*self._later[0])
                except Refused:
                    log.exception("a record breaks the contract and is lost")
                except Unavailable:
                    self._bound()
                    return
                with self._lock:
                    del self._later[0]

    def _bound(self) -> None:
        with self._lock:
            over = len(self._later) - HELD_RECORDS
            del self._later[: max(over, 0)]
        if over >= 0:
            self.press(over)

    def event(self, name: EventName, **fields: Any) -> Kept:
        """Keep an event that happened now."""
        return self.keep(EventRecord(**self.head(), event=name, **fields))

    def remember(self, marks: Mapping[str, str]) -> None:
        """Set marks beside the records, on disk when this returns. Raises Unavailable from the disk."""
        self._spool.put_marks(marks)

    def begin_epoch(self, epoch: int, boot: BootRecord) -> Kept:
        """Go on in a new epoch, whose first record is `boot`: one commit, so no epoch begins without its reason."""
        return self._spool.begin_epoch(epoch, lambda place: self._seal(boot, place))

    def reinstate(self, epoch: int, upto: int | None, gen: int) -> int:
        """The ledger was restored: what it may lack waits again, and what nobody holds any more is declared."""
        return self._spool.reinstate(epoch, upto, gen, self._seal_gap)

    def _seal(self, draft: AnyRecord, place: Place) -> bytes:
        placed = msgspec.structs.replace(draft, epoch=place.epoch, seq=place.seq, prev=place.prev)
        return codec.seal(placed, self._origin, self._signer)

    def _tell_dropped(self, dropped: Dropped | None) -> None:
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
