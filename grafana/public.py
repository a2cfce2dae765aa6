"""The board for everybody: how 4G is in a province's communes and hamlets, on a map of rounded positions.

It asks only what `collector.published` writes: units and hamlets by month and day. No probe, no single test, no
surveyed position can be reached from it, whatever somebody types. It links to no other board.
"""

from __future__ import annotations

from grafana.board import PUBLIC, board
from grafana.panels import Json
from grafana.pieces import (
    MONTH,
    band,
    bars_of,
    hamlet_map,
    median_cells,
    month_matrix,
    outcomes,
    shares,
    stats,
    table,
    text,
)
from grafana.words import BAD, Language, Pair

_ABOUT: Pair = (
    "Mạng 4G ở các xã, thôn của tỉnh: trung vị tháng, theo ngày, phủ sóng. Vị trí làm tròn khoảng 1 km.",
    "4G in the province's communes and hamlets: monthly medians, by day, coverage. Positions rounded to about 1 km.",
)
_TEXT: Pair = (
    "**Chỉ 4G** · mẫu trạm đo tại nhà văn hóa; không phải mẫu i-Speed, không cộng chung.\n"
    "- Bản đồ và xếp hạng: **tháng gần nhất**, trung vị; **n** đi kèm, dưới n = 5 không tô màu.\n"
    "- Vị trí trên bản đồ đã **làm tròn khoảng 1 km**. Mốc 10 và 40 Mbit/s là mốc tham khảo.",
    "**4G only** · samples of our probes at cultural houses; not i-Speed samples, never added to them.\n"
    "- Map and ranking: the **newest month**, medians; with **n**, no colour below n = 5.\n"
    "- Positions on the map are **rounded to about 1 km**. The marks 10 and 40 Mbit/s are for reference.",
)


def public_board(language: Language) -> Json:
    """Build the board in one language."""
    order = ("name", "median", "n", "p5", "uplink", "delay", "at_40", "success", "covered", "hamlets", "registered")
    ranking = table(
        language, 6, (10, 6, 14, 15), ("Xã, phường, yếu nhất trước", "Communes, weakest first"),
        ("Tháng gần nhất; trung vị trên mọi mẫu của xã.", "Newest month; medians over all samples of the commune."),
        "communes", order=order, hide=("Time", "mean", "commune"), sort=("median", False), timeFrom=MONTH,
        special={"median": median_cells(), "name": {"custom_width": 170}},
    )  # fmt: skip
    places = hamlet_map(language, 5, (0, 6, 10, 15), ("Bản đồ thôn, xóm", "Map of hamlets"), "hamlets_of_province")
    for rule in places["fieldConfig"]["overrides"]:
        rule["properties"] = [one for one in rule["properties"] if one["id"] != "links"]
    panels = [
        text(language, 1, (0, 0, 18, 6), _TEXT),
        stats(
            language, 3, (18, 0, 6, 6), ("Đạt mốc, tháng gần nhất", "At the marks, newest month"),
            ("Tỷ lệ mẫu từ 40 Mbit/s, và số thôn, xóm có trung vị đạt từng mốc.",
             "Share of samples at 40 Mbit/s, and how many hamlets' medians reach each mark."),
            "province_now", timeFrom=MONTH,
        ),
        places,
        ranking,
        band(language, 7, (0, 21, 24, 8), ("Tải xuống từng ngày", "Downlink by day"), "province_days"),
        month_matrix(language, 8, (0, 29, 14, 11), ("Xã, phường theo tháng", "Communes by month"), "commune_months"),
        bars_of(
            language, 9, (14, 29, 10, 11), ("Vì sao đo không thành công", "Why tests failed"),
            ("Nguyên nhân của mọi lần đo có lỗi trong khoảng.", "Causes of all tests with a fault in the range."),
            "province_failures", color=BAD,
        ),
        outcomes(language, 10, (0, 40, 12, 8), "province_tests"),
        shares(language, 11, (12, 40, 12, 8), "province_coverage"),
    ]  # fmt: skip
    return board(PUBLIC, language, _ABOUT, panels, ("province", "commune"), bucket=False)
