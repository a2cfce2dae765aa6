"""Does `dosong-probe run` stay as small as it begins? Minutes at the pace of days, with everything around it failing.

One simulated site with the real broker and collector; a coverage record every 5 s and a test every 10 s, a spool of
64 KB; broker and collector are killed, the modem pulled, the network lost, each once in 80 s. Sampled every 2 s:
resident memory, file handles, threads, bytes of spool and log. The first third warms up; the last is compared with
the second. Needs root. Prints a line for each goal and writes the samples to `bench/results/`. Source: design §5, §12.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import psutil

from sim import demo_world, site
from sim.demo_scene import CHECK, PLACES
from sim.demo_world import World
from sim.programs import module

PLACE = PLACES[0]
PACE = replace(CHECK, slot_s=10, test_s=1, step_s=1, steps=5, history_days=0)
SPOOL_LIMIT_BYTES = 65_536
SAMPLE_S = 2.0
TROUBLE_S = 10.0
MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at the probe, `at_s` after its start."""

    at_s: float
    rss_bytes: int
    handles: int
    threads: int
    spool_bytes: int
    log_bytes: int
    records: int


def main(argv: list[str] | None = None) -> int:
    """Run and judge; exits 0 if it could measure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--minutes", type=float, default=4.0, help="how long it is watched (4)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-soak-") as folder:
        samples = soak(Path(folder), arguments.minutes * 60)
    keep(samples)
    report(samples)
    return 0


def soak(folder: Path, seconds: float) -> list[Sample]:
    """Bring the world up, trouble it, and look at the probe all the while."""
    world = demo_world.make(folder, "netns", PACE, f"soak-{os.getpid()}", 0)
    try:
        demo_world.start_core(world)
        demo_world.provision(world)
        demo_world.start_servers(world)
        demo_world.start_site(world, PLACE)
        demo_world.start_probe(world, PLACE)
        tighten(world)
        world.programs.wait_ready(PLACE.probe, lambda: made(world) > 0)
        return watch(world, seconds)
    finally:
        demo_world.stop(world)


def tighten(world: World) -> None:
    """Start the probe again with a spool so small that it is full within the first third."""
    settings = demo_world.identity(world, PLACE) / "probe.toml"
    settings.write_text(settings.read_text() + f"\n[spool]\nlimit_bytes = {SPOOL_LIMIT_BYTES}\n")
    world.programs.stop([PLACE.probe])
    inside = site.find(world.directory, PLACE.name).netns_pid
    world.programs.start(PLACE.probe, module("probe", "run", "--config", str(settings)), inside)


def watch(world: World, seconds: float) -> list[Sample]:
    """Sample until the time is over; a trouble begins or ends every 10 s."""
    process = psutil.Process(world.programs.running[PLACE.probe].process.pid)
    troubles = schedule(world, seconds)
    began, samples = time.monotonic(), list[Sample]()
    while (at_s := time.monotonic() - began) < seconds:
        while troubles and troubles[0][0] <= at_s:
            troubles.pop(0)[1]()
        samples.append(look(world, process, at_s))
        time.sleep(SAMPLE_S)
    return samples


def schedule(world: World, seconds: float) -> list[tuple[float, Callable[[], None]]]:
    """When what fails and comes back, over and over, until shortly before the end."""
    cycle: tuple[Callable[[], None], ...] = (
        lambda: world.programs.kill("mosquitto"),
        lambda: world.programs.restart("mosquitto"),
        lambda: _control(world, "unplug"),
        lambda: _control(world, "plug"),
        lambda: _control(world, "service", on=False),
        lambda: _control(world, "service", on=True),
        lambda: world.programs.kill("collector"),
        lambda: world.programs.restart("collector"),
    )
    count = int(seconds / TROUBLE_S) // len(cycle) * len(cycle)
    return [(TROUBLE_S * (number + 1), cycle[number % len(cycle)]) for number in range(count)]


def _control(world: World, verb: str, **args: bool) -> None:
    site.control(world.directory, PLACE.name, verb, **args)


def look(world: World, process: psutil.Process, at_s: float) -> Sample:
    """Read one sample; raises psutil.NoSuchProcess if the probe is gone, which no trouble excuses."""
    state = demo_world.identity(world, PLACE) / "state"
    with process.oneshot():
        rss, threads = process.memory_info().rss, process.num_threads()
    return Sample(
        at_s=round(at_s, 1),
        rss_bytes=rss,
        handles=process.num_fds(),
        threads=threads,
        spool_bytes=sum(path.stat().st_size for path in state.glob("spool.db*")),
        log_bytes=sum(path.stat().st_size for path in (world.root / "log").glob(f"*{PLACE.probe}*")),
        records=made(world),
    )


def made(world: World) -> int:
    """How many records the probe has made; 0 before it has made its tables."""
    path = demo_world.identity(world, PLACE) / "state" / "spool.db"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT value FROM mark WHERE name = 'next_seq'").fetchone()[0])
    return 0


def keep(samples: list[Sample]) -> None:
    """Write the raw figures."""
    path = Path(__file__).parent / "results" / "soak_probe.json"
    path.parent.mkdir(exist_ok=True)
    seen = {"machine": platform.machine(), "python": platform.python_version()}
    path.write_text(json.dumps(seen | {"samples": [asdict(sample) for sample in samples]}, indent=1) + "\n")


def report(samples: list[Sample]) -> None:
    """Print one line for each goal."""
    third = len(samples) // 3
    middle, last = samples[third : 2 * third], samples[2 * third :]
    made = last[-1].records - samples[0].records
    print(f"{last[-1].at_s:.0f} s, {made} records made, at the end {last[-1].rss_bytes / MB:.1f} MB resident")

    def grown(name: str) -> int:
        """The most seen in the last third beyond the most seen in the second: each holds the same troubles."""
        return max(getattr(one, name) for one in last) - max(getattr(one, name) for one in middle)

    goal("memory grows from the second third to the last", grown("rss_bytes") / MB, 1.0, "MB")
    goal("file handles grow", grown("handles"), 0, "")
    goal("threads grow", grown("threads"), 0, "")
    goal("spool's files grow", grown("spool_bytes") / MB, 0.05, "MB")
    goal("spool's files, most seen", max(one.spool_bytes for one in samples) / MB, 2.0, "MB")
    log_per_record = (last[-1].log_bytes - middle[0].log_bytes) / max(1, last[-1].records - middle[0].records)
    goal("log for each record kept", log_per_record, 400, "bytes")


def goal(name: str, figure: float, limit: float, unit: str) -> None:
    """Print a goal that is met when the figure is at most the limit."""
    verdict = "met" if figure <= limit else "short"
    print(f"goal: soak, {name}: {figure:.4g} {unit} (at most {limit:g} {unit}): {verdict}".replace("  ", " "))


if __name__ == "__main__":
    raise SystemExit(main())
