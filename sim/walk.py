"""`dosong-sim walk`: a probe goes through everything that a cultural house does to it, and a table says how it went.

Each fault is played while the real programs run, a power cut within it, and taken back. For each the table says what
the records named, which rung was taken, how long it took until normal work, and whether that is what it should be.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sim import ns, walk_ledger, walk_scene, walk_show
from sim.walk_cases import Row
from sim.walk_lane import Lane, Walker
from sim.walk_lanes import LANES, SHORT
from wire.errors import EXIT_FAILED, EXIT_OK, DosongError, Misconfigured

RESULTS = Path("bench/results")
AT_ONCE, SHORT_SLOT_S = 6, 10


def add_parser(subparsers: Any) -> None:
    """Register `dosong-sim walk`."""
    parser = subparsers.add_parser(
        "walk",
        help="every fault of a cultural house in turn, and one table of what the records said of it",
        description="Plays each fault with the real programs and judges what the records say. Needs root; ~10 minutes.",
        epilog="examples: dosong-sim walk | dosong-sim walk --short | dosong-sim walk --only sim-puk,portal --no-cuts\n"
        "exit status: 0 every verdict is right, 1 one is not, 78 this machine does not allow it",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--short", action="store_true", help="five faults, no power cuts: a minute")
    parser.add_argument("--only", metavar="FAULTS", default="", help="these faults alone, with commas between")
    parser.add_argument("--no-cuts", action="store_true", help="no power cut within the faults")
    parser.add_argument("--out", type=Path, default=RESULTS, metavar="DIR", help="where walk.md and walk.json go")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="keep settings, spools and logs here")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Walk, print the table, and say with the exit status whether every verdict is right."""
    ns.require_root("the walk")
    lanes = chosen(LANES, [word for word in args.only.split(",") if word] or (list(SHORT) if args.short else []))
    if args.short:
        lanes = tuple(replace(lane, setting=replace(lane.setting, slot_s=SHORT_SLOT_S)) for lane in lanes)
    has_cuts = not (args.no_cuts or args.short)
    with tempfile.TemporaryDirectory(prefix="dosong-walk-") as made:
        root = (args.keep or Path(made)).absolute()
        rows, lost = walk(root, lanes, has_cuts=has_cuts)
    text = walk_show.markdown(rows, lost)
    print(text)
    args.out.mkdir(parents=True, exist_ok=True)
    stamp = datetime.now(UTC).isoformat(timespec="seconds")
    (args.out / "walk.md").write_text(f"{text}\n", encoding="utf-8")
    (args.out / "walk.json").write_text(
        json.dumps(
            {"at": stamp, "cuts": has_cuts, "lost": lost, "rows": [walk_show.plain(row) for row in rows]}, indent=1
        )
    )
    wanted = sum(len(lane.faults) for lane in lanes)
    is_right = len(rows) == wanted and not lost and all(not row.wrong for row in rows)
    return EXIT_OK if is_right else EXIT_FAILED


def chosen(lanes: tuple[Lane, ...], faults: list[str]) -> tuple[Lane, ...]:
    """The lanes with only `faults` left in them (none given: all). Raises Misconfigured for one that no lane has."""
    known = {fault for lane in lanes for fault in lane.faults}
    if unknown := sorted(set(faults) - known):
        raise Misconfigured(f"no lane walks through {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    if not faults:
        return lanes
    kept = (replace(lane, faults=tuple(fault for fault in lane.faults if fault in faults)) for lane in lanes)
    return tuple(lane for lane in kept if lane.faults)


def walk(root: Path, lanes: tuple[Lane, ...], *, has_cuts: bool) -> tuple[list[Row], list[str]]:
    """Walk all lanes, a few at once. Returns their rows in the order of time, and what the ledger lacks, in words."""
    root.mkdir(parents=True, exist_ok=True)
    begin = time.monotonic()
    world = walk_scene.bring_up(root, f"walk-{os.getpid()}-{secrets.token_hex(2)}", [lane.probe for lane in lanes])
    lock = threading.Lock()

    def say(text: str) -> None:
        with lock:
            print(text, file=sys.stderr, flush=True)

    walkers: list[Walker] = []

    def one(lane: Lane) -> None:
        """A lane that cannot go on leaves its rows out, and the others walk on."""
        try:
            walker = Walker(world, lane, say, has_cuts=has_cuts)
            walkers.append(walker)
            walker.walk()
        except (DosongError, OSError, subprocess.SubprocessError) as error:
            say(f"{lane.name}: walks no further: {error}")

    try:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(one, lanes))
        lost = walk_ledger.missing(walk_scene.collector_settings(world), [walker.kept for walker in walkers])
    finally:
        walk_scene.stop(world)
    say(f"walked for {time.monotonic() - begin:.0f} s")
    return sorted((row for walker in walkers for row in walker.rows), key=lambda row: row.began_s), lost
