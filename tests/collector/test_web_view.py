"""The arithmetic behind the pages: forms of numbers and times, medians, pace, service, coverage, charts, health."""

from __future__ import annotations

import random
import statistics
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from collector import catalogue
from collector.core import view
from collector.core.sample import Deliveries, ProbeState, Sample
from collector.core.view import short_code, sort_key
from collector.core.view_chart import Box, nice_step, plain_map, rate_by_rsrp, rates_over_time, scale_ticks, time_ticks
from collector.core.view_figures import N_MIN, by_operator, figures, pace, percentile, points, stat
from collector.core.view_health import HealthFacts, faults
from collector.core.view_probe import checkup
from collector.core.view_record import fields, group_of, groups, metric_values
from collector.core.view_service import State, coverage_sum, service, silent_after_ms, windows
from collector.web.words import say
from tests.collector.kit import T0_MS, FakeProbe
from wire import codec
from wire.metrics import metrics
from wire.records import KINDS

NOW_MS = T0_MS + 3_600_000


def row(probe: FakeProbe, raw: bytes, n: int, *, counted: bool = True, received_ms: int | None = None) -> Sample:
    """A ledger row as the reader gives it."""
    record = codec.decode_body(codec.body_of(raw))
    kind = record.__struct_config__.tag
    return Sample(
        n=n, part=0, probe=record.probe, epoch=record.epoch, seq=record.seq, kind=str(kind), t_ms=record.t_ms,
        received_ms=record.t_ms or 0 if received_ms is None else received_ms, record=record, raw=raw,
        leaf=codec.leaf_hash(raw), fault=None, fault_detail=None, in_chain=True, province="19", commune="05755",
        hamlet="h", counted=counted and kind == "test", not_counted=(),
    )  # fmt: skip


@pytest.fixture
def probe() -> FakeProbe:
    return FakeProbe()


def test_numbers_read_as_the_language_writes_them() -> None:
    assert view.decimal(1234.56, 1, "vi") == "1.234,6"
    assert view.decimal(1234.56, 1, "en") == "1,234.6"
    assert view.decimal(-0.04, 1, "vi") == "0,0"
    assert view.tenths(-1103, "vi") == "−110,3"
    assert view.mbps(35_312_000, "vi") == "35,3"
    assert view.mbps(None, "en") == view.NONE
    assert view.milliseconds(41_300, "en") == "41.3"
    assert view.milliseconds(412_300, "en") == "412"
    assert view.quantity(50_000, "ppm", "vi") == "5,00 %"
    assert view.quantity(7, "1", "vi") == "7"


def test_times_are_vietnamese_and_months_begin_at_seventeen_utc() -> None:
    assert view.moment(1_795_342_680_496) == "17:18:00 22/11/2026"
    november = view.month(2026, 11)
    assert view.moment(november.start_ms) == "00:00:00 01/11/2026"
    assert november.start_ms % view.DAY_MS == 17 * 3_600_000
    assert view.month_of(november.start_ms - 1) == view.month(2026, 10)
    assert view.month(2026, 12).end_ms == view.month(2027, 1).start_ms
    assert view.month_before(view.month(2027, 1)).code == "2026-12"


@pytest.mark.parametrize("text", ["2026-13", "2026-00", "1999-01", "26-1", "2026/01", "", "2026-1x", "２０２６-01"])
def test_what_is_no_month_is_none(text: str) -> None:
    assert view.parse_month(text) is None


def test_ages_round_down_and_never_read_negative() -> None:
    assert [view.age(ms) for ms in (-5, 59_999, 60_000, 7_200_000, 172_800_000)] == [
        (0, "s"), (59, "s"), (1, "min"), (2, "h"), (2, "d"),
    ]  # fmt: skip


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=60))
def test_the_median_is_a_measured_value_and_agrees_with_low_median(values: list[int]) -> None:
    found = percentile(values, 50)
    assert found == statistics.median_low(values)


