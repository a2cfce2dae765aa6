# ruff: noqa: E501 (one measure, one line: a table is read down its columns)
"""One table of every figure that boards need and no record carries: measurement, field, unit, type, meaning, source.

The collector derives these of ledger, registry and its own state, and writes them beside the records' points, in the
form of `wire.metrics`: codes as tags, integers and words as fields, None left out. Nothing here is evidence. Pure.
`quota`: one point an hour, written anew until it is over; `system`: one a minute; `*_1d`: one a local day. How each
probe feels is `probe_state` (`collector.probe_watch`). Source: facts note 06 §2.1 (silence is a series), §4; design §7.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from collector.core.points import Field, line, series

Tag = tuple[str, str | None]


@dataclass(frozen=True, slots=True)
class Measure:
    """One field of a measurement of ours. `unit` as in `wire.metrics`; a bool is 0 or 1."""

    measurement: str
    name: str
    unit: str
    en: str
    vi: str
    source: str
    type: Literal["int", "bool", "word"] = "int"


_Kind = Literal["int", "bool", "word"]
_ROWS: tuple[tuple[str, str, str, str, str, str, _Kind], ...] = (
    ("quota", "name", "", "name of the unit", "tên đơn vị", "registry", "word"),
    ("quota", "minimum", "1", "samples that are asked in the period", "số mẫu phải đạt trong kỳ", "campaign", "int"),
    ("quota", "counted", "1", "the deciding counter, so far", "số đã đạt của bộ đếm quyết định", "ledger or entered", "int"),
    ("quota", "due_by_now", "1", "due by now at an even pace", "mức phải đạt đến lúc này nếu đều", "collector.core.quota", "int"),
    ("quota", "ahead", "1", "ahead of the even pace (behind: negative)", "vượt mức đều (chậm: số âm)", "collector.core.quota", "int"),
    ("quota", "behind", "", "behind the even pace", "chậm tiến độ đều", "collector.core.quota", "bool"),
    ("quota", "missing", "1", "still missing", "còn thiếu", "collector.core.quota", "int"),
    ("quota", "low", "1", "projection, lower end of 90 %", "dự báo, cận dưới 90 %", "collector.core.quota", "int"),
    ("quota", "middle", "1", "projection, middle", "dự báo, giữa", "collector.core.quota", "int"),
    ("quota", "high", "1", "projection, upper end of 90 %", "dự báo, cận trên 90 %", "collector.core.quota", "int"),
    ("quota", "outlook", "", "outlook in a word", "triển vọng", "collector.core.quota", "word"),
    ("slot_1d", "missed", "1", "slots without a record of them", "khung không có bản ghi", "judge", "int"),
    ("slot_1d", "power", "1", "of these, behind a power cut", "trong đó do mất điện", "judge", "int"),
    ("verdict_1d", "n", "1", "test records of a verdict, or suspect ones of a rule", "bản ghi đo theo kết luận, hoặc nghi vấn theo quy tắc", "judge", "int"),
    ("referral_1d", "tests", "1", "tests of a referral code", "lần đo của một mã giới thiệu", "records", "int"),
    ("referral_1d", "counted", "1", "of these, counted", "trong đó được tính", "records", "int"),
    ("referral_1d", "failed", "1", "of these, not ok", "trong đó không thành công", "records", "int"),
    ("fleet_1h", "spool_records", "1", "deepest spool of the hour", "hàng chờ dài nhất trong giờ", "records", "int"),
    ("fleet_1h", "cpu_temp_c_x10", "°C/10", "hottest probe of the hour", "trạm nóng nhất trong giờ", "records", "int"),
    ("refusal_1d", "n", "1", "messages or records refused at the door", "gói hoặc bản ghi bị từ chối khi nhận", "ledger", "int"),
    ("system", "lag", "1", "records that InfluxDB has not yet taken", "bản ghi chưa vào InfluxDB", "forward", "int"),
    ("system", "parked", "1", "points that InfluxDB refuses for ever", "điểm bị InfluxDB từ chối hẳn", "forward", "int"),
    ("system", "receiving", "", "receive is alive and connected to the broker", "receive đang chạy và nối với máy chủ MQTT", "receive", "bool"),
    ("system", "commit_age_s", "s", "time since the ledger's last commit", "thời gian từ lần ghi sổ gần nhất", "receive", "int"),
    ("system", "sealing", "", "the sealer is alive and says no fault", "chương trình niêm phong đang chạy, không báo lỗi", "seal", "bool"),
    ("system", "seal_age_s", "s", "time since the log was last signed", "thời gian từ lần ký nhật ký gần nhất", "seal", "int"),
    ("system", "seal_size", "1", "leaves under the last checkpoint", "số lá dưới dấu niêm phong gần nhất", "seal", "int"),
    ("system", "silent", "1", "silent probes", "trạm im lặng", "ours", "int"),
    ("system", "probes", "1", "active probes", "trạm đang hoạt động", "registry", "int"),
)  # fmt: skip
MEASURES: tuple[Measure, ...] = tuple(
    Measure(m, name, unit, en, vi, source, kind) for m, name, unit, en, vi, source, kind in _ROWS
)
_NAMES = {(measure.measurement, measure.name) for measure in MEASURES}


def measure_line(measurement: str, tags: tuple[Tag, ...], fields: Mapping[str, Field], at_ms: int) -> str:
    """One point of a measurement of the table; "" if no field has a value. Raises KeyError for a field not in it."""
    for name in fields:
        if (measurement, name) not in _NAMES:
            raise KeyError(f"{measurement}.{name} is not in collector/core/measures.py")
    return line(series(measurement, tags), fields, at_ms * 1_000_000)


def words_of(counts: Mapping[tuple[str, str], int], limit: int = 2_000) -> Iterator[tuple[str, str, int]]:
    """What, word as a tag's code (a rule's dots become hyphens), number; the most frequent ones."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
    yield from ((what, word.replace(".", "-"), number) for (what, word), number in ordered)
