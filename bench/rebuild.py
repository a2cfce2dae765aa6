"""`rebuild influx --jobs N` against one job: `python -m bench.rebuild`, ends in a `goal:` line.

A ledger of tests and coverage records, a real influxd, which is emptied between the turns. With as many jobs as
cores the server and the jobs share them: what is gained is what the server leaves. Its own rate stands beside it.
Writes bench/results/rebuild.json. Source: issue 10, series.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.forward import fill, own_rate
from collector.influx import Influx
from collector.ledger import LedgerReader
from collector.rebuild import Job, rebuild, rebuild_beside
from collector.reconcile import reconcile_counts
from collector.registry import Registry
from collector.settings import Settings, read_settings
from tests.collector.door import Door
from tests.collector.kit import T0_MS, Deployment, FakeProbe
from tests.collector.kit import Influx as Server

RESULTS = Path(__file__).parent / "results" / "rebuild.json"
LATER_MS = T0_MS + 400 * 86_400_000


def turn(settings: Settings, jobs: int) -> float:
    """Lines a second of one rebuild into an empty database, whose counts must then be the ledger's."""
    writer = Influx(settings)
    writer.prepare()
    writer.drop()
    began = time.perf_counter()
    lines, refused = rebuild_beside(settings, LATER_MS, jobs)
    seconds = time.perf_counter() - began
    rows = reconcile_counts(LedgerReader(settings.ledger), writer)
    writer.close()
    if refused or any(row.ledger != row.influx for row in rows):
        raise AssertionError(f"{jobs} jobs: counts differ, or {refused} lines were refused")
    print(f"{jobs} jobs: {lines / seconds:,.0f} lines/s, {lines:,} lines in {seconds:.1f} s, counts equal", flush=True)
    return lines / seconds


class Nowhere:
    """Takes every line and keeps none: what reading and rendering cost by themselves."""

    def prepare(self) -> None:
        """Nothing to make usable."""

    def write(self, lines: list[str]) -> None:
        """Taken."""


def render(settings: Settings, job: Job) -> tuple[int, float]:
    """One job without a server: lines, and seconds of a core that it took."""
    reader, registry = LedgerReader(settings.ledger), Registry(settings.registry)
    began = time.process_time()
    lines = rebuild(reader, registry, Nowhere(), lambda _line, _reason: None, LATER_MS, job)
    seconds = time.process_time() - began
    registry.close()
    return lines, seconds


def longest(settings: Settings, jobs: int) -> float:
    """Seconds of a core that the longest of so many jobs takes to read and render its share."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        done = [pool.submit(render, settings, Job(number, jobs)).result() for number in range(jobs)]
    seconds = max(seconds for _, seconds in done)
    print(f"{jobs} jobs: the longest takes {seconds:.2f} s of a core, without a server", flush=True)
    return seconds


def main() -> int:
    """Measure; 0 if it could."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--records", type=int, default=40_000)
    parser.add_argument("--jobs", type=int, nargs="+", default=[1, 2])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dosong-rebuild-") as name:
        server = Server(Path(name))
        target = f'url = "http://127.0.0.1:{server.port}"\napi = "v1"\ndatabase = "dosong"'
        probes = [FakeProbe(f"p-{number:03}") for number in range(50)]
        deployment = Deployment(Path(name), 'socket = "none"', *probes, influx=target)
        door = Door(deployment.state, *probes)
        fill(door, probes, given.records)
        server.start()
        try:
            own, _ = own_rate(deployment, door)
            settings = read_settings(deployment.config)
            rates = {jobs: turn(settings, jobs) for jobs in given.jobs}
            bare = {jobs: longest(settings, jobs) for jobs in given.jobs}
        finally:
            server.stop()
            door.close()
    first, most = given.jobs[0], min(given.jobs[-1], os.cpu_count() or 1)
    print(f"InfluxDB's own rate with ready lines, one stream: {own:,.0f} lines/s; cores: {os.cpu_count()}")
    print(f"beside the server on the same cores, {most} jobs against {first}: {rates[most] / rates[first]:.2f}")
    share = bare[most] / bare[first]
    goal = 1.2 * first / most
    print(
        f"goal: the longest of {most} jobs against {first}, in seconds of a core: {share:.2f} (<= {goal:.2f}): ", end=""
    )
    print("met" if share <= goal else "short")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(
        json.dumps({"own_lines_s": own, "lines_s": rates, "longest_cpu_s": bare, "cores": os.cpu_count()})
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
