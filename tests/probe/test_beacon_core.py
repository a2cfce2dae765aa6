"""What a probe believes of the log: the rules, without a disk, a broker or a clock."""

from __future__ import annotations

import random

import pytest

from probe.core import beacon
from probe.core.beacon import Ask, Came, Conflict, Disconnected, Heard, Keep, Leave, Named, Policy, Reject, State, Turn
from tests.probe.beacon_kit import KEY, SEED, checkpoint, root_text
from wire import data_use, note, tlog
from wire.errors import Refused
from wire.note import Signer

POLICY = Policy(every_ms=7_200_000, patience_ms=600_000, sessions=3)


def heard(size: int, story: str = "", shard: str = "2026") -> Heard:
    return beacon.read(checkpoint(size, story, shard=shard), KEY)


def run(state: State, *events: beacon.Turn | Came | Disconnected) -> tuple[State, list[beacon.Effect]]:
    done: list[beacon.Effect] = []
    for event in events:
        state, effects = beacon.step(state, event, POLICY)
        done += effects
    return state, done


def known(size: int = 10, shard: str = "2026") -> State:
    """A state that has asked once, and knows a checkpoint since ms 1,000."""
    return run(State(), Turn(500, may_ask=True), Came(1_000, heard(size, shard=shard)))[0]


def test_a_checkpoint_is_read_with_its_log_size_and_root() -> None:
    found = heard(52)
    assert (found.name, found.shard, found.size, found.root) == (
        "dosong.example/log/2026",
        (0, 2026),
        52,
        root_text(52),
    )
    assert heard(5, shard="2027-3").shard == (3, 2027)


def _signed(text: bytes, name: str = "dosong.example/log/2026") -> bytes:
    return note.sign(text, Signer.from_seed(name, SEED))


ROOT_LINE = root_text(7).encode()
BAD = [
    ("another key", checkpoint(7, seed=bytes(32)), "unknown_key"),
    ("another origin", checkpoint(7, origin="other.example"), "wrong_domain"),
    ("no year", _signed(b"dosong.example/log\n7\n" + ROOT_LINE + b"\n", "dosong.example/log"), "wrong_domain"),
    ("a probe's", _signed(b"dosong.example/probe/p/2026\n7\n" + ROOT_LINE + b"\n"), "wrong_domain"),
    ("one byte changed", checkpoint(7).replace(b"\n7\n", b"\n8\n"), "bad_signature"),
    ("a foreign name, our signature", checkpoint(7).replace(b"/2026", b"/2027"), "unknown_key"),
    ("no note", b"dosong.example/log/2026\n7\n", "not_a_note"),
    ("nothing", b"", "wrong_domain"),
    ("noise", bytes(range(256)) * 8, "wrong_domain"),
    ("too long", checkpoint(7) + b"x" * tlog.MAX_CHECKPOINT_BYTES, "too_big"),
    ("an empty log", checkpoint(0), "schema"),
    ("more than a record can name", checkpoint(10**12), "schema"),
    ("a fourth line", _signed(b"dosong.example/log/2026\n7\n" + ROOT_LINE + b"\nmore\n"), "wrong_domain"),
    ("a size with a zero before it", _signed(b"dosong.example/log/2026\n07\n" + ROOT_LINE + b"\n"), "not_a_note"),
    ("a short root", _signed(b"dosong.example/log/2026\n7\nAAAA\n"), "not_a_note"),
]


@pytest.mark.parametrize(("raw", "reason"), [row[1:] for row in BAD], ids=[row[0] for row in BAD])
def test_what_the_logs_key_did_not_sign_so_is_refused_and_the_one_before_holds(raw: bytes, reason: str) -> None:
    with pytest.raises(Refused) as error:
        beacon.read(raw, KEY)
    assert error.value.reason == reason
    before = known()
    after, effects = run(before, Came(2_000, error.value))
    assert (after.known, after.since) == (before.known, before.since)
    assert effects == [Reject(str(error.value))]


def test_any_bytes_are_read_or_refused() -> None:
    draw = random.Random(7)
    good = checkpoint(99)
    for _ in range(2_000):
        raw = bytearray(good)
        for _ in range(draw.randint(1, 4)):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
        try:
            assert beacon.read(bytes(raw), KEY).size == 99
        except Refused:
            continue


def test_one_message_is_asked_for_and_then_nothing_for_hours() -> None:
    state, effects = run(State(), Turn(0, may_ask=False))
    assert effects == []
    state, effects = run(state, Turn(500, may_ask=True), Turn(1_000, may_ask=True))
    assert effects == [Ask()]
    state, effects = run(state, Came(1_200, heard(5)))
    assert effects == [Leave(), Keep(heard(5))]
    state, effects = run(state, Turn(1_200 + POLICY.every_ms - 1, may_ask=True))
    assert effects == []
    state, effects = run(state, Disconnected(), Turn(60_000, may_ask=True))
    assert effects == [], "another session is no reason to ask"
    _, effects = run(state, Turn(1_200 + POLICY.every_ms, may_ask=True))
    assert effects == [Ask()]


