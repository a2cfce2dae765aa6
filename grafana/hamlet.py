"""The hamlet board: is 4G usable here, when, and with whom? Generated in Vietnamese and English from one source.

Panel ids are fixed for ever: links, embeds and alerts name them. Source: facts note 06 §4; design §8 (words).
"""

from __future__ import annotations

from collector.catalogue import N_MIN, QUERIES
from grafana.board import board
from grafana.hamlet_more import causes, hours, samples_map
from grafana.marks import HAMLET_PAGE, RATE_STEPS, TOO_FEW, limit, settings
from grafana.panels import (
    Json,
    any_number,
    column,
    fixed,
    graph_options,
    legend,
    line,
    organize,
    override,
    panel,
    plain_words,
    row,
    stat_options,
    steps,
    target,
    words,
)
from grafana.words import (
    BAD,
    BLUE,
    CAUSES,
    COUNTED,
    GOOD,
    MIDDLE,
    NONE,
    OUTCOMES,
    PATHS,
    SIMULATED,
    STAGES,
    STATES,
    Language,
    Pair,
    say,
)

STEM = "dosong-hamlet"
_ABOUT: Pair = (
    "Mạng 4G tại thôn, xóm: tốc độ, độ trễ, phủ sóng, từng lần đo. Chỉ 4G. Số liệu mô phỏng được ghi rõ.",
    "4G in a hamlet: rates, delay, coverage, single tests. 4G only. Simulated figures say so.",
)
HOURS = tuple(f"{hour:02d}" for hour in range(24))


def _legend_text(language: Language) -> str:
    mark = limit("downlink")
    marks = "" if mark is None else f"\n- {mark[language]}."
    if language == "en":
        return (
            "**4G only** · samples of our probes at cultural houses; not i-Speed samples, never added to them.\n"
            "- Way of the numbers: probe → signed record → ledger → InfluxDB → this board. "
            "Figures are over **counted** samples: test ok, path proven 4G, known referral code.\n"
            f"- **n** stands beside every figure; below n = {N_MIN}: “{TOO_FEW[1]}”, no colour. "
            "Median is nearest-rank (i-Speed's statistic), mean is QCVN 81's: for reference, no conformity claim.\n"
            "- Unknown (probe off, power cut, SIM) is grey and never weak coverage. Vietnam time (+07)." + marks
        )
    return (
        "**Chỉ 4G** · mẫu trạm đo đặt tại nhà văn hóa; không phải mẫu i-Speed và không cộng chung.\n"
        "- Đường đi của số liệu: trạm đo → bản ghi có chữ ký → sổ cái → InfluxDB → bảng này. "
        "Các con số tính trên **mẫu được tính**: đo thành công, chứng minh qua 4G, đúng mã giới thiệu.\n"
        f"- **n** đi kèm mọi con số; dưới n = {N_MIN}: “{TOO_FEW[0]}”, không tô màu. "
        "Trung vị theo cách của i-Speed, trung bình theo QCVN 81: tham khảo, không kết luận hợp quy.\n"
        "- Chưa rõ (trạm tắt, mất điện, SIM) tô xám, không tính là sóng yếu. Giờ Việt Nam (+07)." + marks
    )


def _hamlet_link(language: Language) -> list[Json]:
    title = say(language, ("Mở trang của thôn, xóm", "Open the hamlet's page"))
    return [{"title": title, "url": HAMLET_PAGE + "${__value.raw}", "targetBlank": True}]


