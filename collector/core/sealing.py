"""What a sealing round decides, without a disk: which rows get which indices, and in which log they stand.

A log is a shard: one a year (UTC, by the time of receipt), and a new one after every restore of the ledger. The first
entry of every shard but the first is the last checkpoint of the one before it, so the shards are a chain themselves.
Source: design §7, seal and ACK (`gen`); facts note 08 §3.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

_YEAR_2026_MS = 1_767_225_600_000
_MOST_MOMENT = 900_000_000
"""The year 2054: a clock that says so is not believed, for probes read nine digits, and a number never comes down."""


@dataclass(frozen=True, slots=True)
class Row:
    """A leaf to be: its table, its number there, its hash, and when it was received."""

    source: str
    n: int
    leaf: bytes
    received_ms: int


@dataclass(frozen=True, slots=True)
class Stretch:
    """`count` leaves from `first_index`: rows `first_n` and following of `source`."""

    first_index: int
    count: int
    source: str
    first_n: int


def year_of(t_ms: int) -> int:
    """Return the year (UTC) of a moment."""
    return datetime.fromtimestamp(t_ms / 1000, UTC).year


def next_generation(held: int, at_ms: int) -> int:
    """Return the generation of a ledger that is put back at a moment (UTC; 0: unknown), above the backup's own.

    Seconds since 2026: what a backup holds cannot say how often it was put back before, and a number that was used
    already would have two logs of one name, and probes that believe to have heard of this restore.
    """
    moment = (at_ms - _YEAR_2026_MS) // 1000
    return max(held + 1, moment if moment < _MOST_MOMENT else 0)


def shard_name(origin: str, year: int, gen: int) -> str:
    """Return the origin line of a shard: `<origin>/log/<year>`, with `-<gen>` once the ledger was restored."""
    return f"{origin}/log/{year}" + (f"-{gen}" if gen else "")


def of_year(rows: Sequence[Row], year: int) -> list[Row]:
    """Return the rows from the front that belong to a shard of `year`: all up to the first of a later year.

    A clock that was set back gives rows of an earlier year: the log never goes back, they stay in this one.
    """
    found: list[Row] = []
    for row in rows:
        if year_of(row.received_ms) > year:
            break
        found.append(row)
    return found


def stretches(rows: Sequence[Row], first_index: int) -> list[Stretch]:
    """Give rows their indices; neighbours of one table without a hole between them share a line."""
    found: list[Stretch] = []
    for at, row in enumerate(rows, first_index):
        last = found[-1] if found else None
        if last is not None and (last.source, last.first_n + last.count) == (row.source, row.n):
            found[-1] = Stretch(last.first_index, last.count + 1, last.source, last.first_n)
        else:
            found.append(Stretch(at, 1, row.source, row.n))
    return found
