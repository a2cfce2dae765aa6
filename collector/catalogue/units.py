"""Queries of the boards of provinces, communes and operators: figures of whole units, exact over all of their values.

Medians of a unit come from `unit_1mo` and `unit_1d`, which the collector computes in the ledger: 300 hamlets answer as
fast as one, at 400 days as at one. Sums are those of the local days that begin in the range, from `unit_1d`: a day's
point stands at its first moment. A month's point does too, so panels that show the newest month look at the last 62
days, whatever the board's range.
"""

from __future__ import annotations

from collector.catalogue.parts import MEDIAN, REGISTER_WINDOW, TZ, Column, N, Query, grouped, of, select
from collector.core.rollup_points import MARKS_BPS

_TESTS = Column("tests", "1", "Lần đo", "Tests")
_COUNTED = Column("counted", "1", "Được tính", "Counted")
_FAILED = Column("failed", "1", "Không thành công", "Failed")
_FIGURES = (
    ('"downlink_median" / 1000000.0 AS "median"', Column("median", "Mbit/s", *MEDIAN, maybe=True)),
    ('"downlink_bps_n" AS "n"', N),
    ('"downlink_bps_p5" / 1000000.0 AS "p5"', Column("p5", "Mbit/s", "Phân vị 5", "5th percentile", maybe=True)),
    ('"downlink_bps_mean" / 1000000.0 AS "mean"', Column("mean", "Mbit/s", "Trung bình", "Mean", maybe=True)),
    ('"uplink_median" / 1000000.0 AS "uplink"', Column("uplink", "Mbit/s", "Tải lên", "Uplink", maybe=True)),
    ('"rtt_median" / 1000.0 AS "delay"', Column("delay", "ms", "Độ trễ", "Delay", maybe=True)),
    (
        '100.0 * "downlink_at_40" / "downlink_bps_n" AS "at_40"',
        Column("at_40", "%", "Mẫu ≥ 40 Mbit/s", "Samples ≥ 40 Mbit/s", maybe=True),
    ),
    (
        '100.0 * "ok" / ("tests" - "skipped") AS "success"',
        Column("success", "%", "Đo thành công", "Succeeded", maybe=True),
    ),
    (
        '100.0 * "covered" / ("covered" + "degraded" + "no_service") AS "covered"',
        Column("covered", "%", "Có sóng", "Covered", maybe=True),
    ),
)
"""The figures of a unit, as a column each: what is asked, and what it means. The median is left out below n_min."""
_PARTS, _COLUMNS = [part for part, _ in _FIGURES], tuple(column for _, column in _FIGURES)
_NAME = Column("name", "word", "Tên gọi", "Name")
_NEWEST = "ORDER BY time DESC LIMIT 1"


def _at(level: str, *variables: str, everyone: bool = True) -> str:
    operator = "= 'all'" if everyone else "!= 'all'"
    return f'{of(*variables)} AND "level" = \'{level}\' AND "plmn" {operator}'


def _ranking(name: str, level: str, tag: str, variables: tuple[str, ...], vi: str, en: str) -> Query:
    """One row a unit: its newest month. Codes come as a column, for links and maps."""
    more = ['"hamlets" AS "hamlets"', '"registered" AS "registered"'] if level == "commune" else ['"lat"', '"lon"']
    added: tuple[Column, ...] = (
        Column("hamlets", "1", "Thôn, xóm có mẫu", "Hamlets with samples"),
        Column("registered", "1", "Thôn, xóm có trạm", "Hamlets with a station"),
    )
    if level == "hamlet":
        added = (
            Column("lat", "deg", "Vĩ độ", "Latitude", maybe=True),
            Column("lon", "deg", "Kinh độ", "Longitude", maybe=True),
        )
    text = select(['"name"', *_PARTS, *more], "unit_1mo", _at(level, *variables), f"{grouped(tag)} {_NEWEST}")
    return Query(name, text, "table", (_NAME, *_COLUMNS, *added), vi, en, (tag,))


