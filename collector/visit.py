"""What a technician's code says, found in the ledger: which record it names, and which checks were not green."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from collector.core.sample import Sample
from collector.ledger import LedgerReader
from wire import visit
from wire.codec import leaf_text
from wire.errors import Refused

RECORDS = 60
"""How many of the probe's newest records a code may name: a code is read out within hours of its visit."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a code says: the record that it names, and the checks that were not green; none of them: all was well."""

    sample: Sample
    not_green: tuple[str, ...]


def meanings(reader: LedgerReader, probe: str, code: str) -> Iterator[Meaning]:
    """Yield what the code can mean, newest record first. Raises Refused if it has a slip, Unavailable."""
    if visit.normal(code) is None:
        raise Refused("slip", f"{code!r} has a slip: 8 letters without 0, O, 1, I and L; have it read out again")
    samples = [one for one in reader.samples(probe=probe, limit=RECORDS) if one.seq is not None]
    named = {visit.Named(one.epoch or 0, one.seq or 0, leaf_text(one.leaf)): one for one in samples}
    for record, not_green in visit.find_result(probe, named, code):
        yield Meaning(named[record], not_green)


def sentence(meaning: Meaning) -> str:
    """One line for the office."""
    sample = meaning.sample
    said = "GREEN" if not meaning.not_green else f"not green: {', '.join(meaning.not_green)}"
    return (
        f"{said}; {sample.kind} record epoch {sample.epoch} seq {sample.seq}, received, leaf {leaf_text(sample.leaf)}"
    )
