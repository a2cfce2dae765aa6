"""What every engine of the ledger must do, written against the `Ledger` Protocol alone.

A new engine joins by a line in `ENGINES`: how to open the ledger in a folder; opened again it holds what was committed.
What a test reads back, it reads by the Protocol. Files, schema versions and locks are each engine's own business: for
SQLite see the end of this file and test_ledger.py.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import pytest

from collector.core.accept import Chain, GapRange, Standing
from collector.core.place import Place
from collector.core.row import Row
from collector.ledger import LedgerReader
from collector.ledger_pg import PostgresLedger
from collector.ledger_port import DeliveryRow, Ledger, RefusedBytes
from collector.ledger_write import SqliteLedger
from collector.sqlite import migrate, versions
from tests.collector.door import Door
from tests.collector.harm import lay
from tests.collector.kit import BOOT, T0_MS, FakeProbe
from wire import codec, topics
from wire.errors import Unavailable
from wire.records import TestRecord

PLACE = Place("19", "05755", "h-dong-chuoi", "s-one", 215_000_000, 1_058_000_000)


class Closable(Ledger, Protocol):
    """A ledger that a test can close."""

    def close(self) -> None: ...


Open = Callable[[], Closable]
ENGINES: dict[str, Callable[[Any], Closable]] = {"sqlite": SqliteLedger, "postgres": PostgresLedger}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Open]:
    """Opens the ledger; opening again closes it first, so that only what was committed is there."""
    held: list[Closable] = []
    place = tmp_path / "ledger.db" if request.param == "sqlite" else request.getfixturevalue("postgres")

    def again() -> Closable:
        for one in held:
            one.close()
        held[:] = [ENGINES[request.param](place)]
        return held[0]

    yield again
    for one in held:
        one.close()


@pytest.fixture
def ledger(engine: Open) -> Closable:
    return engine()


def rows(one: FakeProbe, *raws: bytes, received_ms: int = T0_MS, **changes: Any) -> list[Row]:
    """Rows as ingest makes them of records in their chain."""
    found = []
    for raw in raws:
        opened = codec.open_record(raw, one.origin, one.probe, one.signer.verifier)
        head = opened.head
        row = Row(
            part=topics.part(one.probe),
            probe=one.probe,
            standing=Standing.IN_CHAIN if head else Standing.LOOSE,
            record=opened.record,
            t_ms=opened.record.t_ms if opened.record else None,
            fault=opened.fault.reason if opened.fault else None,
            place=PLACE,
            not_counted=() if isinstance(opened.record, TestRecord) else ("not_a_test",),
            epoch=head.epoch if head else None,
            seq=head.seq if head else None,
            leaf=opened.leaf,
            prev=head.prev if head else None,
            received_ms=received_ms,
            raw=raw,
        )
        found.append(replace(row, **changes))
    return found


def test_an_empty_ledger_knows_nothing(ledger: Ledger) -> None:
    with ledger.transaction():
        assert ledger.chain("p-one", 1) == Chain(1)
        assert ledger.last_epoch("p-one") is None
        assert ledger.head_of("p-one") is None
        assert ledger.leaf_at("p-one", 1, 0) is None
        assert ledger.prev_at("p-one", 1, 0) is None
        assert ledger.leaves("p-one", 1, range(3)) == {}
        assert ledger.at("p-one", 1, 0) is None
        assert ledger.numbered(1, b"\0" * 32) is None
        assert ledger.clock_of("p-one", BOOT) is None
        assert ledger.undated("p-one", BOOT) == []
        assert ledger.slots_taken("p-one", 0, 2**50) == set()
        found = ledger.look("p-one", 1, 0)
        assert (found.link, found.gap) == (None, None)


def test_what_is_committed_is_there_when_it_is_opened_again(engine: Open, one: FakeProbe) -> None:
    raws = [one.test() for _ in range(3)]
    leaves = [codec.leaf_hash(raw) for raw in raws]
    chain = Chain(1, 3, leaves[2], 3)
    ledger = engine()
    with ledger.transaction():
        assert ledger.insert(rows(one, *raws)) == 1
        ledger.keep_chain("p-one", chain)
    ledger = engine()
    with ledger.transaction():
        assert ledger.chain("p-one", 1) == chain
        assert ledger.leaves("p-one", 1, range(1, 9)) == {1: leaves[1], 2: leaves[2]}
        assert ledger.leaf_at("p-one", 1, 0) == leaves[0]
        assert ledger.prev_at("p-one", 1, 1) == codec.leaf_text(leaves[0])
        stored = ledger.at("p-one", 1, 2)
        assert stored is not None
        assert (stored.n, stored.record, stored.standing, stored.fault) == (
            *(3, codec.decode_body(codec.body_of(raws[2])), Standing.IN_CHAIN, None),
        )
        head = ledger.head_of("p-one")
        assert head is not None
        assert (head.epoch, head.upto, head.head, head.size, head.gen) == (1, 2, leaves[2], 3, 0)
        assert ledger.insert(rows(one, one.event())) == 4


def test_an_exception_leaves_nothing_of_the_group(engine: Open, one: FakeProbe) -> None:
    ledger = engine()
    with contextlib.suppress(ZeroDivisionError), ledger.transaction():
        ledger.insert(rows(one, one.test()))
        ledger.keep_chain("p-one", Chain(1, 1, b"\1" * 32, 1))
        ledger.set_clock("p-one", BOOT, 0, T0_MS)
        raise ZeroDivisionError
    for again in (False, True):
        held = engine() if again else ledger
        with held.transaction():
            assert held.leaf_at("p-one", 1, 0) is None
            assert held.chain("p-one", 1) == Chain(1)
            assert held.clock_of("p-one", BOOT) is None


def test_numbers_rise_without_a_hole_over_all_probes(ledger: Ledger, one: FakeProbe, two: FakeProbe) -> None:
    with ledger.transaction():
        assert ledger.insert(rows(one, one.test(), one.coverage())) == 1
        assert ledger.insert(rows(two, two.test())) == 3
    with ledger.transaction():
        assert ledger.insert(rows(one, one.event())) == 4


def test_one_record_a_place_and_aside_ones_beside_it(ledger: Ledger, one: FakeProbe) -> None:
    first = one.test()
    clone = FakeProbe("p-one", signer=one.signer)
    (fork,) = rows(one, clone.test(downlink_bps=1), standing=Standing.FORK, fault="fork", not_counted=("fork",))
    with ledger.transaction():
        ledger.insert(rows(one, first))
        ledger.insert([fork])
        assert ledger.leaf_at("p-one", 1, 0) == codec.leaf_hash(first)
        assert ledger.is_aside("p-one", fork.leaf)
        assert not ledger.is_aside("p-one", codec.leaf_hash(first))
        assert not ledger.is_aside("p-two", fork.leaf)


@pytest.mark.parametrize("apart", [False, True], ids=["one group", "two groups"])
def test_a_place_that_is_held_takes_no_second_record_whatever_the_caller_says(
    ledger: Ledger, one: FakeProbe, *, apart: bool
) -> None:
    first, second = one.coverage(), FakeProbe("p-one", signer=one.signer).event()  # neither has a slot to be held

    def insert(*raws: bytes) -> None:
        with ledger.transaction():
            for raw in raws:
                ledger.insert(rows(one, raw))

    if apart:
        insert(first)
    with pytest.raises(Unavailable):
        insert(*([second] if apart else [first, second]))
    assert ledger.leaf_at("p-one", 1, 0) == (codec.leaf_hash(first) if apart else None)


def test_a_loose_record_is_found_by_its_hash_and_settles(ledger: Ledger, one: FakeProbe) -> None:
    lost = one.odd(b"no json at all")
    behind = one.test()
    (loose,) = rows(one, lost)
    with ledger.transaction():
        ledger.insert([loose])
        ledger.insert(rows(one, behind))
        found = ledger.look("p-one", 1, 0)
        assert found.link is not None
        assert (found.link.seq, found.link.leaf) == (1, codec.leaf_hash(behind))
        assert found.loose == {loose.leaf: None}
        ledger.settle("p-one", loose.leaf, 1, 0)
        assert ledger.look("p-one", 1, 0).loose == {}


def test_a_gap_is_found_over_its_places_only(ledger: Ledger, one: FakeProbe) -> None:
    gap = GapRange(1, 2, 5, b"\7" * 32)
    with ledger.transaction():
        ledger.note_gap("p-one", gap, 1)
        ledger.note_gap("p-one", gap, 2)
        assert [ledger.look("p-one", 1, seq).gap for seq in (1, 2, 5, 6)] == [None, gap, gap, None]
        assert ledger.look("p-two", 1, 3).gap is None


def test_the_first_word_about_a_clock_holds(ledger: Ledger) -> None:
    with ledger.transaction():
        assert ledger.set_clock("p-one", BOOT, 5, T0_MS)
        assert not ledger.set_clock("p-one", BOOT, 6, T0_MS + 9)
        assert ledger.clock_of("p-one", BOOT) == (5, T0_MS)
        assert ledger.set_clock("p-two", BOOT, 6, T0_MS)


def test_undated_records_are_found_by_their_boot_and_dated(ledger: Ledger, one: FakeProbe) -> None:
    undated = {"t_ms": None, "clock": "unsynced", "t_src": "none"}
    raws = [one.test(**undated), one.test(), one.test(**undated, boot="f" * 32)]
    made = rows(one, *raws)
    with ledger.transaction():
        ledger.insert([replace(row, not_counted=("undated",)) if row.t_ms is None else row for row in made])
        (stored,) = ledger.undated("p-one", BOOT)
        assert (stored.n, stored.forked) == (1, False)
        ledger.judge_again(stored, replace(made[0], t_ms=T0_MS, not_counted=()))
        assert ledger.undated("p-one", BOOT) == []
        assert ("m1", T0_MS) in ledger.slots_taken("p-one", T0_MS, T0_MS)


def test_counted_slots_are_known_by_modem(ledger: Ledger, one: FakeProbe) -> None:
    made = rows(one, one.test(slot_ms=T0_MS), one.test(slot_ms=T0_MS + 5, modem="m2"))
    not_counted = rows(one, one.test(slot_ms=T0_MS + 9), not_counted=("outcome",))
    with ledger.transaction():
        ledger.insert(made)
        ledger.insert(not_counted)
        assert ledger.slots_taken("p-one", T0_MS, T0_MS + 100) == {("m1", T0_MS), ("m2", T0_MS + 5)}
        assert ledger.slots_taken("p-one", T0_MS + 1, T0_MS + 4) == set()
        assert ledger.slot_taken("p-one", "m1", T0_MS, 0)
        assert not ledger.slot_taken("p-one", "m1", T0_MS, 1)
        assert not ledger.slot_taken("p-one", "m2", T0_MS, 0)
        assert not ledger.slot_taken("p-two", "m1", T0_MS, 0)


def test_a_numbered_record_is_known_by_its_leaf_too(ledger: Ledger, one: FakeProbe) -> None:
    (row,) = rows(one, one.test())
    with ledger.transaction():
        ledger.insert([row])
        found = ledger.numbered(1, row.leaf)
        assert found is not None
        assert (found[0], found[1].n) == ("p-one", 1)
        assert ledger.numbered(1, b"\0" * 32) is None
        assert ledger.numbered(2, row.leaf) is None


def test_heads_are_by_epoch_and_the_highest_is_the_default(ledger: Ledger, one: FakeProbe) -> None:
    with ledger.transaction():
        ledger.keep_chain("p-one", Chain(1, 4, b"\1" * 32, 4))
        ledger.keep_chain("p-one", Chain(2, 0, None, 3, fork_seq=1))
        assert ledger.last_epoch("p-one") == 2
        newest, old = ledger.head_of("p-one"), ledger.head_of("p-one", 1)
        assert newest is not None
        assert old is not None
        assert (newest.epoch, newest.upto, newest.head) == (2, None, None)
        assert (old.epoch, old.upto, old.head) == (1, 3, b"\1" * 32)
        assert ledger.chain("p-one", 2) == Chain(2, 0, None, 3, 1)
        assert ledger.head_of("p-one", 3) is None


def test_deliveries_of_every_kind_are_taken(ledger: Ledger) -> None:
    refused = RefusedBytes("p-one", "bad_signature", "p-one", b"junk")
    kept = [
        DeliveryRow(T0_MS, topics.up("p-one"), "p-one", 100, 2, 1, ()),
        DeliveryRow(T0_MS, topics.up("p-one"), "p-one", 100, 0, 0, (refused, refused)),
        DeliveryRow(T0_MS, "nowhere", None, 0, 0, 0, (replace_probe(refused),)),
    ]
    with ledger.transaction():
        ledger.deliver(kept)
        ledger.deliver([])
        ledger.set_status("p-one", "online", T0_MS)


def replace_probe(refused: RefusedBytes) -> RefusedBytes:
    return replace(refused, probe=None)


# --- SQLite alone: every older file is brought up to date -------------------------------------------------------------


@pytest.mark.parametrize("schema", ["ledger", "seal", "forward", "registry"])
def test_every_older_file_is_brought_up_to_date_once_and_twice(tmp_path: Path, schema: str) -> None:
    texts = versions(schema)
    assert [number for number, _ in texts] == list(range(1, len(texts) + 1))
    shapes = set()
    for start in range(len(texts) + 1):
        path = tmp_path / f"{schema}-{start}.db"
        db = sqlite3.connect(path, isolation_level=None)
        lay(db, schema, start)
        for _ in range(2):
            migrate(db, schema, path)
            assert db.execute("PRAGMA user_version").fetchone() == (texts[-1][0],)
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            shapes.add(tuple(db.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY type, name")))
        db.close()
    assert len(shapes) == 1


BLOCKS = 6
"""The version since when records lie in blocks; only what is older can be written by one statement."""


@pytest.mark.parametrize("start", range(1, len(versions("ledger"))))
def test_records_of_an_older_ledger_read_and_go_on(tmp_path: Path, one: FakeProbe, start: int) -> None:
    raws = [one.test() for _ in range(2)]
    db = sqlite3.connect(tmp_path / "ledger.db", isolation_level=None)
    lay(db, "ledger", min(start, BLOCKS - 1))
    _old_record(db, one, raws[0])
    lay(db, "ledger", start, behind=BLOCKS - 1)
    db.close()
    for turn in range(2):
        door = Door(tmp_path, one)
        assert door.reader.sample("p-one", 1, 0).raw == raws[0]  # type: ignore[union-attr]
        assert door.take("p-one", raws[1]).accepted == int(turn == 0)
        assert door.upto("p-one") == 1
        assert door.reader.hamlet_counts()["h-dong-chuoi"].counted == 2
        door.close()
    reader = LedgerReader(tmp_path / "ledger.db")
    assert reader.last_n() == 2
    reader.close()


def _old_record(db: sqlite3.Connection, one: FakeProbe, raw: bytes) -> None:
    """One counted sample as version 1 wrote it: its own dictionary, which later programs must go on reading by."""
    from collector.pack import Packer  # noqa: PLC0415

    db.execute("INSERT INTO meta VALUES ('dictionary', ?), ('gen', 0)", (b'"an":"older","dictionary":',))
    db.execute(
        "INSERT INTO record (part, probe, epoch, seq, standing, leaf, prev, received_ms, kind, boot, mono_ms, t_ms,"
        " province, commune, hamlet, modem, plmn, slot_ms, counted, outcome, raw)"
        " VALUES (?, 'p-one', 1, 0, 0, ?, '', ?, 'test', ?, 0, ?, '19', '05755', 'h-dong-chuoi', 'm1', '45204', ?, 1,"
        " 'ok', ?)",
        (
            *(topics.part("p-one"), codec.leaf_hash(raw), T0_MS, BOOT, T0_MS, T0_MS),
            Packer(b'"an":"older","dictionary":').pack(raw),
        ),
    )
    db.execute("INSERT INTO chain VALUES ('p-one', 1, 0, ?, NULL, 0)", (codec.leaf_hash(raw),))
    db.execute("INSERT INTO probe (id, records) VALUES ('p-one', 1)")