def _hamlets() -> tuple[Query, ...]:
    """Registered, measured in the range, and of the newest month: assessed, and at each mark."""
    place = '"province" =~ /^$province$/ AND "commune" =~ /^$commune$/'
    inside = f'SELECT last("probes") AS "probes" FROM "site" WHERE {REGISTER_WINDOW} AND {place} GROUP BY "hamlet"'  # noqa: S608
    registered = f'SELECT count("probes") AS "registered" FROM ({inside}) WHERE {REGISTER_WINDOW}'  # noqa: S608
    where = of("province", "commune")
    inside = f'SELECT count("ok") AS "tests" FROM "test" WHERE {where} GROUP BY "hamlet"'  # noqa: S608
    measured = f'SELECT count("tests") AS "measured" FROM ({inside}) WHERE $timeFilter AND "tests" > 0'  # noqa: S608
    words = {
        "registered": ("Thôn, xóm có trạm", "Hamlets with a station"),
        "measured": ("Có lần đo trong khoảng", "With tests in the range"),
    }
    return (
        Query(
            "hamlets_registered",
            registered,
            "time_series",
            (Column("registered", "1", *words["registered"]),),
            *words["registered"],
        ),
        Query(
            "hamlets_measured",
            measured,
            "time_series",
            (Column("measured", "1", *words["measured"]),),
            *words["measured"],
        ),
    )


def _sites() -> Query:
    fields = ("hamlet_name", "lat", "lon")
    parts = [f'last("{name}") AS "{name}"' for name in fields]
    place = '"province" =~ /^$province$/ AND "commune" =~ /^$commune$/'
    text = select(parts, "site", f"{REGISTER_WINDOW} AND {place}", grouped("hamlet"))
    columns = (
        Column("hamlet_name", "word", "Thôn, xóm", "Hamlet"),
        Column("lat", "deg", "Vĩ độ", "Latitude"),
        Column("lon", "deg", "Kinh độ", "Longitude"),
    )
    return Query("sites", text, "table", columns, "Thôn, xóm có trạm", "Hamlets with a station", ("hamlet",))


def _province_now() -> Query:
    """The newest month of a province: share of samples at the mark, hamlets assessed and at the marks."""
    parts = [
        '100.0 * "downlink_at_40" / "downlink_bps_n" AS "at_40"',
        '"downlink_bps_n" AS "n"',
        '"hamlets_assessed" AS "assessed"',
        *(
            f'"hamlets{mark.removeprefix("downlink")}" AS "hamlets{mark.removeprefix("downlink")}"'
            for mark in MARKS_BPS
        ),
    ]
    columns = (
        Column("at_40", "%", "Mẫu đạt ≥ 40 Mbit/s", "Samples at ≥ 40 Mbit/s"),
        N,
        Column("assessed", "1", "Thôn, xóm đủ mẫu (n ≥ 5)", "Hamlets with n ≥ 5"),
        Column("hamlets_at_10", "1", "… trung vị ≥ 10 Mbit/s", "… median ≥ 10 Mbit/s"),
        Column("hamlets_at_40", "1", "… trung vị ≥ 40 Mbit/s", "… median ≥ 40 Mbit/s"),
    )
    text = select(parts, "unit_1mo", _at("province", "province"), f"{grouped('province')} {_NEWEST}")
    vi, en = "Tỷ lệ đạt mốc trong tháng gần nhất", "Share at the marks in the newest month"
    return Query("province_now", text, "time_series", columns, vi, en, ("province",))


def _trend(name: str, level: str, tag: str, variables: tuple[str, ...], *, everyone: bool) -> Query:
    """p5, p50, p95 and n of each local day of a unit; days of few samples have no p5."""
    parts = [f'"downlink_bps_p{p}" / 1000000.0 AS "p{p}"' for p in (5, 50, 95)]
    where = _at(level, *variables, everyone=everyone)
    text = select([*parts, '"downlink_bps_n" AS "n"'], "unit_1d", where, grouped(tag))
    columns = (
        Column("p5", "Mbit/s", "Phân vị 5 (từ n = 10)", "5th percentile (from n = 10)", maybe=True),
        Column("p50", "Mbit/s", *MEDIAN, maybe=True),
        Column("p95", "Mbit/s", "Phân vị 95", "95th percentile", maybe=True),
        N,
    )
    return Query(name, text, "time_series", columns, "Tải xuống từng ngày", "Downlink of each day", (tag,))


def _medians(name: str, measurement: str, level: str, tags: tuple[str, ...], variables: tuple[str, ...]) -> Query:
    """Median of each day or month by operator, or of each month by commune."""
    everyone = "plmn" not in tags
    parts = ['"downlink_bps_p50" / 1000000.0 AS "median"', '"downlink_bps_n" AS "n"']
    shape = "time_series" if not everyone else "table"
    named = ['"name"'] if shape == "table" else []
    where = _at(level, *variables, everyone=everyone) + ' AND "downlink_bps_n" >= $n_min'
    text = select([*named, *parts], measurement, where, grouped(*tags))
    columns = (*((_NAME,) if named else ()), Column("median", "Mbit/s", *MEDIAN), N)
    grain = ("tháng", "month") if measurement == "unit_1mo" else ("ngày", "day")
    words = (f"Trung vị từng {grain[0]}", f"Median of each {grain[1]}")
    return Query(name, text, "table" if named else "time_series", columns, *words, tags, optional=True)


