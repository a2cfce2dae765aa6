"""A preview drawn from a board's own JSON and queries: one self-contained page, and a picture of it by Chromium.

It is no picture of Grafana: no Grafana server is needed or seen. What it proves is that the committed JSON, its
variables, queries, transformations, units, words and colours give a readable board over real rows.
"""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from grafana.draw import DRAWERS, Canvas
from grafana.frames import Frame, frames_of, moment_text, transform
from grafana.harness import Asked, Database, View, check_panels, ranged, variable_values
from grafana.png import shrink
from grafana.words import Language, Pair, say
from wire.errors import Misconfigured, Refused

Json = dict[str, Any]
WIDTH, PHONE, UNIT, GAP, HEAD, PAD = 1440, 412, 30, 8, 30, 16
_NOTE: Pair = (
    "Bản xem trước, vẽ từ chính JSON và truy vấn của bảng; không phải ảnh chụp Grafana.",
    "Preview drawn from the board's own JSON and queries; not a picture of Grafana.",
)
_STYLE = """
*{box-sizing:border-box}
body{margin:0;background:#F4F5F5;color:#24292E;font:13px/1.4 "Noto Sans","DejaVu Sans",sans-serif}
header{padding:14px 16px 6px} h1{font-size:20px;margin:0 0 8px;display:inline-block}
.note{float:right;background:#FFF4D6;border:1px solid #E69F00;border-radius:4px;padding:4px 10px;font-size:12px}
.vars span{display:inline-block;background:#fff;border:1px solid #D5D9DE;border-radius:3px;padding:3px 9px}
.vars span{margin-right:8px}
.vars b{color:#0072B2;font-weight:600;margin-right:6px} .grid{position:relative}
.panel{position:absolute;background:#fff;border:1px solid #E1E4E8;border-radius:3px;overflow:hidden}
.panel h2{font-size:13.5px;font-weight:600;margin:0;padding:6px 10px 0;height:30px;white-space:nowrap}
.row{position:absolute;font-size:15px;font-weight:600;padding-top:4px} .body{position:relative}
.row:before{content:"▾ ";color:#6E747D} svg{display:block}
.text{padding:2px 12px} .text p{margin:0 0 4px} .text ul{margin:0;padding-left:18px} .text li{margin-bottom:3px}
.stat{display:flex;flex-direction:column;justify-content:space-evenly;height:100%;padding:0 12px 8px}
.tile{display:flex;justify-content:space-between;align-items:baseline;gap:8px} .tile span{color:#57606A}
.big{font-size:21px;font-weight:600;white-space:nowrap} .words{font-size:13px;text-align:right}
table{border-collapse:collapse;width:calc(100% - 12px);margin:0 6px;font-size:12.5px}
th{text-align:left;color:#0072B2;font-weight:600;padding:3px 6px;border-bottom:1px solid #E1E4E8;white-space:nowrap}
td{padding:3.4px 6px;border-bottom:1px solid #F0F1F3;white-space:nowrap;overflow:hidden} td a{color:#0072B2}
.gauge{position:relative;min-width:60px;text-align:right} .gauge b{position:relative;font-weight:600}
.gauge i{position:absolute;left:0;top:3px;bottom:3px;opacity:.35;border-radius:2px}
.legend{position:absolute;bottom:5px;left:54px;font-size:12px} .legend span{margin-right:14px}
.legend i{display:inline-block;width:12px;height:4px;border-radius:2px;margin-right:5px;vertical-align:middle}
.empty{display:flex;align-items:center;justify-content:center;height:100%;color:#8E8E8E}
"""


def _frames(panel: Json, asked: Sequence[Asked]) -> list[Frame]:
    faults = [a.fault for a in asked if a.fault is not None and a.fault != "empty result"]
    if faults:
        raise Refused("influxql", f"panel {panel['id']}: {faults[0]}")
    made: list[Frame] = []
    for target, answer in zip(panel.get("targets", ()), asked, strict=True):
        made += frames_of(target, answer.series)
    return transform(made, panel.get("transformations", ()))


def stacked(board: Json) -> Json:
    """The board as Grafana lays it out on a telephone: one panel under the other, each as wide as the screen."""
    panels, y = [], 0
    for panel in board["panels"]:
        tall = max(panel["gridPos"]["h"], 10 if panel["type"] == "text" else 0)
        panels.append(panel | {"gridPos": {"x": 0, "y": y, "w": 24, "h": tall}})
        y += tall
    return board | {"panels": panels}


def _box(grid: Mapping[str, int], shift: int, wide: int) -> tuple[float, float, float, float]:
    """Grid units to pixels: left, top, width, height, on a page so many pixels wide."""
    cell = (wide - 2 * PAD + GAP) / 24
    tall = UNIT + GAP
    return PAD + grid["x"] * cell, (grid["y"] + shift) * tall, grid["w"] * cell - GAP, grid["h"] * tall - GAP


