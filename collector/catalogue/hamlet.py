# ruff: noqa: S608 (queries are built from constants of this file; values enter by `bind` or by Grafana)
"""Queries of the hamlet board: is 4G usable here, when, and with whom? From single tests and steps, and their hours."""

from __future__ import annotations

from collector.catalogue.parts import FEW, MBIT, MEAN, MEDIAN, MILLI, REGISTER_WINDOW, TZ, Column, N, Query, Unit

_PLACE = '"province" =~ /^$province$/ AND "commune" =~ /^$commune$/ AND "hamlet" =~ /^$hamlet$/'
_WHERE = f'$timeFilter AND {_PLACE} AND "plmn" =~ /^$plmn$/'
_COUNTED = f'{_WHERE} AND "counted" = 1'
_BUCKET = f"GROUP BY time($bucket) fill(null) {TZ}"


def _enough(inner: str, columns: str, source: str) -> str:
    """Answer only where n reaches the minimum; the outer time filter keeps the row inside the range."""
    return f'SELECT {columns} FROM (SELECT {inner} FROM {source}) WHERE $timeFilter AND "n" >= $n_min'


def _figure(name: str, field: str, divisor: str, unit: Unit, vi: str, en: str) -> tuple[Query, Query]:
    """Median, mean and n of one field over counted samples, and the row that stands for it below n_min."""
    source = f'"test" WHERE {_COUNTED}'
    inner = f'percentile("{field}", 50) / {divisor} AS "median", mean("{field}") / {divisor} AS "mean", '
    count = f'count("{field}") AS "n"'
    columns = (Column("median", unit, *MEDIAN), Column("mean", unit, *MEAN), N)
    enough = _enough(inner + count, '"median", "mean", "n"', source)
    return (Query(name, enough, "time_series", columns, vi, en, otherwise=f"{name}_few"), _few(name, count, source))


def _few(name: str, count: str, source: str) -> Query:
    text = f'SELECT "n" AS "few", "n" FROM (SELECT {count} FROM {source}) WHERE $timeFilter AND "n" < $n_min'
    vi, en = "dưới n tối thiểu: không đánh giá", "below the minimum n: no assessment"
    return Query(f"{name}_few", text, "time_series", (FEW, N), vi, en, optional=True)


def _loss() -> tuple[Query, Query]:
    source = f'"test" WHERE {_COUNTED}'
    count = 'count("loss_ppm") AS "n"'
    inner = f'percentile("loss_ppm", 50) / 10000.0 AS "median", mean("loss_ppm") / 10000.0 AS "mean", {count}'
    columns = (Column("mean", "%", *MEAN), Column("median", "%", *MEDIAN), N)
    text = _enough(inner, '"mean", "median", "n"', source)
    vi, en = "Mất gói khứ hồi trên mẫu được tính", "Round-trip loss over counted samples"
    return Query("loss", text, "time_series", columns, vi, en, otherwise="loss_few"), _few("loss", count, source)


def _success() -> tuple[Query, Query]:
    source = f'"test" WHERE {_WHERE} AND "skipped" = 0'
    count = 'count("ok") AS "n"'
    text = _enough(f'100.0 * sum("ok") / count("ok") AS "share", {count}', '"share", "n"', source)
    columns = (Column("share", "%", "Lần đo thành công", "Tests that succeeded"), N)
    vi, en = "Lần đo thành công trên các lần đã đo (không kể bỏ qua)", "Tests that succeeded of those that ran"
    query = Query("success", text, "time_series", columns, vi, en, otherwise="success_few")
    return query, _few("success", count, source)


def _covered() -> Query:
    """Covered share of the steps that are known; all-unknown gives no row, never 0 %."""
    known = '("c" + "d" + "s")'
    inner = 'sum("covered") AS "c", sum("degraded") AS "d", sum("no_service") AS "s", sum("unknown") AS "u"'
    text = (
        f'SELECT 100.0 * "c" / {known} AS "covered", {known} AS "n_steps", "u" AS "unknown" '
        f'FROM (SELECT {inner} FROM "test_1h" WHERE {_WHERE}) WHERE $timeFilter AND {known} > 0'
    )
    columns = (
        Column("covered", "%", "Có sóng", "Covered"),
        Column("n_steps", "1", "n bước đã biết", "n known steps"),
        Column("unknown", "1", "Bước chưa rõ", "Unknown steps"),
    )
    vi, en = "Tỷ lệ bước có sóng trên các bước đã biết", "Share of known steps that were covered"
    return Query("covered", text, "time_series", columns, vi, en, optional=True)


