"""Outages take two polls to begin and two to end, and say how long they lasted."""

from __future__ import annotations

from probe.core.outage import Outage, Told, stage_of, step
from wire.failure import Cause, Stage

GONE, SEARCH, NO_SIM = Cause.NO_MODEM, Cause.SEARCHING, Cause.NO_SIM


def walk(causes: list[Cause | None]) -> list[Told]:
    state = Outage()
    told: list[Told] = []
    for number, cause in enumerate(causes):
        state, more = step(state, cause, number * 10_000)
        told += more
    return told


def test_a_single_poll_is_no_outage() -> None:
    assert walk([None, SEARCH, None, GONE, None, SEARCH, None]) == []


def test_an_outage_begins_with_its_first_poll_and_ends_with_the_first_good_one() -> None:
    assert walk([None, SEARCH, SEARCH, SEARCH, None, None]) == [
        Told("outage_begin", Stage.REGISTRATION, SEARCH),
        Told("outage_end", Stage.REGISTRATION, SEARCH, 30_000),
    ]


def test_a_modem_is_lost_and_back() -> None:
    assert walk([GONE, GONE, None, None]) == [
        Told("modem_lost", Stage.MODEM, GONE),
        Told("modem_back", Stage.MODEM, GONE, 20_000),
    ]


def test_one_cause_can_follow_another() -> None:
    told = walk([GONE, GONE, NO_SIM, NO_SIM, None, None])
    assert [one.event for one in told] == ["modem_lost", "modem_back", "outage_begin", "outage_end"]
    assert told[2].stage == Stage.SIM


def test_a_poll_that_does_not_say_changes_nothing() -> None:
    assert walk([Cause.UNKNOWN, Cause.UNKNOWN, SEARCH, Cause.UNKNOWN, SEARCH]) == [
        Told("outage_begin", Stage.REGISTRATION, SEARCH)
    ]


def test_each_cause_names_the_stage_at_which_it_stops_a_run() -> None:
    wanted = {
        Cause.MODEM_MUTE: Stage.MODEM,
        Cause.WRONG_SIM: Stage.SIM,
        Cause.NO_PDP: Stage.PDN,
        Cause.LIMITED_SERVICE: Stage.REGISTRATION,
        Cause.NOT_LTE: Stage.REGISTRATION,
    }
    assert {cause: stage_of(cause) for cause in wanted} == wanted
