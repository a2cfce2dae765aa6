"""Records a second against the number of workers: `python -m bench.workers`, 1 to 4 on one PostgreSQL.

Real `dosong-collector receive` processes, 48 probes with 32 records a message, all on this machine: broker, database
and the probes' side take their part of the same cores, so the curve says what this machine does, and which part of it
is used up. Prints a line a number and the limiting part, writes bench/results/workers.json. Source: issue 10.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from pathlib import Path

from tests.collector.postgres import Cluster
from tests.faults.workers import Crew, crew

RESULTS = Path(__file__).parent / "results" / "workers.json"
WITHIN_S = 300.0


def rate(made: Crew) -> tuple[float, float]:
    """Records a second until all are acknowledged, and cores that this machine used meanwhile."""
    made.shared(WITHIN_S)
    total = sum(len(one.raws) for one in made.senders)
    begun_s, busy_s = time.monotonic(), _busy_s()
    while not made.turn():
        if time.monotonic() > begun_s + WITHIN_S:
            raise SystemExit(f"bench: {made.acknowledged()} of {total} within {WITHIN_S:.0f} s")
        time.sleep(0.002)
    took_s = time.monotonic() - begun_s
    return total / took_s, (_busy_s() - busy_s) / took_s


def _busy_s() -> float:
    """Seconds of all cores since the start that were not idle."""
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    return (sum(fields) - fields[3] - fields[4]) / os.sysconf("SC_CLK_TCK")


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="a quarter of the records")
    asked = parser.parse_args()
    cores, found = len(os.sched_getaffinity(0)), dict[str, float]()
    cluster = Cluster().init("shared_buffers = 128MB", "wal_buffers = 16MB").start()
    try:
        for workers in (1, 2, 3, 4):
            with crew(48, 128 if asked.quick else 512, workers, cluster, bundled=32) as made:
                found[str(workers)], used = rate(made)
            print(
                f"  {workers} workers: {found[str(workers)]:8.0f} records/s, {used:.1f} of {cores} cores busy",
                flush=True,
            )
    finally:
        cluster.remove()
    best = max(found, key=lambda number: found[number])
    limit = (
        f"the {cores} cores that broker, database, workers and probes share"
        if used > cores * 0.9
        else ("the commits, which stand in line behind one lock")
    )
    print(f"goal: records/s against 1 to 4 workers: {found[best]:.0f} at {best} (a curve): met; limited by {limit}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"cores": cores, "records_s": found}, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
