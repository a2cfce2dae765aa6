"""72 hours without a network, then 1,000 probes come back at once: all is drained, once each, and the quota is true.

Each probe holds the signed records that it made in the outage: tests in slots of 2.4 hours, hourly coverage, a boot.
All of them open TLS sessions with their own certificates at the same time, and send as probes do: at most 100 records
on the way, again what got no answer. The clock runs from the first connection until every probe holds a signed
acknowledgement of its last record.
Source: issue 5; facts note 08 §7.2, row 16.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil

from tests.faults.judge import Verdict, influx_equal, judge, keep, report
from tests.faults.world import HAMLET, Witness, is_sealed, reader, wait_for, worlds

WITHIN_S = 600.0


@dataclass(frozen=True, slots=True)
class Done:
    """What came and how soon: seconds since the first connection; `at_once`: sessions open at the same time."""

    hours: float
    probes: int
    records: int
    mean_bytes: float
    at_once: int
    connects: int
    resent: int
    drained_s: float
    sealed_s: float
    influx_s: float
    receive_rss_mb: float
    truth: int
    quota: int
    verdict: Verdict


def main(argv: list[str] | None = None) -> int:
    """Let them all come back, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--probes", type=int, default=1000, help="how many simulated probes (1000)")
    parser.add_argument("--hours", type=float, default=72.0, help="how long nothing got through (72)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-outage-") as name:
        done = run(Path(name), options.probes, options.hours, every_s=30)
    keep("faults_outage", asdict(done))
    return tell(done)


def run(folder: Path, probes: int, hours: float, every_s: int = 1) -> Done:
    """Play it once; `every_s`: how often a checkpoint is signed."""
    with worlds(folder, probes, every_s=every_s) as world:
        keeper = world.keeper()
        fleet = world.fleet("--backlog-h", str(hours), "--retry-s", "15")
        try:
            wait_for("the fleet has signed its backlog", lambda: fleet.status()["made"], 600)
            witness, began_s = Witness(world), time.monotonic()
            most_rss = 0
            while (said := fleet.status())["acked"] < said["made"]:
                most_rss = max(most_rss, _rss(keeper.told()["pids"].get("receive", 0)))
                if time.monotonic() - began_s > 3 * WITHIN_S:
                    break
                time.sleep(0.25)
            drained_s = said["at_s"]
            truth = fleet.finish()
            wait_for("all is sealed", lambda: is_sealed(world), 300)
            sealed_s = time.monotonic() - began_s
            wait_for("InfluxDB agrees", lambda: influx_equal(world), 900)
            influx_s = time.monotonic() - began_s
            verdict = judge(world, truth, witness)
            with closing(reader(world)) as ledger:
                sums = ledger.hamlet_counts()[HAMLET]
                first = ledger.samples(limit=2000, newest_first=False)
        finally:
            fleet.close()
            keeper.close()
    return Done(
        hours, probes, said["made"], sum(len(one.raw) for one in first) / len(first), said["most_sessions"],
        said["connects"], said["resent"], drained_s, sealed_s, influx_s, most_rss / 1e6,
        sum(one["counted"] for one in truth["probes"]), sums.counted, verdict,
    )  # fmt: skip


def _rss(pid: int) -> int:
    try:
        return int(psutil.Process(pid).memory_info().rss) if pid else 0
    except psutil.Error:
        return 0


def tell(done: Done) -> int:
    """Print the table and one line for each promise."""
    print(
        f"{done.probes} probes, {done.hours:.0f} h: {done.records} signed records of {done.mean_bytes:.0f} bytes on"
        f" average; {done.at_once} TLS sessions at once, {done.connects} connects, {done.resent} records sent again"
    )
    print(
        f"drained in {done.drained_s:.1f} s ({done.records / max(0.1, done.drained_s):.0f} records/s), sealed after"
        f" {done.sealed_s:.0f} s, in InfluxDB after {done.influx_s:.0f} s; receive took {done.receive_rss_mb:.0f} MB"
    )
    soon = done.drained_s <= WITHIN_S and done.verdict.acknowledged == done.records
    print(f"goal: outage: drained in {done.drained_s:.0f} s ({WITHIN_S:.0f}): {'met' if soon else 'short'}")
    at_once = done.at_once == done.probes
    print(f"goal: outage: sessions at once: {done.at_once} ({done.probes}): {'met' if at_once else 'short'}")
    true = done.quota == done.truth
    print(f"goal: outage: counted samples of the quota: {done.quota} ({done.truth}): {'met' if true else 'short'}")
    print("\n".join(report("outage", done.verdict, f"{done.records} records")))
    return 0 if soon and at_once and true and done.verdict.ok else 1


if __name__ == "__main__":
    sys.exit(main())
