"""Each kind of panel drawn as HTML or SVG from its JSON and its frames. Pure.

A preview, not Grafana: it shows the board's own queries, units, words and colours, laid out as the board says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from grafana import svg
from grafana.fields import TEXT, color_of, config_of, label_of, show
from grafana.frames import Field, Frame

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Canvas:
    """Pixels inside a panel and the board's range in UTC ms."""

    width: float
    height: float
    from_ms: int
    to_ms: int


@dataclass(frozen=True, slots=True)
class Curve:
    """One series of a graph with its settings."""

    label: str
    name: str
    times: tuple[int, ...]
    values: tuple[float | None, ...]
    color: str
    custom: Json
    shown: bool


def _empty(panel: Json) -> str:
    return f'<div class="empty">{escape(panel["fieldConfig"]["defaults"].get("noValue", ""))}</div>'


def _value_fields(frames: Sequence[Frame]) -> list[tuple[Frame, Field]]:
    return [(frame, field) for frame in frames for field in frame.fields if field.kind != "time"]


def draw_text(panel: Json, _frames: Sequence[Frame], _canvas: Canvas) -> str:
    """Markdown of the legend: paragraphs, one level of list, bold."""
    made, in_list = [], False
    for line in panel["options"]["content"].splitlines():
        body = re.sub(r"\*\*(.+?)\*\*", r"<b>\1</b>", escape(line.removeprefix("- "), quote=False))
        is_item = line.startswith("- ")
        if is_item != in_list:
            made.append("<ul>" if is_item else "</ul>")
        made.append(f"<li>{body}</li>" if is_item else f"<p>{body}</p>")
        in_list = is_item
    return f'<div class="text">{"".join(made)}{"</ul>" if in_list else ""}</div>'


def draw_stat(panel: Json, frames: Sequence[Frame], _canvas: Canvas) -> str:
    """Tiles: name left, last value right."""
    wanted = panel["options"]["reduceOptions"]["fields"].strip("/^$")
    only_value = panel["options"]["textMode"] == "value"
    tiles = []
    for frame in frames:
        for field in frame.fields:
            if (field.name != wanted) if wanted else (field.kind == "time"):
                continue
            config = config_of(panel, field)
            last = next((v for v in reversed(field.values) if v is not None), None)
            shown = show(config, last)
            size = "words" if shown.mapped else "big"
            label = "" if only_value else f"<span>{escape(label_of(config, field))}</span>"
            tiles.append(
                f'<div class="tile">{label}<b class="{size}" style="color:{shown.color}">{escape(shown.text)}</b></div>'
            )
    return f'<div class="stat">{"".join(tiles)}</div>' if tiles else _empty(panel)


def _ink(background: str) -> str:
    red, green, blue = (int(background[i : i + 2], 16) for i in (1, 3, 5))
    return "#FFFFFF" if 0.299 * red + 0.587 * green + 0.114 * blue < 140 else TEXT


def _align(config: Json, field: Field) -> str:
    """Where a column stands: as the board says, else numbers right, words and times left."""
    wanted: str = config["custom"].get("align", "auto")
    worded = any(mapping["type"] == "value" for mapping in config.get("mappings", ()))
    return ("right" if field.kind == "number" and not worded else "left") if wanted == "auto" else wanted


def _bar(config: Json, value: Any, shown: str, color: str, most: float) -> str:
    """A cell with a bar as long as its value, the number over it."""
    width = 100 * min(1.0, max(0.0, float(value or 0) / float(config.get("max", most) or 1)))
    bar = f'<i style="width:{width:.0f}%;background:{color}"></i>'
    return f'<td class="gauge">{bar}<b>{escape(shown)}</b></td>'


def _cell(config: Json, value: Any, align: str, most: float = 1.0) -> str:
    shown = show(config, value)
    kind = config["custom"].get("cellOptions", {}).get("type", "auto")
    style = f"text-align:{align};"
    if kind == "gauge" and value is not None:
        return _bar(config, value, shown.text, shown.color, most)
    if kind == "color-background" and value is not None:
        style += f"background:{shown.color};color:{_ink(shown.color)};"
    elif kind == "color-text":
        style += f"color:{shown.color};font-weight:600;"
    body = escape(shown.text)
    return f'<td style="{style}">{f"<a>{body}</a>" if config.get("links") else body}</td>'


