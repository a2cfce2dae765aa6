"""From InfluxDB's answer to the frames that a panel gets, as Grafana's back end and transformations make them. Pure.

Covers the transformations that our boards use: calculateField (a copy), convertFieldType, groupingToMatrix, organize.
Source: grafana/grafana pkg/tsdb/influxdb/influxql/buffered (frames); @grafana/data 10.4 and 13.2 (transformations).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

Json = dict[str, Any]
Series = Mapping[str, Any]
_ALIAS = re.compile(r"\$(\w+)|\[\[([\s\S]+?)\]\]")
_MOMENT = (("DD", "%d"), ("MM", "%m"), ("YYYY", "%Y"), ("HH", "%H"), ("mm", "%M"), ("ss", "%S"))


@dataclass(frozen=True, slots=True)
class Field:
    """One column: `kind` is time (UTC ms), number, string or null; `display` the data source's own label."""

    name: str
    kind: str
    values: tuple[Any, ...]
    display: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Frame:
    """What one query, or one series of it, gives to a panel."""

    ref: str
    fields: tuple[Field, ...]

    def column(self, name: str) -> Field | None:
        """The field of that name, or with that label; None if there is none."""
        return next((f for f in self.fields if name in {f.name, f.display}), None)


def _kind(values: Iterable[Any]) -> str:
    known = next((v for v in values if v is not None), None)
    return "null" if known is None else "string" if isinstance(known, str) else "number"


def series_name(alias: str, column: str, tags: Mapping[str, str], measurement: str) -> str:
    """The name of a series by its alias: `$col`, `$m`, `$tag_<key>`; without an alias `measurement.column`."""
    if not alias:
        shown = ", ".join(f"{key}: {value}" for key, value in sorted(tags.items()))
        return f"{measurement}.{column}" + (f" {{ {shown} }}" if shown else "")

    def put(match: re.Match[str]) -> str:
        word: str = match[1] or match[2]
        if word.startswith("tag_"):
            return tags.get(word[4:], match[0])
        return {"col": column, "m": measurement, "measurement": measurement}.get(word, match[0])

    return _ALIAS.sub(put, alias)


def _series_frames(ref: str, alias: str, rows: Sequence[Series]) -> list[Frame]:
    """Result format `time_series`: one frame for each value column of each series."""
    frames = []
    for row in rows:
        times = tuple(values[0] for values in row["values"])
        for place, column in enumerate(row["columns"]):
            if column == "time":
                continue
            values = tuple(v[place] for v in row["values"])
            name = series_name(alias, column, row.get("tags", {}), row["name"])
            value = Field("Value", _kind(values), values, name, row.get("tags", {}))
            frames.append(Frame(ref, (Field("Time", "time", times), value)))
    return frames


def _table_frame(ref: str, rows: Sequence[Series]) -> list[Frame]:
    """Result format `table`: all series under each other; time, then tags, then value columns."""
    if not rows:
        return []
    columns = rows[0]["columns"]
    times = tuple(v[0] for row in rows for v in row["values"])
    fields = [Field("Time", "time", times)]
    for tag in rows[0].get("tags", {}):
        fields.append(Field(tag, "string", tuple(row["tags"][tag] for row in rows for _ in row["values"]), tag))
    for place, column in enumerate(columns[1:], start=1):
        values = tuple(v[place] for row in rows for v in row["values"])
        fields.append(Field(column, _kind(values), values, column))
    return [Frame(ref, tuple(fields))]


def frames_of(target: Json, rows: Sequence[Series]) -> list[Frame]:
    """The frames of one target's answer."""
    if target["resultFormat"] == "table":
        return _table_frame(target["refId"], rows)
    return _series_frames(target["refId"], target.get("alias", ""), rows)


def moment_text(ms: int, form: str, zone: str) -> str:
    """Write a time with Grafana's (moment's) format letters."""
    for letters, directive in _MOMENT:
        form = form.replace(letters, directive)
    return datetime.fromtimestamp(ms / 1000, UTC).astimezone(ZoneInfo(zone)).strftime(form)


