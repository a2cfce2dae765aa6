"""A country after two days of outage: `python -m bench.country`. A sample for real over the cluster, the rest modelled.

Real: three nats-servers, the collector's programs, InfluxDB and simulated probes with TLS sessions of their own. After
a few to warm it 100 probes come back with eight days of records: that gives the drain rate. Then 100 others with
sixteen: what the model says of them beforehand is held against what came (the ratio is printed). Then the whole
country's ordinary traffic, 40 records a second, for its delay until the acknowledgement. The model
(`bench.country_model`) then plays 90,000 probes of which a third was away for two days, at the measured rate and at
others. Prints `goal:` lines, writes bench/results/country.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.country_model import MOST_S, Country, Recovery, recover
from tests.faults.cluster import cluster_world
from tests.faults.judge import judge
from tests.faults.world import World, wait_for
from tests.nats_kit import Nodes

RESULTS = Path(__file__).parent / "results" / "country.json"
PROBES, AWAY_SHARE, AWAY_DAYS, RECORDS_A_DAY, SPREAD_S = 90_000, 1 / 3, 2, 39, 600.0
LIVE = PROBES * RECORDS_A_DAY / 86_400
RATES = ((600.0, 2_000), (600.0, 3_000), (600.0, 4_000), (600.0, 8_000), (3600.0, 700), (3600.0, 1_000))
"""Spans of coming back in seconds (`broker.retry_high_s` of the probes) and drain rates that are played besides."""
SAMPLE, WARMING = 100, 10
DRAIN_DAYS = 8, 16
"""What the two groups of the sample bring: enough for some seconds each, else their start is most of what is seen."""
LIVE_S = 20.0
RATIO_GOAL = (0.5, 2.0)
DRAIN_GOAL_S = 3600.0


@dataclass(frozen=True, slots=True)
class Drained:
    """One real come-back: records, seconds from the first session to the last answer, and how the sessions came."""

    probes: int
    records: int
    seconds: float
    connect_s: float
    resent: int

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


def main(argv: list[str] | None = None) -> int:
    """Run the sample, hold the model against it, play the country."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sample", type=int, default=SAMPLE, help="probes of each of the three groups (100)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-country-") as name:
        first, second, delay_s, lost = _real(Path(name), options.sample)
    said = recover(Country(second.probes, second.records / second.probes, first.connect_s, 0.0, first.rate, 0.1))
    ratio = said.drain_s / second.seconds
    played = [(span_s, rate, played_at(span_s, rate)) for span_s, rate in (*_at(first.rate), *RATES)]
    _show(first, second, delay_s, ratio, played)
    _keep(first, second, delay_s, ratio, lost, played)
    return _tell(ratio, lost, played[0][2])


Played = list[tuple[float, float, Recovery]]


def played_at(spread_s: float, drain: float) -> Recovery:
    """The country's come-back over a span, at a drain rate."""
    return recover(Country(round(PROBES * AWAY_SHARE), AWAY_DAYS * RECORDS_A_DAY, spread_s, LIVE, drain, 5.0))


def _at(rate: float) -> tuple[tuple[float, float], tuple[float, float]]:
    return (SPREAD_S, rate), (3600.0, rate)


def _real(folder: Path, sample: int) -> tuple[Drained, Drained, float, int]:
    with cluster_world(folder, 3 * SAMPLE + WARMING) as (world, nodes):
        keeper = world.keeper()
        try:
            _, warm = _come_back(world, nodes, "p-003", WARMING, 1)  # not measured: the nodes make their streams
            first, one = _come_back(world, nodes, "p-000", sample, 24 * DRAIN_DAYS[0])
            second, two = _come_back(world, nodes, "p-001", sample, 24 * DRAIN_DAYS[1])
            delay_s, three = _ordinary(world, nodes, "p-002", sample)
            truth = {
                "probes": [*one["probes"], *two["probes"], *three["probes"], *warm["probes"]],
                "status": three["status"],
            }
            verdict = judge(world, truth)
        finally:
            keeper.close()
    return first, second, delay_s, verdict.lost + verdict.twice + abs(verdict.influx_off)


