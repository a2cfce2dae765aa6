"""What a record costs on disk: ledger with its indices and sums, after a fortnight of some probes; bytes a record.

python -m bench.ledger_size [--probes 20] [--days 14]     15 tests and 24 coverage records a probe and day
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from collector.ingest import Ingest, Message
from collector.ledger_write import SqliteLedger
from collector.registry import Registry
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe, document
from wire import bundle, topics

DAY_MS, HOUR_MS = 86_400_000, 3_600_000


def main() -> None:
    """Fill a ledger, fold its journal back, print its size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--probes", type=int, default=20)
    parser.add_argument("--days", type=int, default=14)
    parser.add_argument("--live", action="store_true", help="a commit for every record, as they come in quiet times")
    asked = parser.parse_args()
    probes = [FakeProbe(f"p-{number:04d}") for number in range(asked.probes)]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder)
        registry = Registry(path / "registry.db")
        registry.load(document(*probes))
        ledger = SqliteLedger(path / "ledger.db")
        ingest = Ingest(ledger, registry, ORIGIN)
        records = raw_bytes = 0
        for day in range(asked.days):
            for probe in probes:
                raws = _day(probe, T0_MS + day * DAY_MS)
                records, raw_bytes = records + len(raws), raw_bytes + sum(map(len, raws))
                messages = [Message(topics.up(probe.probe), bundle.encode([raw])) for raw in raws]
                for group in [[one] for one in messages] if asked.live else [messages]:
                    ingest.take(group, T0_MS)
        ledger.close()
        registry.close()
        size = sum(file.stat().st_size for file in path.glob("ledger.db*"))
    print(f"records {records}, signed bytes {raw_bytes / records:.0f} a record, ledger.db {size / 1e6:.1f} MB")
    print(f"goal: {size / records:.0f} bytes of ledger a record, {size / raw_bytes:.2f} of the signed bytes")


def _day(probe: FakeProbe, start_ms: int) -> list[bytes]:
    """Fifteen tests and 24 coverage records of one day."""
    tests = [probe.test(t_ms=start_ms + i * 5_700_000, slot_ms=start_ms + i * 5_700_000) for i in range(15)]
    hours = [probe.coverage("C" * 60, "." * 60, t_ms=start_ms + i * HOUR_MS) for i in range(24)]
    return [*tests, *hours]


if __name__ == "__main__":
    main()
