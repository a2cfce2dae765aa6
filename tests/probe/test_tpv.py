"""gpsd's reports to a fix, freshness, and the position of a site; the recorded reports of gpsd 3.22 among them."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.tpv import Fix, Freshness, distance_m, parse_poll, parse_time_ms, resolve

DATA = Path(__file__).parents[2] / "sim" / "data" / "at-transcripts.json"

TPV: dict[str, Any] = {
    "class": "TPV",
    "device": "/dev/pts/0",
    "mode": 3,
    "time": "2025-02-01T12:00:09.000Z",
    "lat": 21.028511,
    "lon": 105.804817,
    "altMSL": 12.5,
    "eph": 22.8,
}
SKY: dict[str, Any] = {"class": "SKY", "device": "/dev/pts/0", "hdop": 1.2, "uSat": 7}


def poll(tpv: dict[str, Any] | None = None, sky: dict[str, Any] | None = None) -> dict[str, Any]:
    return {
        "class": "POLL",
        "active": 1,
        "tpv": [] if tpv is None else [tpv],
        "sky": [SKY] if sky is None else [sky],
    }


def fix_at(lat_e7: int, lon_e7: int, t_ms: int | None = 0) -> Fix:
    return Fix(
        lat_e7=lat_e7,
        lon_e7=lon_e7,
        alt_mm=None,
        eph_mm=None,
        fix_mode=2,
        sats_used=None,
        hdop_x100=None,
        age_ms=0,
        t_ms=t_ms,
    )


def recorded() -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    lab = next(t for t in json.loads(DATA.read_text()) if t["id"] == "gpsd-3.22-lab")
    return [(e["cmd"], json.loads(e["rx"]), e["expect"]) for e in lab["exchanges"] if e["cmd"].startswith("?POLL")]


def test_every_recorded_report_of_gpsd_is_read_as_expected() -> None:
    seen = 0
    for _, report, expected in recorded():
        fix = parse_poll(report)
        seen += 1
        if "fix" in expected:
            assert fix is None
            continue
        assert fix is not None
        if "lat" in expected:
            assert (fix.lat_e7, fix.lon_e7) == (round(expected["lat"] * 1e7), round(expected["lon"] * 1e7))
            assert fix.eph_mm == round(expected["eph_m"] * 1000)
        if "alt_msl_m" in expected:
            due = expected["alt_msl_m"]
            assert fix.alt_mm == (None if due is None else round(due * 1000))
        if "mode" in expected:
            assert fix.fix_mode == expected["mode"]
    assert seen == 5


def test_the_recorded_stale_report_is_no_fresh_fix() -> None:
    reports = {command: report for command, report, _ in recorded()}
    first = parse_poll(reports["?POLL;  3D fix"])
    later = parse_poll(reports["?POLL;  8 s after the receiver stopped"])
    assert first is not None
    assert later is not None
    state = Freshness().after(fix_at(0, 1, t_ms=1), 99.0).after(first, 100.0)
    assert state.fresh(first, 100.0) is not None
    state = state.after(later, 108.0)
    assert state.fresh(later, 110.1) is None


def test_a_fix_is_read_whole() -> None:
    fix = parse_poll(poll(TPV))
    assert fix == Fix(
        lat_e7=210285110,
        lon_e7=1058048170,
        alt_mm=12_500,
        eph_mm=22_800,
        fix_mode=3,
        sats_used=7,
        hdop_x100=120,
        age_ms=0,
        t_ms=1738411209000,
    )


@pytest.mark.parametrize(
    "change",
    [
        {"mode": 0},
        {"mode": 1},
        {"mode": None},
        {"mode": True},
        {"lat": None},
        {"lat": 0.0, "lon": 0.0},
        {"lat": math.nan},
        {"lon": math.inf},
        {"lat": 90.1},
        {"lon": -180.5},
        {"lat": "21"},
    ],
)
def test_what_is_no_fix_is_none(change: dict[str, Any]) -> None:
    assert parse_poll(poll(TPV | change)) is None


@pytest.mark.parametrize("report", [None, [], "x", {}, {"active": 0, "tpv": [TPV]}, {"active": 1, "tpv": None}, poll()])
def test_reports_without_a_receiver_are_none(report: object) -> None:
    assert parse_poll(report) is None


def test_absent_parts_are_none_never_zero() -> None:
    bare = {k: v for k, v in TPV.items() if k in ("device", "mode", "lat", "lon")}
    fix = parse_poll({"active": 1, "tpv": [bare]})
    assert fix is not None
    assert (fix.alt_mm, fix.eph_mm, fix.sats_used, fix.hdop_x100, fix.t_ms) == (None,) * 5


def test_a_2d_fix_has_no_altitude_and_an_unknown_dilution_is_none() -> None:
    fix = parse_poll(poll(TPV | {"mode": 2, "alt": 3.0}, SKY | {"hdop": 99.99, "uSat": None}))
    assert fix is not None
    assert (fix.fix_mode, fix.alt_mm, fix.hdop_x100, fix.sats_used) == (2, None, None, None)


def test_used_satellites_are_counted_where_gpsd_does_not() -> None:
    sky = {"device": "/dev/pts/0", "satellites": [{"used": True}, {"used": False}, {}, {"used": True}]}
    fix = parse_poll(poll(TPV, sky))
    assert fix is not None
    assert fix.sats_used == 2


def test_of_several_receivers_the_best_mode_counts_with_its_own_sky() -> None:
    other = TPV | {"device": "/dev/pts/9", "mode": 2, "lat": 1.0, "lon": 1.0}
    report = {"active": 2, "tpv": [TPV, other], "sky": [SKY, SKY | {"device": "/dev/pts/9", "uSat": 3}]}
    fix = parse_poll(report)
    assert fix is not None
    assert (fix.lat_e7, fix.sats_used) == (210285110, 7)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*TPV, *SKY, "satellites", "used", "alt"]), inner, max_size=6)
    ),
    max_leaves=12,
)


@given(tpv=JSON, sky=JSON)
def test_no_report_crashes_the_reader(tpv: object, sky: object) -> None:
    fix = parse_poll({"active": 1, "tpv": [tpv, {**TPV, "time": tpv}], "sky": [sky]})
    assert fix is None or abs(fix.lat_e7) <= 900_000_000


@pytest.mark.parametrize(
    ("text", "t_ms"),
    [
        ("1970-01-01T00:00:01Z", 1000),
        ("2025-02-01T12:00:09.000Z", 1738411209000),
        ("2025-02-01T12:00:09", 1738411209000),
        ("", None),
        (None, None),
        ("yesterday", None),
    ],
)
def test_time_is_read_with_and_without_a_fraction(text: object, t_ms: int | None) -> None:
    assert parse_time_ms(text) == t_ms


def test_a_first_fix_is_not_fresh_until_it_moves() -> None:
    old, new = fix_at(1, 1, t_ms=1000), fix_at(1, 1, t_ms=2000)
    state = Freshness().after(old, 10.0)
    assert state.fresh(old, 10.0) is None
    state = state.after(old, 11.0)
    assert state.fresh(old, 11.0) is None
    state = state.after(new, 12.0)
    fresh = state.fresh(new, 12.5)
    assert fresh is not None
    assert fresh.age_ms == 500


def test_a_fix_that_stands_still_goes_stale_after_10_s() -> None:
    first, second = fix_at(1, 1, t_ms=1000), fix_at(1, 1, t_ms=2000)
    state = Freshness().after(first, 0.0).after(second, 1.0)
    for now_s in range(2, 30):
        state = state.after(second, float(now_s))
    assert state.fresh(second, 11.0) is not None
    assert state.fresh(second, 11.001) is None


def test_a_lost_fix_begins_anew() -> None:
    state = Freshness().after(fix_at(1, 1, 1), 0.0).after(fix_at(1, 1, 2), 1.0).after(None, 2.0)
    again = fix_at(1, 1, 3)
    assert state.after(again, 3.0).fresh(again, 3.0) is None


def test_a_receiver_without_time_is_fresh_while_it_moves_in_place() -> None:
    last = fix_at(2, 1, t_ms=None)
    state = Freshness().after(fix_at(1, 1, t_ms=None), 0.0).after(last, 1.0)
    assert state.fresh(last, 2.0) is not None
    assert state.after(last, 20.0).fresh(last, 20.0) is None


def test_distance_of_one_degree_and_of_nothing() -> None:
    assert distance_m(210000000, 1050000000, 220000000, 1050000000) == pytest.approx(111_195, abs=5)
    assert distance_m(210000000, 1050000000, 210000000, 1050000000) == 0
    assert distance_m(0, 1799999999, 0, -1799999999) < 1


def test_the_surveyed_position_is_the_position_and_the_fix_its_witness() -> None:
    position = resolve((210285110, 1058048170), fix_at(210303110, 1058048170))
    assert (position.lat_e7, position.lon_e7, position.position_source) == (210285110, 1058048170, "surveyed")
    assert position.surveyed_offset_m == 200
    assert position.fix is not None


def test_without_a_survey_the_fix_is_the_position_and_without_both_there_is_none() -> None:
    fix = fix_at(5, 6)
    alone = resolve(None, fix)
    assert (alone.lat_e7, alone.lon_e7, alone.position_source, alone.surveyed_offset_m) == (5, 6, "gps", None)
    nothing = resolve(None, None)
    assert (nothing.lat_e7, nothing.lon_e7, nothing.position_source, nothing.fix) == (None, None, "none", None)
    assert resolve((1, 2), None).surveyed_offset_m is None
