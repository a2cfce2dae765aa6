# ruff: noqa: E501 (one metric, one line: a table is read down its columns)
"""One table of every figure that leaves a record for a board: name, unit, type, range, meaning, source.

Type and range are read from `wire.records`, where they are enforced; here stand unit, meaning (English and
Vietnamese) and source. SPEC.md, InfluxDB fields, boards, pages and exports are built from this table or checked
against it. A metric's name is the path of its field in the record, joined by `_`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

import msgspec

from wire.records import KINDS, Record

Unit = Literal["bit/s", "B", "us", "ms", "ppm", "dBm/10", "dB/10", "degC/10", "1e-7 deg", "mm", "m", "1", "1/100", ""]


@dataclass(frozen=True, slots=True)
class Metric:
    """One row. `path` leads to the field in the record; `low`, `high` are None for booleans and words."""

    kind: str
    path: tuple[str, ...]
    unit: Unit
    en: str
    vi: str
    source: str
    type: Literal["int", "bool", "word"] = "int"
    low: int | None = None
    high: int | None = None

    @property
    def name(self) -> str:
        """Field name in InfluxDB, exports and the query catalogue."""
        return "_".join(self.path)

    def value(self, record: Record) -> int | bool | str | None:
        """Read this metric from a record; None if it, or the group around it, is unknown."""
        here: Any = record
        for step in self.path:
            here = getattr(here, step)
            if here is None:
                return None
        result: int | bool | str = here
        return result


_Row = tuple[str, Unit, str, str, str]
_TEST: tuple[_Row, ...] = (
    ("outcome", "", "outcome of the run", "kết quả lần đo", "design §4"),
    ("stage", "", "stage where it stopped", "giai đoạn dừng", "SPEC"),
    ("cause", "", "cause", "nguyên nhân", "SPEC"),
    ("downlink_bps", "bit/s", "mean downlink data rate", "tốc độ tải xuống", "ETSI TS 102 250-2; QCVN 81 §2.1.5"),
    ("uplink_bps", "bit/s", "mean uplink data rate", "tốc độ tải lên", "ETSI TS 102 250-2; QCVN 81 §2.1.5"),
    ("downlink_bytes", "B", "payload received", "dữ liệu nhận", "engine"),
    ("uplink_bytes", "B", "payload sent and received there", "dữ liệu gửi", "engine"),
    ("downlink_us", "us", "measured downlink window", "thời gian đo tải xuống", "engine"),
    ("uplink_us", "us", "measured uplink window", "thời gian đo tải lên", "engine"),
    ("engine_downlink_bps", "bit/s", "downlink rate as the engine's library says", "tốc độ tải xuống theo engine", "speedtest-cli"),
    ("engine_uplink_bps", "bit/s", "uplink rate as the engine's library says", "tốc độ tải lên theo engine", "speedtest-cli"),
    ("rtt_us_min", "us", "round-trip delay, minimum", "độ trễ nhỏ nhất", "RFC 2681"),
    ("rtt_us_median", "us", "round-trip delay, median", "độ trễ (trung vị)", "RFC 2681"),
    ("rtt_us_p95", "us", "round-trip delay, 95th percentile", "độ trễ (phân vị 95)", "RFC 2681"),
    ("rtt_sent", "1", "echoes sent", "số gói thử gửi", "RFC 6673"),
    ("rtt_received", "1", "echoes answered", "số gói thử nhận", "RFC 6673"),
    ("loss_ppm", "ppm", "round-trip loss", "tỷ lệ mất gói", "RFC 6673"),
    ("pdv_us_p95", "us", "packet delay variation, 95th percentile above the minimum", "biến thiên trễ", "RFC 5481 §4.2"),
    ("rtt_loaded_downlink_us_median", "us", "delay during the downlink test", "độ trễ khi tải xuống", "RFC 2681"),
    ("rtt_loaded_uplink_us_median", "us", "delay during the uplink test", "độ trễ khi tải lên", "RFC 2681"),
    ("dns_us", "us", "name resolution time", "thời gian phân giải tên", "RFC 1035"),
    ("connect_us", "us", "TCP connection time", "thời gian kết nối TCP", "RFC 9293"),
    ("first_byte_us", "us", "time to first byte", "thời gian đến byte đầu", "QCVN 81 §2.1.3 (access delay)"),
    ("duration_ms", "ms", "length of the run", "thời lượng lần đo", "ours"),
    ("path.verdict", "", "proof of path", "kiểm chứng đường truyền", "kernel counters"),
    ("path.rx_bytes", "B", "received by the modem's link", "nhận qua modem", "kernel counters"),
    ("path.tx_bytes", "B", "sent by the modem's link", "gửi qua modem", "kernel counters"),
    ("path.other_rx_bytes", "B", "received by other links", "nhận qua đường khác", "kernel counters"),
    ("path.other_tx_bytes", "B", "sent by other links", "gửi qua đường khác", "kernel counters"),
    ("radio.before.rsrp_dbm_x10", "dBm/10", "RSRP before the test", "RSRP trước khi đo", "3GPP TS 36.214 §5.1.1"),
    ("radio.before.rsrq_db_x10", "dB/10", "RSRQ before the test", "RSRQ trước khi đo", "3GPP TS 36.214 §5.1.3"),
    ("radio.before.sinr_db_x10", "dB/10", "SINR before the test", "SINR trước khi đo", "modem"),
    ("radio.before.rssi_dbm_x10", "dBm/10", "RSSI before the test", "RSSI trước khi đo", "3GPP TS 27.007 §8.5"),
    ("radio.before.eci", "1", "serving cell", "ô phục vụ", "3GPP TS 23.003 §19.6"),
    ("radio.before.band", "1", "band", "băng tần", "3GPP TS 36.101 §5.5"),
    ("radio.before.temp_c_x10", "degC/10", "modem temperature", "nhiệt độ modem", "modem"),
    ("radio.during.rsrp_dbm_x10_median", "dBm/10", "RSRP during the test, median", "RSRP khi đo (trung vị)", "3GPP TS 36.214 §5.1.1"),
    ("radio.during.rsrq_db_x10_median", "dB/10", "RSRQ during the test, median", "RSRQ khi đo (trung vị)", "3GPP TS 36.214 §5.1.3"),
    ("radio.during.sinr_db_x10_median", "dB/10", "SINR during the test, median", "SINR khi đo (trung vị)", "modem"),
    ("position.source", "", "source of the position", "nguồn vị trí", "design §5"),
    ("position.lat_e7", "1e-7 deg", "latitude, WGS 84", "vĩ độ", "gpsd TPV"),
    ("position.lon_e7", "1e-7 deg", "longitude, WGS 84", "kinh độ", "gpsd TPV"),
    ("position.eph_mm", "mm", "horizontal error", "sai số ngang", "gpsd TPV"),
    ("position.surveyed_offset_m", "m", "distance from the surveyed position", "lệch so với vị trí khảo sát", "design §5"),
    ("host.cpu_temp_c_x10", "degC/10", "temperature of the Pi", "nhiệt độ Pi", "sysfs"),
    ("host.throttled_bits", "1", "undervoltage and throttling bits", "cờ sụt áp", "vcgencmd get_throttled"),
    ("host.mem_available_bytes", "B", "memory available", "bộ nhớ còn", "/proc/meminfo"),
    ("host.disk_free_bytes", "B", "disk free", "đĩa còn trống", "statvfs"),
    ("host.test_cpu_ppm", "ppm", "share of one core used by the test", "CPU khi đo", "getrusage"),
    ("host.spool_records", "1", "records not yet acknowledged", "bản ghi chờ gửi", "spool"),
    ("budget.used_bytes", "B", "data used in the billing period", "dữ liệu đã dùng", "kernel counters"),
    ("budget.limit_bytes", "B", "data limit of the period", "hạn mức dữ liệu", "config"),
    ("t_err_ms", "ms", "error of the clock", "sai số đồng hồ", "adjtimex(2)"),
    ("simulated", "", "made by the simulator", "mô phỏng", "ours"),
)  # fmt: skip
_COVERAGE: tuple[_Row, ...] = (
    ("echo_sent", "1", "echoes sent", "số gói thử gửi", "RFC 6673"),
    ("echo_received", "1", "echoes answered", "số gói thử nhận", "RFC 6673"),
    ("echo_rtt_us_median", "us", "round-trip delay, median", "độ trễ (trung vị)", "RFC 2681"),
    ("offline_ms", "ms", "time without service", "thời gian mất dịch vụ", "design §4"),
    ("longest_gap_ms", "ms", "longest time without service", "lần mất dịch vụ dài nhất", "design §4"),
    ("rx_bytes", "B", "received by the modem's link", "nhận qua modem", "kernel counters"),
    ("tx_bytes", "B", "sent by the modem's link", "gửi qua modem", "kernel counters"),
    ("simulated", "", "made by the simulator", "mô phỏng", "ours"),
)  # fmt: skip


def _field(shape: Any, path: tuple[str, ...]) -> Any:
    """Follow `path` through msgspec's description of a struct to the type of its last field, None left out."""
    found: Any = shape
    for step in path:
        found = next(f.type for f in found.fields if f.name == step)
        if isinstance(found, msgspec.inspect.UnionType):
            found = next(t for t in found.types if not isinstance(t, msgspec.inspect.NoneType))
    return found


def _rows(kind: str, rows: tuple[_Row, ...]) -> Iterator[Metric]:
    shape = msgspec.inspect.type_info(KINDS[kind])
    for dotted, unit, en, vi, source in rows:
        path = tuple(dotted.split("."))
        field = _field(shape, path)
        if isinstance(field, msgspec.inspect.IntType):
            yield Metric(kind, path, unit, en, vi, source, "int", field.ge, field.le)
        elif isinstance(field, msgspec.inspect.BoolType):
            yield Metric(kind, path, unit, en, vi, source, "bool")
        else:
            yield Metric(kind, path, unit, en, vi, source, "word")


@cache
def metrics(kind: str) -> tuple[Metric, ...]:
    """Return the rows of one record kind ("test" or "coverage"); empty for the others."""
    table = {"test": _TEST, "coverage": _COVERAGE}.get(kind)
    return tuple(_rows(kind, table)) if table else ()


METRICS: tuple[Metric, ...] = metrics("test") + metrics("coverage")
