"""What the registry says anew of the past: records of those hours are judged again, a few at a time.

The registry's change list names a probe, site, code, hamlet or commune and a span. Every record of it is judged as it
would be today; where that differs its rollups move with it, and `forward` deletes its points and writes them again.
How far the list is worked off stands in the ledger, in the same transaction. A record that was taken after a line was
first seen has been judged by it already: of each line only those before it are looked at. Source: design §7, registry.
"""

from __future__ import annotations

from collections.abc import Callable

from collector.ingest_place import Placer
from collector.ledger_port import Ledger, Span, StoredRow
from collector.registry import Registry
from collector.registry_dated import Change

BATCH = 100
LINES = 50
LINES_READ = 1000
"""Most lines concern no record yet, as those of a probe that is new: many go together."""
LINE, RECORD = "registry_line", "registry_record"
"""Where the work stands: the last line of the change list that is done, and of the next one the last record."""
_ALWAYS_MS = 2**53


class Follower:
    """Works off the registry's change list. Each `step` is one transaction of its own."""

    def __init__(self, ledger: Ledger, placer: Placer, registry: Registry) -> None:
        self._ledger = ledger
        self._placer = placer
        self._registry = registry
        self._done_at = -1
        self.most: Callable[[], int] = lambda: _ALWAYS_MS
        """The last line that may be worked off: one that other machines cannot know yet waits."""
        self._seen: list[tuple[int, int | None]] = [(registry.dated.last_change(), ledger.last_judged())]
        """Lines up to the first number were seen when the ledger's newest record had the second; oldest first."""

    def step(self) -> bool:
        """Judge a few records again; say whether there may be more. Raises Unavailable; then nothing of it is done."""
        version = self._registry.version()
        if version == self._done_at:
            return False
        # Asked before the registry is read anew below: every line up to this one is in what it says then.
        newest = min(self._registry.dated.last_change(), self.most())
        with self._registry.still(), self._ledger.transaction():
            if newest > self._seen[-1][0]:
                self._seen.append((newest, self._ledger.last_judged()))
            line = self._ledger.noted(LINE) or 0
            changes = [one for one in self._registry.dated.changes(line, LINES_READ) if one.n <= newest]
            if changes:
                self._work_off(changes)
        if not changes:
            self._done_at = version
        return bool(changes)

    def _work_off(self, changes: list[Change]) -> None:
        """Judge the records that these lines concern, until it is enough for one transaction; note how far it went."""
        after, done, judged, asked = self._ledger.noted(RECORD) or 0, changes[0].n - 1, 0, 0
        for change in changes:
            found = self._held(change, after)
            for stored in found:
                self._judge(stored)
            if len(found) == BATCH:
                after = found[-1].n
                break
            done, after = change.n, 0
            judged, asked = judged + len(found), asked + (self._upto(change) != 0)
            if judged >= BATCH or asked >= LINES:
                break
        self._ledger.note(LINE, done)
        self._ledger.note(RECORD, after)
        self._seen = [one for one in self._seen if one[0] > done] or self._seen[-1:]

    def _upto(self, change: Change) -> int | None:
        """The newest record that was taken before a line was seen; None if nobody can say."""
        return next(newest for line, newest in self._seen if line >= change.n)

    def _held(self, change: Change, after: int) -> list[StoredRow]:
        """The next records of a line."""
        upto = self._upto(change)
        return (
            [] if upto is not None and upto <= after else self._ledger.held_in(self._span(change), after, upto, BATCH)
        )

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