def _head(language: Language) -> list[Json]:
    """Legend, names from the register, totals."""
    code = say(language, ("Mã", "Code"))
    site = [column("site", name.name, language) for name in QUERIES["site"].columns if name.name != "simulated"]
    simulated = {"mappings": words(SIMULATED, language), "custom_cellOptions": {"type": "color-text"}}
    order = ("hamlet_name", "commune_name", "province_name", "simulated", "probes", "hamlet")
    names = panel(
        "table", 2, say(language, ("Thôn, xóm", "Hamlet")),
        say(language, ("Tên gọi lấy từ sổ đăng ký; mã dùng để chọn và liên kết.",
                       "Names from the register; codes are for choosing and linking.")),
        (10, 0, 10, 3), targets=[target("A", "site")], language=language,
        options={"showHeader": True, "cellHeight": "sm"},
        overrides=[*site, column("site", "simulated", language, **simulated, custom_width=110),
                   override("hamlet", displayName=code, links=_hamlet_link(language), unit="string"),
                   override("probes", custom_width=80)],
        transformations=[organize(order, ("Time",))],
    )  # fmt: skip
    totals = panel(
        "stat", 3, say(language, ("Lần đo trong khoảng", "Tests in the range")),
        say(language, ("Tất cả lần đo, kể cả không thành công; n của bảng này.",
                       "All tests, failed ones included; the n of this board.")),
        (20, 0, 4, 4), targets=[target("A", "totals")], options=stat_options(), language=language,
        defaults={"unit": "none", "decimals": 0, "color": fixed("text")},
        overrides=[column("totals", c.name, language) for c in QUERIES["totals"].columns],
    )  # fmt: skip
    newest = panel(
        "stat", 4, say(language, ("Lần đo gần nhất", "Newest test")),
        say(language, ("Giờ Việt Nam.", "Vietnam time.")),
        (20, 4, 4, 3), targets=[target("A", "newest")], language=language,
        options=stat_options("/^Time$/", "value"),
        defaults={"unit": "time:DD/MM/YYYY HH:mm", "color": fixed("text")},
    )  # fmt: skip
    now = _now(language)
    legend_panel = panel(
        "text", 1, say(language, ("Bảng này cho biết gì", "What this board says")),
        say(language, ("Cách đọc và đường đi của số liệu.", "How to read it, and the way of the numbers.")),
        (0, 0, 10, 7), options={"mode": "markdown", "content": _legend_text(language)}, language=language,
    )  # fmt: skip
    return [legend_panel, names, now, totals, newest]


def _now(language: Language) -> Json:
    """The newest step of every modem, with its time: an old one is seen to be old."""
    heads = {"probe": ("Trạm đo", "Probe"), "modem": ("Modem", "Modem"), "plmn": ("Nhà mạng", "Operator")}
    named = [override(name, displayName=say(language, pair), unit="string") for name, pair in heads.items()]
    operators: dict[str, Pair] = {o["plmn"]: (o["name"], o["name"]) for o in settings()["operator"]}
    named.append(override("plmn", mappings=plain_words(operators, language)))
    causes = plain_words(CAUSES | {"none": ("–", "–")}, language)
    colored = {"mappings": words(STATES, language), "custom_cellOptions": {"type": "color-text"}, "decimals": 0}
    at = override("Time", displayName=say(language, ("Lúc", "At")), unit="time:DD/MM/YYYY HH:mm", custom_width=150)
    return panel(
        "table", 5, say(language, ("Phủ sóng ở bước gần nhất", "Coverage at the newest step")),
        say(language, ("Trạng thái của bước gần nhất trong khoảng, và lúc đó là khi nào.",
                       "State of the newest step in the range, and when that was.")),
        (10, 3, 10, 4), targets=[target("A", "coverage_now")], language=language,
        options={"showHeader": True, "cellHeight": "sm"},
        defaults={"unit": "none"},
        overrides=[at, *named, column("coverage_now", "state", language, **colored),
                   column("coverage_now", "cause", language, mappings=causes)],
        transformations=[organize(("Time", "plmn", "state", "cause", "probe", "modem"))],
    )  # fmt: skip


def _tile(language: Language, ident: int, x: int, title: Pair, name: str, extra: tuple[str, ...] = ()) -> Json:
    """One of the five stats: figure, second figure and n, or the sentence that there are too few."""
    query = QUERIES[name]
    mark = limit(name)
    overrides = [column(name, c.name, language) for c in query.columns]
    overrides.append(column(f"{name}_few", "few", language, mappings=any_number(say(language, TOO_FEW))))
    if mark is not None:
        bins = steps(BAD, (mark["low"], MIDDLE), (mark["high"], GOOD))
        overrides.append(override("median", color={"mode": "thresholds"}, thresholds=bins))
    for place, added in enumerate(extra):
        overrides += [column(added, c.name, language) for c in QUERIES[added].columns]
        extra_target = target("CD"[place], added)
    targets = [target("A", name), target("B", f"{name}_few"), *([extra_target] if extra else [])]
    note = "" if mark is None else f" {mark[language]}."
    return panel(
        "stat", ident, say(language, title), (query.vi if language == "vi" else query.en) + "." + note,
        (x, 8, 4, 6), targets=targets, options=stat_options(), language=language,
        defaults={"unit": "none", "color": fixed("text")}, overrides=overrides,
    )  # fmt: skip


