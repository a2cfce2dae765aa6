"""Bulk streams of `/api/v1`: every row once however often a download is cut, memory bounded, safe in a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.api.routes import BY_NAME
from tests.collector.kit import T0_MS
from tests.collector.test_web_world import HAMLET, World, get, world
from wire.metrics import metrics

DAY_MS, HOUR_MS = 86_400_000, 3_600_000


@pytest.fixture(scope="module")
def still(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """Three days of records of two operators, windows of coverage between."""
    with world(tmp_path_factory.mktemp("bulk")) as made:
        for day in range(3):
            for i in range(4):
                t_ms = T0_MS + day * DAY_MS + i * 3_600_000
                slot = {"slot_ms": t_ms, "plmn": ("45204", "45201")[i % 2], "downlink_bps": 1_000_000 * (i + 1)}
                made.take(made.probe.test(t_ms=t_ms, **slot))
            made.take(made.probe.coverage("CCDNU", "..nsz", t_ms=T0_MS + day * DAY_MS))
        yield made


def text(here: World, path: str) -> str:
    answer = get(here.client("auditor"), f"/api/v1/bulk/{path}")
    assert answer.status_code == 200, answer.text
    return answer.text


def rows(here: World, path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text(here, path).splitlines()]


def test_records_carry_every_metric_of_their_kind(still: World) -> None:
    found = rows(still, "records.ndjson")
    assert [row["n"] for row in found] == [1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13, 14]
    assert {m.name for m in metrics("test")} <= set(found[0])
    assert found[0]["downlink_bps"] == 1_000_000
    assert found[0]["budget_used_bytes"] is None
    assert found[0]["position_lat_e7"] == 215_000_000
    assert (found[0]["began_ms"], found[0]["began"]) == (T0_MS, "2026-09-21T14:20:00.000Z")


def test_coverage_comes_minute_by_minute(still: World) -> None:
    found = rows(still, f"coverage.ndjson?hamlet={HAMLET}")
    assert len(found) == 15
    assert [(r["state"], r["cause"], r["began_ms"] - T0_MS) for r in found[:5]] == [
        ("covered", None, 0),
        ("covered", None, 60_000),
        ("degraded", "not_lte", 120_000),
        ("no_service", found[3]["cause"], 180_000),
        ("unknown", found[4]["cause"], 240_000),
    ]
    assert all(r["cause"] for r in found[2:5])


def test_rollups_are_the_sums_of_the_records(still: World) -> None:
    records = rows(still, "records.ndjson")
    for span in ("day", "hour"):
        found = rows(still, f"rollups.ndjson?span={span}")
        assert sum(r["tests"] for r in found) == len(records)
        assert sum(r["covered"] for r in found) == 6
        assert sum(r["downlink_bps_n"] for r in found) == sum(r["counted"] for r in records)
    one = next(r for r in rows(still, "rollups.ndjson") if r["plmn"] == "45204")
    assert (one["tests"], one["downlink_bps_median"], one["downlink_bps_mean"]) == (2, 1_000_000, 2_000_000)


@pytest.mark.parametrize(
    "path",
    ["records.ndjson?", "coverage.ndjson?", "rollups.ndjson?span=day&", "rollups.ndjson?span=hour&"],
)
def test_a_download_cut_anywhere_goes_on_behind_its_last_row(still: World, path: str) -> None:
    whole = rows(still, path)
    assert len({row["cursor"] for row in whole}) == len(whole)
    for at in range(len(whole)):
        rest = rows(still, f"{path}cursor={whole[at]['cursor']}")
        assert rest == whole[at + 1 :], at
    assert rows(still, f"{path}limit=2") == whole[:2]


def test_every_cursor_that_is_given_out_is_one_that_is_taken(still: World) -> None:
    for name in ("records", "coverage", "rollups"):
        param = next(p for p in BY_NAME[f"{name}_ndjson"].params if p.name == "cursor")
        for row in rows(still, f"{name}.ndjson"):
            assert param.read(row["cursor"]) == row["cursor"]


def test_csv_says_the_same_as_ndjson(still: World) -> None:
    for name in ("records", "coverage", "rollups"):
        raw = text(still, f"{name}.csv")
        assert raw.endswith("\r\n")
        table = list(csv.DictReader(io.StringIO(raw)))
        flat = rows(still, f"{name}.ndjson")
        assert len(table) == len(flat)
        for cells, row in zip(table, flat, strict=True):
            for key, value in row.items():
                plain = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
                assert cells[key].removeprefix("'") == plain, key


def test_csv_for_excel_begins_with_a_mark(still: World) -> None:
    answer = get(still.client("auditor"), "/api/v1/bulk/records.csv?bom=true")
    assert answer.data.startswith(b'\xef\xbb\xbf"cursor"')
    assert answer.headers["Content-Disposition"] == 'attachment; filename="dosong-records.csv"'
    assert not text(still, "records.csv").startswith("\ufeff")


def test_times_limit_what_comes(still: World) -> None:
    span = f"since_ms={T0_MS + DAY_MS}&until_ms={T0_MS + 2 * DAY_MS}"
    assert [r["n"] for r in rows(still, f"records.ndjson?{span}")] == [6, 7, 8, 9]
    first = T0_MS // HOUR_MS * HOUR_MS + DAY_MS
    hours = rows(still, f"rollups.ndjson?span=hour&since_ms={first}&until_ms={first + DAY_MS}")
    assert sorted(r["start_ms"] for r in hours if r["tests"]) == [first + i * HOUR_MS for i in range(4)]


def test_memory_stays_that_of_a_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ten times the rows need no more memory: what is sent is let go."""
    monkeypatch.setattr("collector.api.bulk.PAGE_ROWS", 20)
    monkeypatch.setattr("collector.api.bulk.CHUNK_CHARS", 4096)
    with world(tmp_path) as made:
        peaks = []
        for count in (60, 540):
            for _ in range(count // 20):
                made.take(*(made.probe.test() for _ in range(20)))
            client = made.client("auditor")
            tracemalloc.start()
            stream = client.get("/api/v1/bulk/records.csv", base_url="https://dosong.example")
            total = sum(len(chunk) for chunk in stream.iter_encoded())
            peaks.append((total, tracemalloc.get_traced_memory()[1]))
            tracemalloc.stop()
            stream.close()
        (small, low), (big, high) = peaks
        assert big > 8 * small
        assert high < low + (big - small) / 2
