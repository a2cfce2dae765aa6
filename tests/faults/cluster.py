"""kill -9 of a broker node under load, again and again: nothing acknowledged is lost, and the boards show no hole.

Three nats-servers as dosong-provision writes them, the collector's programs with the settings that it writes, a fleet
of simulated probes with TLS sessions of their own. A node is killed at a drawn moment and stays away for a while; the
next one is killed once the cluster has it back. In the end probes, ledger, sums and InfluxDB must agree, and so must
the points and the records of every minute.
Source: issue 10; design §9.
"""

from __future__ import annotations

import argparse
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from collector.influx import Influx
from collector.ledger import LedgerReader
from provisioning import nats_cluster
from tests.faults.judge import PAGE, Verdict, judge, keep, report
from tests.faults.world import Fleet, World, reader, wait_for
from tests.nats_kit import Nodes

AWAY_S = (0.5, 6.0)
BETWEEN_S = (0.5, 4.0)
PATIENCE_S = 120.0
SILENCE_S = 60.0
"""Goal: no kill keeps acknowledgements away for longer, on a machine that others use too."""
MINUTE_MS = 60_000


@dataclass(slots=True)
class Done:
    """What a run came to. `silences_s`: from each kill until a record that was signed after it was acknowledged.

    `stuck`: what was waited for in vain, None: nothing; the kills end there, the judging does not.
    """

    asked: int = 0
    kills: dict[str, int] = field(default_factory=dict)
    silences_s: list[float] = field(default_factory=list)
    minutes: int = 0
    minutes_off: int = 0
    drops: int = 0
    resent: int = 0
    seconds: float = 0.0
    stuck: str | None = None
    verdict: Verdict = field(default_factory=Verdict)


def main(argv: list[str] | None = None) -> int:
    """Kill, count, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=10, help="how many (10)")
    parser.add_argument("--probes", type=int, default=12, help="how many simulated probes (12)")
    parser.add_argument("--rate", type=float, default=5.0, help="records a second of each probe (5)")
    parser.add_argument("--seed", type=int, default=1, help="which nodes and when (1)")
    options = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-cluster-") as name:
        done = run(Path(name), options.kills, options.probes, options.rate, options.seed)
    keep("faults_cluster", asdict(done))
    return tell(done)


def run(folder: Path, kills: int, probes: int, rate: float, seed: int = 1) -> Done:
    """Kill one node after the other under load, let everything come to rest, judge."""
    began_s, done = time.monotonic(), Done(kills)
    with cluster_world(folder, probes) as (world, nodes):
        keeper = world.keeper()
        try:
            truth = _under_load(world, nodes, done, kills, rate, random.Random(seed))
            done.verdict = judge(world, truth)
            done.minutes, done.minutes_off = minutes(world)
        finally:
            keeper.close()
    done.drops, done.resent = truth["status"]["drops"], truth["status"]["resent"]
    done.seconds = time.monotonic() - began_s
    return done


@contextmanager
def cluster_world(folder: Path, probes: int) -> Iterator[tuple[World, Nodes]]:
    """A deployment whose broker is a started cluster, and its InfluxDB; both stopped whatever happens."""
    world = World(folder, probes)
    nodes = Nodes(world.made, folder, [f"p-{number:05d}" for number in range(probes)])
    text = world.config.read_text()
    ours = re.search(r"\[broker\]\n(?:[^\[\n].*\n)*", text)
    assert ours is not None
    world.config.write_text(text.replace(ours[0], nats_cluster.broker_table(nodes.root)))
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what we started ends with us
    try:
        world.influx.start()
        nodes.start()
        yield world, nodes
    finally:
        nodes.stop()
        world.influx.stop()
        signal.signal(signal.SIGTERM, before)


def _under_load(world: World, nodes: Nodes, done: Done, kills: int, rate: float, draw: random.Random) -> dict[str, Any]:
    """Kill until all kills are done or something was waited for in vain, which the verdict says; the fleet's truth."""
    fleet = world.fleet(*nodes.words(), "--rate", str(rate), "--days", "400", "--patience", str(PATIENCE_S))
    try:
        try:
            _moves(fleet)
            for _ in range(kills):
                _kill_one(nodes, fleet, done, draw)
            nodes.start_rest()
        except (SystemExit, AssertionError) as stuck:  # a wait that ended; the verdict comes all the same
            if isinstance(stuck.args[0] if stuck.args else None, int):
                raise  # somebody ended us
            done.stuck = str(stuck)
            with suppress(AssertionError):
                nodes.start_rest()
        return fleet.finish(PATIENCE_S + 60)
    finally:
        fleet.close()


