"""The arrival model of a country that comes back: what goes in comes out, and a jam is seen as one."""

from __future__ import annotations

import pytest

from bench.country_model import Country, recover


def test_what_is_drained_faster_than_it_comes_waits_for_nothing() -> None:
    found = recover(Country(away=1000, records=78, spread_s=600, live=4, drain=200))
    assert found.backlog == 78_000
    assert found.drain_s == 600
    assert found.waits_s == (1, 1, 1)
    assert found.sent_again == 0


def test_all_at_once_takes_as_long_as_the_drain_needs() -> None:
    found = recover(Country(away=10, records=100, spread_s=1, live=0, drain=100))
    assert found.drain_s == 10
    assert found.most_queued == 1000
    assert found.waits_s[2] == 10


def test_a_jam_makes_its_own_traffic() -> None:
    slow, slower = (recover(Country(1000, 78, 600, 1, rate)) for rate in (110, 80))
    assert 0 < slow.sent_again < slower.sent_again
    assert slow.drain_s < slower.drain_s
    assert slower.waits_s[0] < slower.waits_s[1] <= slower.waits_s[2]


def test_a_queue_that_can_never_empty_is_said() -> None:
    with pytest.raises(ValueError, match="for ever"):
        recover(Country(1, 1, 1, live=5, drain=5))


def test_what_fractions_leave_in_the_queue_is_no_backlog() -> None:
    """100 probes with 135 records over 11 steps: sums of fractions that are not quite 0 again at the end."""
    assert recover(Country(100, 135.0, 1.1276, 0.0, 1800.0, 0.1)).drain_s < 10


@pytest.mark.parametrize("spread_s", [0.04, 0.25, 0.3, 1.1276])
def test_no_more_come_than_there_are_however_time_is_cut(spread_s: float) -> None:
    """13,500 records at 5,000/s take 2.7 s: a span that is no whole number of steps adds none."""
    found = recover(Country(100, 135.0, spread_s, 0.0, 5000.0, 0.1))
    assert 2.7 <= found.drain_s + 1e-9 <= 2.9