def _operators(name: str, level: str, variables: tuple[str, ...], tags: tuple[str, ...]) -> Query:
    """Figures of operators side by side: one row an operator (and unit), of the newest month."""
    where = _at(level, *variables, everyone=False)
    more = ['"name"'] if level == "hamlet" else []
    text = select([*more, *_PARTS], "unit_1mo", where, f"{grouped(*tags)} {_NEWEST}")
    columns = (*((_NAME,) if more else ()), *_COLUMNS)
    return Query(name, text, "table", columns, "Các nhà mạng cạnh nhau", "Operators side by side", tags)


def _operator_medians() -> Query:
    """Newest month's median by hamlet and operator, only where it is assessed: Grafana's sums make 0 of nothing."""
    where = _at("hamlet", *_CO, everyone=False) + ' AND "downlink_bps_n" >= $n_min'
    parts = ['"name"', '"downlink_median" / 1000000.0 AS "median"', '"downlink_bps_n" AS "n"']
    text = select(parts, "unit_1mo", where, f"{grouped('hamlet', 'plmn')} {_NEWEST}")
    columns, tags = (_NAME, Column("median", "Mbit/s", *MEDIAN), N), ("hamlet", "plmn")
    words = ("Trung vị theo nhà mạng", "Medians by operator")
    return Query("hamlet_operator_medians", text, "table", columns, *words, tags, optional=True)


def _totals(name: str, level: str, *variables: str) -> Query:
    """All tests of the local days that begin in the range; `failed` is all that is not ok, as in single tests."""
    parts = [*(f'sum("{word}") AS "{word}"' for word in ("tests", "counted")), 'sum("tests") - sum("ok") AS "failed"']
    text = select(parts, "unit_1d", _at(level, *variables))
    words = ("Tổng số lần đo, được tính, không thành công", "All tests, counted ones, those that failed")
    return Query(name, text, "time_series", (_TESTS, _COUNTED, _FAILED), *words)


def _days(name: str, level: str, *variables: str) -> Query:
    """Tests of each local day: ok, and not ok by kind."""
    parts = [f'sum("{word}") AS "{word}"' for word in ("ok", "partial", "failed", "skipped", "counted")]
    text = select(parts, "unit_1d", _at(level, *variables), f"GROUP BY time(1d) fill(0) {TZ}")
    columns = (
        Column("ok", "1", "Thành công", "Ok"),
        Column("partial", "1", "Một phần", "Partial"),
        _FAILED,
        Column("skipped", "1", "Bỏ qua", "Skipped"),
        _COUNTED,
    )
    return Query(name, text, "time_series", columns, "Số lần đo từng ngày", "Tests of each day")


_SHARES = (
    ("covered", "Có sóng", "Covered"),
    ("degraded", "Sóng yếu, chập chờn", "Degraded"),
    ("no_service", "Mất sóng", "No service"),
    ("unknown", "Chưa rõ", "Unknown"),
)


def _shares(name: str, level: str, variables: tuple[str, ...], group: str) -> Query:
    """Share of coverage steps by state; unknown is a share of its own and never weak coverage."""
    steps = " + ".join(f'sum("{word}")' for word, _, _ in _SHARES)
    parts = [f'100.0 * sum("{word}") / ({steps}) AS "{word}"' for word, _, _ in _SHARES]
    by_operator = '"plmn"' in group
    where = _at(level, *variables, everyone=not by_operator) + ' AND "coverages" > 0'
    text = select([*parts, f'{steps} AS "n"'], "unit_1d", where, group)
    columns = (*(Column(word, "%", vi, en) for word, vi, en in _SHARES), N)
    tags, words = ("plmn",) if by_operator else (), ("Tỷ lệ trạng thái", "Shares of state")
    return Query(name, text, "table" if by_operator else "time_series", columns, *words, tags)


def _causes(name: str, what: str, level: str, variables: tuple[str, ...], words: tuple[str, str]) -> Query:
    """How often each cause; of hamlets from their own points, of units from theirs."""
    chosen = f"\"what\" = '{what}'"
    operators = "plmn" in variables and level != "hamlet"
    where = of(*variables) if level == "hamlet" else _at(level, *variables, everyone=not operators)
    source = "cause_1d" if level == "hamlet" else "unit_cause_1d"
    text = select(['sum("n") AS "times"'], source, f"{where} AND {chosen}", grouped("word"))
    return Query(name, text, "table", (Column("times", "1", "Số lần", "Times"),), *words, ("word",), optional=True)


