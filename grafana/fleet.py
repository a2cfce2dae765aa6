"""The fleet board: which probe is ill, since when, why; and is the collector itself well?"""

from __future__ import annotations

from grafana.board import board
from grafana.panels import (
    Json,
    column,
    fixed,
    graph_options,
    line,
    organize,
    override,
    panel,
    plain_words,
    steps,
    target,
    words,
)
from grafana.pieces import COLOURED, TABLE, bar_cells, hamlet_links, stats, table, text
from grafana.words import (
    BAD,
    BLUE,
    EVENTS,
    GOOD,
    MIDDLE,
    NONE,
    PROBE_STATES,
    RUNGS,
    SILENCES,
    SILENT,
    SUPPLY,
    TRUSTED,
    WORKS,
    Language,
    Pair,
    say,
)

STEM = "dosong-fleet"
DAY = "1d"
_ABOUT: Pair = (
    "Mỗi trạm một dòng: liên lạc, hàng chờ, đồng hồ, nhiệt độ, điện áp, modem, dữ liệu SIM, chứng thư, phiên bản.",
    "One row a probe: contact, spool, clock, temperature, supply, modem, SIM's data, certificate, version.",
)
_TEXT: Pair = (
    "- **Im lặng**: máy chủ MQTT báo mất kết nối, hoặc gấp ba nhịp thường lệ không có bản ghi; hiện trong 5 phút.\n"
    "- Tình trạng do một hàm quyết định, chung cho bảng này, trang web và danh sách sáng thứ Hai.\n"
    "- Cách xử lý từng trường hợp: docs/runbook.md.",
    "- **Silent**: the broker says offline, or no record for three usual intervals; shows within 5 minutes.\n"
    "- One judgement of a probe's state, shared with the web pages and the Monday list.\n"
    "- What to do in each case: docs/runbook.md.",
)
_ORDER = (
    *("probe", "hamlet", "word", "since_s", "age_s", "spool_records", "missing", "clock_trusted", "temp"),
    *("undervoltage", "recoveries", "rung", "used", "budget", "cert_days", "fw"),
)


