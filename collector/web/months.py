"""Keeps the tests of a hamlet's month as small points, so that a page reads only what is new since the last look.

Rows are only ever added, and what changes afterwards (a record dated late, a fork found) is listed by the ledger's
redo numbers: a new one of those, or a ledger that was restored, empties this memory.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from collector.core.view import Month
from collector.core.view_figures import Point, points
from collector.web.ports import Reader

BATCH = 1000
MOST_MONTHS = 2000


@dataclass(slots=True)
class _Kept:
    after_n: int = 0
    tests: list[Point] = field(default_factory=list)


class MonthTests:
    """Tests by hamlet and month. Safe for several threads."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        self._lock = threading.Lock()
        self._kept: dict[tuple[str, str], _Kept] = {}
        self._redo = -1
        self._last_n = 0

    def of(self, hamlet: str, month: Month) -> list[Point]:
        """All tests of a hamlet that began in `month`, in order of receipt."""
        with self._lock:
            self._forget_if_changed()
            kept = self._kept.pop((hamlet, month.code), None) or _Kept()
            self._kept[hamlet, month.code] = kept
            self._read_on(kept, hamlet, month)
            if len(self._kept) > MOST_MONTHS:
                del self._kept[next(iter(self._kept))]
            return list(kept.tests)

    def _forget_if_changed(self) -> None:
        redo, last_n = self._reader.last_redo(), self._reader.last_n()
        if redo != self._redo or last_n < self._last_n:
            self._kept.clear()
        self._redo, self._last_n = redo, last_n

    def _read_on(self, kept: _Kept, hamlet: str, month: Month) -> None:
        while True:
            more = self._reader.samples(
                hamlet=hamlet, kind="test", since_ms=month.start_ms, until_ms=month.end_ms,
                after_n=kept.after_n, limit=BATCH, newest_first=False,
            )  # fmt: skip
            kept.tests.extend(points(more))
            if more:
                kept.after_n = more[-1].n
            if len(more) < BATCH:
                return