def draw_table(panel: Json, frames: Sequence[Frame], _canvas: Canvas) -> str:
    """A table; cells coloured where the board says so."""
    if not frames or not frames[0].fields:
        return _empty(panel)
    fields = frames[0].fields
    configs = [config_of(panel, field) for field in fields]
    widths = "".join(
        f'<col style="width:{c["custom"]["width"]}px">' if "width" in c["custom"] else "<col>" for c in configs
    )
    sides = [_align(config, field) for config, field in zip(configs, fields, strict=True)]
    labels = (escape(label_of(config, field)) for config, field in zip(configs, fields, strict=True))
    heads = "".join(f'<th style="text-align:{side}">{label}</th>' for side, label in zip(sides, labels, strict=True))
    rows = (
        "<tr>" + "".join(_cell(*cell) for cell in _row(configs, fields, sides, i)) + "</tr>"
        for i in range(len(fields[0].values))
    )
    return f"<table><colgroup>{widths}</colgroup><tr>{heads}</tr>{''.join(rows)}</table>"


def _row(
    configs: Sequence[Json], fields: Sequence[Field], sides: Sequence[str], place: int
) -> list[tuple[Json, Any, str, float]]:
    """Cells of one row: settings, value, side, and the column's largest number."""
    tops = (max((v for v in f.values if isinstance(v, int | float)), default=1.0) for f in fields)
    return [(c, f.values[place], s, t) for c, f, s, t in zip(configs, fields, sides, tops, strict=True)]


def _curves(panel: Json, frames: Sequence[Frame]) -> list[Curve]:
    made = []
    for frame, field in _value_fields(frames):
        config = config_of(panel, field)
        shown = not config["custom"].get("hideFrom", {}).get("viz", False)
        label = label_of(config, field)
        times = frame.fields[0].values
        made.append(Curve(label, field.display, times, field.values, color_of(config), config["custom"], shown))
    return [curve for curve in made if curve.shown]


def _bars(curve: Curve, x: svg.Scale, y: svg.Scale, floor: dict[int, float]) -> str:
    """Bars of one series on what is stacked below it; `floor` is raised. A bucket's part before the range is cut."""
    step = min((b - a for a, b in zip(curve.times, curve.times[1:], strict=False)), default=svg.DAY_MS)
    stacked = curve.custom["stacking"]["mode"] == "normal"
    opacity = curve.custom["fillOpacity"] / 100
    parts = []
    for at, value in zip(curve.times, curve.values, strict=True):
        base = floor.get(at, 0.0) if stacked else 0.0
        left, right = x(at), x(at + 0.85 * step)
        if value and right > left:
            parts.append(svg.rect(left, y(base), right - left, y(base + value) - y(base), curve.color, opacity))
        if stacked:
            floor[at] = base + (value or 0.0)
    return "".join(parts)


def _lines(curve: Curve, x: svg.Scale, y: svg.Scale) -> str:
    inside = ((at, v) for at, v in zip(curve.times, curve.values, strict=True) if at >= x.low)
    points = svg.runs((x(at), None if v is None else y(v)) for at, v in inside)
    always = curve.custom.get("showPoints") == "always"
    dots = [svg.dot(*point, 2.5, curve.color) for run in points for point in run] if always else []
    return "".join([*(svg.path(run, curve.color, curve.custom["lineWidth"]) for run in points), *dots])


def _band(upper: Curve, lower: Curve, x: svg.Scale, y: svg.Scale) -> str:
    both = svg.runs(
        (i, None if a is None or b is None or upper.times[i] < x.low else 1.0)
        for i, (a, b) in enumerate(zip(upper.values, lower.values, strict=True))
    )
    parts = []
    for run in both:
        places = [int(i) for i, _ in run]
        top = [(x(upper.times[i]), y(upper.values[i] or 0.0)) for i in places]
        low = [(x(lower.times[i]), y(lower.values[i] or 0.0)) for i in reversed(places)]
        parts.append(svg.area([*top, *low], upper.color, upper.custom["fillOpacity"] / 100))
    return "".join(parts)


def _legend(entries: Sequence[tuple[str, str]]) -> str:
    items = (f'<span><i style="background:{color}"></i>{escape(label)}</span>' for label, color in entries)
    return f'<div class="legend">{"".join(items)}</div>'


def _legend_lines(labels: Iterable[str], width: float) -> int:
    """How many lines the legend takes in a panel of this width, each entry about as wide as its letters."""
    lines, used, room = 1, 0.0, width - 66
    for label in labels:
        wide = 6.6 * len(label) + 34
        if used and used + wide > room:
            lines, used = lines + 1, 0.0
        used += wide
    return lines


