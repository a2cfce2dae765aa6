"""What Grafana shows for a value: overrides put together, units, value mappings, thresholds. Pure.

Follows @grafana/data (applyFieldOverrides, getDisplayProcessor, valueFormats) as far as our boards use it.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from grafana.frames import Field, moment_text

Json = dict[str, Any]
TEXT = "#24292E"
ZONE = "Asia/Ho_Chi_Minh"


@dataclass(frozen=True, slots=True)
class Shown:
    """A value as text, with its colour; `mapped` if a value mapping supplied it."""

    text: str
    color: str
    mapped: bool = False


def config_of(panel: Json, field: Field) -> Json:
    """Defaults of the panel with every override whose name is the field's; custom keys under `custom`."""
    source = panel["fieldConfig"]
    made: Json = {**source["defaults"], "custom": dict(source["defaults"].get("custom", {}))}
    for rule in source["overrides"]:
        if _meant(rule["matcher"], field):
            for wanted in rule["properties"]:
                key = wanted["id"]
                place = made["custom"] if key.startswith("custom.") else made
                place[key.removeprefix("custom.")] = wanted["value"]
    return made


def _meant(matcher: Json, field: Field) -> bool:
    """Whether an override is about this field: by its name or label, or by `/pattern/`."""
    wanted: str = matcher["options"]
    if matcher["id"] == "byRegexp":
        return re.search(wanted.strip("/"), field.display or field.name) is not None
    return wanted in {field.name, field.display}


def label_of(config: Json, field: Field) -> str:
    """The name that stands beside the value."""
    label: str = config.get("displayName") or field.display or field.name
    return label


def _in_unit(value: float, unit: str, decimals: int | None) -> str:
    if unit == "dthms":
        hours, rest = divmod(int(value), 3600)
        return f"{hours:02d}:{rest // 60:02d}:{rest % 60:02d}"
    if unit == "ms" and abs(value) >= 1000:
        return f"{value / 1000:.2f} s"
    digits = decimals if decimals is not None else (0 if float(value).is_integer() else 2)
    # Grafana rounds a half upwards (JavaScript's Math.round), also below zero: -95.5 is -95.
    text = f"{math.floor(value * 10**digits + 0.5) / 10**digits:.{digits}f}"
    if unit.startswith("suffix:"):
        return f"{text} {unit.removeprefix('suffix:').strip()}"
    return text + {"percent": "%", "ms": " ms"}.get(unit, "")


def _mapped(config: Json, value: Any) -> Shown | None:
    word = f"{value:g}" if isinstance(value, int | float) else str(value)
    for mapping in config.get("mappings", ()):
        options = mapping["options"]
        if mapping["type"] == "value" and word in options:
            found = options[word]
            return Shown(found["text"], found.get("color", TEXT), mapped="color" in found)
        if mapping["type"] == "range" and isinstance(value, int | float) and options["from"] <= value <= options["to"]:
            return Shown(options["result"]["text"], options["result"].get("color", TEXT), mapped=True)
    return None


def threshold_color(config: Json, value: float) -> str:
    """Colour of the highest step that the value reaches."""
    color = TEXT
    for step in config.get("thresholds", {"steps": []})["steps"]:
        if step["value"] is None or value >= step["value"]:
            color = step["color"]
    return color


def color_of(config: Json, value: Any = None) -> str:
    """Colour of a field (fixed) or of one value (thresholds)."""
    color = config.get("color", {})
    if color.get("mode") == "thresholds" and isinstance(value, int | float):
        return threshold_color(config, value)
    fixed: str = color.get("fixedColor", TEXT)
    return TEXT if fixed == "text" else fixed


def show(config: Json, value: Any) -> Shown:
    """Write one value: mapping first, then unit; nothing is the panel's `noValue`."""
    if value is None or value == "":
        return Shown(config.get("noValue", "-"), "#8E8E8E")
    mapped = _mapped(config, value)
    if mapped is not None:
        return mapped if mapped.mapped else Shown(mapped.text, color_of(config, value))
    unit = config.get("unit", "none")
    if unit.startswith("time:"):
        return Shown(moment_text(value, unit.removeprefix("time:"), ZONE), color_of(config))
    if isinstance(value, str):
        return Shown(value, color_of(config))
    return Shown(_in_unit(value, unit, config.get("decimals")), color_of(config, value))
