"""Kept reports that go along in an evidence pack: the newest of each kind and language over its unit and period."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

from collector.core.period import Period
from collector.reports.store import ReportStore

FILE = "reports.db"


def kept_reports(state: Path, unit: str, period: Period) -> tuple[tuple[str, bytes], ...]:
    """Their files as they were drawn, by name; none where no report was made. Raises Unavailable, Misconfigured."""
    if not (state / FILE).exists():
        return ()
    found: dict[str, bytes] = {}
    with closing(ReportStore(state)) as store:
        seen: set[tuple[str, str]] = set()
        for one in store.newest(unit=unit):
            if one.whole != period or (one.kind, one.language) in seen:
                continue
            seen.add((one.kind, one.language))
            for drawing in store.drawings(one.id):
                raw = store.drawn(one.id, drawing.format)
                if raw is not None:
                    found[f"{one.kind}-{one.language}-{one.id}.{drawing.format}"] = raw
    return tuple(sorted(found.items()))
