"""Queries of the fleet board: which probe is ill, since when, why; and how the collector itself feels.

From `probe_state`, which `forward` writes twice a minute for every probe, heard or not: what a probe does not say is
seen, which no GROUP BY over its own records could show. Panels of these look at the last day, whatever the range.
"""

from __future__ import annotations

from collector.catalogue.parts import Column, Query, grouped, of, select

_PLACE = ("province", "commune")
_TAGS = ("hamlet", "probe")
_PROBE = (
    ("word", "", Column("word", "word", "Tình trạng", "State")),
    ("since_s", "", Column("since_s", "s", "Từ (giờ:phút:giây)", "For (h:m:s)", maybe=True)),
    ("age_s", "", Column("age_s", "s", "Bản ghi gần nhất", "Newest record", maybe=True)),
    ("spool_records", "", Column("spool_records", "1", "Chờ gửi", "Spool", maybe=True)),
    ("missing", "", Column("missing", "1", "Thiếu", "Missing", maybe=True)),
    ("clock_trusted", "", Column("clock_trusted", "word", "Đồng hồ", "Clock", maybe=True)),
    ("cpu_temp_c_x10", " / 10.0", Column("temp", "°C", "Nhiệt độ", "Temperature", maybe=True)),
    ("undervoltage", "", Column("undervoltage", "word", "Điện áp", "Supply", maybe=True)),
    ("recoveries", "", Column("recoveries", "1", "Khôi phục modem", "Modem resets")),
    ("rung", "", Column("rung", "word", "Bậc gần nhất", "Last rung", maybe=True)),
    ("data_used_bytes", " / 1000000000.0", Column("used", "GB", "Dữ liệu đã dùng", "Data used", maybe=True)),
    ("data_used_ppm", " / 10000.0", Column("budget", "%", "so với hạn mức", "of the cap", maybe=True)),
    ("cert_days", "", Column("cert_days", "days", "Chứng thư còn (ngày)", "Certificate (days)", maybe=True)),
    ("fw", "", Column("fw", "word", "Phiên bản", "Version", maybe=True)),
)


def _last(field: str, rest: str, name: str) -> str:
    return f'last("{field}"){rest} AS "{name}"'


_HERE = _last("here", "", "here")
"""A probe that was moved leaves `here` 0 where it stood: there it is counted no more."""


def _fleet() -> Query:
    parts = [_last(field, rest, column.name) for field, rest, column in _PROBE]
    inner = select([*parts, _HERE], "probe_state", of(*_PLACE), grouped(*_TAGS))
    named = ", ".join(f'"{column.name}"' for _, _, column in _PROBE)
    text = f'SELECT {named} FROM ({inner}) WHERE $timeFilter AND "here" = 1 {grouped(*_TAGS)}'  # noqa: S608
    columns = tuple(column for _, _, column in _PROBE)
    return Query("fleet", text, "table", columns, "Mỗi trạm một dòng, lúc mới nhất", "One row a probe, newest", _TAGS)


def _counts() -> tuple[Query, ...]:
    """How many probes there are, and how many have each trouble, by the newest value of each."""
    place, probe = of(*_PLACE), grouped("probe")
    sums = (
        Column("silent", "1", "Im lặng", "Silent"),
        Column("ill", "1", "Có vấn đề (kể cả im lặng)", "With a trouble (silent ones too)"),
        Column("undervoltage", "1", "Sụt áp", "Undervoltage", maybe=True),
    )
    inner = select([*(_last(c.name, "", c.name) for c in sums), _HERE], "probe_state", place, probe)
    parts = ", ".join(f'sum("{c.name}") AS "{c.name}"' for c in sums)
    text = f'SELECT count("ill") AS "probes", {parts} FROM ({inner}) WHERE $timeFilter AND "here" = 1'  # noqa: S608
    probes = Column("probes", "1", "Trạm trong sổ đăng ký", "Probes in the register")
    words = ("Bao nhiêu trạm có từng vấn đề", "How many probes have each trouble")
    made = [Query("fleet_troubles", text, "time_series", (probes, *sums), *words)]
    limits = (
        ("fleet_clock", "clock_trusted", '"v" = 0', "clock", "Đồng hồ chưa tin cậy", "Clock not trusted"),
        ("fleet_resets", "recoveries", '"v" > 0', "resets", "Có khôi phục modem", "With modem resets"),
        ("fleet_budget", "data_used_ppm", '"v" >= 900000', "cap", "SIM từ 90 % hạn mức", "SIM at 90 % of the cap"),
        (
            "fleet_certificates",
            "cert_days",
            '"v" < 30',
            "certificate",
            "Chứng thư dưới 30 ngày",
            "Certificate < 30 days",
        ),
    )
    for name, field, test, alias, vi, en in limits:
        inner = select([_last(field, "", "v"), _HERE], "probe_state", place, probe)
        text = f'SELECT count("v") AS "{alias}" FROM ({inner}) WHERE $timeFilter AND "here" = 1 AND {test}'  # noqa: S608
        made.append(Query(name, text, "time_series", (Column(alias, "1", vi, en),), vi, en, optional=True))
    return tuple(made)


