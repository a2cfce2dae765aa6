"""Builders of panels, targets and field overrides: plain dicts in Grafana's classic JSON. Pure.

Only what is set differs from Grafana's defaults or must not depend on them (stat without `calcs` shows nothing,
units and colours are explicit hex). Shapes load on Grafana 10.4 to 13; where a panel changed in between (xychart)
both spellings stand side by side. Source: facts note 06 §1, §4.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from collector.catalogue import QUERIES, Unit
from grafana.words import NONE, Language, Pair, say

Json = dict[str, Any]
DATASOURCE: Json = {"type": "influxdb", "uid": "${datasource}"}
MISSING: Pair = ("Không có số liệu", "No data")

UNITS: dict[Unit, tuple[str, int | None]] = {
    "Mbit/s": ("suffix:Mbit/s", 1),
    "ms": ("ms", 0),
    "%": ("percent", 1),
    "dBm": ("suffix:dBm", 0),
    "dB": ("suffix:dB", 0),
    "1": ("none", 0),
    "state": ("none", None),
    "word": ("string", None),
    "time": ("time:DD/MM/YYYY HH:mm", None),
    "s": ("dthms", None),
    "GB": ("suffix:GB", 1),
    "°C": ("suffix:°C", 0),
    "deg": ("none", 5),
    "days": ("none", 0),
}
"""Grafana's unit and decimals for each unit of the catalogue."""


def target(ref: str, name: str, alias: str = "$col") -> Json:
    """One query of the catalogue as a panel's target. Several tags need a table and an Organize after it."""
    query = QUERIES[name]
    made: Json = {
        "refId": ref,
        "datasource": DATASOURCE,
        "query": query.influxql,
        "rawQuery": True,
        "resultFormat": query.shape,
    }
    if query.shape == "time_series":
        made["alias"] = alias
    return made


def fixed(color: str) -> Json:
    """A fixed colour; `text` is the theme's own."""
    return {"mode": "fixed", "fixedColor": color}


def steps(base: str, *edges: tuple[float, str]) -> Json:
    """Absolute thresholds: `base` below the first edge, then each colour from its edge on."""
    rest = [{"value": value, "color": color} for value, color in edges]
    return {"mode": "absolute", "steps": [{"value": None, "color": base}, *rest]}


def words(table: dict[str, tuple[Pair, str]], language: Language) -> list[Json]:
    """Value mapping from wire words (or 0/1) to words with their colour."""
    options = {
        word: {"text": say(language, pair), "color": color, "index": index}
        for index, (word, (pair, color)) in enumerate(table.items())
    }
    return [{"type": "value", "options": options}]


def plain_words(table: dict[str, Pair], language: Language) -> list[Json]:
    """Value mapping from wire words to words, uncoloured."""
    options = {word: {"text": say(language, pair), "index": index} for index, (word, pair) in enumerate(table.items())}
    return [{"type": "value", "options": options}]


def any_number(text: str, color: str = NONE) -> list[Json]:
    """Value mapping that puts one sentence in the place of every number."""
    return [{"type": "range", "options": {"from": 0, "to": 1e12, "result": {"text": text, "color": color, "index": 0}}}]


def override(field: str, **properties: Any) -> Json:
    """Properties of one field by name. Keywords write `_` for the dots of custom keys: custom_width."""
    named = [{"id": key.replace("custom_", "custom."), "value": value} for key, value in properties.items()]
    return {"matcher": {"id": "byName", "options": field}, "properties": named}


def column(query: str, name: str, language: Language, **properties: Any) -> Json:
    """Override that gives a field the label and unit of its catalogue column, and `properties` on top."""
    found = next(c for c in QUERIES[query].columns if c.name == name)
    unit, decimals = UNITS[found.unit]
    base: Json = {"displayName": found.vi if language == "vi" else found.en, "unit": unit}
    if decimals is not None:
        base["decimals"] = decimals
    return override(name, **(base | properties))


def panel(
    kind: str,
    ident: int,
    title: str,
    description: str,
    grid: tuple[int, int, int, int],
    *,
    targets: Sequence[Json] = (),
    options: Json | None = None,
    defaults: Json | None = None,
    overrides: Sequence[Json] = (),
    language: Language = "vi",
    **more: Any,
) -> Json:
    """One panel; `grid` is (x, y, w, h) in Grafana's 24 columns."""
    x, y, w, h = grid
    made: Json = {
        "id": ident,
        "type": kind,
        "title": title,
        "description": description,
        "gridPos": {"x": x, "y": y, "w": w, "h": h},
        "options": options or {},
        "fieldConfig": {"defaults": {"noValue": say(language, MISSING)} | (defaults or {}), "overrides": [*overrides]},
    }
    if targets:
        made |= {"datasource": DATASOURCE, "targets": [*targets]}
    return made | more


def row(ident: int, title: str, y: int, repeat: str | None = None) -> Json:
    """A row header; the panels below it, up to the next row, belong to it and are repeated with it."""
    made: Json = {
        "id": ident,
        "type": "row",
        "title": title,
        "collapsed": False,
        "panels": [],
        "gridPos": {"x": 0, "y": y, "w": 24, "h": 1},
    }
    return made if repeat is None else made | {"repeat": repeat}


def stat_options(fields: str = "", text_mode: str = "value_and_name") -> Json:
    """Tiles under each other, name left and value right; `lastNotNull` because the default shows nothing."""
    return {
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": fields, "values": False},
        "orientation": "horizontal",
        "textMode": text_mode,
        "colorMode": "value",
        "graphMode": "none",
        "justifyMode": "auto",
        "wideLayout": True,
        "showPercentChange": False,
        "text": {"titleSize": 14, "valueSize": 22},
    }


def legend(calcs: Sequence[str] = ()) -> Json:
    """A list below the drawing."""
    return {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": [*calcs]}


def graph_options(calcs: Sequence[str] = ()) -> Json:
    """Options shared by time series: legend below, one tooltip for all series."""
    return {"legend": legend(calcs), "tooltip": {"mode": "multi", "sort": "none"}}


def line(axis: str, **custom: Any) -> Json:
    """Custom defaults of a time series: thin line, gaps stay gaps, the axis names its unit and starts at 0."""
    base: Json = {
        "drawStyle": "line",
        "lineInterpolation": "linear",
        "lineWidth": 2,
        "fillOpacity": 0,
        "pointSize": 4,
        "showPoints": "auto",
        "spanNulls": False,
        "axisLabel": axis,
        "axisPlacement": "auto",
        "axisSoftMin": 0,
        "stacking": {"mode": "none", "group": "A"},
    }
    return base | custom


def organize(order: Sequence[str], hide: Sequence[str] = ()) -> Json:
    """Fix the order of columns by name (the back end's order of tags is random) and hide some."""
    index = {name: place for place, name in enumerate(order)}
    hidden = dict.fromkeys(hide, True)
    return {
        "id": "organize",
        "options": {"indexByName": index, "excludeByName": hidden, "renameByName": {}, "includeByName": {}},
    }
