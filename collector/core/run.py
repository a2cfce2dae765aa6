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
from dataclasses import dataclass, replace

from collector.core.accept import Chain, GapRange, expected, gap_of
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


# Made for every record: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Piece:
    """One record: `opened` is None if it must go the slow way; `signed`: its own signature was checked."""

    raw: bytes
    opened: Opened | None
    signed: bool


SLOW, HASHED, SIGNED = 0, 1, 2
"""How a record was proved: not here (it goes the slow way), by the record behind it, by its own signature."""


def open_backwards(raws: Sequence[bytes], shape: Shape, probe: str, check: Check) -> list[Piece]:
    """Open records of one probe, in order of arrival, with as few signatures as their hashes allow."""
    pieces: list[Piece] = []
    wanted: str | None = None
    for raw in reversed(raws):
        how, leaf, record = _look(raw, shape, probe, check, wanted)
        pieces.append(_piece(raw, how, leaf, record))
        wanted = None if record is None else record.prev
    return pieces[::-1]


def prove(raws: Sequence[bytes], shape: Shape, probe: str, check: Check) -> tuple[bytes, list[bytes]]:
    """The same for somebody who has the records: how each was proved, and the leaf of each (b"" of a slow one)."""
    ways, leaves = bytearray(), list[bytes]()
    wanted: str | None = None
    for raw in reversed(raws):
        how, leaf, record = _look(raw, shape, probe, check, wanted)
        ways.append(how)
        leaves.append(leaf)
        wanted = None if record is None else record.prev
    return bytes(reversed(ways)), leaves[::-1]


def proved(
    raws: Sequence[bytes], ways: bytes, leaves: Sequence[bytes], shape: Shape, read: Callable[[bytes], AnyRecord]
) -> list[Piece]:
    """Records as `open_backwards` gives them, of what `prove` said of them; `read` reads the object of a proved one."""
    pieces: list[Piece] = []
    begin, end = len(shape.first), 1 + _B64 + len(shape.last)
    for raw, how, leaf in zip(raws, ways, leaves, strict=True):
        pieces.append(_piece(raw, how, leaf, None if how == SLOW else read(raw[begin:-end])))
    return pieces


def _piece(raw: bytes, how: int, leaf: bytes, record: AnyRecord | None) -> Piece:
    if record is None:
        return Piece(raw, None, signed=False)
    head = Head(record.probe, record.epoch, record.seq, record.prev)
    return Piece(raw, Opened(raw, leaf, record, head, None), how == SIGNED)


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


def runs(pieces: Sequence[Piece]) -> Iterator[list[Piece]]:
    """Split into runs: neighbours that follow each other in one epoch by place and hash; each of the rest by itself."""
    run: list[Piece] = []
    for piece in pieces:
        if run and not _follows(run[-1].opened, piece.opened):
            yield run
            run = []
        run.append(piece)
    if run:
        yield run


def _follows(before: Opened | None, after: Opened | None) -> bool:
    if before is None or after is None or before.head is None or after.head is None:
        return False
    one, two = before.head, after.head
    return one.epoch == two.epoch and one.seq + 1 == two.seq and leaf_text(before.leaf) == two.prev


@dataclass(frozen=True, slots=True)
class Extension:
    """What a run does to its chain: how many of its records are held already, the chain behind it, gaps it names."""

    held: int
    chain: Chain
    gaps: tuple[tuple[int, GapRange], ...]
    """Place in the run of the gap record, and its range."""


def overlap(chain: Chain, run: Sequence[Opened]) -> range | None:
    """Places of the run below the chain's head, which must be byte-equal; None if the run cannot just go on there."""
    first = _head(run[0]).seq
    if chain.fork_seq is not None or chain.end_seq != chain.next_seq or first > chain.next_seq:
        return None
    return range(first, min(chain.next_seq, first + len(run)))


def extend(chain: Chain, run: Sequence[Opened], held: Mapping[int, bytes]) -> Extension | None:
    """Let a run go on at its chain's head, as `accept.step` would record by record; None if it must be asked.

    `held`: leaves that are held in the places of `overlap`.
    """
    places = overlap(chain, run)
    if places is None or any(held.get(seq) != run[at].leaf for at, seq in enumerate(places)):
        return None
    new = run[len(places) :]
    if not new:
        return Extension(len(run), chain, ())
    if _head(new[0]).prev != expected(chain):
        return None
    end = _head(new[-1]).seq + 1
    after = replace(chain, next_seq=end, head=new[-1].leaf, end_seq=end)
    named = ((at, gap_of(one)) for at, one in enumerate(run) if isinstance(one.record, GapRecord))
    return Extension(len(places), after, tuple((at, gap) for at, gap in named if gap is not None))


def _head(opened: Opened) -> Head:
    if opened.head is None:
        raise ValueError("a run is of records whose place can be read")
    return opened.head