def _band(name: str, field: str, vi: str, en: str) -> Query:
    mbit = "1000000.0"
    parts = [f'percentile("{field}", {p}) / {mbit} AS "p{p}"' for p in (5, 50, 95)]
    text = f'SELECT {", ".join(parts)}, count("{field}") AS "n" FROM "test" WHERE {_COUNTED} {_BUCKET}'
    columns = (
        Column("p5", "Mbit/s", "Phân vị 5 (từ n = 10)", "5th percentile (from n = 10)", maybe=True),
        Column("p50", "Mbit/s", "Trung vị", "Median"),
        Column("p95", "Mbit/s", "Phân vị 95", "95th percentile"),
        N,
    )
    return Query(name, text, "time_series", columns, vi, en)


def _scatter(name: str, field: str, unit: Unit, word: str) -> tuple[Query, Query]:
    both = f'{_COUNTED} AND "downlink_bps" > 0 AND "{field}" < 1000'
    text = (
        f'SELECT "{field}" / 10.0 AS "{word}", "downlink_bps" / 1000000.0 AS "downlink" FROM "test" '
        f"WHERE {both} ORDER BY time DESC LIMIT 2000"
    )
    number = f'SELECT count("downlink_bps") AS "n" FROM "test" WHERE {both}'
    columns = (
        Column(word, unit, word.upper(), word.upper()),
        Column("downlink", "Mbit/s", "Tải xuống", "Downlink"),
    )
    upper = word.upper()
    vi, en = f"{upper} và tốc độ tải xuống", f"{upper} and downlink rate"
    n_vi, n_en = f"Số mẫu được tính có {upper}", f"Counted samples with {upper}"
    return (
        Query(name, text, "table", columns, vi, en),
        Query(f"{name}_n", number, "time_series", (N,), n_vi, n_en),
    )


_LATEST = (
    Column("outcome", "word", "Kết quả", "Outcome"),
    Column("stage", "word", "Dừng ở", "Stopped at", maybe=True),
    Column("cause", "word", "Nguyên nhân", "Cause", maybe=True),
    Column("downlink", "Mbit/s", "Tải xuống", "Downlink"),
    Column("uplink", "Mbit/s", "Tải lên", "Uplink"),
    Column("delay", "ms", "Độ trễ", "Delay"),
    Column("loss", "%", "Mất gói", "Loss"),
    Column("rsrp", "dBm", "RSRP", "RSRP"),
    Column("sinr", "dB", "SINR", "SINR"),
    Column("path", "word", "Đường đo", "Path"),
    Column("counted", "word", "Được tính", "Counted"),
    Column("hamlet", "word", "Mã xóm", "Hamlet code"),
    Column("plmn", "word", "Nhà mạng", "Operator"),
    Column("probe", "word", "Trạm đo", "Probe"),
)


def _latest() -> Query:
    text = (
        'SELECT "outcome", "stage", "cause", "downlink_bps" / 1000000.0 AS "downlink", "uplink_bps" / 1000000.0 '
        'AS "uplink", "rtt_us_median" / 1000.0 AS "delay", "loss_ppm" / 10000.0 AS "loss", '
        '"radio_before_rsrp_dbm_x10" / 10.0 AS "rsrp", "radio_before_sinr_db_x10" / 10.0 AS "sinr", '
        '"path_verdict" AS "path", "counted", "hamlet", "plmn", "probe" '
        f'FROM "test" WHERE {_WHERE} ORDER BY time DESC LIMIT 20'
    )
    return Query("latest", text, "table", _LATEST, "20 lần đo gần nhất, kể cả không thành công", "Last 20 tests")


