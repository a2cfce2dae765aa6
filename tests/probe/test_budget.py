"""The SIM's account: periods of Vietnam's calendar, counters that begin anew, and the limit that is never exceeded."""

from __future__ import annotations

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core.budget import VIETNAM, Account, count, may_run, period_start_ms


def ms(year: int, month: int, day: int, hour: int = 0) -> int:
    return round(datetime(year, month, day, hour, tzinfo=VIETNAM).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "day", "start"),
    [
        (ms(2026, 11, 22), 1, ms(2026, 11, 1)),
        (ms(2026, 11, 22), 25, ms(2026, 10, 25)),
        (ms(2026, 11, 25), 25, ms(2026, 11, 25)),
        (ms(2027, 1, 3), 28, ms(2026, 12, 28)),
        (ms(2026, 3, 31), 28, ms(2026, 3, 28)),
        (ms(2026, 3, 1, 1), 28, ms(2026, 2, 28)),
    ],
)
def test_period_starts_at_midnight_in_vietnam(now: int, day: int, start: int) -> None:
    assert period_start_ms(now, day) == start


NOV = ms(2026, 11, 22)


def test_counting_adds_what_moved_since() -> None:
    account = count(None, NOV, 1_000, 1)
    assert account.used_bytes == 0
    account = count(account, NOV, 1_500, 1)
    account = count(account, NOV, None, 1)
    account = count(account, NOV, 300, 1)
    assert account.used_bytes == 800


def test_a_new_link_counts_from_zero() -> None:
    account = count(count(None, NOV, 1_000, 1), NOV, 200, 1)
    assert account.used_bytes == 200


def test_a_new_period_begins_empty() -> None:
    account = count(Account(ms(2026, 11, 1), 9_000, 100), ms(2026, 12, 1, 1), 150, 1)
    assert account == Account(ms(2026, 12, 1), 50, 150, others=((ms(2026, 11, 1), 9_000),))


def test_a_clock_that_jumps_to_another_period_and_back_forgives_nothing() -> None:
    account = Account(ms(2026, 11, 1), 9_000, 100)
    account = count(account, ms(2031, 5, 9), 150, 1)
    assert account.used_bytes == 50
    account = count(account, NOV, 175, 1)
    assert (account.period_ms, account.used_bytes) == (ms(2026, 11, 1), 9_025)
    account = count(account, ms(2026, 12, 1, 1), 180, 1)
    assert account.used_bytes == 5


def test_periods_that_are_remembered_are_bounded() -> None:
    account = count(None, NOV, 0, 1)
    for month in range(1, 13):
        account = count(account, ms(2027, month, 2), month, 1)
    assert len(account.others) == 3


def test_after_a_reboot_the_link_counts_from_zero_even_if_it_shows_more_than_before() -> None:
    account = count(Account(ms(2026, 11, 1), 9_000, 100, "a"), NOV, 150, 1, "b")
    assert account.used_bytes == 9_150
    assert count(account, NOV, 170, 1, "b").used_bytes == 9_170


def test_use_before_the_clock_was_trusted_counts_in_the_first_period() -> None:
    account = count(count(None, None, 100, 1), None, 400, 1)
    assert count(account, NOV, 450, 1) == Account(ms(2026, 11, 1), 350, 450)


def test_without_a_trusted_clock_the_period_goes_on() -> None:
    assert count(Account(ms(2026, 11, 1), 9_000, 100), None, 150, 1).used_bytes == 9_050


@given(st.integers(0, 10**12), st.integers(1, 10**12), st.integers(0, 10**10))
def test_admitted_runs_never_exceed_the_limit(used: int, limit: int, run: int) -> None:
    if may_run(Account(0, used), limit, run):
        assert used + run <= limit
