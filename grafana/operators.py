"""The operators' board: who serves this province, how well, on what signal, and why tests fail."""

from __future__ import annotations

from grafana.board import board
from grafana.commune import medians
from grafana.marks import operator_words
from grafana.panels import Json
from grafana.pieces import MONTH, bar_cells, bars_of, median_cells, table, text
from grafana.words import BAD, BLUE, GOOD, MIDDLE, NONE, SKY, Language, Pair

STEM = "dosong-operators"
_ABOUT: Pair = (
    "Các nhà mạng cạnh nhau trong một tỉnh: tốc độ, phủ sóng, mức thu, lỗi. Chỉ 4G.",
    "Operators side by side in a province: rates, coverage, signal, failures. 4G only.",
)
_TEXT: Pair = (
    "**Chỉ 4G** · chỉ so sánh nơi có trạm đo của chúng tôi; mỗi nhà mạng có thể được đo ở số thôn, xóm khác nhau, nên "
    "luôn đọc **n**.\n- Trung vị là số i-Speed công bố; trung bình là số của QCVN 81: tham khảo, không kết luận hợp "
    "quy. Bậc RSRP theo bảng của một hãng, chỉ để dễ đọc.",
    "**4G only** · compares only where our probes stand; operators may be measured in different numbers of hamlets, so "
    "always read **n**.\n- The median is i-Speed's statistic, the mean is QCVN 81's: for reference, no conformity "
    "claim. Bands of RSRP follow one vendor's table, for reading only.",
)


def _shares(language: Language) -> list[Json]:
    names = {"plmn": {"mappings": operator_words(language)}}
    colors = {"rsrp_strong": GOOD, "rsrp_fair": SKY, "rsrp_poor": MIDDLE, "rsrp_none": BAD}
    bands = {name: bar_cells(color) | {"max": 100} for name, color in colors.items()}
    states = {"covered": GOOD, "degraded": MIDDLE, "no_service": BAD, "unknown": NONE}
    parts = {name: bar_cells(color) | {"max": 100} for name, color in states.items()}
    return [
        table(
            language, 5, (0, 20, 8, 8), ("4G, 5G và mạng khác", "4G, 5G and others"),
            ("Lần đo theo công nghệ mà modem báo trước khi đo.", "Tests by the technology the modem reported before."),
            "rats", order=("plmn", "rat", "tests"), special=names | {"tests": bar_cells()}, sort=("tests", True),
        ),
        table(
            language, 6, (8, 20, 16, 8), ("RSRP theo nhà mạng", "RSRP by operator"),
            ("Tỷ lệ mẫu được tính trong mỗi bậc RSRP, trước khi đo.", "Share of counted samples in each band of RSRP."),
            "rsrp_bands", order=("plmn", *colors, "n"), special=names | bands,
        ),
        table(
            language, 7, (0, 28, 14, 8), ("Phủ sóng theo nhà mạng", "Coverage by operator"),
            ("Trên mọi bước đo phủ sóng; chưa rõ đứng riêng.", "Over all coverage steps; unknown stands apart."),
            "operator_coverage", order=("plmn", *states, "n"), special=names | parts,
        ),
        bars_of(
            language, 8, (14, 28, 10, 8), ("Vì sao đo không thành công", "Why tests failed"),
            ("Của những nhà mạng đang chọn.", "Of the operators that are chosen."), "operator_failures", color=BAD,
        ),
    ]  # fmt: skip


def operators_board(language: Language) -> Json:
    """Build the board in one language."""
    order = ("plmn", "median", "n", "p5", "mean", "uplink", "delay", "at_40", "success", "covered", "province")
    side_by_side = table(
        language, 2, (0, 4, 24, 7), ("Các nhà mạng, tháng gần nhất", "Operators, newest month"),
        ("Trên mọi mẫu được tính của tỉnh; n đi kèm.", "Over all counted samples of the province; with n."),
        "operators", order=order, sort=("median", True), timeFrom=MONTH,
        special={"plmn": {"mappings": operator_words(language)}, "median": median_cells(), "n": bar_cells(BLUE)},
    )  # fmt: skip
    panels = [
        text(language, 1, (0, 0, 24, 4), _TEXT),
        side_by_side,
        medians(language, 3, (0, 11, 12, 9), ("Trung vị từng ngày", "Daily medians"), "operator_days"),
        medians(language, 4, (12, 11, 12, 9), ("Trung vị từng tháng", "Monthly medians"), "operator_months")
        | {"timeFrom": "400d"},
        *_shares(language),
    ]
    return board(STEM, language, _ABOUT, panels, ("province", "plmn"), bucket=False)
