"""Writes decoded rows of a registry document into the caller's transaction: idempotent, dated lists append-only.

Entries without dates (provinces, sites, SIMs, ...) are kept as they are now; what changes with time is appended, and
the entry follows its newest row. Every mistake of a document is found in one pass.
Source: design §7, registry.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from collector.registry_dated import FUTURE, LISTS, HamletEndRow
from collector.registry_rows import CommuneRow, HamletRow, ProbeRow, ProvinceRow, Report, SiteRow, Trouble
from wire.errors import Misconfigured

DAY_MS = 86_400_000
TABLES: dict[str, tuple[str, tuple[str, ...]]] = {
    "provinces": ("province", ("code", "name")),
    "communes": ("commune", ("code", "name", "province", "lat_e7", "lon_e7", "area_ha")),
    "old_units": ("old_unit", ("code", "name", "parent")),
    "old_successors": ("old_successor", ("old", "new", "is_main")),
    "hamlets": ("hamlet", ("code", "name", "kind", "commune", "lat_e7", "lon_e7")),
    "sites": ("site", ("code", "hamlet", "name", "lat_e7", "lon_e7")),
    "probes": ("probe", ("id", "vkey", "state", "revoked_ms", "simulated")),
    "points": ("point", ("code", "vkey", "state", "revoked_ms")),
    "operators": ("operator", ("plmn", "name", "ispeed_name")),
    "quotas": ("quota", ("commune", "minimum", "rule")),
    "users": ("user", ("name", "argon2", "role", "scope")),
    "sims": ("sim", ("code", "plmn", "iccid_hmac", "iccid_last4", "brand")),
    "campaigns": ("campaign", ("code", "name", "document", "counter", "starts_ms", "ends_ms")),
}
"""Lists of entries without dates: their table and columns, the key first."""
_KEYS = {"old_successors": 2}
_STAY = frozenset({"iccid_hmac", "iccid_last4", "lat_e7", "lon_e7", "area_ha", "ispeed_name"})
"""Columns that a row which leaves them out does not erase."""
_REFERS: dict[str, dict[str, tuple[str, ...]]] = {
    "communes": {"province": ("province",)},
    "old_units": {"parent": ("old_unit",)},
    "old_successors": {"old": ("old_unit",), "new": ("province", "commune")},
    "unit_names": {"code": ("province", "commune")},
    "hamlets": {"commune": ("commune",)},
    "hamlet_ends": {"hamlet": ("hamlet",), "successors": ("hamlet",)},
    "sites": {"hamlet": ("hamlet",)},
    "surveys": {"site": ("site",)},
    "photos": {"site": ("site",)},
    "probes": {"site": ("site",)},
    "assignments": {"site": ("site",)},
    "referrals": {"unit": ("commune", "hamlet")},
    "quotas": {"commune": ("commune",)},
    "sim_plans": {"sim": ("sim",)},
    "sim_modems": {"sim": ("sim",)},
    "campaign_quotas": {"campaign": ("campaign",), "unit": ("province", "commune", "hamlet")},
    "campaign_reports": {"campaign": ("campaign",)},
    "counts": {"unit": ("province", "commune", "hamlet")},
}
"""Columns that name an entry, and the tables in which it may be."""


class Writer:
    """Writes one document. `promised`: codes by table that would exist but for mistakes already told of."""

    def __init__(
        self, connection: sqlite3.Connection, recorded_ms: int, promised: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self._connection = connection
        self._recorded_ms = recorded_ms
        self._promised: dict[str, set[str]] = {table: set(codes) for table, codes in (promised or {}).items()}
        self.troubles: list[Trouble] = []

    def write(self, rows: Mapping[str, list[Any]]) -> Report:
        """Write all rows but those with a mistake, which `troubles` names; the caller then rolls back."""
        counts: dict[str, Counter[str]] = {"added": Counter(), "changed": Counter(), "unchanged": Counter()}
        for name, listed in rows.items():
            for number, row in enumerate(listed, 1):
                wrong = list(self._wrong(name, number, row))
                self.troubles += wrong
                if wrong or self._waits(name, row):
                    self._promise(name, row)
                else:
                    counts[self._row(name, number, row)][name] += 1
        self._name_units(rows)
        return Report(dict(counts["added"]), dict(counts["changed"]), dict(counts["unchanged"]))

    def _wrong(self, name: str, number: int, row: Any) -> Iterator[Trouble]:
        for column, tables in _REFERS.get(name, {}).items():
            for code in str(getattr(row, column) or "").split():
                if not self._exists(tables, code):
                    yield Trouble(name, number, column, "unknown", code)
        since_ms = getattr(row, "valid_from_ms", None)
        if name not in FUTURE and since_ms is not None and since_ms > self._recorded_ms + DAY_MS:
            yield Trouble(name, number, "valid_from_ms", "future", str(since_ms))
        if isinstance(row, HamletEndRow):
            yield from _wrong_end(name, number, row)

    def _waits(self, name: str, row: Any) -> bool:
        """Whether a row names an entry that a mistake kept from being written."""
        for column, tables in _REFERS.get(name, {}).items():
            for code in str(getattr(row, column) or "").split():
                if any(code in self._promised.get(table, ()) for table in tables):
                    return True
        return False

    def _promise(self, name: str, row: Any) -> None:
        """One mistake is told once: what names this entry is not wrong for that."""
        if name in TABLES:
            table, columns = TABLES[name]
            self._promised.setdefault(table, set()).add(str(getattr(row, columns[0])))

    def _exists(self, tables: tuple[str, ...], code: str) -> bool:
        for table in tables:
            if code in self._promised.get(table, ()):
                return True
            if self._one(f"SELECT 1 FROM {table} WHERE code = ?", code) is not None:  # noqa: S608
                return True
        return False

    def _row(self, name: str, number: int, row: Any) -> str:
        if name in LISTS:
            return self._dated(name, row)
        if isinstance(row, HamletRow):
            return self._with_history(name, row, "hamlet_name", "hamlet", ("name", "kind", "commune"))
        if isinstance(row, SiteRow):
            return self._site(name, row)
        outcome = self._entry(name, number, row)
        if isinstance(row, ProbeRow) and row.site is not None:
            values = {"probe": row.id, "site": row.site}
            moved = self._append("probe_site", ("probe",), values, row.valid_from_ms, None)
            return "changed" if moved and outcome == "unchanged" else outcome
        return outcome

    def _entry(self, name: str, number: int, row: Any) -> str:
        """Insert or update an entry; a value that must be unique and is not is a mistake."""
        try:
            return self._upsert(name, row)
        except sqlite3.IntegrityError:
            self.troubles.append(Trouble(name, number, "iccid", "taken", str(getattr(row, "code", ""))))
            return "unchanged"

    def _upsert(self, name: str, row: Any) -> str:
        table, columns = TABLES[name]
        keys = columns[: _KEYS.get(name, 1)]
        given = [column for column in columns if column not in _STAY or getattr(row, column) is not None]
        values = tuple(_plain(getattr(row, column)) for column in given)
        names, where = ", ".join(given), " AND ".join(f"{key} = ?" for key in keys)
        held = self._one(f"SELECT {names} FROM {table} WHERE {where}", *values[: len(keys)])  # noqa: S608
        if held == values:
            return "unchanged"
        rest = ", ".join(f"{c} = excluded.{c}" for c in given if c not in keys)
        self._connection.execute(
            f"INSERT INTO {table} ({names}) VALUES ({', '.join('?' * len(given))})"  # noqa: S608
            f" ON CONFLICT ({', '.join(keys)}) DO UPDATE SET {rest}",
            values,
        )
        return "added" if held is None else "changed"

    def _dated(self, name: str, row: Any) -> str:
        listing = LISTS[name]
        values = {column: getattr(row, column) for column in (*listing.key, *listing.values)}
        if not self._append(listing.table, listing.key, values, row.valid_from_ms, row.source):
            return "unchanged"
        if name == "surveys":
            self._follow("site", row.site, "site_survey", "site", ("lat_e7", "lon_e7"))
        elif isinstance(row, HamletEndRow) and row.how == "merged":
            self._carry_over(row)
        elif name == "unit_names":
            for table in ("province", "commune"):
                self._follow(table, row.code, "unit_name", "code", ("name",))
        return "added"

    def _carry_over(self, row: HamletEndRow) -> None:
        """Sites and referral codes of a hamlet that was merged belong to its successor from that moment on."""
        for table, key, column in (("site_hamlet", "site", "hamlet"), ("referral", "code", "unit")):
            rows = self._connection.execute(
                f"SELECT {key}, {column} FROM {table} WHERE valid_from_ms <= ? ORDER BY valid_from_ms, n",  # noqa: S608
                (row.valid_from_ms,),
            ).fetchall()
            for code in sorted(code for code, held in dict(rows).items() if held == row.hamlet):
                values = {key: code, column: row.successors}
                self._append(table, (key,), values, row.valid_from_ms, row.source)
                if table == "site_hamlet":
                    self._follow("site", code, table, key, (column,))

    def _with_history(self, name: str, row: Any, table: str, key: str, columns: tuple[str, ...]) -> str:
        """An entry whose `columns` are dated: the row becomes its newest version, or one further back."""
        entry = TABLES[name][0]
        is_new = self._one(f"SELECT 1 FROM {entry} WHERE code = ?", row.code) is None  # noqa: S608
        if is_new:
            self._upsert(name, row)
        values = {key: row.code, **{column: getattr(row, column) for column in columns}}
        since_ms = row.valid_from_ms
        if since_ms is None:
            newest = self._newest(table, key, row.code, columns)
            since_ms = 0 if newest is None else self._recorded_ms
            appended = newest != tuple(values.values())[1:] and self._append(
                table, (key,), values, since_ms, row.source
            )
        else:
            appended = self._append(table, (key,), values, since_ms, row.source)
        self._follow(entry, row.code, table, key, columns)
        if is_new:
            return "added"
        return "changed" if appended or self._rest(name, row, columns) else "unchanged"

    def _rest(self, name: str, row: Any, dated: tuple[str, ...]) -> bool:
        """Update an entry's columns without a date; say whether one changed."""
        table, columns = TABLES[name]
        given = {c: getattr(row, c) for c in columns[1:] if c not in dated and getattr(row, c) is not None}
        if not given:
            return False
        differs = " OR ".join(f"{column} IS NOT ?" for column in given)
        done = self._connection.execute(
            f"UPDATE {table} SET {', '.join(f'{c} = ?' for c in given)} WHERE code = ? AND ({differs})",  # noqa: S608
            (*given.values(), row.code, *given.values()),
        )
        return done.rowcount > 0

    def _site(self, name: str, row: SiteRow) -> str:
        held = self._one("SELECT lat_e7, lon_e7 FROM site WHERE code = ?", row.code)
        outcome = self._with_history(name, row, "site_hamlet", "site", ("hamlet",))
        position = (row.lat_e7, row.lon_e7)
        if None not in position and position != held:
            values = {"site": row.code, "lat_e7": row.lat_e7, "lon_e7": row.lon_e7, "how": "typed", "accuracy_m": None}
            self._append("site_survey", ("site",), values, 0 if held is None else self._recorded_ms, row.source)
        return outcome

    def _follow(self, entry: str, code: str, table: str, key: str, columns: tuple[str, ...]) -> None:
        """Let an entry say what its newest dated row says."""
        newest = self._newest(table, key, code, columns)
        if newest is not None:
            self._connection.execute(
                f"UPDATE {entry} SET {', '.join(f'{c} = ?' for c in columns)} WHERE code = ?",  # noqa: S608
                (*newest, code),
            )

    def _newest(self, table: str, key: str, code: str, columns: tuple[str, ...]) -> tuple[Any, ...] | None:
        return self._one(
            f"SELECT {', '.join(columns)} FROM {table} WHERE {key} = ? ORDER BY valid_from_ms DESC, n DESC",  # noqa: S608
            code,
        )

    def _name_units(self, rows: Mapping[str, list[Any]]) -> None:
        """A province or commune entered under a new name is called so from now; a first name, since always."""
        for row in (*rows.get("provinces", ()), *rows.get("communes", ())):
            if isinstance(row, ProvinceRow | CommuneRow):
                newest = self._newest("unit_name", "code", row.code, ("name",))
                if newest is None or newest[0] != row.name:
                    since_ms = 0 if newest is None else self._recorded_ms
                    self._append("unit_name", ("code",), {"code": row.code, "name": row.name}, since_ms, None)
                    table = "province" if isinstance(row, ProvinceRow) else "commune"
                    self._follow(table, row.code, "unit_name", "code", ("name",))

    def _append(
        self, table: str, key: tuple[str, ...], values: dict[str, Any], since_ms: int, source: str | None
    ) -> bool:
        """Append a dated row unless the same already holds from that very moment; say whether one was written."""
        where = " AND ".join(f"{column} = ?" for column in key)
        held = self._one(
            f"SELECT {', '.join(values)} FROM {table} WHERE {where} AND valid_from_ms = ? ORDER BY n DESC",  # noqa: S608
            *(values[column] for column in key),
            since_ms,
        )
        if held == tuple(values.values()):
            return False
        names = (*values, "valid_from_ms", "recorded_ms", "source")
        self._connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",  # noqa: S608
            (*values.values(), since_ms, self._recorded_ms, source),
        )
        return True

    def _one(self, sql: str, *parameters: object) -> tuple[Any, ...] | None:
        found: tuple[Any, ...] | None = self._connection.execute(sql, parameters).fetchone()
        return found


def refuse_copy(connection: sqlite3.Connection, path: Path) -> None:
    """Raises Misconfigured if a registry follows another machine's (`collector.registry_mirror`)."""
    if connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'mirror_guard_probe_insert'").fetchone():
        raise Misconfigured(
            f'{path} is a copy: change the registry on the machine whose settings say registry = "source"'
        )


def _wrong_end(name: str, number: int, row: HamletEndRow) -> Iterator[Trouble]:
    successors = row.successors.split()
    least, most = {"merged": (1, 1), "split": (2, 20)}.get(row.how, (0, 0))
    if not least <= len(successors) <= most:
        yield Trouble(name, number, "successors", "successors", row.successors)
    if row.hamlet in successors and row.how == "merged":
        yield Trouble(name, number, "successors", "own_successor", row.hamlet)


def _plain(value: Any) -> Any:
    """A value as the database gives it back: true is 1."""
    return int(value) if isinstance(value, bool) else value
