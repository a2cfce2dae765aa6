"""Records of one probe that came together: which of them one signature proves, and which just go on where the chain is.

A record whose leaf is the `prev` of an authentic record is authentic: the probe signed its hash. So records are opened
from the last one backwards; one signature is checked where such a run ends, the rest is proved by hashes. Bytes are
never parsed before they are proved authentic one way or the other. What breaks the form or the schema, or has no plain
shape, is left to the slow way, which checks its own signature.
Source: design §4 (a contiguous chain is verified by its hashes and one signature).
"""

from __future__ import annotations

from binascii import Error, a2b_base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from collector.core.accept import Chain, GapRange, expected, gap_named
from wire.bundle import MAX_RECORD_BYTES
from wire.codec import Head, Opened, decode_body, domain, leaf_hash, leaf_text
from wire.errors import Refused
from wire.note import DASH, Verifier
from wire.records import AnyRecord, GapRecord

_B64 = 92  # characters of key id and signature
_LAST = frozenset(b"AEIMQUYcgkosw048")  # a last character whose padding bits are zero
Check = Callable[[bytes, bytes], bool]
"""Whether a signature (64 bytes) is the probe's over a text."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What every plain record of one probe begins and ends with."""

    first: bytes
    last: bytes
    key_id: bytes

    @classmethod
    def of(cls, origin: str, verifier: Verifier) -> Shape:
        """The shape of the records signed by `verifier`."""
        return cls(f"{domain(origin, 'sample')}\n".encode(), f"\n\n{DASH}{verifier.name} ".encode(), verifier.key_id)

    def cut(self, raw: bytes) -> int | None:
        """Where the object's line ends (the place of its newline); None if the bytes have another shape.

        Control characters and bad UTF-8 are not looked for: a canonical object has none.
        """
        at = len(raw) - 1 - _B64 - len(self.last)
        if len(raw) > MAX_RECORD_BYTES or at <= len(self.first) or raw[-1:] != b"\n":
            return None
        if not raw.startswith(self.first) or not raw.startswith(self.last, at):
            return None
        return None if raw.find(b"\n", len(self.first), at) >= 0 else at

    def signature(self, raw: bytes) -> bytes | None:
        """The signature of a record of this shape; None if its line is by another key or not plain base64."""
        packed = raw[-1 - _B64 : -1]
        try:
            found = a2b_base64(packed, strict_mode=True)
        except Error:
            return None
        return found[4:] if len(found) == 68 and found[:4] == self.key_id and packed[-2] in _LAST else None


SLOW, HASHED, SIGNED = 0, 1, 2
"""How a record was proved: not here (it goes the slow way), by the record behind it, by its own signature."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Records of one probe in order of arrival, as columns: made for every record, objects would cost a third of all.

    Of a slow one (see `ways`) the leaf is empty or zeros, and the record None.
    """

    raws: Sequence[bytes] = field(repr=False)
    ways: bytes
    leaves: Sequence[bytes]
    records: Sequence[AnyRecord | None] = field(repr=False)

    def opened(self, at: int) -> Opened | None:
        """One record as `wire.codec` gives it; None of a slow one."""
        record = self.records[at]
        if record is None:
            return None
        head = Head(record.probe, record.epoch, record.seq, record.prev)
        return Opened(self.raws[at], self.leaves[at], record, head, None)


def open_backwards(raws: Sequence[bytes], shape: Shape, probe: str, check: Check) -> Pieces:
    """Open records of one probe, in order of arrival, with as few signatures as their hashes allow."""
    ways, leaves, records = bytearray(), list[bytes](), list[AnyRecord | None]()
    wanted: str | None = None
    for raw in reversed(raws):
        how, leaf, record = _look(raw, shape, probe, check, wanted)
        ways.append(how)
        leaves.append(leaf)
        records.append(record)
        wanted = None if record is None else record.prev
    return Pieces(raws, bytes(reversed(ways)), leaves[::-1], records[::-1])


