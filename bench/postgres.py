"""What the ledger in PostgreSQL costs beside the bare statement: `python -m bench.postgres`, with a server of its own.

The same records, judged beforehand, go in groups of 1,000 by one COMMIT each: once by `PostgresLedger` (rows, blocks
as the opener hands them to `receive` from the other core, sums by hamlet and hour, chains, deliveries, heads for the
acknowledgements), once as rows with their bytes by
`INSERT ... SELECT ... FROM unnest(...) ON CONFLICT DO NOTHING` into a table with nothing but its key. Turn by turn, so
that both see the same machine. Prints a table and a `goal:` line, writes bench/results/postgres.json. Source: issue 10.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from collector.blocks import MAX_RECORDS, BlockPacker
from collector.core.accept import Chain
from collector.core.row import Row, is_test
from collector.ingest import Ingest, Message
from collector.ledger_pg import OPTIONS, PostgresLedger
from collector.ledger_place import Remote
from collector.ledger_port import DeliveryRow, PackedRun
from collector.ledger_write import SqliteLedger
from collector.pg import PgDatabase
from collector.registry import Registry
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe, document
from tests.collector.postgres import Cluster
from wire import bundle, topics

RESULTS = Path(__file__).parent / "results" / "postgres.json"
HOUR_MS = 3_600_000
GROUP = 1000
COLUMNS = (
    *("probe", "epoch", "seq", "part", "standing", "leaf", "prev", "received_ms", "kind", "boot", "t_ms", "province"),
    *("commune", "hamlet", "counted", "not_counted", "raw"),
)
TABLE = """CREATE TABLE bare (
  probe text NOT NULL, epoch bigint, seq bigint, part bigint, standing bigint, leaf bytea, prev text,
  received_ms bigint, kind text, boot text, t_ms bigint, province text, commune text, hamlet text, counted bigint,
  not_counted text, raw bytea, PRIMARY KEY (probe, epoch, seq))"""
PUT = f"INSERT INTO bare ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))}) ON CONFLICT DO NOTHING"  # noqa: S608


@dataclass(frozen=True, slots=True)
class Group:
    """What one COMMIT takes: each probe's rows, one run a probe."""

    runs: tuple[tuple[Row, ...], ...]

    @property
    def records(self) -> int:
        """How many."""
        return sum(map(len, self.runs))


class _Seen(SqliteLedger):
    """A ledger that remembers the rows that it was given."""

    runs: list[tuple[Row, ...]]

    def insert(self, rows: Sequence[Row]) -> int:
        """Keep them in mind too."""
        self.runs.append(tuple(rows))
        return super().insert(rows)


def groups(count: int) -> list[Group]:
    """Judged records as they come after an outage: 25 probes a group, 40 records of each, their mix as in the field."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        probes = [FakeProbe(f"p-{number:04d}") for number in range(25)]
        registry = Registry(folder / "registry.db")
        registry.load(document(*probes))
        ledger = _Seen(folder / "ledger.db")
        ingest = Ingest(ledger, registry, ORIGIN)
        made = []
        for number in range(count):
            ledger.runs = []
            for probe in probes:
                raws = _records(probe, T0_MS + number * 25 * HOUR_MS)
                ingest.take([Message(topics.up(probe.probe), bundle.encode(raws))], T0_MS)
            made.append(Group(tuple(ledger.runs)))
        ledger.close()
        registry.close()
    return made


def _records(probe: FakeProbe, start_ms: int) -> list[bytes]:
    tests = [probe.test(t_ms=start_ms + at * 5_600_000, slot_ms=start_ms + at * 5_600_000) for at in range(16)]
    return tests + [probe.coverage("C" * 60, "." * 60, t_ms=start_ms + at * HOUR_MS) for at in range(24)]


def packed(ledger: PostgresLedger, group: Group) -> list[PackedRun]:
    """The group's bytes in blocks, as the opener hands them to `receive` from the second core."""
    rows = [row for run in group.runs for row in run]
    packer = BlockPacker(ledger.dictionary)
    made = []
    for at in range(0, len(rows), MAX_RECORDS):
        some = rows[at : at + MAX_RECORDS]
        leaves = tuple(row.leaf for row in some)
        block = packer.pack([row.raw for row in some], leaves)
        made.append(PackedRun(leaves, block.packed, block.signatures))
    return made


