"""The demonstration on three broker nodes, and a node killed -9 again and again: does the board show a hole?

`dosong-sim check --broker nats` with kills in its middle: the real probes over emulated 4G, the collector's real
programs, InfluxDB, all unchanged; only settings name three nodes. Afterwards every record that a probe has in its spool
must be in the ledger once; ledger, InfluxDB and pages must agree field by field; every board's queries must answer; and
the hamlet board's own queries must show a test in every slot and a state in every step of coverage.
Source: issue 10.
"""

from __future__ import annotations

import argparse
import base64
import itertools
import json
import os
import random
import shutil
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from collector.catalogue import ALL
from grafana.harness import load_boards, view_of
from grafana.influx import Influx
from grafana.interpolate import Choice, expand, substitute
from sim import check, demo_cluster, demo_world
from sim.demo import Steps, bring_up
from sim.demo_scene import CHECK, PLACES, Place
from sim.demo_world import World
from sim.programs import module, run
from tests.faults.judge import keep
from wire import codec
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, EXIT_OK, DosongError, Unavailable
from wire.records import TestRecord

PACE = replace(CHECK, cut_after_s=1e9)
"""The check's, without its loss of service: whoever sees a hole knows whose it is."""
AWAY_S, BETWEEN_S = (0.5, 6.0), (0.5, 4.0)
PATIENCE_S = 120.0
SILENCE_S = 60.0
LIVE = check.LIVE_EPOCH
SLOT_MS, STEP_MS = PACE.slot_s * 1000, PACE.step_s * 1000


@dataclass(frozen=True, slots=True)
class Held:
    """One live record of the ledger; `slot_ms` None: it is no test, or none of a slot."""

    probe: str
    seq: int
    leaf: bytes
    kind: str
    t_ms: int
    slot_ms: int | None


@dataclass(slots=True)
class Done:
    """What a run came to. `silences_s`: from each kill until all three probes had a later record acknowledged.

    `lost`: acknowledged by a spool's account and not in the ledger; `unsent`: made and never acknowledged;
    `empty_slots`, `slots`: of the tests on the boards; `longest_hole_s`: without a state of coverage, None: no board.
    """

    asked: int
    kills: dict[str, int] = field(default_factory=dict)
    silences_s: list[float] = field(default_factory=list)
    stuck: str | None = None
    records: int = 0
    lost: int = 0
    twice: int = 0
    unsent: int = 0
    slots: int = 0
    empty_slots: int = 0
    coverage_s: float = 0.0
    longest_hole_s: float | None = None
    agree: bool = False
    seconds: float = 0.0


