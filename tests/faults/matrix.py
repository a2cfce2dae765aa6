"""`python -m tests.faults.matrix`: every fault that the promises must bear, each with the programs that play it.

Twenty-five rows. The short form of a row is tests of every day (`make test` runs them all; `--short` runs a row's
alone); its full form is a program that plays the fault with the real programs and says `goal:` lines. Where a row has
no program its tests play the fault in full against the real programs, and are run. At the end stands one table: row,
what ran, result, figure.

Examples:
  python -m tests.faults.matrix --list              the rows, their invariants, their tests and programs
  python -m tests.faults.matrix --short             every row's tests (ten minutes)
  python -m tests.faults.matrix --row 5 6 9         these rows' programs, in full
  python -m tests.faults.matrix --json matrix.json  everything in full (an hour), and the table as JSON

Source: facts note 08 §7.2 (rows), §7 (invariants I1 to I9).
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.faults.rows import BESIDE, ROWS, Row

ROOT = Path(__file__).resolve().parents[2]
RUN_S = 3 * 3600
SAID = ROOT / "bench" / "results" / "matrix"
"""All that each program said, whatever the table has of it."""


@dataclass(slots=True)
class Outcome:
    """What one row came to. `runs`: tests passed, or programs played; `figures`: their goal lines, shortened."""

    row: int
    fault: str
    runs: int = 0
    seconds: float = 0.0
    is_ok: bool = True
    figures: list[str] = field(default_factory=list)
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """How a program ended, what it printed, and how long it took."""

    code: int
    out: str
    wrong: str
    seconds: float


_PIPES: dict[str, Any] = {"cwd": ROOT, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}


def main(argv: Sequence[str] | None = None) -> int:
    """Run rows and print the table; exit status 0 if every promise was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", type=int, nargs="+", metavar="N", choices=range(1, 26), help="these rows (all)")
    parser.add_argument("--short", action="store_true", help="the rows' tests instead of their programs")
    parser.add_argument("--list", action="store_true", help="say what there is and end")
    parser.add_argument("--json", type=Path, help="write the table there too")
    told = parser.parse_args(argv)
    rows = [row for row in ROWS if not told.row or row.number in told.row]
    if told.list:
        _list(rows)
        return 0
    outcomes = _short(rows) if told.short else _full(rows)
    _table(outcomes)
    if told.json:
        told.json.write_text(json.dumps([asdict(one) for one in outcomes], indent=1) + "\n")
    return 0 if all(one.is_ok for one in outcomes) else 1


def _list(rows: Sequence[Row]) -> None:
    for row in rows:
        print(f"{row.number:2} {row.fault}\n   must hold: {row.holds}")
        for test in row.tests:
            print(f"   short: {test}")
        for program in row.programs:
            print(f"   full:  python -m {program}")


def _short(rows: Sequence[Row]) -> list[Outcome]:
    outcomes = []
    for row in rows:
        print(f"row {row.number}: {row.fault} ...", flush=True)
        begun_s = time.monotonic()
        done = _python("pytest", "-q", "-p", "no:cacheprovider", "--no-header", *row.tests)
        passed = re.search(r"(\d+) passed", done.stdout)
        one = Outcome(row.number, row.fault, int(passed[1]) if passed else 0, time.monotonic() - begun_s)
        one.is_ok = done.returncode == 0
        one.figures = [done.stdout.strip().splitlines()[-1]] if done.stdout.strip() else []
        outcomes.append(one)
    return outcomes


def _full(rows: Sequence[Row]) -> list[Outcome]:
    """Run each program once, though several rows name it, and fold what they said into the rows."""
    wanted = list(dict.fromkeys(program for row in rows for program in row.programs))
    beside = {one: subprocess.Popen(_argv(*one.split()), **_PIPES) for one in wanted if one in BESIDE}
    said: dict[str, Said] = {}
    begun_s = time.monotonic()
    try:
        for program in wanted:
            if program not in beside:
                print(f"python -m {program} ...", flush=True)
                said[program] = _ran(program)
        outcomes = [_short([row])[0] for row in rows if not row.programs]
        for program, process in beside.items():
            print(f"python -m {program} ... (begun with the first)", flush=True)
            out, wrong = process.communicate(timeout=RUN_S)
            said[program] = Said(process.returncode, out, wrong, time.monotonic() - begun_s)
    finally:
        for process in beside.values():
            if process.poll() is None:
                process.kill()
                process.wait()
    outcomes += [_folded(row, said) for row in rows if row.programs]
    return sorted(outcomes, key=lambda one: one.row)


def _ran(program: str) -> Said:
    begun_s = time.monotonic()
    done = _python(*program.split())
    return Said(done.returncode, done.stdout, done.stderr, time.monotonic() - begun_s)


def _folded(row: Row, said: dict[str, Said]) -> Outcome:
    one = Outcome(row.number, row.fault)
    for program in row.programs:
        _take(one, program, said[program])
    return one


def _take(one: Outcome, program: str, said: Said) -> None:
    one.runs += 1
    one.seconds += said.seconds
    SAID.mkdir(parents=True, exist_ok=True)
    (SAID / f"{re.sub(r'[^a-z0-9]+', '-', program)}.log").write_text(said.out + said.wrong)
    goals = [line for line in said.out.splitlines() if line.startswith("goal: ")]
    one.figures += [line.removeprefix("goal: ") for line in goals]
    if said.code or any(line.endswith(": short") for line in goals):
        one.is_ok = False
    if said.code and not goals:
        one.trouble = f"{program} ended with {said.code}: {(said.wrong or said.out).strip()[-200:]}"


def _argv(*words: str) -> list[str]:
    return ["nice", "-n", "10", sys.executable, "-m", *words]


def _python(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *words], cwd=ROOT, capture_output=True, text=True, timeout=RUN_S, check=False
    )


def _table(outcomes: Sequence[Outcome]) -> None:
    print(f"\n{'row':>3}  {'runs':>4}  {'s':>6}  result  fault and figures")
    for one in outcomes:
        result = "ok" if one.is_ok else "BROKEN"
        print(f"{one.row:3}  {one.runs:4}  {one.seconds:6.0f}  {result:6}  {one.fault}")
        for figure in [*one.figures, one.trouble]:
            if figure:
                print(f"{'':26}{figure}")
    held = sum(one.is_ok for one in outcomes)
    if held < len(outcomes):
        print(f"what each program said is in {SAID.relative_to(ROOT)}/")
    print(f"goal: {held} of {len(outcomes)} rows hold (all)")


if __name__ == "__main__":
    sys.exit(main())
