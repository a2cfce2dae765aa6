"""`dosong-sim check`: the demonstration unattended, and its numbers compared in three places, field by field.

Waits until every site has at least two counted tests, a coverage record and one that names the log, and the cut site a
failed test; then reads the same records from the ledger (signed bytes), from InfluxDB and from the page's API, and
compares every metric.
Prints one table and exits 0, or says what is missing and exits 1.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sim import demo_cluster, demo_world
from sim.demo import Steps, bring_up
from sim.demo_live import Cut
from sim.demo_scene import CHECK, PLACES, Place
from sim.demo_world import World
from sim.programs import ask_sudo, module, run, tail
from wire import codec
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, EXIT_OK, DosongError, Misconfigured, Unavailable
from wire.metrics import metrics

PATIENCE_S = 300.0
UNITS_S = 120.0
LIVE_EPOCH = 2


def add_parser(subparsers: Any) -> None:
    """Register `dosong-sim check`."""
    parser = subparsers.add_parser(
        "check",
        help="the demonstration unattended: compares ledger, InfluxDB and page",
        description="Start the demonstration on free ports, wait for samples, compare them in three places, stop.",
        epilog="example: dosong-sim check --patience 300",
    )
    parser.add_argument("--patience", type=float, default=PATIENCE_S, help="seconds to wait for the samples")
    parser.add_argument("--broker", choices=demo_cluster.BROKERS, default="mosquitto", help="what carries the samples")
    parser.add_argument("--keep", type=Path, help="keep the data and the logs in this folder")
    parser.set_defaults(run=run_check)


@dataclass(slots=True)
class Entry:
    """One record as the ledger has it; `values` are its metrics by name, None left out.

    `names_log`: it names a checkpoint of the log that its probe had verified before.
    """

    probe: str
    hamlet: str
    seq: int
    kind: str
    t_ms: int
    outcome: str
    is_counted: bool
    values: dict[str, Any]
    names_log: bool = False


@dataclass(slots=True)
class Row:
    """What was found for one site; `compared` counts (record, field) pairs, `differing` names those that differ.

    `named`: records that name the log.
    """

    place: Place
    tests: int = 0
    counted: int = 0
    failed: int = 0
    coverage: int = 0
    named: int = 0
    compared: int = 0
    differing: list[str] = field(default_factory=list)


def run_check(args: argparse.Namespace) -> int:
    """Run the check; see the module's docstring."""
    if os.geteuid() != 0:
        ask_sudo("demo-check needs network namespaces, which only root may make")
        sys.stderr.write("demo-check needs network namespaces, which only root may make: run it as root\n")
        return EXIT_MISCONFIGURED
    root = args.keep or Path(tempfile.mkdtemp(prefix="dosong-check-"))
    steps = Steps()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(EXIT_FAILED))
    demo_cluster.check(args.broker, "netns")
    world = demo_world.make(root.absolute(), "netns", CHECK, f"check-{os.getpid()}", 0, args.broker)
    try:
        bring_up(world, steps)
        ledger = wait_for_samples(world, steps, args.patience)
        return report(world, steps, ledger)
    except Misconfigured as error:
        steps.say(str(error))
        return EXIT_MISCONFIGURED
    except DosongError as error:
        steps.say(f"demo-check failed: {error}")
        for log in sorted((world.root / "log").glob("*.log")):
            steps.say(f"  {log.name}\n{tail(log, 5)}")
        return EXIT_FAILED
    except KeyboardInterrupt:
        steps.say("demo-check: interrupted")
        return EXIT_FAILED
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        demo_world.stop(world)
        if args.keep is None:
            shutil.rmtree(root, ignore_errors=True)


def wait_for_samples(world: World, steps: Steps, patience_s: float, *, is_cut: bool = True) -> list[Entry]:
    """Wait until every site has what is asked of it; `is_cut`: a failed test at the site that loses service, too.

    Raises Unavailable that says what is missing.
    """
    cut = Cut(world, world.pace, steps.say)
    begin = time.monotonic()
    while True:
        cut.play()
        ledger = read_ledger(world)
        missing = [what for place in PLACES for what in _missing(place, ledger, is_cut=is_cut)]
        if not missing and not cut.is_cut:
            steps.say(f"  all samples are there after {time.monotonic() - begin:.0f} s")
            return ledger
        if time.monotonic() - begin > patience_s:
            raise Unavailable(f"after {patience_s:.0f} s still missing: {', '.join(missing)}")
        for program in world.programs.ended():
            raise Unavailable(f"{program.name} ended with status {program.process.returncode}:\n{tail(program.log)}")
        time.sleep(2)


def _missing(place: Place, ledger: list[Entry], *, is_cut: bool) -> list[str]:
    mine = [entry for entry in ledger if entry.probe == place.probe]
    wanted = {
        "two counted tests": sum(e.kind == "test" and e.is_counted for e in mine) >= 2,
        "a coverage record": any(e.kind == "coverage" for e in mine),
        "a record that names the log": any(e.names_log for e in mine),
        "a failed test": not (is_cut and place.is_cut) or any(e.kind == "test" and e.outcome == "failed" for e in mine),
    }
    return [f"{place.name}: {what}" for what, is_there in wanted.items() if not is_there]


def read_ledger(world: World) -> list[Entry]:
    """The live records of all probes, decoded from the ledger's signed bytes."""
    settings = str(demo_world.collector_settings(world))
    text = run(*module("collector", "export", "--config", settings, "--epoch", str(LIVE_EPOCH)))
    return [entry for line in text.splitlines() if (entry := _entry(json.loads(line))) is not None]


