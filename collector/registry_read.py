"""Reads the registry's dated lists: what held when, what changed since, and units by any name that they ever had."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, TypeVar

import msgspec

from collector.registry_dated import LISTS, Change, DatedRow, Found
from collector.registry_load import SHAPES
from collector.registry_write import TABLES
from wire.fold import fold

R = TypeVar("R", bound=DatedRow)
Rows = Callable[..., list[Any]]
_ALWAYS = 2**53 - 1
_LIST_OF = {listing.shape: name for name, listing in LISTS.items()}
_FIND = {
    "province": (
        "SELECT p.code, p.name, '', NULL FROM unit_name u JOIN province p ON p.code = u.code"
        " WHERE matches(u.name, ?) OR p.code = ? GROUP BY p.code ORDER BY length(p.name), p.name LIMIT ?"
    ),
    "commune": (
        "SELECT c.code, c.name, p.name, NULL FROM unit_name u JOIN commune c ON c.code = u.code"
        " JOIN province p ON p.code = c.province"
        " WHERE matches(u.name || ', ' || p.name, ?) OR c.code = ?"
        " GROUP BY c.code ORDER BY length(c.name), c.name LIMIT ?"
    ),
    "hamlet": (
        "SELECT h.code, h.kind || ' ' || h.name, c.name || ', ' || p.name,"
        " (SELECT CASE how WHEN 'reopened' THEN NULL ELSE valid_from_ms END FROM hamlet_end WHERE hamlet = h.code"
        "  ORDER BY valid_from_ms DESC, n DESC LIMIT 1)"
        " FROM hamlet_name v JOIN hamlet h ON h.code = v.hamlet JOIN commune c ON c.code = v.commune"
        " JOIN province p ON p.code = c.province"
        " WHERE matches(v.kind || ' ' || v.name || ', ' || c.name || ', ' || p.name, ?) OR h.code = ?"
        " GROUP BY h.code ORDER BY length(h.name), h.name LIMIT ?"
    ),
    "old": (
        "SELECT u.code, u.name, coalesce(d.name, '') || coalesce(', ' || p.name, ''), NULL FROM old_unit u"
        " LEFT JOIN old_unit d ON d.code = u.parent LEFT JOIN old_unit p ON p.code = d.parent"
        " WHERE matches(u.name || coalesce(', ' || d.name, '') || coalesce(', ' || p.name, ''), ?)"
        " OR u.code = ? ORDER BY length(u.name), u.name LIMIT ?"
    ),
}
"""Every name that a unit ever had is searched; what is shown is its name of today (of an old unit, its last)."""
_LEVELS = tuple(_FIND)


class Dated:
    """The read side of the dated lists; `rows` asks the registry's file."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def holding(self, shape: type[R], at_ms: int | None = None, **key: str) -> list[R]:
        """The rows of one list that hold at `at_ms` (None: the newest), one a key, by key.

        `key` narrows it to some columns, such as `site="nvh-1"`. Rows whose `valid_to_ms` has come are left out.
        """
        newest: dict[tuple[Any, ...], R] = {}
        for row in self.history(shape, **key):
            if row.valid_from_ms <= (_ALWAYS if at_ms is None else at_ms):
                newest[tuple(getattr(row, column) for column in LISTS[_LIST_OF[shape]].key)] = row
        return [row for _, row in sorted(newest.items()) if _lasts(row, at_ms)]

    def history(self, shape: type[R], **key: str) -> list[R]:
        """Every row of one list ever entered, by time of validity; of equal ones the later recorded comes last."""
        listing = LISTS[_LIST_OF[shape]]
        where = "".join(f" AND {column} = ?" for column in key if column in shape.__struct_fields__)
        names = ", ".join(shape.__struct_fields__)
        rows = self._rows(
            f"SELECT {names} FROM {listing.table} WHERE 1{where} ORDER BY valid_from_ms, n",  # noqa: S608
            *key.values(),
        )
        fields, name = shape.__struct_fields__, _LIST_OF[shape]
        return [shape(**_typed(name, dict(zip(fields, row, strict=True)))) for row in rows]

    def dump(self, listed: str) -> list[dict[str, Any]]:
        """One list of the document as it would be imported again: every entry, every dated row that still holds good.

        A row that was corrected (another one of the same key and moment came later) is left out.
        """
        if listed in LISTS:
            listing = LISTS[listed]
            last = {
                (*(getattr(row, column) for column in listing.key), row.valid_from_ms): row
                for row in self.history(listing.shape)
            }
            return [_filled(msgspec.structs.asdict(last[key])) for key in sorted(last)]
        return [_filled(row) for row in self._entries(listed)]

    def versions(self, hamlet: str) -> list[dict[str, Any]]:
        """Every version of one hamlet's name, kind and commune that still holds good, by time of validity."""
        columns = ("name", "kind", "commune", "valid_from_ms", "source")
        rows = self._rows(
            f"SELECT {', '.join(columns)} FROM hamlet_name v WHERE hamlet = ? AND n = (SELECT max(n) FROM hamlet_name o"  # noqa: S608
            " WHERE o.hamlet = v.hamlet AND o.valid_from_ms = v.valid_from_ms) ORDER BY valid_from_ms",
            hamlet,
        )
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def _entries(self, listed: str) -> list[dict[str, Any]]:
        history = {
            "hamlets": ("hamlet", "hamlet_name", "name kind commune"),
            "sites": ("site", "site_hamlet", "hamlet"),
        }
        if listed not in history:
            table, columns = TABLES[listed]
            rows = self._rows(f"SELECT {', '.join(columns)} FROM {table} ORDER BY {columns[0]}")  # noqa: S608
            return [_typed(listed, dict(zip(columns, row, strict=True))) for row in rows]
        table, versions, dated = history[listed]
        columns = (*(c for c in TABLES[listed][1] if c not in dated.split()), *dated.split(), "valid_from_ms", "source")
        from_version = (*dated.split(), "valid_from_ms", "source")
        names = ", ".join(f"{'v' if column in from_version else 'e'}.{column}" for column in columns)
        rows = self._rows(
            f"SELECT {names} FROM {table} e JOIN {versions} v ON v.{table} = e.code"  # noqa: S608
            f" WHERE v.n = (SELECT max(n) FROM {versions} o WHERE o.{table} = e.code"
            f" AND o.valid_from_ms = v.valid_from_ms) ORDER BY e.code, v.valid_from_ms"
        )
        return [dict(zip(columns, row, strict=True)) for row in rows]

    def changes(self, after: int, limit: int = 1000) -> list[Change]:
        """What changed after line `after` of the change list (0: from the beginning), oldest first."""
        rows = self._rows(
            "SELECT n, what, code, from_ms, until_ms, recorded_ms FROM change WHERE n > ? ORDER BY n LIMIT ?",
            after,
            limit,
        )
        return [Change(*row) for row in rows]

    def last_change(self) -> int:
        """The number of the newest line of the change list; 0 for none."""
        return int(self._rows("SELECT coalesce(max(n), 0) FROM change")[0][0])

    def probes_of(self, site: str) -> list[str]:
        """Every probe that was ever said to stand at a site, by id."""
        return [
            str(row[0]) for row in self._rows("SELECT DISTINCT probe FROM probe_site WHERE site = ? ORDER BY 1", site)
        ]

    def ended(self, at_ms: int | None = None) -> Mapping[str, int]:
        """Hamlets that are no more at `at_ms` (None: now): code to the moment since which."""
        from_end = LISTS["hamlet_ends"].shape
        return {
            str(row.hamlet): row.valid_from_ms  # type: ignore[attr-defined]
            for row in self.holding(from_end, at_ms)
            if row.how != "reopened"  # type: ignore[attr-defined]
        }

    def planned(self) -> list[str]:
        """Probes that have a site and no key yet, by id."""
        rows = self._rows("SELECT DISTINCT probe FROM probe_site WHERE probe NOT IN (SELECT id FROM probe) ORDER BY 1")
        return [str(row[0]) for row in rows]

    def find(self, text: str, limit: int = 20, levels: tuple[str, ...] = _LEVELS) -> list[Found]:
        """Units that are, or once were, called something like `text`, or have this code; at most `limit` a level.

        Tone marks, đ/d and case make no difference; "dan tien, thai nguyen" narrows it to a province.
        """
        if not fold(text).strip(" ,"):
            return []
        found: list[Found] = []
        for level in (level for level in _LEVELS if level in levels):
            for code, name, within, until_ms in self._rows(_FIND[level], text, text.strip(), limit):
                became = self.became(code) if level == "old" else ()
                found.append(Found(level, code, name, within, became, until_ms))  # type: ignore[arg-type]
        return found

    def became(self, old: str) -> tuple[tuple[str, str], ...]:
        """What an old unit went into today: codes and names, most of it first; empty if that is not known."""
        rows = self._rows(
            "SELECT s.new, coalesce(c.name || ', ' || p.name, q.name) FROM old_successor s"
            " LEFT JOIN commune c ON c.code = s.new LEFT JOIN province p ON p.code = c.province"
            " LEFT JOIN province q ON q.code = s.new WHERE s.old = ? ORDER BY s.is_main DESC, s.new",
            old,
        )
        return tuple((row[0], row[1]) for row in rows)

    def came_from(self, new: str) -> tuple[tuple[str, str], ...]:
        """The old communes, or provinces, that a unit of today was made of: codes and names."""
        rows = self._rows(
            "SELECT u.code, u.name || coalesce(', ' || d.name, '') FROM old_successor s JOIN old_unit u"
            " ON u.code = s.old LEFT JOIN old_unit d ON d.code = u.parent WHERE s.new = ?"
            " ORDER BY s.is_main DESC, u.code",
            new,
        )
        return tuple((row[0], row[1]) for row in rows)


def _lasts(row: DatedRow, at_ms: int | None) -> bool:
    until_ms = getattr(row, "valid_to_ms", None)
    return until_ms is None or at_ms is None or at_ms < until_ms


def _filled(row: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}


@cache
def _flags(listed: str) -> frozenset[str]:
    return frozenset(name for name, kind in SHAPES[listed].__annotations__.items() if kind == "bool")


def _typed(listed: str, row: dict[str, Any]) -> dict[str, Any]:
    """Whole numbers of the file as the truth values that a document has."""
    flags = _flags(listed)
    return {key: bool(value) if key in flags else value for key, value in row.items()} if flags else row