def _top(curves: Sequence[Curve], config: Json) -> float:
    """The highest value, stacks summed; the panel's own maximum wins."""
    if "max" in config:
        return float(config["max"])
    sums: dict[int, float] = {}
    alone = [0.0]
    for curve in curves:
        for at, value in zip(curve.times, curve.values, strict=True):
            if curve.custom["stacking"]["mode"] == "normal":
                sums[at] = sums.get(at, 0.0) + (value or 0.0)
            else:
                alone.append(value or 0.0)
    soft = max((float(c.custom.get("axisSoftMax", 0)) for c in curves), default=0.0)
    return max(*alone, *sums.values(), soft, 1.0)


def draw_timeseries(panel: Json, frames: Sequence[Frame], canvas: Canvas) -> str:
    """Lines, bands and bars over time; a second axis on the right where a series asks for it."""
    curves = _curves(panel, frames)
    if not curves:
        return _empty(panel)
    right = [c for c in curves if c.custom.get("axisPlacement") == "right"]
    left = [c for c in curves if c not in right]
    under = 17 * (_legend_lines((c.label for c in curves), canvas.width) - 1)
    digits = len(f"{svg.nice_ticks(0, _top(left, panel['fieldConfig']['defaults']), 4)[-1]:.0f}") if left else 1
    edge = 54 + 7 * max(0, digits - 4)
    box = svg.Box(edge, 10, canvas.width - (46 if right else 12), canvas.height - 50 - under)
    x = svg.Scale(canvas.from_ms, canvas.to_ms, box.left, box.right)
    parts, floor = [svg.time_axis(box, canvas.from_ms, canvas.to_ms, x)], dict[int, float]()
    scales: dict[str, svg.Scale] = {}
    defaults = panel["fieldConfig"]["defaults"]
    for group, on_right in ((left, False), (right, True)):
        if not group:
            continue
        ticks = svg.nice_ticks(0, _top(group, {} if on_right else defaults), 4)
        scale = svg.Scale(ticks[0], ticks[-1], box.bottom, box.top)
        parts.append(svg.value_axis(box, ticks, scale, group[0].custom["axisLabel"], right=on_right))
        scales |= {curve.name: scale for curve in group}
    named = {curve.name: curve for curve in curves}
    for curve in sorted(curves, key=lambda c: c.custom["drawStyle"] != "bars"):
        y = scales[curve.name]
        below = named.get(curve.custom.get("fillBelowTo", ""))
        if below is not None:
            parts.append(_band(curve, below, x, y))
        parts.append(_bars(curve, x, y, floor) if curve.custom["drawStyle"] == "bars" else _lines(curve, x, y))
    return svg.frame(canvas.width, canvas.height - 26 - under, parts) + _legend([(c.label, c.color) for c in curves])


def draw_states(panel: Json, frames: Sequence[Frame], canvas: Canvas) -> str:
    """One lane for each series; equal neighbours are merged, words stand in cells that have the room."""
    lanes = _value_fields(frames)
    if not lanes:
        return _empty(panel)
    margin = 7.0 * max(len(field.display) for _, field in lanes) + 12
    box = svg.Box(margin, 4, canvas.width - 12, canvas.height - 50)
    x = svg.Scale(canvas.from_ms, canvas.to_ms, box.left, box.right)
    tall = (box.bottom - box.top) / len(lanes)
    parts = [svg.time_axis(box, canvas.from_ms, canvas.to_ms, x)]
    seen: dict[str, str] = {}
    for place, (frame, field) in enumerate(lanes):
        top = box.top + place * tall
        parts.append(svg.text(box.left - 8, top + tall / 2 + 4, field.display, "end", TEXT, 12))
        parts.append(svg.rect(box.left, top + tall * 0.1, box.right - box.left, tall * 0.8, "#F4F5F5"))
        parts += _lane(
            config_of(panel, field), frame.fields[0].values, field.values, x, top + tall * 0.1, tall * 0.8, seen
        )
    return svg.frame(canvas.width, canvas.height - 26, parts) + _legend(list(seen.items()))


