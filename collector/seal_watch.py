"""Deliveries and refusals, which are no leaves of a log, must stay as they were when the sealer first saw them.

`seal.db` keeps a digest of each stretch of rows that was new at a signature; before the next one the stretches are
hashed again. What `receive` lets go of by its own rules (the oldest deliveries that brought nothing, the oldest
refusals and their bytes: too many, or kept for so many days) is left out as soon as a rule may have touched it, and for
ever: `seal.db` remembers how old each stretch is, so that no row in the ledger can say of another that it was due.
After a restore everything is seen anew.
Source: design §7 (keeps every delivery); facts note 08 §7.2 (row 11).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from collector.ledger import LedgerReader
from collector.ledger_delivery import KEEP_IDLE_DELIVERIES, KEEP_REFUSALS, KEEP_REFUSED_BYTES
from collector.ledger_place import LedgerPlace
from collector.retention import DAY_MS
from collector.seal_audit import Broken
from collector.seal_store import SealStore
from collector.settings import RetentionSettings

ROWS_A_ROUND = 100_000
STRETCH = 4096
_DELIVERY = "SELECT * FROM delivery WHERE accepted {} AND n > ? AND n <= ? ORDER BY n"
_REFUSAL = "SELECT n, delivery, received_ms, topic, probe, reason, detail, size FROM refusal"

_REFUSED = "SELECT n, raw FROM refusal WHERE n > ? AND n <= ? ORDER BY n"
_IDLE = "delivery WHERE accepted = 0"


@dataclass(frozen=True, slots=True)
class _View:
    """Rows that are watched: how they are read, where they are found, how many of the newest stay (None: all).

    `days`: the setting that says how long they stay (None: as long as the others), and `aged`: those that may go by it.
    """

    name: str
    rows: str
    table: str
    keeps: int | None
    days: str | None = None
    aged: str = ""


_VIEWS = (
    _View("delivery", _DELIVERY.format("> 0"), "delivery WHERE accepted > 0", None),
    _View("idle", _DELIVERY.format("= 0"), _IDLE, KEEP_IDLE_DELIVERIES, "idle_deliveries_days", _IDLE),
    _View("refusal", f"{_REFUSAL} WHERE n > ? AND n <= ? ORDER BY n", "refusal", KEEP_REFUSALS),
    _View("refused", _REFUSED, "refusal", KEEP_REFUSED_BYTES, "refused_bytes_days", "refusal WHERE raw IS NOT NULL"),
)


class TableWatch:
    """Looks at the tables beside the log before each signature."""

    def __init__(
        self,
        store: SealStore,
        ledger: LedgerPlace,
        policy: RetentionSettings | None = None,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._store, self._reader = store, LedgerReader(ledger)
        self._policy, self._now_ms = policy or RetentionSettings(), now_ms
        self._next = {view.name: 0 for view in _VIEWS}

    def close(self) -> None:
        """End the connection; the next call makes another one."""
        self._reader.close()

    def __call__(self) -> None:
        """Compare the next stretches, remember new ones, in one moment of the ledger. Raises Broken, Unavailable."""
        self._reader.rows("BEGIN")
        try:
            gen = int(self._reader.rows("SELECT value FROM meta WHERE key = 'gen'")[0][0])
            for view in _VIEWS:
                self._leave_out(view, gen)
                self._compare(view, gen)
            new = [one for view in _VIEWS for one in self._new(view, gen)]
        finally:
            self._reader.rows("ROLLBACK")
        if new:
            self._store.watch(gen, new)

    def _compare(self, view: _View, gen: int) -> None:
        left = ROWS_A_ROUND
        while left > 0:
            stretches = self._store.watched(view.name, gen, self._next[view.name], 100)
            for first_n, last_n, digest in stretches:
                if self._digest(view, first_n, last_n) != digest:
                    raise Broken(
                        f"{view.table.split()[0]} {first_n} to {last_n} of the ledger are no longer what they were:"
                        " one was changed or deleted; put back the newest good backup (docs/operations.md, disaster)"
                    )
                self._next[view.name] = first_n
                left -= last_n - first_n + 1
            if not stretches:
                self._next[view.name] = 0
                return

    def _leave_out(self, view: _View, gen: int) -> None:
        """Rows that a rule may have touched by now. The clock is read after the ledger, so no sweep was later."""
        days: int | None = None if view.days is None else getattr(self._policy, view.days)
        before_ms = None if days is None else self._now_ms() - days * DAY_MS
        if view.keeps is not None:
            self._store.let_go(view.name, gen, self._sure_after(view), before_ms)

    def _sure_after(self, view: _View) -> int:
        """Rows behind this one cannot have been let go; 0 if none was."""
        if view.keeps is None:
            return 0
        sql = f"SELECT n FROM {view.table} ORDER BY n DESC LIMIT 1 OFFSET ?"  # noqa: S608 (a name of ours)
        rows = self._reader.rows(sql, view.keeps - 1)
        return int(rows[0][0]) if rows else 0

    def _digest(self, view: _View, first_n: int, last_n: int) -> bytes:
        found = sha256()
        for row in self._reader.rows(view.rows, first_n - 1, last_n):
            found.update(repr(tuple(row)).encode("utf-8", "surrogatepass"))
        return found.digest()

    def _oldest_ms(self, view: _View, first_n: int, last_n: int) -> int | None:
        """When the oldest row of a stretch came that may go by its age; None: none may."""
        if view.days is None:
            return None
        sql = f"SELECT min(received_ms) FROM {view.aged} AND n >= ? AND n <= ?"  # noqa: S608 (names of ours)
        found = self._reader.rows(sql, first_n, last_n)[0][0]
        return None if found is None else int(found)

    def _new(self, view: _View, gen: int) -> list[tuple[str, int, int, bytes, int | None]]:
        seen = self._store.watched_n(view.name, gen)
        table = view.table.split()[0]
        last = int(self._reader.rows(f"SELECT coalesce(max(n), 0) FROM {table}")[0][0])  # noqa: S608 (a name of ours)
        starts = range(seen + 1, last + 1, STRETCH)
        ends = [min(start + STRETCH - 1, last) for start in starts]
        return [
            (view.name, a, b, self._digest(view, a, b), self._oldest_ms(view, a, b))
            for a, b in zip(starts, ends, strict=True)
        ]
