"""One probe of a fleet without its hardware: signed records as they fall due, and what the ledger has promised of them.

The chain keeps every record that it ever signed: it is the truth that a ledger is compared with. It resends as the
real probe does: what is not acknowledged in time goes again, from the first place that is not; a higher generation of
the ledger may take promises back, nothing else may.
Source: design §4, §7 (ACK); `probe/core/chain.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from sim.history import Month
from wire import bundle, codec, records
from wire.note import Signer
from wire.notes import Ack

WINDOW = 100
EPOCH = 1
UNDATED_MONO_MS = 60_000


@dataclass(slots=True)
class Promises:
    """What the ledger said that it must not say. Each should stay 0."""

    lowered: int = 0
    other_head: int = 0


@dataclass(slots=True)
class Chain:
    """One probe's records, oldest first, how far they are sent and acknowledged, and how many are counted samples.

    `acked` and `sent` are the last such seq, -1 for none; `acked_ms`: when the newest acknowledgement was signed.
    `gen`: highest generation of the ledger seen.
    `restored`: how often a higher one came.
    """

    probe: str
    raws: list[bytes] = field(default_factory=list)
    leaves: list[bytes] = field(default_factory=list)
    acked: int = -1
    sent: int = -1
    gen: int = 0
    acked_ms: int = 0
    restored: int = 0
    resent: int = 0
    tests: int = 0
    counted: int = 0
    promises: Promises = field(default_factory=Promises)

    @property
    def is_held(self) -> bool:
        """Whether the ledger has acknowledged all that was made."""
        return self.acked == len(self.raws) - 1

    def add(self, raw: bytes) -> None:
        """Keep a record that was just signed."""
        self.raws.append(raw)
        self.leaves.append(codec.leaf_hash(raw))

    def take(self, ack: Ack) -> bool:
        """Believe a signed acknowledgement; say whether it moved anything."""
        upto = -1 if ack.upto is None else ack.upto
        if ack.epoch != EPOCH or ack.gen < self.gen:
            return False
        if upto >= len(self.raws) or (upto >= 0 and ack.head != codec.leaf_text(self.leaves[upto])):
            self.promises.other_head += 1
            return False
        if ack.gen > self.gen:
            self.gen, self.acked, self.restored = ack.gen, upto, self.restored + 1
            self.acked_ms = ack.signed_ms
            self.sent = min(self.sent, upto)
            return True
        # A broker that was killed gives the retained message that it had last written: an older word, not a new one.
        self.promises.lowered += upto < self.acked and ack.signed_ms > self.acked_ms
        self.acked_ms = max(self.acked_ms, ack.signed_ms)
        moved = upto > self.acked
        self.acked = max(self.acked, upto)
        self.sent = max(self.sent, self.acked)
        return moved

    def again(self) -> None:
        """Forget what is under way: a session ended, or no answer came in time."""
        self.resent += self.sent - self.acked
        self.sent = self.acked

    def next_message(self, most: int) -> bytes | None:
        """The next up to `most` records as one message; None if all is sent or the window is full."""
        first, end = self.sent + 1, min(len(self.raws), self.acked + 1 + WINDOW)
        if first >= end:
            return None
        count = bundle.fill(self.raws[first : min(end, first + most)])
        self.sent += count
        return bundle.encode(self.raws[first : first + count])


class Author:
    """Signs one probe's records one after the other: a simulated month, now and then a boot without a clock."""

    def __init__(self, month: Month, chain: Chain, origin: str, signer: Signer, undated_every: int = 0) -> None:
        """`undated_every`: so many records apart, one is made while the clock is not set, and dated later; 0: none."""
        self._fields, self._chain, self._origin, self._signer = month.fields(), chain, origin, signer
        self._undated_every = undated_every
        self._later: list[tuple[type[records.Record], dict[str, Any]]] = []

    def write(self) -> bool:
        """Sign the next record; False if the month is over."""
        found = self._later.pop() if self._later else next(self._fields, None)
        if found is None:
            return False
        shape, fields = found
        chain = self._chain
        seq = len(chain.raws)
        if self._undated_every and shape is records.TestRecord and seq % self._undated_every == 1:
            fields = self._undate(fields)
        place: dict[str, Any] = {"epoch": EPOCH, "seq": seq, "prev": codec.leaf_text(chain.leaves[-1]) if seq else ""}
        record = shape(**place, **fields)
        chain.add(codec.seal(record, self._origin, self._signer))  # type: ignore[arg-type]
        if isinstance(record, records.TestRecord):
            chain.tests += 1
            chain.counted += record.outcome == "ok" and record.path is not None and record.path.verdict == "ok"
        return True

    def finish(self) -> None:
        """Sign the events that date what was made without a clock."""
        while self._later:
            self.write()

    def _undate(self, fields: dict[str, Any]) -> dict[str, Any]:
        """The same test as a boot without a clock makes it; the event that dates it follows."""
        boot = sha256(f"{self._chain.probe}/{len(self._chain.raws)}".encode()).hexdigest()[:32]
        t_ms = fields["t_ms"]
        early = {**fields, "boot": boot, "mono_ms": UNDATED_MONO_MS, "clock": "unsynced", "t_src": "none"}
        head = {name: fields[name] for name in ("v", "probe", "fw", "simulated", "site", "clock", "t_src", "t_ms")}
        event = head | {
            "boot": boot, "mono_ms": UNDATED_MONO_MS + 1000, "event": "clock_set",
            "set_mono_ms": UNDATED_MONO_MS, "set_t_ms": t_ms, "set_err_ms": 10,
        }  # fmt: skip
        self._later.append((records.EventRecord, event))
        return {name: value for name, value in early.items() if name not in ("t_ms", "t_err_ms")}


def truths(chains: list[Chain]) -> Iterator[dict[str, Any]]:
    """What each chain holds, for whoever compares a ledger with it: leaf hashes in hex, in the order of seq."""
    for chain in chains:
        yield {
            "probe": chain.probe, "leaves": [leaf.hex() for leaf in chain.leaves], "acked": chain.acked,
            "gen": chain.gen, "tests": chain.tests, "counted": chain.counted,
        }  # fmt: skip


def total(chains: list[Chain]) -> Promises:
    """Broken promises of all."""
    found = Promises()
    for chain in chains:
        found = replace(
            found,
            lowered=found.lowered + chain.promises.lowered,
            other_head=found.other_head + chain.promises.other_head,
        )
    return found
