"""Which bytes are refused, which are kept, what counts, and how far a chain is acknowledged."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collector.core.accept import Chain
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe, document
from wire import codec, topics
from wire.note import Signer


def test_every_altered_byte_is_refused_with_a_reason(door: Door, one: FakeProbe) -> None:
    raw = one.test()
    for at in range(len(raw)):
        altered = bytes([*raw[:at], raw[at] ^ 0x01, *raw[at + 1 :]])
        taken = door.take("p-one", altered)
        assert (taken.accepted, taken.refused) == (0, 1), at
    assert door.reader.last_n() == 0
    assert set(door.refusals()) <= {"bad_signature", "not_a_note", "wrong_domain", "unknown_key", "bad_key"}
    assert len(door.refusals()) == len(raw)
    newest = door.reader.refusals(1)[0]
    assert door.reader.refused_bytes(newest.n) == altered
    assert door.take("p-one", raw).accepted == 1


REFUSED: list[tuple[str, Callable[[FakeProbe, FakeProbe], tuple[str, bytes]], str]] = [
    ("another probe's topic", lambda one, two: (topics.up("p-two"), _framed(one.test())), "unknown_key"),
    ("no such probe", lambda one, two: (topics.up("p-nobody"), _framed(one.test())), "unknown_probe"),
    ("wrong part", lambda one, two: ("dosong/v1/up/63/p-one", _framed(one.test())), "wrong_topic"),
    ("wrong shape of topic", lambda one, two: ("dosong/v1/up/p-one", _framed(one.test())), "wrong_topic"),
    ("unknown key", lambda one, two: (topics.up("p-one"), _framed(FakeProbe("p-one").test())), "unknown_key"),
    ("not a note", lambda one, two: (topics.up("p-one"), _framed(b"hello")), "not_a_note"),
    ("too big", lambda one, two: (topics.up("p-one"), _framed(b"x" * 5000)), "too_big"),
    ("broken frame", lambda one, two: (topics.up("p-one"), b"\x00\x09abc"), "bad_bundle"),
    ("empty message", lambda one, two: (topics.up("p-one"), b""), "bad_bundle"),
    ("message too big", lambda one, two: (topics.up("p-one"), b"\x00\x01a" * 20_000), "bad_bundle"),
]


def _framed(raw: bytes) -> bytes:
    return len(raw).to_bytes(2, "big") + raw


@pytest.mark.parametrize(("name", "make", "reason"), REFUSED, ids=[r[0] for r in REFUSED])
def test_unauthentic_bytes_are_refused_and_kept(
    door: Door, one: FakeProbe, two: FakeProbe, name: str, make: Callable[..., tuple[str, bytes]], reason: str
) -> None:
    topic, payload = make(one, two)
    taken = door.take_bytes(topic, payload)
    assert (taken.accepted, taken.duplicate, taken.refused, taken.heads) == (0, 0, 1, {})
    refused = door.reader.refusals(10)[0]
    assert refused.reason == reason
    kept = door.reader.refused_bytes(refused.n)
    assert kept is not None
    assert payload.endswith(kept) or payload.startswith(kept)
    assert door.reader.deliveries().refused == 1


def test_a_revoked_key_is_refused_from_the_commit_on_and_history_stays(door: Door, one: FakeProbe) -> None:
    before, after = one.test(), one.test()
    assert door.take("p-one", before).accepted == 1
    row = {**document(one)["probes"][0], "state": "revoked", "revoked_ms": T0_MS}
    door.registry.load({"probes": [row]})
    assert door.take("p-one", after).refused_as == ("revoked_key",)
    assert door.reader.sample("p-one", 1, 0) is not None
    assert "p-one" not in door.ingest.heads()


def test_the_good_records_of_a_message_with_a_bad_one_are_kept(door: Door, one: FakeProbe) -> None:
    raws = [one.test(), b"junk", one.test()]
    taken = door.take("p-one", *raws)
    assert (taken.accepted, taken.refused) == (2, 1)
    assert door.upto("p-one") == 1


def test_a_duplicate_counts_once(door: Door, one: FakeProbe) -> None:
    raw = one.test()
    assert door.take("p-one", raw, raw).duplicate == 1
    taken = door.take("p-one", raw)
    assert (taken.accepted, taken.duplicate) == (0, 1)
    assert taken.heads["p-one"].upto == 0
    assert door.reader.hamlet_counts()["h-dong-chuoi"].counted == 1
    assert door.reader.last_n() == 1


def test_an_authentic_record_that_breaks_the_schema_never_blocks(door: Door, one: FakeProbe) -> None:
    raws = [one.test(), one.schema_broken(), one.test()]
    taken = door.take("p-one", *raws)
    assert taken.heads["p-one"].upto == 2
    broken = door.reader.sample("p-one", 1, 1)
    assert broken is not None
    assert (broken.fault, broken.counted, broken.record, broken.raw) == ("schema", False, None, raws[1])
    counts = door.reader.hamlet_counts()["h-dong-chuoi"]
    assert (counts.tests, counts.counted) == (2, 2)
    assert door.take("p-one", raws[1]).duplicate == 1


@pytest.mark.parametrize("order", list(itertools.permutations(range(4))))
def test_records_without_a_readable_place_never_block(tmp_path: Path, order: tuple[int, ...]) -> None:
    one = FakeProbe("p-one")
    door = Door(tmp_path, one)
    raws = [
        one.test(),
        one.odd(b"no json at all"),
        one.odd(f'{{"prev":"{one.head}","probe":"p-two","seq":2}}'.encode()),
        one.test(),
    ]
    for place in order:
        door.take("p-one", raws[place])
    # The first odd one names nothing, so its own place shows only by the one behind it, whose `prev` can be read.
    assert door.upto("p-one") == 3
    assert door.take("p-one", raws[1]).duplicate == 1
    assert [s.counted for s in door.reader.samples()].count(True) == 2
    door.close()


def test_a_fork_keeps_both_and_stops_counting(door: Door, one: FakeProbe) -> None:
    raws = [one.test(), one.test()]
    clone = FakeProbe("p-one", signer=one.signer)
    clone.test()
    clone.seq, clone.head = 1, codec.leaf_text(codec.leaf_hash(raws[0]))
    other = clone.test(downlink_bps=99_000_000)
    door.take("p-one", *raws)
    taken = door.take("p-one", other)
    assert (taken.accepted, taken.heads["p-one"].upto) == (1, 1)
    held = door.reader.samples(newest_first=False)
    assert [(s.raw, s.counted, s.in_chain) for s in held] == [
        (raws[0], True, True),
        (raws[1], True, True),
        (other, False, False),
    ]
    assert "fork" in held[2].not_counted
    assert door.take("p-one", other).duplicate == 1
    door.take("p-one", one.test())
    later = door.reader.sample("p-one", 1, 2)
    assert later is not None
    assert (later.counted, later.not_counted) == (False, ("fork",))
    assert door.upto("p-one") == 2


def test_a_broken_chain_is_kept_not_counted_and_acknowledged(door: Door, one: FakeProbe) -> None:
    first = one.test()
    one.head = codec.leaf_text(b"\x07" * 32)
    second = one.test()
    third = one.test()
    for raw in (third, second, first):  # judged only when the hole before it is closed
        door.take("p-one", raw)
    held = door.reader.sample("p-one", 1, 1)
    assert held is not None
    assert (held.fault, held.counted) == ("broken_chain", False)
    assert door.upto("p-one") == 2
    assert door.reader.hamlet_counts()["h-dong-chuoi"].counted == 2
    assert door.reader.last_redo() >= 1


def test_a_broken_chain_shows_at_once_when_records_come_in_order(door: Door, one: FakeProbe) -> None:
    door.take("p-one", one.test())
    one.head = codec.leaf_text(b"\x07" * 32)
    taken = door.take("p-one", one.test(), one.test())
    assert taken.heads["p-one"].upto == 2
    assert [s.not_counted for s in door.reader.samples(newest_first=False)] == [(), ("broken_chain",), ()]


def test_a_hole_is_never_closed_on_a_guess(door: Door, one: FakeProbe) -> None:
    raws = [one.test(), one.odd(b"lost"), one.odd(f'{{"prev":"{one.head}"}}'.encode()), one.test()]
    door.take("p-one", raws[0], raws[2], raws[3])  # one of the two without a place never came
    assert door.upto("p-one") == 0
    assert door.take("p-one", raws[1]).heads["p-one"].upto == 3


def test_a_gap_moves_the_head_and_a_record_found_later_beats_it(door: Door, one: FakeProbe) -> None:
    raws = [one.test() for _ in range(6)]
    leaf = codec.leaf_text(codec.leaf_hash(raws[3]))
    gap = one.gap(2, 3, leaf)
    door.take("p-one", *raws[:2])
    taken = door.take("p-one", gap)
    head = taken.heads["p-one"]
    assert (head.upto, codec.leaf_text(head.head or b"")) == (3, leaf)
    assert door.take("p-one", *raws[4:]).heads["p-one"].upto == 6
    assert door.reader.sample("p-one", 1, 2) is None
    taken = door.take("p-one", raws[2], raws[3])
    assert (taken.accepted, taken.heads["p-one"].upto) == (2, 6)
    found = [door.reader.sample("p-one", 1, seq) for seq in (2, 3)]
    assert [s is not None and s.counted and s.fault is None for s in found] == [True, True]


def test_a_gap_cannot_claim_what_comes_after_it(door: Door, one: FakeProbe) -> None:
    door.take("p-one", one.test())
    door.take("p-one", one.gap(1, 9, codec.leaf_text(b"\x01" * 32)))
    missing, behind = one.test(), one.test()
    door.take("p-one", behind)
    assert door.upto("p-one") == 1
    door.take("p-one", missing)
    assert door.upto("p-one") == 3


def test_a_gap_may_close_an_older_epoch(door: Door, one: FakeProbe) -> None:
    raws = [one.test() for _ in range(4)]
    door.take("p-one", raws[0])
    fresh = FakeProbe("p-one", epoch=2, signer=one.signer)
    leaf = codec.leaf_text(codec.leaf_hash(raws[3]))
    taken = door.take("p-one", fresh.event(), fresh.gap(1, 3, leaf, gap_epoch=1, reason="spool_damaged"))
    assert (taken.heads["p-one"].epoch, taken.heads["p-one"].upto) == (2, 1)
    chain = door.ledger.chain("p-one", 1)
    assert (chain.upto, codec.leaf_text(chain.head or b"")) == (3, leaf)


def test_a_new_epoch_is_acknowledged_for_itself(door: Door, one: FakeProbe) -> None:
    old = [one.test(), one.test()]
    door.take("p-one", old[0])
    fresh = FakeProbe("p-one", epoch=2, signer=one.signer)
    raws = [fresh.test(slot_ms=T0_MS + 10_000_000), fresh.test(slot_ms=T0_MS + 20_000_000)]
    taken = door.take("p-one", raws[0])
    head = taken.heads["p-one"]
    assert (head.epoch, head.upto, head.size) == (2, 0, 2)
    taken = door.take("p-one", old[1])
    assert (taken.accepted, taken.heads["p-one"].epoch, taken.heads["p-one"].upto) == (1, 2, 0)
    states = {s.probe: s for s in door.reader.probe_states()}
    assert (states["p-one"].epoch, states["p-one"].records) == (2, 3)


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_any_order_with_repeats_ends_complete_and_counts_once(draw: st.DataObject) -> None:
    one = FakeProbe("p-one")
    raws = [one.schema_broken() if draw.draw(st.booleans()) else one.test() for _ in range(7)]
    good = sum(b"novelty" not in raw for raw in raws)
    order = draw.draw(st.lists(st.integers(0, 6), max_size=8)) + draw.draw(st.permutations(range(7)))
    with TemporaryDirectory() as folder:
        door = Door(Path(folder), one)
        seen: set[int] = set()
        for place in order:
            taken = door.take("p-one", raws[place])
            assert taken.accepted == int(place not in seen)
            seen.add(place)
            contiguous = next(seq for seq in range(8) if seq not in seen) - 1
            assert taken.heads["p-one"].upto == (contiguous if contiguous >= 0 else None)
        assert door.reader.hamlet_counts().get("h-dong-chuoi", None) is None or (
            door.reader.hamlet_counts()["h-dong-chuoi"].counted == good
        )
        door.close()


def test_an_empty_chain_acknowledges_nothing() -> None:
    assert Chain(1).upto is None


def test_an_unknown_signer_with_the_probes_name_is_refused(door: Door, one: FakeProbe) -> None:
    thief = FakeProbe("p-one", signer=Signer.generate(f"{ORIGIN}/probe/p-one"))
    assert door.take("p-one", thief.test()).refused_as == ("unknown_key",)


def test_late_records_of_an_older_epoch_are_acknowledged_too(door: Door, one: FakeProbe) -> None:
    """A probe that began a new epoch still waits for the receipt of what it made before."""
    early, late = one.test(), one.test()
    door.take("p-one", early)
    one.epoch, one.seq, one.head = 2, 0, ""
    door.take("p-one", one.event())
    taken = door.take("p-one", late)
    ((probe, head),) = taken.older
    assert (probe, head.epoch, head.upto) == ("p-one", 1, 1)
    assert codec.leaf_text(head.head or b"") == codec.leaf_text(codec.leaf_hash(late))
    assert (taken.heads["p-one"].epoch, taken.heads["p-one"].upto) == (2, 0)


def test_a_gap_over_an_older_epoch_is_acknowledged_there(door: Door, one: FakeProbe) -> None:
    lost = one.test()
    leaf = codec.leaf_text(codec.leaf_hash(lost))
    one.epoch, one.seq, one.head = 2, 0, ""
    taken = door.take("p-one", one.gap(0, 0, leaf, gap_epoch=1))
    assert [(head.epoch, head.upto) for _, head in taken.older] == [(1, 0)]
