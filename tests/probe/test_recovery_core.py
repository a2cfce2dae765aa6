"""The ladder: the right rung at the right time, none for what a person or a server must mend, never too often."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probe.core.recovery import (
    DAY_MS,
    LADDER,
    RESETS,
    SHARED,
    WAYS,
    Carried,
    Do,
    Effect,
    Polled,
    Rung,
    State,
    Tell,
    Terms,
    step,
)
from wire.failure import PARTY, Cause, Party

POLL_MS = 10_000
HOUR_MS = 3_600_000


class Site:
    """A modem with its ladder; time goes by in polls. Each rung ends in `outcome`; a reboot reboots."""

    def __init__(self, terms: Terms | None = None, outcome: str = "done") -> None:
        self.terms, self.outcome = terms or Terms(), outcome
        self.state, self.now_ms, self.uptime_ms, self.boots = State(), 0, 0, 0
        self.done: list[tuple[int, Rung]] = []
        self.carried: list[tuple[int, Rung]] = []
        self.told: list[Tell] = []

    def poll(self, cause: Cause | None, **more: bool) -> None:
        self.now_ms += POLL_MS
        self.uptime_ms += POLL_MS
        self.state, effects = step(self.state, Polled(self.uptime_ms, f"b{self.boots}", cause, **more), self.terms)
        self._take(effects)

    def _take(self, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            if isinstance(effect, Tell):
                self.told.append(effect)
                continue
            assert isinstance(effect, Do)
            self.done.append((self.now_ms, effect.rung))
            self.carried += [self.done[-1]] if self.outcome != "impossible" else []
            self.state, more = step(self.state, Carried(effect.rung, self.outcome, self.uptime_ms), self.terms)
            self._take(more)
            if effect.rung is Rung.REBOOT and self.outcome == "done":
                self.reboot()

    def reboot(self) -> None:
        self.boots, self.uptime_ms = self.boots + 1, 20_000

    def run(self, cause: Cause | None, for_ms: int, **more: bool) -> None:
        for _ in range(for_ms // POLL_MS):
            self.poll(cause, **more)

    def until_a_rung(self, cause: Cause) -> None:
        while not self.done:
            self.poll(cause)

    def rungs(self) -> list[Rung]:
        return [rung for _, rung in self.done]


def test_a_served_modem_is_left_alone() -> None:
    site = Site()
    site.run(None, DAY_MS)
    assert (site.done, site.told) == ([], [])


@pytest.mark.parametrize("cause", [cause for cause in Cause if cause not in WAYS])
def test_what_no_rung_can_mend_gets_none(cause: Cause) -> None:
    site = Site()
    site.run(cause, DAY_MS)
    assert site.done == []


def test_sim_plan_site_and_server_have_no_way() -> None:
    assert not [cause for cause in WAYS if PARTY[cause] in (Party.SIM, Party.SERVER, Party.SITE)]
    assert not {Cause.SIM_PUK, Cause.NO_SIM, Cause.DENIED, Cause.WRONG_SIM, Cause.CAPTIVE} & set(WAYS)


@pytest.mark.parametrize("cause", WAYS)
def test_first_rung_comes_after_its_patience_and_the_last_is_never_passed(cause: Cause) -> None:
    site, way = Site(), WAYS[cause]
    site.run(cause, 3 * DAY_MS)
    assert site.rungs()[0] is way.first
    assert site.done[0][0] - POLL_MS == way.patience_ms
    assert max(map(LADDER.index, site.rungs())) == LADDER.index(way.last)


def test_dead_modem_climbs_the_whole_ladder_and_each_rung_is_told() -> None:
    site = Site()
    site.run(Cause.MODEM_ERROR, 2 * HOUR_MS)
    assert site.rungs()[: len(LADDER)] == list(LADDER)
    ended = [told.rung for told in site.told if told.outcome == "not_cured"]
    assert ended == site.rungs()[: len(ended)]
    assert len(site.done) - len(ended) <= 1
    assert [told.outcome for told in site.told if told.rung is Rung.REBOOT][:2] == ["begun", "not_cured"]


def test_cure_is_told_with_the_rung_that_brought_it_and_ends_the_fault() -> None:
    site = Site()
    site.until_a_rung(Cause.MODEM_MUTE)
    site.run(Cause.NO_MODEM, 30_000)  # it boots
    site.run(None, 60_000)
    (told,) = site.told
    assert (told.rung, told.outcome, told.duration_ms) == (Rung.MODEM_RESTART, "cured", 4 * POLL_MS)
    site.run(Cause.MODEM_MUTE, 50_000)
    assert len(site.done) == 1, "a new fault has its patience anew"


def test_rung_that_cannot_be_carried_out_is_told_and_passed_at_once() -> None:
    site = Site(outcome="impossible")
    site.run(Cause.MODEM_MUTE, HOUR_MS)
    assert site.told[0] == Tell(Rung.MODEM_RESTART, Cause.MODEM_MUTE, "impossible", 0)


def test_restart_that_a_mute_modem_cannot_hear_does_not_keep_the_reset_of_its_usb_waiting() -> None:
    site = Site(outcome="impossible")
    site.until_a_rung(Cause.MODEM_MUTE)
    site.outcome = "done"
    site.run(Cause.MODEM_MUTE, 2 * POLL_MS)
    (restarted, first), (reset, second) = site.done
    assert (first, second) == (Rung.MODEM_RESTART, Rung.USB_REAUTHORISE)
    assert reset - restarted <= 2 * POLL_MS


def test_silence_and_tests_neither_cure_nor_climb() -> None:
    site = Site()
    site.run(Cause.UNKNOWN, HOUR_MS)
    site.run(Cause.MODEM_MUTE, HOUR_MS, is_testing=True)
    assert site.done == []
    site.until_a_rung(Cause.MODEM_MUTE)
    site.run(Cause.UNKNOWN, HOUR_MS)
    assert site.told == []


def test_puk_in_the_middle_of_a_ladder_stops_it() -> None:
    site = Site()
    site.until_a_rung(Cause.MODEM_MUTE)
    site.run(Cause.SIM_PUK, DAY_MS)
    assert len(site.done) == 1


def test_other_modems_are_not_taken_down_with_a_dead_one() -> None:
    site = Site()
    site.run(Cause.MODEM_MUTE, 3 * DAY_MS, is_alone=False)
    assert site.done
    assert not SHARED & set(site.rungs())


@pytest.mark.parametrize(("allowed", "may_reboot"), [(frozenset(LADDER), False), (frozenset(LADDER[:-1]), True)])
def test_no_reboot_while_the_spool_takes_nothing_nor_one_that_is_not_allowed(
    allowed: frozenset[Rung], may_reboot: bool
) -> None:
    site = Site(Terms(allowed))
    site.run(Cause.MODEM_MUTE, 3 * DAY_MS, may_reboot=may_reboot)
    assert site.done
    assert Rung.REBOOT not in site.rungs()


def check_limits(site: Site) -> None:
    for rung in LADDER:
        times = [at for at, one in site.carried if one is rung]
        for number, at_ms in enumerate(times):
            day = [one for one in times[: number + 1] if at_ms - one < DAY_MS]
            assert len(day) <= site.terms.per_day[rung], rung
    resets = [at for at, rung in site.carried if rung in RESETS]
    assert all(after - before >= site.terms.reset_gap_ms for before, after in pairwise(resets))
    reboots = [at for at, rung in site.carried if rung is Rung.REBOOT]
    assert all(after - before >= site.terms.reboot_gap_ms for before, after in pairwise(reboots))


def test_weeks_of_a_dead_modem_keep_every_limit_and_it_never_gives_up() -> None:
    site = Site()
    site.run(Cause.MODEM_MUTE, 14 * DAY_MS)
    check_limits(site)
    days = Counter(at // DAY_MS for at, _ in site.done)
    assert set(days) == set(range(14))


_STRETCH = st.tuples(
    st.sampled_from([None, Cause.UNKNOWN, Cause.SIM_PUK, Cause.BROKER_UNREACHABLE, *WAYS]),
    st.integers(1, 400),
    st.booleans(),
    st.sampled_from(["done", "refused", "impossible"]),
)


@settings(max_examples=40, deadline=None)
@given(st.lists(_STRETCH, min_size=1, max_size=20))
def test_whatever_happens_no_limit_is_passed(stretches: list[tuple[Cause | None, int, bool, str]]) -> None:
    site = Site()
    for cause, polls, is_cut, outcome in stretches:
        site.outcome, before = outcome, len(site.done)
        site.run(cause, polls * POLL_MS)
        assert cause in WAYS or len(site.done) == before, f"a rung for {cause}"
        if is_cut:
            site.reboot()
    check_limits(site)