def main(argv: list[str] | None = None) -> int:
    """Bring up, kill, compare; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--kills", type=int, default=10, help="how many (10)")
    parser.add_argument("--seed", type=int, default=1, help="which nodes and when (1)")
    options = parser.parse_args(argv)
    if os.geteuid() != 0:
        print("the demonstration's links are network namespaces, which only root may make: run it as root")
        return EXIT_MISCONFIGURED
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_FAILED))
    root = Path(tempfile.mkdtemp(prefix="dosong-cluster-demo-"))
    try:
        done = play(root, options.kills, random.Random(options.seed))
    finally:
        shutil.rmtree(root, ignore_errors=True)
    keep("faults_cluster_demo", asdict(done))
    return tell(done)


def play(root: Path, kills: int, draw: random.Random) -> Done:
    """The whole run in `root`. What is waited for in vain ends the kills, not the comparison."""
    began_s, done = time.monotonic(), Done(kills)
    world = demo_world.make(root, "netns", PACE, f"cluster-{os.getpid()}", 0, "nats")
    try:
        bring_up(world, Steps())
        check.wait_for_samples(world, Steps(), check.PATIENCE_S, is_cut=False)
        begin_ms = time.time_ns() // 1_000_000
        try:
            for _ in range(kills):
                _kill_one(world, done, draw)
        except Unavailable as stuck:
            done.stuck = str(stuck)
        _compare(world, done, begin_ms)
    finally:
        demo_world.stop(world)
    done.seconds = time.monotonic() - began_s
    return done


def _kill_one(world: World, done: Done, draw: random.Random) -> None:
    time.sleep(draw.uniform(*BETWEEN_S))  # a moment of the load, not a wait for anything
    name = draw.choice(demo_cluster.NODES)
    world.programs.kill(name)
    at_s = time.monotonic()
    done.kills[name] = done.kills.get(name, 0) + 1
    _moves(world)
    done.silences_s.append(round(time.monotonic() - at_s, 1))
    time.sleep(draw.uniform(*AWAY_S))
    world.programs.restart(name)
    print(f"  {name} killed, acknowledgements again after {done.silences_s[-1]} s; it is started again", flush=True)
    _until("every node is well", lambda: all(demo_cluster.is_well(world, one) for one in demo_cluster.NODES))


def _moves(world: World) -> None:
    """Until every probe has an acknowledgement of something that it signed after now."""
    made = {place.probe: max(_spool(world, place), default=-1) for place in PLACES}

    def is_so() -> bool:
        return all(
            any(is_held and seq > made[place.probe] for seq, (_, is_held) in _spool(world, place).items())
            for place in PLACES
        )

    _until("every probe has a new acknowledgement", is_so)


def _until(what: str, is_so: Any) -> None:
    deadline_s = time.monotonic() + PATIENCE_S
    while not is_so():
        if time.monotonic() > deadline_s:
            raise Unavailable(f"after {PATIENCE_S:.0f} s still not: {what}")
        time.sleep(0.25)


def _spool(world: World, place: Place) -> dict[int, tuple[bytes, bool]]:
    """Every live record that a probe has: number to its leaf and whether the probe has the ledger's word for it."""
    path = demo_world.identity(world, place) / "state" / "spool.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=10)) as db:
        rows = db.execute("SELECT seq, leaf, place FROM record WHERE epoch = ?", (LIVE,))
        return {seq: (leaf, where == 1) for seq, leaf, where in rows}


def _compare(world: World, done: Done, begin_ms: int) -> None:
    """Spools as they are now, once all of that is acknowledged, with ledger, InfluxDB, pages and boards."""
    made = {place.probe: max(_spool(world, place), default=-1) for place in PLACES}
    try:
        _moves(world)
    except Unavailable as stuck:
        done.stuck = done.stuck or str(stuck)
    spools = {
        place.probe: {seq: one for seq, one in _spool(world, place).items() if seq <= made[place.probe]}
        for place in PLACES
    }
    held = list(_ledger(world))
    leaves = {(one.probe, one.seq): one.leaf for one in held}
    done.records, done.twice = len(leaves), len(held) - len(leaves)
    for probe, spool in spools.items():
        done.lost += sum(is_held and leaves.get((probe, seq)) != leaf for seq, (leaf, is_held) in spool.items())
        done.unsent += sum((probe, seq) not in leaves for seq in spool)
    done.agree = check.report(world, Steps(), check.read_ledger(world)) == EXIT_OK
    _boards(world, done, [one for one in held if one.t_ms >= begin_ms])


def _ledger(world: World) -> Iterator[Held]:
    settings = str(demo_world.collector_settings(world))
    text = run(*module("collector", "export", "--config", settings, "--epoch", str(LIVE)))
    for row in map(json.loads, text.splitlines()):
        raw = base64.b64decode(row["raw"])
        record = codec.decode_body(codec.body_of(raw))
        slot_ms = record.slot_ms if isinstance(record, TestRecord) else None
        yield Held(row["probe"], row["seq"], codec.leaf_hash(raw), row["kind"], record.t_ms or 0, slot_ms)


