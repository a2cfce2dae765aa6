"""Both engines in one slot, over the whole way: each leaves its record, in the order that the slot drew; one counts."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

from probe import engines
from probe.core.schedule import Plan
from sim import demo_world
from sim.demo_scene import Place
from tests.flow.conftest import PACE, PLACE, Whole, eventually

SEED = bytes.fromhex("5eed" * 16)
PAIRS = 3


BOTH = replace(PLACE, engine="dosong", has_both_engines=True)


def _start(whole: Whole, place: Place) -> None:
    program = whole.world.programs.running[PLACE.probe]
    program.process.terminate()
    program.process.wait(20)
    demo_world.start_probe(whole.world, place)


def _pairs(whole: Whole, after: int) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Neighbours of which one names a slot and the other does not: the two runs of one slot."""
    rows = [row for row in whole.tests()[after:] if row["record"].engine is not None]
    found, used = [], set[int]()
    for one, two in pairwise(rows):
        slots = (one["record"].slot_ms, two["record"].slot_ms)
        if one["seq"] not in used and (slots[0] is None) != (slots[1] is None):
            found.append((one, two))
            used |= {one["seq"], two["seq"]}
    return found


def test_two_engines_share_a_slot_in_drawn_order_and_one_of_them_counts(whole: Whole) -> None:
    tests = len(whole.tests())
    _start(whole, BOTH)
    try:
        eventually("three slots with both engines", lambda: len(_pairs(whole, tests)) >= PAIRS, 200)
    finally:
        _start(whole, PLACE)  # as the tests after this one expect it
    plan = Plan(PLACE.probe, "m1", SEED, PACE.slot_s * 1000, 60_000)
    for first, second in _pairs(whole, tests):
        (counting,) = [row for row in (first, second) if row["record"].slot_ms is not None]
        (beside,) = [row for row in (first, second) if row["record"].slot_ms is None]
        assert (counting["record"].engine, counting["record"].trigger) == ("dosong", "scheduled")
        assert (beside["record"].engine, beside["record"].trigger) == ("speedtest-cli", "manual")
        assert not beside["counted"]
        assert "no_slot" in beside["not_counted"]
        assert first["record"].t_ms + first["record"].duration_ms <= second["record"].t_ms, "never at once"
        is_swapped = engines.is_swapped(plan, counting["record"].slot_ms)
        assert (first is beside) == is_swapped, "the order is the one that the slot drew"
    assert any(row["counted"] for pair in _pairs(whole, tests) for row in pair)
