"""Years of operation from seeds: no promise is broken in 50 of them, and every known defect is found.

A seed that was broken once stays here by its number. `python -m tests.years --seeds 1000` is the long form.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from tests.years.__main__ import live
from tests.years.scenes import SCENES
from tests.years.terms import HOUR_MS, Mutants
from tests.years.world import FAULTS, World

EVERY = 5
FOUND_BY = {
    "no_fsync": 1,
    "ledger_not_synchronous": 0,
    "delete_on_puback": 0,
    "ack_before_commit": 0,
    "no_unique": 0,
    "published_before_persisted": 0,
    "batch_dropped_on_400": 1,
}
"""For each defect a seed in which 120 days show it."""


@pytest.mark.parametrize("first", range(0, 50, EVERY))
def test_no_promise_is_broken_in_a_year_of_faults(first: int) -> None:
    broken = [lived for lived in (live(seed, 365) for seed in range(first, first + EVERY)) if lived.broken]
    assert broken == []


@pytest.mark.parametrize("mutant", sorted(FOUND_BY))
def test_a_defect_is_found(mutant: str) -> None:
    assert live(FOUND_BY[mutant], 120, frozenset({mutant})).broken is not None


@pytest.mark.parametrize("mutant", sorted(SCENES))
def test_a_rare_meeting_of_faults_breaks_nothing_and_shows_its_defect(mutant: str) -> None:
    well = World(7)
    SCENES[mutant](well)
    well.settle()
    ill = World(7, frozenset({mutant}))
    with pytest.raises(AssertionError):  # noqa: PT012 (either of them finds it)
        SCENES[mutant](ill)
        ill.settle()


def test_every_defect_has_its_test() -> None:
    assert {*FOUND_BY, *SCENES} == set(Mutants.NAMES)


class Days(RuleBasedStateMachine):
    """Faults in an order that hypothesis chooses, and shrinks when it finds a broken promise."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World(0)

    @rule(name=st.sampled_from(sorted(FAULTS)), hours=st.integers(0, 60))
    def fault(self, name: str, hours: int) -> None:
        """A fault, and some time after it."""
        self.world.fault(name)
        self.world.run(hours * HOUR_MS)

    def teardown(self) -> None:
        """Quiet, and every promise."""
        self.world.settle()


TestDays = Days.TestCase
TestDays.settings = settings(
    max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
)