def _entry(row: dict[str, Any]) -> Entry | None:
    if row["fault"] is not None:
        return None
    record = codec.decode_body(codec.body_of(base64.b64decode(row["raw"])))
    kind = record.__struct_config__.tag
    if not isinstance(kind, str) or record.t_ms is None:
        return None
    values = {metric.name: value for metric in metrics(kind) if (value := metric.value(record)) is not None}
    return Entry(
        record.probe, row["hamlet"], record.seq, kind, record.t_ms,
        getattr(record, "outcome", ""), bool(row["counted"]), values, record.beacon_size is not None,
    )  # fmt: skip


def report(world: World, steps: Steps, ledger: list[Entry]) -> int:
    """Compare the three places, run the board's queries, print the table, and say whether all agree."""
    rows = [compare(world, place, [e for e in ledger if e.probe == place.probe]) for place in PLACES]
    heads = f"{'tests':>6}{'counted':>9}{'failed':>8}{'coverage':>10}{'name log':>10}{'fields':>8}{'differ':>8}"
    steps.say(f"\n  {'site':<14}{heads}")
    for row in rows:
        figures = f"{row.tests:>6}{row.counted:>9}{row.failed:>8}{row.coverage:>10}{row.named:>10}{row.compared:>8}"
        steps.say(f"  {row.place.name:<14}{figures}{len(row.differing):>8}")
    steps.say("  (every field of every test record, compared in ledger, InfluxDB and page)\n")
    for row in rows:
        for what in row.differing[:10]:
            steps.say(f"  {row.place.name}: {what}")
    boards = check_boards(world, steps)
    agree = all(not row.differing and row.compared > 0 for row in rows)
    steps.say("demo-check: all agree" if agree and boards else "demo-check: FAILED")
    return EXIT_OK if agree and boards else EXIT_FAILED


def compare(world: World, place: Place, ledger: list[Entry]) -> Row:
    """Compare one site's test records field by field; InfluxDB gets up to 20 s to catch up."""
    row = Row(place)
    tests = [entry for entry in ledger if entry.kind == "test"]
    row.tests, row.counted = len(tests), sum(entry.is_counted for entry in tests)
    row.failed = sum(entry.outcome == "failed" for entry in tests)
    row.coverage = sum(entry.kind == "coverage" for entry in ledger)
    row.named = sum(entry.names_log for entry in ledger)
    last = max((entry.t_ms for entry in tests), default=0)
    points = _wait_for_points(world, place.probe, {(e.t_ms, e.seq) for e in tests}, last)
    shown = {(s["probe"], s["epoch"], s["seq"]): s for s in _page(world, place.hamlet)}
    for entry in tests:
        where = f"seq {entry.seq}"
        places = {
            "InfluxDB": points.get((entry.t_ms, entry.seq)),
            "page": shown.get((entry.probe, LIVE_EPOCH, entry.seq)),
        }
        for name, found in places.items():
            if found is None:
                row.differing.append(f"{where} is not in {name}")
                continue
            row.compared += len(entry.values)
            row.differing += [f"{where} {text}" for text in differences(entry, found, name)]
    return row


def differences(entry: Entry, found: dict[str, Any], where: str) -> list[str]:
    """Name every metric of a record that another place shows with another value, and the verdict if it differs."""
    wrong = [
        f"{name}: ledger {value!r}, {where} {found.get(name)!r}"
        for name, value in entry.values.items()
        if found.get(name) != value and not (isinstance(value, bool) and found.get(name) == int(value))
    ]
    if bool(found.get("counted")) != entry.is_counted:
        wrong.append(f"counted: ledger {entry.is_counted}, {where} {found.get('counted')!r}")
    return wrong


def _wait_for_points(
    world: World, probe: str, wanted: set[tuple[int, int]], last_ms: int
) -> dict[tuple[int, int], dict[str, Any]]:
    deadline = time.monotonic() + 20
    points = _points(world, probe, last_ms)
    while not wanted <= points.keys() and time.monotonic() < deadline:
        time.sleep(0.5)
        points = _points(world, probe, last_ms)
    return points


def _points(world: World, probe: str, last_ms: int) -> dict[tuple[int, int], dict[str, Any]]:
    """InfluxDB's points of one probe's live tests, by (t_ms, seq)."""
    query = f'SELECT * FROM "test" WHERE "probe" = \'{probe}\' AND "epoch" = {LIVE_EPOCH} AND time <= {last_ms + 1}ms'  # noqa: S608
    asked = urllib.parse.urlencode({"db": "dosong", "q": query, "epoch": "ns"})
    answer = _get(f"{world.influx_url}/query?{asked}")
    series = answer["results"][0].get("series", [])
    points = [dict(zip(s["columns"], values, strict=True)) for s in series for values in s["values"]]
    return {(point["time"] // 1_000_000, point["seq"]): point for point in points}


def _page(world: World, hamlet: str) -> list[dict[str, Any]]:
    samples: list[dict[str, Any]] = _get(f"{world.web_url}/api/hamlets/{hamlet}/samples?limit=500")["samples"]
    return samples


def _get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 (our own loopback address)
        return json.load(answer)


def check_boards(world: World, steps: Steps) -> bool:
    """Run every panel and variable query of every board on what the demonstration wrote.

    Figures of whole units are written once a minute: they get two of them.
    """
    argv = module(
        "grafana", "check", "--url", world.influx_url, "--database", "dosong", "--from", "-3d",
        "--hamlet", PLACES[0].hamlet,
    )  # fmt: skip
    deadline_s = time.monotonic() + UNITS_S
    while True:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode == 0 or time.monotonic() > deadline_s:
            break
        time.sleep(5)
    lines = (done.stdout + done.stderr).strip().splitlines()
    for line in lines[-1:] if done.returncode == 0 else lines[-15:]:
        steps.say(f"  boards: {line}")
    return done.returncode == 0
