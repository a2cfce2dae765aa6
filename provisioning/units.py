"""Units of Vietnam as data: provinces and communes of today, those before July 2025, and which became which.

Four tables of tab-separated text lie beside this module. They were written by `python -m provisioning.units_wheel` from
the package vietnamadminunits (MIT) and hold its facts only; later changes of names come from the acts that they name.
The package itself is not installed: it needs Unidecode, which is under the GPL (decision 0021).
Source: facts note 01 §4.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from importlib import resources
from typing import Any

from wire.errors import Misconfigured
from wire.slots import VIETNAM

TWO_TIERS = date(2025, 7, 1)
"""Since this day there are provinces and communes, and nothing between them."""
TWO_TIERS_SOURCE = "202/2025/QH15"
FILES = ("units.tsv", "units_old.tsv", "units_successors.tsv", "units_changes.tsv")


@dataclass(frozen=True, slots=True)
class Unit:
    """A province (`parent` None) or commune of today; position of its centre (1e-7 degrees) and area, if known."""

    code: str
    name: str
    parent: str | None
    lat_e7: int | None = None
    lon_e7: int | None = None
    area_ha: int | None = None


@dataclass(frozen=True, slots=True)
class OldUnit:
    """A province, district or commune before July 2025; `parent` None for a province."""

    code: str
    name: str
    parent: str | None


@dataclass(frozen=True, slots=True)
class Successor:
    """An old province or commune went, whole or in part, into a unit of today; `is_main`: most of it did."""

    old: str
    new: str
    is_main: bool


@dataclass(frozen=True, slots=True)
class Change:
    """A unit is called otherwise since a day; `source` is the act."""

    code: str
    name: str
    since: date
    source: str


@dataclass(frozen=True, slots=True)
class Units:
    """Everything that is known of units; `origin` says where the lists were taken from."""

    origin: str
    units: tuple[Unit, ...]
    old: tuple[OldUnit, ...] = ()
    successors: tuple[Successor, ...] = ()
    changes: tuple[Change, ...] = ()


def built_in() -> Units:
    """Return the lists that come with the program."""
    folder = resources.files("provisioning") / "data"
    texts = [(folder / name).read_text(encoding="utf-8") for name in FILES]
    units, old, successors, changes = (list(_rows(name, text)) for name, text in zip(FILES, texts, strict=True))
    return Units(
        origin=texts[0].partition("\n")[0].removeprefix("# "),
        units=tuple(Unit(c, n, p or None, _int(a), _int(b), _int(s)) for c, n, p, a, b, s in units),
        old=tuple(OldUnit(c, n, p or None) for c, n, p in old),
        successors=tuple(Successor(a, b, main == "1") for a, b, main in successors),
        changes=tuple(Change(c, n, date.fromisoformat(day), source) for c, n, day, source in changes),
    )


def _rows(name: str, text: str) -> Iterator[list[str]]:
    width: int | None = None
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        cells = line.split("\t")
        if width is not None and len(cells) != width:
            raise Misconfigured(f"{name}, line {number}: {len(cells)} cells, not {width}; install the program anew")
        if width is not None:
            yield cells
        width = len(cells)


def _int(text: str) -> int | None:
    return int(text) if text else None


def texts(units: Units) -> dict[str, str]:
    """Return the tables as text, by file name (without later changes of names, which are written by hand)."""
    shown: dict[str, tuple[tuple[str, ...], Iterable[tuple[object, ...]]]] = {
        "units.tsv": (
            ("code", "name", "province", "lat_e7", "lon_e7", "area_ha"),
            ((u.code, u.name, u.parent, u.lat_e7, u.lon_e7, u.area_ha) for u in units.units),
        ),
        "units_old.tsv": (("code", "name", "parent"), ((u.code, u.name, u.parent) for u in units.old)),
        "units_successors.tsv": (("old", "new", "main"), ((s.old, s.new, int(s.is_main)) for s in units.successors)),
    }
    return {name: _text(units.origin, head, rows) for name, (head, rows) in shown.items()}


def _text(origin: str, head: tuple[str, ...], rows: Iterable[tuple[object, ...]]) -> str:
    lines = ["\t".join("" if cell is None else str(cell) for cell in row) for row in (head, *rows)]
    return "\n".join((f"# {origin}", *lines)) + "\n"


def midnight_ms(day: date) -> int:
    """When a day begins in Vietnam (UTC ms)."""
    return round(datetime(day.year, day.month, day.day, tzinfo=VIETNAM).timestamp() * 1000)


def document(units: Units) -> dict[str, list[dict[str, Any]]]:
    """Return the registry document of these units, with their names since 1 July 2025 and the changes since."""
    since_ms, source = midnight_ms(TWO_TIERS), f"{TWO_TIERS_SOURCE} ({units.origin.partition(' ')[0]})"
    names = [{"code": u.code, "name": u.name, "valid_from_ms": since_ms, "source": source} for u in units.units]
    names += [
        {"code": c.code, "name": c.name, "valid_from_ms": midnight_ms(c.since), "source": c.source}
        for c in units.changes
    ]
    newest = {row["code"]: row["name"] for row in sorted(names, key=lambda row: int(str(row["valid_from_ms"])))}
    return {
        "provinces": [{"code": u.code, "name": newest[u.code]} for u in units.units if u.parent is None],
        "communes": [
            _without_none(
                code=u.code, name=newest[u.code], province=u.parent,
                lat_e7=u.lat_e7, lon_e7=u.lon_e7, area_ha=u.area_ha,
            )
            for u in units.units
            if u.parent is not None
        ],
        "unit_names": names,
        "old_units": [_without_none(code=u.code, name=u.name, parent=u.parent) for u in units.old],
        "old_successors": [{"old": s.old, "new": s.new, "is_main": s.is_main} for s in units.successors],
    }  # fmt: skip


def _without_none(**row: Any) -> dict[str, Any]:
    return {key: value for key, value in row.items() if value is not None}
