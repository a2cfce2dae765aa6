"""When the link is looked at, what ends an outage, and what the letters of a coverage record say of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core import coverage, reachability, throttle
from probe.core.coverage import EchoSeen, Poll
from probe.core.findings import Findings, Plan, explained
from probe.core.radio import RadioReading
from probe.core.reachability import Brought, Check, Echoed, Found, Measured, Passed, State, Suspected, Unserved
from probe.core.throttle import Rates
from probe.coverage import CoverageKeeper, Terms
from probe.diagnosis import Diagnosis, Watched
from tests.probe.test_coverage_keeper import Bench, Time, read
from wire.failure import Cause
from wire.records import EventRecord

MINUTE = 60_000
LATE = "p-late"
"""A probe whose echo goes out late in the minute, 24.6 s after it began."""
PLAN = Plan(now_ms=1)
DOWN = Findings(echo=False, names="right", web="refused", tls="refused", others=True)
DEAD = Findings(echo=False, names="silent", web="silent", tls="silent", others=False)
PORTAL = Findings(echo=False, names="right", web="other", others=None)
FINE = Findings(echo=True)
GOOD_RADIO = RadioReading(rat="LTE", registration="home", rsrp_dbm_x10=-900, sinr_db_x10=150)


def walk(*events: reachability.Event) -> tuple[State, int]:
    """Where the events lead, and how often the link was looked at."""
    state, looks = State(), 0
    for event in events:
        state, effects = reachability.step(state, event)
        looks += len(effects)
    return state, looks


def test_answered_echoes_cause_no_look_at_all() -> None:
    events = [e for m in range(1000) for e in (Echoed("answered", m * MINUTE), Passed(m * MINUTE + 9))]
    assert walk(*events) == (State(), 0)


def test_a_lost_echo_is_looked_into_at_once_and_the_outage_began_with_it() -> None:
    state, looks = walk(Echoed("lost", 500), Found(DOWN, PLAN, 9_000))
    assert (state.cause, state.since_ms, looks) == (Cause.SERVER_DOWN, 500, 1)
    state, effects = reachability.step(State(), Echoed("lost", 500))
    assert effects == (Check(stops_early=True),)


def test_an_outage_of_a_month_is_looked_at_ever_more_rarely() -> None:
    state, looks_ms = State(), []
    for at_ms in range(0, 30 * 24 * 60 * MINUTE, MINUTE):
        for event in (Echoed("lost", at_ms), Passed(at_ms)):
            state, effects = reachability.step(state, event)
            looks_ms += [at_ms] * len(effects)
        state, _ = reachability.step(state, Found(DEAD, PLAN, at_ms))
    assert looks_ms[:4] == [0, MINUTE, 3 * MINUTE, 8 * MINUTE]
    assert 700 < len(looks_ms) < 730, "one an hour from then on"
    assert state.cause is Cause.NO_INTERNET
    assert state.since_ms == 0


def test_what_an_echo_disproves_ends_with_it_and_a_portal_ends_with_a_look() -> None:
    down, _ = walk(Echoed("lost", 0), Found(DOWN, PLAN, 9), Echoed("answered", MINUTE))
    assert down == State()
    caught, looks = walk(Echoed("lost", 0), Found(PORTAL, PLAN, 9), Echoed("answered", MINUTE))
    assert (caught.cause, looks) == (Cause.CAPTIVE, 2), "looked at again, since the echo alone proves no page"
    assert reachability.step(caught, Found(FINE, PLAN, 2 * MINUTE))[0] == State()


def test_a_look_that_lost_its_reason_says_nothing() -> None:
    state, _ = walk(Echoed("lost", 0), Echoed("answered", MINUTE), Found(DEAD, PLAN, MINUTE + 5))
    assert state.cause is None
    state, _ = walk(Echoed("lost", 0), Unserved(), Found(DEAD, PLAN, 5))
    assert state == State()


def test_a_look_that_never_ends_leaves_it_at_the_lost_echo() -> None:
    state, _ = walk(Echoed("lost", 0), Passed(reachability.CHECK_LIMIT_MS + 1))
    assert (state.cause, state.checking_ms) == (Cause.ECHO_LOST, None)


def test_a_suspicion_is_not_looked_into_at_every_poll() -> None:
    events: list[reachability.Event] = []
    for at_ms in range(0, 60 * MINUTE, 10_000):
        events += [Suspected(at_ms), Passed(at_ms), Found(Findings(echo=True, tls="ok"), PLAN, at_ms)]
    state, looks = walk(*events)
    assert looks == 5
    assert reachability.step(state, Passed(10**9))[0] == State(), "and is forgotten once it is over"


def test_the_broker_alone_is_an_outage_but_no_letter() -> None:
    lost = Findings(echo=True, names="right", web="exact", tls="refused")
    state, _ = walk(Suspected(0), Found(lost, PLAN, 3))
    assert state.cause is Cause.BROKER_UNREACHABLE
    served = [Poll(0, None, rat="LTE")]
    assert coverage.letter(served, EchoSeen("answered", 9), state.cause) == ("C", ".")


@pytest.mark.parametrize(
    ("link", "echo", "expected"),
    [
        (Cause.CAPTIVE, "lost", "Uc"),
        (Cause.PLAN_EXPIRED, "lost", "Ux"),
        (Cause.PLAN_THROTTLED, "answered", "Ut"),
        (Cause.DATA_EXHAUSTED, "lost", "Ub"),
        (Cause.WRONG_SIM, "answered", "Uw"),
        (Cause.SERVER_DOWN, "lost", "Uv"),
        (Cause.SERVER_UNREACHABLE, "lost", "Uv"),
        (Cause.CLOCK, "answered", "Uh"),
        (Cause.NO_INTERNET, "lost", "De"),
        (Cause.ECHO_LOST, "lost", "De"),
        (Cause.NO_PDP, "no_bearer", "Dp"),
        (Cause.NO_INTERFACE, "no_bearer", "Dp"),
        (Cause.NO_DNS, "answered", "C."),
        (Cause.NO_INTERNET, None, "De"),
        (None, None, "C."),
    ],
)
def test_letters_of_a_registered_minute(link: Cause | None, echo: coverage.Echo | None, expected: str) -> None:
    seen = None if echo is None else EchoSeen(echo, 9 if echo == "answered" else None)
    assert "".join(coverage.letter([Poll(0, None, rat="LTE")], seen, link)) == expected


@given(st.sampled_from(list(Cause)), st.sampled_from(["answered", "lost", "no_bearer"]))
def test_a_modem_without_service_is_never_explained_by_its_link(link: Cause, echo: coverage.Echo) -> None:
    searching = [Poll(0, Cause.SEARCHING)]
    assert coverage.letter(searching, EchoSeen(echo), link) == ("N", "s")


@dataclass
class ScriptedLook:
    """Says what it is told to, when it is told to."""

    will_find: Findings | None = None
    started: list[bool] = field(default_factory=list)

    def start(self, *, stops_early: bool) -> None:
        self.started.append(stops_early)

    def found(self, wait_s: float = 0.0) -> Findings | None:
        found, self.will_find = self.will_find, None
        return found

    def stop(self) -> None:
        self.will_find = None


class LookedAt(Bench):
    """The keeper's bench with a diagnosis."""

    def __init__(self, folder: Path) -> None:
        self.look, self.second = ScriptedLook(), ScriptedLook()
        self.is_free = True
        super().__init__(folder, Time())

    def restart(self) -> CoverageKeeper:
        watched = Watched(lambda: PLAN, lambda: self.is_free, lambda: False, throttle_bps=256_000)
        self.diagnosis = Diagnosis("m1", self.look, watched, self.recorder, self.spool.mark("rates m1"), self.second)
        self.keeper = CoverageKeeper(
            Terms(LATE, "m1", 60_000, 10, 10_000, "45204", "TN05755A"),
            self.recorder,
            echo=lambda: self.echo,
            link_bytes=lambda: self.link,
            saved=self.spool.mark("coverage m1"),
            diagnosis=self.diagnosis,
        )
        return self.keeper

    def events(self) -> list[tuple[str, str | None, int | None]]:
        kept = [read(kept.raw) for kept in self.spool.waiting(1000)]
        return [(r.event, r.cause, r.duration_ms) for r in kept if isinstance(r, EventRecord)]


