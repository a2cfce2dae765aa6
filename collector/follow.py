"""What the registry says anew of the past: records of those hours are judged again, a few at a time.

The registry's change list names a probe, site, code, hamlet or commune and a span. Every record of it is judged as it
would be today; where that differs its rollups move with it, and `forward` deletes its points and writes them again.
How far the list is worked off stands in the ledger, in the same transaction. Source: design §7, registry.
"""

from __future__ import annotations

from dataclasses import dataclass

from collector.ingest_place import Placer
from collector.ledger_port import Ledger, Span, StoredRow
from collector.registry import Registry
from collector.registry_dated import Change

BATCH = 100
LINES = 50
"""Most lines concern no record yet, as those of a probe that is new: some go together."""
LINE, RECORD = "registry_line", "registry_record"
"""Where the work stands: the last line of the change list that is done, and of the next one the last record."""
_ALWAYS_MS = 2**53


@dataclass(frozen=True, slots=True)
class Work:
    """One line of the change list and the records behind `after` that it concerns."""

    change: Change
    after: int


class Follower:
    """Works off the registry's change list. Each `step` is one transaction of its own."""

    def __init__(self, ledger: Ledger, placer: Placer, registry: Registry) -> None:
        self._ledger = ledger
        self._placer = placer
        self._registry = registry
        self._done_at = -1

    def step(self) -> bool:
        """Judge a few records again; say whether there may be more. Raises Unavailable; then nothing of it is done."""
        version = self._registry.version()
        if version == self._done_at:
            return False
        with self._registry.still(), self._ledger.transaction():
            line, after, judged = self._ledger.noted(LINE) or 0, self._ledger.noted(RECORD) or 0, 0
            changes = self._registry.dated.changes(line, LINES)
            for change in changes:
                judged += self._batch(Work(change, after))
                after = 0
                if judged >= BATCH:
                    break
        if not changes:
            self._done_at = version
        return bool(changes)

    def _batch(self, work: Work) -> int:
        """Judge the next records of a line, and note how far it is done; return how many they were."""
        found = self._ledger.held_in(self._span(work.change), work.after, BATCH)
        for stored in found:
            self._judge(stored)
        if len(found) < BATCH:
            self._ledger.note(LINE, work.change.n)
            self._ledger.note(RECORD, 0)
        else:
            self._ledger.note(RECORD, found[-1].n)
        return len(found)

    def _judge(self, stored: StoredRow) -> None:
        entry = self._registry.probe(stored.record.probe)
        if entry is None:
            return
        row = self._placer.again(entry, stored)
        place = row.place
        codes = (place.province, place.commune, place.hamlet) if place else ("", "", "")
        if self._ledger.derived(stored.n) != (*codes, " ".join(row.not_counted)):
            self._ledger.judge_again(stored, row, moves=True)

    def _span(self, change: Change) -> Span:
        """Which records a change concerns."""
        until_ms = _ALWAYS_MS if change.until_ms is None else change.until_ms
        if change.what in {"probe_site", "probe"}:
            return Span(("probe",), (change.code,), change.from_ms, until_ms)
        if change.what in {"site_hamlet", "site_position"}:
            probes = self._registry.dated.probes_of(change.code)
            return Span(("probe",), tuple(probes), change.from_ms, until_ms)
        if change.what == "referral":
            # A code counts only in its own unit: nothing changes elsewhere.
            units = {unit for code, unit, _ in self._registry.referrals() if code == change.code}
            return Span(("commune", "hamlet"), tuple(sorted(units)), change.from_ms, until_ms)
        column = "hamlet" if change.what == "hamlet_commune" else "commune"
        return Span((column,), (change.code,), change.from_ms, until_ms)
