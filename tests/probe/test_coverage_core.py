"""Letters of a step, windows and their figures."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.coverage import EchoSeen, Poll, Window, begin, begin_here, close_step, figures, fill_off, letter
from wire.failure import COVERAGE_CAUSES, Cause

OK = Poll(0, None, "LTE", rsrp_dbm_x10=-950, rsrq_db_x10=-100, sinr_db_x10=120, eci=7)
OUT = Poll(0, Cause.NOT_REGISTERED)
MUTE = Poll(0, Cause.MODEM_MUTE)
UMTS = Poll(0, None, "UMTS")
ANSWERED, LOST = EchoSeen("answered", 40_000), EchoSeen("lost")
CAUSES = [
    *(None, Cause.SEARCHING, Cause.DENIED, Cause.NO_SIM, Cause.NO_MODEM, Cause.MODEM_MUTE, Cause.UNKNOWN),
    *(Cause.NO_PDP, Cause.WRONG_SIM),
]

LETTERS = [
    ([OK] * 6, ANSWERED, "C."),
    ([OK] * 6, None, "C."),
    ([OK] * 6, LOST, "De"),
    ([OK] * 6, EchoSeen("no_bearer"), "Dp"),
    ([UMTS] * 6, ANSWERED, "Dn"),
    ([OK] * 4 + [UMTS] * 2, ANSWERED, "C."),
    ([Poll(0, None, None)] * 3, ANSWERED, "C."),
    ([OUT] * 6, LOST, "Nr"),
    ([OK, OK, OUT, OUT, OUT], LOST, "Nr"),
    ([OK, OK, OK, OUT, OUT], ANSWERED, "C."),
    ([OK, OUT], None, "Nr"),
    ([Poll(0, Cause.SEARCHING)] * 3, None, "Ns"),
    ([Poll(0, Cause.DENIED)], None, "Nd"),
    ([Poll(0, Cause.LIMITED_SERVICE)], None, "Nl"),
    ([Poll(0, Cause.NO_SIM)], None, "Ui"),
    ([Poll(0, Cause.SIM_LOCKED)], None, "Uk"),
    ([Poll(0, Cause.SIM_PUK)], None, "Uu"),
    ([Poll(0, Cause.NO_MODEM)], None, "Um"),
    ([MUTE] * 2, None, "Uq"),
    ([Poll(0, Cause.MODEM_ERROR)], None, "Ug"),
    ([Poll(0, Cause.UNKNOWN)], ANSWERED, "Uz"),
    ([], ANSWERED, "Uz"),
    ([Poll(0, Cause.NOT_LTE, "UMTS")] * 6, ANSWERED, "Dn"),
    ([OK] * 4 + [Poll(0, Cause.NOT_LTE, "UMTS")] * 2, ANSWERED, "C."),
    ([Poll(0, Cause.NO_PDP, "LTE")] * 6, LOST, "Dp"),
    ([Poll(0, Cause.NO_PDP, "LTE")] * 6, None, "Dp"),
    ([Poll(0, Cause.NO_PDP, "LTE")] * 6, ANSWERED, "C."),
    ([Poll(0, Cause.NO_PDP, "LTE")] + [OK] * 5, LOST, "De"),
    ([Poll(0, Cause.WRONG_SIM, "LTE")] * 6, None, "Uw"),
]


@pytest.mark.parametrize(("polls", "echo", "expected"), LETTERS)
def test_letter_of_a_step(polls: list[Poll], echo: EchoSeen | None, expected: str) -> None:
    assert "".join(letter(polls, echo)) == expected


@given(
    polls=st.lists(st.builds(Poll, st.just(0), st.sampled_from(CAUSES), st.sampled_from([None, "LTE", "GSM"]))),
    echo=st.none() | st.sampled_from([ANSWERED, LOST]),
)
def test_only_covered_has_no_cause_and_every_letter_is_known(polls: list[Poll], echo: EchoSeen | None) -> None:
    state, cause = letter(polls, echo)
    assert state in "CDNU"
    assert cause in COVERAGE_CAUSES
    assert (state == "C") == (cause == ".")


def test_window_is_aligned_and_the_steps_before_the_start_are_probe_off() -> None:
    window = begin(3_600_000 * 5 + 125_000, 60_000, 60)
    assert window.start_ms == 3_600_000 * 5
    assert (window.states, window.causes) == ("UU", "oo")


def test_window_after_a_clock_change_starts_at_the_step_and_ends_with_the_aligned_one() -> None:
    window = begin_here(3_600_000 * 5 + 125_000, 60_000, 60)
    assert window.start_ms == 3_600_000 * 5 + 120_000
    assert window.length == 58
    assert window.states == ""


@given(now=st.integers(0, 10**13), step=st.integers(1000, 3_600_000), steps=st.integers(1, 60))
def test_windows_always_hold_the_present_and_have_room(now: int, step: int, steps: int) -> None:
    for window in (begin(now, step, steps), begin_here(now, step, steps)):
        assert window.next_step_ms <= now < window.start_ms + window.length * step
        assert not window.is_full
        assert (window.start_ms + window.length * step) % (step * steps) == 0


def test_fill_off_never_overfills() -> None:
    window = fill_off(Window(0, 1000, 5), 10**9)
    assert window.states == "UUUUU"
    assert window.is_full


def poll_at(at_ms: int, cause: Cause | None = None, rsrp: int = -900) -> Poll:
    return Poll(at_ms, cause, None if cause else "LTE", eci=None if cause else 5, rsrp_dbm_x10=None if cause else rsrp)


def test_time_without_service_is_counted_between_polls() -> None:
    window = Window(0, 60_000, 3)
    out = Cause.NOT_REGISTERED
    window = close_step(window, [poll_at(10_000), poll_at(40_000, out)], None)
    window = close_step(window, [poll_at(70_000), poll_at(90_000, out), poll_at(100_000)], None)
    window = close_step(window, [poll_at(170_000, out)], None)
    assert (window.offline_ms, window.longest_gap_ms) == (30_000 + 10_000 + 10_000, 30_000)
    assert window.states == "NCN"


def test_figures_have_a_place_for_each_sixth() -> None:
    window = Window(0, 60_000, 60)
    for step in range(60):
        polls = [poll_at(step * 60_000 + i * 10_000, rsrp=-900 - step) for i in range(6)] if step < 50 else []
        window = close_step(window, polls, ANSWERED if step < 50 else None)
    found = figures(window)
    assert found.polls == (60, 60, 60, 60, 60, 0)
    assert found.polls_registered == found.polls
    assert found.rsrp_dbm_x10_min == (-909, -919, -929, -939, -949, None)
    assert found.rsrp_dbm_x10_median[0] == -905
    assert found.eci == (5, 5, 5, 5, 5, None)
    assert found.act == (7, 7, 7, 7, 7, None)
    assert (found.echo_sent, found.echo_received, found.echo_rtt_us_median) == (50, 50, 40_000)
    assert window.is_full


@pytest.mark.parametrize("steps", [1, 2, 5, 6, 7, 60])
def test_every_window_length_has_six_sixths(steps: int) -> None:
    window = Window(0, 1000, steps)
    for step in range(steps):
        window = close_step(window, [poll_at(step * 1000)], None)
    found = figures(window)
    assert len(found.polls) == 6
    assert sum(found.polls) == steps
