"""The fleet of honest stations and cheats: one seed gives one fleet, and the judge finds every class of fakes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.fakes import examine, goals, world
from sim import fleet as fleets
from sim.fleet import Fleet
from sim.fleet_fakes import FAKES
from wire import codec
from wire.note import parse_vkey


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return fleets.make(5, honest=3, days=12, is_short=True)


def test_the_seed_decides_everything_and_keys_and_chains_are_real(fleet: Fleet, tmp_path: Path) -> None:
    again = fleets.make(5, honest=1, days=3, per_kind=0)
    twice = fleets.make(5, honest=1, days=3, per_kind=0)
    assert again.deliveries == twice.deliveries
    keys = {row["id"]: parse_vkey(row["vkey"]) for row in fleet.registry["probes"]}
    one = next(d for d in fleet.deliveries if d.topic.endswith(f"/{fleet.honest[0]}"))
    opened = codec.open_record(one.entries[-1], fleets.ORIGIN, fleet.honest[0], keys[fleet.honest[0]])
    assert opened.fault is None
    fleets.write(again, tmp_path)
    truth = json.loads((tmp_path / "truth.json").read_text())
    assert truth["honest"] == ["p-0000"]
    assert (tmp_path / "prefixes.toml").read_text().startswith("[prefixes]\n45204 = ")


def test_every_class_of_fakes_is_found_and_the_honest_are_left_in_peace(fleet: Fleet, tmp_path: Path) -> None:
    assert {one.fake for one in fleet.faked} == set(FAKES)
    with world(fleet, tmp_path) as here:
        outcome = examine(fleet, here)
    assert len(outcome.classes) == 12
    for name, row in outcome.classes.items():
        assert row.found >= row.made * 0.9, (name, row.missed)
    assert outcome.honest_rejected == outcome.honest_refused == 0
    assert outcome.honest_suspect <= outcome.honest * 0.02, outcome.honest_rules
    assert outcome.honest_tests["proved"] > outcome.honest_tests.total() // 2
    assert sum(line.endswith(": met") for line in goals(outcome)) >= 13
