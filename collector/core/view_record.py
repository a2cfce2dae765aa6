"""A record taken apart for reading: every field it holds, in groups, with unit and the row of the metrics table.

Source: `wire.metrics` (unit, meaning, source of every figure), `wire.records` (the fields themselves).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from wire.metrics import Metric, metrics
from wire.records import Record

# First prefix that fits names the group; a field of a group inside the record belongs to that group.
_GROUPS: tuple[tuple[str, str], ...] = (
    ("engine_downlink", "downlink"),
    ("engine_uplink", "uplink"),
    ("engine", "run"),
    ("downlink", "downlink"),
    ("uplink", "uplink"),
    ("rtt", "latency"),
    ("loss", "latency"),
    ("pdv", "latency"),
    ("echo", "latency"),
    ("dns", "access"),
    ("connect", "access"),
    ("first_byte", "access"),
    ("t_", "clock"),
    ("clock", "clock"),
    ("mono", "clock"),
    ("boot", "clock"),
    ("v", "identity"),
    ("probe", "identity"),
    ("epoch", "identity"),
    ("seq", "identity"),
    ("prev", "identity"),
    ("fw", "identity"),
    ("site", "identity"),
    ("config_rev", "identity"),
    ("beacon", "identity"),
    ("referral", "identity"),
    ("simulated", "identity"),
)
GROUP_ORDER = (
    "run", "downlink", "uplink", "latency", "access", "path",
    "radio", "position", "host", "budget", "clock", "identity",
)  # fmt: skip
# Fields that name a place or a referral code exactly: only for those who may see positions.
EXACT = frozenset({"position_lat_e7", "position_lon_e7", "position_alt_mm", "referral"})


# Units that a name states by its ending, longest first; instants read as a time of day.
_INSTANTS = frozenset({"t_ms", "slot_ms", "due_ms", "set_t_ms", "period_start_ms"})
_ENDINGS = (
    ("_dbm_x10", "dBm/10"), ("_db_x10", "dB/10"), ("_c_x10", "degC/10"), ("_x100", "1/100"), ("_bytes", "B"),
    ("_ppm", "ppm"), ("_bps", "bit/s"), ("_us", "us"), ("_ms", "ms"), ("_mm", "mm"), ("_m", "m"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldRow:
    """One field: dotted name, raw value (integers as they were signed), and its metric if it is one."""

    name: str
    value: Any
    metric: Metric | None

    @property
    def flat(self) -> str:
        """Name as InfluxDB and exports spell it."""
        return self.name.replace(".", "_")

    @property
    def unit(self) -> str:
        """Unit of `wire.metrics`, or as the name ends; "instant" for a UTC time, "" for a plain number or word."""
        last = self.name.rpartition(".")[2]
        if last in _INSTANTS:
            return "instant"
        if self.metric is not None:
            return self.metric.unit
        statistic = last.removesuffix("_min").removesuffix("_max").removesuffix("_median")
        return next((unit for ending, unit in _ENDINGS if statistic.endswith(ending)), "")


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that are read together."""

    name: str
    rows: tuple[FieldRow, ...]


def fields(record: Record) -> Iterator[tuple[str, Any]]:
    """Every field of a record that is known, dotted, in the order of the contract."""
    for name in record.__struct_fields__:
        value = getattr(record, name)
        if isinstance(value, msgspec.Struct):
            for inner, deeper in _inside(value):
                yield f"{name}.{inner}", deeper
        elif value is not None:
            yield name, value


def _inside(part: msgspec.Struct) -> Iterator[tuple[str, Any]]:
    for name in part.__struct_fields__:
        value = getattr(part, name)
        if isinstance(value, msgspec.Struct):
            for inner, deeper in _inside(value):
                yield f"{name}.{inner}", deeper
        elif value is not None:
            yield name, value


def group_of(name: str) -> str:
    """Group of a dotted field name."""
    head, dot, _ = name.partition(".")
    if dot:
        return head
    exact = next((group for prefix, group in _GROUPS if prefix == name), None)
    if exact is not None:
        return exact
    return next((group for prefix, group in _GROUPS if len(prefix) > 1 and name.startswith(prefix)), "run")


def groups(record: Record, kind: str) -> tuple[Group, ...]:
    """The fields of a record in groups, empty groups left out."""
    known = {".".join(m.path): m for m in metrics(kind)}
    rows: dict[str, list[FieldRow]] = {name: [] for name in GROUP_ORDER}
    for name, value in fields(record):
        rows[group_of(name)].append(FieldRow(name, value, known.get(name)))
    return tuple(Group(name, tuple(rows[name])) for name in GROUP_ORDER if rows[name])


def metric_values(record: Record, kind: str, exact: bool) -> dict[str, int | bool | str | None]:
    """Every metric of a record by its name, raw; exact positions only if `exact`."""
    rows = (m for m in metrics(kind) if exact or m.name not in EXACT)
    return {m.name: m.value(record) for m in rows}
