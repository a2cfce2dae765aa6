"""Queries of the fleet board: which probe is ill, since when, why; and how the collector itself feels."""

from __future__ import annotations

from collector.catalogue.parts import Column, Query, grouped, of, select

_PLACE = ("province", "commune")
_TAGS = ("hamlet", "probe")
_NEWEST = "ORDER BY time DESC LIMIT 1"
_PROBE = (
    ('"silent"', Column("silent", "word", "Liên lạc", "Contact", maybe=True)),
    ('"age_s"', Column("age_s", "s", "Bản ghi gần nhất", "Newest record", maybe=True)),
    ('"spool_records"', Column("spool_records", "1", "Chờ gửi", "Spool", maybe=True)),
    ('"missing"', Column("missing", "1", "Thiếu", "Missing", maybe=True)),
    ('"clock_trusted"', Column("clock_trusted", "word", "Đồng hồ", "Clock", maybe=True)),
    ('"clock_err_ms"', Column("clock_err_ms", "ms", "Sai số", "Error", maybe=True)),
    ('"temp_c_x10" / 10.0 AS "temp"', Column("temp", "°C", "Nhiệt độ", "Temperature", maybe=True)),
    ('"undervoltage"', Column("undervoltage", "word", "Điện áp", "Supply", maybe=True)),
    ('"resets"', Column("resets", "1", "Khôi phục modem/24 h", "Modem resets/24 h")),
    ('"rung"', Column("rung", "word", "Bậc gần nhất", "Last rung")),
    ('"used_bytes" / 1000000000.0 AS "used"', Column("used", "GB", "Dữ liệu đã dùng", "Data used", maybe=True)),
    (
        '100.0 * "used_bytes" / "limit_bytes" AS "budget"',
        Column("budget", "%", "so với hạn mức", "of the cap", maybe=True),
    ),
    ('"cert_days"', Column("cert_days", "days", "Chứng thư còn (ngày)", "Certificate (days)", maybe=True)),
    ('"fw"', Column("fw", "word", "Phiên bản", "Version", maybe=True)),
)


def _fleet() -> Query:
    text = select([part for part, _ in _PROBE], "fleet", of(*_PLACE), f"{grouped(*_TAGS)} {_NEWEST}")
    columns = tuple(column for _, column in _PROBE)
    return Query("fleet", text, "table", columns, "Mỗi trạm một dòng, lúc mới nhất", "One row a probe, newest", _TAGS)


def _counts() -> Query:
    """How many probes there are, and how many have each trouble, by the newest value of each."""
    troubles = (
        Column("silent", "1", "Im lặng", "Silent"),
        Column("clock_untrusted", "1", "Đồng hồ chưa tin cậy", "Clock not trusted"),
        Column("undervoltage", "1", "Sụt áp", "Undervoltage"),
        Column("was_reset", "1", "Modem khởi động lại (24 h)", "Modem restarted (24 h)"),
        Column("near_cap", "1", "SIM từ 90 % hạn mức", "SIM at 90 % of the cap"),
        Column("cert_soon", "1", "Chứng thư dưới 30 ngày", "Certificate under 30 days"),
    )
    inner = select([f'last("{c.name}") AS "{c.name}"' for c in troubles], "fleet", of(*_PLACE), grouped("probe"))
    parts = ", ".join(f'sum("{c.name}") AS "{c.name}"' for c in troubles)
    text = f'SELECT count("was_reset") AS "probes", {parts} FROM ({inner}) WHERE $timeFilter'  # noqa: S608
    probes = Column("probes", "1", "Trạm trong sổ đăng ký", "Probes in the register")
    words = ("Bao nhiêu trạm có từng vấn đề", "How many probes have each trouble")
    return Query("fleet_troubles", text, "time_series", (probes, *troubles), *words)


def _silent() -> Query:
    """Probes that are silent now, by their newest minute: the tile that turns within five minutes."""
    inner = select(
        ['last("silent") AS "silent"', 'last("age_s") AS "age_s"'], "probe_state", of(*_PLACE), grouped(*_TAGS)
    )
    text = f'SELECT "silent", "age_s" FROM ({inner}) WHERE $timeFilter AND "silent" = 1 {grouped(*_TAGS)}'  # noqa: S608
    columns = (
        Column("silent", "word", "Liên lạc", "Contact"),
        Column("age_s", "s", "Bản ghi gần nhất", "Newest record"),
    )
    return Query(
        "silent_probes", text, "table", columns, "Trạm im lặng lúc này", "Probes silent now", _TAGS, optional=True
    )


def _over_time() -> tuple[Query, ...]:
    text = select(
        ['max("silent") AS "silent"', 'max("probes") AS "probes"'],
        "system",
        "$timeFilter",
        "GROUP BY time($__interval) fill(null)",
    )
    columns = (
        Column("silent", "1", "Im lặng", "Silent"),
        Column("probes", "1", "Đang hoạt động", "Active"),
    )
    temp = select(
        ['max("temp_c_x10") / 10.0 AS "temp"', 'max("spool_records") AS "spool"'],
        "fleet",
        of(*_PLACE),
        "GROUP BY time(1h) fill(null) tz('Asia/Ho_Chi_Minh')",
    )
    hot = (
        Column("temp", "°C", "Nhiệt độ cao nhất", "Highest temperature"),
        Column("spool", "1", "Chờ gửi nhiều nhất", "Deepest spool"),
    )
    return (
        Query("system_probes", text, "time_series", columns, "Trạm im lặng theo thời gian", "Silent probes over time"),
        Query("fleet_worst", temp, "time_series", hot, "Trạm nóng nhất, trạm chờ gửi nhiều nhất", "Hottest, deepest"),
    )


def _system() -> Query:
    fields = (
        ('last("receiving")', Column("receiving", "word", "Nhận bản ghi", "Receiving")),
        ('last("commit_age_s")', Column("commit_age_s", "s", "Ghi sổ cách đây", "Last commit", maybe=True)),
        ('last("lag")', Column("lag", "1", "Chưa vào InfluxDB", "Not yet in InfluxDB")),
        ('last("parked")', Column("parked", "1", "Điểm bị từ chối", "Parked points")),
        ('last("sealing")', Column("sealing", "word", "Niêm phong", "Sealing", maybe=True)),
        ('last("seal_age_s")', Column("seal_age_s", "s", "Ký cách đây", "Last signed", maybe=True)),
        ('last("seal_size")', Column("seal_size", "1", "Số lá đã niêm phong", "Leaves sealed", maybe=True)),
    )
    parts = [f'{part} AS "{column.name}"' for part, column in fields]
    text = select(parts, "system", "$timeFilter")
    columns = tuple(column for _, column in fields)
    return Query("system", text, "time_series", columns, "Bộ thu lúc này", "The collector now")


def _events() -> Query:
    text = select(['"event"', '"hamlet"', '"probe"'], "probe_state", of(*_PLACE), "ORDER BY time DESC LIMIT 30")
    text = text.replace(" ORDER", " AND \"event\" != '' ORDER")
    columns = (
        Column("event", "word", "Sự kiện", "Event"),
        Column("hamlet", "word", "Mã thôn, xóm", "Hamlet code"),
        Column("probe", "word", "Trạm đo", "Probe"),
    )
    return Query("events", text, "table", columns, "30 sự kiện gần nhất", "The last 30 events", optional=True)


ALL: tuple[Query, ...] = (_fleet(), _counts(), _silent(), *_over_time(), _system(), _events())
