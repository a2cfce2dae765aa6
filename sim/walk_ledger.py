"""Whether the ledger holds what the probes of the walk held: every record, and no hole in any chain."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sim.programs import module, run

PATIENCE_S = 20.0


@dataclass(frozen=True, slots=True)
class Kept:
    """What one probe held when its lane ended: (epoch, seq) of every record in its spool."""

    probe: str
    places: frozenset[tuple[int, int]]


def missing(settings: Path, kept: Iterable[Kept]) -> list[str]:
    """What the ledger lacks, a sentence for each probe; empty if nothing. Waits a little for what is on its way."""
    wanted = list(kept)
    end_s = time.monotonic() + PATIENCE_S
    while (told := _told(settings, wanted)) and time.monotonic() < end_s:
        time.sleep(1)
    return told


def _told(settings: Path, wanted: list[Kept]) -> list[str]:
    held: dict[str, set[tuple[int, int]]] = {}
    for line in run(*module("collector", "export", "--config", str(settings))).splitlines():
        row = json.loads(line)
        held.setdefault(row["probe"], set()).add((row["epoch"], row["seq"]))
    return [text for one in wanted for text in _of_one(one, held.get(one.probe, set()))]


def _of_one(kept: Kept, held: set[tuple[int, int]]) -> list[str]:
    told = []
    if lacking := sorted(kept.places - held):
        told.append(f"{kept.probe}: {len(lacking)} records are not in the ledger, the first is {lacking[0]}")
    for epoch in {epoch for epoch, _ in held}:
        seqs = {seq for e, seq in held if e == epoch}
        if len(seqs) != max(seqs) + 1:
            told.append(f"{kept.probe}: the chain of epoch {epoch} has a hole")
    return told
