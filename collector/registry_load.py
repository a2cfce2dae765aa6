"""Import of a registry document: strict reading of its rows (`collector.registry_write` writes them)."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from typing import Any

import msgspec

from collector.registry_dated import LISTS, CampaignRow, OldSuccessorRow, OldUnitRow, SimRow
from collector.registry_rows import (
    CommuneRow,
    HamletRow,
    OperatorRow,
    PointRow,
    ProbeRow,
    ProvinceRow,
    QuotaRow,
    Row,
    SiteRow,
    UserRow,
)
from wire.errors import Refused
from wire.fold import deceptive
from wire.note import parse_vkey

SHAPES: dict[str, type[Row]] = {
    "provinces": ProvinceRow,
    "communes": CommuneRow,
    "old_units": OldUnitRow,
    "old_successors": OldSuccessorRow,
    "unit_names": LISTS["unit_names"].shape,
    "hamlets": HamletRow,
    "hamlet_ends": LISTS["hamlet_ends"].shape,
    "sites": SiteRow,
    "probes": ProbeRow,
    "points": PointRow,
    "operators": OperatorRow,
    "quotas": QuotaRow,
    "users": UserRow,
    "sims": SimRow,
    "campaigns": CampaignRow,
    **{name: listing.shape for name, listing in LISTS.items() if name not in {"unit_names", "hamlet_ends"}},
}
"""Every list of a document, in the order in which they are written: what is referred to comes first."""


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
        decoded = msgspec.convert(_composed(row), shape)
        if isinstance(decoded, ProbeRow):
            _check_key(decoded, f"probe/{decoded.id}", "record key")
        elif isinstance(decoded, PointRow):
            _check_key(decoded, f"point/{decoded.code}", "key")
    except (msgspec.ValidationError, Refused) as error:
        keys = ", ".join(shape.__struct_fields__)
        said = error.detail if isinstance(error, Refused) else _plain(str(error), name)
        raise Refused("schema", f"{name}, row {number}: {said}; its keys are {keys}") from error
    return decoded


def _composed(row: object) -> object:
    """The row with its texts in NFC. Raises Refused for a character that nobody sees, or that no text needs."""
    if not isinstance(row, dict):
        return row
    made = {key: unicodedata.normalize("NFC", value) if isinstance(value, str) else value for key, value in row.items()}
    for key, value in made.items():
        found = deceptive(value) if isinstance(value, str) else None
        if found is not None:
            raise Refused("schema", f"{key} holds the {found[0]} character {found[1]}; type it again by hand")
    return made


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