def _tiles(language: Language) -> list[Json]:
    """Who, and the row of five."""
    named = [override(o["plmn"], displayName=o["name"]) for o in settings()["operator"]]
    who = panel(
        "stat", 11, say(language, ("Nhà mạng và số lần đo", "Operator and tests")),
        say(language, ("Tên nhà mạng theo mã PLMN, bên cạnh là số lần đo trong khoảng.",
                       "The operator by its PLMN code and its tests in the range.")),
        (0, 8, 4, 6), targets=[target("A", "operator_tests", "$tag_plmn"), target("B", "operator_counts")],
        options=stat_options(), defaults={"unit": "none", "decimals": 0, "color": fixed("text")}, language=language,
        overrides=[*named, *(column("operator_counts", c.name, language) for c in QUERIES["operator_counts"].columns)],
    )  # fmt: skip
    return [
        who,
        _tile(language, 12, 4, ("Tải xuống", "Downlink"), "downlink"),
        _tile(language, 13, 8, ("Tải lên", "Uplink"), "uplink"),
        _tile(language, 14, 12, ("Độ trễ", "Delay"), "delay"),
        _tile(language, 15, 16, ("Mất gói", "Loss"), "loss"),
        _tile(language, 16, 20, ("Khả dụng", "Availability"), "success", ("covered",)),
    ]


def _band(language: Language, ident: int, x: int, title: Pair, name: str, color: str) -> Json:
    """p5, p50, p95 as a band; n as bars on the right axis, so that a thin bucket is seen to be thin."""
    hidden: Json = {"custom_lineWidth": 1, "color": fixed(color), "custom_fillOpacity": 0}
    bars: Json = {
        "custom_drawStyle": "bars", "custom_fillOpacity": 25, "custom_lineWidth": 0, "custom_axisPlacement": "right",
        "custom_axisLabel": "n", "color": fixed(NONE), "unit": "none", "decimals": 0, "custom_axisSoftMax": 40,
    }  # fmt: skip
    overrides = [
        override("p5", **hidden),
        override("p50", custom_lineWidth=3, color=fixed(color)),
        override("p95", **(hidden | {"custom_fillBelowTo": "p5", "custom_fillOpacity": 18})),
        override("n", **bars),
    ]
    return panel(
        "timeseries", ident, say(language, title),
        say(language, ("Dải p5–p95 (cần n ≥ 10), đường đậm là trung vị p50, cột xám là số mẫu n của mỗi ô thời gian.",
                       "Band p5 to p95 (needs n ≥ 10), bold line the median p50, grey bars the n of each bucket.")),
        (x, 14, 12, 8), targets=[target("A", name)], options=graph_options(), language=language,
        defaults={"unit": "suffix:Mbit/s", "decimals": 1, "min": 0, "custom": line("Mbit/s")}, overrides=overrides,
    )  # fmt: skip


def _coverage(language: Language) -> list[Json]:
    cause = say(language, ("nguyên nhân", "cause"))
    state = words(STATES, language)
    why = [*plain_words(CAUSES, language), {"type": "value", "options": {"none": {"text": "", "index": 99}}}]
    timeline = panel(
        "state-timeline", 21, say(language, ("Phủ sóng từng bước, 48 giờ qua", "Coverage by step, last 48 hours")),
        say(language, ("Mỗi ô là trạng thái xấu nhất đã biết trong ô; chưa rõ chỉ hiện khi không biết gì khác.",
                       "Each cell is the worst known state; unknown shows only where nothing else is known.")),
        (0, 23, 24, 8), language=language,
        targets=[target("A", "coverage_state", "$tag_probe $tag_modem $tag_plmn"),
                 target("B", "coverage_cause", f"$tag_probe $tag_modem $tag_plmn {cause}")],
        options={"mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.8,
                 "legend": legend(), "tooltip": {"mode": "single", "sort": "none"}},
        defaults={"custom": {"lineWidth": 0, "fillOpacity": 85}, "mappings": [*state, *why],
                  "color": fixed(NONE), "unit": "none"},
        interval="1m", timeFrom="2d",
    )  # fmt: skip
    colors = {"covered": GOOD, "degraded": MIDDLE, "no_service": BAD, "unknown": NONE}
    parts = [column("coverage_shares", name, language, color=fixed(c)) for name, c in colors.items()]
    bars = line("%", drawStyle="bars", fillOpacity=85, lineWidth=0, stacking={"mode": "normal", "group": "A"})
    hide_n = override("n", custom_hideFrom={"viz": True, "legend": False, "tooltip": False}, unit="none", decimals=0)
    shares = panel(
        "timeseries", 23, say(language, ("Tỷ lệ thời gian theo trạng thái", "Share of time by state")),
        say(language, ("Tính trên mọi bước của ô; chưa rõ đứng riêng. n là số bước, đọc khi di chuột.",
                       "Over all steps of the bucket; unknown stands apart. n, the number of steps, on hovering.")),
        (12, 38, 12, 8), targets=[target("A", "coverage_shares")], language=language,
        options=graph_options(("sum",)) | {"legend": legend()},
        defaults={"unit": "percent", "decimals": 1, "min": 0, "max": 100, "custom": bars},
        overrides=[*parts, hide_n],
    )  # fmt: skip
    return [timeline, shares]


