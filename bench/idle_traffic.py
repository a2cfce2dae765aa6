"""What a probe without tests costs its SIM: a month of coverage records, echoes and liveness, by kernel counters.

One simulated site with the real daemon, broker (TLS), collector and point; everything that has a pace runs 20 times as
fast (a step of 3 s for a minute, a window of three minutes for an hour, a keepalive of 6 s for 120 s), so each window
costs the bytes of an hour. The log's checkpoint, asked for every two and a half real hours, is added as it is budgeted
(`wire.data_use`; `tests/probe/test_beacon.py` holds a real session to that). Counted at the modem's link, frame headers
included (14 bytes a packet that a raw-IP modem does not pay). Needs root. Prints a line for the goal and writes the
figures to `bench/results/`.
Source: design §4 (coverage), §12; facts note 05 §4 (CGNAT timers bound the keepalive).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec

from probe.settings import Broker
from sim import demo_world, site
from sim.demo_scene import CHECK, PLACES
from sim.demo_world import World
from sim.programs import module
from wire import codec, data_use
from wire.records import CoverageRecord

PLACE = PLACES[0]
FASTER = 20
STEP_S, STEPS = 60 // FASTER, 60
PACE = replace(CHECK, slot_s=86_400, test_s=1, step_s=STEP_S, steps=STEPS, history_days=0)
HOURS_A_MONTH = 31 * 24
SESSIONS_A_MONTH = 4 * 31
"""How often the session with the broker is made anew: each TLS handshake is counted. Four times a day is much."""
GOAL_BYTES = 15_000_000
PATIENCE_S = 90


@dataclass(frozen=True, slots=True)
class Found:
    """Bytes both ways. `hour_bytes`: one window, the mean of `windows`; `session_bytes`: making one session."""

    windows: int
    hour_bytes: int
    session_bytes: int
    records: int
    echoes: int
    record_bytes: int

    @property
    def month_bytes(self) -> int:
        """What 31 days cost."""
        checkpoints = HOURS_A_MONTH * data_use.HOUR_S // data_use.BEACON_EVERY_S * data_use.BEACON_BYTES
        return self.hour_bytes * HOURS_A_MONTH + self.session_bytes * SESSIONS_A_MONTH + checkpoints


def main(argv: list[str] | None = None) -> int:
    """Measure and report; exits 0 if it could."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--windows", type=int, default=2, help="accelerated hours that are counted (2)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-idle-") as folder:
        found = measure(Path(folder), arguments.windows)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    written = asdict(found) | {"month_bytes": found.month_bytes, "machine": platform.machine()}
    (results / "idle-traffic.json").write_text(json.dumps(written, indent=1) + "\n")
    print(
        f"an hour: {found.hour_bytes} bytes ({found.echoes} echoes, {found.records} records of"
        f" {found.record_bytes} bytes in {found.windows} windows); a session: {found.session_bytes} bytes"
    )
    month_mb = found.month_bytes / 1e6
    verdict = "met" if found.month_bytes < GOAL_BYTES else "short"
    print(
        f"goal: a month of coverage and management traffic: {month_mb:.1f} MB (< {GOAL_BYTES / 1e6:.0f} MB): {verdict}"
    )
    return 0


def measure(folder: Path, windows: int) -> Found:
    """Bring the world up, let it settle, and count whole windows."""
    world = demo_world.make(folder, "netns", PACE, f"idle-{os.getpid()}", 0)
    try:
        demo_world.start_core(world)
        demo_world.provision(world)
        demo_world.start_servers(world)
        demo_world.start_site(world, PLACE, shaper="tbf")
        session_bytes = start_probe(world)
        return count(world, windows, session_bytes)
    finally:
        demo_world.stop(world)


def start_probe(world: World) -> int:
    """Start the probe at the pace of this bench; returns what its session cost."""
    demo_world.start_probe(world, PLACE)
    world.programs.wait_ready(PLACE.probe, lambda: made(world, "boot") > 0)
    world.programs.stop([PLACE.probe])
    path = demo_world.identity(world, PLACE) / "probe.toml"
    path.write_text(re.sub(r"\[broker\]\n", f"[broker]\nkeepalive_s = {keepalive_s() // FASTER}\n", path.read_text()))
    before = link_bytes(world)
    inside = site.find(world.directory, PLACE.name).netns_pid
    world.programs.start(PLACE.probe, module("probe", "run", "--config", str(path)), inside)
    log = world.root / "log" / f"{PLACE.probe}.log"
    world.programs.wait_ready(PLACE.probe, lambda: log.read_text().count("broker=connected") >= 2)
    until(lambda: waiting(world) == 0, PATIENCE_S, "what waited is acknowledged")
    return link_bytes(world) - before


def keepalive_s() -> int:
    """The keepalive that a probe has unless it is told otherwise."""
    return int(next(field.default for field in msgspec.structs.fields(Broker) if field.name == "keepalive_s"))


def count(world: World, windows: int, session_bytes: int) -> Found:
    """Count from the end of the first window on; each window's record is acknowledged before it is counted."""
    settled = lambda number: made(world, "coverage") >= number and waiting(world) == 0  # noqa: E731
    until(lambda: settled(1), STEP_S * STEPS + PATIENCE_S, "the first window is over")
    first, before = made(world, "coverage"), link_bytes(world)
    until(lambda: settled(first + windows), windows * STEP_S * STEPS + PATIENCE_S, "the windows are over")
    moved = link_bytes(world) - before
    if made(world, "test"):
        raise SystemExit("a test ran in between: start again")
    records = [raw for kind, raw in rows(world) if kind == "coverage"][first : first + windows]
    decoded = [codec.decode_body(codec.body_of(raw)) for raw in records]
    echoes = sum(record.echo_sent or 0 for record in decoded if isinstance(record, CoverageRecord))
    if any(set(record.states) != {"C"} for record in decoded if isinstance(record, CoverageRecord)):
        print("note: not every step was covered; what was looked into is counted too")
    return Found(windows, moved // windows, session_bytes, windows, echoes, len(records[0]))


def until(is_so: Callable[[], bool], patience_s: float, what: str) -> None:
    """Poll; ends the bench if it takes too long."""
    deadline_s = time.monotonic() + patience_s
    while not is_so():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"not within {patience_s:.0f} s: {what}")
        time.sleep(0.5)


def link_bytes(world: World) -> int:
    """Bytes of cell0, both ways, as the site's kernel counts them."""
    text = Path(f"/proc/{site.find(world.directory, PLACE.name).netns_pid}/net/dev").read_text()
    columns = next(line for line in text.splitlines() if line.strip().startswith("cell0:")).partition(":")[2].split()
    return int(columns[0]) + int(columns[8])


def rows(world: World) -> list[tuple[str, bytes]]:
    """Kind and bytes of every record, oldest first; none before the probe has made its tables."""
    path = demo_world.identity(world, PLACE) / "state" / "spool.db"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return db.execute("SELECT kind, raw FROM record ORDER BY epoch, seq").fetchall()
    return []


def made(world: World, kind: str) -> int:
    """How many records of a kind were made."""
    return sum(found == kind for found, _ in rows(world))


def waiting(world: World) -> int:
    """How many records are not acknowledged; 1 before the probe has made its tables."""
    path = demo_world.identity(world, PLACE) / "state" / "spool.db"
    with suppress(sqlite3.OperationalError), closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return int(db.execute("SELECT count(*) FROM record WHERE place = 0").fetchone()[0])
    return 1


if __name__ == "__main__":
    raise SystemExit(main())
