"""Power cuts of the probe's disk, for real: at every write and sync in turn, until as many as asked for were made.

The scene (`power_cut_scene.py`) runs on an ext4 file system in a loop-mounted image that nothing syncs by itself.
`strace` ends it by SIGKILL at its n-th call of one kind (write, pwrite64, fsync, fdatasync, rename, unlink, fallocate);
then the image's file is copied as it is, which is what the disk held: all that was not synced is gone. The copy is
mounted, its journal replays, and the probe's own code opens what is left. Every call of every kind of a seed is cut at
once, in drawn order, before the next seed begins. Not played: cards that lie about a flush, sectors torn in the middle.
Needs root. Source: facts note 08 §7.1.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.probe.power_cut_scene import KEY, ORIGIN, PROBE, opened
from wire import codec
from wire.records import EventRecord, GapRecord

CALLS = ("write", "pwrite64", "fsync", "fdatasync", "rename", "unlink", "fallocate")
IMAGE_BYTES = 6 << 20
SCENE_RECORDS = 64
SCENE = Path(__file__).with_name("power_cut_scene.py")
_CALL = re.compile(r"^\d+ +(\w+)\(", re.MULTILINE)
ROOT = Path(__file__).parents[2]


@dataclass(slots=True)
class Promised:
    """What a run had said aloud when the power went."""

    begun: int = 0
    kept: dict[tuple[int, int], str] = field(default_factory=dict)
    acked: dict[int, int] = field(default_factory=dict)
    noted: int = 0
    is_done: bool = False


@dataclass(slots=True)
class Count:
    """What was found over all cuts; each of the last five should be 0."""

    cuts: int = 0
    seconds: float = 0.0
    promised: int = 0
    acknowledged: int = 0
    lost: int = 0
    unacknowledged: int = 0
    twice: int = 0
    missing: int = 0
    forgotten: int = 0
    refused: int = 0


def main(argv: list[str] | None = None) -> int:
    """Cut, count, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--cuts", type=int, default=1000, help="how many power cuts (1000)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (2)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the first scene (1)")
    arguments = parser.parse_args(argv)
    if missing := _missing():
        print(f"goal: power cuts of the probe's disk: not run, {missing}: short")
        return 0
    with tempfile.TemporaryDirectory(prefix="dosong-faults-") as name:
        count = run(Path(name), arguments.cuts, arguments.jobs, arguments.seed)
    results = ROOT / "bench" / "results"
    results.mkdir(exist_ok=True)
    (results / "faults.json").write_text(json.dumps(asdict(count), indent=1) + "\n")
    return report(count)


def _missing() -> str | None:
    if os.geteuid() != 0:
        return "mounting an image needs root"
    return next((f"{tool} is not installed" for tool in ("strace", "mkfs.ext4") if shutil.which(tool) is None), None)


def report(count: Count) -> int:
    """Print one line for each promise."""
    print(
        f"{count.cuts} power cuts in {count.seconds:.0f} s: {count.promised} records and {count.acknowledged} "
        "acknowledgements had been promised"
    )
    lines = (
        ("promised records lost", count.lost),
        ("acknowledgements forgotten", count.unacknowledged),
        ("sequence numbers signed twice", count.twice),
        ("records missing beside the one in progress", count.missing),
        ("synced values of the slate lost", count.forgotten),
        ("spools that did not open whole and go on", count.refused),
    )
    for name, found in lines:
        print(f"goal: {name}: {found} in {count.cuts} power cuts (0): {'met' if found == 0 else 'short'}")
    return 1 if any(found for _, found in lines) else 0


def run(folder: Path, cuts: int, jobs: int, seed: int) -> Count:
    """Make that many cuts, several at a time."""
    template = folder / "template.img"
    with template.open("wb") as file:
        file.truncate(IMAGE_BYTES)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(template)], check=True, capture_output=True)
    count, begun_s = Count(), time.monotonic()
    with ThreadPoolExecutor(jobs) as pool:
        while count.cuts < cuts:
            due = calls(template, folder / "count", seed)[: cuts - count.cuts]
            for start in range(0, len(due), jobs):
                asked = due[start : start + jobs]
                places = [folder / f"job{slot}" for slot in range(len(asked))]
                ran = pool.map(lambda one, at, seed=seed: cut(template, at, one, seed), asked, places)
                for promised, at in zip(list(ran), places, strict=True):
                    judge(promised, at, count)
            seed += 1
    count.seconds = time.monotonic() - begun_s
    return count


