"""One hard month with a known truth: ledger, API, pages and every form of the report say the same numbers.

Late records, duplicates, missed slots, a slot tested twice, a clock that was not set, failures, a hamlet merged into
another on the 16th, a commune that became a ward on the 10th.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import mean
from typing import Any

import pytest
from openpyxl import load_workbook

from collector.core.clock import month_of
from collector.core.period import Period, start_of
from collector.core.report_model import Figure, Report, tables
from collector.reports.desk import Desk, open_desk
from collector.reports.flat import to_csv
from tests.collector.kit import FakeProbe, document
from tests.collector.test_campaigns import CAMPAIGNS
from tests.collector.test_web_world import World, get, world
from wire import topics

HOUR_MS = 3_600_000
SEPTEMBER = Period(*month_of(start_of(date(2026, 9, 15))))
MERGED_MS, TYPED_MS = start_of(date(2026, 9, 16)), start_of(date(2026, 9, 10))
AS_OF_MS = SEPTEMBER.end_ms + 40 * HOUR_MS


@dataclass(slots=True)
class Truth:
    """What was put in, counted while it was: by hamlet counted rates and tests; minutes of coverage of the commune."""

    counted: dict[str, list[int]]
    tests: dict[str, int]
    covered: int = 0
    no_service: int = 0


class HardMonth:
    """Plays the month into a world, and keeps the truth."""

    def __init__(self, here: World, other: FakeProbe) -> None:
        self.here, self.other = here, other
        self.truth = Truth({"h-dong-chuoi": [], "h-ben": []}, {"h-dong-chuoi": 0, "h-ben": 0})

    def test(self, one: FakeProbe, day: int, hour: int, hamlet: str, *, counts: bool = True, **changes: Any) -> bytes:
        """One test; its rate is its place in the month, so that no two are alike."""
        t_ms = start_of(date(2026, 9, day)) + hour * HOUR_MS
        rate = 10_000_000 + day * 100_000 + hour * 1_000
        fields = {"t_ms": t_ms, "slot_ms": t_ms, "slot_length_ms": HOUR_MS, "downlink_bps": rate, **changes}
        if changes.get("t_ms", t_ms) is not None:
            self.truth.tests[hamlet] += 1
        if counts:
            self.truth.counted[hamlet].append(rate)
        return one.test(**fields)

    def take(self, one: FakeProbe, received_ms: int, *raws: bytes) -> None:
        self.here.now_ms = received_ms
        self.here.take(*raws, topic=topics.up(one.probe))

    def play(self) -> None:
        one, other, day = self.here.probe, self.other, 24 * HOUR_MS
        early = [self.test(other, 14, hour, "h-ben") for hour in (1, 2, 3, 9, 20)]  # missed slots between
        self.take(other, MERGED_MS, *early)
        self.take(other, MERGED_MS, *early[:2])  # delivered twice
        self.take(other, MERGED_MS + 4 * day, *[self.test(other, 18, hour, "h-dong-chuoi") for hour in (1, 5, 7, 8)])
        own = [self.test(one, 20, hour, "h-dong-chuoi") for hour in range(7)]
        own.append(self.test(one, 20, 6, "h-dong-chuoi", counts=False))  # the same slot again
        gone = {"outcome": "failed", "stage": "dns", "cause": "no_dns", "downlink_bps": None, "uplink_bps": None}
        own.append(self.test(one, 20, 9, "h-dong-chuoi", counts=False, **gone))
        unset = {"t_ms": None, "clock": "unsynced", "t_src": "none"}
        own.append(self.test(one, 20, 10, "h-dong-chuoi", counts=False, **unset))
        states = "C" * 50 + "N" * 7 + "U" * 3
        causes = "." * 50 + "s" * 7 + "z" * 3
        own.append(one.coverage(states, causes, t_ms=start_of(date(2026, 9, 20)) + 11 * HOUR_MS))
        self.truth.covered, self.truth.no_service = 50, 7
        self.take(one, SEPTEMBER.end_ms - day, *own)
        late = [self.test(one, 29, hour, "h-dong-chuoi") for hour in (3, 4)]
        self.take(one, SEPTEMBER.end_ms + 30 * HOUR_MS, *late)
        self.here.now_ms = AS_OF_MS


@pytest.fixture
def played(tmp_path: Path) -> Iterator[HardMonth]:
    other = FakeProbe("p-two")
    place = document(FakeProbe("p-one"), other)
    hamlets = [*place["hamlets"], {"code": "h-ben", "name": "Bến", "kind": "xóm", "commune": "05755"}]
    second = {"code": "s-two", "hamlet": "h-ben", "name": "Nhà Bến", "lat_e7": 215_000_000, "lon_e7": 1_058_000_000}
    with world(tmp_path, hamlets=hamlets, sites=[*place["sites"], second]) as made:
        made.registry.load(CAMPAIGNS, MERGED_MS)
        made.registry.load({"probes": [{"id": "p-two", "vkey": other.signer.verifier.vkey, "site": "s-two"}]})
        found = HardMonth(made, other)
        now_ms = MERGED_MS + HOUR_MS
        made.registry.load({
            "sites": [{"code": "s-two", "hamlet": "h-dong-chuoi", "name": "Nhà Bến", "valid_from_ms": MERGED_MS}],
            "hamlet_ends": [{"hamlet": "h-ben", "how": "merged", "successors": "h-dong-chuoi",
                             "valid_from_ms": MERGED_MS}],
            "unit_names": [{"code": "05755", "name": "Phường Phú Xuyên", "valid_from_ms": TYPED_MS}],
        }, now_ms)  # fmt: skip
        found.play()
        yield found


@pytest.fixture
def desk(played: HardMonth) -> Iterator[Desk]:
    found = open_desk(played.here.settings, played.here.reader, played.here.registry)
    yield found
    found.store.close()


def cell(report: Report, table: str, row: str, column: str) -> Any:
    found = next(one for one in tables(report) if one.key == table)
    at = [one.key for one in found.columns].index(column)
    return next(one.cells[at] for one in found.rows if one.key == row)


def nearest(values: list[int]) -> int:
    """The median as i-Speed's boards take it: nearest rank."""
    return sorted(values)[int(len(values) / 2 + 0.5) - 1]


