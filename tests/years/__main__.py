"""`python -m tests.years`: years of operation from seeds, and defects switched on to see that they are found.

Examples:
  python -m tests.years --seeds 1000          1,000 seeds of one probe-year, two at a time
  python -m tests.years --first 4711 --seeds 1   one seed again, as a failure prints it
  python -m tests.years --mutants              each known defect, and after how many seeds it was found
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass

from tests.years.scenes import SCENES
from tests.years.terms import YEAR_MS, Mutants
from tests.years.world import World

MUTANT_SEEDS = 60
"""So many seeds a defect has to hide in at most."""


@dataclass(frozen=True, slots=True)
class Lived:
    """How one seed ended: what was broken, None if nothing was, and how much happened in it."""

    seed: int
    broken: str | None
    records: int
    faults: int


def live(seed: int, days: int, mutants: frozenset[str] = frozenset()) -> Lived:
    """One probe for so many days, the faults of its seed, four days of quiet, and every promise."""
    world = World(seed, mutants)
    broken = None
    try:
        world.live(days * (YEAR_MS // 365))
        world.settle()
    except AssertionError as error:
        broken = str(error)
    return Lived(seed, broken, len(world.truth.all), sum(world.faults.values()))


def _one(job: tuple[int, int]) -> Lived:
    return live(*job)


def years(first: int, seeds: int, days: int, jobs: int) -> int:
    """Run seeds, say which were broken; return 1 if any was."""
    began_s, done, broken = time.monotonic(), 0, list[Lived]()
    records = faults = 0
    with ProcessPoolExecutor(jobs) as pool:
        for lived in pool.map(_one, [(seed, days) for seed in range(first, first + seeds)], chunksize=4):
            done, records, faults = done + 1, records + lived.records, faults + lived.faults
            if lived.broken is not None:
                broken.append(lived)
                print(f"seed {lived.seed} commit {_commit()}: {lived.broken}", flush=True)
            if done % 50 == 0:
                print(f"{done} of {seeds} seeds, {len(broken)} broken, {time.monotonic() - began_s:.0f} s", flush=True)
    print(f"goal: {seeds} seeds of {days} days: {records} records, {faults} faults, {len(broken)} promises broken (0)")
    return 1 if broken else 0


def mutants() -> int:
    """Switch each defect on until a seed finds it; return 1 if one is never found."""
    missed = 0
    for name in Mutants.NAMES:
        if name in SCENES and (shown := _scene(name)) is not None:
            print(f"{name:28} found by its scene: {shown[:90]}", flush=True)
            continue
        for seed in range(MUTANT_SEEDS):
            lived = live(seed, 120, frozenset({name}))
            if lived.broken is not None:
                print(f"{name:28} found by seed {seed}: {lived.broken[:90]}", flush=True)
                break
        else:
            missed += 1
            print(f"{name:28} NOT found in {MUTANT_SEEDS} seeds", flush=True)
    print(f"goal: {len(Mutants.NAMES) - missed} of {len(Mutants.NAMES)} defects found (all)")
    return 1 if missed else 0


def _scene(name: str) -> str | None:
    world = World(7, frozenset({name}))
    try:
        SCENES[name](world)
        world.settle()
    except AssertionError as error:
        return str(error)
    return None


def _commit() -> str:
    found = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def main() -> int:
    """Parse the command line and run."""
    doc, _, examples = (__doc__ or "").partition("\n\n")
    parser = argparse.ArgumentParser(
        prog="python -m tests.years", description=doc, epilog=examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--seeds", type=int, default=1000, help="how many seeds (default %(default)s)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (default %(default)s)")
    parser.add_argument("--days", type=int, default=365, help="how many days each (default %(default)s)")
    parser.add_argument("--jobs", type=int, default=2, help="how many at a time (default %(default)s)")
    parser.add_argument("--mutants", action="store_true", help="switch each known defect on and see it found")
    told = parser.parse_args()
    return mutants() if told.mutants else years(told.first, told.seeds, told.days, told.jobs)


if __name__ == "__main__":
    sys.exit(main())