def calls(template: Path, folder: Path, seed: int) -> list[tuple[str, int]]:
    """Run the scene to its end and return every call at which it can be cut, (kind, n), in an order of the seed's."""
    promised = cut(template, folder, None, seed)
    assert promised.is_done
    kinds = Counter(_CALL.findall((folder / "trace").read_text()))
    found = [(kind, number) for kind in CALLS for number in range(1, kinds[kind] + 1)]
    random.Random(seed).shuffle(found)
    return found


def cut(template: Path, folder: Path, call: tuple[str, int] | None, seed: int) -> Promised:
    """Run the scene until the power goes at a call (kind, n), None: to its end; the disk is then `cut.img`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    image = folder / "disk.img"
    shutil.copyfile(template, image)
    with mounted(image, folder / "before") as disk:
        inject = [] if call is None else ["-e", f"inject={call[0]}:signal=SIGKILL:when={call[1]}"]
        trace = ["strace", "-f", "-qq", "-o", str(folder / "trace"), "-e", f"trace={','.join(CALLS)}", *inject]
        command = [*trace, sys.executable, str(SCENE), str(disk / "state"), str(seed)]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=environment)
        shutil.copyfile(image, folder / "cut.img")
    if done.returncode > 0:
        raise SystemExit(f"the scene failed by itself:\n{done.stderr}")
    return heard(done.stdout)


def heard(text: str) -> Promised:
    """Read what a run had promised."""
    found = Promised()
    for line in text.splitlines():
        word, *rest = line.split()
        if word == "begin":
            found.begun = int(rest[0])
        elif word == "kept":
            found.kept[int(rest[0]), int(rest[1])] = rest[2]
        elif word == "acked":
            found.acked[int(rest[0])] = int(rest[1])
        elif word == "noted":
            found.noted = int(rest[0])
        found.is_done |= word == "done"
    return found


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    """Mount an image whose journal commits only when it is asked to."""
    at.mkdir()
    subprocess.run(["mount", "-o", "loop,commit=300", str(image), str(at)], check=True, capture_output=True)
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True, capture_output=True)


def judge(promised: Promised, folder: Path, count: Count) -> None:
    """Open what the disk held, compare it with what had been promised, and go on with it."""
    count.cuts += 1
    count.promised += len(promised.kept)
    count.acknowledged += len(promised.acked)
    with mounted(folder / "cut.img", folder / "after") as disk:
        spool, recorder, slate = opened(disk / "state")
        try:
            leaves = dict(_leaves(spool._db, max((epoch for epoch, _ in promised.kept), default=1)))
            acked = (spool.mark("acked") or "0 -1").split()
            count.refused += spool.origin_of_file == "damaged"
            count.lost += sum(leaves.get(place) not in (leaf, "gap") for place, leaf in promised.kept.items())
            known = max(promised.acked.items(), default=(0, -1))
            count.unacknowledged += (int(acked[0]), int(acked[1])) < known
            count.missing += max(0, promised.begun - 1 - int(spool.mark("slots m1") or 0))
            count.forgotten += int(slate.recall("budget m1") or 0) < promised.noted
            fresh = recorder.keep(EventRecord(**recorder.head(), event="stopping", note="after"))
            count.twice += (fresh.epoch, fresh.seq) in promised.kept
            opened_record = codec.open_record(fresh.raw, ORIGIN, PROBE, KEY.verifier).record
            before = leaves.get((fresh.epoch, fresh.seq - 1))
            count.refused += opened_record is None or (before not in (None, "gap") and opened_record.prev != before)
        finally:
            spool.close()
            slate.close()


def _leaves(db: sqlite3.Connection, begun: int) -> Iterator[tuple[tuple[int, int], str]]:
    """Every place with its leaf hash; "gap" for those that a gap declares, or that were released and dropped.

    `begun`: the last epoch that the scene was told of.
    """
    rows = db.execute("SELECT epoch, seq, raw, leaf, kind FROM record ORDER BY epoch, seq").fetchall()
    marks = dict(db.execute("SELECT name, value FROM mark"))
    acked = marks.get("acked", "0 -1").split()
    yield from (((int(acked[0]), seq), "gap") for seq in range(int(acked[1]) + 1))
    for epoch in range(1, begun):  # what another epoch disputed may go first, for room
        yield from (((epoch, seq), "gap") for seq in range(SCENE_RECORDS))
    for epoch, seq, raw, leaf, kind in rows:
        if kind == "gap" and raw is not None:
            gap = codec.open_record(raw, ORIGIN, PROBE, KEY.verifier).record
            assert isinstance(gap, GapRecord)
            yield from (((gap.gap_epoch, one), "gap") for one in range(gap.from_seq, gap.to_seq + 1))
        if raw is not None:
            yield (epoch, seq), codec.leaf_text(leaf)


if __name__ == "__main__":
    sys.exit(main())