def test_report_ledger_api_pages_and_truth_are_one(played: HardMonth, desk: Desk) -> None:
    here, truth = played.here, played.truth
    kept = desk.make("month", "05755", SEPTEMBER, AS_OF_MS)
    report = desk.store.report(kept)
    every = [rate for rates in truth.counted.values() for rate in rates]
    assert (len(truth.counted["h-ben"]), len(truth.counted["h-dong-chuoi"])) == (5, 13)
    # the report against the truth
    for hamlet, rates in truth.counted.items():
        assert cell(report, "units", hamlet, "ours") == Figure(len(rates))
        assert cell(report, "units", hamlet, "downlink") == Figure(nearest(rates), "mbps", len(rates))
    assert cell(report, "units", "05755", "ours") == Figure(18)
    assert cell(report, "operators", "45204", "tests") == Figure(sum(truth.tests.values()))
    assert cell(report, "operators", "45204", "downlink_median") == Figure(nearest(every), "mbps", 18)
    assert cell(report, "operators", "45204", "downlink_mean") == Figure(round(mean(every)), "mbps", 18)
    assert cell(report, "coverage", "05755", "covered") == Figure(truth.covered)
    assert cell(report, "coverage", "05755", "covered_share") == Figure(round(50e6 / 57), "percent")
    assert cell(report, "coverage", "h-ben", "covered") == Figure(None), "no record of coverage is no figure, not 0"
    # the ledger's own sums
    counts = here.reader.hamlet_counts(SEPTEMBER.start_ms, SEPTEMBER.end_ms)
    assert {code: one.counted for code, one in counts.items()} == {k: len(v) for k, v in truth.counted.items()}
    assert sum(sample.counted for sample in here.reader.samples(limit=1000)) == 18
    # the API and the official's page
    quota = get(here.client("official"), "/api/v1/quota?month=2026-09").json
    assert quota is not None
    (commune,) = [one for one in quota["items"] if one["commune"] == "05755"]
    assert (commune["counted"], commune["tests"]) == (18, sum(truth.tests.values()))
    page = get(here.client("official"), f"/reports/{kept.id}?lang=vi").text
    assert re.search(r'<td class="num"><b>18</b></td>', page)
    # what the other forms say
    book = load_workbook(io.BytesIO(desk.store.drawn(kept.id, "xlsx") or b""))
    heads = [one.value for one in book["units"][1]]
    totals = [one.value for one in list(book["units"].iter_rows())[3]]
    assert dict(zip(heads, totals, strict=True))["Mẫu trạm đo"] == 18
    lines = list(csv.DictReader(io.StringIO(to_csv(report).decode("utf-8-sig"))))
    (value,) = [
        one["value"] for one in lines if (one["table"], one["row"], one["column"]) == ("units", "05755", "ours")
    ]
    assert value == "18"
    assert "18 mẫu trạm đo được tính" in (desk.store.drawn(kept.id, "txt") or b"").decode()


