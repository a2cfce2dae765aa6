"""When the collector waits a moment for a larger group: only while much comes, and only for small groups."""

from __future__ import annotations

from collector.core.pace import FROM_S, LARGE, LINGER_S, WINDOW_S, Pace


def at_rate(pace: Pace, rate: float, seconds: float, start_s: float, group: int = 1) -> float:
    """Groups of a size at a steady rate; returns when the last one came."""
    now_s = start_s
    for number in range(int(seconds * rate / group)):
        now_s = start_s + number * group / rate
        pace.saw(group, now_s)
    return now_s


def test_nobody_waits_while_little_comes() -> None:
    pace = Pace()
    assert pace.linger_s() == 0
    end_s = at_rate(pace, 0.9 * FROM_S, 5, 1000.0)
    assert pace.linger_s() == 0
    pace.saw(0, end_s + 60)
    assert pace.linger_s() == 0


def test_small_groups_of_much_are_waited_for_and_large_ones_are_not() -> None:
    pace = Pace()
    at_rate(pace, 1.1 * FROM_S, 2, 1000.0, group=3)
    assert pace.linger_s() == LINGER_S
    pace.saw(LARGE, 1002.0)
    assert pace.linger_s() == 0
    pace.saw(2, 1002.001)
    assert pace.linger_s() == LINGER_S


def test_it_ends_when_less_comes() -> None:
    pace = Pace()
    end_s = at_rate(pace, 4 * FROM_S, 2, 1000.0)
    assert pace.linger_s() > 0
    at_rate(pace, 0.1 * FROM_S, 3 * WINDOW_S, end_s)
    assert pace.linger_s() == 0


def test_a_burst_after_a_quiet_hour_is_not_much() -> None:
    pace = Pace()
    pace.saw(1, 1000.0)
    pace.saw(FROM_S, 4600.0)
    assert pace.linger_s() == 0