def _silent() -> Query:
    """Probes that are silent now, by their newest point: the tile that turns within five minutes."""
    parts = [_last("silent", "", "silent"), _last("since_s", "", "since_s"), _last("cause", "", "cause")]
    inner = select(parts, "probe_state", of(*_PLACE), grouped(*_TAGS))
    text = f'SELECT "silent", "since_s", "cause" FROM ({inner}) WHERE $timeFilter AND "silent" = 1 {grouped(*_TAGS)}'  # noqa: S608
    columns = (
        Column("silent", "word", "Liên lạc", "Contact"),
        Column("since_s", "s", "Đã im (giờ:phút:giây)", "Silent for (h:m:s)", maybe=True),
        Column("cause", "word", "Vì sao", "Why"),
    )
    words = ("Trạm im lặng lúc này", "Probes silent now")
    return Query("silent_probes", text, "table", columns, *words, _TAGS, optional=True)


def _over_time() -> tuple[Query, ...]:
    parts = [f'max("{name}") AS "{name}"' for name in ("silent", "probes")]
    text = select(parts, "system", "$timeFilter", "GROUP BY time($__interval) fill(null)")
    columns = (
        Column("silent", "1", "Im lặng", "Silent"),
        Column("probes", "1", "Đang hoạt động", "Active"),
    )
    worst = [f'max("{field}"){rest} AS "{c.name}"' for field, rest, c in _PROBE if c.name in {"temp", "spool_records"}]
    day = "GROUP BY time(1h) fill(null) tz('Asia/Ho_Chi_Minh')"
    hot = (
        Column("spool_records", "1", "Chờ gửi nhiều nhất", "Deepest spool"),
        Column("temp", "°C", "Nhiệt độ cao nhất", "Highest temperature", maybe=True),
    )
    silent_words = ("Trạm im lặng theo thời gian", "Silent probes over time")
    hot_words = ("Trạm nóng nhất, trạm chờ gửi nhiều nhất", "Hottest probe, deepest spool")
    return (
        Query("system_probes", text, "time_series", columns, *silent_words),
        Query("fleet_worst", select(worst, "fleet_1h", of(*_PLACE), day), "time_series", hot, *hot_words),
    )


def _system() -> Query:
    columns = (
        Column("receiving", "word", "Nhận bản ghi", "Receiving"),
        Column("commit_age_s", "s", "Ghi sổ cách đây", "Last commit", maybe=True),
        Column("lag", "1", "Chưa vào InfluxDB", "Not yet in InfluxDB"),
        Column("parked", "1", "Điểm bị từ chối", "Parked points"),
        Column("sealing", "word", "Niêm phong", "Sealing", maybe=True),
        Column("seal_age_s", "s", "Ký cách đây", "Last signed", maybe=True),
        Column("seal_size", "1", "Số lá đã niêm phong", "Leaves sealed", maybe=True),
    )
    text = select([_last(c.name, "", c.name) for c in columns], "system", "$timeFilter")
    return Query("system", text, "time_series", columns, "Bộ thu lúc này", "The collector now")


def _events() -> Query:
    where = of(*_PLACE) + " AND \"event\" != ''"
    text = select(['"event"', '"hamlet"', '"probe"'], "probe_state", where, "ORDER BY time DESC LIMIT 30")
    columns = (
        Column("event", "word", "Sự kiện", "Event"),
        Column("hamlet", "word", "Mã thôn, xóm", "Hamlet code"),
        Column("probe", "word", "Trạm đo", "Probe"),
    )
    return Query("events", text, "table", columns, "30 sự kiện gần nhất", "The last 30 events", optional=True)


ALL: tuple[Query, ...] = (_fleet(), *_counts(), _silent(), *_over_time(), _system(), _events())