def _panel_html(panel: Json, frames: Sequence[Frame], view: View, shift: int, wide: int) -> str:
    left, top, width, height = _box(panel["gridPos"], shift, wide)
    own = ranged(panel, view)
    canvas = Canvas(width - 2, height - HEAD - 2, own.from_ms, own.to_ms)
    body = DRAWERS[panel["type"]](panel, frames, canvas)
    place = f"left:{left:.0f}px;top:{top:.0f}px;width:{width:.0f}px;height:{height:.0f}px"
    inside = f'<div class="body" style="height:{canvas.height:.0f}px">{body}</div>'
    return f'<div class="panel" style="{place}"><h2>{escape(panel["title"])}</h2>{inside}</div>'


def _row_html(row: Json, title: str, shift: int, wide: int) -> str:
    left, top, width, _ = _box(row["gridPos"], shift, wide)
    return f'<div class="row" style="left:{left:.0f}px;top:{top:.0f}px;width:{width:.0f}px">{escape(title)}</div>'


def _sections(board: Json) -> list[tuple[Json | None, list[Json]]]:
    """Rows with the panels below them; what stands above the first row comes with None."""
    made: list[tuple[Json | None, list[Json]]] = [(None, [])]
    for panel in board["panels"]:
        if panel["type"] == "row":
            made.append((panel, []))
        else:
            made[-1][1].append(panel)
    return made


def _grid(database: Database, board: Json, view: View, wide: int) -> tuple[str, int]:
    """All panels as HTML, repeated rows under each other, and the height in grid units."""
    values, _ = variable_values(database, board, view)
    answers = {(p["id"], scope): asked for p, scope, asked in check_panels(database, board, view, values)}
    parts, shift, bottom = [], 0, 0
    for row, panels in _sections(board):
        repeat = row.get("repeat") if row else None
        scopes = [f" [{repeat}={value}]" for value in values[repeat]] if repeat else [""]
        tall = sum(p["gridPos"]["h"] for p in ([row] if row else [])) + _height(panels)
        for copy, scope in enumerate(scopes):
            moved = shift + copy * tall
            if row:
                value = scope.rpartition("=")[2].rstrip("]")
                parts.append(_row_html(row, row["title"].replace(f"${repeat}", value), moved, wide))
            for panel in panels:
                frames = _frames(panel, answers[(panel["id"], scope)])
                parts.append(_panel_html(panel, frames, view, moved, wide))
                bottom = max(bottom, panel["gridPos"]["y"] + panel["gridPos"]["h"] + moved)
        shift += tall * (len(scopes) - 1)
    return "".join(parts), bottom


def _height(panels: Sequence[Json]) -> int:
    tops = [p["gridPos"]["y"] for p in panels]
    return max(p["gridPos"]["y"] + p["gridPos"]["h"] for p in panels) - min(tops) if panels else 0


def _chosen(board: Json, view: View) -> str:
    shown = []
    for variable in board["templating"]["list"]:
        choice = view.choices.get(variable["name"])
        if choice is not None and variable["hide"] == 0:
            text = "All" if choice.all_value is not None else " + ".join(choice.values)
            shown.append(f"<span><b>{escape(variable['label'])}</b>{escape(text)}</span>")
    ends = (moment_text(ms, "DD/MM/YYYY HH:mm", board["timezone"]) for ms in (view.from_ms, view.to_ms))
    return "".join(shown) + f"<span>{' – '.join(ends)} (+07)</span>"


def page(database: Database, board: Json, view: View, language: Language, wide: int = WIDTH) -> tuple[str, int]:
    """The preview as HTML and its height in pixels. Raises Refused if a query is wrong."""
    narrow = wide < 768
    grid, units = _grid(database, stacked(board) if narrow else board, view, wide)
    head = f'<div class="note">{say(language, _NOTE)}</div><h1>{escape(board["title"])}</h1>'
    bar = f'<div class="vars">{_chosen(board, view)}</div>'
    tall = units * (UNIT + GAP)
    body = f'<header>{head}{bar}</header><div class="grid" style="height:{tall}px">{grid}</div>'
    start = f'<!doctype html><html lang="{language}"><meta charset="utf-8">'
    return f"{start}<style>{_STYLE}</style><body>{body}</body></html>", tall + (330 if narrow else 96)


def picture(html: str, height: int, out: Path, wide: int = WIDTH) -> None:
    """Let Chromium draw the page into a PNG. Raises Misconfigured if Chromium is missing or fails."""
    with tempfile.TemporaryDirectory(prefix="dosong-preview-") as folder:
        source, drawn = Path(folder) / "board.html", Path(folder) / "board.png"
        source.write_text(html, encoding="utf-8")
        command = [
            "chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
            f"--user-data-dir={folder}/profile", f"--window-size={wide},{height}",
            f"--screenshot={drawn}", source.as_uri(),
        ]  # fmt: skip
        try:
            done = subprocess.run(command, capture_output=True, timeout=120, check=False)
        except FileNotFoundError as error:
            raise Misconfigured("chromium is not installed: apt install chromium, or write --out FILE.html") from error
        if done.returncode != 0 or not drawn.exists():
            raise Misconfigured(f"chromium drew nothing: {done.stderr[-300:].decode(errors='replace')}")
        out.write_bytes(shrink(drawn.read_bytes()))
