"""One instant in every slot: always the same, spread over the slot, inside it; tests of several modems take turns."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from probe.core.schedule import KEPT_SLOTS, Now, Plan, Run, Usage, Wait, decide, due_ms, slot_of

SEED = bytes(range(32))
NEVER = Usage()
times = st.integers(min_value=1_700_000_000_000, max_value=1_900_000_000_000)
plans = st.builds(
    Plan,
    probe=st.sampled_from(["p-one", "p-two"]),
    modem=st.sampled_from(["m1", "m2"]),
    seed=st.binary(min_size=32, max_size=32),
    slot_ms=st.integers(min_value=20_000, max_value=86_400_000),
    run_ms=st.integers(min_value=5_000, max_value=90_000),
)


def plan(slot_s: int = 3600, *, modem: str = "m1", catch_up: bool = False) -> Plan:
    return Plan("p-one", modem, SEED, slot_s * 1000, 90_000, catch_up)


def at(t_ms: int, *, since_ms: int | None = None) -> Now:
    """A moment; the program started at `since_ms` (UTC), long ago if None. Monotonic time runs along."""
    return Now(t_ms, t_ms, t_ms - 10**9 if since_ms is None else since_ms)


@given(plan=plans, t_ms=times)
def test_due_lies_in_its_slot_with_room_for_the_run(plan: Plan, t_ms: int) -> None:
    slot = slot_of(t_ms, plan.slot_ms)
    assert slot <= t_ms < slot + plan.slot_ms
    offset = due_ms(plan, slot) - slot
    assert 0 <= offset < max(plan.slot_ms - plan.run_ms, plan.slot_ms // 4, 1)


@given(plan=plans, t_ms=times)
def test_walking_the_time_runs_every_slot_exactly_once(plan: Plan, t_ms: int) -> None:
    usage, now_ms, ran = NEVER, slot_of(t_ms, plan.slot_ms), []
    start_ms = now_ms
    while now_ms < start_ms + 5 * plan.slot_ms:
        choice = decide([(plan, usage)], at(now_ms))
        if isinstance(choice, Wait):
            assert choice.ms >= 1
            now_ms += choice.ms
            continue
        assert choice.due_ms == due_ms(plan, choice.slot_ms or 0) == now_ms
        ran.append(choice.slot_ms)
        usage = usage.after(choice.slot_ms, now_ms)
    assert ran == [start_ms + i * plan.slot_ms for i in range(len(ran))]
    assert len(ran) == 5


@settings(max_examples=20)
@given(seed=st.binary(min_size=32, max_size=32))
def test_instants_are_spread_over_the_slot(seed: bytes) -> None:
    plan = Plan("p-one", "m1", seed, 3_600_000, 0)
    offsets = [due_ms(plan, i * 3_600_000) - i * 3_600_000 for i in range(400)]
    in_quarter = [sum(900_000 * q <= offset < 900_000 * (q + 1) for offset in offsets) for q in range(4)]
    assert all(50 <= count <= 150 for count in in_quarter), in_quarter


def test_probes_modems_and_slots_have_instants_of_their_own() -> None:
    slots = [i * 3_600_000 for i in range(20)]
    several = [Plan(probe, modem, SEED, 3_600_000, 0) for probe in ("p-one", "p-two") for modem in ("m1", "m2")]
    drawn = {due_ms(each, slot) - slot for each in several for slot in slots}
    assert len(drawn) == 80


def test_due_is_frozen_so_that_anyone_can_check_it() -> None:
    # The same by: printf "p-dong-chuoi\nm1\n1795339296000" | openssl dgst -sha256 -mac HMAC, first 8 bytes
    assert due_ms(Plan("p-dong-chuoi", "m1", SEED, 8_928_000, 90_000), 1_795_339_296_000) == FROZEN_DUE_MS


FROZEN_DUE_MS = 1_795_347_131_101


def test_restart_keeps_the_instant_of_a_slot_still_ahead() -> None:
    due = due_ms(plan(), 1_800_000_000_000)
    choice = decide([(plan(), NEVER)], at(due - 5000, since_ms=due - 5001))
    assert choice == Wait(5000)


def test_slot_that_passed_while_the_probe_was_off_is_not_made_up() -> None:
    slot = 1_800_000_000_000
    due, next_due = due_ms(plan(), slot), due_ms(plan(), slot + 3_600_000)
    assert decide([(plan(), NEVER)], at(due + 1000, since_ms=due + 500)) == Wait(next_due - due - 1000)


def test_catch_up_runs_the_slot_that_has_not_ended() -> None:
    slot = 1_800_000_000_000
    due = due_ms(plan(catch_up=True), slot)
    assert decide([(plan(catch_up=True), NEVER)], at(due + 1000, since_ms=due + 500)) == Run("m1", slot, due)


def test_slot_already_run_is_not_run_again_after_a_restart() -> None:
    slot = 1_800_000_000_000
    due = due_ms(plan(catch_up=True), slot)
    assert isinstance(decide([(plan(catch_up=True), Usage((slot,)))], at(due + 1000, since_ms=due + 500)), Wait)


@given(
    plan=plans,
    t_ms=times,
    jumps=st.lists(st.tuples(st.integers(1, 60), st.floats(-4, 4)), max_size=6),
)
def test_a_clock_that_jumps_runs_no_slot_twice_and_never_stops_for_good(
    plan: Plan, t_ms: int, jumps: list[tuple[int, float]]
) -> None:
    usage, wall_ms, mono_ms, ran = NEVER, t_ms, 10**9, []
    after = dict(jumps)
    for number in range(80):
        wall_ms += round(after.get(number, 0.0) * plan.slot_ms)
        choice = decide([(plan, usage)], Now(wall_ms, mono_ms, 0))
        if isinstance(choice, Run):
            ran.append(choice.slot_ms)
            usage = usage.after(choice.slot_ms, mono_ms)
        step_ms = choice.ms if isinstance(choice, Wait) else 1
        assert step_ms <= 40 * plan.slot_ms, "a jump of a few slots must not silence the probe for long"
        wall_ms, mono_ms = wall_ms + step_ms, mono_ms + step_ms
    assert len(ran) == len(set(ran))
    assert len(ran) >= 30


def test_after_a_year_ahead_and_back_the_grid_goes_on() -> None:
    slot, year_ms = 1_800_000_000_000, 365 * 86_400_000
    usage = Usage((slot,), 5)
    ahead = decide([(plan(), usage)], at(slot + year_ms + 3_599_999))
    assert isinstance(ahead, Run)
    back = decide([(plan(), usage.after(ahead.slot_ms, 6))], at(slot + 3_599_999))
    assert isinstance(back, Wait)
    assert back.ms <= 3_600_000


def test_slots_known_as_run_are_bounded() -> None:
    usage = NEVER
    for number in range(1000):
        usage = usage.after(number, number)
    assert usage.done_slots_ms == tuple(range(1000 - KEPT_SLOTS, 1000))


def test_slots_go_on_over_the_end_of_a_month() -> None:
    """Slots are whole intervals since 1970: where a month ends, none is shorter, doubled or left out."""
    month_end = 1_793_465_999_999 - 1_793_465_999_999 % 86_400_000  # a midnight in UTC
    length = 8_928_000
    slots = {slot_of(month_end + offset, length) for offset in range(-86_400_000, 86_400_000, 600_000)}
    assert {later - earlier for earlier, later in pairwise(sorted(slots))} == {length}


def test_slot_delayed_by_another_modem_is_run_late() -> None:
    slot = 1_800_000_000_000
    due = due_ms(plan(), slot)
    assert decide([(plan(), NEVER)], at(due + 60_000)) == Run("m1", slot, due)


def test_of_several_due_the_one_longest_ago_goes_first() -> None:
    now = at(1_800_000_000_000 + 3_599_000)
    pairs = [(plan(modem="m1"), Usage((), 500)), (plan(modem="m2"), Usage((), 100)), (plan(modem="m3"), NEVER)]
    order = []
    for _ in range(3):
        choice = decide(pairs, now)
        assert isinstance(choice, Run)
        order.append(choice.modem)
        pairs = [(p, u.after(choice.slot_ms, 1000) if p.modem == choice.modem else u) for p, u in pairs]
    assert order == ["m3", "m2", "m1"]


def test_untrusted_clock_runs_on_a_cadence_of_its_own_without_a_slot() -> None:
    first = decide([(plan(60), NEVER)], Now(None, 5_000_000, 5_000_000))
    assert isinstance(first, Wait)
    assert first.ms <= 60_000
    assert decide([(plan(60), NEVER)], Now(None, 5_000_000 + first.ms, 5_000_000)) == Run("m1", None, None)
    after = Usage((), 5_030_000)
    assert decide([(plan(60), after)], Now(None, 5_031_000, 5_000_000)) == Wait(59_000)
    assert decide([(plan(60), after)], Now(None, 5_090_000, 5_000_000)) == Run("m1", None, None)


def test_accelerated_slot_shorter_than_a_run_still_has_an_instant() -> None:
    short = Plan("p-one", "m1", SEED, 20_000, 25_000)
    dues = {due_ms(short, i * 20_000) - i * 20_000 for i in range(50)}
    assert all(0 <= offset < 5_000 for offset in dues)
    assert len(dues) > 40
