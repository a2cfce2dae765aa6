"""A million deliveries, three in ten of them repeated and all out of order: each record is held and counted once.

A broker of at-least-once delivery may give a message twice, late, or behind its successors. Here signed records of a
hundred probes reach the collector's own door (verification, ledger, sums) as such a broker would bring them. In the end
every record must be held once, with its own bytes, counted once, and every probe acknowledged to its last record.
Source: facts note 08 §7.2 row 7, §8 (double-counted samples).

Examples:
  python -m tests.faults.deliveries                       10^6 deliveries (six minutes)
  python -m tests.faults.deliveries --deliveries 20000    a short one
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from collector.ingest import Message
from tests.collector.door import Door
from tests.collector.kit import T0_MS, FakeProbe
from tests.faults.judge import keep
from wire import bundle, topics

GROUP = 500
"""Deliveries in one commit."""
FAR = 200
"""A delivery comes at most so many places late, in its probe's own order."""
HAMLET = "h-dong-chuoi"


@dataclass(slots=True)
class Done:
    """What was delivered, and what the ledger made of it. The last five must be 0."""

    deliveries: int = 0
    records: int = 0
    repeated: int = 0
    late: int = 0
    lost: int = 0
    twice: int = 0
    counted_off: int = 0
    not_acknowledged: int = 0
    told_off: int = 0

    @property
    def is_ok(self) -> bool:
        return not (self.lost or self.twice or self.counted_off or self.not_acknowledged or self.told_off)


def main(argv: list[str] | None = None) -> int:
    """Deliver, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--deliveries", type=int, default=1_000_000, help="how many (1,000,000)")
    parser.add_argument("--repeated", type=float, default=0.3, help="share of them that came before (0.3)")
    parser.add_argument("--probes", type=int, default=100, help="how many probes send (100)")
    parser.add_argument("--seed", type=int, default=1, help="of the order (1)")
    told = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-deliveries-") as name:
        done = run(Path(name), told.deliveries, told.repeated, told.probes, told.seed)
    keep("faults_deliveries", asdict(done))
    what = f"{done.deliveries} deliveries, {done.repeated} of them repeated, {done.late} late"
    for count, words in (
        (done.lost, "records lost"),
        (done.twice, "records held twice"),
        (done.counted_off, "samples counted twice or not at all"),
        (done.not_acknowledged, "probes not acknowledged to their last record"),
        (done.told_off, "deliveries that the ledger tells otherwise"),
    ):
        print(f"goal: deliveries: {words}: {count} in {what} (0): {'short' if count else 'met'}")
    return 0 if done.is_ok else 1


def run(folder: Path, deliveries: int, repeated: float, probes: int, seed: int) -> Done:
    """Deliver all of it to a new ledger in `folder`, and compare."""
    draw = random.Random(seed)
    fleet = [FakeProbe(f"p-{number:03d}") for number in range(probes)]
    each = max(2, round(deliveries * (1 - repeated)) // probes)
    done = Done(deliveries, each * probes)
    door = Door(folder, *fleet)
    try:
        streams = [_stream(probe, each, deliveries // probes - each, draw, done) for probe in fleet]
        done.deliveries = _deliver(door, streams, draw)
        _judge(door, fleet, each, done)
    finally:
        door.close()
    return done


def _stream(probe: FakeProbe, records: int, again: int, draw: random.Random, done: Done) -> Iterator[Message]:
    """One probe's deliveries as they arrive: each record somewhat late, some of them again, at any time."""
    due = [(seq + draw.random() * FAR * (draw.random() < 0.2), seq) for seq in range(records)]
    due += [(draw.random() * records + seq, seq) for seq in draw.choices(range(records), k=again)]
    made: list[bytes] = []
    seen: set[int] = set()
    newest = -1
    for _, seq in sorted(due):
        while len(made) <= seq:
            made.append(bundle.encode([probe.test()]))
        done.repeated += seq in seen
        done.late += seq < newest and seq not in seen
        seen.add(seq)
        newest = max(newest, seq)
        yield Message(topics.up(probe.probe), made[seq])


def _deliver(door: Door, streams: list[Iterator[Message]], draw: random.Random) -> int:
    """Give groups from all streams to the door until all have ended; return how many deliveries that were."""
    given, now_ms, told = 0, T0_MS, 0
    while streams:
        group: list[Message] = []
        while streams and len(group) < GROUP:
            stream = draw.choice(streams)
            message = next(stream, None)
            if message is None:
                streams.remove(stream)
            else:
                group.append(message)
        if group:
            door.ingest.take(group, now_ms := now_ms + 1000)
            given += len(group)
        if given - told >= 50_000:
            told = given
            print(f"{given} deliveries", flush=True)
    return given


def _judge(door: Door, fleet: list[FakeProbe], each: int, done: Done) -> None:
    (held, places) = door.sql("SELECT count(*), count(DISTINCT probe || '/' || seq) FROM record WHERE standing = 0")[0]
    (beside,) = door.sql("SELECT count(*) FROM record WHERE standing > 0")[0]
    done.lost, done.twice = done.records - places, held - places + beside
    done.counted_off = abs(door.reader.hamlet_counts()[HAMLET].counted - done.records)
    done.not_acknowledged = sum(door.upto(probe.probe) != each - 1 for probe in fleet)
    totals = dict(door.sql("SELECT key, value FROM total"))
    accepted, duplicate = totals.get("accepted", 0), totals.get("duplicate", 0)
    done.told_off = abs(accepted - done.records) + abs(duplicate - (done.deliveries - done.records))


if __name__ == "__main__":
    sys.exit(main())
