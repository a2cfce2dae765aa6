"""The commune board: which hamlets, which operators, and is the month's quota on its way?"""

from __future__ import annotations

from grafana.board import board
from grafana.marks import operator_names, operator_series, operator_words, rate_bins
from grafana.panels import Json, column, fixed, graph_options, line, organize, override, panel, row, target, words
from grafana.pieces import (
    COLOURED,
    MONTH,
    TABLE,
    band,
    bars_of,
    hamlet_links,
    hamlet_map,
    matrix,
    median_cells,
    month_matrix,
    outcomes,
    shares,
    stats,
    table,
    text,
)
from grafana.words import BLUE, MIDDLE, NONE, OUTLOOKS, Language, Pair, say

STEM = "dosong-commune"
_ABOUT: Pair = (
    "Một xã, phường: từng thôn, xóm theo từng nhà mạng, tiến độ chỉ tiêu tháng. Chỉ 4G.",
    "One commune: its hamlets by operator, and the month's quota. 4G only.",
)
_TEXT: Pair = (
    "**Chỉ 4G** · mẫu trạm đo; chỉ tiêu i-Speed do Portal quyết định, hai số không cộng chung.\n"
    "- Thôn, xóm × nhà mạng: trung vị **tháng gần nhất**, từ n = 5. Ô trống: chưa đủ mẫu.\n"
    "- Bấm mã thôn, xóm để mở bảng và trang của thôn, xóm. Giờ Việt Nam (+07).",
    "**4G only** · samples of our probes; the i-Speed quota is the Portal's, the two are never added.\n"
    "- Hamlet × operator: median of the **newest month**, from n = 5. Empty: too few samples.\n"
    "- A hamlet's code opens its board and its page. Vietnam time (+07).",
)


def quota_table(language: Language, ident: int, grid: tuple[int, int, int, int]) -> Json:
    """Each commune, campaign and line: so far, asked, missing, against the pace, projection, outlook."""
    return table(
        language, ident, grid, ("Chỉ tiêu: tiến độ và dự báo", "Quota: pace and projection"),
        ("Dự báo là khoảng 90 %. Tiến độ của chúng tôi, không phải kết luận của Bộ.",
         "The projection is a 90 % range. A statement of pace, never the ministry's verdict."),
        "quota", order=("name", "counted", "minimum", "missing", "ahead", "low", "middle", "high", "outlook", "line",
                        "campaign", "commune"),
        sort=("ahead", False),
        special={"outlook": {"mappings": words(OUTLOOKS, language)} | COLOURED, "name": {"custom_width": 160}},
    )  # fmt: skip


def pace(language: Language, ident: int, grid: tuple[int, int, int, int], query: str) -> Json:
    """What was reached against an even pace and the quota, by day."""
    looks: dict[str, Json] = {
        "counted": {"color": fixed(BLUE), "custom_lineWidth": 3},
        "due_by_now": {"color": fixed(MIDDLE), "custom_lineStyle": {"fill": "dash", "dash": [8, 6]}},
        "minimum": {"color": fixed(NONE), "custom_lineStyle": {"fill": "dot", "dash": [2, 6]}},
    }
    title, about = ("Tiến độ trong tháng", "Pace in the month"), (
        "Đã đạt so với tiến độ đều; vạch xám là chỉ tiêu.", "So far against an even pace; the grey line is the quota.",
    )  # fmt: skip
    return panel(
        "timeseries", ident, say(language, title), say(language, about), grid, targets=[target("A", query)],
        language=language, options=graph_options(), interval="1d",
        overrides=[column(query, name, language, **look) for name, look in looks.items()],
        defaults={"unit": "none", "decimals": 0, "min": 0, "custom": line(say(language, ("mẫu", "samples")))},
    )  # fmt: skip


def medians(language: Language, ident: int, grid: tuple[int, int, int, int], title: Pair, query: str) -> Json:
    """Median of each day or month by operator, each in its colour; n on hovering."""
    hide_n = {"viz": True, "legend": False, "tooltip": False}
    numbers = {
        "matcher": {"id": "byRegexp", "options": "/ n$/"},
        "properties": [{"id": "custom.hideFrom", "value": hide_n}, {"id": "unit", "value": "none"}],
    }
    about = ("Trung vị tải xuống (từ n = 5); n đọc khi di chuột.", "Median downlink (from n = 5); n on hovering.")
    return panel(
        "timeseries", ident, say(language, title), say(language, about), grid,
        targets=[target("A", query, "$tag_plmn $col")], language=language, options=graph_options(),
        overrides=[*operator_series(" median"), numbers],
        defaults={"unit": "suffix:Mbit/s", "decimals": 1, "min": 0, "custom": line("Mbit/s", spanNulls=False)},
    )  # fmt: skip