def ours(ledger: PostgresLedger, group: Group, blocks: list[PackedRun]) -> float:
    """Seconds of one group by the ledger, with all that `ingest` asks of it; `blocks`: what the opener packed."""
    begun_s = time.perf_counter()
    with ledger.transaction():
        ledger.offer(blocks)
        ledger.expect([rows[0].probe for rows in group.runs])
        for rows in group.runs:
            last = rows[-1]
            ledger.chain(last.probe, last.epoch or 0)
            slots = [row.record.slot_ms for row in rows if is_test(row.record) and row.record.slot_ms is not None]
            ledger.slots_taken(last.probe, min(slots), max(slots))
            ledger.insert(rows)
            end = (last.seq or 0) + 1
            ledger.keep_chain(last.probe, Chain(last.epoch or 0, end, last.leaf, end))
        ledger.deliver([DeliveryRow(T0_MS, topics.up(r[0].probe), r[0].probe, 1, len(r), 0, ()) for r in group.runs])
        for rows in group.runs:
            ledger.head_of(rows[0].probe)
    return time.perf_counter() - begun_s


def bare(db: PgDatabase, group: Group) -> float:
    """Seconds of the same rows by the bare statement."""
    rows = [
        (
            *(
                row.probe,
                row.epoch,
                row.seq,
                row.part,
                int(row.standing),
                row.leaf,
                row.prev,
                row.received_ms,
                row.kind,
            ),
            *(row.record.boot if row.record else None, row.t_ms, *_unit(row), int(row.counted)),
            *(" ".join(row.not_counted), row.raw),
        )
        for run in group.runs
        for row in run
    ]
    begun_s = time.perf_counter()
    db.execute("BEGIN")
    db.executemany(PUT, rows)
    db.execute("COMMIT")
    return time.perf_counter() - begun_s


def _unit(row: Row) -> tuple[str, str, str]:
    return (row.place.province, row.place.commune, row.place.hamlet) if row.place else ("", "", "")


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="20 groups instead of 60")
    asked = parser.parse_args()
    made = groups(20 if asked.quick else 60)
    cluster = Cluster().init("shared_buffers = 256MB", "wal_buffers = 16MB", "min_wal_size = 512MB").start()
    try:
        place = cluster.database("bench")
        owner = PgDatabase(Remote(cluster.url("bench", "dosong_owner")), OPTIONS)
        owner.execute(TABLE)
        ledger = PostgresLedger(place)
        took = []
        for at, group in enumerate(made):
            begun_s = time.perf_counter()
            blocks = packed(ledger, group)
            packing_s = time.perf_counter() - begun_s
            own = ours(ledger, group, blocks) if at % 2 else 0.0  # who goes first has the colder machine
            plain = bare(owner, group)
            took.append((own or ours(ledger, group, blocks), plain, packing_s))
        ledger.close()
        owner.close()
    finally:
        cluster.remove()
    return _tell(made, took[2:])


def _tell(made: list[Group], took: list[tuple[float, float, float]]) -> int:
    records = made[0].records
    own, plain, packing = (records / statistics.median(times) for times in zip(*took, strict=True))
    ratio = statistics.median(b / a for a, b, _ in took)
    alone = statistics.median(b / (a + c) for a, b, c in took)
    print(f"groups of {records} records, {len(took)} of each, synchronous_commit=on")
    print(f"  the ledger in PostgreSQL  {own:8.0f} records/s (rows, blocks, sums, chains, deliveries, heads)")
    print(f"  the bare statement        {plain:8.0f} records/s (rows with their bytes, one key)")
    print(f"  packing of the blocks     {packing:8.0f} records/s (by the opener on the other core, not counted above)")
    print(f"  with the packing in the same process, one after the other, the ratio would be {alone:.2f}")
    met = "met" if ratio >= 0.8 else "short"
    print(f"goal: ledger in PostgreSQL against the bare unnest of the same rows: {ratio:.2f} (>= 0.8): {met}")
    RESULTS.parent.mkdir(exist_ok=True)
    figures = {"ours": own, "bare": plain, "ratio": ratio, "ratio_with_packing": alone, "groups": len(took)}
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
