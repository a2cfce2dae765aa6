"""Panels that several boards have: tables of figures, maps, bands, bars of causes, shares of coverage. Pure.

Every number stands beside its n, every coloured word beside its number. Source: facts note 06 §2.3, §4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collector.catalogue import QUERIES
from grafana.marks import HAMLET_PAGE, rate_bins
from grafana.panels import (
    Json,
    column,
    fixed,
    graph_options,
    legend,
    line,
    organize,
    override,
    panel,
    plain_words,
    stat_options,
    target,
)
from grafana.words import BAD, BLUE, CAUSES, GOOD, MIDDLE, NONE, Language, Pair, say

Grid = tuple[int, int, int, int]
Text = tuple[str, str]
MONTH = "62d"
"""Panels that show the newest month look so far back, whatever the board's range: a month stands at its first day."""
TABLE: Json = {"showHeader": True, "cellHeight": "sm"}
CODES: dict[str, Pair] = {
    "province": ("Mã tỉnh", "Province code"),
    "commune": ("Mã xã", "Commune code"),
    "hamlet": ("Mã thôn, xóm", "Hamlet code"),
    "plmn": ("Nhà mạng", "Operator"),
    "probe": ("Trạm đo", "Probe"),
    "word": ("", ""),
    "reason": ("Lý do", "Reason"),
    "referral": ("Mã giới thiệu", "Referral code"),
    "rat": ("Công nghệ", "Technology"),
    "campaign": ("Chiến dịch", "Campaign"),
    "line": ("Chỉ tiêu", "Line"),
}
BLANK = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR42mP4//8/AAX+Av4zEpUUAAAAAElFTkSuQmCC"
)
"""One white point as a tile: Grafana's own base map comes from a foreign server and misses Hoàng Sa and Trường Sa."""
COLOURED: Json = {"custom_cellOptions": {"type": "color-text"}}


def bar_cells(color: str = BLUE) -> Json:
    """A number with a bar behind it, as long as the number is large."""
    cell = {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}
    return {"custom_cellOptions": cell, "color": fixed(color), "min": 0}


def median_cells() -> Json:
    """A median coloured by the marks in force."""
    return {"color": {"mode": "thresholds"}, "thresholds": rate_bins()} | COLOURED


def board_link(language: Language, stem: str, variable: str, title: Pair, keep: Sequence[str] = ("province",)) -> Json:
    """A link from a code's cell to a board: carries the code, what is chosen above it, and the range."""
    kept = "".join(f"${{{one}:queryparam}}&" for one in keep)
    url = f"/d/{stem}-{language}?{kept}var-{variable}=${{__value.raw}}&${{__url_time_range}}"
    return {"title": say(language, title), "url": url, "targetBlank": False}


def hamlet_links(language: Language, keep: Sequence[str] = ("province",)) -> list[Json]:
    """From a hamlet's code to its board and to its pages."""
    to_board = board_link(language, "dosong-hamlet", "hamlet", ("Mở bảng thôn, xóm", "Open the hamlet's board"), keep)
    title = say(language, ("Mở trang của thôn, xóm", "Open the hamlet's page"))
    return [to_board, {"title": title, "url": HAMLET_PAGE + "${__value.raw}", "targetBlank": True}]


def commune_links(language: Language) -> list[Json]:
    """From a commune's code to its board."""
    return [board_link(language, "dosong-commune", "commune", ("Mở bảng của xã", "Open the commune's board"))]


