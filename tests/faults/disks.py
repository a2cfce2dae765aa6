"""The collector's disk fails: power cuts, syncs that end in EIO, a disk that stalls; all under load.

The collector's state lies on ext4 in an image of this program's own mount namespace. A power cut kills all programs
and goes on with a copy of the image's file as it was at that instant, which is what a disk would hold: nothing that
was only in the file system's cache. EIO is injected into the receiver's syncs by strace; a stall is fsfreeze. While
the disk fails nothing may be acknowledged; in the end probes, ledger, sums, InfluxDB and log must agree.
Needs root, strace and loop mounts. Source: facts note 08 §7.1, §7.2 rows 8 and 9.

Examples:
  python -m tests.faults.disks              30 power cuts, a minute of EIO, three stalls (five minutes)
  python -m tests.faults.disks --cuts 3     shorter
"""

from __future__ import annotations

import argparse
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from collector.health import now_ms, read_health
from tests.faults.extras import more, own_mounts
from tests.faults.judge import Verdict, judge, keep, report
from tests.faults.world import Fleet, Keeper, Witness, World, is_root, is_sealed, wait_for, worlds

IMAGE_BYTES = 256 << 20
SLACK = 40
"""So many records may be answered right after a failure began: they had been committed before."""


@dataclass(slots=True)
class Done:
    """What was played. `acked_*`: records acknowledged while the disk failed, beyond those already on their way."""

    cuts: int = 0
    eio_s: float = 0.0
    eio_told: bool = False
    acked_at_eio: int = 0
    stalls: int = 0
    acked_at_stall: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def is_ok(self) -> bool:
        return self.verdict.ok and self.eio_told and not self.acked_at_eio and not self.acked_at_stall


def main(argv: list[str] | None = None) -> int:
    """Play it, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuts", type=int, default=30, help="power cuts (30)")
    parser.add_argument("--eio-s", type=float, default=20.0, help="seconds of syncs that fail (20)")
    parser.add_argument("--stalls", type=int, default=3, help="stalls of the disk (3)")
    parser.add_argument("--stall-s", type=float, default=15.0, help="seconds of each stall (15)")
    told = parser.parse_args(argv)
    if not is_root() or not all(map(shutil.which, ("mount", "strace", "fsfreeze", "mkfs.ext4"))):
        print("goal: disks: not run, needs root, mount, strace, fsfreeze and mkfs.ext4: short")
        return 0
    own_mounts()
    with tempfile.TemporaryDirectory(prefix="dosong-disks-") as name:
        done = run(Path(name), told.cuts, told.eio_s, told.stalls, told.stall_s)
    keep("faults_disks", asdict(done))
    return tell(done)


def tell(done: Done) -> int:
    """Print a line for each promise."""
    print(f"power cut {done.cuts} times, syncs failed for {done.eio_s:.0f} s, disk stalled {done.stalls} times")
    print(f"goal: disks: the health page told of failed syncs: {'met' if done.eio_told else 'short'}")
    for count, when in ((done.acked_at_eio, "syncs failed"), (done.acked_at_stall, "the disk stalled")):
        print(f"goal: disks: acknowledged while {when}: {count} (0): {'short' if count else 'met'}")
    print("\n".join(report("disks", done.verdict, f"{done.verdict.records} records")))
    return 0 if done.is_ok else 1


def run(folder: Path, cuts: int, eio_s: float, stalls: int, stall_s: float) -> Done:
    """Play it once."""
    done = Done()
    with worlds(folder, 6) as world:
        _on_an_image(world.state, folder / "image")
        keeper = world.keeper(0)
        fleet = world.fleet("--rate", "2", "--days", "200", "--retry-s", "3")
        try:
            witness = Witness(world)
            more(fleet, 30)
            for number in range(cuts):
                keeper = _cut(world, keeper, folder, number)
                more(fleet, 12)
                done.cuts += 1
            _eio(world, fleet, keeper, done, eio_s)
            for _ in range(stalls):
                done.acked_at_stall += _stall(world, fleet, stall_s)
                done.stalls += 1
            truth = fleet.finish()
            wait_for("everything is sealed", lambda: is_sealed(world), 240)
            done.verdict = judge(world, truth, witness)
        finally:
            fleet.close()
            keeper.close()
            subprocess.run(["umount", "-l", str(world.state)], check=False, capture_output=True)
    return done


def _on_an_image(state: Path, image: Path) -> None:
    """The state folder becomes ext4 in an image, with the same files."""
    kept = state.with_name("kept")
    shutil.copytree(state, kept)
    with image.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    _mount(image, state)
    shutil.copytree(kept, state, dirs_exist_ok=True)
    subprocess.run(["sync", "-f", str(state)], check=True)


def _mount(image: Path, state: Path) -> None:
    subprocess.run(["mount", "-o", "loop,commit=300", str(image), str(state)], check=True, capture_output=True)


def _cut(world: World, keeper: Keeper, folder: Path, number: int) -> Keeper:
    """The power goes at any instant; what is there afterwards is what the image's file held then."""
    time.sleep(random.uniform(0.2, 2.0))
    keeper.kill()
    after = folder / f"after-{number}"
    shutil.copy(folder / "image", after)
    subprocess.run(["umount", "-l", str(world.state)], check=True, capture_output=True)
    after.replace(folder / "image")
    _mount(folder / "image", world.state)
    return world.keeper(0)


def _eio(world: World, fleet: Fleet, keeper: Keeper, done: Done, eio_s: float) -> None:
    """Every sync of the receiver fails for a while; it must say so, acknowledge nothing, and go on afterwards."""
    pid = wait_for("receive runs", lambda: keeper.told()["pids"].get("receive"), 30)
    inject = ["-e", "trace=fsync,fdatasync", "-e", "inject=fsync,fdatasync:error=EIO"]
    tracer = subprocess.Popen(["strace", "-f", "-qq", "-o", "/dev/null", *inject, "-p", str(pid)])
    try:
        wait_for("receive says that its disk fails", lambda: _ledger_error(world), 120)
        done.eio_told = True
        held, begun_s = fleet.status()["acked"], time.monotonic()
        while time.monotonic() - begun_s < eio_s:
            time.sleep(0.5)
        done.eio_s = time.monotonic() - begun_s
        done.acked_at_eio = max(0, fleet.status()["acked"] - held - SLACK)
    finally:
        tracer.send_signal(signal.SIGTERM)
        tracer.wait(20)
    more(fleet, 30)


def _ledger_error(world: World) -> bool:
    found = read_health(world.state, now_ms()).receive
    return found is not None and found.ledger_error is not None


def _stall(world: World, fleet: Fleet, stall_s: float) -> int:
    """The disk takes no write for a while; returns how many records more than those under way were answered."""
    subprocess.run(["fsfreeze", "-f", str(world.state)], check=True)
    try:
        time.sleep(1)
        held = fleet.status()["acked"]
        time.sleep(stall_s)
        answered = fleet.status()["acked"] - held
    finally:
        subprocess.run(["fsfreeze", "-u", str(world.state)], check=True)
    more(fleet, 30)
    return max(0, answered - SLACK)


if __name__ == "__main__":
    sys.exit(main())
