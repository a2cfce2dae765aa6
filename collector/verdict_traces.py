"""What probes' months say to each other: written after a month was judged, asked for before another one is."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from collector.core.place import Place, distance_m
from collector.core.verdict_case import Around, Cell, Seen, Trouble, cell_of, readings
from collector.core.verdict_judge import Trace
from collector.core.verdict_rules import RULES
from collector.core.verdict_series import series
from collector.verdict_store import VerdictStore
from wire.slots import next_month

NEAR_E7 = 1_500_000
"""A box around a site: 0.15 degrees, about 16 km."""


@dataclass(frozen=True, slots=True)
class Whose:
    """A probe's month, and the site where it stood last in it; None while that has no position."""

    probe: str
    month: str
    place: Place | None


def around(store: VerdictStore, whose: Whose, records: Sequence[Seen]) -> Around:
    """What others say that bears on these records. Raises Unavailable."""
    near, areas, far = _cells(store, whose, records)
    return Around(_own(store, whose), near, areas, far, _copied(store, whose, records), _troubles(store, whose))


def _own(store: VerdictStore, whose: Whose) -> frozenset[Cell]:
    if whose.place is None:
        return frozenset()
    sql = "SELECT DISTINCT plmn, tac, eci FROM trace_cell WHERE site = ? AND month < ?"
    return frozenset((row[0], row[1], row[2]) for row in store.rows(sql, whose.place.site, whose.month))


def _cells(
    store: VerdictStore, whose: Whose, records: Sequence[Seen]
) -> tuple[frozenset[Cell], frozenset[tuple[str, int]], frozenset[Cell]]:
    """Cells that neighbours within reach see, their areas, and cells that others far away saw first."""
    first: dict[Cell, int] = {}
    for seen in records:
        cells = () if seen.test is None else (cell_of(one, seen.test.plmn) for one in readings(seen.test))
        for cell in cells:
            if cell is not None:
                first[cell] = min(seen.n, first.get(cell, seen.n))
    near: set[Cell] = set()
    areas: set[tuple[str, int]] = set()
    far: set[Cell] = set()
    for area in {cell[:2] for cell in first}:
        sql = "SELECT eci, first_n, lat_e7, lon_e7 FROM trace_cell WHERE plmn = ? AND tac = ? AND probe <> ?"
        for eci, n, lat_e7, lon_e7 in store.rows(sql, *area, whose.probe):
            cell = (*area, eci)
            if _is_near(whose.place, lat_e7, lon_e7):
                near.add(cell)
                areas.add(area)
            elif n < first.get(cell, 0):
                far.add(cell)
    return frozenset(near), frozenset(areas), frozenset(far - near)


def _is_near(place: Place | None, lat_e7: int, lon_e7: int) -> bool:
    if place is None or place.lat_e7 is None or place.lon_e7 is None:
        return True
    return distance_m(place.lat_e7, place.lon_e7, lat_e7, lon_e7) <= RULES["cell.far"].limits["far_m"]


def _copied(store: VerdictStore, whose: Whose, records: Sequence[Seen]) -> frozenset[str]:
    """Series of readings that another probe had before."""
    own: dict[str, int] = {}
    for modem in {seen.test.modem for seen in records if seen.test}:
        for digest, numbers in series([s for s in records if s.test and s.test.modem == modem and s.is_of_air]):
            own.setdefault(digest, numbers[0])
    found: set[str] = set()
    digests = sorted(own)
    for at in range(0, len(digests), 500):
        some = digests[at : at + 500]
        marks = ", ".join("?" * len(some))
        sql = f"SELECT digest, first_n FROM trace_series WHERE digest IN ({marks}) AND probe <> ?"  # noqa: S608 (marks)
        found |= {digest for digest, n in store.rows(sql, *some, whose.probe) if n < own[digest]}
    return frozenset(found)


