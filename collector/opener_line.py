"""The line to the opener: starts it when there is much to open, asks, and gives it up when it is silent.

Nothing depends on it: whatever it does not answer is opened by `receive` itself. It is started again after a while.
"""

from __future__ import annotations

import logging
import os
import select
import time
from collections.abc import Mapping, Sequence

import msgspec

from collector.ledger_port import PackedRun
from collector.opener import LEAF_BYTES, LENGTH_BYTES, Asked, Hello, Packed, Proof, Task
from collector.opener_child import Child, start

LOG = logging.getLogger("collector.receive")
HUNG_S = 20.0
"""A group is opened in a tenth of a second; one that takes so long on any machine is not coming."""
AGAIN_S = 10.0
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[Proof])


WRITTEN_AT_ONCE = 1000
"""Linux takes 1,024 buffers in a call."""
READ_BYTES = 64 * 1024
"""As much as a pipe holds: a larger buffer for each read would only leave holes in memory."""


Proofs = Mapping[str, tuple[Task, Proof]]
"""By probe: what the opener was asked, and what it says."""


def offered(proofs: Proofs) -> list[PackedRun]:
    """The opener's blocks with the leaves of their records, which may be of several probes behind each other."""
    leaves: list[bytes] = []
    blocks: list[tuple[int, Packed]] = []
    for _, proof in proofs.values():
        blocks += ((len(leaves) + one.at, one) for one in proof.blocks)
        leaves += (proof.leaves[at : at + LEAF_BYTES] for at in range(0, len(proof.leaves), LEAF_BYTES))
    return [PackedRun(tuple(leaves[at : at + one.count]), one.packed, one.signatures) for at, one in blocks]


class Silent(Exception):
    """The opener died, hung, or said what makes no sense."""


class OpenerLine:
    """At most one process, and one question under way at a time."""

    def __init__(self, hello: Hello, child: Child | None = None) -> None:
        """`child`: a process that waits for its first word; None: one is started when there is much to open."""
        self._hello = hello
        self._child = child
        self._is_ready = self._is_asked = self._is_greeted = False
        self._not_before_s = 0.0
        self._begun_by_s = 0.0

    @property
    def pid(self) -> int | None:
        """The process; None while there is none."""
        return None if self._child is None else self._child.pid

    @property
    def answering(self) -> int | None:
        """The descriptor that its answer will come by; None if it was not asked."""
        return self._child.told if self._child is not None and self._is_asked else None

    def ask(self, tasks: Sequence[Task]) -> bool:
        """Hand over a group; False if it must be opened here: the opener is not there, or only just starting."""
        try:
            if self._child is None or not self._is_greeted:
                self._start()
            elif self._is_ready or self._has_begun():
                if self._is_asked:  # of a connection that was lost meanwhile: nobody waits for it any more
                    self._receive()
                self._send([Asked(one.probe, one.name, one.public, list(map(len, one.payloads))) for one in tasks])
                self._write([payload for one in tasks for payload in one.payloads])
                self._is_asked = True
                return True
        except (Silent, OSError) as error:
            self._give_up(error)
        return False

    def answer(self, count: int) -> list[Proof] | None:
        """What it says of the group that was handed over, of `count` tasks; None if it must be opened here."""
        try:
            found = _DECODER.decode(self._receive())
            self._is_asked = False
            if len(found) != count:
                raise Silent(f"{len(found)} answers to {count} questions")
        except (Silent, OSError, msgspec.DecodeError) as error:
            self._give_up(error)
            return None
        return found

    def close(self) -> None:
        """End the process, if there is one."""
        child, self._child = self._child, None
        self._is_ready = self._is_asked = self._is_greeted = False
        if child is not None:
            child.end()

    def _start(self) -> None:
        if time.monotonic() < self._not_before_s:
            return
        self._child = self._child or start()
        self._send(self._hello)
        self._is_greeted, self._begun_by_s = True, time.monotonic() + HUNG_S

    def _has_begun(self) -> bool:
        """Whether its first word has come; it takes it a moment to start. Raises Silent if it does not."""
        if not select.select([self._told], [], [], 0)[0]:
            if time.monotonic() > self._begun_by_s:
                raise Silent("it does not begin")
            return False
        self._receive()
        self._is_ready = True
        return True

    def _give_up(self, error: Exception) -> None:
        LOG.warning("the opener is started again, its records are opened here meanwhile: %s", error)
        self.close()
        self._not_before_s = time.monotonic() + AGAIN_S

    @property
    def _given(self) -> int:
        if self._child is None:
            raise Silent("it was not started")
        return self._child.given

    @property
    def _told(self) -> int:
        if self._child is None:
            raise Silent("it was not started")
        return self._child.told

    def _send(self, told: object) -> None:
        packed = _ENCODER.encode(told)
        self._write([len(packed).to_bytes(LENGTH_BYTES, "big"), packed])

    def _write(self, parts: Sequence[bytes]) -> None:
        """Write as it lies there, many at once: copies of a whole group would leave holes in our memory."""
        until_s = time.monotonic() + HUNG_S
        for at in range(0, len(parts), WRITTEN_AT_ONCE):
            left: list[bytes | memoryview] = [part for part in parts[at : at + WRITTEN_AT_ONCE] if part]
            while left:
                if not select.select([], [self._given], [], max(0.0, until_s - time.monotonic()))[1]:
                    raise Silent("it does not read")
                left = _behind(left, os.writev(self._given, left))

    def _receive(self) -> bytes:
        until_s = time.monotonic() + HUNG_S
        size = int.from_bytes(self._exactly(LENGTH_BYTES, until_s), "big")
        return self._exactly(size, until_s)

    def _exactly(self, count: int, until_s: float) -> bytes:
        parts: list[bytes] = []
        while count:
            if not select.select([self._told], [], [], max(0.0, until_s - time.monotonic()))[0]:
                raise Silent("it does not answer")
            part = os.read(self._told, min(count, READ_BYTES))
            if not part:
                raise Silent("it ended")
            parts.append(part)
            count -= len(part)
        return b"".join(parts)


def _behind(parts: list[bytes | memoryview], written: int) -> list[bytes | memoryview]:
    """What is left of some buffers behind the first `written` bytes."""
    for at, part in enumerate(parts):
        if written < len(part):
            return [memoryview(part)[written:], *parts[at + 1 :]]
        written -= len(part)
    return []
