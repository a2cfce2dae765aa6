# ruff: noqa: E501 (one measure, one line: a table is read down its columns)
"""One table of every figure that boards need and no record carries: measurement, field, unit, type, meaning, source.

The collector derives these of ledger, registry and its own state, and writes them beside the records' points, in the
form of `wire.metrics`: codes as tags, integers and words as fields, None left out. Nothing here is evidence. Pure.
`fleet`, `quota`: one point an hour, written anew until it is over; `system`, `probe_state`: one a minute; `*_1d`: one a
local day. Source: facts note 06 §2.1 (silence must be a series), §4; design §7.
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
    ("probe_state", "online", "", "word of the retained status topic: online", "trạng thái: trực tuyến", "MQTT last will", "bool"),
    ("probe_state", "age_s", "s", "age of the newest record", "tuổi bản ghi mới nhất", "ledger", "int"),
    ("probe_state", "upto", "1", "acknowledged head of the chain", "đầu chuỗi đã xác nhận", "ledger", "int"),
    ("probe_state", "silent", "", "silent: offline for 2 minutes, or no record for 3 hours", "im lặng: mất kết nối 2 phút, hoặc 3 giờ không có bản ghi", "ours", "bool"),
    ("fleet", "heard", "", "has ever sent a record", "đã từng gửi bản ghi", "ledger", "bool"),
    ("fleet", "age_s", "s", "age of the newest record", "tuổi bản ghi mới nhất", "ledger", "int"),
    ("fleet", "silent", "", "silent, as in probe_state", "im lặng, như probe_state", "ours", "bool"),
    ("fleet", "missing", "1", "records between the acknowledged head and the highest held", "bản ghi còn thiếu trong chuỗi", "ledger", "int"),
    ("fleet", "spool_records", "1", "records that wait at the probe", "bản ghi chờ gửi tại trạm", "newest test", "int"),
    ("fleet", "clock_trusted", "", "clock trusted", "đồng hồ tin cậy", "newest test", "bool"),
    ("fleet", "clock_err_ms", "ms", "error of the clock", "sai số đồng hồ", "adjtimex(2)", "int"),
    ("fleet", "temp_c_x10", "degC/10", "temperature of the Pi", "nhiệt độ Pi", "sysfs", "int"),
    ("fleet", "undervoltage", "", "undervoltage, now or since the start", "sụt áp, lúc này hoặc từ khi khởi động", "vcgencmd get_throttled, bits 0 and 16", "bool"),
    ("fleet", "resets", "1", "restarts of the modem in 24 hours", "số lần khởi động lại modem trong 24 giờ", "events", "int"),
    ("fleet", "rung", "", "last rung of the recovery ladder in 24 hours", "bậc khôi phục gần nhất trong 24 giờ", "events", "word"),
    ("fleet", "used_bytes", "B", "data used in the billing period", "dữ liệu đã dùng trong kỳ", "newest test", "int"),
    ("fleet", "limit_bytes", "B", "data limit of the period", "hạn mức dữ liệu trong kỳ", "config", "int"),
    ("fleet", "cert_days", "days", "days until the certificate ends", "số ngày còn lại của chứng thư", "registry", "int"),
    ("fleet", "near_cap", "", "data used reaches 90 % of the limit", "dữ liệu đã dùng từ 90 % hạn mức", "ours", "bool"),
    ("fleet", "cert_soon", "", "certificate ends within 30 days", "chứng thư còn dưới 30 ngày", "ours", "bool"),
    ("fleet", "clock_untrusted", "", "clock not trusted", "đồng hồ chưa tin cậy", "newest test", "bool"),
    ("fleet", "was_reset", "", "the modem was restarted within 24 hours", "modem đã khởi động lại trong 24 giờ", "events", "bool"),
    ("fleet", "fw", "", "version of the probe's program", "phiên bản chương trình trạm", "newest test", "word"),
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


SILENT_OFFLINE_MS = 120_000
"""A probe whose last will was published is silent this long after: a restart or a change of cell is no silence."""
SILENT_RECORD_MS = 3 * 3_600_000
"""Coverage records come hourly: three of them missing is silence, whatever the status topic says."""


def is_silent(status: str | None, status_ms: int | None, received_ms: int | None, at_ms: int) -> bool | None:
    """Whether a probe is silent at a moment; None if it was never heard, for it may not stand anywhere yet.

    The retained word may be older than the newest record: the record is the better witness.
    """
    if received_ms is None:
        return None
    left = status == "offline" and (status_ms or 0) >= received_ms and at_ms - (status_ms or 0) >= SILENT_OFFLINE_MS
    return left or at_ms - received_ms >= SILENT_RECORD_MS


def words_of(counts: Mapping[tuple[str, str], int], limit: int = 2_000) -> Iterator[tuple[str, str, int]]:
    """What, word as a tag's code (a rule's dots become hyphens), number; the most frequent ones."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:limit]
    yield from ((what, word.replace(".", "-"), number) for (what, word), number in ordered)