@pytest.fixture
def bench(tmp_path: Path) -> LookedAt:
    return LookedAt(tmp_path)


def test_minutes_of_a_server_that_is_down_are_unknown_from_the_first_on(bench: LookedAt) -> None:
    bench.polls(12)
    bench.echo = EchoSeen("lost")
    bench.polls(7)  # the first minute ends before it is known why
    bench.look.will_find = DOWN
    bench.polls(17)
    bench.echo = EchoSeen("answered", 9)
    bench.polls(24)
    (record,) = bench.records()
    assert record.states == "CCUUUUCCCC"
    assert record.causes == "..vvvv...."
    (begun, ended) = bench.events()
    assert begun[:2] == ("outage_begin", "server_down")
    assert ended[:2] == ("outage_end", "server_down")
    assert abs((ended[2] or 0) - 4 * MINUTE) <= 20_000
    assert bench.look.started[0] is True


def test_the_last_minute_of_a_window_waits_for_the_look(bench: LookedAt) -> None:
    bench.polls(54)
    bench.echo = EchoSeen("lost")
    bench.polls(6)
    assert bench.records() == [], "it is being looked into"
    bench.look.will_find = PORTAL
    bench.polls(1)
    (record,) = bench.records()
    assert record.states[-1] + record.causes[-1] == "Uc"