def _states() -> tuple[Query, ...]:
    """Worst known state of each interval, the cause of its last step that was not covered, and the newest step.

    The polynomial picks no service (1) before degraded (2) before covered (3); 0, unknown, only where nothing
    else was seen, so that an unknown minute neither hides an outage nor counts as one. An interval without a step
    stays empty: silence is not coverage.
    """
    group = 'GROUP BY time($__interval), "probe", "modem", "plmn" fill(null)'
    gone, weak, fine = (f'max("{word}")' for word in ("no_service", "degraded", "covered"))
    worst = f"{gone} + (1 - {gone}) * (2 * {weak} + (1 - {weak}) * 3 * {fine})"
    text = f'SELECT {worst} AS "state" FROM "coverage" WHERE {_WHERE} {group}'
    cause = f'SELECT last("cause") AS "cause" FROM "coverage" WHERE {_WHERE} AND "state" < 3 {group}'
    newest = f'"coverage" WHERE {_WHERE} GROUP BY "probe", "modem", "plmn" ORDER BY time DESC LIMIT 1'
    tags = ("probe", "modem", "plmn")
    state = Column("state", "state", "Trạng thái", "State")
    why = Column("cause", "word", "Nguyên nhân", "Cause")
    vi, en = "Trạng thái phủ sóng xấu nhất trong mỗi ô", "Worst coverage state of each interval"
    now = f'SELECT "state", "cause" FROM {newest}'
    return (
        Query("coverage_now", now, "table", (state, why), "Trạng thái mới nhất", "Newest state", tags),
        Query("coverage_state", text, "time_series", (state,), vi, en, tags),
        Query("coverage_cause", cause, "time_series", (why,), "Nguyên nhân", "Causes", tags, optional=True),
    )


def _site() -> Query:
    fields = ("hamlet_name", "commune_name", "province_name", "probes", "simulated")
    parts = ", ".join(f'last("{field}") AS "{field}"' for field in fields)
    text = f'SELECT {parts} FROM "site" WHERE {REGISTER_WINDOW} AND {_PLACE} GROUP BY "hamlet"'
    columns = (
        Column("hamlet_name", "word", "Thôn, xóm", "Hamlet"),
        Column("commune_name", "word", "Xã, phường", "Commune"),
        Column("province_name", "word", "Tỉnh, thành phố", "Province"),
        Column("probes", "1", "Trạm đo", "Probes"),
        Column("simulated", "word", "Nguồn số liệu", "Source"),
    )
    return Query("site", text, "table", columns, "Tên gọi từ sổ đăng ký", "Names from the register", ("hamlet",))


_TESTS = Column("tests", "1", "Lần đo", "Tests")
_COUNTED_N = Column("counted", "1", "Được tính", "Counted")
_FAILED_N = Column("failed", "1", "Không thành công", "Failed")


def _by_operator() -> tuple[Query, Query]:
    tests = f'SELECT count("ok") AS "tests" FROM "test" WHERE {_WHERE} GROUP BY "plmn"'
    sums = f'SELECT sum("counted") AS "counted", sum("failed") AS "failed" FROM "test" WHERE {_WHERE}'
    vi, en = "Số lần đo của nhà mạng", "Tests of the operator"
    both_vi, both_en = "Được tính và không thành công của nhà mạng", "Counted and failed tests of the operator"
    return (
        Query("operator_tests", tests, "time_series", (_TESTS,), vi, en, ("plmn",)),
        Query("operator_counts", sums, "time_series", (_COUNTED_N, _FAILED_N), both_vi, both_en),
    )


def _totals() -> tuple[Query, Query]:
    sums = 'count("ok") AS "tests", sum("counted") AS "counted", sum("failed") AS "failed"'
    text = f'SELECT {sums} FROM "test" WHERE {_WHERE}'
    newest = f'SELECT "ok" FROM "test" WHERE {_WHERE} ORDER BY time DESC LIMIT 1'
    columns = (_TESTS, _COUNTED_N, _FAILED_N)
    vi, en = "Tổng số lần đo, được tính, không thành công", "All tests, counted ones, those that failed"
    return (
        Query("totals", text, "time_series", columns, vi, en),
        Query("newest", newest, "table", (Column("ok", "1", "ok", "ok"),), "Lần đo gần nhất", "Newest test"),
    )


def _outcomes() -> Query:
    sums = 'sum("ok") AS "ok", sum("failed") AS "failed", sum("counted") AS "counted"'
    text = f'SELECT {sums} FROM "test" WHERE {_WHERE} GROUP BY time($bucket) fill(0) {TZ}'
    columns = (
        Column("ok", "1", "Thành công", "Ok"),
        Column("failed", "1", "Không thành công", "Failed"),
        _COUNTED_N,
    )
    vi, en = "Số lần đo mỗi ô thời gian", "Tests of each time bucket"
    return Query("outcomes", text, "time_series", columns, vi, en)