def table(
    language: Language,
    ident: int,
    grid: Grid,
    title: Pair,
    about: Pair,
    query: str,
    *,
    special: Mapping[str, Json] | None = None,
    order: Sequence[str] | None = None,
    hide: Sequence[str] = ("Time",),
    sort: tuple[str, bool] | None = None,
    steps: Sequence[Json] = (),
    **more: Any,
) -> Json:
    """A table of one query: its tags and columns in a named order, with labels and units of the catalogue.

    `sort`: field and whether the largest comes first. `steps`: transformations before these.
    """
    found, wanted = QUERIES[query], special or {}
    tags = [
        override(
            tag, displayName=say(language, CODES[tag]) or say(language, title), unit="string", **wanted.get(tag, {})
        )
        for tag in found.tags
    ]
    columns = [column(query, c.name, language, **wanted.get(c.name, {})) for c in found.columns]
    if "Time" not in hide:
        tags.append(override("Time", displayName=say(language, ("Lúc", "At")), unit="time:DD/MM/YYYY HH:mm"))
    ordering = (
        [{"id": "sortBy", "options": {"fields": {}, "sort": [{"field": sort[0], "desc": sort[1]}]}}] if sort else []
    )
    names = order or (*found.tags, *(c.name for c in found.columns))
    return panel(
        "table", ident, say(language, title), say(language, about), grid, targets=[target("A", query)],
        language=language, options=TABLE, defaults={"unit": "none", "noValue": "–", "custom": {"align": "auto"}},
        overrides=[*tags, *columns], transformations=[*steps, *ordering, organize(names, hide)], **more,
    )  # fmt: skip


def bars_of(language: Language, ident: int, grid: Grid, title: Pair, about: Pair, query: str, **words: Any) -> Json:
    """How often each word: the most frequent on top, each with its bar. `words`: its mappings, else causes."""
    found = QUERIES[query]
    mappings = words.get("mappings", plain_words(CAUSES, language))
    tag = found.tags[-1]
    special = {tag: {"mappings": mappings}, found.columns[0].name: bar_cells(words.get("color", BLUE))}
    return table(
        language, ident, grid, title, about, query, special=special, sort=(found.columns[0].name, True),
        order=(*found.tags, found.columns[0].name),
    )  # fmt: skip


def stats(language: Language, ident: int, grid: Grid, title: Pair, about: Pair, *queries: str, **more: Any) -> Json:
    """Tiles under each other: every column of some queries with its label."""
    overrides = [
        column(name, c.name, language, **more.pop(c.name, {})) for name in queries for c in QUERIES[name].columns
    ]
    return panel(
        "stat", ident, say(language, title), say(language, about), grid, language=language,
        targets=[target("ABCDEF"[place], name) for place, name in enumerate(queries)], options=stat_options(),
        defaults={"unit": "none", "decimals": 0, "color": fixed("text")}, overrides=overrides, **more,
    )  # fmt: skip


def text(language: Language, ident: int, grid: Grid, content: Pair) -> Json:
    """What the board says and how to read it."""
    return panel(
        "text", ident, say(language, ("Bảng này cho biết gì", "What this board says")),
        say(language, ("Cách đọc và đường đi của số liệu.", "How to read it, and the way of the numbers.")), grid,
        options={"mode": "markdown", "content": say(language, content)}, language=language,
    )  # fmt: skip


def band(language: Language, ident: int, grid: Grid, title: Pair, query: str, color: str = BLUE) -> Json:
    """p5, p50, p95 of each day as a band; n as bars on the right axis."""
    hidden: Json = {"custom_lineWidth": 1, "color": fixed(color), "custom_fillOpacity": 0}
    bars: Json = {
        "custom_drawStyle": "bars", "custom_fillOpacity": 25, "custom_lineWidth": 0, "custom_axisPlacement": "right",
        "custom_axisLabel": "n", "color": fixed(NONE), "unit": "none", "decimals": 0,
    }  # fmt: skip
    overrides = [
        override("p5", **hidden),
        override("p50", custom_lineWidth=3, color=fixed(color)),
        override("p95", **(hidden | {"custom_fillBelowTo": "p5", "custom_fillOpacity": 18})),
        override("n", **bars),
    ]
    about = (
        "Dải p5–p95 và trung vị p50 trên mọi mẫu được tính của đơn vị trong ngày; cột xám là n.",
        "Band p5 to p95 and median p50 over all counted samples of the unit that day; grey bars are n.",
    )
    return panel(
        "timeseries", ident, say(language, title), say(language, about), grid, targets=[target("A", query)],
        options=graph_options(), language=language, overrides=overrides, interval="1d",
        defaults={"unit": "suffix:Mbit/s", "decimals": 1, "min": 0, "custom": line("Mbit/s")},
    )  # fmt: skip