def _lane(
    config: Json,
    times: Sequence[int],
    values: Sequence[Any],
    x: svg.Scale,
    top: float,
    tall: float,
    seen: dict[str, str],
) -> list[str]:
    parts: list[str] = []
    ends = [*times[1:], int(x.high)]
    start = 0
    for place in range(len(values)):
        if place + 1 < len(values) and values[place + 1] == values[place]:
            continue
        if values[start] is not None:
            shown = show(config, values[start])
            left, right = x(times[start]), x(ends[place])
            parts.append(svg.rect(left, top, right - left, tall, shown.color, config["custom"]["fillOpacity"] / 100))
            if right - left > 7.2 * len(shown.text):
                parts.append(svg.text(left + 5, top + tall / 2 + 4, shown.text, "start", _ink(shown.color), 11))
            if isinstance(values[start], int | float):
                seen.setdefault(shown.text, shown.color)
        start = place + 1
    return parts


def draw_xy(panel: Json, frames: Sequence[Frame], canvas: Canvas) -> str:
    """Points of two columns."""
    series = panel["options"]["series"][0]
    found = [frames[0].column(series[axis]["matcher"]["options"]) for axis in "xy"] if frames else [None, None]
    if found[0] is None or found[1] is None:
        return _empty(panel)
    pairs = [(a, b) for a, b in zip(found[0].values, found[1].values, strict=True) if a is not None and b is not None]
    if not pairs:
        return _empty(panel)
    configs = [config_of(panel, field) for field in found if field is not None]
    box = svg.Box(54, 10, canvas.width - 12, canvas.height - 44)
    across = svg.nice_ticks(min(a for a, _ in pairs), max(a for a, _ in pairs), 8)
    up = svg.nice_ticks(0, max(b for _, b in pairs), 5)
    x, y = svg.Scale(across[0], across[-1], box.left, box.right), svg.Scale(up[0], up[-1], box.bottom, box.top)
    size = panel["fieldConfig"]["defaults"]["custom"]["pointSize"]["fixed"] / 2
    marks = [svg.text(x(t), box.bottom + 16, f"{t:g}") for t in across]
    title = svg.text((box.left + box.right) / 2, box.bottom + 34, configs[0]["custom"]["axisLabel"])
    points = [svg.dot(x(a), y(b), size, color_of(configs[1]), 0.45) for a, b in pairs]
    return svg.frame(
        canvas.width,
        canvas.height,
        [svg.value_axis(box, up, y, configs[1]["custom"]["axisLabel"]), *marks, title, *points],
    )


def draw_map(panel: Json, frames: Sequence[Frame], canvas: Canvas) -> str:
    """Markers of each layer at their places, north up, on white: no base map is needed or fetched."""
    spots: list[tuple[float, float, str, float]] = []
    for layer in panel["options"]["layers"]:
        frame = next((f for f in frames if f.ref == layer["filterData"]["options"]), None)
        style = layer["config"]["style"]
        coloured = frame.column(style["color"].get("field", "")) if frame else None
        places = [frame.column(name) for name in ("lat", "lon")] if frame else [None, None]
        if places[0] is None or places[1] is None:
            continue
        for row, (lat, lon) in enumerate(zip(places[0].values, places[1].values, strict=True)):
            if lat is not None and lon is not None:
                value = coloured.values[row] if coloured else None
                color = color_of(config_of(panel, coloured), value) if coloured and value is not None else "#999999"
                spots.append((lat, lon, color, style["opacity"]))
    return _markers(spots, canvas) if spots else _empty(panel)


def _markers(spots: Sequence[tuple[float, float, str, float]], canvas: Canvas) -> str:
    south, north = min(s[0] for s in spots) - 0.01, max(s[0] for s in spots) + 0.01
    west, east = min(s[1] for s in spots) - 0.01, max(s[1] for s in spots) + 0.01
    degree = min((canvas.width - 24) / (east - west) / 0.93, (canvas.height - 24) / (north - south))
    middle = ((west + east) / 2, (south + north) / 2)

    def at(lat: float, lon: float) -> tuple[float, float]:
        across = canvas.width / 2 + (lon - middle[0]) * degree * 0.93
        return across, canvas.height / 2 - (lat - middle[1]) * degree

    dots = [svg.dot(*at(lat, lon), 5, color, opacity) for lat, lon, color, opacity in spots]
    return svg.frame(canvas.width, canvas.height, dots)


DRAWERS: dict[str, Callable[[Json, Sequence[Frame], Canvas], str]] = {
    "text": draw_text,
    "stat": draw_stat,
    "table": draw_table,
    "timeseries": draw_timeseries,
    "state-timeline": draw_states,
    "xychart": draw_xy,
    "geomap": draw_map,
}
