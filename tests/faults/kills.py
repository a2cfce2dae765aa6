"""kill -9 of receive, forward and seal at every named step, while probes publish: nothing acknowledged is lost.

Real mosquitto with certificates, real influxd, a fleet of simulated probes with TLS sessions of their own. A
supervisor starts each program again; it carries a plan in `DOSONG_KILL_AT` and ends itself by SIGKILL at that step,
the three programs at the same time and independently. In the end probes, ledger, sums, InfluxDB and log must agree,
and somebody who wrote down every checkpoint ever published must have seen one root for each size.
Source: issue 5; facts note 08 §7.2, rows 8 and 10.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from collector.failpoint import STEPS
from tests.faults.judge import Verdict, judge, keep, report
from tests.faults.world import Fleet, Witness, World, is_sealed, wait_for, worlds

UNDATED_EVERY = 5
OPENED = "seal.opened"


@dataclass(frozen=True, slots=True)
class Done:
    """What a run came to."""

    kills: dict[str, int]
    others: list[str]
    restarts: int
    seconds: float
    verdict: Verdict


def main(argv: list[str] | None = None) -> int:
    """Kill, count, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=100, help="how many at each step (100)")
    parser.add_argument("--probes", type=int, default=8, help="how many simulated probes (8)")
    parser.add_argument("--rate", type=float, default=1.5, help="records a second of each probe (1.5)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-kills-") as name:
        done = run(Path(name), options.kills, options.probes, options.rate)
    keep("faults_kills", asdict(done))
    return tell(done, options.kills)


def run(folder: Path, kills: int, probes: int, rate: float, patience_s: float = 3600) -> Done:
    """Kill `kills` times at each step under load, let everything come to rest, judge."""
    began_s = time.monotonic()
    with worlds(folder, probes) as world:
        witness = Witness(world)
        fleet = world.fleet(
            "--rate", str(rate), "--days", "400", "--undated-every", str(UNDATED_EVERY), "--patience", "900"
        )
        try:
            first, truth = _under_load(world, fleet, kills, patience_s)
            told = [first, _open_logs(world, kills, patience_s)]
            verdict = _at_rest(world, truth, witness)
        finally:
            fleet.close()
    counts: dict[str, int] = {}
    for one in told:
        counts.update(one["kills"])
    others = [other for one in told for other in one["others"]]
    return Done(counts, others, sum(one["starts"] for one in told), time.monotonic() - began_s, verdict)


def _under_load(world: World, fleet: Fleet, kills: int, patience_s: float) -> tuple[dict[str, Any], dict[str, Any]]:
    """Every step but the beginning of a log, the three programs at once; returns the kills and the fleet's truth."""
    keeper = world.keeper(kills, "--without", OPENED)
    try:
        wait_for("the fleet sends", lambda: fleet.status()["made"] > 0, 60)
        wait_for("every step was killed at", lambda: keeper.told()["left"] == 0, patience_s)
        return keeper.told(), fleet.finish(1000)
    finally:
        keeper.close()


def _open_logs(world: World, kills: int, patience_s: float) -> dict[str, Any]:
    """A restore each time, which a new log must follow, and the sealer killed as it begins that log."""
    keeper = world.keeper(kills, "--without", *(s for s in STEPS if s != OPENED), "--programs", "seal", "--restored")
    try:
        wait_for("the sealer was killed as it began a log", lambda: keeper.told()["left"] == 0, patience_s)
        return keeper.told()
    finally:
        keeper.close()


def _at_rest(world: World, truth: dict[str, Any], witness: Witness) -> Verdict:
    """Let all programs run undisturbed until everything is sealed and forwarded, then compare."""
    keeper = world.keeper(0)
    try:
        wait_for("everything is sealed", lambda: is_sealed(world), 120)
        return judge(world, truth, witness)
    finally:
        keeper.close()


def tell(done: Done, kills: int) -> int:
    """Print the table and one line for each promise."""
    total = sum(done.kills.values())
    print(f"{'step':24}{'kills':>7}")
    for step in STEPS:
        print(f"{step:24}{done.kills.get(step, 0):>7}")
    verdict = done.verdict
    print(
        f"{total} kills, {done.restarts} starts in {done.seconds:.0f} s; {verdict.records} records in the ledger,"
        f" {verdict.acknowledged} acknowledged, {verdict.counted} counted samples, {verdict.checkpoints} checkpoints"
    )
    for other in sorted(set(done.others)):
        print(f"ended otherwise: {other}, {done.others.count(other)} times")
    least = min(done.kills.get(step, 0) for step in STEPS)
    met = least >= kills
    print(f"goal: kills: at each of {len(STEPS)} steps: at least {least} ({kills}): {'met' if met else 'short'}")
    print("\n".join(report("kills", verdict, f"{total} kills")))
    return 0 if verdict.ok and met else 1


if __name__ == "__main__":
    sys.exit(main())