def test_the_commune_and_its_province_say_the_same(played: HardMonth, desk: Desk) -> None:
    commune = desk.store.report(desk.make("month", "05755", SEPTEMBER, AS_OF_MS))
    province = desk.store.report(desk.make("month", "19", SEPTEMBER, AS_OF_MS))
    for column in ("ours", "downlink", "uplink", "rtt", "portal"):
        assert cell(province, "units", "05755", column) == cell(commune, "units", "05755", column), column
        assert cell(province, "units", "19", column) == cell(commune, "units", "05755", column), column
    for column in ("tests", "success", "downlink_mean", "rtt_median"):
        assert cell(province, "operators", "45204", column) == cell(commune, "operators", "45204", column)
    assert cell(province, "coverage", "19", "covered_share") == cell(commune, "coverage", "05755", "covered_share")
    quarter = desk.store.report(desk.make("quarter", "05755", Period(SEPTEMBER.end_ms - 92 * 86_400_000,
                                                                     SEPTEMBER.end_ms), AS_OF_MS))  # fmt: skip
    assert cell(quarter, "steps", "2026-09", "ours") == Figure(18)
    assert cell(quarter, "steps", "2026-08", "ours") == Figure(None)


def test_up_to_a_moment_within_an_hour_it_is_right_too(played: HardMonth, desk: Desk) -> None:
    """Of both: a commune is read hour by hour, a province by whole days and what is left at the end."""
    as_of_ms = start_of(date(2026, 9, 20)) + 3 * HOUR_MS + 1
    for unit, row in (("05755", "05755"), ("19", "19")):
        report = desk.store.report(desk.make("to_date", unit, SEPTEMBER, as_of_ms))
        assert cell(report, "units", row, "ours") == Figure(5 + 4 + 4)


def test_names_and_mergers_are_those_of_the_period(played: HardMonth, desk: Desk) -> None:
    report = desk.store.report(desk.make("month", "05755", SEPTEMBER, AS_OF_MS))
    assert report.unit_name == "Phường Phú Xuyên"
    assert report.head.issuer == ("ỦY BAN NHÂN DÂN", "PHƯỜNG PHÚ XUYÊN")
    assert cell(report, "units", "05755", "note") == "trước 10/09/2026 là Xã Phú Xuyên"
    assert cell(report, "units", "h-ben", "note") == "sáp nhập vào Xóm Đồng Chuối từ 16/09/2026"
    assert "1/1 thôn, xóm có mẫu" in report.paragraph, "a hamlet that is no more is not asked for"
    october = Period(*month_of(SEPTEMBER.end_ms))
    later = desk.store.report(desk.make("month", "05755", october, AS_OF_MS))
    assert [row.key for row in next(one for one in tables(later) if one.key == "units").rows] == [
        "h-dong-chuoi",
        "05755",
    ]


def test_a_dossier_says_what_the_coverage_page_says(played: HardMonth, desk: Desk) -> None:
    report = desk.store.report(desk.make("dossier", "h-dong-chuoi", SEPTEMBER, AS_OF_MS))
    assert cell(report, "shares", "45204", "covered") == Figure(50)
    assert cell(report, "shares", "45204", "no_service") == Figure(7)
    page = get(played.here.client(), "/hamlets/h-dong-chuoi/coverage?month=2026-09&lang=vi").text
    shown = cell(report, "shares", "45204", "covered_share").shown("vi")
    assert shown in page
    assert cell(report, "operators", "h-dong-chuoi", "counted") == Figure(13)
    (outages,) = [one for one in tables(report) if one.key == "outages-45204"]
    assert [row.cells[2] for row in outages.rows] == [Figure(7, "minutes")]
    calendar = next(block.calendar for block in report.blocks if block.calendar)
    assert (len(calendar.days), calendar.days[19].hours[11].percent) == (30, 87)
