"""What else happens to a machine: broker killed, InfluxDB away, disk full, clock set back; all under load, one after
the other.

The collector's state lies on a small tmpfs of this program's own mount namespace, its programs read
their wall clock through a file.
A fleet publishes all the time. In the end probes, ledger, sums, InfluxDB and log must agree, and every record must
have the date that its probe gave it. Needs root. Source: facts note 08 §7.2, rows 5, 6, 9, 12 and 13.
"""

from __future__ import annotations

import argparse
import ctypes
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from collector.health import now_ms, read_health
from tests.faults.judge import Verdict, judge, keep, report
from tests.faults.world import Fleet, Witness, World, is_root, is_sealed, reader, wait_for, worlds

DISK_BYTES = 96 << 20
_CLONE_NEWNS, _MS_PRIVATE, _MS_REC = 0x20000, 1 << 18, 1 << 14
_YEAR_S = 31_557_600
STEPS_S = (-172_800, 86_400, -3_600, 10 * _YEAR_S, -10 * _YEAR_S, 0)
"""By how much the collector's clock is off, one after the other; then it stands at the three moments below."""
MOMENTS = ("1970-01-01T00:00:05", "2038-01-19T03:14:00", "2028-02-29T23:59:55")


@dataclass(slots=True)
class Done:
    """What was played, and what came of it. `acked_while_full`: more than what was under way is a broken promise."""

    broker_kills: int = 0
    influx_away_s: float = 0.0
    made_without_influx: int = 0
    full_s: float = 0.0
    refused_while_full: bool = False
    acked_while_full: int = 0
    clock_steps: int = 0
    dates_off: int = 0
    verdict: Verdict = field(default_factory=Verdict)


def main(argv: list[str] | None = None) -> int:
    """Play all of it, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--broker-kills", type=int, default=10, help="how often the broker is killed (10)")
    parser.add_argument("--away-s", type=float, default=60.0, help="how long InfluxDB is away, and the disk full (60)")
    options = parser.parse_args(argv)
    if not is_root() or shutil.which("mount") is None:
        print("goal: extras: not run, needs root and mount: short")
        return 0
    own_mounts()
    with tempfile.TemporaryDirectory(prefix="dosong-extras-") as name:
        done = run(Path(name), options.broker_kills, options.away_s)
    keep("faults_extras", asdict(done))
    return tell(done)


def own_mounts() -> None:
    """From here on what we mount is seen by us and our children alone."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNS) or libc.mount(b"none", b"/", None, _MS_PRIVATE | _MS_REC, None):
        raise SystemExit(f"no mount namespace of our own: {os.strerror(ctypes.get_errno())}")


def run(folder: Path, broker_kills: int, away_s: float) -> Done:
    """Play it once."""
    done = Done()
    with worlds(folder, 8) as world:
        _small_disk(world.state)
        clock = folder / "clock"
        clock.write_text("+0\n")
        keeper = world.keeper(0, "--clock", str(clock))
        fleet = world.fleet("--rate", "2", "--days", "200", "--undated-every", "15")
        try:
            witness = Witness(world)
            more(fleet, 100)
            _kill_broker(world, fleet, done, broker_kills)
            _influx_away(world, fleet, done, away_s)
            _full(world, fleet, done, away_s)
            _clock(clock, fleet, done)
            truth = fleet.finish()
            wait_for("everything is sealed", lambda: is_sealed(world), 180)
            done.verdict = judge(world, truth, witness)
            done.dates_off = _dates_off(world)
        finally:
            fleet.close()
            keeper.close()
            subprocess.run(["umount", "-l", str(world.state)], check=False)
    return done


def _small_disk(state: Path) -> None:
    """The state folder becomes a small file system with the same files."""
    kept = state.with_name("kept")
    shutil.copytree(state, kept)
    size = f"size={DISK_BYTES},mode=0755"
    subprocess.run(["mount", "-t", "tmpfs", "-o", size, "none", str(state)], check=True)
    shutil.copytree(kept, state, dirs_exist_ok=True)