def _copy_field(frame: Frame, options: Json) -> Frame:
    source = frame.column(options["binary"]["left"])
    if source is None:
        return frame
    return replace(frame, fields=(*frame.fields, Field(options["alias"], "number", source.values)))


def _convert(frame: Frame, options: Json) -> Frame:
    fields = list(frame.fields)
    for conversion in options["conversions"]:
        for place, found in enumerate(fields):
            if found.name == conversion["targetField"]:
                fields[place] = _converted(found, conversion)
    return replace(frame, fields=tuple(fields))


def _converted(found: Field, conversion: Json) -> Field:
    kind = conversion["destinationType"]
    if kind == "string":
        zone, form = conversion["timezone"], conversion["dateFormat"]
        return replace(found, kind=kind, values=tuple(moment_text(v, form, zone) for v in found.values))
    return replace(found, kind=kind)


def _matrix(frame: Frame, options: Json) -> Frame:
    across, down = frame.column(options["columnField"]), frame.column(options["rowField"])
    value = frame.column(options["valueField"])
    if across is None or down is None or value is None:
        return frame
    cells = {(r, c): v for r, c, v in zip(down.values, across.values, value.values, strict=True)}
    rows = tuple(dict.fromkeys(down.values))
    head = Field(f"{options['rowField']}\\{options['columnField']}", "string", rows)
    # Every column keeps the value field's own label, if it has one: Grafana then shows that label over all of them.
    body = [
        Field(str(c), value.kind, tuple(cells.get((r, c)) for r in rows), value.display)
        for c in dict.fromkeys(across.values)
    ]
    return replace(frame, fields=(head, *body))


def _organize(frame: Frame, options: Json) -> Frame:
    order, hidden = options["indexByName"], options["excludeByName"]
    kept = [f for f in frame.fields if not hidden.get(f.display or f.name)]
    return replace(frame, fields=tuple(sorted(kept, key=lambda f: order.get(f.display or f.name, len(order)))))


def _sort(frame: Frame, options: Json) -> Frame:
    """Rows by one column; those without a value come last going up, as @grafana/data puts them, and last going down."""
    wanted = options["sort"][0]
    found = frame.column(wanted["field"])
    if found is None:
        return frame
    known = [i for i, value in enumerate(found.values) if value is not None]
    missing = [i for i, value in enumerate(found.values) if value is None]
    known.sort(key=lambda i: found.values[i], reverse=wanted["desc"])
    order = [*known, *missing]
    return replace(frame, fields=tuple(replace(f, values=tuple(f.values[i] for i in order)) for f in frame.fields))


def _group(frame: Frame, options: Json) -> Frame:
    """Rows with the same value of the column grouped by, and how many values another column has in each."""
    by = next(name for name, rule in options["fields"].items() if rule["operation"] == "groupby")
    over = next(name for name, rule in options["fields"].items() if rule["operation"] == "aggregate")
    keys, counted = frame.column(by), frame.column(over)
    if keys is None or counted is None:
        return frame
    groups = tuple(dict.fromkeys(keys.values))
    sums = tuple(sum(key == group for key in keys.values) for group in groups)
    return replace(frame, fields=(replace(keys, values=groups), Field(f"{over} (count)", "number", sums)))


_STEPS: dict[str, Callable[[Frame, Json], Frame]] = {
    "calculateField": _copy_field,
    "convertFieldType": _convert,
    "groupingToMatrix": _matrix,
    "organize": _organize,
    "sortBy": _sort,
    "groupBy": _group,
}


def transform(frames: Sequence[Frame], steps: Sequence[Json]) -> list[Frame]:
    """Apply a panel's transformations. Raises KeyError for one that our boards do not use."""
    made = list(frames)
    for step in steps:
        made = [_STEPS[step["id"]](frame, step["options"]) for frame in made]
    return made
