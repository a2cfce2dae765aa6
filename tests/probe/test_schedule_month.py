"""The grid of a signed configuration: restarts and clock jumps neither skip nor repeat a slot; it never moves."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.core.schedule import Month, Now, Plan, Run, Usage, Wait, decide, due_ms
from wire.slots import instant_ms, month_bounds

SEEDS = {month: bytes([number]) * 32 for number, month in enumerate(("2026_11", "2026_12", "2027_01"))}
RUN_MS = 90_000
NOVEMBER = month_bounds("2026_11")[0]


def plan(slots: int = 308, months: tuple[str, ...] = tuple(SEEDS)) -> Plan:
    covered = tuple(Month(*month_bounds(month), slots, SEEDS[month]) for month in months)
    return Plan("p-one", "m1", bytes(32), 3_600_000, RUN_MS, False, covered)


@dataclass(slots=True)
class Life:
    """A probe that lives through time: it may be off for a while, and its clock may jump."""

    plan: Plan
    wall_ms: int
    mono_ms: int = 10**9
    since_ms: int = 10**9
    usage: Usage = field(default_factory=Usage)
    ran: list[int] = field(default_factory=list)

    def go_on(self, span_ms: int) -> None:
        """Live for `span_ms`; a run takes no time here."""
        until_ms = self.wall_ms + span_ms
        while self.wall_ms < until_ms:
            choice = decide([(self.plan, self.usage)], Now(self.wall_ms, self.mono_ms, self.since_ms))
            if isinstance(choice, Run):
                assert choice.slot_ms is not None
                assert self.plan.slot_at(self.wall_ms).start_ms == choice.slot_ms, "a slot is run inside itself"
                self.ran.append(choice.slot_ms)
                self.usage = self.usage.after(choice.slot_ms, self.mono_ms)
            self.pass_time(choice.ms if isinstance(choice, Wait) else 1, until_ms)

    def pass_time(self, span_ms: int, until_ms: int) -> None:
        span_ms = min(span_ms, until_ms - self.wall_ms)
        self.wall_ms, self.mono_ms = self.wall_ms + span_ms, self.mono_ms + span_ms

    def restart(self, off_ms: int) -> None:
        """Off for `off_ms`; only what is on disk is known afterwards, and monotonic time begins anew."""
        self.wall_ms += off_ms
        self.mono_ms = self.since_ms = 20_000
        self.usage = Usage(self.usage.done_slots_ms)


def test_three_months_are_run_slot_by_slot() -> None:
    life = Life(plan(), NOVEMBER)
    life.go_on(month_bounds("2027_01")[1] - NOVEMBER)
    assert len(life.ran) == 3 * 308
    assert life.ran == sorted(set(life.ran))


def test_the_instant_is_that_of_the_months_seed() -> None:
    november, december = plan().slot_at(NOVEMBER), plan().slot_at(month_bounds("2026_12")[0])
    for slot, month in ((november, "2026_11"), (december, "2026_12")):
        drawn = instant_ms(SEEDS[month], "p-one", "m1", slot.start_ms, slot.length_ms)
        assert due_ms(plan(), slot.start_ms) == drawn


def test_where_the_seeds_end_the_settings_grid_goes_on() -> None:
    life = Life(plan(months=("2026_12",)), NOVEMBER)
    life.go_on(month_bounds("2027_01")[1] - NOVEMBER)
    begin_ms, end_ms = month_bounds("2026_12")
    assert sum(begin_ms <= slot < end_ms for slot in life.ran) == 308
    assert sum(slot < begin_ms for slot in life.ran) in (719, 720)
    assert sum(slot >= end_ms for slot in life.ran) in (743, 744)


restarts = st.lists(st.tuples(st.integers(60_000, 40_000_000), st.integers(1_000, 1_200_000)), max_size=25)


@settings(max_examples=60, deadline=None)
@given(restarts=restarts, slots=st.integers(100, 1500))
def test_restarts_neither_skip_nor_repeat_a_slot(restarts: list[tuple[int, int]], slots: int) -> None:
    life, offs = Life(plan(slots), NOVEMBER), []
    for up_ms, off_ms in restarts:
        life.go_on(up_ms)
        offs.append((life.wall_ms, life.wall_ms + off_ms))
        life.restart(off_ms)
    life.go_on(2 * life.plan.slot_at(NOVEMBER).length_ms)
    assert len(life.ran) == len(set(life.ran))
    first, last = life.ran[0], life.ran[-1]
    at_ms = NOVEMBER
    while at_ms < last:
        slot = life.plan.slot_at(at_ms)
        due = due_ms(life.plan, slot.start_ms)
        was_off = any(begin <= due and end + RUN_MS > slot.end_ms for begin, end in offs)
        assert slot.start_ms in life.ran or was_off or slot.start_ms < first, "a slot was skipped"
        at_ms = slot.end_ms


jumps = st.lists(st.tuples(st.integers(60_000, 30_000_000), st.integers(-40_000_000, 40_000_000)), max_size=12)


@settings(max_examples=60, deadline=None)
@given(jumps=jumps)
def test_clock_jumps_neither_skip_nor_repeat_a_slot(jumps: list[tuple[int, int]]) -> None:
    """A slot through whose whole length the clock once went without a jump was run, exactly once."""
    life, lived = Life(plan(), NOVEMBER + 40 * 86_400_000 // 10), []
    for up_ms, jump_ms in jumps:
        began_ms = life.wall_ms
        life.go_on(up_ms)
        lived.append((began_ms, life.wall_ms))
        life.wall_ms = max(NOVEMBER, life.wall_ms + jump_ms)
    assert len(life.ran) == len(set(life.ran))
    for began_ms, ended_ms in lived:
        slot = life.plan.slot_at(life.plan.slot_at(began_ms).end_ms)
        while slot.end_ms <= ended_ms:
            assert slot.start_ms in life.ran
            slot = life.plan.slot_at(slot.end_ms)


def test_a_slot_that_the_clock_jumped_into_is_still_run() -> None:
    life = Life(plan(), NOVEMBER)
    slot = life.plan.slot_at(NOVEMBER)
    life.wall_ms = due_ms(life.plan, slot.start_ms) + 60_000
    life.go_on(1_000)
    assert life.ran == [slot.start_ms]
