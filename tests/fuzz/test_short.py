"""A short form of `make fuzz`: every door some dozens of times, and everything that it ever fell over."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.fuzz.door import Door, Given, inputs
from tests.fuzz.doors import DOORS

SHORT = (Phase.generate, Phase.shrink)
NAMES = [door.name for door in DOORS]


def test_each_door_has_a_name_of_its_own_and_opens_to_a_good_input() -> None:
    assert len(set(NAMES)) == len(NAMES)
    shut = {door.name for door in DOORS if not any(door.knock(seed) for seed in door.seeds)}
    assert shut == set(), "none of their seeds is let in: they would test nothing"


@pytest.mark.parametrize("door", DOORS, ids=NAMES)
def test_what_was_found_once_is_only_refused(door: Door) -> None:
    for _, kept in door.kept():
        door.knock(kept)


@pytest.mark.parametrize("door", DOORS, ids=NAMES)
def test_any_bytes_are_taken_or_refused_as_declared(door: Door) -> None:
    @settings(
        max_examples=door.examples, deadline=None, database=None, derandomize=True, phases=SHORT,
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(inputs(door).map(Given))
    def knock(shown: Given) -> None:
        door.knock(shown.raw)

    knock()