def _outcomes(language: Language) -> Json:
    colors = {"ok": GOOD, "failed": BAD}
    bars = line(say(language, ("lần đo", "tests")), drawStyle="bars", fillOpacity=85, lineWidth=0,
                stacking={"mode": "normal", "group": "A"})  # fmt: skip
    parts = [column("outcomes", name, language, color=fixed(c)) for name, c in colors.items()]
    alone: Json = {
        "custom_drawStyle": "line", "custom_fillOpacity": 0, "custom_lineWidth": 2, "color": fixed(BLUE),
        "custom_stacking": {"mode": "none", "group": "B"}, "custom_showPoints": "always",
    }  # fmt: skip
    return panel(
        "timeseries", 22, say(language, ("Lần đo mỗi ô thời gian", "Tests of each time bucket")),
        say(language, ("Cột: thành công và không thành công (cả một phần, bỏ qua). Đường: số mẫu được tính.",
                       "Bars: ok and not ok (partial, failed, skipped). Line: counted samples.")),
        (0, 38, 12, 8), targets=[target("A", "outcomes")], options=graph_options(), language=language,
        defaults={"unit": "none", "decimals": 0, "min": 0, "custom": bars},
        overrides=[*parts, column("outcomes", "counted", language, **alone)],
    )  # fmt: skip


def _by_hour(language: Language) -> Json:
    """Day by hour, cells coloured. Time becomes two columns of text in Vietnam time, then a matrix; both steps give
    the same on @grafana/data 10.4 and 13.2 (grafana/README.md says how that was run)."""
    day = say(language, ("Ngày", "Day"))

    def convert(field: str, to: str, form: str | None = None) -> Json:
        conversion: Json = {"targetField": field, "destinationType": to}
        if form is not None:
            conversion |= {"dateFormat": form, "timezone": "Asia/Ho_Chi_Minh"}
        return {"id": "convertFieldType", "options": {"fields": {}, "conversions": [conversion]}}

    def copy(field: str, alias: str) -> Json:
        binary = {"left": field, "operator": "+", "right": "0"}
        options = {"mode": "binary", "alias": alias, "reduce": {"reducer": "sum"}, "binary": binary}
        return {"id": "calculateField", "options": options}

    # The copy `rate` bears no label of the data source; `median` does, and would write it over every column.
    matrix = {"columnField": "hour", "rowField": "Time", "valueField": "rate", "emptyValue": "null"}
    return panel(
        "table", 24, say(language, ("Tải xuống theo giờ trong ngày (Mbit/s)", "Downlink by hour of day (Mbit/s)")),
        say(language, ("Mỗi ô: trung vị của các mẫu được tính trong giờ đó (thường n = 1); đậm là nhanh; ngày mới "
                       "ở trên. Ô trống: không có mẫu. Bậc màu: 5, 10, 20, 40, 80 Mbit/s.",
                       "Each cell: median of the counted samples of that hour (mostly n = 1); darker is faster; newest "
                       "day on top. Empty: no sample. Steps of colour: 5, 10, 20, 40, 80 Mbit/s.")),
        (0, 46, 24, 13), targets=[target("A", "hourly")], language=language,
        options={"showHeader": True, "cellHeight": "sm"},
        defaults={"unit": "none", "decimals": 0, "thresholds": RATE_STEPS, "color": {"mode": "thresholds"},
                  "noValue": "", "custom": {"align": "center", "minWidth": 40,
                                            "cellOptions": {"type": "color-background", "mode": "basic"}}},
        overrides=[override("Time\\hour", displayName=day, custom_width=90,
                            custom_cellOptions={"type": "auto"})],
        transformations=[copy("Time", "hour"), copy("median", "rate"), convert("hour", "time"),
                         convert("hour", "string", "HH"), convert("Time", "string", "DD/MM"),
                         {"id": "groupingToMatrix", "options": matrix}, organize(("Time\\hour", *HOURS))],
    )  # fmt: skip


