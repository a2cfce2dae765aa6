# ruff: noqa: E501 (documents and line protocol as tables)
"""A province in numbers: `python -m bench.province FOLDER`. 300 hamlets, 13 months, three operators, as a real ledger.

Days are drawn from a pool of made days (rates that follow the hour and the signal, failures, outages of minutes to
days); each goes into the ledger's rollups as `rollup_day` rows and into InfluxDB as the points that the collector's own
code makes of it, so that what a board shows can be checked against the ledger, number by number. Names hold apostrophes,
brackets and quotes; some probes are silent, two stand in one hamlet, some hamlets began yesterday. Records themselves
are not made: 1.5 million signed ones would take the ledger an hour. Source: issue 7, "It must show".
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from operator import add
from pathlib import Path
from typing import Any

from collector.core.clock import DAY_MS, HOUR_MS, OFFSET_MS, day_of, month_of
from collector.core.rollup import COUNTS, DayKey, Hour
from collector.core.rollup_points import rollup_lines
from collector.ledger_write import SqliteLedger
from collector.registry import Registry
from collector.rollup_write import day_row
from wire import codec
from wire.failure import COVERAGE_CAUSES
from wire.note import Signer

PROVINCE, DAYS, HAMLETS, COMMUNES = "19", 400, 300, 12
PLMNS = ("45204", "45202", "45201")
CLASSES, POOL = 5, 48
"""Qualities of links, and made days of each."""
RAW_COVERAGE_DAYS = 3
SEED = 7
NAMES = (
    "Làng Mười",
    "M'lớt",
    "3. (cũ)",
    "Ea H'leo",
    'Bản "Mới"',
    "Đồng Chuối [A]",
    "Cư M'gar",
    "Nà Pài \\ Khuổi",
    "Thịnh Khánh",
)
_FAILURES = (
    ("registration", "searching"), ("connect", "server_unreachable"), ("downlink", "cut_off"), ("modem", "modem_mute"),
    ("pdn", "no_pdp"), ("uplink", "timeout"),
)  # fmt: skip
_LETTER = {str(cause): letter for letter, cause in COVERAGE_CAUSES.items() if cause}
_GONE = (("N", "searching"), ("N", "not_registered"), ("D", "echo_lost"), ("D", "not_lte"), ("U", "power"))
_STATE = {"U": 0, "N": 1, "D": 2, "C": 3}
_H_FIELDS = ("covered", "degraded", "no_service", "unknown", "coverages", "worst", "cause", "tests", "counted")
"""Fields of `test_1h` that are written: those that boards ask, and what says how many tests there were."""


@dataclass(frozen=True, slots=True)
class Test:
    """One test of a made day: when, and its fields in line protocol; `rates` None unless it counts."""

    offset_ms: int
    rat: bool
    fields: str
    counted: bool
    downlink: int | None


@dataclass(frozen=True, slots=True)
class Made:
    """One day of one link: its tests, its hours, steps of coverage (state, cause), and the same as texts of lines."""

    tests: tuple[Test, ...]
    hours: dict[int, Hour]
    columns: tuple[Any, ...]
    sums: tuple[int, ...]
    steps: tuple[tuple[str, str], ...]
    hourly: tuple[tuple[int, str], ...]
    daily: str
    causes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Link:
    """One modem of one probe: where, whose, how good (class), from which day on, silent since which day (None: not)."""

    number: int
    commune: str
    hamlet: str
    probe: str
    modem: str
    plmn: str
    quality: int
    first_day: int
    last_day: int
    lat_e7: int
    lon_e7: int


@dataclass(frozen=True, slots=True)
class Province:
    """The whole: where its days begin and end (UTC ms of local midnights; the last day is not over), links, pool."""

    first_ms: int
    now_ms: int
    links: tuple[Link, ...]
    pool: tuple[tuple[Made, ...], ...]

    def made(self, link: Link, day: int) -> Made | None:
        """The day of the pool that a link has on a day; None before it began and after it fell silent."""
        if not link.first_day <= day <= link.last_day:
            return None
        return self.pool[link.quality][random.Random(link.number * 1_000 + day).randrange(POOL)]  # noqa: S311

    def day_ms(self, day: int) -> int:
        """First moment of a day by its number."""
        return self.first_ms + day * DAY_MS


def _test(rng: random.Random, quality: int, offset_ms: int, *, gone: bool) -> tuple[Test, dict[str, Any]]:
    hour = offset_ms / HOUR_MS
    busy = 1 - 0.4 * 2.718 ** (-(((hour - 20.5) / 2.4) ** 2))
    rsrp = round(rng.gauss(-820 - 75 * quality, 32))
    before = f"radio_before_rsrp_dbm_x10={rsrp}i,radio_before_sinr_db_x10={max(-190, 260 + (rsrp + 800) // 2)}i"
    facts: dict[str, Any] = {"offset": offset_ms}
    if gone or rng.random() < 0.02 + 0.012 * quality:
        stage, cause = _FAILURES[0] if gone else rng.choice(_FAILURES)
        outcome = "partial" if stage == "uplink" else "failed"
        facts |= {"outcome": outcome, "failure": f"{stage}/{cause}", "reason": "outcome"}
        text = f'outcome="{outcome}",stage="{stage}",cause="{cause}",ok=0i,failed=1i,counted=0i,skipped=0i'
        return Test(offset_ms, False, f"{text},invalid_path=0i", False, None), facts
    down = int(rng.lognormvariate(17.6 - 0.38 * quality, 0.32) * busy)
    values = (
        down,
        int(down * rng.uniform(0.25, 0.5)),
        int(rng.lognormvariate(10.4 + 0.12 * quality, 0.2)),
        rng.choice((0, 0, 0, 20_000)),
        rsrp,
    )
    wrong = rng.random() < 0.01
    facts |= {"outcome": "ok", "reason": "invalid_path" if wrong else None, "values": values}
    verdict = "invalid_path" if wrong else "ok"
    text = (
        f'outcome="ok",path_verdict="{verdict}",ok=1i,failed=0i,counted={int(not wrong)}i,skipped=0i,'
        f"invalid_path={int(wrong)}i,downlink_bps={values[0]}i,uplink_bps={values[1]}i,rtt_us_median={values[2]}i,"
        f"loss_ppm={values[3]}i,position_surveyed_offset_m={rng.randrange(9)}i,{before}"
    )
    return Test(offset_ms, True, text, not wrong, down), facts


def _steps(rng: random.Random, quality: int) -> list[tuple[str, str]]:
    steps = [("C", "none")] * 1440
    for _ in range(rng.choice((0, 0, 1, 1, 2, 3)) + (quality == CLASSES - 1)):
        begin, length = rng.randrange(1440), int(rng.lognormvariate(3.2 + 0.25 * quality, 0.9))
        steps[begin : begin + length] = [rng.choice(_GONE)] * len(steps[begin : begin + length])
    return steps


def _hour(tests: list[dict[str, Any]], steps: list[tuple[str, str]]) -> Hour:
    counts = dict.fromkeys(COUNTS, 0)
    failures: dict[str, int] = {}
    reasons: dict[str, int] = {}
    causes: dict[str, int] = {}
    values: list[list[int]] = [[] for _ in range(5)]
    for facts in tests:
        counts["tests"] += 1
        counts[facts["outcome"]] += 1
        for into, key in ((failures, facts.get("failure")), (reasons, facts["reason"])):
            if key:
                into[key] = into.get(key, 0) + 1
        if facts["reason"] is None:
            counts["counted"] += 1
            for own, value in zip(values, facts["values"], strict=True):
                own.append(value)
        counts["invalid_path"] += facts["reason"] == "invalid_path"
    for state, cause in steps:
        counts[{"C": "covered", "D": "degraded", "N": "no_service", "U": "unknown"}[state]] += 1
        if cause != "none":
            causes[_LETTER[cause]] = causes.get(_LETTER[cause], 0) + 1
    counts["coverages"] = 1
    counts["offline_ms"] = counts["no_service"] * 60_000
    return Hour(
        list(counts.values()), HOUR_MS - 1, HOUR_MS + 900, failures, causes, reasons, [sorted(v) for v in values]
    )


def _made(rng: random.Random, quality: int) -> Made:
    steps = _steps(rng, quality)
    tests, by_hour = [], {number: [] for number in range(24)}  # type: ignore[var-annotated]
    for slot in range(10):
        offset_ms = slot * 8_640_000 + rng.randrange(8_580_000)
        test, facts = _test(rng, quality, offset_ms, gone=steps[offset_ms // 60_000][0] == "N")
        tests.append(test)
        by_hour[offset_ms // HOUR_MS].append(facts)
    hours = {n: _hour(by_hour[n], steps[60 * n : 60 * n + 60]) for n in range(24)}
    row = day_row(DayKey(0, "", "", "", ""), hours)
    counts = tuple(row[5 : 5 + len(COUNTS)])
    values = [[value for hour in hours.values() for value in hour.values[metric]] for metric in range(3)]
    lines = [line.split(" ") for line in rollup_lines(DayKey(0, "", "", "", ""), hours, 2**24 - 1)]
    hourly = [(int(at) // 10**6, _kept(fields)) for head, fields, at in lines if head == "test_1h"]
    causes = [(head.removeprefix("cause_1d"), fields) for head, fields, _ in lines if head.startswith("cause_1d")]
    daily = next(fields for head, fields, _ in lines if head == "test_1d")
    sums = (*counts, *(figure for own in values for figure in (len(own), sum(own))))
    return Made(tuple(tests), hours, row[5:], sums, tuple(steps), tuple(hourly), daily, tuple(causes))  # type: ignore[arg-type]


def _kept(fields: str) -> str:
    return ",".join(part for part in fields.split(",") if part.partition("=")[0] in _H_FIELDS)


def pool(seed: int = SEED) -> tuple[tuple[Made, ...], ...]:
    """Made days of every quality."""
    rng = random.Random(seed)  # noqa: S311 (a simulation)
    return tuple(tuple(_made(rng, quality) for _ in range(POOL)) for quality in range(CLASSES))


def links(days: int, hamlets: int, seed: int = SEED) -> tuple[Link, ...]:
    """Who measures: one to three operators a hamlet, two probes in one, twelve silent, five that began yesterday."""
    rng = random.Random(seed)  # noqa: S311
    made: list[Link] = []
    for place in range(hamlets):
        commune = f"{5700 + place * COMMUNES // hamlets:05d}"
        # The first hamlet is the one that pictures show: three operators, whole from the first day to the last.
        plmns = PLMNS if place == 0 else rng.sample(PLMNS, rng.choice((1, 1, 1, 1, 2)))
        quality = 1 if place == 0 else min(CLASSES - 1, rng.randrange(CLASSES) + (place % 97 == 3))
        first = days - 2 if place % 61 == 5 else (0 if place == 0 else rng.choice((0, 0, 0, 30, 120)) * days // 400)
        last = days - 1 - rng.randrange(1, 4) if place % 25 == 9 else days - 1
        lat, lon = 215_000_000 + (place % 20) * 350_000 + rng.randrange(200_000), 1_056_000_000 + place // 20 * 420_000
        for at, plmn in enumerate(plmns):
            probe = f"p-{place:03d}" + ("b" if place == 1 and at else "")
            own = min(CLASSES - 1, max(0, quality + rng.choice((-1, 0, 0, 1)))) if place else at + 1
            made.append(
                Link(len(made), commune, f"h-{place:03d}", probe, f"m{at + 1}", plmn, own, first, last, lat, lon)
            )
    return tuple(made)


def province(now_ms: int, days: int = DAYS, hamlets: int = HAMLETS) -> Province:
    """The province whose last whole day ended at the local midnight before `now_ms`."""
    end_ms = day_of(now_ms)[0]
    return Province(end_ms - days * DAY_MS, now_ms, links(days, hamlets), pool())


def document(whole: Province) -> dict[str, Any]:
    """The registry: units with their names, sites, probes, codes, a campaign with a monthly quota."""
    codes = sorted({link.commune for link in whole.links})
    hamlets = {link.hamlet: link for link in whole.links}
    probes = {link.probe: link for link in whole.links}
    return {
        "provinces": [{"code": PROVINCE, "name": "Tỉnh Thái Nguyên"}],
        "communes": [
            {"code": code, "name": f"Xã {NAMES[at % len(NAMES)]} {at + 1}", "province": PROVINCE} for at, code in enumerate(codes)
        ],
        "hamlets": [
            {"code": code, "name": f"{NAMES[at % len(NAMES)]} {at}", "kind": ("xóm", "bản", "tổ dân phố")[at % 3], "commune": link.commune,
             "lat_e7": link.lat_e7, "lon_e7": link.lon_e7}
            for at, (code, link) in enumerate(hamlets.items())
        ],
        "sites": [
            {"code": f"s-{code}", "hamlet": code, "name": "Nhà văn hóa", "lat_e7": link.lat_e7, "lon_e7": link.lon_e7}
            for code, link in hamlets.items()
        ],
        "probes": [
            {"id": probe, "vkey": _vkey(probe), "site": f"s-{link.hamlet}", "simulated": True}
            for probe, link in probes.items()
        ],
        "referrals": [{"code": f"TN{code}A", "unit": code} for code in codes],
        "operators": [{"plmn": plmn, "name": name} for plmn, name in zip(PLMNS, ("Viettel", "VinaPhone", "MobiFone"), strict=True)],
        "campaigns": [{"code": "tram", "name": "Trạm đo", "document": "mô phỏng", "counter": "ours", "starts_ms": whole.first_ms}],
        "campaign_quotas": [
            {"campaign": "tram", "line": "xa", "level": "commune", "what": "samples", "minimum": 30 * len(hamlets), "period": "month"}
        ],
    }  # fmt: skip


def _vkey(probe: str) -> str:
    return Signer.generate(codec.probe_key_name("dosong.example", probe)).verifier.vkey


def fill_ledger(whole: Province, path: Path, days: int = DAYS) -> int:
    """Write the rollups of every link and day; return how many rows."""
    SqliteLedger(path).close()
    written = 0
    with sqlite3.connect(path, isolation_level=None) as db:
        db.execute("PRAGMA synchronous=OFF")
        db.execute("BEGIN")
        for day in range(days):
            rows, totals = _day(whole, day)
            marks = ", ".join("?" * len(rows[0]))
            db.executemany(f"INSERT INTO rollup_day VALUES ({marks})", rows)  # noqa: S608
            db.executemany(f"INSERT INTO rollup_total VALUES ({', '.join('?' * len(totals[0]))})", totals)  # noqa: S608
            written += len(rows)
        names = [row[1] for row in db.execute("PRAGMA table_info(rollup_total)")][5:]
        sums = ", ".join(f"sum({name})" for name in names)
        for start_ms in sorted({month_of(whole.day_ms(day))[0] for day in range(days)}):
            db.execute(
                f"INSERT INTO rollup_total SELECT 'month', ?, province, commune, plmn, {sums} FROM rollup_total"  # noqa: S608
                " WHERE span = 'day' AND start_ms >= ? AND start_ms < ? GROUP BY province, commune, plmn",
                (start_ms, start_ms, month_of(start_ms)[1]),
            )
        db.execute("COMMIT")
    db.close()
    return written


def _day(whole: Province, day: int) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    day_ms, rows = whole.day_ms(day), []
    sums: dict[tuple[str, str], tuple[int, ...]] = {}
    for link in whole.links:
        made = whole.made(link, day)
        if made is None:
            continue
        columns, times = made.columns[:-3], (made.columns[-3] + day_ms, made.columns[-2] + day_ms)
        rows.append((day_ms, PROVINCE, link.commune, link.hamlet, link.plmn, *columns, *times, made.columns[-1]))
        key = (link.commune, link.plmn)
        sums[key] = tuple(map(add, sums[key], made.sums)) if key in sums else made.sums
    return rows, [("day", day_ms, PROVINCE, commune, plmn, *own) for (commune, plmn), own in sums.items()]


def day_lines(whole: Province, day: int, days: int = DAYS) -> Iterator[str]:
    """Points of one day: tests, hours, day, causes; coverage by step on the last days."""
    day_ms = whole.day_ms(day)
    for link in whole.links:
        made = whole.made(link, day)
        if made is None:
            continue
        place = f",province={PROVINCE},commune={link.commune},hamlet={link.hamlet}"
        yield from _tests(link, made, place, day_ms, day)
        tags = f"{place},plmn={link.plmn}"
        for offset_ms, fields in made.hourly:
            yield f"test_1h{tags} {fields} {(day_ms + offset_ms) * 10**6}"
        yield f"test_1d{tags} {made.daily} {day_ms * 10**6}"
        for head, fields in made.causes:
            yield f"cause_1d{tags}{head} {fields} {day_ms * 10**6}"
        if day >= days - RAW_COVERAGE_DAYS:
            yield from _coverage(link, made, place, day_ms)


def _tests(link: Link, made: Made, place: str, day_ms: int, day: int) -> Iterator[str]:
    head = f"test{place},probe={link.probe},modem={link.modem},plmn={link.plmn}"
    tail = f",engine=dosong,referral=TN{link.commune}A"
    at = f"position_lat_e7={link.lat_e7}i,position_lon_e7={link.lon_e7}i"
    for number, test in enumerate(made.tests):
        seq = day * 40 + number
        rat = ",rat=LTE" if test.rat else ""
        yield f"{head}{rat}{tail} {test.fields},{at},seq={seq}i {(day_ms + test.offset_ms) * 10**6 + seq % 10**6}"


def _coverage(link: Link, made: Made, place: str, day_ms: int) -> Iterator[str]:
    head = f"coverage{place},probe={link.probe},modem={link.modem},plmn={link.plmn}"
    for minute, (state, cause) in enumerate(made.steps):
        flags = f"covered={int(state == 'C')}i,degraded={int(state == 'D')}i,no_service={int(state == 'N')}i"
        fields = f'state={_STATE[state]}i,{flags},unknown={int(state == "U")}i,step_ms=60000i,cause="{cause}"'
        yield f"{head} {fields} {(day_ms + minute * 60_000) * 10**6}"


def lines(whole: Province, days: int = DAYS) -> Iterable[str]:
    """All points that come of records."""
    return (line for day in range(days) for line in day_lines(whole, day, days))


def register(whole: Province, path: Path) -> Registry:
    """The registry of the province, loaded."""
    registry = Registry(path)
    registry.load(document(whole), whole.first_ms)
    return registry


def local_midnight(t_ms: int) -> int:
    """The local midnight at or before a moment (UTC ms)."""
    return (t_ms + OFFSET_MS) // DAY_MS * DAY_MS - OFFSET_MS