def _shares() -> Query:
    words = ("covered", "degraded", "no_service", "unknown")
    steps = " + ".join(f'sum("{word}")' for word in words)
    parts = [f'100.0 * sum("{word}") / ({steps}) AS "{word}"' for word in words]
    source = f'"test_1h" WHERE {_WHERE} AND "coverages" > 0'
    text = f'SELECT {", ".join(parts)}, {steps} AS "n" FROM {source} {_BUCKET}'
    vi = ("Có sóng", "Sóng yếu, chập chờn", "Mất sóng", "Chưa rõ")
    en = ("Covered", "Degraded", "No service", "Unknown")
    columns = tuple(Column(word, "%", v, e) for word, v, e in zip(words, vi, en, strict=True))
    return Query("coverage_shares", text, "time_series", (*columns, N), "Tỷ lệ trạng thái", "Shares of state")


def _hours() -> tuple[Query, Query]:
    """The worst hour of each interval, and why: from hours, so that 400 days answer as fast as one.

    `worst` rises with the trouble (0 unknown, 1 covered, 2 degraded, 3 no service): an unknown hour neither hides an
    outage nor counts as one, and an interval without an hour stays empty.
    """
    tags = ("hamlet", "plmn")
    group = f'GROUP BY time($__interval), "hamlet", "plmn" fill(null) {TZ}'
    worst = f'SELECT max("worst") AS "worst" FROM "test_1h" WHERE {_WHERE} {group}'
    cause = f'SELECT last("cause") AS "cause" FROM "test_1h" WHERE {_WHERE} AND "worst" > 1 {group}'
    state = Column("worst", "state", "Trạng thái", "State")
    why = Column("cause", "word", "Nguyên nhân", "Cause")
    vi, en = "Trạng thái xấu nhất của từng giờ", "Worst state of each hour"
    return (
        Query("coverage_hours", worst, "time_series", (state,), vi, en, tags),
        Query("coverage_hours_cause", cause, "time_series", (why,), "Nguyên nhân", "Causes", tags, optional=True),
    )


def _places() -> Query:
    parts = '"position_lat_e7" / 10000000.0 AS "lat", "position_lon_e7" / 10000000.0 AS "lon"'
    more = '"downlink_bps" / 1000000.0 AS "downlink", "position_surveyed_offset_m" AS "offset", "plmn"'
    where = f'{_COUNTED} AND "position_lat_e7" > -900000000'
    text = f'SELECT {parts}, {more} FROM "test" WHERE {where} ORDER BY time DESC LIMIT 500'
    columns = (
        Column("lat", "deg", "Vĩ độ", "Latitude"),
        Column("lon", "deg", "Kinh độ", "Longitude"),
        Column("downlink", "Mbit/s", "Tải xuống", "Downlink"),
        Column("offset", "1", "Lệch điểm khảo sát (m)", "Off the surveyed place (m)", maybe=True),
        Column("plmn", "word", "Nhà mạng", "Operator"),
    )
    vi, en = "500 mẫu được tính gần nhất trên bản đồ", "The newest 500 counted samples on the map"
    return Query("places", text, "table", columns, vi, en)


def _hourly() -> Query:
    text = (
        'SELECT percentile("downlink_bps", 50) / 1000000.0 AS "median", count("downlink_bps") AS "n" '
        f'FROM "test" WHERE {_COUNTED} GROUP BY time(1h) fill(none) ORDER BY time DESC {TZ}'
    )
    columns = (Column("median", "Mbit/s", *MEDIAN), N)
    vi, en = "Trung vị tải xuống của từng giờ", "Median downlink rate of each hour"
    return Query("hourly", text, "table", columns, vi, en)


ALL: tuple[Query, ...] = (
    _site(),
    *_by_operator(),
    *_totals(),
    _outcomes(),
    *_figure("downlink", "downlink_bps", MBIT, "Mbit/s", "Tải xuống, mẫu được tính", "Downlink, counted samples"),
    *_figure("uplink", "uplink_bps", MBIT, "Mbit/s", "Tải lên, mẫu được tính", "Uplink, counted samples"),
    *_figure("delay", "rtt_us_median", MILLI, "ms", "Độ trễ khứ hồi khi rỗi", "Idle round-trip delay"),
    *_loss(),
    *_success(),
    _covered(),
    _band("downlink_band", "downlink_bps", "Tải xuống theo thời gian", "Downlink over time"),
    _band("uplink_band", "uplink_bps", "Tải lên theo thời gian", "Uplink over time"),
    *_states(),
    _shares(),
    *_hours(),
    _places(),
    _hourly(),
    *_scatter("rsrp_downlink", "radio_before_rsrp_dbm_x10", "dBm", "rsrp"),
    *_scatter("sinr_downlink", "radio_before_sinr_db_x10", "dB", "sinr"),
    _latest(),
)
