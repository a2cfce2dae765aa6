"""A cloned card shows in the broker's log within minutes; a probe on a bad link does not look like one."""

from __future__ import annotations

import pytest

from provisioning.core.takeover import Came, Sign, State, TakenOver, read, step

LINES = {
    "1795365165: New client connected from 203.0.113.7:40001 as p-one (p2, c1, k120, u'p-one').": Came(
        "p-one", "203.0.113.7", 1_795_365_165
    ),
    "1795365166: Client p-one already connected, closing old connection.": TakenOver("p-one", 1_795_365_166),
    "New client connected from 2001:db8::1:40001 as p-one (p2, c1, k120, u'p-one').": Came(
        "p-one", "2001:db8::1", None
    ),
    "1795365165: New client connected from /run/x.sock:0 as collector.dosong (p2, c1, k30).": None,
    "1795365165: Socket error on client p-one, disconnecting.": None,
    "x: New client connected from 1.2.3.4:5 as p-one' (": None,
}


@pytest.mark.parametrize("line", LINES)
def test_lines_of_the_broker_are_read(line: str) -> None:
    assert read(line) == LINES[line]


def _run(events: list[Came | TakenOver]) -> list[Sign]:
    state, signs = State(), []
    for event in events:
        state, found = step(state, event, 0.0)
        signs += found
    return signs


def test_two_machines_that_throw_each_other_out_are_told_once_an_hour() -> None:
    events: list[Came | TakenOver] = []
    for n in range(40):
        events += [TakenOver("p-one", 1000 + n), Came("p-one", f"203.0.113.{n % 2}", 1000 + n)]
    signs = _run(events)
    assert [one.probe for one in signs] == ["p-one"]
    assert "addresses" in signs[0].detail or "taken over" in signs[0].detail
    assert len(_run([*events, TakenOver("p-one", 5000), *events])) >= 1


def test_clones_behind_one_address_are_told_by_their_number() -> None:
    events: list[Came | TakenOver] = [TakenOver("p-one", 1000 + 60 * n) for n in range(4)]
    assert [one.detail for one in _run(events)] == ["more than 3 sessions taken over within 10 minutes"]


def test_slow_clones_are_told_within_the_hour() -> None:
    """Back-off keeps them 10 minutes apart; that they alternate shows."""
    events: list[Came | TakenOver] = [Came("p-one", "198.51.100.0", 0)]
    for n in range(1, 5):
        events += [TakenOver("p-one", 700 * n), Came("p-one", f"198.51.100.{n % 2}", 700 * n)]
    assert len(_run(events)) == 1


def test_probe_on_a_bad_link_is_no_clone() -> None:
    """It takes its own dead session over now and then, and the operator's NAT gives it another address each time."""
    events: list[Came | TakenOver] = []
    for n in range(48):
        events += [TakenOver("p-one", 1800 * n), Came("p-one", f"203.0.113.{n}", 1800 * n)]
    assert _run(events) == []
    quiet: list[Came | TakenOver] = [Came("p-two", f"203.0.113.{n % 2}", 600 * n) for n in range(50)]
    assert _run(quiet) == [], "without a takeover two addresses are one machine that moves"
