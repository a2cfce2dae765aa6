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
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from collector.ledger_place import Remote
from collector.pg import PgDatabase
from tests.collector.postgres import Cluster
from tests.faults.workers import Crew, crew

RESULTS = Path(__file__).parent / "results" / "workers.json"
WITHIN_S = 300.0
LOOK_S = 0.03
_IN_LINE = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND wait_event = 'advisory'"
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Seen:
    """One measurement: records a second, how many cores each part used meanwhile, and how many workers stood in line
    for the write lock in the mean."""

    records_s: float
    cores: dict[str, float]
    in_line: float


def rate(made: Crew, cluster: Cluster) -> Seen:
    """Every probe's first message warms all up; then send until all is acknowledged."""
    made.shared(WITHIN_S)
    all_of_it = [(one, one.raws) for one in made.senders]
    for one, raws in all_of_it:
        one.raws = raws[: one.bundled]
    _until_done(made)
    for one, raws in all_of_it:
        one.raws = raws
    left = sum(len(one.raws) - one.bundled for one in made.senders)
    looks: list[int] = []
    with closing(PgDatabase(Remote(cluster.url("postgres", "postgres")))) as root:
        begun_s, before = time.monotonic(), _used_s(made, cluster)
        _until_done(made, lambda: looks.append(root.execute(_IN_LINE).fetchone()[0]))
        took_s = time.monotonic() - begun_s
    after = _used_s(made, cluster)
    used = {part: (after[part] - before[part]) / took_s for part in after}
    return Seen(left / took_s, used, sum(looks) / max(1, len(looks)))


def _until_done(made: Crew, look: Callable[[], object] = lambda: None) -> None:
    """Send until all is acknowledged; `look` some thirty times a second."""
    deadline_s, look_s = time.monotonic() + WITHIN_S, 0.0
    while not made.turn():
        if time.monotonic() > look_s:
            look()
            look_s = time.monotonic() + LOOK_S
        if time.monotonic() > deadline_s:
            raise SystemExit(f"bench: only {made.acknowledged()} records acknowledged within {WITHIN_S:.0f} s")
        time.sleep(0.002)


def _used_s(made: Crew, cluster: Cluster) -> dict[str, float]:
    """Seconds of a core that each part has used since its start, with all of its processes; and all that ran here."""
    held: dict[int, tuple[int, float]] = {}
    for path in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            words = (path / "stat").read_text().rpartition(")")[2].split()
            held[int(path.name)] = (int(words[1]), sum(map(int, words[11:13])) / TICKS)
    fields = [int(word) for word in Path("/proc/stat").read_text().splitlines()[0].split()[1:9]]
    pids = [one.process.pid for one in made.workers if one.process is not None]
    broker = made.broker.process
    return {
        "workers": sum(_with_children(held, pid) for pid in pids),
        "database": _with_children(held, cluster.pid()),
        "broker": _with_children(held, broker.pid) if broker is not None else 0.0,
        "probes": held[os.getpid()][1],
        "all": (sum(fields) - fields[3] - fields[4]) / TICKS,
    }


def _with_children(held: dict[int, tuple[int, float]], pid: int) -> float:
    return held[pid][1] + sum(_with_children(held, child) for child, (parent, _) in held.items() if parent == pid)


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--quick", action="store_true", help="once each, a quarter of the records")
    parser.add_argument("--rounds", type=int, default=3, help="so often each number, in turns; the median counts")
    parser.add_argument("--records", type=int, default=1024, help="of each of the 48 probes")
    asked = parser.parse_args()
    rounds, records = (1, asked.records // 4) if asked.quick else (asked.rounds, asked.records)
    found: dict[int, list[Seen]] = {workers: [] for workers in (1, 2, 3, 4)}
    cluster = Cluster().init("shared_buffers = 128MB", "wal_buffers = 16MB").start()
    try:
        for workers in list(found) * rounds:
            with crew(48, records, workers, cluster, bundled=32) as made:
                found[workers].append(rate(made, cluster))
    finally:
        cluster.remove()
    _report(found)
    return 0


def _limit(used: dict[str, float], cores: int) -> str:
    ours = {part: spent for part, spent in used.items() if part != "all"}
    most = max(ours, key=lambda part: ours[part])
    if sum(ours.values()) > cores * 0.9:
        return f"the {cores} cores that all parts share; most of them for {most}, {ours[most]:.1f}"
    if used["all"] > cores * 0.9:
        return f"the {cores} cores, of which other programs took {used['all'] - sum(ours.values()):.1f}"
    return "the commits, which stand in line behind one lock"


def _report(found: dict[int, list[Seen]]) -> None:
    cores = len(os.sched_getaffinity(0))
    curve: dict[int, Seen] = {}
    for workers, seen in found.items():
        curve[workers] = sorted(seen, key=lambda one: one.records_s)[len(seen) // 2]
        each = " ".join(f"{one.records_s:.0f}" for one in seen)
        parts = ", ".join(f"{part} {used:.2f}" for part, used in curve[workers].cores.items())
        print(
            f"  {workers} workers: {curve[workers].records_s:8.0f} records/s ({each}); cores: {parts} of {cores}",
            end="; ",
        )
        print(f"{curve[workers].in_line:.1f} in line to commit")
    best = max(curve, key=lambda workers: curve[workers].records_s)
    limit = _limit(curve[best].cores, cores)
    figure = f"{curve[best].records_s:.0f} at {best}"
    print(f"goal: records/s against 1 to 4 workers: {figure} (a curve): met; limited by {limit}")
    RESULTS.parent.mkdir(exist_ok=True)
    told = {str(workers): [one.records_s for one in seen] for workers, seen in found.items()}
    RESULTS.write_text(json.dumps({"cores": cores, "records_s": told}, indent=2) + "\n")


if __name__ == "__main__":
    sys.exit(main())
