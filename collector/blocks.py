"""Raw bytes of records at rest: up to 64 of them in one zstd frame, bit-exact back.

A record by itself compresses to 0.45 of its length, 64 together to 0.16. Two parts of a record no compressor can make
smaller, and both are cut out before: the leaf hash of the record before it, which is computed again from that record
where it stands in the same block, and the signature, whose base64 is kept as its 64 bytes.
Source: design §7 (raw bytes compressed, bit-exact); facts note 04 §1c; decision note on blocks.
"""

from __future__ import annotations

import struct
from binascii import Error, a2b_base64, b2a_base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from collector.pack import Frames

MAX_RECORDS = 64
MAX_PLAIN_BYTES = 256 * 1024
"""No block comes near it: a record has at most 4 KiB."""
LEVEL = 1
_PREV, _SIGNED = 1, 2
_HEAD = struct.Struct(">BH")
_MARK = b'"prev":"\0"'
_LINE = 92  # base64 of key id and signature
_KEY_ID = 4
_SIGNATURE = 64


@dataclass(frozen=True, slots=True)
class Block:
    """A row of table `block`: the frame, and the signatures that were cut out of it, one behind the other."""

    packed: bytes = field(repr=False)
    signatures: bytes = field(repr=False)


def fold(raws: Sequence[bytes], leaves: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Lay records one behind the other without what can be made again; return that and their signatures.

    `leaves` are their leaf hashes. Raises ValueError for a record of over 65,535 bytes, or for more than 64 of them.
    """
    if len(raws) > MAX_RECORDS or any(len(raw) > 0xFFFF for raw in raws):
        raise ValueError(f"a block holds {MAX_RECORDS} records of at most 65,535 bytes")
    heads, texts, signatures = [bytes([len(raws)])], [], []
    before: bytes | None = None
    for raw, leaf in zip(raws, leaves, strict=True):
        text, flags = raw, 0
        if before is not None and b"\0" not in raw:
            first, found, rest = raw.partition(b'"prev":"' + b2a_base64(before, newline=False) + b'"')
            if found:
                text, flags = b"".join((first, _MARK, rest)), _PREV
        signed = _signature(raw)
        if signed is not None:
            text, flags = text[: -_LINE - 1] + signed[:_KEY_ID], flags | _SIGNED
            signatures.append(signed[_KEY_ID:])
        heads.append(_HEAD.pack(flags, len(text)))
        texts.append(text)
        before = leaf
    return b"".join(heads + texts), b"".join(signatures)


def _signature(raw: bytes) -> bytes | None:
    """Key id and signature of a record that ends in them, spelt the one way; None for any other bytes."""
    line = raw[-_LINE - 1 : -1]
    if len(line) != _LINE or raw[-1:] != b"\n":
        return None
    try:
        found = a2b_base64(line, strict_mode=True)
    except Error:
        return None
    return found if len(found) == _KEY_ID + _SIGNATURE and b2a_base64(found, newline=False) == line else None


def unfold(plain: bytes, signatures: bytes) -> list[bytes]:
    """What `fold` was given. Raises ValueError or struct.error for what it never gave, as far as it shows."""
    count = plain[0] if plain else 0
    at, cut = 1 + count * _HEAD.size, 0
    raws: list[bytes] = []
    for place in range(count):
        flags, size = _HEAD.unpack_from(plain, 1 + place * _HEAD.size)
        text = plain[at : at + size]
        at += size
        if flags & _SIGNED:
            line = text[-_KEY_ID:] + signatures[cut : cut + _SIGNATURE]
            cut += _SIGNATURE
            text = text[:-_KEY_ID] + b2a_base64(line, newline=False) + b"\n"
        if flags & _PREV:
            before = b2a_base64(sha256(b"\x00" + raws[-1]).digest(), newline=False)
            text = text.replace(_MARK, b'"prev":"' + before + b'"', 1)
        if flags & ~(_PREV | _SIGNED):
            raise ValueError("a flag that is never set")
        raws.append(text)
    if at != len(plain) or cut != len(signatures):
        raise ValueError("not all of it belongs to a record")
    return raws


class BlockPacker:
    """Compress and restore blocks with a ledger's dictionary. Not safe for several threads at once."""

    def __init__(self, dictionary: bytes) -> None:
        self._frames = Frames(dictionary, LEVEL, MAX_PLAIN_BYTES)

    def pack(self, raws: Sequence[bytes], leaves: Sequence[bytes]) -> Block:
        """Compress 1 to 64 records with these leaf hashes. Raises ValueError as `fold` does."""
        plain, signatures = fold(raws, leaves)
        return Block(self._frames.squeeze(plain), signatures)

    def unpack(self, block: Block) -> list[bytes] | None:
        """The records of a block; None if it was changed, as far as it shows."""
        plain = self._frames.read(block.packed)
        try:
            return None if plain is None else unfold(plain, block.signatures)
        except (ValueError, IndexError, struct.error):
            return None
