"""How many fakes the rules find, and how many honest records they suspect: `make bench-fakes`.

A month of a fleet by `sim.fleet` goes through the real door into a real ledger, is judged by the real judge, and what
it says is held against the truth. A class is found by what the facts ask of it: refused at the door (`edited`), no
evidence for the slot (`dropped`), not counted (`stuffing`), claimed at most (`backfilled`), suspect (all others).
Prints a table, `goal:` lines, and writes `bench/results/fakes.json`. Source: facts note 08 §3.5, §8.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from collector.core.verdict import Judgement, Verdict, Weight
from collector.core.verdict_case import Network
from collector.core.verdict_rules import RULES
from collector.ingest import Ingest, Message
from collector.ledger import LedgerReader
from collector.ledger_write import SqliteLedger
from collector.registry import Registry
from collector.verdict_service import Judge
from collector.verdict_store import VerdictStore
from sim import fleet as fleets
from sim.fleet import Fleet
from sim.fleet_fakes import WITHOUT_RECEIPTS
from sim.fleet_world import PREFIXES
from wire import bundle


@dataclass(slots=True)
class Class:
    """One class of fakes: how many there were, how many were found, by which rules."""

    made: int = 0
    found: int = 0
    rules: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """What the judge made of a fleet. `honest*` count records of honest stations."""

    classes: dict[str, Class]
    honest: int = 0
    honest_suspect: int = 0
    honest_rejected: int = 0
    honest_refused: int = 0
    honest_rules: Counter[str] = field(default_factory=Counter)
    honest_tests: Counter[str] = field(default_factory=Counter)
    records: int = 0
    judge_s: float = 0.0


@dataclass(slots=True)
class World:
    """A ledger that took a fleet, and its verdicts."""

    reader: LedgerReader
    store: VerdictStore
    judge: Judge
    ledger: SqliteLedger
    last_ms: int


@contextmanager
def world(fleet: Fleet, folder: Path) -> Iterator[World]:
    """Take every delivery at its time."""
    registry = Registry(folder / "registry.db")
    registry.load(fleet.registry, 0)
    ledger = SqliteLedger(folder / "ledger.db")
    ingest = Ingest(ledger, registry, fleets.ORIGIN)
    reader, store = LedgerReader(folder / "ledger.db"), VerdictStore(folder / "verdict.db")
    try:
        for one in fleet.deliveries:
            ingest.take([Message(one.topic, bundle.encode(one.entries))], one.sent_ms)
        judge = Judge(reader, registry, store, Network(PREFIXES), ingest.mark)
        yield World(reader, store, judge, ledger, fleet.deliveries[-1].sent_ms)
    finally:
        store.close()
        reader.close()
        ledger.close()
        registry.close()


def examine(fleet: Fleet, here: World) -> Outcome:
    """Judge everything, and hold it against the truth."""
    began_s = time.monotonic()
    here.judge.all(here.last_ms)
    outcome = Outcome({}, judge_s=time.monotonic() - began_s)
    samples = {s.leaf.hex(): s for s in here.reader.samples(limit=10_000_000)}
    judged: dict[int, Judgement] = {}
    numbers = sorted(s.n for s in samples.values())
    for at in range(0, len(numbers), 500):
        judged |= here.store.of(numbers[at : at + 500])
    outcome.records = len(samples)
    empty = {(probe, one.slot_ms) for probe, one in here.store.empty_slots()}
    for fake in fleet.faked:
        name = f"{fake.fake}/{fake.kind}"
        row = outcome.classes.setdefault(name, Class())
        sample = samples.get(fake.leaf)
        verdict = judged.get(sample.n) if sample is not None else None
        row.made += 1
        row.rules.update(hit.rule for hit in verdict.hits) if verdict else None
        is_found = {
            "edited": sample is None,
            "dropped": (fake.probe, fake.slot_ms) in empty,
            "stuffing": sample is not None and not sample.counted,
            "backfilled": verdict is not None and verdict.verdict in (Verdict.CLAIMED, Verdict.SUSPECT),
        }.get(fake.fake, verdict is not None and verdict.is_suspect)
        row.found += bool(is_found)
        if not is_found:
            row.missed.append(f"{fake.probe} {fake.leaf[:12]} {fake.slot_ms}")
    _honest(fleet, here, outcome, judged)
    return outcome


def _honest(fleet: Fleet, here: World, outcome: Outcome, judged: dict[int, Judgement]) -> None:
    honest = set(fleet.honest)
    for sample in here.reader.samples(limit=10_000_000):
        if sample.probe not in honest:
            continue
        verdict = judged[sample.n]
        outcome.honest += 1
        outcome.honest_suspect += verdict.is_suspect
        outcome.honest_rejected += any(RULES[hit.rule].weight is Weight.REJECT for hit in verdict.hits)
        if sample.kind == "test":
            outcome.honest_tests[str(verdict.verdict)] += 1
        if verdict.is_suspect:
            outcome.honest_rules.update(hit.rule for hit in verdict.hits)
    outcome.honest_refused = sum(one.probe in honest for one in here.reader.refusals(1_000_000))


def table(outcome: Outcome) -> str:
    """One line a variation of a class, then what became of the honest."""
    lines = [f"{'CLASS':<14}{'MADE':>7}{'FOUND':>7}{'RECALL':>9}  BY"]
    for name, row in outcome.classes.items():
        rules = ", ".join(f"{rule} {count}" for rule, count in row.rules.most_common(4))
        lines.append(f"{name:<14}{row.made:>7}{row.found:>7}{row.found / row.made:>9.2%}  {rules}")
    share = outcome.honest_suspect / max(1, outcome.honest)
    lines += [
        "",
        f"honest: {outcome.honest} records, {outcome.honest_suspect} suspect ({share:.3%}), {outcome.honest_rejected}"
        f" rejected, {outcome.honest_refused} refused; tests: {dict(outcome.honest_tests)}",
        f"rules that suspect honest records: {dict(outcome.honest_rules.most_common())}",
        f"judged {outcome.records} records in {outcome.judge_s:.1f} s"
        f" ({outcome.records / max(outcome.judge_s, 1e-9):.0f} a second)",
    ]
    return "\n".join(lines)


def goals(outcome: Outcome) -> Iterator[str]:
    """The goals of facts note 08 §8."""
    by_class: dict[str, list[tuple[str, Class]]] = defaultdict(list)
    for name, row in outcome.classes.items():
        by_class[name.partition("/")[0]].append((name, row))
    for fake, rows in by_class.items():
        share = sum(row.found for _, row in rows) / sum(row.made for _, row in rows)
        yield _goal(f"fakes {fake}, recall", f"{share:.2%}", "99 %", is_met=share >= 0.99)
    covered = [r for n, r in outcome.classes.items() if n.partition("/")[0] in ("speed", "wifi", "replay") and _seen(n)]
    share = sum(row.found for row in covered) / max(1, sum(row.made for row in covered))
    yield _goal("fakes that a receipt covers, recall", f"{share:.2%}", "100 %", is_met=share == 1)
    rejected = (outcome.honest_rejected + outcome.honest_refused) / max(1, outcome.honest)
    yield _goal("honest records rejected", f"{rejected:.3%}", "at most 0.1 %", is_met=rejected <= 0.001)
    suspect = outcome.honest_suspect / max(1, outcome.honest)
    yield _goal("honest records suspected", f"{suspect:.3%}", "at most 1 %", is_met=suspect <= 0.01)


def _seen(name: str) -> bool:
    fake, _, kind = name.partition("/")
    return (fake, int(kind)) not in WITHOUT_RECEIPTS


def _goal(name: str, figure: str, goal: str, *, is_met: bool) -> str:
    return f"goal: {name}: {figure} ({goal}): {'met' if is_met else 'short'}"


def main() -> int:
    """Run it; exit status 0 if it could be measured."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--honest", type=int, default=30)
    parser.add_argument("--days", type=int, default=31)
    parser.add_argument("--per-kind", type=int, default=1)
    parser.add_argument("--missed", action="store_true", help="list what was missed")
    args = parser.parse_args()
    fleet = fleets.make(args.seed, args.honest, args.days, args.per_kind)
    with tempfile.TemporaryDirectory() as folder, world(fleet, Path(folder)) as here:
        outcome = examine(fleet, here)
    print(table(outcome))
    for name, row in outcome.classes.items() if args.missed else ():
        print(name, *row.missed[:20], sep="\n  ")
    for line in goals(outcome):
        print(line)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    classes = {
        name: {"made": row.made, "found": row.found, "rules": dict(row.rules)} for name, row in outcome.classes.items()
    }
    rest = {name: value for name, value in vars(outcome).items() if name != "classes"}
    (results / "fakes.json").write_text(json.dumps({"args": vars(args), "classes": classes, **rest}, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main())