def test_a_broker_that_has_none_yet_is_heard_until_one_comes() -> None:
    state, effects = run(State(), Turn(0, may_ask=True), *(Turn(n * 10**6, may_ask=True) for n in range(1, 30)))
    assert effects == [Ask()]
    assert run(state, Came(31 * 10**6, heard(1)))[1] == [Leave(), Keep(heard(1))]


def test_a_session_that_ends_unanswered_is_asked_again_in_the_next() -> None:
    assert run(State(), Turn(0, may_ask=True), Disconnected(), Turn(5_000, may_ask=True))[1] == [Ask(), Ask()]


def test_the_month_costs_less_than_300_kilobytes() -> None:
    month_s = 31 * 86_400
    assert month_s // data_use.BEACON_EVERY_S * data_use.BEACON_BYTES < 300_000
    without = 740 * data_use.bytes_of_upkeep(data_use.Upkeep(), 1)
    assert data_use.bytes_of_upkeep(data_use.Upkeep(), 740) - without == 296 * data_use.BEACON_BYTES
    assert Policy().every_ms == data_use.BEACON_EVERY_S * 1000


def test_the_same_one_again_changes_nothing() -> None:
    before = known(10)
    after, effects = run(before, Disconnected(), Turn(8_000_000, may_ask=True), Came(8_000_100, heard(10)))
    assert effects == [Ask(), Leave()]
    assert after.since == before.since


@pytest.mark.parametrize(("shard", "size"), [("2026", 11), ("2027", 1), ("2026-1", 1), ("2026-10", 3)])
def test_what_goes_on_is_taken(shard: str, size: int) -> None:
    found = heard(size, shard=shard)
    after, effects = run(known(10), Came(9_000, found))
    assert effects == [Keep(found)]
    assert after.known == found


def test_restores_are_counted_as_numbers_and_years_stand_behind_them() -> None:
    order = ["2026", "2027", "2027-1", "2027-2", "2027-10", "2028-10"]
    places = [heard(1, shard=shard).place for shard in order]
    assert places == sorted(places)


def test_two_roots_for_one_size_are_told_at_once_with_both_notes() -> None:
    state, other = known(10), heard(10, "another story")
    after, effects = run(state, Came(2_000, other))
    assert effects == [Conflict("fork", heard(10), other)]
    assert after.known == heard(10), "what was known first holds"


@pytest.mark.parametrize(("shard", "size"), [("2026", 9), ("2025", 99)])
def test_an_older_one_is_not_taken_and_is_told_if_nothing_newer_follows(shard: str, size: int) -> None:
    older = heard(size, shard=shard)
    state, effects = run(known(10), Turn(8_000_000, may_ask=True), Came(8_000_000, older))
    assert [type(effect) for effect in effects] == [Ask, Reject]
    assert run(state, Came(8_000_500, heard(11)))[1] == [Leave(), Keep(heard(11))], "a killed broker, put right"
    assert run(state, Turn(8_000_000 + POLICY.patience_ms - 1, may_ask=True))[1] == []
    after, effects = run(state, Turn(8_000_000 + POLICY.patience_ms, may_ask=True))
    assert effects == [Leave(), Conflict("older", heard(10), older)]
    assert after.known == heard(10)


def test_a_broker_that_ends_each_session_cannot_keep_an_older_one_untold() -> None:
    state, at_ms, told = known(10), 8_000_000, list[beacon.Effect]()
    for _ in range(POLICY.sessions + 1):
        at_ms += 10_000
        events = (Turn(at_ms, may_ask=True), Came(at_ms, heard(9)), Turn(at_ms + 1, may_ask=True), Disconnected())
        state, effects = run(state, *events)
        told += [effect for effect in effects if isinstance(effect, Conflict)]
    assert told == [Conflict("older", heard(10), heard(9))]


def test_a_record_names_the_newest_that_was_known_when_it_began() -> None:
    state = known(10)
    for number, since_ms in ((11, 2_000), (12, 3_000)):
        state, _ = run(state, Came(since_ms, heard(number)))
    at = {999: None, 1_000: 10, 1_999: 10, 2_000: 11, 5_000_000: 12}
    assert {ms: named.size if (named := beacon.named_at(state, ms)) else None for ms in at} == at
    assert beacon.named_at(state, 2_500) == Named(11, root_text(11))


def test_only_the_last_few_moments_are_remembered() -> None:
    state = known(1)
    for number in range(2, 100):
        state, _ = run(state, Came(number * 1_000, heard(number)))
    assert len(state.since) == beacon.KEPT
    assert beacon.named_at(state, 50_000) is None, "it cannot be told any more what was known then"


def test_after_a_start_it_is_known_from_the_start_on() -> None:
    state = beacon.loaded(heard(10), 700)
    assert beacon.named_at(state, 699) is None
    assert beacon.named_at(state, 700) == Named(10, root_text(10))
    assert run(state, Turn(701, may_ask=True))[1] == [Ask()]
