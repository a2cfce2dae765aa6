"""A broker that is killed, forgets, overflows and cannot write: what probes sent is in the ledger all the same.

mosquitto acknowledges (PUBACK) what it holds in memory, and drops it in each of these ways. A fleet publishes all the
time; after every phase it must get its signed acknowledgements again, and in the end probes, ledger, sums, InfluxDB
and log must agree. Then the broker's clock is so far off that the revocation list, its own and the probes' certificates
are over or not yet valid: it must let nobody in, and all must be back by themselves once its clock is right.
Needs root for one phase (a small tmpfs), and libfaketime. Source: facts note 08 §7.2, rows 5, 6 and 14.

Examples:
  python -m tests.faults.brokers             all phases, ten kills each (five minutes)
  python -m tests.faults.brokers --kills 2   shorter
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.collector.kit import Service
from tests.faults.extras import more, own_mounts
from tests.faults.judge import Verdict, judge, keep, report
from tests.faults.world import Fleet, Keeper, Witness, World, is_root, is_sealed, wait_for, worlds

AWAY_S = 6.0
SMALL_QUEUE = 5
DAYS_OFF = (120, 36_500, -3_650)
"""The list of the revoked is over; certificates are over; nothing is valid yet."""


@dataclass(slots=True)
class Done:
    """What was played. `forgotten`, `overflowed`: how many records were made while the broker was alone with them.

    `let_in`: records acknowledged while no certificate was valid; any is a broken promise."""

    kills: int = 0
    kills_with_persistence: int = 0
    forgotten: int = 0
    overflowed: int = 0
    full: bool = False
    dates: int = 0
    let_in: int = 0
    verdict: Verdict = field(default_factory=Verdict)


def main(argv: list[str] | None = None) -> int:
    """Play all phases, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=10, help="kills of the broker in each phase of kills (10)")
    told = parser.parse_args(argv)
    if is_root() and shutil.which("mount"):
        own_mounts()
    with tempfile.TemporaryDirectory(prefix="dosong-brokers-") as name:
        done = run(Path(name), told.kills)
    keep("faults_brokers", asdict(done))
    print(f"broker killed {done.kills} times without persistence, {done.kills_with_persistence} times with it")
    print(
        f"broker killed with {done.forgotten} records that it alone had, and {done.overflowed} while its queue was full"
    )
    print(f"disk of the broker full: {'played' if done.full else 'not played (needs root and mount)'}")
    print(f"broker's clock off by {', '.join(f'{days:+d} days' for days in DAYS_OFF)}: {done.dates} of {len(DAYS_OFF)}")
    print(
        f"goal: brokers: acknowledged by invalid certificates: {done.let_in} (0): {'short' if done.let_in else 'met'}"
    )
    print("\n".join(report("brokers", done.verdict, f"{done.verdict.records} records")))
    return 0 if done.verdict.ok and not done.let_in else 1


def run(folder: Path, kills: int) -> Done:
    """Play it once."""
    done = Done()
    with worlds(folder, 6) as world:
        keeper = world.keeper(0)
        fleet = world.fleet("--rate", "2", "--days", "200", "--retry-s", "3")
        try:
            witness = Witness(world)
            more(fleet, 30)
            done.kills = _killed(world, fleet, kills)
            keeper, done.forgotten = _alone(world, fleet, keeper)
            _set(world, f"max_queued_messages {SMALL_QUEUE}")
            keeper, done.overflowed = _alone(world, fleet, keeper)
            kept = folder / "kept"
            kept.mkdir(mode=0o777)
            kept.chmod(0o777)
            _set(world, "max_queued_messages 2000")
            _set(world, "persistence true", f"persistence_location {kept}/", "autosave_interval 1")
            done.kills_with_persistence = _killed(world, fleet, kills)
            done.full = _full(world, fleet, kept)
            for days in DAYS_OFF:
                done.let_in += _dated(world, fleet, days)
                done.dates += 1
            truth = fleet.finish()
            wait_for("everything is sealed", lambda: is_sealed(world), 240)
            done.verdict = judge(world, truth, witness)
        finally:
            fleet.close()
            keeper.close()
            subprocess.run(["umount", "-l", str(folder / "kept")], check=False, capture_output=True)
    return done


def _killed(world: World, fleet: Fleet, kills: int) -> int:
    for _ in range(kills):
        world.broker.kill()
        world.start_broker()
        more(fleet, 12)
    return kills


def _alone(world: World, fleet: Fleet, keeper: Keeper) -> tuple[Keeper, int]:
    """The collector is away; the broker takes what probes send, and is killed with it. Then both are there again."""
    keeper.close()
    held = fleet.status()
    time.sleep(AWAY_S)
    told = fleet.status()
    world.broker.kill()
    world.start_broker()
    keeper = world.keeper(0)
    more(fleet, told["made"] - told["acked"])
    return keeper, told["made"] - held["made"]


def _full(world: World, fleet: Fleet, kept: Path) -> bool:
    """The broker's own disk takes nothing more, and the power goes."""
    if os.geteuid() or not shutil.which("mount"):
        return False
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=16k,mode=0777", "none", str(kept)], check=False, capture_output=True
    )
    if mounted.returncode:
        return False
    (kept / "ballast").write_bytes(bytes(12_000))
    more(fleet, 40)
    world.broker.kill()
    (kept / "ballast").unlink()
    for torn in kept.iterdir():
        torn.unlink()  # a broker that finds half a file does not start; the field's has no persistence at all
    world.start_broker()
    more(fleet, 20)
    return True


def _dated(world: World, fleet: Fleet, days: int) -> int:
    """The broker lives so many days off; return how many records were acknowledged meanwhile."""
    right = world.broker
    world.broker.stop()
    wait_for("the fleet has lost its sessions", lambda: fleet.status()["sessions"] == 0, 30)
    held = fleet.status()
    away = os.environ | {"FAKETIME": f"{days:+d}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "LD_PRELOAD": str(_library())}
    world.broker = Service(
        ["mosquitto", "-c", str(world.root / "broker" / "mosquitto.conf")], world.folder / "dated.log", away
    )
    try:
        world.start_broker()
        wait_for(
            "the broker refuses certificates",
            lambda: re.search("certificate|revocation|CRL", world.broker.text()),
            60,
        )
        time.sleep(AWAY_S)
        told = fleet.status()
        world.broker.stop()
    finally:
        world.broker = right
    world.start_broker()
    more(fleet, told["made"] - told["acked"])
    return int(told["acked"] - held["acked"])


def _library() -> Path:
    found = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not found:
        raise SystemExit("libfaketime is missing: run `apt-get install faketime`")
    return found[0]


def _set(world: World, *lines: str) -> None:
    """Change the broker's settings by a line each, and restart it as an upgrade would."""
    path = world.root / "broker" / "mosquitto.conf"
    text = path.read_text()
    for line in lines:
        word = line.split()[0]
        found = [old for old in text.splitlines() if old.split() and old.split()[0] == word]
        text = text.replace(found[0], line, 1) if found else f"{line}\n{text}"
    path.write_text(text)
    world.broker.stop()
    world.start_broker()


if __name__ == "__main__":
    sys.exit(main())