def _troubles(store: VerdictStore, whose: Whose) -> tuple[Trouble, ...]:
    place = whose.place
    if place is None or place.lat_e7 is None or place.lon_e7 is None:
        return ()
    near_m = RULES["other.trouble"].limits["near_m"]
    sql = "SELECT plmn, begin_ms, end_ms, lat_e7, lon_e7 FROM trace_trouble WHERE month = ? AND probe <> ?"
    rows = store.rows(f"{sql} AND {_BOX}", whose.month, whose.probe, *_box(place.lat_e7, place.lon_e7))
    return tuple(
        Trouble(begin, end, plmn or None)
        for plmn, begin, end, lat, lon in rows
        if distance_m(place.lat_e7, place.lon_e7, lat, lon) <= near_m
    )


_BOX = "lat_e7 BETWEEN ? AND ? AND lon_e7 BETWEEN ? AND ?"


def _box(lat_e7: int, lon_e7: int) -> tuple[int, int, int, int]:
    return lat_e7 - NEAR_E7, lat_e7 + NEAR_E7, lon_e7 - NEAR_E7, lon_e7 + NEAR_E7


# --- writing ----------------------------------------------------------------------------------------------------------


def keep(db: sqlite3.Connection, whose: Whose, trace: Trace, now_ms: int) -> None:
    """Replace what a month says, inside a transaction; whom the change concerns becomes due."""
    place = whose.place
    if place is None or place.lat_e7 is None or place.lon_e7 is None:
        return
    at = (place.site, place.lat_e7, place.lon_e7)
    mine = (whose.probe, whose.month)
    concerned: set[tuple[str, str]] = set()
    cells: set[tuple[Any, ...]] = {(*mine, *cell, n, *at) for cell, n in trace.cells.items()}
    for row in _changed(db, "trace_cell", mine, cells):
        sql = "SELECT DISTINCT probe, month FROM trace_cell WHERE plmn = ? AND tac = ? AND eci = ?"
        concerned |= {(one[0], one[1]) for one in db.execute(sql, row[2:5])}
        concerned.add((whose.probe, next_month(whose.month)))
    digests: set[tuple[Any, ...]] = {(*mine, digest, n) for digest, n in trace.series.items()}
    for row in _changed(db, "trace_series", mine, digests):
        sql = "SELECT probe, month FROM trace_series WHERE digest = ? AND first_n > ?"
        concerned |= {(one[0], one[1]) for one in db.execute(sql, (row[2], row[3]))}
    troubles: set[tuple[Any, ...]] = {(*mine, t.plmn or "", t.begin_ms, t.end_ms, *at[1:]) for t in trace.troubles}
    slack = RULES["other.trouble"].limits["slack_ms"]
    for row in _changed(db, "trace_trouble", mine, troubles):
        sql = f"SELECT probe, month FROM trace_trouble WHERE month = ? AND {_BOX} AND plmn = ?"  # noqa: S608 (fixed)
        values = (whose.month, *_box(*at[1:]), row[2], row[4] + slack, row[3] - slack)
        concerned |= {(one[0], one[1]) for one in db.execute(f"{sql} AND begin_ms <= ? AND end_ms >= ?", values)}
    _make_due(db, concerned - {mine}, now_ms)


def _changed(
    db: sqlite3.Connection, table: str, mine: tuple[str, str], rows: set[tuple[Any, ...]]
) -> list[tuple[Any, ...]]:
    """Bring a table to `rows`; return what came or went."""
    held = {tuple(row) for row in db.execute(f"SELECT * FROM {table} WHERE probe = ? AND month = ?", mine)}  # noqa: S608
    if held == rows:
        return []
    db.execute(f"DELETE FROM {table} WHERE probe = ? AND month = ?", mine)  # noqa: S608 (names of ours)
    if rows:
        marks = ", ".join("?" * len(next(iter(rows))))
        db.executemany(f"INSERT OR REPLACE INTO {table} VALUES ({marks})", sorted(rows, key=repr))  # noqa: S608
    return sorted(held ^ rows, key=repr)


def _make_due(db: sqlite3.Connection, months: Iterable[tuple[str, str]], now_ms: int) -> None:
    sql = "INSERT OR IGNORE INTO due SELECT ?1, ?2, ?3"
    sql += " WHERE EXISTS (SELECT 1 FROM record WHERE probe = ?1 AND month = ?2)"
    db.executemany(sql, [(probe, month, now_ms) for probe, month in sorted(months)])
