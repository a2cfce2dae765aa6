"""Engines by name, two in one slot, the host's ceiling, and what of an engine's answer stands in a record."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import msgspec
import pytest

from probe import calibrate, compose, engines, measure
from probe.core.engine_terms import EngineResult
from probe.core.schedule import Plan
from probe.measure import Order
from probe.settings import Engine
from wire.records import TestRecord

PLAN = Plan("p-dong-chuoi", "m1", bytes(32), 3_600_000, 90_000)
ORDER = Order("m1", "cell0", "scheduled", slot_ms=1_800_000_000_000, slot_length_ms=3_600_000, due_ms=1_800_000_001_000)


def test_both_engines_are_there_under_the_names_of_the_contract() -> None:
    assert set(engines.ENGINES) == {"dosong", "speedtest-cli"}
    assert all(engine.name == name for name, engine in engines.ENGINES.items())
    assert (engines.other("dosong"), engines.other("speedtest-cli")) == ("speedtest-cli", "dosong")


def test_a_slot_has_one_counted_sample_however_many_engines_run(bench: measure.Bench) -> None:
    assert engines.runs(ORDER, PLAN, bench, None) == ((ORDER, bench),)
    second = replace(bench, mono_ms=lambda: 1)
    for slot in range(200):
        order = replace(ORDER, slot_ms=slot * 3_600_000)
        pair = engines.runs(order, PLAN, bench, second)
        (kept,) = [one for one, used in pair if used is bench]
        (beside,) = [one for one, used in pair if used is second]
        assert kept == order
        assert (beside.trigger, beside.slot_ms, beside.slot_length_ms, beside.due_ms) == ("manual", None, None, None)


def test_the_order_of_two_engines_is_drawn_from_the_slot_and_repeats() -> None:
    drawn = [engines.is_swapped(PLAN, slot * 3_600_000) for slot in range(400)]
    assert 150 < sum(drawn) < 250
    assert drawn == [engines.is_swapped(PLAN, slot * 3_600_000) for slot in range(400)]
    assert drawn != [engines.is_swapped(replace(PLAN, seed=bytes([1]) * 32), slot * 3_600_000) for slot in range(400)]
    assert not engines.is_swapped(PLAN, None)


@pytest.fixture
def bench() -> measure.Bench:
    def never(*_: object) -> None:
        raise AssertionError

    return measure.Bench(never, never, never, never, never, never)  # type: ignore[arg-type]


def test_settings_become_a_request() -> None:
    ours = Engine(name="dosong", server="http://198.18.0.1:8080", echo="198.18.0.1:8080")
    request = compose.request(ours, "cell0")
    assert (request.server_host, request.server_port, request.udp_port) == ("198.18.0.1", 8080, 8080)
    assert (request.cap_ms, request.echo_count) == (5_000, 40)
    assert compose.request(msgspec.structs.replace(ours, saver=True), "cell0").cap_ms == 3_000


def test_every_figure_of_an_engine_has_its_place_or_is_known_to_have_none() -> None:
    """A field that silently went nowhere would be data lost."""
    names = {field.name for field in fields(EngineResult)}
    homeless = names - set(TestRecord.__struct_fields__)
    assert homeless == {
        "cpu_ppm",
        "receipts",
        "downlink_limit",
        "uplink_limit",
        "cross_bps",
        "retry_after_s",
        "downlink_wall_us",
        "uplink_wall_us",
    }


def test_the_hosts_ceiling_is_measured_and_survives_its_mark() -> None:
    ceiling = calibrate.measure()
    assert min(ceiling.downlink_bps, ceiling.uplink_bps) > 100_000_000
    assert calibrate.read(ceiling.as_mark()) == ceiling
    assert calibrate.read(None) is calibrate.read("") is calibrate.read("x y") is None


def test_adding_an_engine_is_a_file_and_a_line() -> None:
    source = Path(engines.__file__).read_text()
    assert source.count("Engine(),\n") == len(engines.ENGINES)
