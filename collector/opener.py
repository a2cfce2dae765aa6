"""The opener: a process beside `receive` that proves, reads and packs records on the second core.

It is told whole messages and the newest key of each probe, by a pipe, and answers which records are proved and how,
their leaves, and blocks of them ready for the ledger. It holds no state but keys, decides nothing, writes nothing, and
ends when its input does. `receive` alone judges, commits and acknowledges.
Source: decision note on the second core.
"""

from __future__ import annotations

import ctypes
import signal
import sys
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import suppress
from functools import lru_cache
from typing import BinaryIO

import msgspec
from msgspec import Struct

from collector.blocks import MAX_RECORDS, BlockPacker
from collector.core import run
from collector.core.run import Check, Shape
from collector.receipts import receipt_begins
from collector.verify import checker
from wire import bundle
from wire.errors import Refused
from wire.note import Verifier

LENGTH_BYTES = 4
M_MMAP_THRESHOLD = -3  # malloc.h of glibc
LEAF_BYTES = 32
LEAST_BLOCK = 24
"""Fewer records than this in a row are left to `receive`, which packs them with what comes beside them."""


class Hello(Struct, array_like=True, frozen=True):
    """The first word: the deployment, and the ledger's dictionary."""

    origin: str
    dictionary: bytes


class Task(Struct, array_like=True, frozen=True):
    """What one probe sent in a group: its newest key, and whole messages in order of arrival."""

    probe: str
    name: str
    public: bytes
    payloads: list[bytes]


class Asked(Struct, array_like=True, frozen=True):
    """A task on its way: the lengths of its messages, which follow behind all of these."""

    probe: str
    name: str
    public: bytes
    lengths: list[int]


class Packed(Struct, array_like=True, frozen=True):
    """A block of `count` records from place `at` of a task on; it may go on into the tasks behind it."""

    at: int
    count: int
    packed: bytes
    signatures: bytes


class Proof(Struct, array_like=True, frozen=True):
    """Of one task: how each record was proved (`run.SLOW`, `HASHED`, `SIGNED`), their leaves in a row, blocks of them.

    Of a slow one the leaf is zeros.
    """

    ways: bytes
    leaves: bytes
    blocks: list[Packed]


class Opener:
    """What the process does with a group."""

    def __init__(self, hello: Hello) -> None:
        self._origin = hello.origin
        self._receipt = receipt_begins(hello.origin)
        self._packer = BlockPacker(hello.dictionary)
        self._key = lru_cache(maxsize=20_000)(self._make_key)

    def _make_key(self, name: str, public: bytes) -> tuple[Shape, Check]:
        verifier = Verifier(name, public)
        return Shape.of(self._origin, verifier), checker(verifier)

    def prove(self, tasks: Sequence[Task]) -> list[Proof]:
        """Prove the records of some probes, and pack them one behind the other."""
        raws, ways, leaves = list[bytes](), bytearray(), list[bytes]()
        proofs, starts = list[Proof](), list[int]()
        for task in tasks:
            own, found = self._open(task)
            proofs.append(Proof(found.ways, b"".join(leaf or bytes(LEAF_BYTES) for leaf in found.leaves), []))
            starts.append(len(raws))
            raws += own
            ways += found.ways
            leaves += found.leaves
        for block in self._blocks(raws, bytes(ways), leaves):
            place = bisect_right(starts, block.at) - 1
            proofs[place].blocks.append(Packed(block.at - starts[place], block.count, block.packed, block.signatures))
        return proofs

    def _open(self, task: Task) -> tuple[list[bytes], run.Pieces]:
        shape, check = self._key(task.name, task.public)
        raws = [raw for payload in task.payloads for raw in records_of(payload, self._receipt)]
        return raws, run.open_backwards(raws, shape, task.probe, check)

    def _blocks(self, raws: list[bytes], ways: bytes, leaves: Sequence[bytes]) -> Iterator[Packed]:
        """Whole runs of proved records, as far as they fill blocks well."""
        at = 0
        while at < len(raws):
            slow = ways.find(run.SLOW, at, at + MAX_RECORDS)
            end = min(len(raws), at + MAX_RECORDS) if slow < 0 else slow
            if end - at >= LEAST_BLOCK:
                block = self._packer.pack(raws[at:end], leaves[at:end])
                yield Packed(at, end - at, block.packed, block.signatures)
            at = end + (slow >= 0)


def records_of(payload: bytes, receipt: bytes) -> list[bytes]:
    """The records of a message in order, without receipts; none of one that is refused as a whole."""
    try:
        return [raw for raw in bundle.decode(payload) if not raw.startswith(receipt)]
    except Refused:
        return []


def main(given: BinaryIO, told: BinaryIO) -> None:
    """Answer group after group until the input ends."""
    hello = _frame(given)
    if not hello:
        return
    opener = Opener(msgspec.msgpack.decode(hello, type=Hello))
    decoder, encoder = msgspec.msgpack.Decoder(list[Asked]), msgspec.msgpack.Encoder()
    answer: object = []
    while True:
        packed = encoder.encode(answer)
        told.write(len(packed).to_bytes(LENGTH_BYTES, "big") + packed)
        told.flush()
        frame = _frame(given)
        if not frame:
            return
        asked = decoder.decode(frame)
        tasks = [Task(one.probe, one.name, one.public, [given.read(size) for size in one.lengths]) for one in asked]
        answer = opener.prove(tasks)


def be_frugal(mmap_from_bytes: int) -> None:
    """Have what is that large given back to the system when it is let go, where the C library can."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, mmap_from_bytes)


def _frame(given: BinaryIO) -> bytes:
    """The next frame; empty at the end of the input."""
    head = given.read(LENGTH_BYTES)
    return given.read(int.from_bytes(head, "big")) if len(head) == LENGTH_BYTES else b""


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # `receive` ends it, by closing its input
    main(sys.stdin.buffer, sys.stdout.buffer)