def test_percentile_follows_influxql_and_n_min_the_catalogue() -> None:
    assert percentile([], 50) is None
    assert percentile([1, 2, 3, 4], 50) == 2
    assert percentile([5], 5) is None
    assert percentile(range(1, 11), 5) == 1
    assert percentile(list(range(1, 101)), 5) == 5
    assert catalogue.N_MIN == N_MIN


def test_figures_take_rates_of_counted_samples_and_success_of_all_that_ran(probe: FakeProbe) -> None:
    rows = [row(probe, probe.test(downlink_bps=bps), i) for i, bps in enumerate((10, 30, 20))]
    rows.append(row(probe, probe.test(downlink_bps=10**9), 3, counted=False))
    failed = {"outcome": "failed", "stage": "registration", "cause": "searching"}
    rows.append(row(probe, probe.test(**failed, downlink_bps=None), 4, counted=False))
    skipped = {"outcome": "skipped", "stage": "schedule", "cause": "budget_spent"}
    rows.append(row(probe, probe.test(**skipped, plmn="45202"), 5, counted=False))
    found = figures(points(rows))
    assert (found.tests, found.counted) == (6, 3)
    assert (found.downlink.median, found.downlink.mean, found.downlink.n) == (20, 20, 3)
    assert not found.downlink.enough
    assert (found.success.hits, found.success.n) == (4, 5)
    assert [(f.plmn, f.tests) for f in by_operator(points(rows))] == [("45202", 1), ("45204", 5)]
    assert stat([None, None]).median is None


def test_pace_compares_with_an_even_month() -> None:
    november = view.month(2026, 11)
    half = (november.start_ms + november.end_ms) // 2

    def at(counted: int, minimum: int | None = 300) -> tuple[str, int | None, int | None]:
        found = pace(counted, minimum, november.start_ms, november.end_ms, half)
        return found.word, found.due, found.missing

    assert at(149) == ("behind", 150, 151)
    assert at(150) == ("on_pace", 150, 150)
    assert at(300) == ("reached", 150, 0)
    assert at(9, None) == ("no_quota", None, None)
    assert pace(299, 300, november.start_ms, november.end_ms, november.end_ms + 1).due == 300


def test_service_says_what_the_newest_record_says(probe: FakeProbe) -> None:
    ok = row(probe, probe.test(), 1)
    assert service([ok], NOW_MS).state is State.GOOD
    lost = row(probe, probe.test(outcome="failed", stage="registration", cause="searching", downlink_bps=None), 2)
    assert service([lost, ok], lost.received_ms).state is State.BAD
    again = row(probe, probe.test(), 3)
    assert service([again, lost, ok], again.received_ms).state is State.WEAK
    assert service([], NOW_MS).cause == "no_records"


@pytest.mark.parametrize(
    "cause", ["budget_spent", "data_exhausted", "power", "no_modem", "server_down", "engine_killed"]
)
def test_a_fault_that_is_not_the_networks_is_unknown_never_bad(probe: FakeProbe, cause: str) -> None:
    failed = row(probe, probe.test(outcome="failed", stage="host", cause=cause, downlink_bps=None), 1)
    assert service([failed], NOW_MS).state is State.NONE


def test_service_off_the_path_and_by_coverage(probe: FakeProbe) -> None:
    path = {"verdict": "invalid_path", "iface": "wlan0", "rx_bytes": 1, "tx_bytes": 1, "other_rx_bytes": 0}
    off = row(probe, probe.test(path={**path, "other_tx_bytes": 0, "ifindex_changed": False}), 1)
    assert service([off], NOW_MS).cause == "invalid_path"
    for states, causes, expected in (
        ("CC", "..", "good"),
        ("CD", ".e", "weak"),
        ("CN", ".s", "bad"),
        ("CU", ".f", "none"),
    ):
        assert service([row(probe, probe.coverage(states, causes), 2)], NOW_MS).state == expected


def test_silence_is_three_usual_intervals(probe: FakeProbe) -> None:
    rows = [row(probe, probe.test(), i) for i in range(6)][::-1]
    assert silent_after_ms([s.received_ms for s in rows]) == 1_800_000
    assert service(rows, rows[0].received_ms + 1_800_000).state is State.GOOD
    assert service(rows, rows[0].received_ms + 1_800_001).cause == "silent"
    assert silent_after_ms([5]) is None
    assert silent_after_ms([5, 5]) == 90_000