def _by_operator(language: Language) -> Json:
    """One row a hamlet, one column an operator: the newest month's median."""
    about = ("Trung vị tải xuống tháng gần nhất, Mbit/s (từ n = 5); ô trống: chưa đủ mẫu hoặc không đo mạng đó.",
             "Median downlink of the newest month, Mbit/s (from n = 5); empty: too few or not measured.")  # fmt: skip
    head = override("name\\plmn", displayName=say(language, ("Thôn, xóm", "Hamlet")), unit="string", custom_width=200,
                    custom_cellOptions={"type": "auto"})  # fmt: skip
    return panel(
        "table", 5, say(language, ("Thôn, xóm × nhà mạng", "Hamlet × operator")), say(language, about), (10, 6, 14, 13),
        targets=[target("A", "hamlet_operator_medians")], language=language, options=TABLE, timeFrom=MONTH,
        overrides=[head, *operator_names()],
        defaults={"unit": "none", "decimals": 1, "noValue": "–", "thresholds": rate_bins(), "min": 0,
                  "color": {"mode": "thresholds"},
                  "custom": {"align": "center", "cellOptions": {"type": "color-text"}}},
        transformations=[*matrix("name", "plmn", "median"), organize(("name\\plmn",))],
    )  # fmt: skip


def _of_operator(language: Language) -> Json:
    order = ("name", "median", "n", "p5", "mean", "uplink", "delay", "at_40", "success", "covered", "hamlet", "plmn")
    links = hamlet_links(language, ("province", "commune"))
    return table(
        language, 11, (0, 28, 24, 10), ("Các thôn, xóm của nhà mạng", "Hamlets of the operator"),
        ("Tháng gần nhất, yếu nhất trước; n đi kèm.", "Newest month, weakest first; with n."),
        "hamlet_operators", order=order, sort=("median", False), timeFrom=MONTH,
        special={"median": median_cells(), "hamlet": {"links": links}, "plmn": {"mappings": operator_words(language)},
                 "name": {"custom_width": 190}},
    )  # fmt: skip


def _below(language: Language) -> list[Json]:
    failed: Pair = ("Vì sao đo không thành công", "Why tests failed")
    gone: Pair = ("Vì sao mất sóng, sóng yếu (bước)", "Why no coverage (steps)")
    about: Pair = ("Trong khoảng đang xem.", "In the range on view.")
    return [
        row(20, say(language, ("Cả xã, phường", "The whole commune")), 38),
        band(language, 21, (0, 39, 12, 8), ("Tải xuống từng ngày", "Downlink by day"), "commune_days"),
        outcomes(language, 22, (12, 39, 12, 8), "commune_tests"),
        shares(language, 23, (0, 47, 12, 8), "commune_coverage"),
        bars_of(language, 24, (12, 47, 6, 8), gone, about, "commune_gaps"),
        bars_of(language, 25, (18, 47, 6, 8), failed, about, "commune_failures"),
        month_matrix(language, 26, (0, 55, 24, 10), ("Thôn, xóm theo tháng", "Hamlets by month"), "hamlet_months"),
    ]


def commune_board(language: Language) -> Json:
    """Build the board in one language."""
    panels = [
        text(language, 1, (0, 0, 8, 6), _TEXT),
        stats(
            language, 2, (8, 0, 4, 6), ("Lần đo trong khoảng", "Tests in the range"),
            ("Tất cả lần đo của những ngày bắt đầu trong khoảng, kể cả không thành công.",
             "All tests of the days that begin in the range, failed ones included."), "commune_totals",
        ),
        quota_table(language, 3, (12, 0, 12, 6)),
        hamlet_map(language, 4, (0, 6, 10, 13), ("Bản đồ thôn, xóm", "Map of hamlets"), "hamlets_of_commune"),
        _by_operator(language),
        pace(language, 6, (0, 19, 12, 8), "quota_pace_all"),
        medians(language, 7, (12, 19, 12, 8), ("Trung vị từng ngày theo nhà mạng", "Daily medians by operator"),
                "commune_operator_days"),
        row(10, say(language, ("Nhà mạng $plmn", "Operator $plmn")), 27, "plmn"),
        _of_operator(language),
        *_below(language),
    ]  # fmt: skip
    return board(STEM, language, _ABOUT, panels, ("province", "commune", "plmn"), bucket=False)
