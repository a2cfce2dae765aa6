"""Queries of the campaign and data quality board: who reaches the quota, what is missing, what is not believed."""

from __future__ import annotations

from collector.catalogue.parts import TZ, Column, Query, grouped, of, select

_PLACE = ("province", "commune")
_NEWEST = "ORDER BY time DESC LIMIT 1"


def _quota() -> tuple[Query, ...]:
    """Where each commune stands now, and how the chosen ones came there; each campaign and line apart."""
    columns = (
        Column("name", "word", "Xã, phường", "Commune"),
        Column("counted", "1", "Đã đạt", "So far"),
        Column("minimum", "1", "Chỉ tiêu", "Quota"),
        Column("missing", "1", "Còn thiếu", "Missing"),
        Column("ahead", "1", "So với tiến độ", "Against the pace"),
        Column("low", "1", "Dự báo thấp", "Projection, low"),
        Column("middle", "1", "Dự báo", "Projection"),
        Column("high", "1", "Dự báo cao", "Projection, high"),
        Column("outlook", "word", "Triển vọng", "Outlook"),
    )
    tags = ("commune", "campaign", "line")
    where = of(*_PLACE) + " AND \"commune\" != ''"
    now = select([f'"{c.name}"' for c in columns], "quota", where, f"{grouped(*tags)} {_NEWEST}")
    pace = select(
        ['last("counted") AS "counted"', 'last("due_by_now") AS "due_by_now"', 'last("minimum") AS "minimum"'],
        "quota",
        where,
        f'GROUP BY time(1d), "commune", "line" fill(none) {TZ}',
    )
    lines = (
        Column("counted", "1", "Đã đạt", "So far"),
        Column("due_by_now", "1", "Tiến độ đều", "Even pace"),
        Column("minimum", "1", "Chỉ tiêu", "Quota"),
    )
    # Optional: without a campaign there is no quota. That a province with one has rows is looked at by bench/boards.py.
    words = "Chỉ tiêu tháng: tiến độ và dự báo", "Quota: pace and projection"
    by_day = "Tiến độ theo ngày", "Pace by day"
    return (
        Query("quota", now, "table", columns, *words, tags, optional=True),
        Query("quota_pace", pace, "time_series", lines, *by_day, ("commune", "line"), optional=True),
    )


def _pace() -> Query:
    """All communes of the choice together: what they have, and what they should have, by day and line."""
    words = ("counted", "due_by_now", "minimum")
    where = of(*_PLACE) + " AND \"commune\" != ''"
    day = f'GROUP BY time(1d), "line" fill(none) {TZ}'
    last = ", ".join(f'last("{word}") AS "{word}"' for word in words)
    inner = f'SELECT {last} FROM "quota" WHERE {where} GROUP BY time(1d), "commune", "line" fill(none)'  # noqa: S608
    sums = ", ".join(f'sum("{word}") AS "{word}"' for word in words)
    text = f"SELECT {sums} FROM ({inner}) WHERE $timeFilter {day}"  # noqa: S608
    columns = (
        Column("counted", "1", "Đã đạt", "So far"),
        Column("due_by_now", "1", "Tiến độ đều", "Even pace"),
        Column("minimum", "1", "Chỉ tiêu", "Quota"),
    )
    of_all = "Tiến độ chung theo ngày", "Pace of all by day"
    return Query("quota_pace_all", text, "time_series", columns, *of_all, ("line",), optional=True)


def _behind() -> Query:
    inner = select(['last("behind") AS "behind"'], "quota", of(*_PLACE) + " AND \"commune\" != ''", grouped("commune"))
    text = f'SELECT count("behind") AS "communes", sum("behind") AS "behind" FROM ({inner}) WHERE $timeFilter'  # noqa: S608
    columns = (
        Column("communes", "1", "Xã, phường có chỉ tiêu", "Communes with a quota"),
        Column("behind", "1", "Chậm tiến độ", "Behind the pace"),
    )
    told = "Xã, phường chậm tiến độ", "Communes behind the pace"
    return Query("quota_behind", text, "time_series", columns, *told, optional=True)


def _referrals() -> Query:
    parts = [f'sum("{word}") AS "{word}"' for word in ("tests", "counted", "failed")]
    text = select(parts, "referral_1d", of(*_PLACE) + " AND \"referral\" != ''", grouped("referral"))
    columns = (
        Column("tests", "1", "Lần đo", "Tests"),
        Column("counted", "1", "Được tính", "Counted"),
        Column("failed", "1", "Không thành công", "Failed"),
    )
    return Query("referrals", text, "table", columns, "Theo mã giới thiệu", "By referral code", ("referral",))


def _slots() -> tuple[Query, ...]:
    day = f"GROUP BY time(1d) fill(0) {TZ}"
    missed = select(['sum("missed") AS "missed"', 'sum("power") AS "power"'], "slot_1d", of(*_PLACE), day)
    worst = select(['sum("missed") AS "missed"'], "slot_1d", of(*_PLACE), grouped("hamlet"))
    listed = f'SELECT "missed" FROM ({worst}) WHERE $timeFilter AND "missed" > 0 {grouped("hamlet")}'  # noqa: S608
    columns = (
        Column("missed", "1", "Khung lỡ", "Missed slots"),
        Column("power", "1", "trong đó do mất điện", "of these by power cuts"),
    )
    by_day = ("Khung đo lỡ từng ngày", "Missed slots by day")
    by_hamlet = ("Khung đo lỡ theo thôn, xóm", "Missed slots by hamlet")
    return (
        Query("missed_slots", missed, "time_series", columns, *by_day),
        Query("missed_by_hamlet", listed, "table", columns[:1], *by_hamlet, ("hamlet",), optional=True),
    )


def _verdicts() -> tuple[Query, ...]:
    day = f'GROUP BY time(1d), "word" fill(0) {TZ}'
    number = Column("records", "1", "Bản ghi", "Records")
    verdicts = select(['sum("n") AS "records"'], "verdict_1d", of(*_PLACE) + " AND \"what\" = 'verdict'", day)
    rules = select(['sum("n") AS "records"'], "verdict_1d", of(*_PLACE) + " AND \"what\" = 'rule'", grouped("word"))
    refused = select(['sum("n") AS "records"'], "refusal_1d", "$timeFilter", grouped("reason"))
    return (
        # Optional: the judge's first round comes some minutes after the first records.
        Query(
            "verdicts",
            verdicts,
            "time_series",
            (number,),
            "Kết luận từng ngày",
            "Verdicts by day",
            ("word",),
            optional=True,
        ),
        Query(
            "suspect_by_rule",
            rules,
            "table",
            (number,),
            "Nghi vấn theo quy tắc",
            "Suspect by rule",
            ("word",),
            optional=True,
        ),
        Query(
            "refused",
            refused,
            "table",
            (number,),
            "Bị từ chối khi nhận",
            "Refused at the door",
            ("reason",),
            optional=True,
        ),
    )


ALL: tuple[Query, ...] = (*_quota(), _pace(), _behind(), _referrals(), *_slots(), *_verdicts())