def test_coverage_keeps_unknown_apart(probe: FakeProbe) -> None:
    strips = windows([row(probe, probe.coverage("CCDNUU", "..esff"), 1)])
    found = coverage_sum(strips)
    assert [(r.state, r.cause, r.steps) for r in strips[0].runs] == [
        ("covered", None, 2), ("degraded", "echo_lost", 1), ("no_service", "searching", 1), ("unknown", "power", 2),
    ]  # fmt: skip
    assert found.known_ms == 240_000
    assert found.known_ppm("covered") == 500_000
    assert found.by_cause_ms["unknown", "power"] == 120_000
    assert sum(found.by_state_ms.values()) == found.total_ms
    assert coverage_sum([]).known_ppm("covered") is None


def test_charts_stay_inside_their_box(probe: FakeProbe) -> None:
    dice = random.Random(7)
    rows = [row(probe, probe.test(downlink_bps=dice.randrange(10**8), uplink_bps=None), i) for i in range(40)]
    rows.append(row(probe, probe.test(outcome="failed", stage="connect", cause="timeout", downlink_bps=None), 99))
    box = Box()
    for chart in (rates_over_time(rows), rate_by_rsrp(rows)):
        assert chart is not None
        for mark in chart.marks:
            assert box.left <= mark.x <= box.width - box.right
            assert box.top - 0.1 <= mark.y <= box.floor
        assert chart.y_ticks[0].value == 0
    drawn = rates_over_time(rows)
    assert drawn is not None
    assert [m.series for m in drawn.marks].count("failed") == 1
    assert rates_over_time([]) is None
    assert rate_by_rsrp([]) is None


@given(st.floats(0.001, 1e12), st.integers(2, 10))
def test_ticks_are_round_and_cover(span: float, parts: int) -> None:
    ticks = scale_ticks(0, span, parts)
    assert ticks[-1] >= span * (1 - 1e-6)
    assert len(ticks) <= parts + 2
    assert nice_step(0, 5) == 1.0


@given(st.integers(0, 4 * 10**12), st.integers(1, 10**11))
def test_time_ticks_are_few_and_inside(start_ms: int, span_ms: int) -> None:
    ticks = time_ticks(start_ms, start_ms + span_ms, 6)
    assert len(ticks) <= 7
    assert all(start_ms <= t <= start_ms + span_ms for t in ticks)


def test_the_plain_map_puts_north_up_and_east_right() -> None:
    spots = {s.code: s for s in plain_map([("n", 217, 1060), ("s", 215, 1060), ("e", 216, 1062)], 640, 420, 70)}
    assert spots["n"].y < spots["s"].y
    assert spots["e"].x > spots["n"].x
    assert plain_map([], 1, 1, 0) == ()


def test_a_record_is_taken_apart_whole(probe: FakeProbe) -> None:
    sample = row(probe, probe.test(), 1)
    assert sample.record is not None
    shown = {r.name for g in groups(sample.record, "test") for r in g.rows}
    assert shown == {name for name, _ in fields(sample.record)}
    values = metric_values(sample.record, "test", exact=True)
    assert set(values) == {m.name for m in metrics("test")}
    assert values["radio_before_rsrp_dbm_x10"] == -1010
    assert "position_lat_e7" not in metric_values(sample.record, "test", exact=False)


def test_every_field_of_the_contract_has_a_group() -> None:
    for shape in KINDS.values():
        for name in msgspec.structs.fields(shape):
            assert group_of(name.name)


