"""The Monday list's core: what has one cause is one line; who must go where with what; since when one looks."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

import pytest

from collector.core.common_cause import Group, Station, Trouble, grouped
from collector.core.liveness import State, state_of
from collector.core.view import ICT
from collector.core.visits import last_close_ms, trips

MINUTE = 60_000
T = 1_790_000_000_000
VIETTEL, VINA, MOBI = "45204", "45202", "45201"


def station(name: str, commune: str, plmn: str = VIETTEL, enb: int = 7, site: str = "") -> Station:
    return Station(name, "19", commune, f"h-{name}", site or f"s-{name}", frozenset({plmn}), frozenset({(plmn, enb)}))


# Two communes; A has three operators, B two; each operator has one tower a commune.
FLEET = [
    station("a1", "A", VIETTEL, 1),
    station("a2", "A", VIETTEL, 1),
    station("a3", "A", VINA, 2),
    station("a4", "A", MOBI, 3),
    station("b1", "B", VIETTEL, 4),
    station("b2", "B", VINA, 5),
    station("b3", "B", VINA, 5),
]
AT = {s.probe: s for s in FLEET}


def trouble(name: str, word: str, minutes: int = 0, until: int | None = None) -> Trouble:
    until_ms = None if until is None else T + until * MINUTE
    return Trouble(AT[name], word, state_of(word), T + minutes * MINUTE, until_ms)


def told(*troubles: Trouble) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(g.kind, g.key, g.probes) for g in grouped(troubles, FLEET)]


def test_a_commune_without_power_is_one_line() -> None:
    found = told(*(trouble(name, "offline", i) for i, name in enumerate(("a1", "a2", "a3", "a4"))))
    assert found == [("power", "A", ("a1", "a2", "a3", "a4"))]
    assert told(trouble("a1", "power"), trouble("a2", "offline", 2)) == [("power", "A", ("a1", "a2"))]


def test_one_tower_down_takes_only_its_own_probes() -> None:
    assert told(trouble("a1", "offline"), trouble("a2", "no_pdp", 4)) == [("cell", "45204/1", ("a1", "a2"))]
    alone = told(trouble("a1", "not_registered"))
    assert alone == [("single", "a1", ("a1",))]


def test_one_operators_core_down_is_the_operators_and_nobody_is_sent() -> None:
    down = [trouble("a3", "no_pdp"), trouble("b2", "no_internet", 1), trouble("b3", "offline", 3)]
    (group,) = grouped(down, FLEET)
    assert (group.kind, group.key) == ("operator", VINA)
    assert trips([group], T + 60 * MINUTE) == ()
    # A storm that takes all operators is no operator's fault.
    everything = [trouble(s.probe, "offline") for s in FLEET]
    assert {g.kind for g in grouped(everything, FLEET)} == {"power"}


def test_a_single_dead_modem_and_an_expired_sim_stay_alone_beside_a_power_cut() -> None:
    found = grouped(
        [trouble("b1", "no_modem", 1), trouble("b2", "plan_expired", 2), *(trouble(n, "power") for n in ("a1", "a3"))],
        FLEET,
    )
    assert [(g.kind, g.key) for g in found] == [("power", "A"), ("single", "b1"), ("single", "b2")]
    (trip,) = trips(found, T + 121 * MINUTE)
    assert [(v.site, v.bring, v.lost_hours) for v in trip.visits] == [
        ("s-b1", ("phone", "modem", "usb_cable", "antenna"), 2)
    ]


def test_a_moved_probe_is_a_visit_with_a_survey() -> None:
    found = grouped([trouble("b1", "moved")], FLEET)
    assert found[0].kind == "single"
    assert trips(found, T)[0].visits[0].bring == ("phone", "survey")


def test_two_probes_of_one_house_are_one_visit() -> None:
    twin = replace(AT["b3"], site="s-b2", hamlet="h-b2")
    # The same tower serves them: that they are quiet tells more of their house.
    fleet = [s if s.probe != "b3" else twin for s in FLEET]
    both = [trouble("b2", "offline"), Trouble(twin, "offline", State.SILENT, T + MINUTE)]
    (group,) = grouped(both, fleet)
    assert (group.kind, group.key) == ("house", "s-b2")
    assert [v.site for v in trips([group], T)[0].visits] == ["s-b2"]


def test_a_deaf_collector_is_one_line_and_no_visit() -> None:
    deaf = [Trouble(s, "unheard", State.UNHEARD, T) for s in FLEET]
    (group,) = grouped(deaf, FLEET)
    assert (group.kind, len(group.probes)) == ("collector", 7)
    assert trips([group], T) == ()


def test_what_began_hours_apart_or_is_over_is_not_put_together() -> None:
    assert [g.kind for g in grouped([trouble("a1", "offline"), trouble("a2", "offline", 45)], FLEET)] == ["single"] * 2
    past = [trouble(n, "power", 0, until=90) for n in ("a1", "a2", "a3")]
    (over,) = grouped(past, FLEET)
    assert (over.kind, over.until_ms) == ("power", T + 90 * MINUTE)
    assert trips([over], T + 99 * MINUTE) == ()
    now = [*past, trouble("b1", "no_modem", 300)]
    assert [g.kind for g in grouped(now, FLEET)] == ["single", "power"]


def test_trips_of_a_commune_are_together_and_the_longest_lost_comes_first() -> None:
    found: tuple[Group, ...] = grouped(
        [trouble("b1", "disk_error", -600), trouble("a1", "no_modem", -60), trouble("b2", "sim_puk", -30)], FLEET
    )
    made = trips(found, T)
    assert [(t.commune, [v.site for v in t.visits]) for t in made] == [("B", ["s-b1", "s-b2"]), ("A", ["s-a1"])]
    assert made[0].visits[1].bring == ("phone", "puk")


def _ms(text: str) -> int:
    return round(datetime.fromisoformat(text).replace(tzinfo=ICT).timestamp() * 1000)


@pytest.mark.parametrize(
    ("now", "close"),
    [
        ("2026-11-23T08:00", "2026-11-20T17:00"),  # Monday morning: Friday
        ("2026-11-22T20:00", "2026-11-20T17:00"),  # Sunday evening
        ("2026-11-24T09:00", "2026-11-23T17:00"),
        ("2026-11-23T18:00", "2026-11-23T17:00"),  # after closing: today
        ("2026-09-03T08:00", "2026-09-01T17:00"),  # National Day was closed
    ],
)
def test_one_looks_since_offices_last_closed(now: str, close: str) -> None:
    assert last_close_ms(_ms(now), {date(2026, 9, 2)}) == _ms(close)


def test_a_saturday_that_makes_up_for_a_holiday_counts() -> None:
    assert last_close_ms(_ms("2026-11-23T08:00"), (), {date(2026, 11, 21)}) == _ms("2026-11-21T17:00")


def test_a_network_that_does_not_serve_one_probe_sends_nobody() -> None:
    (group,) = grouped([trouble("b1", "no_pdp")], FLEET)
    assert (group.kind, trips([group], T)) == ("single", ())
