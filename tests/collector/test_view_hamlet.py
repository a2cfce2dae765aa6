"""A hamlet's drawings: by the catalogue's definitions, equal to a real InfluxDB's answers, nothing assessed below n."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request

import pytest

from collector.catalogue import QUERIES, Scope, bind
from collector.core.clock import DAY_MS, HOUR_MS, day_of
from collector.core.rollup import COUNTS, METRICS, DayKey, Hour
from collector.core.view_figures import percentile
from collector.core.view_hamlet import STRIP_HOURS, band, band_days, hours_of_day, strips
from collector.rollups import Rollups
from tests.collector.conftest import Bench
from tests.collector.kit import SLOT_MS, T0_MS, FakeProbe, Influx, until
from tests.collector.test_forward import count

DAY = day_of(T0_MS)[0]
END = DAY + DAY_MS


def hour(values: tuple[int, ...] = (), **counts: int) -> Hour:
    held = [counts.get(name, 0) for name in COUNTS]
    return Hour(held, 0, 0, {}, {}, {}, [sorted(values) if name == "downlink_bps" else [] for name in METRICS])


def key(day_ms: int = DAY, plmn: str = "45204") -> DayKey:
    return DayKey(day_ms, "19", "05755", "h", plmn)


def test_a_days_percentiles_are_over_all_its_values_never_over_medians() -> None:
    days = [
        (key(), {1: hour((1, 2, 3)), 5: hour((50,))}),
        (key(plmn="45202"), {1: hour(tuple(range(100, 106)))}),
        (key(DAY - DAY_MS), {3: hour((7,))}),
        (key(DAY - 3 * DAY_MS), {3: hour()}),
    ]
    found = band_days(days)
    values = [1, 2, 3, 50, *range(100, 106)]
    assert [one.day_ms for one in found] == [DAY - DAY_MS, DAY]
    assert (found[1].p5, found[1].p50, found[1].p95, found[1].n) == (*(percentile(values, p) for p in (5, 50, 95)), 10)
    assert (found[0].p5, found[0].n) == (None, 1)
    drawn = band(days, END)
    assert drawn is not None
    assert (drawn.n, len(drawn.lines), len(drawn.areas)) == (11, 1, 0)
    assert band([(key(), {3: hour()})], END) is None


def test_an_hour_of_day_is_assessed_from_n_on() -> None:
    days = [
        (key(DAY - i * DAY_MS), {8: hour((10_000_000 * (i + 1),)), 9: hour((1,)) if i else hour()}) for i in range(5)
    ]
    (row,) = hours_of_day(days)
    assert (row.hours[8].bps, row.hours[8].n, row.hours[8].tone) == (30_000_000, 5, "c0")
    assert (row.hours[9].enough, row.hours[9].tone, row.hours[0].n) == (False, "few", 0)


def test_the_strip_takes_the_worst_known_state_and_leaves_gaps() -> None:
    hours = {
        0: hour(covered=60),
        1: hour(covered=59, unknown=1),
        2: hour(covered=30, no_service=1, degraded=29),
        3: hour(unknown=60),
        7: hour(degraded=1, covered=59),
    }
    (strip,) = strips([(key(), hours)], END)
    assert [(r.state, (r.start_ms - DAY) // HOUR_MS, r.hours) for r in strip.runs] == [
        ("covered", 0, 2),
        ("no_service", 2, 1),
        ("unknown", 3, 1),
        ("degraded", 7, 1),
    ]
    assert strips([(key(END - STRIP_HOURS * HOUR_MS - DAY_MS), hours)], END) == ()


@pytest.mark.services
def test_page_and_board_show_the_same_band(full: Bench, one: FakeProbe, influx: Influx) -> None:
    """The catalogue's query at a real InfluxDB against the ledger's rollups, day by day."""
    full.receiving()
    full.forward.start()
    tests = 40
    for n in range(tests):
        t_ms = T0_MS + n * 2 * HOUR_MS
        bps = 1_000_000 * (1 + n * 7 % 31)
        full.field.send("p-one", one.test(t_ms=t_ms, slot_ms=t_ms, slot_length_ms=SLOT_MS, downlink_bps=bps))
    until(lambda: count(influx, "test", "seq") == tests, 60)
    end_ms = day_of(T0_MS + tests * 2 * HOUR_MS)[0] + DAY_MS
    days = list(Rollups(full.reader).days(DAY, end_ms, "05755", "h-dong-chuoi"))
    ours = {d.day_ms: (d.p5, d.p50, d.p95, d.n) for d in band_days(days)}
    text = bind(QUERIES["downlink_band"], Scope(DAY, end_ms - 1, hamlet=["h-dong-chuoi"], bucket="1d"))
    asked = urllib.parse.urlencode({"db": "dosong", "epoch": "ms", "q": text})
    with urllib.request.urlopen(f"http://127.0.0.1:{influx.port}/query?{asked}", timeout=10) as answer:
        rows = json.loads(answer.read())["results"][0]["series"][0]["values"]
    theirs = {row[0]: (*(None if v is None else v * 1e6 for v in row[1:4]), row[4]) for row in rows if row[4]}
    assert sum(n for *_, n in ours.values()) == tests
    assert theirs.keys() == ours.keys()
    for day_ms, values in theirs.items():
        assert values == pytest.approx(ours[day_ms])