def _kill_one(nodes: Nodes, fleet: Fleet, done: Done, draw: random.Random) -> None:
    """Any node, at any moment of the load; the next is only killed once the cluster has this one back."""
    time.sleep(draw.uniform(*BETWEEN_S))  # a moment of the load, not a wait for anything
    name = draw.choice(nodes.names)
    nodes.kill(name)
    at_s = time.monotonic()
    done.kills[name] = done.kills.get(name, 0) + 1
    _moves(fleet)
    done.silences_s.append(round(time.monotonic() - at_s, 2))
    time.sleep(draw.uniform(*AWAY_S))
    nodes.start_one(name)
    nodes.wait_whole()


def _moves(fleet: Fleet) -> None:
    """Until something that was signed after now is acknowledged."""
    made = fleet.status()["made"]
    wait_for("records are acknowledged", lambda: fleet.status()["acked"] > made, PATIENCE_S)


def minutes(world: World) -> tuple[int, int]:
    """In how many minutes the ledger has tests, and in how many InfluxDB has another number of them."""
    with closing(reader(world)) as ledger:
        held = _tests_a_minute(ledger)
    influx = Influx(world.settings)
    try:
        found = influx.query(
            f'SELECT count("seq") FROM "test" WHERE {_span(held)} GROUP BY time(1m) fill(none)'  # noqa: S608 (numbers)
        )
    finally:
        influx.close()
    there = Counter({at // (MINUTE_MS * 1_000_000): int(number) for one in found for at, number in one["values"]})
    return len(held), sum(held[minute] != there[minute] for minute in held | there)


def _tests_a_minute(ledger: LedgerReader) -> Counter[int]:
    found: Counter[int] = Counter()
    after = 0
    while page := ledger.samples(after_n=after, limit=PAGE, newest_first=False):
        found.update(one.t_ms // MINUTE_MS for one in page if one.kind == "test" and one.t_ms is not None)
        after = page[-1].n
    return found


def _span(held: Counter[int]) -> str:
    return f"time >= {min(held) * MINUTE_MS}ms AND time < {(max(held) + 1) * MINUTE_MS}ms"


def tell(done: Done) -> int:
    """Print the goals; exit status."""
    killed = ", ".join(f"{name} {count}" for name, count in sorted(done.kills.items()))
    silent = sorted(done.silences_s) or [PATIENCE_S]
    print(f"{done.seconds:.0f} s, killed: {killed}; sessions lost {done.drops}, records sent again {done.resent}")
    print(f"from each kill until records are acknowledged again, s: {' '.join(map(str, done.silences_s))}")
    if done.stuck is not None:
        print(f"stuck: {done.stuck}")
    what = f"{sum(done.kills.values())} kills of a node, {done.verdict.acknowledged} records"
    lines, back = report("cluster", done.verdict, what), len(silent) if done.silences_s else 0
    off, whole = done.minutes_off, done.stuck is None and back == done.asked
    lines += [
        f"goal: cluster: kills after which it went on: {back} of {done.asked} ({done.asked}): {_met(whole)}",
        f"goal: cluster: longest silence of acknowledgements: {silent[-1]} s, median {silent[len(silent) // 2]} s"
        f" ({SILENCE_S:.0f}): {_met(whole and silent[-1] <= SILENCE_S)}",
        f"goal: cluster: minutes in which InfluxDB and ledger differ: {off} of {done.minutes} (0): "
        + _met(not off and done.minutes > 0),
    ]
    print("\n".join(line for line in lines if "two published roots" not in line))
    return int(not (done.verdict.ok and whole and done.minutes > 0 and not off))


def _met(is_so: bool) -> str:
    return "met" if is_so else "short"


if __name__ == "__main__":
    sys.exit(main())