def _boards(world: World, done: Done, held: list[Held]) -> None:
    """The hamlet board's own queries over the time of the kills: a test in each slot, a state in each step."""
    for place in PLACES:
        mine = [one for one in held if one.probe == place.probe]
        tests = {one.slot_ms: one.t_ms for one in mine if one.slot_ms is not None}
        if tests:
            shown = _asked(world, place, "outcomes", min(tests.values()), max(tests.values()), SLOT_MS)
            slots = range(min(tests), max(tests) + 1, SLOT_MS)
            seen = [at for at in slots if at in tests and shown.get(tests[at] - tests[at] % SLOT_MS)]
            done.slots, done.empty_slots = done.slots + len(slots), done.empty_slots + len(slots) - len(seen)
        coverage = [one.t_ms for one in mine if one.kind == "coverage"]
        if coverage:
            _coverage(world, place, done, min(coverage), max(coverage) + (PACE.steps - 1) * STEP_MS)


def _coverage(world: World, place: Place, done: Done, from_ms: int, to_ms: int) -> None:
    shown = _asked(world, place, "coverage_state", from_ms, to_ms, STEP_MS)
    states = sorted(at for at, state in shown.items() if state)
    ends = [from_ms - STEP_MS, *states, to_ms + STEP_MS]  # an end without a state is a hole as well
    hole_ms = max(after - before for before, after in itertools.pairwise(ends)) - STEP_MS
    done.coverage_s += (to_ms - from_ms + STEP_MS) / 1000
    done.longest_hole_s = max(done.longest_hole_s or 0.0, hole_ms / 1000)


def _asked(world: World, place: Place, name: str, from_ms: int, to_ms: int, step_ms: int) -> dict[int, float]:
    """What one query of the hamlet board shows: start of the interval to the sum of its columns but the time.

    A point stands some nanoseconds behind its millisecond (`collector.core.points`), so the range ends behind it.
    """
    board = next(one for one in load_boards() if one["uid"] == "dosong-hamlet-vi")
    view = view_of(board, from_ms, to_ms, hamlet=(place.hamlet,))
    choices = {**view.choices, "bucket": Choice((f"{step_ms}ms",), multi=False)}
    query = next(one for one in ALL if one.name == name)
    sent = expand(substitute(query.influxql, choices), from_ms, to_ms + 1, step_ms)
    rows = (row for one in Influx(world.influx_url, "dosong").query(sent) for row in one["values"])
    return {row[0]: sum(value or 0 for value in row[1:]) for row in rows}


def tell(done: Done) -> int:
    """Print the goals; exit status."""
    killed = ", ".join(f"{name} {count}" for name, count in sorted(done.kills.items()))
    print(f"{done.seconds:.0f} s, killed: {killed}; {done.coverage_s:.0f} s of coverage on three boards")
    print(f"from each kill until every probe's next record is acknowledged, s: {' '.join(map(str, done.silences_s))}")
    if done.stuck is not None:
        print(f"stuck: {done.stuck}")
    back, most = len(done.silences_s), max(done.silences_s, default=PATIENCE_S)
    hole, what = done.longest_hole_s, f"{sum(done.kills.values())} kills, {done.records} records of three real probes"
    goals = (
        (f"kills after which it went on: {back} of {done.asked} ({done.asked})", not done.stuck and back == done.asked),
        (f"longest silence of acknowledgements: {most} s ({SILENCE_S:.0f})", most <= SILENCE_S),
        (f"acknowledged records lost: {done.lost} in {what} (0)", done.records > 0 and not done.lost),
        (f"records held twice: {done.twice} (0)", not done.twice),
        (f"records made that are not in the ledger: {done.unsent} (0)", not done.unsent),
        ("ledger, InfluxDB, pages and boards agree field by field", done.agree),
        (f"slots of tests that the boards show empty: {done.empty_slots} of {done.slots} (0)",
         done.slots > 0 and not done.empty_slots),
        (f"longest hole in the boards' coverage: {hole} s (one step: {PACE.step_s})",
         hole is not None and hole <= PACE.step_s),
    )  # fmt: skip
    for text, is_met in goals:
        print(f"goal: cluster demo: {text}: {'met' if is_met else 'short'}")
    return EXIT_OK if all(is_met for _, is_met in goals) else EXIT_FAILED


if __name__ == "__main__":
    try:
        sys.exit(main())
    except DosongError as error:
        sys.exit(f"cluster demo: {error}")