def _probes(language: Language) -> Json:
    hot = {"color": {"mode": "thresholds"}, "thresholds": steps(GOOD, (70, MIDDLE), (80, BAD))} | COLOURED
    near = {"color": {"mode": "thresholds"}, "thresholds": steps(GOOD, (80, MIDDLE), (90, BAD)), "max": 100}
    soon = {"color": {"mode": "thresholds"}, "thresholds": steps(BAD, (30, MIDDLE), (60, GOOD))} | COLOURED
    gauge = {"custom_cellOptions": {"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}, "min": 0}
    special: dict[str, Json] = {
        "word": {"mappings": words(PROBE_STATES, language), "custom_width": 130} | COLOURED,
        "clock_trusted": {"mappings": words(TRUSTED, language)} | COLOURED,
        "undervoltage": {"mappings": words(SUPPLY, language)} | COLOURED,
        "rung": {"mappings": plain_words(RUNGS, language)},
        "temp": hot, "budget": near | gauge, "cert_days": soon, "hamlet": {"links": hamlet_links(language)},
    }  # fmt: skip
    return table(
        language, 4, (0, 9, 24, 14), ("Các trạm, im lâu nhất trước", "Probes, longest quiet first"),
        ("Giá trị mới nhất trong một ngày qua.", "Newest values of the last day."), "fleet",
        order=_ORDER, sort=("age_s", True), special=special, timeFrom=DAY,
    )  # fmt: skip


def _versions(language: Language) -> Json:
    """How many probes run each version: rows of the fleet, counted by Grafana."""
    group = {
        "fw": {"operation": "groupby", "aggregations": []},
        "probe": {"operation": "aggregate", "aggregations": ["count"]},
    }
    title = ("Phiên bản", "Versions")
    about = ("Bao nhiêu trạm chạy mỗi phiên bản.", "How many probes run each version.")
    count = override(
        "probe (count)", displayName=say(language, ("Trạm", "Probes")), unit="none", decimals=0, **bar_cells()
    )
    return panel(
        "table", 8, say(language, title), say(language, about), (8, 31, 6, 10), targets=[target("A", "fleet")],
        language=language, options=TABLE, defaults={"unit": "none"}, overrides=[column("fleet", "fw", language), count],
        timeFrom=DAY,
        transformations=[{"id": "groupBy", "options": {"fields": group}}, organize(("fw", "probe (count)"))],
    )  # fmt: skip


def _over_time(language: Language) -> list[Json]:
    silent = panel(
        "timeseries", 5, say(language, ("Trạm im lặng theo thời gian", "Silent probes over time")),
        say(language, ("Nhiều trạm cùng im một lúc: nghĩ đến mất điện, một trạm phát sóng, hay chính bộ thu.",
                       "Many silent at once: think of power, of one tower, or of the collector itself.")),
        (0, 23, 12, 8), targets=[target("A", "system_probes")], language=language, options=graph_options(),
        overrides=[column("system_probes", "silent", language, color=fixed(BAD), custom_fillOpacity=20),
                   column("system_probes", "probes", language, color=fixed(NONE))],
        defaults={"unit": "none", "decimals": 0, "min": 0, "custom": line(say(language, ("trạm", "probes")))},
    )  # fmt: skip
    right = {"custom_axisPlacement": "right", "custom_axisLabel": say(language, ("bản ghi", "records"))}
    worst = panel(
        "timeseries", 6, say(language, ("Nóng nhất, chờ gửi nhiều nhất", "Hottest, deepest spool")),
        say(language, ("Trạm nóng nhất và hàng chờ dài nhất của từng giờ.", "Hottest probe and deepest spool.")),
        (12, 23, 12, 8), targets=[target("A", "fleet_worst")], language=language, options=graph_options(),
        interval="1h",
        overrides=[column("fleet_worst", "temp", language, color=fixed(BAD)),
                   column("fleet_worst", "spool_records", language, color=fixed(BLUE), **right)],
        defaults={"unit": "none", "decimals": 0, "min": 0, "custom": line("°C")},
    )  # fmt: skip
    return [silent, worst]


def fleet_board(language: Language) -> Json:
    """Build the board in one language."""
    works = {"mappings": words(WORKS, language)}
    panels = [
        text(language, 1, (0, 0, 8, 9), _TEXT),
        stats(language, 2, (8, 0, 6, 9), ("Bao nhiêu trạm có vấn đề", "Probes with troubles"),
              ("Theo giá trị mới nhất của mỗi trạm; dòng không hiện là 0.", "By newest values; an absent line is 0."),
              "fleet_troubles", "fleet_clock", "fleet_resets", "fleet_budget", "fleet_certificates", timeFrom=DAY),
        table(
            language, 3, (14, 0, 10, 9), ("Im lặng lúc này", "Silent now"),
            ("Bảng trống là tốt.", "An empty table is good."), "silent_probes", sort=("since_s", True),
            order=("probe", "hamlet", "since_s", "cause", "silent"), timeFrom=DAY,
            special={"silent": {"mappings": words(SILENT, language)} | COLOURED,
                     "cause": {"mappings": plain_words(SILENCES, language)},
                     "hamlet": {"links": hamlet_links(language)}},
        ),
        _probes(language),
        *_over_time(language),
        stats(language, 7, (0, 31, 8, 10), ("Bộ thu lúc này", "The collector now"),
              ("Nhận, ghi sổ, chuyển sang InfluxDB, niêm phong.", "Receiving, ledger, InfluxDB, sealing."),
              "system", receiving=works, sealing=works, timeFrom=DAY),
        _versions(language),
        table(
            language, 9, (14, 31, 10, 10), ("30 sự kiện gần nhất", "The last 30 events"),
            ("Khởi động, khôi phục, mất dịch vụ, sụt áp.", "Starts, recoveries, outages, undervoltage."), "events",
            hide=(), order=("Time", "event", "probe", "hamlet"),
            special={"event": {"mappings": plain_words(EVENTS, language)}, "hamlet": {"links": hamlet_links(language)}},
        ),
    ]  # fmt: skip
    return board(STEM, language, _ABOUT, panels, ("province", "commune"), bucket=False)