def test_a_probe_is_ill_for_the_first_reason_that_holds(probe: FakeProbe) -> None:
    rows = [row(probe, probe.test(), i) for i in range(4)]
    state = ProbeState("p-one", 1, 3, 3, 4, rows[-1].received_ms, rows[-1].t_ms, "test", "online", 0)
    now_ms = rows[-1].received_ms
    assert checkup("active", state, rows[::-1], now_ms).illness is None
    for registered, word in (("active", "never"), ("revoked", "revoked")):
        illness = checkup(registered, None, [], now_ms).illness
        assert illness is not None
        assert illness.word == word
    hole = checkup("active", ProbeState("p-one", 1, 1, 3, 4, now_ms, now_ms, "test", "online", 0), rows[::-1], now_ms)
    assert (hole.missing, hole.illness.word if hole.illness else None) == (2, "hole")
    silent = checkup("active", state, rows[::-1], now_ms + 10**9).illness
    assert silent is not None
    assert (silent.word, silent.since_ms) == ("silent", now_ms)
    bad = {"outcome": "failed", "stage": "sim", "cause": "sim_puk", "downlink_bps": None}
    rows += [row(probe, probe.test(**bad), 5), row(probe, probe.test(**bad), 6)]
    failed = checkup("active", state, rows[::-1], rows[-1].received_ms).illness
    assert failed is not None
    assert (failed.word, failed.since_ms) == ("sim_puk", rows[4].t_ms)


def test_health_names_each_fault_once_gravest_first() -> None:
    none = Deliveries(5, 0, 0)
    well = HealthFacts(receive_alive=True, forward_alive=True, broker_connected=True, forward_lag=3, parked=0)
    assert faults(well, none, 10, 20) == ()
    assert [f.word for f in faults(well, none, None, 20)] == ["empty"]
    dead = HealthFacts(receive_alive=False, forward_alive=False)
    assert [f.word for f in faults(dead, Deliveries(0, 0, 2), 0, 10**9)] == ["receive", "forward", "quiet", "refused"]
    ill = HealthFacts(True, True, False, "no route", "disk full", 900, "connection refused", 4)
    assert [f.word for f in faults(ill, none, 10, 20)] == ["broker", "ledger", "influx", "parked"]
    since = replace(ill, broker_since_ms=7, influx_write_ms=8)
    assert [f.since_ms for f in faults(since, none, 10, 20)] == [7, 10, 8, None]
    gone = replace(dead, receive_said_ms=5, forward_said_ms=6)
    assert [f.since_ms for f in faults(gone, none, 10, 20)] == [5, 6]
    behind = HealthFacts(True, True, True, None, None, 900, None, 0)
    assert [(f.word, f.number) for f in faults(behind, none, 10, 20)] == [("lag", 900)]


def test_names_sort_as_vietnamese_does() -> None:
    names = ["Đồng Dong", "Làng Đèn", "Dốc Đỏ", "Ấp 2", "An Lạc", "Ba", "Bá", "Bà", "Ea"]
    assert sorted(names, key=sort_key) == ["An Lạc", "Ấp 2", "Ba", "Bà", "Bá", "Dốc Đỏ", "Đồng Dong", "Ea", "Làng Đèn"]


def test_a_short_code_is_the_beginning_of_the_hash() -> None:
    assert short_code(bytes.fromhex("9f3a01bc") + bytes(28)) == "9F3A-01BC"


def test_labels_of_steps_of_two_and_a_half_keep_their_half(probe: FakeProbe) -> None:
    radios = [{"before": {"rsrp_dbm_x10": dbm_x10}} for dbm_x10 in (-910, -800)]
    rows = [row(probe, probe.test(radio=radio), i) for i, radio in enumerate(radios)]
    chart = rate_by_rsrp(rows)
    assert chart is not None
    assert any(tick.value % 10 for tick in chart.x_ticks)
    assert chart.x_digits == 1


def test_records_without_a_good_signature_are_a_fault_with_their_number() -> None:
    well = HealthFacts(receive_alive=True, forward_alive=True, seal_alive=True, unsigned=0)
    ill = HealthFacts(receive_alive=True, forward_alive=True, seal_alive=True, unsigned=3)
    told = {f.word: f.number for f in faults(ill, Deliveries(1, 0, 0), 1, 1)}
    assert told == {"unsigned": 3}
    assert faults(well, Deliveries(1, 0, 0), 1, 1) == ()
    assert say("fault.unsigned", "vi", n=3).startswith("3 ")