def shares(language: Language, ident: int, grid: Grid, query: str) -> Json:
    """Share of coverage steps by state, stacked to 100 %."""
    colors = {"covered": GOOD, "degraded": MIDDLE, "no_service": BAD, "unknown": NONE}
    parts = [column(query, name, language, color=fixed(c)) for name, c in colors.items()]
    stacked = line("%", drawStyle="bars", fillOpacity=85, lineWidth=0, stacking={"mode": "normal", "group": "A"})
    hide_n = override("n", custom_hideFrom={"viz": True, "legend": False, "tooltip": False}, unit="none", decimals=0)
    title = ("Phủ sóng từng ngày", "Coverage by day")
    about = ("Tính trên mọi bước; chưa rõ đứng riêng, không tính là sóng yếu. n là số bước.",
             "Over all steps; unknown stands apart and is never weak coverage. n is the number of steps.")  # fmt: skip
    return panel(
        "timeseries", ident, say(language, title), say(language, about), grid, targets=[target("A", query)],
        language=language, options=graph_options() | {"legend": legend()}, overrides=[*parts, hide_n],
        defaults={"unit": "percent", "decimals": 1, "min": 0, "max": 100, "custom": stacked},
    )  # fmt: skip


def outcomes(language: Language, ident: int, grid: Grid, query: str) -> Json:
    """Tests of each day by outcome, stacked."""
    colors = {"ok": GOOD, "partial": MIDDLE, "failed": BAD, "skipped": NONE}
    stacked = line(say(language, ("lần đo", "tests")), drawStyle="bars", fillOpacity=85, lineWidth=0,
                   stacking={"mode": "normal", "group": "A"})  # fmt: skip
    parts = [column(query, name, language, color=fixed(c)) for name, c in colors.items()]
    alone: Json = {
        "custom_drawStyle": "line", "custom_fillOpacity": 0, "custom_lineWidth": 2, "color": fixed(BLUE),
        "custom_stacking": {"mode": "none", "group": "B"},
    }  # fmt: skip
    title, about = ("Lần đo từng ngày", "Tests by day"), (
        "Lần đo không thành công hiện rõ, không bị bỏ ra ngoài. Đường: số mẫu được tính.",
        "Tests that failed are shown, never left out. Line: counted samples.",
    )  # fmt: skip
    return panel(
        "timeseries", ident, say(language, title), say(language, about), grid, targets=[target("A", query)],
        language=language, options=graph_options(), overrides=[*parts, column(query, "counted", language, **alone)],
        defaults={"unit": "none", "decimals": 0, "min": 0, "custom": stacked},
    )  # fmt: skip


def matrix(rows: str, columns: str, value: str, form: str | None = None) -> list[Json]:
    """Transformations: one column a value of `columns`; `form` writes a time as text first, in Vietnam time."""
    copied = {"mode": "binary", "alias": "cell", "reduce": {"reducer": "sum"}}
    copy = {"id": "calculateField", "options": copied | {"binary": {"left": value, "operator": "+", "right": "0"}}}
    made: list[Json] = [copy]
    if form is not None:
        to_text = {"targetField": columns, "destinationType": "string", "dateFormat": form}
        conversions = [to_text | {"timezone": "Asia/Ho_Chi_Minh"}]
        made.append({"id": "convertFieldType", "options": {"fields": {}, "conversions": conversions}})
    spread = {"columnField": columns, "rowField": rows, "valueField": "cell", "emptyValue": "null"}
    return [*made, {"id": "groupingToMatrix", "options": spread}]