def _against(language: Language, ident: int, x: int, word: str, unit: str) -> list[Json]:
    """Radio against rate, and how many samples that is: xychart has no place for n.

    Both spellings of the panel's options: 10.4's `seriesMapping`, `mapping` from 11.1.
    """
    label = f"{word.upper()} ({unit})"
    name = f"{word}_downlink"
    axis: Json = {"custom_axisLabel": label, "unit": f"suffix:{unit}", "decimals": 0}
    mapping = {
        "mapping": "auto", "seriesMapping": "auto", "dims": {"frame": 0}, "legend": legend(),
        "series": [{"frame": {"matcher": {"id": "byIndex", "options": 0}},
                    "x": {"matcher": {"id": "byName", "options": word}},
                    "y": {"matcher": {"id": "byName", "options": "downlink"}}}],
        "tooltip": {"mode": "single", "sort": "none"},
    }  # fmt: skip
    number = panel(
        "stat", ident + 3, "n",
        say(language, (f"Số mẫu được tính có {word.upper()}; hình vẽ nhiều nhất 2.000 mẫu mới nhất.",
                       f"Counted samples with {word.upper()}; the drawing holds the newest 2,000 at most.")),
        (x + 10, 59, 2, 9), targets=[target("A", f"{name}_n")], options=stat_options(text_mode="value"),
        language=language, defaults={"unit": "none", "decimals": 0, "color": fixed("text")},
    )  # fmt: skip
    drawing = panel(
        "xychart", ident, say(language, (f"{word.upper()} và tải xuống", f"{word.upper()} and downlink")),
        say(language, (f"Mỗi điểm là một mẫu được tính: {word.upper()} ngay trước khi đo và tốc độ tải xuống.",
                       f"Each point is one counted sample: {word.upper()} just before it and its downlink rate.")),
        (x, 59, 10, 9), targets=[target("A", name)], options=mapping, language=language, pluginVersion="11.6.0",
        defaults={"color": fixed(BLUE), "custom": {"show": "points", "pointSize": {"fixed": 6}, "axisLabel": ""}},
        overrides=[override(word, **axis),
                   override("downlink", custom_axisLabel="Mbit/s", unit="suffix:Mbit/s", decimals=1, min=0)],
        transformations=[organize((word, "downlink"), ("Time",))],
    )  # fmt: skip
    return [drawing, number]


def _latest(language: Language) -> Json:
    colored = {"custom_cellOptions": {"type": "color-text"}}
    operators: dict[str, Pair] = {o["plmn"]: (o["name"], o["name"]) for o in settings()["operator"]}
    special: dict[str, Json] = {
        "outcome": {"mappings": words(OUTCOMES, language), "custom_width": 150} | colored,
        "stage": {"mappings": plain_words(STAGES, language), "custom_width": 130},
        "cause": {"mappings": plain_words(CAUSES, language), "custom_width": 200},
        "path": {"mappings": words(PATHS, language), "custom_width": 120} | colored,
        "counted": {"mappings": words(COUNTED, language), "custom_width": 110} | colored,
        "hamlet": {"links": _hamlet_link(language)},
        "plmn": {"mappings": plain_words(operators, language), "custom_width": 100},
    }
    columns = QUERIES["latest"].columns
    clock = override("Time", displayName=say(language, ("Lúc", "At")), unit="time:DD/MM HH:mm:ss", custom_width=130)
    return panel(
        "table", 27, say(language, ("20 lần đo gần nhất, kể cả không thành công", "Last 20 tests, failed ones too")),
        say(language, ("Lần đo không thành công là bằng chứng: dừng ở giai đoạn nào, vì sao.",
                       "A test that failed is evidence: at which stage it stopped, and why.")),
        (0, 68, 24, 14), targets=[target("A", "latest")], language=language,
        options={"showHeader": True, "cellHeight": "sm"},
        defaults={"noValue": "–", "custom": {"align": "auto"}},
        overrides=[clock, *(column("latest", c.name, language, **special.get(c.name, {})) for c in columns)],
        transformations=[organize(("Time", *(c.name for c in columns)))],
    )  # fmt: skip


def hamlet_board(language: Language) -> Json:
    """Build the board in one language."""
    panels = [
        *_head(language),
        row(10, say(language, ("Nhà mạng $plmn", "Operator $plmn")), 7, "plmn"),
        *_tiles(language),
        _band(language, 17, 0, ("Tải xuống theo thời gian", "Downlink over time"), "downlink_band", BLUE),
        _band(language, 18, 12, ("Tải lên theo thời gian", "Uplink over time"), "uplink_band", GOOD),
        row(20, say(language, ("Cả thôn, xóm", "The whole hamlet")), 22),
        *_coverage(language),
        hours(language),
        _outcomes(language),
        _by_hour(language),
        *_against(language, 25, 0, "rsrp", "dBm"),
        *_against(language, 26, 12, "sinr", "dB"),
        _latest(language),
        *causes(language),
        samples_map(language),
    ]
    return board(STEM, language, _ABOUT, panels)
