"""Brings the lists of units into a registry, and a newer release of them: what is new, gone, or called otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from collector.registry import Registry
from collector.registry_rows import Report
from provisioning.units import Units, document, midnight_ms


@dataclass(frozen=True, slots=True)
class Difference:
    """How a newer list differs from the registry: names here and there, None where there is none.

    `is_older`: the list still says what the unit was called before; the registry knows better.
    """

    code: str
    here: str | None
    there: str | None
    is_older: bool = False


def load(registry: Registry, units: Units, now_ms: int) -> Report:
    """Enter all units and their successions. A name that was changed since the lists were made is left as it is."""
    made = document(units)
    newest_ms = {row["code"]: 0 for row in made["unit_names"]}
    for row in made["unit_names"]:
        newest_ms[row["code"]] = max(newest_ms[row["code"]], row["valid_from_ms"])
    held = _names(registry)
    for row in (*made["provinces"], *made["communes"]):
        name, since_ms = held.get(row["code"], ("", -1))
        if since_ms > newest_ms[row["code"]]:
            row["name"] = name
    return registry.load(made, now_ms)


def compare(registry: Registry, units: Units) -> list[Difference]:
    """What the newer list says otherwise than the registry, by code."""
    held = {code: name for code, (name, _) in _names(registry).items()}
    there = {unit.code: unit.name for unit in units.units}
    ever = {(row["code"], row["name"]) for row in registry.dated.dump("unit_names")}
    return [
        Difference(code, held.get(code), there.get(code), (code, there.get(code)) in ever)
        for code in sorted(held.keys() | there.keys())
        if held.get(code) != there.get(code)
    ]


def refresh(registry: Registry, units: Units, since: date, source: str, now_ms: int) -> Report:
    """Enter units that are new, and new names from `since` on; nothing is taken away, no older name comes back."""
    made = document(units)
    fresh = {d.code for d in compare(registry, units) if d.there is not None and not d.is_older}
    rename: list[dict[str, Any]] = [
        {"code": unit.code, "name": unit.name, "valid_from_ms": midnight_ms(since), "source": source}
        for unit in units.units
        if unit.code in fresh
    ]
    keep = {name: [row for row in made[name] if row["code"] in fresh] for name in ("provinces", "communes")}
    lists = {"old_units": made["old_units"], "old_successors": made["old_successors"]}
    return registry.load({**keep, **lists, "unit_names": rename}, now_ms)


def _names(registry: Registry) -> dict[str, tuple[str, int]]:
    """Newest name of each unit and since when, by code."""
    return {row["code"]: (row["name"], row.get("valid_from_ms", 0)) for row in registry.dated.dump("unit_names")}
