"""Import of a registry document: strict reading, then an idempotent upsert inside the caller's transaction."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from collector.registry_rows import (
    CommuneRow,
    HamletRow,
    OperatorRow,
    PointRow,
    ProbeRow,
    ProvinceRow,
    QuotaRow,
    ReferralRow,
    Report,
    Row,
    SiteRow,
    UserRow,
)
from wire.errors import Refused
from wire.note import parse_vkey

SHAPES: dict[str, type[Row]] = {
    "provinces": ProvinceRow,
    "communes": CommuneRow,
    "hamlets": HamletRow,
    "sites": SiteRow,
    "probes": ProbeRow,
    "points": PointRow,
    "referrals": ReferralRow,
    "operators": OperatorRow,
    "quotas": QuotaRow,
    "users": UserRow,
}
_TABLES = {
    "provinces": ("province", ("code", "name")),
    "communes": ("commune", ("code", "name", "province", "lat_e7", "lon_e7")),
    "hamlets": ("hamlet", ("code", "name", "kind", "commune", "lat_e7", "lon_e7")),
    "sites": ("site", ("code", "hamlet", "name", "lat_e7", "lon_e7")),
    "probes": ("probe", ("id", "vkey", "state", "revoked_ms", "simulated")),
    "points": ("point", ("code", "vkey", "state", "revoked_ms")),
    "operators": ("operator", ("plmn", "name")),
    "quotas": ("quota", ("commune", "minimum", "rule")),
    "users": ("user", ("name", "argon2", "role", "scope")),
}


_FORMS = {
    "id": "3 to 32 of a-z 0-9 -, such as p-dong-chuoi",
    "plmn": "5 or 6 digits, such as 45204",
    "argon2": "an argon2id hash; dosong-provision add-user makes it",
}
"""What stands for a regular expression in a message, by key."""


def decode_document(document: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Read every row strictly. Raises Refused("schema") naming the list, the row, what is wrong, and a remedy."""
    unknown = sorted(set(document) - set(SHAPES))
    if unknown:
        raise Refused("schema", f"unknown list {unknown[0]!r}; the lists are {', '.join(SHAPES)}")
    rows: dict[str, list[Any]] = {}
    for name, shape in SHAPES.items():
        given = document.get(name, [])
        if not isinstance(given, list):
            raise Refused("schema", f"{name} is not a list; write [[{name}]] tables")
        rows[name] = [_row(name, number, row, shape) for number, row in enumerate(given, 1)]
    return rows


def _row(name: str, number: int, row: object, shape: type[Row]) -> Row:
    try:
        decoded = msgspec.convert(row, shape)
        if isinstance(decoded, ProbeRow):
            _check_key(decoded, f"probe/{decoded.id}", "record key")
        elif isinstance(decoded, PointRow):
            _check_key(decoded, f"point/{decoded.code}", "key")
    except (msgspec.ValidationError, Refused) as error:
        keys = ", ".join(shape.__struct_fields__)
        raise Refused("schema", f"{name}, row {number}: {_plain(str(error), name)}; its keys are {keys}") from error
    return decoded


def _plain(text: str, name: str) -> str:
    """What msgspec says, without its regular expressions: nobody should have to read those."""
    what, _, where = text.partition(" - at ")
    key = where.strip("`").removeprefix("$.")
    if "matching regex" not in what:
        return f"{key}: {what}" if key else what
    form = "small letters, digits, . _ -, 2 to 32 of them" if (name, key) == ("users", "name") else _FORMS.get(key)
    return f"{key}: write {form or 'letters of A-Z a-z, digits, _ and -, at most 32 of them'}"


def _check_key(row: ProbeRow | PointRow, owner: str, what: str) -> None:
    """The key must be that of the row's own probe or point. Raises Refused."""
    named = parse_vkey(row.vkey).name
    if not named.endswith(f"/{owner}"):
        kind, _, code = owner.partition("/")
        raise Refused("schema", f"key {named} is not the {what} of {code}; paste the line that the {kind} shows")
    if (row.state == "revoked") != (row.revoked_ms is not None):
        raise Refused("schema", "revoked_ms stands with state revoked, and only there")


def apply_document(connection: sqlite3.Connection, rows: dict[str, list[Any]], recorded_ms: int) -> Report:
    """Write decoded rows. Raises Refused("schema") if a row names a unit, site or probe that does not exist."""
    added: Counter[str] = Counter()
    changed: Counter[str] = Counter()
    unchanged: Counter[str] = Counter()
    words = {"added": added, "changed": changed, "unchanged": unchanged}
    for name, listed in rows.items():
        for number, row in enumerate(listed, 1):
            try:
                words[_write(connection, name, row, recorded_ms)][name] += 1
            except sqlite3.IntegrityError as error:
                detail = f"{name}, row {number} names a unit, site or probe that is not known; list that one too"
                raise Refused("schema", detail) from error
    return Report(dict(added), dict(changed), dict(unchanged))


def _write(connection: sqlite3.Connection, name: str, row: Any, recorded_ms: int) -> str:
    if isinstance(row, ReferralRow):
        return _write_referral(connection, row, recorded_ms)
    table, columns = _TABLES[name]
    outcome = _upsert(connection, table, columns, tuple(getattr(row, column) for column in columns))
    if isinstance(row, ProbeRow) and row.site is not None:
        moved = _append(connection, "probe_site", ("probe", "site"), (row.id, row.site), row.valid_from_ms, recorded_ms)
        outcome = "changed" if moved and outcome == "unchanged" else outcome
    return outcome


def _upsert(connection: sqlite3.Connection, table: str, columns: tuple[str, ...], values: tuple[Any, ...]) -> str:
    names, marks = ", ".join(columns), ", ".join("?" * len(columns))
    held = connection.execute(f"SELECT {names} FROM {table} WHERE {columns[0]} = ?", values[:1]).fetchone()  # noqa: S608
    if held == values:
        return "unchanged"
    rest = ", ".join(f"{c} = excluded.{c}" for c in columns[1:])
    connection.execute(
        f"INSERT INTO {table} ({names}) VALUES ({marks}) ON CONFLICT ({columns[0]}) DO UPDATE SET {rest}",  # noqa: S608
        values,
    )
    return "added" if held is None else "changed"


def _write_referral(connection: sqlite3.Connection, row: ReferralRow, recorded_ms: int) -> str:
    units = "SELECT code FROM commune WHERE code = ? UNION SELECT code FROM hamlet WHERE code = ?"
    if connection.execute(units, (row.unit, row.unit)).fetchone() is None:
        raise Refused("schema", f"referrals: {row.code} belongs to {row.unit}, which is no commune or hamlet; list it")
    new = _append(connection, "referral", ("code", "unit"), (row.code, row.unit), row.valid_from_ms, recorded_ms)
    return "added" if new else "unchanged"


def _append(
    connection: sqlite3.Connection,
    table: str,
    columns: tuple[str, str],
    values: tuple[str, str],
    valid_from_ms: int,
    recorded_ms: int,
) -> bool:
    """Append an assignment unless it already holds from that very moment; say whether a row was written."""
    held = connection.execute(
        f"SELECT {columns[1]} FROM {table} WHERE {columns[0]} = ? AND valid_from_ms = ? ORDER BY n DESC",  # noqa: S608
        (values[0], valid_from_ms),
    ).fetchone()
    if held is not None and held[0] == values[1]:
        return False
    connection.execute(
        f"INSERT INTO {table} ({columns[0]}, {columns[1]}, valid_from_ms, recorded_ms) VALUES (?, ?, ?, ?)",  # noqa: S608
        (*values, valid_from_ms, recorded_ms),
    )
    return True
