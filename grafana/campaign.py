"""The campaign and data quality board: who measured, who reaches the quota, what is missing, what is not believed."""

from __future__ import annotations

from collector.catalogue.words import RULE_WORDS
from grafana.board import board
from grafana.commune import pace, quota_table
from grafana.panels import Json, fixed, graph_options, line, panel, plain_words, target
from grafana.pieces import bar_cells, bars_of, hamlet_links, stats, table, text
from grafana.words import BAD, BLUE, MIDDLE, REASONS, REFUSALS, VERDICTS, Language, Pair, say

STEM = "dosong-campaign"
_ABOUT: Pair = (
    "Tiến độ chỉ tiêu, mã giới thiệu, khung đo lỡ, kết luận và lý do loại mẫu.",
    "Quota, referral codes, missed slots, verdicts and why samples do not count.",
)
_TEXT: Pair = (
    "- Bộ đếm quyết định do chiến dịch nêu (Portal, trạm đo hoặc số người); không bao giờ cộng chung.\n"
    "- Dự báo: khoảng 90 % theo nhịp đến nay.\n"
    "- Mẫu bị loại vẫn được giữ; mỗi lý do một dòng, một mẫu có thể có nhiều lý do.",
    "- The campaign names the deciding counter (Portal, our probes or people); they are never summed.\n"
    "- Projection: a 90 % range at the pace so far.\n"
    "- What does not count is kept all the same; one row a reason, a sample may have several.",
)


def _slots(language: Language) -> Json:
    return panel(
        "timeseries", 7, say(language, ("Khung đo lỡ từng ngày", "Missed slots by day")),
        say(language, ("Khung mà trạm đi qua nhưng không có bản ghi nào; mất điện đứng riêng.",
                       "Slots that a probe passed without a record; power cuts apart.")),
        (8, 30, 8, 10), targets=[target("A", "missed_slots")], language=language, options=graph_options(),
        overrides=[
            {"matcher": {"id": "byName", "options": name}, "properties": [
                {"id": "displayName", "value": say(language, label)}, {"id": "color", "value": fixed(color)}]}
            for name, label, color in (("missed", ("Khung lỡ", "Missed slots"), BAD),
                                       ("power", ("trong đó do mất điện", "of these by power cuts"), MIDDLE))
        ],
        defaults={"unit": "none", "decimals": 0, "min": 0,
                  "custom": line(say(language, ("khung", "slots")), drawStyle="bars", fillOpacity=70, lineWidth=0)},
    )  # fmt: skip


def _verdicts(language: Language) -> Json:
    named = [
        {"matcher": {"id": "byName", "options": word}, "properties": [
            {"id": "displayName", "value": say(language, pair)}, {"id": "color", "value": fixed(color)}]}
        for word, (pair, color) in VERDICTS.items()
    ]  # fmt: skip
    stacked = line(say(language, ("bản ghi", "records")), drawStyle="bars", fillOpacity=85, lineWidth=0,
                   stacking={"mode": "normal", "group": "A"})  # fmt: skip
    return panel(
        "timeseries", 9, say(language, ("Kết luận về bản ghi, từng ngày", "Verdicts on records, by day")),
        say(language, ("Mỗi bản ghi một kết luận; đáng ngờ thì không được tính.",
             "One verdict a record; suspect ones do not count.")),
        (0, 40, 12, 10), targets=[target("A", "verdicts", "$tag_word")], language=language, options=graph_options(),
        overrides=named, defaults={"unit": "none", "decimals": 0, "min": 0, "custom": stacked},
    )  # fmt: skip


def campaign_board(language: Language) -> Json:
    """Build the board in one language."""
    bars = {"tests": bar_cells(BLUE), "counted": {}, "failed": {}}
    panels = [
        text(language, 1, (0, 0, 8, 8), _TEXT),
        stats(language, 2, (8, 0, 4, 8), ("Chậm tiến độ", "Behind the pace"),
              ("Xã, phường dưới tiến độ đều lúc này.", "Communes below an even pace now."), "quota_behind"),
        bars_of(language, 3, (12, 40, 12, 10), ("Đáng ngờ, theo quy tắc", "Suspect, by rule"),
                ("Quy tắc đã áp dụng với bản ghi đáng ngờ; xem trang Quy tắc kết luận.",
                 "Rules that applied to suspect records; see the page of rules."),
                "suspect_by_rule", color=BAD, mappings=plain_words(RULE_WORDS, language)),
        bars_of(language, 4, (18, 0, 6, 8), ("Bị từ chối khi nhận", "Refused at the door"),
                ("Sai chữ ký, sai chủ đề, sai mẫu: không vào sổ.", "Wrong signature, topic or form: not in it."),
                "refused", color=BAD, mappings=plain_words(REFUSALS, language)),
        quota_table(language, 5, (0, 8, 24, 12)),
        pace(language, 11, (0, 20, 24, 10), "quota_pace_all"),
        table(language, 6, (0, 30, 8, 10), ("Theo mã giới thiệu", "By referral code"),
              ("Lần đo của trạm theo mã giới thiệu trong khoảng.", "Tests of probes by referral code in the range."),
              "referrals", special=bars, sort=("tests", True)),
        _slots(language),
        table(language, 8, (16, 30, 8, 10), ("Lỡ nhiều nhất", "Most missed"),
              ("Thôn, xóm lỡ nhiều khung nhất trong khoảng.", "Hamlets that missed most slots in the range."),
              "missed_by_hamlet", special={"missed": bar_cells(BAD), "hamlet": {"links": hamlet_links(language)}},
              sort=("missed", True)),
        _verdicts(language),
        bars_of(language, 10, (12, 0, 6, 8), ("Vì sao không được tính", "Why tests do not count"),
                ("Lần đo không phải mẫu được tính, theo lý do.", "Tests that are no counted sample, by reason."),
                "not_counted", mappings=plain_words(REASONS, language)),
    ]  # fmt: skip
    return board(STEM, language, _ABOUT, panels, ("province", "commune"), bucket=False,
                 more=[(("Quy tắc kết luận", "Rules of verdicts"), "/rules")])  # fmt: skip
