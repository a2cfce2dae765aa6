"""What is sent, what an ACK releases, and when a new epoch begins: the rules as tables, and as properties."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from probe.core import chain
from probe.core.chain import (
    Acknowledged,
    Connected,
    Disconnected,
    Dispute,
    Effect,
    Key,
    NewEpoch,
    Offered,
    Placed,
    Policy,
    Reinstate,
    Release,
    Send,
    State,
    Warn,
)
from wire.notes import Ack

OURS, OTHER = "A" * 43 + "=", "B" * 42 + "A="
POLICY = Policy(retry_low_s=10, retry_high_s=600, window=5)


def ack(epoch: int = 3, upto: int | None = 10, head: str | None = OURS, gen: int = 0) -> Ack:
    return Ack(v=1, signed_ms=0, probe="p-one", epoch=epoch, gen=gen, size=0, upto=upto, head=head)


def state(**changed: object) -> State:
    return replace(State(epoch=3, next_seq=20), **changed)  # type: ignore[arg-type]


def kinds(effects: tuple[Effect, ...]) -> list[type]:
    return [type(effect) for effect in effects]


ACK_RULES: list[tuple[str, State, Ack, str | None, list[Effect | type[Warn]]]] = [
    ("our head: release", state(), ack(), OURS, [Release(3, 10)]),
    ("an older epoch's head, ours: release", state(), ack(epoch=2), OURS, [Release(2, 10)]),
    ("no record of ours there any more: nothing", state(), ack(), None, []),
    ("the ledger holds nothing contiguous: nothing", state(), ack(upto=None, head=None), None, []),
    ("an older epoch's head, not ours: it gives way", state(), ack(epoch=2, head=OTHER), OURS, [Warn, Dispute(2)]),
    (
        "the running epoch's head, not ours: begin anew",
        state(),
        ack(head=OTHER),
        OURS,
        [Warn, NewEpoch(4, 3, 10, OTHER)],
    ),
    ("the ledger is ahead in this epoch", state(), ack(upto=20), None, [NewEpoch(4, 3, 20, OURS)]),
    ("the ledger knows a later epoch", state(), ack(epoch=5, upto=1), None, [NewEpoch(6, 5, 1, OURS)]),
    (
        "a later epoch, nothing contiguous",
        state(),
        ack(epoch=5, upto=None, head=None),
        None,
        [NewEpoch(6, 5, None, None)],
    ),
    ("the last of ours is not ahead", state(), ack(upto=19), OURS, [Release(3, 19)]),
    ("late records of an older epoch", state(), ack(epoch=2, upto=7), OURS, [Release(2, 7)]),
    ("an older epoch of which we hold nothing: it gives way", state(), ack(epoch=2, upto=7), None, [Dispute(2)]),
    ("an older epoch, nothing contiguous", state(), ack(epoch=2, upto=None, head=None), None, []),
    ("an older epoch with more than we ever made: the same", state(), ack(epoch=2, upto=900), None, [Dispute(2)]),
    (
        "a restored ledger speaks of an older epoch",
        state(),
        ack(epoch=2, upto=7, gen=1),
        OURS,
        [Reinstate(2, 7, 1), Release(2, 7)],
    ),
    ("an older generation is ignored", state(gen=2), ack(gen=1), OURS, [Warn]),
    ("a restored ledger lowers upto", state(gen=1), ack(gen=2, upto=4), OURS, [Reinstate(3, 4, 2), Release(3, 4)]),
    ("a restored ledger that holds nothing", state(), ack(gen=1, upto=None, head=None), None, [Reinstate(3, None, 1)]),
]


@pytest.mark.parametrize(("name", "before", "note", "own", "expected"), ACK_RULES, ids=[row[0] for row in ACK_RULES])
def test_ack_rules(name: str, before: State, note: Ack, own: str | None, expected: list[object]) -> None:
    _, effects = chain.step(before, Acknowledged(note, own), POLICY)
    assert [type(e) if isinstance(e, Warn) else e for e in effects] == expected


def test_wrong_head_is_told_once() -> None:
    after, first = chain.step(state(), Acknowledged(ack(epoch=2, head=OTHER), OURS), POLICY)
    _, second = chain.step(after, Acknowledged(ack(epoch=2, head=OTHER), OURS), POLICY)
    assert (kinds(first), kinds(second)) == ([Warn, Dispute], [Dispute])


def test_new_epoch_starts_the_chain_anew_and_only_once() -> None:
    after, _ = chain.step(state(), Acknowledged(ack(head=OTHER), OURS), POLICY)
    assert (after.epoch, after.next_seq) == (4, 0)
    again, effects = chain.step(after, Acknowledged(ack(head=OTHER), OURS), POLICY)
    assert NewEpoch not in kinds(effects)
    assert again.epoch == 4


def test_release_is_the_only_way_out_and_needs_our_head() -> None:
    for event in (Connected(), Disconnected(), Placed(3, 19), Offered(((3, 0),), 0, 0.5), Offered((), 9, 0.5)):
        _, effects = chain.step(state(connected=True), event, POLICY)
        assert Release not in kinds(effects)


def keys(*seqs: int) -> tuple[Key, ...]:
    return tuple((3, seq) for seq in seqs)


def test_nothing_is_sent_without_a_session() -> None:
    assert chain.step(state(), Offered(keys(0, 1), 0, 0.0), POLICY)[1] == ()


def test_offer_fills_the_window_and_no_more() -> None:
    after, effects = chain.step(state(connected=True), Offered(keys(0, 1, 2), 0, 0.0), POLICY)
    assert effects == (Send(keys(0, 1, 2)),)
    after, effects = chain.step(after, Offered(keys(*range(10)), 1, 0.0), POLICY)
    assert effects == (Send(keys(3, 4)),)
    assert chain.step(after, Offered(keys(*range(10)), 2, 0.0), POLICY)[1] == ()


def test_silence_sends_the_oldest_again_ever_more_rarely() -> None:
    now, sent_at = 0, []
    current, _ = chain.step(state(connected=True), Offered(keys(0, 1), now, 1.0), POLICY)
    for now in range(0, 3_600_000, 1000):
        current, effects = chain.step(current, Offered(keys(0, 1), now, 1.0), POLICY)
        sent_at += [now for _ in effects]
    gaps = [b - a for a, b in itertools.pairwise(sent_at)]
    assert gaps[0] == 40_000
    assert gaps == sorted(gaps)
    assert gaps[-1] == 600_000


def test_progress_starts_the_patience_anew() -> None:
    current, _ = chain.step(state(connected=True), Offered(keys(0, 1), 0, 0.0), POLICY)
    current, _ = chain.step(current, Acknowledged(ack(upto=0), OURS), POLICY)
    assert current.under_way == keys(1)
    current, effects = chain.step(current, Offered(keys(1), 9_999, 0.0), POLICY)
    assert effects == ()
    assert chain.step(current, Offered(keys(1), 19_998, 0.0), POLICY)[1] == ()
    assert chain.step(current, Offered(keys(1), 19_999, 0.0), POLICY)[1] == (Send(keys(1)),)


def test_reconnecting_begins_again_at_the_oldest() -> None:
    current, _ = chain.step(state(connected=True), Offered(keys(0, 1), 0, 0.0), POLICY)
    current, _ = chain.step(current, Disconnected(), POLICY)
    current, _ = chain.step(current, Connected(), POLICY)
    assert chain.step(current, Offered(keys(0, 1, 2), 1, 0.0), POLICY)[1] == (Send(keys(0, 1, 2)),)


acks = st.builds(
    ack,
    epoch=st.integers(1, 5),
    upto=st.none() | st.integers(0, 30),
    head=st.sampled_from([OURS, OTHER]),
    gen=st.integers(0, 2),
)


@given(note=acks, own=st.sampled_from([None, OURS, OTHER]), gen=st.integers(0, 2))
def test_no_ack_releases_what_is_not_proved_ours(note: Ack, own: str | None, gen: int) -> None:
    after, effects = chain.step(state(gen=gen), Acknowledged(note, own), POLICY)
    for effect in effects:
        if isinstance(effect, Release):
            assert own is not None
            assert note.head == own
            assert note.gen >= gen
            assert effect == Release(note.epoch, note.upto or 0)
    assert after.epoch >= 3
    assert after.gen == max(gen, note.gen)


@given(note=acks, own=st.sampled_from([None, OURS, OTHER]), gen=st.integers(0, 2))
def test_an_older_epoch_never_begins_a_new_one(note: Ack, own: str | None, gen: int) -> None:
    after, effects = chain.step(state(gen=gen), Acknowledged(note, own), POLICY)
    if note.epoch < 3:
        assert NewEpoch not in kinds(effects)
        assert (after.epoch, after.next_seq) == (3, 20)


@given(st.lists(st.tuples(st.integers(0, 60_000), st.integers(0, 30), st.booleans()), max_size=40))
def test_under_way_never_exceeds_the_window(steps: list[tuple[int, int, bool]]) -> None:
    current, now, released = state(connected=True), 0, -1
    for wait_ms, upto, is_ack in steps:
        now += wait_ms
        if is_ack:
            released = max(released, min(upto, 19))
            current, _ = chain.step(current, Acknowledged(ack(upto=released), OURS), POLICY)
        else:
            current, _ = chain.step(current, Offered(keys(*range(released + 1, 20)[:5]), now, 0.3), POLICY)
        assert len(current.under_way) <= POLICY.window
        assert all(seq > released for _, seq in current.under_way)


def test_an_older_epoch_that_can_never_be_released_does_not_hold_up_the_running_one() -> None:
    """Found by tests.years: after a restore the window was full for ever of what the ledger knows otherwise."""
    full = state(connected=True, under_way=((2, 7), (2, 8), (3, 0)), retry_ms=99, attempt=6)
    after, effects = chain.step(full, Acknowledged(ack(epoch=2, head=OTHER), OURS), POLICY)
    assert Dispute(2) in effects
    assert (after.under_way, after.retry_ms, after.attempt) == (((3, 0),), None, 0)
