"""`python -m tests.faults.mutants`: defects put into the programs one by one; the tests of every day must see each.

Each is a change of a line or two in a copy of the tree (what git knows of it, with what is not committed yet). The
tests named beside it run there twice: first unchanged, where they must pass, then with the defect, where one must
fail. What passes both times guards nothing.

Examples:
  python -m tests.faults.mutants                            all of them, one table
  python -m tests.faults.mutants --only no_fsync no_unique  these
  python -m tests.faults.mutants --list                     their names and what they change

Source: facts note 08 §7.3. The same defects in the simulated years: `python -m tests.years --mutants`.
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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.faults.mutant import Edit, Mutant
from tests.faults.mutants_postgres import POSTGRES

ROOT = Path(__file__).resolve().parents[2]
TEST_S = 600
"""So long one run of a mutant's tests may take; longer than that is as good as a failure."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the tests said. `caught_by` is None if none of them saw it; `trouble`: why this says nothing at all."""

    mutant: Mutant
    caught_by: str | None
    seconds: float
    trouble: str | None = None


_SPOOL_SYNC = 'db.execute("PRAGMA synchronous = FULL")'
_PERSIST = (
    "        self._store.keep(shard.n, signed)\n"
    '        self._step("persisted")\n'
    "        self._note(shard, signed)\n"
    "        files.publish(note)\n"
    '        self._step("published")\n'
)
_PUBLISH_FIRST = (
    "        files.publish(note)\n"
    '        self._step("published")\n'
    "        self._store.keep(shard.n, signed)\n"
    '        self._step("persisted")\n'
)
_UNIQUE = "obj = dict(pairs)\n    if len(obj) != len(pairs):"
_LAST_WINS = "obj = dict(pairs)\n    if not pairs and obj:"
_PUMP = '        """Offer the rules what waits, if anything changed or is overdue."""\n'
_ON_PUBACK = (
    "        if self._state.under_way and not session.unconfirmed:\n"
    "            for epoch, seq in self._state.under_way:\n"
    "                self._spool.release(epoch, seq, self._clocks.wall_ms(), self._life_ms())\n"
)
_AUTHENTICATED = "    return note.verify(taken, verifier)[len(first) : -1]\n"
_SPELLED_ANEW = (
    "    said = json.loads(taken.text[len(first) :])\n"
    '    anew = json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()\n'
    '    return note.verify(note.Note(first + anew + b"\\n", taken.signatures), verifier)[len(first) : -1]\n'
)

MUTANTS = (
    Mutant(
        "no_fsync",
        "a record is promised before it is on the probe's disk",
        (Edit("probe/spool_open.py", _SPOOL_SYNC, 'db.execute("PRAGMA synchronous = OFF")'),),
        ("tests/probe/test_power_cut.py",),
    ),
    Mutant(
        "synchronous_normal",
        "the spool's commits are in the log of SQLite, not on the disk",
        (Edit("probe/spool_open.py", _SPOOL_SYNC, 'db.execute("PRAGMA synchronous = NORMAL")'),),
        ("tests/probe/test_power_cut.py",),
    ),
    Mutant(
        "ledger_synchronous_normal",
        "the ledger's commits are acknowledged before they are on the disk",
        (Edit("collector/sqlite.py", 'execute("PRAGMA synchronous=FULL")', 'execute("PRAGMA synchronous=NORMAL")'),),
        ("tests/collector/test_ledger.py",),
    ),
    Mutant(
        "delete_on_puback",
        "the broker's word, which is in its memory only, releases a record",
        (Edit("probe/publish.py", _PUMP, _PUMP + _ON_PUBACK),),
        ("tests/probe/test_publish.py",),
    ),
    Mutant(
        "ack_before_commit",
        "a group is answered and committed with the next one",
        (
            Edit(
                "collector/ledger_write.py",
                "            self._db.execute(self.begin)\n            yield",
                '            if self._db.in_transaction:\n                self._db.execute("COMMIT")\n'
                "            self._db.execute(self.begin)\n            yield",
            ),
            Edit(
                "collector/ledger_write.py",
                'self._rollups.flush()\n            self._db.execute("COMMIT")\n',
                "self._rollups.flush()\n",
            ),
        ),
        ("tests/faults/test_short.py::test_killed_once_at_every_step_everybody_agrees",),
    ),
    Mutant(
        "no_unique",
        "one place in a probe's chain may be held twice",
        (
            Edit(
                "collector/schema/ledger_v6.sql",
                "CREATE UNIQUE INDEX entry_identity",
                "CREATE INDEX entry_identity",
            ),
        ),
        ("tests/collector/test_ledger_contract.py",),
    ),
    Mutant(
        "verified_after_serialising_again",
        "a signature is checked over bytes that we wrote, not over those that came",
        (Edit("wire/plain.py", _AUTHENTICATED, _SPELLED_ANEW),),
        ("tests/wire/test_codec.py", "tests/wire/test_plain_bytes.py"),
    ),
    Mutant(
        "last_key_wins",
        "an object with one key twice is read, by its last value",
        (Edit("wire/canon.py", _UNIQUE, _LAST_WINS), Edit("wire/plain.py", _UNIQUE, _LAST_WINS)),
        ("tests/wire/test_canon.py", "tests/wire/test_codec.py", "tests/wire/test_plain_bytes.py"),
    ),
    Mutant(
        "published_before_persisted",
        "a checkpoint is shown that the sealer does not remember after a stop",
        (Edit("collector/seal.py", _PERSIST, _PUBLISH_FIRST),),
        ("tests/collector/test_seal.py",),
    ),
    Mutant(
        "client_id_not_forced",
        "a probe may take the collector's session",
        (Edit("provisioning/broker.py", "use_username_as_clientid true\n", ""),),
        ("tests/provisioning/test_broker.py", "tests/provisioning/test_broker_check.py"),
    ),
    Mutant(
        "batch_dropped_on_400",
        "one bad point takes 4,999 good ones with it",
        (
            Edit(
                "collector/forward_send.py",
                'if len(batch) == 1 or error.detail.endswith(f"dropped={len(batch)}"):',
                "if batch:",
            ),
        ),
        (
            "tests/collector/test_forward.py::test_bisection_finds_every_bad_line_in_few_requests",
            "tests/collector/test_forward.py::test_a_poison_point_is_parked_and_the_rest_goes_on",
        ),
    ),
    Mutant(
        "wall_clock_for_intervals",
        "what lies between two moments changes when somebody sets the clock",
        (Edit("probe/devices/clock.py", "time.CLOCK_BOOTTIME", "time.CLOCK_REALTIME"),),
        ("tests/probe/test_clock.py",),
    ),
    Mutant(
        "gap_not_declared",
        "a full spool drops records and says nothing",
        (
            Edit(
                "probe/spool.py",
                '        self._insert("gap", lambda place: seal_gap(dropped, place), WAITING)\n        return dropped',
                "        return dropped",
            ),
        ),
        ("tests/probe/test_spool.py",),
    ),
    *POSTGRES,
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run them; 0 if every defect was seen."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", choices=[one.name for one in MUTANTS], help="these only")
    parser.add_argument("--list", action="store_true", help="say what there is")
    told = parser.parse_args(argv)
    chosen = [one for one in MUTANTS if not told.only or one.name in told.only]
    if told.list:
        for one in chosen:
            print(f"{one.name:34} {one.breaks} ({', '.join(edit.file for edit in one.edits)})")
        return 0
    outcomes = []
    for one in chosen:
        print(f"{one.name}: {one.breaks} ...", flush=True)
        outcomes.append(tried(one))
    return _report(outcomes)