def more(fleet: Fleet, records: int, patience_s: float = 180) -> None:
    """Wait until so many more records are acknowledged than now."""
    wanted = fleet.status()["acked"] + records
    wait_for("more records are acknowledged", lambda: fleet.status()["acked"] >= wanted, patience_s)


def _kill_broker(world: World, fleet: Fleet, done: Done, kills: int) -> None:
    for _ in range(kills):
        world.broker.kill()
        world.start_broker()
        more(fleet, 20)
        done.broker_kills += 1


def _influx_away(world: World, fleet: Fleet, done: Done, away_s: float) -> None:
    before, begun_s = fleet.status()["acked"], time.monotonic()
    world.influx.kill()
    while time.monotonic() - begun_s < away_s:
        more(fleet, 10)
    done.influx_away_s, done.made_without_influx = time.monotonic() - begun_s, fleet.status()["acked"] - before
    world.influx.start()
    more(fleet, 20)


def _full(world: World, fleet: Fleet, done: Done, full_s: float) -> None:
    """Fill the disk to its last byte; wait until receive says so; see that nothing is acknowledged; free it."""
    ballast = world.state / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    wait_for("receive says that the disk is full", lambda: _ledger_error(world), 180)
    done.refused_while_full = True
    time.sleep(2)  # what was committed before may still be on its way
    held, begun_s = fleet.status()["acked"], time.monotonic()
    while time.monotonic() - begun_s < full_s:
        time.sleep(1)
    done.acked_while_full, done.full_s = fleet.status()["acked"] - held, time.monotonic() - begun_s
    ballast.unlink()
    more(fleet, 50, 300)


def _ledger_error(world: World) -> Any:
    found = read_health(world.state, now_ms()).receive
    return found is not None and found.ledger_error


def _clock(clock: Path, fleet: Fleet, done: Done) -> None:
    right_s = time.time()
    moments_s = [datetime.fromisoformat(f"{moment}+00:00").timestamp() - right_s for moment in MOMENTS]
    for offset_s in (*STEPS_S, *map(round, moments_s), 0):
        fresh = clock.with_suffix(".new")
        fresh.write_text(f"{offset_s:+d}\n")
        fresh.replace(clock)
        more(fleet, 60)
        done.clock_steps += 1


def _dates_off(world: World) -> int:
    """How many records have another date than the one that their probe signed, or none."""
    found, after = 0, 0
    with closing(reader(world)) as ledger:
        while page := ledger.samples(after_n=after, limit=2000, newest_first=False):
            for sample in page:
                signed = sample.record.t_ms if sample.record else None
                found += sample.t_ms is None or (signed is not None and sample.t_ms != signed)
            after = page[-1].n
    return found


def tell(done: Done) -> int:
    """Print the table and one line for each promise."""
    print(f"broker killed {done.broker_kills} times under load")
    print(f"InfluxDB away for {done.influx_away_s:.0f} s: {done.made_without_influx} records acknowledged meanwhile")
    print(f"disk of the ledger full for {done.full_s:.0f} s: {done.acked_while_full} records acknowledged meanwhile")
    steps = ", ".join(f"{one:+d} s" for one in STEPS_S)
    print(f"clock of the collector set {done.clock_steps} times: {steps}, {', '.join(MOMENTS)}, right")
    full = done.acked_while_full
    print(f"goal: extras: acknowledged while the disk is full: {full} (0): {'short' if full else 'met'}")
    off = done.dates_off
    print(f"goal: extras: records with another date than signed: {off} (0): {'short' if off else 'met'}")
    print("\n".join(report("extras", done.verdict, f"{done.verdict.records} records")))
    return 0 if done.verdict.ok and not full and not off else 1


if __name__ == "__main__":
    sys.exit(main())
