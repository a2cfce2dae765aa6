"""Panels of the hamlet board that look back far: worst state of each hour with causes, why there was no coverage; and
the map of samples."""

from __future__ import annotations

from grafana.marks import operator_words, rate_bins
from grafana.panels import Json, column, fixed, legend, override, panel, plain_words, target, words
from grafana.pieces import bars_of, map_options
from grafana.words import CAUSES, NONE, WORST, Language, say


def hours(language: Language) -> Json:
    """The worst state of each hour, over any range."""
    cause = say(language, ("nguyên nhân", "cause"))
    why = [*plain_words(CAUSES, language), {"type": "value", "options": {"none": {"text": "", "index": 99}}}]
    return panel(
        "state-timeline", 32, say(language, ("Phủ sóng từng giờ và nguyên nhân", "Coverage by hour, with causes")),
        say(language, ("Mỗi ô là giờ xấu nhất đã biết trong ô, theo nhà mạng; chưa rõ chỉ hiện khi không biết gì khác.",
                       "Each cell is the worst known hour, by operator; unknown shows only where it stands alone.")),
        (0, 31, 24, 7), language=language, interval="1h",
        targets=[target("A", "coverage_hours", "$tag_hamlet $tag_plmn"),
                 target("B", "coverage_hours_cause", f"$tag_hamlet $tag_plmn {cause}")],
        options={"mergeValues": True, "showValue": "auto", "alignValue": "left", "rowHeight": 0.8,
                 "legend": legend(), "tooltip": {"mode": "single", "sort": "none"}},
        defaults={"custom": {"lineWidth": 0, "fillOpacity": 85},
                  "mappings": [*words(WORST, language), *why], "color": fixed(NONE), "unit": "none"},
    )  # fmt: skip


def samples_map(language: Language) -> Json:
    """Where the newest samples were taken, coloured by their rate."""
    about = ("Mỗi chấm là một mẫu được tính, ở vị trí trạm báo; trạm cố định nên các chấm trùng nhau là đúng.",
             "Each dot is a counted sample where the probe said it was; a fixed probe's dots coincide.")  # fmt: skip
    rate = column("places", "downlink", language, color={"mode": "thresholds"}, thresholds=rate_bins())
    rest = [column("places", name, language) for name in ("lat", "lon", "offset")]
    who = column("places", "plmn", language, mappings=operator_words(language))
    at = override("Time", displayName=say(language, ("Lúc", "At")), unit="time:DD/MM/YYYY HH:mm")
    return panel(
        "geomap", 33, say(language, ("Bản đồ mẫu đo", "Map of samples")), say(language, about), (12, 82, 12, 10),
        language=language, targets=[target("A", "places")], options=map_options(("A", "downlink")),
        defaults={"unit": "none", "color": fixed(NONE)}, overrides=[rate, *rest, who, at],
    )  # fmt: skip


def causes(language: Language) -> list[Json]:
    """Why there was no coverage, and why tests failed, in the range on view."""
    about = ("Trong khoảng đang xem.", "In the range on view.")
    gone = ("Vì sao mất sóng (bước)", "Why no coverage (steps)")
    failed = ("Vì sao đo không thành công", "Why tests failed")
    return [
        bars_of(language, 30, (0, 82, 6, 10), gone, about, "hamlet_gaps"),
        bars_of(language, 31, (6, 82, 6, 10), failed, about, "hamlet_failures"),
    ]