def test_a_look_that_hangs_holds_no_record_back(bench: LookedAt) -> None:
    bench.polls(54)
    bench.echo = EchoSeen("lost")
    bench.polls(12)
    (record,) = bench.records()
    assert record.states[-1] + record.causes[-1] == "De"


def test_nothing_is_looked_at_beside_a_test(bench: LookedAt) -> None:
    bench.echo = EchoSeen("lost")
    bench.polls(5)
    assert len(bench.look.started) == 1
    bench.is_free, bench.echo = False, None
    bench.polls(6)
    bench.is_free = True
    bench.polls(1)
    assert len(bench.look.started) == 2, "put off, not forgotten"


def test_a_throttled_plan_is_told_and_its_minutes_are_unknown(bench: LookedAt) -> None:
    bench.polls(6)
    for _ in range(3):
        bench.diagnosis.on_test(250_000, None)
    bench.polls(30)
    bench.diagnosis.on_test(8_000_000, None)
    bench.polls(24)
    (record,) = bench.records()
    assert record.states == "CUUUUUCCCC"
    assert record.causes == ".ttttt...."
    assert [event[:2] for event in bench.events()] == [
        ("outage_begin", "plan_throttled"),
        ("outage_end", "plan_throttled"),
    ]


def test_a_test_that_succeeded_ends_a_portal_and_one_that_failed_brings_what_its_look_found() -> None:
    caught, _ = walk(Brought(PORTAL, PLAN, 7))
    assert (caught.cause, caught.since_ms) == (Cause.CAPTIVE, 7)
    assert reachability.step(caught, Measured())[0] == State()
    lost, _ = walk(Suspected(0), Found(Findings(echo=True, tls="refused"), PLAN, 3))
    assert reachability.step(lost, Measured())[0].cause is Cause.BROKER_UNREACHABLE, "a test does not need the broker"


def test_a_look_after_a_failed_test_explains_it_and_the_minutes_after_it(bench: LookedAt) -> None:
    bench.polls(6)
    bench.second.will_find = PORTAL
    assert bench.diagnosis.look_now() is Cause.CAPTIVE
    assert bench.second.started == [False]
    bench.polls(12)
    bench.diagnosis.on_test(9_000_000, None)
    bench.polls(42)
    (record,) = bench.records()
    assert record.states == "CUUCCCCCCC"
    assert [event[:2] for event in bench.events()] == [("outage_begin", "captive"), ("outage_end", "captive")]


def test_a_slow_hour_is_no_throttled_plan() -> None:
    rates = Rates()
    for rate in [20_000_000] * 10:
        rates = throttle.after(rates, rate, GOOD_RADIO, None)
    for rate in (900_000, 300_000, 700_000, 200_000):  # congested: low, but never flat
        rates = throttle.after(rates, rate, GOOD_RADIO, None)
        assert not rates.is_throttled(None)


def test_flat_rates_far_below_history_are_a_throttled_plan_unless_the_radio_is_bad() -> None:
    usual = Rates((20_000_000,) * 10)
    weak = RadioReading(rat="LTE", registration="home", rsrp_dbm_x10=-1190, sinr_db_x10=-20)
    good, bad = usual, usual
    for _ in range(3):
        good, bad = throttle.after(good, 512_000, GOOD_RADIO, None), throttle.after(bad, 512_000, weak, None)
    assert good.is_throttled(None)
    assert not bad.is_throttled(None)
    assert not throttle.after(good, 15_000_000, GOOD_RADIO, None).is_throttled(None)


@pytest.mark.parametrize(
    ("cause", "link", "expected"),
    [
        ("timeout", Cause.SERVER_DOWN, "server_down"),
        ("captive", Cause.PLAN_EXPIRED, "plan_expired"),
        ("captive", Cause.SERVER_DOWN, "captive"),
        ("no_dns", Cause.PLAN_EXPIRED, "plan_expired"),
        ("no_dns", Cause.NO_INTERNET, "no_dns"),
        ("server_busy", Cause.SERVER_DOWN, "server_busy"),
        ("reset", None, "reset"),
        ("reset", Cause.NO_DNS, "reset"),
        (None, Cause.PLAN_THROTTLED, None),
    ],
)
def test_a_failed_test_is_explained_by_what_is_known_of_its_link(
    cause: str | None, link: Cause | None, expected: str | None
) -> None:
    assert explained(cause, link) == expected