def month_matrix(language: Language, ident: int, grid: Grid, title: Pair, query: str) -> Json:
    """One row a unit, one column a month, the newest first: the median, coloured by the marks."""
    newest = {"id": "sortBy", "options": {"fields": {}, "sort": [{"field": "Time", "desc": True}]}}
    about = ("Trung vị tải xuống của từng tháng (từ n = 5), Mbit/s; màu theo mốc 10 và 40.",
             "Median downlink of each month (from n = 5), Mbit/s; colours at the marks 10 and 40.")  # fmt: skip
    head = override("name\\Time", displayName=say(language, ("Đơn vị", "Unit")), custom_width=220,
                    custom_cellOptions={"type": "auto"}, unit="string")  # fmt: skip
    return panel(
        "table", ident, say(language, title), say(language, about), grid, targets=[target("A", query)],
        language=language, options=TABLE, overrides=[head],
        defaults={"unit": "none", "decimals": 1, "noValue": "–", "color": {"mode": "thresholds"},
                  "thresholds": rate_bins(), "custom": {"align": "center", "minWidth": 60,
                                                        "cellOptions": {"type": "color-text"}}},
        transformations=[newest, *matrix("name", "Time", "median", "MM/YYYY"), organize(("name\\Time",))],
        timeFrom="400d",
    )  # fmt: skip


def hamlet_map(language: Language, ident: int, grid: Grid, title: Pair, query: str) -> Json:
    """Hamlets with a station as grey rings, the newest month's median as coloured dots; no foreign base map."""
    about = (
        "Chấm: trung vị tải xuống tháng gần nhất (n ≥ 5), màu theo mốc 10, 40 Mbit/s. Vòng xám: chưa đủ mẫu.",
        "Dots: median downlink of the newest month (n ≥ 5), colours at 10 and 40 Mbit/s. Grey rings: too few samples.",
    )
    colored = column(query, "median", language, color={"mode": "thresholds"}, thresholds=rate_bins())
    links = override("hamlet", displayName=say(language, CODES["hamlet"]), links=hamlet_links(language), unit="string")
    rest = [column(query, c.name, language) for c in QUERIES[query].columns if c.name != "median"]
    return panel(
        "geomap", ident, say(language, title), say(language, about), grid, language=language,
        targets=[target("A", query), target("B", "sites")], options=map_options(("B", None), ("A", "median")),
        defaults={"unit": "none", "color": fixed(NONE)}, timeFrom=MONTH,
        overrides=[colored, links, *rest, column("sites", "hamlet_name", language)],
    )  # fmt: skip


def map_options(*layers: tuple[str, str | None]) -> Json:
    """Options of a map: one layer of markers for each target, coloured by a field or grey; blank base, our own tiles
    may be put in its place (grafana/README.md)."""
    made = []
    for ref, colour in layers:
        style: Json = {"size": {"fixed": 6, "min": 4, "max": 10}, "opacity": 0.9 if colour else 0.5}
        style["color"] = {"field": colour, "fixed": NONE} if colour else {"fixed": NONE}
        style["symbol"] = {"fixed": "img/icons/marker/circle.svg", "mode": "fixed"}
        location = {"mode": "coords", "latitude": "lat", "longitude": "lon"}
        made.append({
            "type": "markers", "name": ref, "config": {"style": style, "showLegend": colour is not None},
            "location": location, "filterData": {"id": "byRefId", "options": ref}, "tooltip": True,
        })  # fmt: skip
    return {
        "view": {"id": "fit", "lat": 21.6, "lon": 105.8, "zoom": 8, "allLayers": True},
        "basemap": {"type": "xyz", "name": "basemap", "config": {"url": BLANK}},
        "controls": {"showZoom": True, "mouseWheelZoom": False, "showAttribution": False, "showScale": True},
        "layers": made, "tooltip": {"mode": "details"},
    }  # fmt: skip
