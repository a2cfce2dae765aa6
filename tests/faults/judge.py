"""Whether everybody agrees in the end: probes, ledger, sums, InfluxDB, log. Each figure should be 0."""

from __future__ import annotations

import json
import time
from collections import Counter
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from collector.influx import Influx
from collector.ledger import LedgerReader
from collector.reconcile import reconcile_counts
from tests.faults.world import HAMLET, RESULTS, Witness, World, reader
from wire.errors import Unavailable

PAGE = 2000


@dataclass(slots=True)
class Verdict:
    """What was compared, and what does not agree."""

    records: int = 0
    acknowledged: int = 0
    counted: int = 0
    lost: int = 0
    other_bytes: int = 0
    twice: int = 0
    not_made: int = 0
    sums_off: int = 0
    influx_off: int = 0
    promises_broken: int = 0
    checkpoints: int = 0
    two_roots: int = 0

    @property
    def faults(self) -> dict[str, int]:
        """The figures that must be 0."""
        seen = ("records", "acknowledged", "counted", "checkpoints")
        return {name: value for name, value in asdict(self).items() if name not in seen}

    @property
    def ok(self) -> bool:
        return not any(self.faults.values())


def judge(world: World, truth: dict[str, Any], witness: Witness | None = None) -> Verdict:
    """Compare everything with what the probes say that they made."""
    found = Verdict()
    with closing(reader(world)) as ledger:
        _records(ledger, truth, found)
        _sums(ledger, truth, found)
    found.influx_off = _influx(world)
    status = truth["status"]
    found.promises_broken = status["lowered"] + status["other_head"]
    if witness is not None:
        found.two_roots = len(witness.close())
        found.checkpoints = len(witness.roots)
    world.call("check")  # every root computed again from the ledger's bytes
    return found


def _records(ledger: LedgerReader, truth: dict[str, Any], found: Verdict) -> None:
    """Every record of every probe once, with its own bytes."""
    held: Counter[tuple[str, int]] = Counter()
    leaves: dict[tuple[str, int], str] = {}
    after = 0
    while page := ledger.samples(after_n=after, limit=PAGE, newest_first=False):
        for sample in page:
            assert sample.seq is not None
            held[sample.probe, sample.seq] += 1
            leaves[sample.probe, sample.seq] = sample.leaf.hex()
        after = page[-1].n
    found.records, found.twice = len(held), sum(held.values()) - len(held)
    for probe in truth["probes"]:
        for seq, leaf in enumerate(probe["leaves"]):
            there = leaves.pop((probe["probe"], seq), None)
            found.acknowledged += seq <= probe["acked"]
            found.lost += there is None and seq <= probe["acked"]
            found.other_bytes += there is not None and there != leaf
    found.not_made = len(leaves)


def _sums(ledger: LedgerReader, truth: dict[str, Any], found: Verdict) -> None:
    """The quota's figures are those that the probes made."""
    sums = ledger.hamlet_counts().get(HAMLET)
    tests = sum(probe["tests"] for probe in truth["probes"])
    found.counted = sum(probe["counted"] for probe in truth["probes"])
    if sums is None:
        found.sums_off = int(tests > 0)
    else:
        found.sums_off = abs(sums.tests - tests) + abs(sums.counted - found.counted)


def _influx(world: World) -> int:
    """By how many points InfluxDB differs from the ledger, once it had time to catch up; -1 if it does not answer."""
    deadline_s = time.monotonic() + 120
    while (found := influx_off(world)) != 0 and time.monotonic() < deadline_s:
        time.sleep(0.5)
    return found


def influx_off(world: World) -> int:
    """By how many points InfluxDB differs from the ledger now; -1 if it does not answer."""
    influx = Influx(world.settings)
    try:
        with closing(reader(world)) as ledger:
            return sum(abs(row.ledger - row.influx) for row in reconcile_counts(ledger, influx))
    except Unavailable:
        return -1
    finally:
        influx.close()


def influx_equal(world: World) -> bool:
    """Whether InfluxDB has what the ledger has."""
    return influx_off(world) == 0


def report(name: str, verdict: Verdict, what: str) -> list[str]:
    """Goal lines of a verdict."""
    words = {
        "lost": "acknowledged records lost",
        "other_bytes": "records held with other bytes",
        "twice": "records held or counted twice",
        "not_made": "records that nobody made",
        "sums_off": "tests and counted samples off from the truth",
        "influx_off": "points by which InfluxDB differs",
        "promises_broken": "acknowledgements taken back or false",
        "two_roots": "sizes with two published roots",
    }
    return [
        f"goal: {name}: {text}: {verdict.faults[key]} in {what} (0): {'short' if verdict.faults[key] else 'met'}"
        for key, text in words.items()
    ]


def keep(name: str, figures: dict[str, Any]) -> None:
    """Write the raw figures."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(figures, indent=1) + "\n")