def _report(outcomes: list[Outcome]) -> int:
    print(f"\n{'defect':34} {'seen after':>10}  by")
    for one in outcomes:
        by = one.trouble or one.caught_by or "NOBODY"
        print(f"{one.mutant.name:34} {one.seconds:8.1f} s  {by}")
    seen = sum(one.caught_by is not None and one.trouble is None for one in outcomes)
    print(f"goal: {seen} of {len(outcomes)} defects seen by the short tests (all)")
    return 0 if seen == len(outcomes) else 1


def tried(mutant: Mutant) -> Outcome:
    """Run a mutant's tests in a copy of the tree, without and with it."""
    with tempfile.TemporaryDirectory(prefix="dosong-mutant-") as name:
        tree = copied(Path(name))
        well, _ = _tests(tree, mutant.tests)
        if well is not None:
            return Outcome(mutant, None, 0.0, f"{well} fails without it too")
        for edit in mutant.edits:
            apply(tree, edit)
        begun_s = time.monotonic()
        caught_by, _ = _tests(tree, mutant.tests)
        return Outcome(mutant, caught_by, time.monotonic() - begun_s)


def copied(folder: Path) -> Path:
    """A copy of the tree as it lies here, without what git ignores; what lies beside it is linked."""
    tree = folder / "tree"
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, check=True,
    )  # fmt: skip
    for relative in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / relative).is_file():
            (tree / relative).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / relative, tree / relative)
    if (ROOT.parent / "shared").exists():
        (folder / "shared").symlink_to(ROOT.parent / "shared")
    return tree


def apply(tree: Path, edit: Edit) -> None:
    """Change one file. Raises ValueError if the text to change is not there exactly once: the code moved on."""
    path = tree / edit.file
    text = path.read_text()
    if text.count(edit.old) != 1:
        raise ValueError(f"{edit.file} holds {text.count(edit.old)} times what a mutant changes; bring it up to date")
    path.write_text(text.replace(edit.old, edit.new))


def _tests(tree: Path, tests: Sequence[str]) -> tuple[str | None, str]:
    """Run tests until the first that fails; its id, None if all passed, and what was printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "--no-header", "-rf", *tests]
    environment = os.environ | {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            command, cwd=tree, capture_output=True, text=True, timeout=TEST_S, check=False, env=environment
        )
    except subprocess.TimeoutExpired:
        return f"{tests[0]} (not done after {TEST_S} s)", ""
    if done.returncode == 0:
        return None, done.stdout
    failed = re.search(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return (failed.group(1) if failed else f"exit {done.returncode}: {done.stdout[-200:]!r}"), done.stdout


if __name__ == "__main__":
    sys.exit(main())
