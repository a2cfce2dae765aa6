"""`make fuzz`: every door under atheris, guided by the branches that an input reaches; what breaks one is kept.

python -m tests.fuzz [--seconds N] [--only NAME ...] [--keep N]     exit 1 if a door broke what it declared

Each door runs in a process of its own with 1.5 GB of memory and at most 10 s an input: more is a defect too. What it
broke on is kept in tests/fuzz/corpus/<door>, from where `make test` tries it for ever; `--keep` adds the smallest
inputs that reached something new, so that the next run begins there.
"""

from __future__ import annotations

import argparse
import importlib
import os
import random
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.door import MOST_KEPT_BYTES, TOKENS, Door

SIDES = ("doors_wire", "doors_probe", "doors_collector")
OWN = ["wire", "probe", "point", "collector", "provisioning"]
ROOT = Path(__file__).parents[2]
MEMORY_MB, INPUT_S = 1_500, 10
_RUNS = re.compile(r"^#(\d+)\s", re.MULTILINE)


def main(argv: list[str] | None = None) -> int:
    """Fuzz all doors, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=60, help="how long each door is tried (60)")
    parser.add_argument("--only", nargs="*", default=[], help="only these doors")
    parser.add_argument("--keep", type=int, default=0, help="how many new inputs a door's corpus may take (0)")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args(argv)
    if asked.one:
        return _inside(asked.one, asked.folder, asked.seconds)
    sides = {side: importlib.import_module(f"tests.fuzz.{side}").DOORS for side in SIDES}
    by_name = {door.name: (side, door) for side, doors in sides.items() for door in doors}
    strange = set(asked.only) - set(by_name)
    if strange:
        parser.error(f"no door {', '.join(sorted(strange))}; there are {', '.join(by_name)}")
    broken, inputs = [], 0
    for name in asked.only or list(by_name):
        count, found = _outside(*by_name[name], asked.seconds, asked.keep)
        inputs += count
        broken += [name] * bool(found)
        print(f"{name:20} {count:>9} inputs  {found or 'held'}", flush=True)
    doors = len(asked.only or by_name)
    verdict = f"broken: {', '.join(broken)}" if broken else "met"
    print(f"goal: fuzzing: {doors} doors, {inputs} inputs, {len(broken)} doors that broke (0): {verdict}")
    return 1 if broken else 0


def _outside(side: str, door: Door, seconds: int, keep: int) -> tuple[int, str]:
    """Fuzz one door in a process of its own: how many inputs it took, and what broke it ("": nothing)."""
    with tempfile.TemporaryDirectory(prefix="dosong-fuzz-") as name:
        folder = Path(name)
        (folder / "corpus").mkdir()
        known = {*door.seeds, *(raw for _, raw in door.kept())}
        for number, seed in enumerate(sorted(known, key=len)):
            (folder / "corpus" / f"seed-{number:04}").write_bytes(seed[: door.most_bytes])
        words = [
            sys.executable,
            "-m",
            "tests.fuzz",
            "--one",
            f"{side}/{door.name}",
            "--folder",
            name,
            "--seconds",
            str(seconds),
        ]
        own = {**os.environ, "TMPDIR": name}  # libFuzzer ends without tidying up
        done = subprocess.run(words, cwd=ROOT, env=own, capture_output=True, text=True, errors="replace", check=False)
        crashes = [path for path in folder.iterdir() if path.name.startswith(("crash-", "timeout-", "oom-"))]
        kept = [door.keep(path.read_bytes()) for path in crashes]
        _grow(door, folder / "corpus", known, keep)
        runs = [int(number) for number in _RUNS.findall(done.stderr)]
        what = "; ".join(line for line in done.stderr.splitlines() if "Error" in line or "ERROR" in line)[:300]
        said = f"BROKEN: {what}; kept as {', '.join(str(path.relative_to(ROOT)) for path in kept)}"
        return max(runs, default=0), said if crashes or done.returncode else ""


def _grow(door: Door, folder: Path, known: set[bytes], most: int) -> None:
    fresh = [path.read_bytes() for path in folder.iterdir() if not path.name.startswith("seed-")]
    for raw in sorted(set(fresh) - known, key=len)[:most]:
        if raw and len(raw) <= MOST_KEPT_BYTES:
            door.keep(raw)


def _inside(place: str, folder: Path, seconds: int) -> int:
    """One door under libFuzzer; does not return after a crash. Only what the door opens on is instrumented."""
    import atheris  # noqa: PLC0415 (of the extra `fuzz`; the process that starts this one needs none of it)

    side, _, name = place.partition("/")
    with atheris.instrument_imports(include=OWN, enable_loader_override=False):
        doors = importlib.import_module(f"tests.fuzz.{side}").DOORS
    door = next(one for one in doors if one.name == name)
    dice = random.Random(time.time_ns())

    def mutate(given: bytes, most: int, seed: int) -> bytes:
        """libFuzzer's own changes, and one in three a word that breaks parsers."""
        if seed % 3:
            return bytes(atheris.Mutate(given, most))
        at = dice.randint(0, len(given))
        return (given[:at] + dice.choice(TOKENS) + given[at + dice.choice((0, 0, 1, 8)) :])[:most]

    options = [
        f"-max_total_time={seconds}",
        f"-timeout={INPUT_S}",
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={folder}/",
        f"-max_len={min(door.most_bytes, 100_000)}",
        "-print_final_stats=1",
    ]
    words = [sys.argv[0], *options, str(folder / "corpus")]
    atheris.Setup(words, lambda given: door.knock(given) and None, custom_mutator=mutate)
    atheris.Fuzz()
    return 0


if __name__ == "__main__":
    sys.exit(main())
