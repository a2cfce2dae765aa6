"""Does everything stay as small as it begins? Half an hour of the demonstration, fast, with something always failing.

Three sites, broker, measurement point, InfluxDB and the collector's programs: a test each 10 s and a coverage record
each 5 s a site, which is the field's week in half an hour. Every few seconds a fault by chance: a program killed or
stopped, a modem pulled, service lost. Every 5 s: memory, handles and threads of each program with its children, bytes
on disk, and how many records are made that the ledger has not. Faults end two minutes before the end. The first third
warms up; the last is compared with the second. Needs root. Figures and a picture go to bench/results.

python -m bench.soak [--minutes 30] [--seed 1] [--plot docs/pictures/soak.svg]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psutil

from bench import soak_plot
from sim import demo_world, site
from sim.demo_scene import CHECK, PLACES
from sim.demo_world import World
from wire.errors import Unavailable

PACE = replace(CHECK, slot_s=10, test_s=1, step_s=1, steps=5, history_days=0)
SAMPLE_S, TURN_S = 5.0, 0.25
CALM_S, START_S = 120.0, 240.0
SERVERS = ("mosquitto", "influxd", "point", "collector")
MB = 1_000_000
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Sample:
    """One look, `at_s` after the start. By program: bytes resident, file handles, threads. `lag`: records not held."""

    at_s: float
    rss_bytes: dict[str, int]
    handles: dict[str, int]
    threads: dict[str, int]
    made: int
    lag: int
    ledger_bytes: int
    spool_bytes: int
    log_bytes: int


@dataclass(slots=True)
class Soak:
    """What is seen while it runs. `undo`: when each fault that is under way is over, and how."""

    world: World
    dice: random.Random
    samples: list[Sample] = field(default_factory=list)
    faults: list[tuple[float, str]] = field(default_factory=list)
    undo: dict[str, tuple[float, Callable[[], None]]] = field(default_factory=dict)


def main(argv: list[str] | None = None) -> int:
    """Run and judge; exits 1 if something grew or a record did not arrive."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0, help="how long it is watched (30)")
    parser.add_argument("--seed", type=int, default=1, help="which faults come when (1)")
    parser.add_argument("--plot", type=Path, default=RESULTS / "soak.svg", help="where the picture goes")
    asked = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-soak-") as folder:
        soak = run(Path(folder), asked.minutes * 60, asked.seed)
    RESULTS.mkdir(exist_ok=True)
    kept = {"seed": asked.seed, "faults": soak.faults, "samples": [asdict(sample) for sample in soak.samples]}
    (RESULTS / "soak.json").write_text(json.dumps(kept) + "\n")
    asked.plot.write_text(picture(soak))
    return report(soak)


def run(folder: Path, seconds: float, seed: int) -> Soak:
    """Bring the world up, trouble it, watch it, and let it come to rest."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that what was started ends with us
    world = demo_world.make(folder, "netns", PACE, f"soak-{os.getpid()}", 0)
    try:
        demo_world.start_core(world)
        demo_world.provision(world)
        with suppress(Unavailable):  # a busy machine takes longer than a demonstration should
            demo_world.start_servers(world)
        world.programs.wait_ready("collector", lambda: demo_world.web_answers(world.web_url), START_S)
        for place in PLACES:
            demo_world.start_site(world, place)
            demo_world.start_probe(world, place)
        soak = Soak(world, random.Random(seed))  # noqa: S311 (which fault comes when)
        _watch(soak, seconds)
        return soak
    finally:
        demo_world.stop(world)


def _watch(soak: Soak, seconds: float) -> None:
    began = time.monotonic()
    next_fault_s, next_sample_s = 20.0, 0.0
    while (at_s := time.monotonic() - began) < seconds:
        for name, (until_s, end) in list(soak.undo.items()):
            if at_s >= until_s or at_s >= seconds - CALM_S:
                del soak.undo[name]
                end()
        if at_s >= next_fault_s and at_s < seconds - CALM_S:
            _trouble(soak, at_s)
            next_fault_s = at_s + soak.dice.uniform(3, 12)
        if at_s >= next_sample_s:
            soak.samples.append(_look(soak, at_s))
            next_sample_s = at_s + SAMPLE_S
        time.sleep(TURN_S)


def _trouble(soak: Soak, at_s: float) -> None:
    """Begin one fault on something that has none now; it ends after 2 to 15 seconds."""
    name = soak.dice.choice((*SERVERS, *(place.probe for place in PLACES), *(place.name for place in PLACES)))
    if name in soak.undo:
        return
    world, until_s = soak.world, at_s + soak.dice.uniform(2, 15)
    if name in {place.name for place in PLACES}:
        what = soak.dice.choice(("modem", "service"))
        begin, end = _at_site(world, name, what)
    elif name == "influxd" and soak.dice.random() < 0.5:
        what = "stopped"
        begin, end = (
            (lambda: world.programs.kill(name, signal.SIGSTOP)),
            (lambda: world.programs.kill(name, signal.SIGCONT)),
        )
    else:
        what = "killed"
        begin, end = (lambda: world.programs.kill(name)), (lambda: world.programs.restart(name) and None)
    begin()
    soak.undo[name] = until_s, end
    soak.faults.append((round(at_s, 1), f"{name} {what}"))


def _at_site(world: World, name: str, what: str) -> tuple[Callable[[], None], Callable[[], None]]:
    def say(verb: str, **more: bool) -> Callable[[], None]:
        return lambda: site.control(world.directory, name, verb, **more) and None

    return (say("unplug"), say("plug")) if what == "modem" else (say("service", on=False), say("service", on=True))


def _look(soak: Soak, at_s: float) -> Sample:
    world = soak.world
    rss, handles, threads = dict[str, int](), dict[str, int](), dict[str, int]()
    for name, program in world.programs.running.items():
        group = "probes" if name in {place.probe for place in PLACES} else name
        for process in _family(program.process.pid):
            with suppress(psutil.Error), process.oneshot():
                rss[group] = rss.get(group, 0) + process.memory_info().rss
                handles[group] = handles.get(group, 0) + process.num_fds()
                threads[group] = threads.get(group, 0) + process.num_threads()
    made, held = _made(world), _held(world)
    state = world.deployment / "collector"
    return Sample(
        round(at_s, 1), rss, handles, threads, made, max(0, made - held), _bytes(state, "ledger.db*"),
        _bytes(world.deployment / "probes", "spool.db*"), _bytes(world.root / "log", "*"),
    )  # fmt: skip


def _family(pid: int) -> Iterator[psutil.Process]:
    """A program and the processes that it keeps; a test's short-lived engine is not one that it keeps."""
    with suppress(psutil.Error):
        process = psutil.Process(pid)
        yield process
        for child in process.children(recursive=True):
            with suppress(psutil.Error):
                if "engine" not in " ".join(child.cmdline()) and time.time() - child.create_time() > SAMPLE_S:
                    yield child