def proved(
    raws: Sequence[bytes], ways: bytes, leaves: Sequence[bytes], shape: Shape, read: Callable[[bytes], AnyRecord]
) -> Pieces:
    """The same, of what `open_backwards` said elsewhere; `read` reads the object of a proved one."""
    begin, end = len(shape.first), -1 - _B64 - len(shape.last)
    records = [None if how == SLOW else read(raw[begin:end]) for raw, how in zip(raws, ways, strict=True)]
    return Pieces(raws, ways, leaves, records)


def _look(
    raw: bytes, shape: Shape, probe: str, check: Check, wanted: str | None
) -> tuple[int, bytes, AnyRecord | None]:
    """Prove and read one record; `wanted`: the leaf text that the proved record behind it names."""
    at = shape.cut(raw)
    signature = None if at is None else shape.signature(raw)
    if at is None or signature is None:
        return SLOW, b"", None
    leaf = leaf_hash(raw)
    how = HASHED if wanted == leaf_text(leaf) else SIGNED
    if how == SIGNED and not check(raw[: at + 1], signature):
        return SLOW, b"", None
    try:
        record = decode_body(raw[len(shape.first) : at])
    except Refused:
        return SLOW, b"", None
    return (how, leaf, record) if record.probe == probe else (SLOW, b"", None)


@dataclass(frozen=True, slots=True)
class Run:
    """Proved records that follow each other in one epoch by place and hash; the first of them at place `at`."""

    at: int
    raws: Sequence[bytes] = field(repr=False)
    leaves: Sequence[bytes]
    records: Sequence[AnyRecord] = field(repr=False)

    def __len__(self) -> int:
        return len(self.raws)

    def part(self, start: int, stop: int) -> Run:
        """Its records from place `start` to `stop`."""
        if (start, stop) == (0, len(self.raws)):
            return self
        cut = slice(start, stop)
        return Run(self.at + start, self.raws[cut], self.leaves[cut], self.records[cut])


def runs(pieces: Pieces) -> Iterator[Run | int]:
    """Split into runs; of a slow record its place."""
    records, ways = pieces.records, pieces.ways
    start = 0
    for at, record in enumerate(records):
        # HASHED: the one behind names its leaf.
        after = records[at + 1] if ways[at] == HASHED and at + 1 < len(records) else None
        if record is None:
            yield at
        elif after is None or after.epoch != record.epoch or after.seq != record.seq + 1:
            proved_ones = [one for one in records[start : at + 1] if one is not None]
            yield Run(start, pieces.raws[start : at + 1], pieces.leaves[start : at + 1], proved_ones)
        else:
            continue
        start = at + 1


@dataclass(frozen=True, slots=True)
class Extension:
    """What a run does to its chain: how many of its records are held already, the chain behind it, gaps it names."""

    held: int
    chain: Chain
    gaps: tuple[tuple[int, GapRange], ...]
    """Place in the run of the gap record, and its range."""


def overlap(chain: Chain, run: Run) -> range | None:
    """Places of the run below the chain's head, which must be byte-equal; None if the run cannot just go on there."""
    first = run.records[0].seq
    if chain.fork_seq is not None or chain.end_seq != chain.next_seq or first > chain.next_seq:
        return None
    return range(first, min(chain.next_seq, first + len(run)))


def extend(chain: Chain, run: Run, held: Mapping[int, bytes]) -> Extension | None:
    """Let a run go on at its chain's head, as `accept.step` would record by record; None if it must be asked.

    `held`: leaves that are held in the places of `overlap`.
    """
    places = overlap(chain, run)
    if places is None or any(held.get(seq) != run.leaves[at] for at, seq in enumerate(places)):
        return None
    count = len(places)
    if count == len(run):
        return Extension(count, chain, ())
    if run.records[count].prev != expected(chain):
        return None
    end = run.records[-1].seq + 1
    after = replace(chain, next_seq=end, head=run.leaves[-1], end_seq=end)
    named = ((at, gap_named(one)) for at, one in enumerate(run.records) if isinstance(one, GapRecord))
    return Extension(count, after, tuple((at, gap) for at, gap in named if gap is not None))