def _come_back(world: World, nodes: Nodes, prefix: str, most: int, hours: int) -> tuple[Drained, dict[str, Any]]:
    """Probes with a backlog come to the cluster; return how it was drained, and what they made."""
    words = ("--prefix", prefix, "--most", str(most), "--backlog-h", str(hours), "--retry-s", "15")
    fleet = world.fleet(*nodes.words(), *words, name=prefix)
    try:
        wait_for("the backlog is signed", lambda: fleet.status()["made"], 300)
        wait_for("all is acknowledged", lambda: fleet.status()["acked"] >= fleet.status()["made"], 600)
        status = fleet.status()
        truth = fleet.finish()
    finally:
        fleet.close()
    seconds, connect_s = status["answered_s"] - status["first_s"], status["ready_s"] - status["first_s"]
    return Drained(most, status["acked"], seconds, connect_s, status["resent"]), truth


def _ordinary(world: World, nodes: Nodes, prefix: str, most: int) -> tuple[float, dict[str, Any]]:
    """The country's traffic of any day; return the mean delay until the acknowledgement, by Little's law."""
    words = ("--prefix", prefix, "--most", str(most), "--rate", str(LIVE / most), "--retry-s", "15")
    fleet = world.fleet(*nodes.words(), *words, name=prefix)
    waiting: list[int] = []
    try:
        wait_for("records are acknowledged", lambda: fleet.status()["acked"] > LIVE * 2, 300)
        until_s = time.monotonic() + LIVE_S
        while time.monotonic() < until_s:
            status = fleet.status()
            waiting.append(status["made"] - status["acked"])
            time.sleep(0.25)
        truth = fleet.finish()
    finally:
        fleet.close()
    return sum(waiting) / len(waiting) / LIVE, truth


def _show(first: Drained, second: Drained, delay_s: float, ratio: float, played: Played) -> None:
    print(f"real, over three nodes on one machine of {os.cpu_count()} cores (load {os.getloadavg()[0]:.0f}):")
    for days, one in zip(DRAIN_DAYS, (first, second), strict=True):
        print(f"  {one.probes} probes, {days} days: {one.records} records in {one.seconds:.1f} s: {one.rate:.0f}/s;"
              f" sessions stood after {one.connect_s:.1f} s, {one.resent} sent again")  # fmt: skip
    print(f"  model for the second, from the first: {ratio:.2f} of what was measured")
    print(f"  ordinary traffic, {LIVE:.0f} records/s: acknowledged after {delay_s:.2f} s in the mean")
    print(
        f"modelled: {PROBES} probes, {PROBES * AWAY_SHARE:.0f} away for {AWAY_DAYS} days, back within {SPREAD_S:.0f} s:"
    )
    print("   span  drain/s    backlog  drained in  ACK median      p99     most  most queued  sent for each")
    for span_s, rate, it in played:
        median, p99, most = (f"{wait_s:8.0f} s" for wait_s in it.waits_s)
        drained = f"{it.drain_s / 60:6.1f} min" if it.drain_s < MOST_S else "    never"
        sizes = f"{it.most_queued:11d}  {it.ratio_sent:13.2f}"
        print(f"  {span_s:5.0f}  {rate:7.0f}  {it.backlog:9d}  {drained}  {median} {p99} {most}  {sizes}")


def _keep(first: Drained, second: Drained, delay_s: float, ratio: float, lost: int, played: Played) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    figures = {
        "machine": platform.platform(), "cores": os.cpu_count(), "first": asdict(first), "second": asdict(second),
        "ordinary_delay_s": delay_s, "model_ratio": ratio, "faults": lost,
        "played": [(span_s, rate, asdict(one)) for span_s, rate, one in played],
    }  # fmt: skip
    RESULTS.write_text(json.dumps(figures, indent=1) + "\n")


def _minutes(here: Recovery) -> str:
    return f"{here.drain_s / 60:.0f} min" if here.drain_s < MOST_S else f"not within {MOST_S / 60:.0f} min"


def _tell(ratio: float, lost: int, here: Recovery) -> int:
    goals = (
        ("model against the real sample", f"{ratio:.2f}", "0.5 to 2", RATIO_GOAL[0] <= ratio <= RATIO_GOAL[1]),
        ("records lost, doubled or missing in InfluxDB", str(lost), "0", lost == 0),
        ("backlog of the country drained", _minutes(here), "60", here.drain_s <= DRAIN_GOAL_S),
    )
    for name, figure, goal, is_met in goals:
        print(f"goal: country: {name}: {figure} ({goal}): {'met' if is_met else 'short'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
