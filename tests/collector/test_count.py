"""The counted sample: each rule alone turns it down, with its own word."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from collector.core.clock import day_of, month_of
from collector.core.count import Standing, reasons
from collector.core.place import Place, distance_m
from tests.collector.kit import T0_MS, FakeProbe
from wire import codec

HERE = Place("19", "05755", "h-one", "s-one", 215_000_000, 1_058_000_000)
GOOD = Standing(
    fault=None, in_chain=True, fork=False, quarantine=False, registered_simulated=False, t_ms=T0_MS, place=HERE,
    unit="05755", slot_taken=False,
)  # fmt: skip
FAR = {"source": "gps", "lat_e7": 215_100_000, "lon_e7": 1_058_000_000}
BY_STANDING: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"unit": "h-one"}, ()),
    ({"unit": "05746"}, ("referral",)),
    ({"unit": None}, ("referral",)),
    ({"place": None}, ("no_place",)),
    ({"slot_taken": True}, ("same_slot",)),
    ({"quarantine": True}, ("quarantine",)),
    ({"registered_simulated": True}, ("simulated",)),
    ({"t_ms": None}, ("undated",)),
    ({"fork": True}, ("fork",)),
    ({"fault": "fork", "in_chain": False}, ("fork",)),
    ({"fault": "broken_chain"}, ("broken_chain",)),
]
BY_RECORD: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"outcome": "failed", "stage": "pdn", "cause": "no_pdp"}, ("outcome",)),
    ({"outcome": "partial", "stage": "uplink", "cause": "timeout"}, ("outcome",)),
    ({"path": None}, ("invalid_path",)),
    ({"slot_ms": None}, ("no_slot",)),
    ({"clock": "suspect"}, ("clock",)),
    ({"position": None}, ("position",)),
    ({"position": {"source": "none"}}, ("position",)),
    ({"position": FAR}, ("position",)),
    ({"position": {**FAR, "lat_e7": 215_010_000}}, ()),
    ({"position": {**FAR, "lat_e7": 215_000_000, "surveyed_offset_m": 500}}, ("position",)),
]


@pytest.mark.parametrize(("changes", "expected"), BY_STANDING, ids=str)
def test_what_the_collector_knows(changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    record = codec.decode_body(codec.body_of(FakeProbe().test()))
    assert reasons(record, replace(GOOD, **changes)) == expected


@pytest.mark.parametrize(("changes", "expected"), BY_RECORD, ids=str)
def test_what_the_record_says(changes: dict[str, Any], expected: tuple[str, ...]) -> None:
    record = codec.decode_body(codec.body_of(FakeProbe().test(**changes)))
    assert reasons(record, GOOD) == expected


def test_only_a_test_that_can_be_read_counts() -> None:
    assert reasons(None, replace(GOOD, fault="schema")) == ("fault",)
    assert reasons(codec.decode_body(codec.body_of(FakeProbe().coverage())), GOOD) == ("not_a_test",)


def test_a_fix_confirms_nothing_where_no_site_was_surveyed() -> None:
    unsurveyed = replace(GOOD, place=replace(HERE, lat_e7=None, lon_e7=None))
    record = codec.decode_body(codec.body_of(FakeProbe().test(position={**FAR, "lat_e7": 215_000_000})))
    assert reasons(record, unsurveyed) == ("position",)


def test_distance() -> None:
    # Hanoi to Thai Nguyen, 0.01 degree of latitude is 1112 m on the sphere.
    assert round(distance_m(215_000_000, 1_058_000_000, 215_100_000, 1_058_000_000)) == 1112
    assert distance_m(1, 1, 1, 1) == 0


def test_days_and_months_are_vietnams() -> None:
    midnight = 1_790_010_000_000 // 86_400_000 * 86_400_000 + 17 * 3_600_000  # 00:00 in Ho Chi Minh City
    assert day_of(midnight) == (midnight, midnight + 86_400_000)
    assert day_of(midnight - 1)[1] == midnight
    new_year = 1_798_736_400_000  # 2027-01-01T00:00+07:00
    assert month_of(new_year)[0] == new_year
    assert month_of(new_year - 1) == (1_796_058_000_000, new_year)
