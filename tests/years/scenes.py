"""Rare meetings of faults, put together by hand: what random years showed once, or would show in a thousand."""

from __future__ import annotations

from collections.abc import Callable

from tests.years.terms import DAY_MS, HOUR_MS
from tests.years.world import World


def timer_set_while_the_clock_is_wrong(world: World) -> None:
    """A broker forgets what it confirmed while the wall clock is ten years ahead; then both are well again."""
    world.run(2 * DAY_MS)
    world.broker.forgets, world.offset_ms = 1.0, 3650 * DAY_MS
    world.run(3 * HOUR_MS)
    world.broker.well()
    world.offset_ms = 0
    world.run(DAY_MS)


def ledger_restored_behind_a_forked_epoch(world: World) -> None:
    """A card was set back once, so the ledger knows the end of that epoch otherwise; later the ledger is restored."""
    world.run(3 * DAY_MS)
    world.save_card()
    world.run(DAY_MS)
    world.fault("card_set_back")
    world.run(2 * DAY_MS)
    backup = world.save_ledger()
    world.run(DAY_MS)
    world.restore_ledger(backup)
    world.run(DAY_MS)


def ledger_restored_to_before_what_is_kept(world: World) -> None:
    """A backup of three weeks ago is all there is: the probe has forgotten what was acknowledged then."""
    world.run(2 * DAY_MS)
    backup = world.save_ledger()
    world.run(21 * DAY_MS)
    world.restore_ledger(backup)
    world.run(DAY_MS)


def clock_ahead_while_acknowledged(world: World) -> None:
    """The wall clock is ten years back for a day; then it is right, and the ledger of the day before is restored."""
    world.run(2 * DAY_MS)
    backup = world.save_ledger()
    world.offset_ms = -3650 * DAY_MS
    world.run(DAY_MS)
    world.offset_ms = 0
    world.run(HOUR_MS * 6)
    world.restore_ledger(backup, excuses=False)
    world.run(DAY_MS)


def dark_for_longer_than_the_card_holds(world: World) -> None:
    """No network for weeks, on a small card: the oldest that wait are dropped, and that is declared."""
    world.station.spool.limit = 100
    world.has_network = False
    world.station.lose()
    world.run(20 * DAY_MS)
    world.has_network = True
    world.run(2 * DAY_MS)


SCENES: dict[str, Callable[[World], None]] = {
    "wall_clock_for_intervals": timer_set_while_the_clock_is_wrong,
    "older_epoch_not_disputed": ledger_restored_behind_a_forked_epoch,
    "purged_by_wall_clock": clock_ahead_while_acknowledged,
    "gap_not_declared": dark_for_longer_than_the_card_holds,
    "hole_not_declared": ledger_restored_to_before_what_is_kept,
}
"""By the defect that each shows."""
