"""The province board: which communes are bad, and where nothing is measured? For who opens it in the morning."""

from __future__ import annotations

from grafana.board import board
from grafana.panels import Json, plain_words, words
from grafana.pieces import (
    MONTH,
    band,
    bars_of,
    commune_links,
    hamlet_links,
    hamlet_map,
    median_cells,
    month_matrix,
    outcomes,
    shares,
    stats,
    table,
    text,
)
from grafana.words import BAD, SILENCES, SILENT, Language, Pair

STEM = "dosong-province"
_ABOUT: Pair = (
    "Cả tỉnh trong một màn hình: xã nào yếu, thôn nào chưa có số liệu, trạm nào im lặng. Chỉ 4G.",
    "The whole province on one screen: weak communes, hamlets without figures, silent probes. 4G only.",
)
_TEXT: Pair = (
    "**Chỉ 4G** · mẫu trạm đo tại nhà văn hóa; không phải mẫu i-Speed, không cộng chung.\n"
    "- Xếp hạng và bản đồ: **tháng gần nhất** (trung vị, cách tính của i-Speed). Biểu đồ ngày: khoảng đang xem.\n"
    "- **n** đi kèm mọi con số; dưới n = 5 không tô màu. Mốc 10 và 40 Mbit/s là mốc tham khảo.\n"
    "- Bấm mã xã để mở bảng của xã; mã thôn, xóm để mở bảng và trang của thôn, xóm. Giờ Việt Nam (+07).",
    "**4G only** · samples of our probes at cultural houses; not i-Speed samples, never added to them.\n"
    "- Ranking and map: the **newest month** (median, i-Speed's statistic). Drawings by day: the range on view.\n"
    "- **n** beside every figure; no colour below n = 5. The marks 10 and 40 Mbit/s are for reference.\n"
    "- A commune's code opens its board; a hamlet's code its board and its page. Vietnam time (+07).",
)


def _head(language: Language) -> list[Json]:
    return [
        text(language, 1, (0, 0, 8, 7), _TEXT),
        stats(
            language, 2, (8, 0, 4, 7), ("Thôn, xóm", "Hamlets"),
            ("Có trạm đo, và có lần đo trong khoảng đang xem.", "With a station, and with tests in the range."),
            "hamlets_registered", "hamlets_measured",
        ),
        stats(
            language, 3, (12, 0, 6, 7), ("Đạt mốc, tháng gần nhất", "At the marks, newest month"),
            ("Tỷ lệ mẫu từ 40 Mbit/s, và số thôn, xóm có trung vị đạt từng mốc.",
             "Share of samples at 40 Mbit/s, and how many hamlets' medians reach each mark."),
            "province_now", timeFrom=MONTH,
        ),
        stats(
            language, 4, (18, 0, 6, 7), ("Lần đo trong khoảng", "Tests in the range"),
            ("Tất cả lần đo của những ngày bắt đầu trong khoảng, kể cả không thành công.",
             "All tests of the days that begin in the range, failed ones included."), "province_totals",
        ),
    ]  # fmt: skip


def _ranking(language: Language) -> Json:
    order = (
        "name",
        "median",
        "n",
        "p5",
        "uplink",
        "delay",
        "at_40",
        "success",
        "covered",
        "hamlets",
        "registered",
        "commune",
    )
    return table(
        language, 6, (10, 7, 14, 15), ("Xã, phường, yếu nhất trước", "Communes, weakest first"),
        ("Tháng gần nhất; trung vị trên mọi mẫu của xã, không phải trung bình các trung vị.",
         "Newest month; medians over all samples of the commune, never a mean of medians."),
        "communes", order=order, hide=("Time", "mean"), sort=("median", False), timeFrom=MONTH,
        special={"median": median_cells(), "name": {"custom_width": 170},
                 "commune": {"links": commune_links(language)}},
    )  # fmt: skip


def province_board(language: Language) -> Json:
    """Build the board in one language."""
    panels = [
        *_head(language),
        hamlet_map(language, 5, (0, 7, 10, 15), ("Bản đồ thôn, xóm", "Map of hamlets"), "hamlets_of_province"),
        _ranking(language),
        band(language, 7, (0, 22, 24, 8), ("Tải xuống từng ngày", "Downlink by day"), "province_days"),
        month_matrix(language, 8, (0, 30, 14, 11), ("Xã, phường theo tháng", "Communes by month"), "commune_months"),
        bars_of(
            language, 9, (14, 30, 10, 11), ("Vì sao đo không thành công", "Why tests failed"),
            ("Nguyên nhân của mọi lần đo có lỗi trong khoảng.", "Causes of all tests with a fault in the range."),
            "province_failures", color=BAD,
        ),
        outcomes(language, 10, (0, 41, 12, 8), "province_tests"),
        shares(language, 11, (12, 41, 12, 8), "province_coverage"),
        table(
            language, 12, (0, 49, 24, 8), ("Trạm im lặng lúc này", "Probes silent now"),
            ("Máy chủ MQTT báo mất kết nối, hoặc lâu không có bản ghi; bảng trống là tốt.",
             "The broker says offline, or no records for long; an empty table is good."),
            "silent_probes", sort=("since_s", True), timeFrom="1d", special={
                "silent": {"mappings": words(SILENT, language)}, "cause": {"mappings": plain_words(SILENCES, language)},
                "hamlet": {"links": hamlet_links(language)}},
        ),
    ]  # fmt: skip
    return board(
        STEM, language, _ABOUT, panels, ("province", "commune"), bucket=False,
        more=[(("Chiến dịch, báo cáo", "Campaigns, reports"), "/campaigns")],
    )  # fmt: skip