def _bands() -> Query:
    """How many counted samples lie in each band of RSRP, by operator."""
    words = (
        ("rsrp_strong", "≥ −80 dBm: mạnh", "≥ −80 dBm: strong"),
        ("rsrp_fair", "−80 đến −100: khá", "−80 to −100: fair"),
        ("rsrp_poor", "−100 đến −115: yếu", "−100 to −115: poor"),
        ("rsrp_none", "< −115 dBm: rất yếu", "< −115 dBm: very poor"),
    )
    total = 'sum("rsrp_dbm_x10_n")'
    parts = [f'100.0 * sum("{word}") / {total} AS "{word}"' for word, _, _ in words]
    where = _at("province", "province", "plmn", everyone=False) + ' AND "rsrp_dbm_x10_n" > 0'
    text = select([*parts, f'{total} AS "n"'], "unit_1d", where, grouped("plmn"))
    columns = (*(Column(word, "%", vi, en) for word, vi, en in words), N)
    return Query(
        "rsrp_bands", text, "table", columns, "RSRP theo nhà mạng", "RSRP by operator", ("plmn",), optional=True
    )


def _rats() -> Query:
    text = select(
        ['count("ok") AS "tests"'], "test", of("province", "plmn") + " AND \"rat\" != ''", grouped("plmn", "rat")
    )
    return Query("rats", text, "table", (_TESTS,), "Lần đo theo công nghệ", "Tests by technology", ("plmn", "rat"))


_P, _C, _O = ("province",), ("province", "commune"), ("province", "plmn")
_CO = (*_C, "plmn")
_FAILURE = ("Nguyên nhân lần đo không thành công", "Why tests failed")
_GAP = ("Nguyên nhân mất sóng, sóng yếu (số bước)", "Why there was no coverage (steps)")
_HAMLETS_WORDS = ("Thôn, xóm trong tháng gần nhất", "Hamlets in the newest month")
ALL: tuple[Query, ...] = (
    *_hamlets(),
    _sites(),
    _province_now(),
    _ranking(
        "communes", "commune", "commune", _P, "Các xã, phường trong tháng gần nhất", "Communes in the newest month"
    ),
    _ranking("hamlets_of_province", "hamlet", "hamlet", _P, *_HAMLETS_WORDS),
    _ranking("hamlets_of_commune", "hamlet", "hamlet", _C, *_HAMLETS_WORDS),
    _trend("province_days", "province", "province", _P, everyone=True),
    _trend("commune_days", "commune", "commune", _C, everyone=True),
    _medians("commune_months", "unit_1mo", "commune", ("commune",), _P),
    _medians("hamlet_months", "unit_1mo", "hamlet", ("hamlet",), _C),
    _medians("operator_days", "unit_1d", "province", ("province", "plmn"), _O),
    _medians("operator_months", "unit_1mo", "province", ("province", "plmn"), _O),
    _medians("commune_operator_days", "unit_1d", "commune", ("commune", "plmn"), _CO),
    _operators("operators", "province", _O, ("province", "plmn")),
    _operators("hamlet_operators", "hamlet", _CO, ("hamlet", "plmn")),
    _operator_medians(),
    _totals("province_totals", "province", *_P),
    _totals("commune_totals", "commune", *_C),
    _days("province_tests", "province", *_P),
    _days("commune_tests", "commune", *_C),
    _shares("province_coverage", "province", _P, f"GROUP BY time(1d) fill(null) {TZ}"),
    _shares("commune_coverage", "commune", _C, f"GROUP BY time(1d) fill(null) {TZ}"),
    _shares("operator_coverage", "province", _O, grouped("plmn")),
    _causes("province_failures", "failure", "province", _P, _FAILURE),
    _causes("commune_failures", "failure", "commune", _C, _FAILURE),
    _causes("commune_gaps", "coverage", "commune", _C, _GAP),
    _causes("not_counted", "not_counted", "commune", _C, ("Lý do không được tính", "Why tests do not count")),
    _causes("operator_failures", "failure", "province", _O, ("Nguyên nhân theo nhà mạng", "Causes by operator")),
    _causes("hamlet_failures", "failure", "hamlet", (*_C, "hamlet", "plmn"), _FAILURE),
    _causes("hamlet_gaps", "coverage", "hamlet", (*_C, "hamlet", "plmn"), _GAP),
    _bands(),
    _rats(),
)
