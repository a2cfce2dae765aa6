"""Publish to signed acknowledgement, live: one process publishes at a steady rate and reads the answers.

One record a message, from all probes in turn. A record's time runs from the write of its PUBLISH to the arrival of a
signed ACK that covers it; the publisher, the broker and the collector share the machine's cores.
"""

from __future__ import annotations

import re
import statistics
import time
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from bench.pipeline_bed import Collector, broker
from bench.pipeline_records import Chain, Mill
from bench.pipeline_wire import Line, publish
from wire import bundle, topics

_UPTO = re.compile(rb'"upto":([0-9]+)')
ANSWERED_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Point:
    """One rate of the curve: asked for, what was answered a second, and latencies in ms (`unanswered`
    after two minutes)."""

    rate: int
    answered: float
    p50_ms: float
    p99_ms: float
    worst_ms: float
    unanswered: int


@dataclass(slots=True)
class Field:
    """The probes' side: what was sent when, and what is answered."""

    line: Line
    sent_s: dict[str, deque[tuple[int, float]]] = field(default_factory=dict)
    waits_s: list[float] = field(default_factory=list)
    waiting: int = 0
    mid: int = 0

    def send(self, probe: str, seq: int, payload: bytes) -> None:
        """Publish one record."""
        self.mid = self.mid % 65_535 + 1
        self.line.sock.sendall(publish(topics.up(probe), payload, self.mid))
        self.sent_s.setdefault(probe, deque()).append((seq, time.monotonic()))
        self.waiting += 1

    def read(self, wait_s: float) -> None:
        """Take what was answered within `wait_s`; acknowledge it to the broker in one write."""
        packets = self.line.packets(wait_s)
        now_s = time.monotonic()
        answers = []
        for kind, body in packets:
            if kind != 0x30:
                continue
            name = int.from_bytes(body[:2], "big")
            answers.append(b"\x40\x02" + body[2 + name : 4 + name])
            self._answered(body[2 : 2 + name].rpartition(b"/")[2].decode(), body[4 + name :], now_s)
        if answers:
            self.line.sock.sendall(b"".join(answers))

    def _answered(self, probe: str, ack: bytes, now_s: float) -> None:
        upto = _UPTO.search(ack)
        queue = self.sent_s.get(probe)
        while upto and queue and queue[0][0] <= int(upto[1]):
            self.waits_s.append(now_s - queue.popleft()[1])
            self.waiting -= 1


def curve(folder: Path, chains: list[Chain], rates: list[int], seconds: float) -> list[Point]:
    """Latencies at each rate, one collector for all of them."""
    with broker(folder) as port:
        collector = Collector(folder, chains)
        with collector.receiving():
            line = Line(port, "field")
            line.subscribe("dosong/v1/ack/#")
            mill, turn = Mill(), 0
            points = []
            for rate in rates:
                count = max(10, int(rate * seconds))
                batch = []
                for _ in range(count):
                    chain = chains[turn % len(chains)]
                    batch.append((chain.probe, chain.seq, bundle.encode([mill.next(chain)])))
                    turn += 1
                points.append(_at_rate(Field(line), batch, rate))
            line.close()
            return points


def _at_rate(field: Field, batch: list[tuple[str, int, bytes]], rate: int) -> Point:
    begin_s = time.monotonic()
    for number, (probe, seq, payload) in enumerate(batch):
        due_s = begin_s + number / rate
        while (left_s := due_s - time.monotonic()) > 0:
            field.read(left_s)
        if number % 16 == 0:
            field.read(0)
        field.send(probe, seq, payload)
    deadline_s = time.monotonic() + ANSWERED_WITHIN_S
    while field.waiting and time.monotonic() < deadline_s:
        field.read(0.2)
    waits = sorted(field.waits_s) or [ANSWERED_WITHIN_S]
    return Point(
        rate,
        len(waits) / (time.monotonic() - begin_s),
        statistics.median(waits) * 1000,
        waits[min(len(waits) - 1, int(len(waits) * 0.99))] * 1000,
        waits[-1] * 1000,
        field.waiting,
    )