def _bytes(folder: Path, pattern: str) -> int:
    found = 0
    for path in folder.rglob(pattern):
        with suppress(OSError):
            found += path.stat().st_size
    return found


def _made(world: World) -> int:
    total = 0
    for place in PLACES:
        path = demo_world.identity(world, place) / "state" / "spool.db"
        with (
            suppress(sqlite3.OperationalError, TypeError),
            closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db,
        ):
            total += int(db.execute("SELECT value FROM mark WHERE name = 'next_seq'").fetchone()[0])
    return total


def _held(world: World) -> int:
    path = next(iter((world.deployment / "collector").rglob("ledger.db")), None)
    if path is not None:
        with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
            return int(db.execute("SELECT coalesce(max(n), 0) FROM entry").fetchone()[0])
    return 0


def picture(soak: Soak) -> str:
    """The plot."""
    seen = soak.samples
    names = ("probes", *SERVERS)

    def by_name(attribute: str, scale: float = 1.0) -> dict[str, list[float]]:
        return {name: [getattr(one, attribute).get(name, 0) / scale for one in seen] for name in names}

    disk = {"ledger": [one.ledger_bytes / MB for one in seen], "spools": [one.spool_bytes / MB for one in seen],
            "logs": [one.log_bytes / MB for one in seen]}  # fmt: skip
    panels = {
        "resident memory, MB": by_name("rss_bytes", MB), "file handles": by_name("handles"),
        "threads": by_name("threads"), "on disk, MB": disk,
        "records made, not held yet": {"lag": [one.lag for one in seen]},
    }  # fmt: skip
    title = f"Soak: {seen[-1].at_s / 60:.0f} minutes, {seen[-1].made} records, {len(soak.faults)} faults (red marks)"
    return soak_plot.svg(title, [one.at_s for one in seen], panels, [at_s for at_s, _ in soak.faults])


def report(soak: Soak) -> int:
    """Print one line for each goal; 1 if one is short."""
    seen = soak.samples
    third = len(seen) // 3
    middle, last = seen[third : 2 * third], seen[2 * third :]
    print(
        f"{seen[-1].at_s / 60:.1f} minutes, {seen[-1].made} records, {len(soak.faults)} faults, seed of the faults kept"
    )
    good = True
    for name in ("probes", *SERVERS):
        for what, unit, most in (("rss_bytes", "MB", 8.0), ("handles", "", 4), ("threads", "", 4)):
            before, after = (_high(part, what, name) for part in (middle, last))
            limit = max(most, 0.15 * before)
            good &= goal(f"{name}: {what} grow by", after - before, limit, unit)
    good &= goal("records that the ledger lacks at the end", seen[-1].lag, 3, "")
    good &= goal(
        "most records that ever waited", max(one.lag for one in last), 1.5 * max(one.lag for one in middle) + 60, ""
    )
    grown = [max(1, part[-1].made - part[0].made) for part in (middle, last)]
    # With its write-ahead log, a sawtooth that falls at each checkpoint and start: the tops are compared.
    tops = [max(one.ledger_bytes for one in part) / MB for part in (middle, last)]
    good &= goal("ledger with its write-ahead log grows by", tops[1] - tops[0], max(8.0, 0.5 * tops[0]), "MB")
    logs = (last[-1].log_bytes - last[0].log_bytes) / grown[1]
    good &= goal("logs, bytes a record in the last third", logs, 4_000, "bytes")
    return 0 if good else 1


def _high(part: Sequence[Sample], what: str, name: str) -> float:
    """The figure that nine of ten looks stay below; of a program that was just killed little is seen. MB for bytes."""
    seen = sorted(getattr(one, what).get(name, 0) for one in part)
    return float(seen[len(seen) * 9 // 10]) / (MB if what == "rss_bytes" else 1)


def goal(name: str, figure: float, limit: float, unit: str) -> bool:
    """Print a goal that is met when the figure is at most the limit."""
    met = figure <= limit
    print(f"goal: soak, {name}: {figure:.4g} {unit} (at most {limit:.4g} {unit}): {'met' if met else 'short'}")
    return met


if __name__ == "__main__":
    raise SystemExit(main())
