"""The catalogue's figures answered by the ledger: the same columns under the same names, from the rollups themselves.

A page, a PDF annex or a check that holds no InfluxDB asks here by a query's name and gets rows of the columns that the
catalogue lists, so that label, unit and number are one thing everywhere. Pure: hours in, rows out. What only single
tests can answer (lists, scatter plots, the samples' map) is not here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from collector.core.clock import DAY_MS, HOUR_MS, OFFSET_MS
from collector.core.rollup import COUNTS, METRICS, DayKey, Hour, together
from collector.core.rollup_points import RSRP_BANDS, figures
from collector.core.view_figures import percentile
from wire.failure import COVERAGE_CAUSES

Row = dict[str, int | float | str | None]
Days = Sequence[tuple[DayKey, Mapping[int, Hour]]]


@dataclass(frozen=True, slots=True)
class Held:
    """What is asked about, chosen already: `hours` of the range, local days that begin in it, the newest month's days.

    `bucket_ms`: length of time buckets, which begin with Vietnam's days.
    """

    hours: Days
    days: Days
    month: Days
    bucket_ms: int = DAY_MS


def answer(name: str, held: Held) -> list[Row]:
    """Rows of one query of the catalogue. Raises KeyError for one that the rollups cannot answer."""
    return ANSWERS[name](held)


def _count(hour: Hour, name: str) -> int:
    return hour.counts[COUNTS.index(name)]


def _all(days: Days) -> Hour:
    return together(hour for _, hours in days for hour in hours.values())


def _by(days: Days, key: Callable[[DayKey], str | int]) -> dict[str | int, Hour]:
    groups: dict[str | int, list[Hour]] = defaultdict(list)
    for one, hours in days:
        groups[key(one)].extend(hours.values())
    return {group: together(found) for group, found in sorted(groups.items())}


def _figure(metric: str, divisor: float) -> Callable[[Held], list[Row]]:
    def rows(held: Held) -> list[Row]:
        values = _all(held.hours).values[METRICS.index(metric)]
        if not values:
            return []
        middle = percentile(values, 50) or 0
        return [{"median": middle / divisor, "mean": sum(values) / len(values) / divisor, "n": len(values)}]

    return rows


def _success(held: Held) -> list[Row]:
    whole = _all(held.hours)
    n = _count(whole, "tests") - _count(whole, "skipped")
    return [{"share": 100 * _count(whole, "ok") / n, "n": n}] if n else []


def _shares_of(hour: Hour, *, known: bool = False) -> Row:
    words = ("covered", "degraded", "no_service", "unknown")
    steps = {word: _count(hour, word) for word in words}
    total = sum(steps.values())
    if known:
        n = total - steps["unknown"]
        return {"covered": 100 * steps["covered"] / n, "n_steps": n, "unknown": steps["unknown"]} if n else {}
    return {**{word: 100 * number / total for word, number in steps.items()}, "n": total} if total else {}


def _totals_of(days: Days) -> list[Row]:
    whole = _all(days)
    tests = _count(whole, "tests")
    return [{"tests": tests, "counted": _count(whole, "counted"), "failed": tests - _count(whole, "ok")}]


def _measured(held: Held) -> list[Row]:
    by = _by(held.hours, lambda key: key.hamlet)
    return [{"measured": sum(_count(hour, "tests") > 0 for hour in by.values())}]


def _operators(held: Held) -> list[Row]:
    by = _by(held.hours, lambda key: key.plmn)
    return [{"plmn": plmn, "tests": _count(hour, "tests")} for plmn, hour in by.items() if _count(hour, "tests")]


def _tests_by_day(held: Held) -> list[Row]:
    words = ("ok", "partial", "failed", "skipped", "counted")
    by = _by(held.days, lambda key: key.day_ms)
    return [{"time": day, **{word: _count(hour, word) for word in words}} for day, hour in by.items()]


def _coverage_by(key: Callable[[DayKey], str | int], name: str) -> Callable[[Held], list[Row]]:
    def rows(held: Held) -> list[Row]:
        return [{name: group, **shares} for group, hour in _by(held.days, key).items() if (shares := _shares_of(hour))]

    return rows


def _buckets(held: Held) -> dict[int, Hour]:
    """Hours by time bucket."""
    groups: dict[int, list[Hour]] = defaultdict(list)
    for key, hours in held.hours:
        for number, hour in hours.items():
            at_ms = key.day_ms + number * HOUR_MS
            groups[(at_ms + OFFSET_MS) // held.bucket_ms * held.bucket_ms - OFFSET_MS].append(hour)
    return {at_ms: together(found) for at_ms, found in sorted(groups.items())}


def _band(metric: str) -> Callable[[Held], list[Row]]:
    def rows(held: Held) -> list[Row]:
        made: list[Row] = []
        for at_ms, hour in _buckets(held).items():
            values = hour.values[METRICS.index(metric)]
            made.append({"time": at_ms, **_percentiles(values), "n": len(values)} if values else {"time": at_ms})
        return made

    return rows


def _percentiles(values: Sequence[int]) -> Row:
    found = ((p, percentile(values, p)) for p in (5, 50, 95))
    return {f"p{p}": None if value is None else value / 1e6 for p, value in found}


def _outcomes(held: Held) -> list[Row]:
    made: list[Row] = []
    for at_ms, hour in _buckets(held).items():
        ok = _count(hour, "ok")
        failed = _count(hour, "tests") - ok
        made.append({"time": at_ms, "ok": ok, "failed": failed, "counted": _count(hour, "counted")})
    return made


def _coverage_buckets(held: Held) -> list[Row]:
    return [{"time": at_ms, **_shares_of(hour)} for at_ms, hour in _buckets(held).items()]


def _hourly(held: Held) -> list[Row]:
    made: list[Row] = []
    hours: dict[int, list[Hour]] = defaultdict(list)
    for key, found in held.hours:
        for number, hour in found.items():
            hours[key.day_ms + number * HOUR_MS].append(hour)
    for at_ms, group in sorted(hours.items(), reverse=True):
        values = sorted(value for hour in group for value in hour.values[0])
        if values:
            made.append({"time": at_ms, "median": (percentile(values, 50) or 0) / 1e6, "n": len(values)})
    return made


def _words(what: str) -> Callable[[Held], list[Row]]:
    def rows(held: Held) -> list[Row]:
        found: dict[str, int] = defaultdict(int)
        whole = _all(held.days)
        source = {"failure": whole.failures, "coverage": whole.steps, "not_counted": whole.reasons}[what]
        for word, number in source.items():
            shown = word.partition("/")[2] if what == "failure" else word
            found[str(COVERAGE_CAUSES.get(word) or word) if what == "coverage" else shown] += number
        return [{"word": word, "times": number} for word, number in sorted(found.items())]

    return rows


def _bands(held: Held) -> list[Row]:
    made: list[Row] = []
    for plmn, hour in _by(held.days, lambda key: key.plmn).items():
        levels = hour.values[METRICS.index("rsrp_dbm_x10")]
        counts = {name: sum(low <= v < high for v in levels) for (name, low), (_, high) in pairwise(RSRP_BANDS)}
        if levels:
            made.append({"plmn": plmn, **{n: 100 * c / len(levels) for n, c in counts.items()}, "n": len(levels)})
    return made


def _month(*tags: str) -> Callable[[Held], list[Row]]:
    """Figures of the newest month by unit."""

    def rows(held: Held) -> list[Row]:
        groups: dict[tuple[str, ...], list[Hour]] = defaultdict(list)
        for key, hours in held.month:
            groups[tuple(str(getattr(key, tag)) for tag in tags)].extend(hours.values())
        return [
            {**dict(zip(tags, group, strict=True)), **_unit(together(found))} for group, found in sorted(groups.items())
        ]

    return rows


def _unit(hour: Hour) -> Row:
    found, n = figures(hour), len(hour.values[0])
    known = _count(hour, "covered") + _count(hour, "degraded") + _count(hour, "no_service")
    ran = _count(hour, "tests") - _count(hour, "skipped")
    mean = sum(hour.values[0]) / n / 1e6 if n else None
    return {
        "median": (percentile(hour.values[0], 50) or 0) / 1e6 if n >= 5 else None,
        "n": n,
        "p5": None if (low := percentile(hour.values[0], 5)) is None else low / 1e6,
        "mean": mean,
        "at_40": 100 * int(found["downlink_at_40"] or 0) / n if n else None,
        "success": 100 * _count(hour, "ok") / ran if ran else None,
        "covered": 100 * _count(hour, "covered") / known if known else None,
    }


def _days_of(tag: str) -> Callable[[Held], list[Row]]:
    """p5, p50, p95 and n of each local day by unit."""

    def rows(held: Held) -> list[Row]:
        groups: dict[tuple[str, int], list[int]] = defaultdict(list)
        for key, hours in held.days:
            for hour in hours.values():
                groups[str(getattr(key, tag)), key.day_ms].extend(hour.values[0])
        return [
            {tag: unit, "time": day_ms, **_percentiles(sorted(values)), "n": len(values)}
            for (unit, day_ms), values in sorted(groups.items())
        ]

    return rows


def _rsrp_n(held: Held) -> list[Row]:
    return [{"n": len(_all(held.hours).values[METRICS.index("rsrp_dbm_x10")])}]


def _plmn(key: DayKey) -> str:
    return key.plmn


def _day(key: DayKey) -> int:
    return key.day_ms


ANSWERS: Mapping[str, Callable[[Held], list[Row]]] = {
    "downlink": _figure("downlink_bps", 1e6),
    "uplink": _figure("uplink_bps", 1e6),
    "delay": _figure("rtt_us_median", 1e3),
    "loss": _figure("loss_ppm", 1e4),
    "success": _success,
    "covered": lambda held: [row] if (row := _shares_of(_all(held.hours), known=True)) else [],
    "totals": lambda held: _totals_of(held.hours),
    **dict.fromkeys(("province_totals", "commune_totals"), lambda held: _totals_of(held.days)),
    "hamlets_measured": _measured,
    "operator_tests": _operators,
    **dict.fromkeys(("province_tests", "commune_tests"), _tests_by_day),
    **dict.fromkeys(("province_coverage", "commune_coverage"), _coverage_by(_day, "time")),
    "operator_coverage": _coverage_by(_plmn, "plmn"),
    "downlink_band": _band("downlink_bps"),
    "uplink_band": _band("uplink_bps"),
    "outcomes": _outcomes,
    "coverage_shares": _coverage_buckets,
    "hourly": _hourly,
    **dict.fromkeys(
        ("province_failures", "commune_failures", "operator_failures", "hamlet_failures"), _words("failure")
    ),
    **dict.fromkeys(("commune_gaps", "hamlet_gaps"), _words("coverage")),
    "not_counted": _words("not_counted"),
    "rsrp_bands": _bands,
    "rsrp_downlink_n": _rsrp_n,
    "sinr_downlink_n": _rsrp_n,
    "communes": _month("commune"),
    **dict.fromkeys(("hamlets_of_province", "hamlets_of_commune"), _month("hamlet")),
    "operators": _month("province", "plmn"),
    "hamlet_operators": _month("hamlet", "plmn"),
    "province_days": _days_of("province"),
    "commune_days": _days_of("commune"),
}
"""Query by query, what the ledger's rollups say. `sinr_downlink_n`: modems that report RSRP report SINR."""


def chosen(days: Iterable[tuple[DayKey, Mapping[int, Hour]]], codes: Mapping[str, Sequence[str]]) -> Days:
    """The days of some units: code lists by tag; a tag that is not named, or whose list is empty, stands for all."""
    return [
        (key, hours)
        for key, hours in days
        if all(not wanted or getattr(key, tag) in wanted for tag, wanted in codes.items())
    ]
