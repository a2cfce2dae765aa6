"""What may be dropped with time: bytes that were refused, and deliveries that brought nothing. Never a record.

Only `receive` writes the ledger, so `receive` applies the policy, every hour and a little at a time; counts stay.
Records, receipts, notes, sums and everything that was sealed are evidence and stay for ever: nothing here can name
their tables. Source: issue 5 (retention policy); design §7.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from collector.ledger_place import Database
from collector.settings import RetentionSettings
from wire.errors import Unavailable

LOG = logging.getLogger("collector.retention")
DAY_MS = 86_400_000
SWEEP_EVERY_S = 3600.0
MOST_ROWS = 2000
"""Rows that one transaction lets go: short enough that nobody waits for it."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that may go: its setting, what counts it and its age, and what lets the oldest of it go."""

    name: str
    count: str
    drop: str


RULES = (
    Rule(
        "refused_bytes",
        "SELECT count(*), min(received_ms), coalesce(sum(received_ms < ?), 0) FROM refusal WHERE raw IS NOT NULL",
        "UPDATE refusal SET raw = NULL WHERE n IN"
        " (SELECT n FROM refusal WHERE raw IS NOT NULL AND received_ms < ? ORDER BY n LIMIT ?)",
    ),
    Rule(
        "idle_deliveries",
        "SELECT count(*), min(received_ms), coalesce(sum(received_ms < ?), 0) FROM delivery WHERE accepted = 0",
        "DELETE FROM delivery WHERE n IN"
        " (SELECT n FROM delivery WHERE accepted = 0 AND received_ms < ? ORDER BY n LIMIT ?)",
    ),
)


@dataclass(frozen=True, slots=True)
class Held:
    """What is held of one thing: rows, when the oldest came (None: nothing), days it is kept, rows that are due."""

    name: str
    rows: int
    oldest_ms: int | None
    days: int
    due: int


class Reading(Protocol):
    """What a look needs of the ledger's reader."""

    def rows(self, sql: str, *values: Any) -> list[Any]:
        """Answer one statement. Raises Unavailable."""


def look(reader: Reading, policy: RetentionSettings, now_ms: int) -> list[Held]:
    """What is held and what is due, of everything that may go."""
    found = []
    for rule in RULES:
        rows, oldest_ms, due = reader.rows(rule.count, before_ms(rule, policy, now_ms))[0]
        found.append(Held(rule.name, rows, oldest_ms, _days(rule, policy), due))
    return found


def _days(rule: Rule, policy: RetentionSettings) -> int:
    return int(getattr(policy, f"{rule.name}_days"))


def before_ms(rule: Rule, policy: RetentionSettings, now_ms: int) -> int:
    """What came before this instant may go."""
    return now_ms - _days(rule, policy) * DAY_MS


def drop(db: Database, policy: RetentionSettings, now_ms: int, most: int = MOST_ROWS) -> dict[str, int]:
    """Let at most `most` rows of each thing go, inside the caller's transaction; how many went, by name."""
    gone = {rule.name: db.execute(rule.drop, (before_ms(rule, policy, now_ms), most)).rowcount for rule in RULES}
    if gone["idle_deliveries"]:
        db.execute("UPDATE total SET value = value - ? WHERE key = 'idle_deliveries'", (gone["idle_deliveries"],))
    return gone


class Sweeper:
    """Applies the policy while `receive` runs: asked at every turn, it does something once an hour."""

    def __init__(self, let_go: Callable[[], dict[str, int]]) -> None:
        self._let_go = let_go
        self._due_s = time.monotonic()

    def __call__(self) -> None:
        """Let go what is due, if it is time; a disk that refuses is tried again in an hour."""
        if time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + SWEEP_EVERY_S
        try:
            gone = self._let_go()
        except Unavailable:
            return  # `receive` itself says that the ledger cannot be written
        for name, rows in gone.items():
            if rows:
                LOG.info("let go what=%s rows=%d", name, rows)
            if rows == MOST_ROWS:
                self._due_s = time.monotonic() + 1
