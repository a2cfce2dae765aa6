"""Blocks: bytes come back bit for bit whatever they are, and what was changed never passes for what was stored."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collector.blocks import MAX_RECORDS, Block, BlockPacker, fold, unfold
from collector.ledger_time import IN_SPAN, THIRD
from collector.ledger_write import SqliteLedger
from collector.pack import make_dictionary
from tests.collector.door import Door
from tests.collector.harm import downgrade, prevs, raws_of
from tests.collector.kit import T0_MS, FakeProbe
from wire.codec import leaf_hash

PACKER = BlockPacker(make_dictionary())
KINDS = st.lists(st.sampled_from(["test", "coverage", "event", "odd", "loose", "gap", "skip"]), min_size=1, max_size=80)


def chain(kinds: list[str]) -> list[bytes]:
    one, raws = FakeProbe("p-one"), []
    for kind in kinds:
        if kind == "skip":
            one.test()  # lost on the way: the next one's `prev` names what is not here
        elif kind == "loose":
            raws.append(one.odd(b'no JSON, but "prev":"' + one.head.encode() + b'"'))
        else:
            made = {"test": one.test, "coverage": one.coverage, "event": one.event, "odd": one.schema_broken}
            raws.append(one.gap(0, 0, "A" * 43 + "=") if kind == "gap" else made[kind]())
    return raws


def leaves(raws: list[bytes]) -> list[bytes]:
    return [leaf_hash(raw) for raw in raws]


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(KINDS, st.lists(st.binary(min_size=1, max_size=300), max_size=8), st.randoms())
def test_any_bytes_come_back(kinds: list[str], junk: list[bytes], draw: object) -> None:
    raws = [*chain(kinds), *junk, *(b'{"prev":"\0"}' + one for one in junk)][:MAX_RECORDS]
    draw.shuffle(raws)  # type: ignore[attr-defined]
    assert unfold(*fold(raws, leaves(raws))) == raws
    assert PACKER.unpack(PACKER.pack(raws, leaves(raws))) == raws


def test_a_chain_takes_little_room() -> None:
    raws = chain(["test"] * MAX_RECORDS)
    block = PACKER.pack(raws, leaves(raws))
    assert len(block.signatures) == 64 * MAX_RECORDS
    assert len(block.packed) + len(block.signatures) < 0.25 * sum(map(len, raws))


def test_what_no_block_may_hold_is_not_cut_off() -> None:
    for raws in ([b"x"] * (MAX_RECORDS + 1), [b"x" * 65_536]):
        with pytest.raises(ValueError, match="a block holds"):
            PACKER.pack(raws, leaves(raws))


def test_no_changed_byte_of_a_block_reads_as_what_was_stored() -> None:
    """Or it reads as what was stored: a frame has a few spare bits."""
    raws = chain(["test", "coverage", "event"])
    block = PACKER.pack(raws, leaves(raws))
    whole = block.packed + block.signatures
    same = 0
    for at in range(len(whole)):
        changed = bytes([*whole[:at], whole[at] ^ 0x11, *whole[at + 1 :]])
        read = PACKER.unpack(Block(changed[: len(block.packed)], changed[len(block.packed) :]))
        same += read == raws
    assert same <= 2
    assert PACKER.unpack(Block(block.packed, block.signatures[:-1])) is None
    assert PACKER.unpack(Block(block.packed, block.signatures + bytes(64))) is None
    assert PACKER.unpack(Block(b"", b"")) is None


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(KINDS, min_size=1, max_size=3), st.booleans())
def test_a_ledger_of_version_5_says_the_same_after_it_was_brought_up_to_date(
    tmp_path_factory: pytest.TempPathFactory, groups: list[list[str]], forks: bool
) -> None:
    folder: Path = tmp_path_factory.mktemp("v5")
    one = FakeProbe("p-one")
    door = Door(folder, one)
    for raw in [raw for kinds in groups for raw in _more(one, kinds)][: 6 * 64]:
        door.take("p-one", raw)
    if forks:
        door.take("p-one", FakeProbe("p-one", signer=one.signer).test(downlink_bps=7))
    door.ledger.close()
    kept, raws = _seen(door), raws_of(door.path)
    downgrade(door.path)
    for _ in range(2):
        SqliteLedger(door.path).close()
        assert (_seen(door), raws_of(door.path)) == (kept, raws)
    door.ledger = SqliteLedger(door.path)
    door.ingest.__init__(door.ledger, door.registry, one.origin)  # type: ignore[misc]
    assert door.take("p-one", *list(raws.values())[-8:]).accepted == 0, "what is held is held"
    door.close()


def _more(one: FakeProbe, kinds: list[str]) -> list[bytes]:
    made = []
    plain = {"test": one.test, "coverage": one.coverage, "event": one.event, "odd": one.schema_broken}
    for kind in kinds[:12]:
        if kind in {"skip", "loose"}:
            made.append(one.odd(b"without any place"))
        elif kind == "gap":
            made.append(one.event("clock_set", set_mono_ms=0, set_t_ms=T0_MS))
        else:
            made.append(plain[kind]())
    return made


def _seen(door: Door) -> list[list[object]]:
    with closing(sqlite3.connect(door.path)) as db:
        tables = ("record", "chain", "gap", "rollup_total", "delivery", "redo")
        found = [db.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in tables]  # noqa: S608
        return [*found, sorted(prevs(db).items())]


def test_what_did_not_read_in_version_5_is_kept_and_does_not_read(tmp_path: Path, one: FakeProbe) -> None:
    door = Door(tmp_path, one)
    door.take("p-one", *(one.test() for _ in range(9)))
    door.ledger.close()
    raws = raws_of(door.path)
    downgrade(door.path)
    with closing(sqlite3.connect(door.path)) as db:
        db.execute("UPDATE record SET raw = x'28b52ffd00ff00' WHERE n = 4")
        db.execute("DELETE FROM record WHERE n = 7")
        db.commit()
    door.ledger = SqliteLedger(door.path)
    assert raws_of(door.path) == {n: raw for n, raw in raws.items() if n not in {4, 7}}
    assert door.sql("SELECT hex(packed) FROM block WHERE first_n = 4") == [("28B52FFD00FF00",)]
    door.close()


QUESTIONS = {
    "SELECT * FROM record WHERE n = ?": "SEARCH e USING INTEGER PRIMARY KEY",
    "SELECT * FROM record WHERE n > ? ORDER BY n LIMIT 9": "SEARCH e USING INTEGER PRIMARY KEY",
    "SELECT * FROM record ORDER BY n DESC LIMIT 9": "SCAN e",
    "SELECT * FROM record WHERE probe = ? AND epoch = ? AND seq = ? AND standing = 0": "SEARCH e USING INDEX entry_id",
    "SELECT * FROM record WHERE hamlet = ? ORDER BY n DESC LIMIT 9": "SEARCH e USING INDEX entry_hamlet",
    "SELECT * FROM record WHERE commune = ? AND n > ? ORDER BY n LIMIT 9": "SEARCH e USING INDEX entry_commune",
    f"SELECT * FROM record WHERE {IN_SPAN} ORDER BY n LIMIT 9": "SEARCH e USING INDEX entry_third",  # noqa: S608
    f"SELECT count(*) FROM record WHERE {IN_SPAN}": "SEARCH e USING INDEX entry_third",  # noqa: S608
    f"SELECT min({THIRD}) FROM entry": "SEARCH entry USING INDEX entry_third",  # noqa: S608
}


@pytest.mark.parametrize("sql", QUESTIONS)
def test_what_readers_ask_of_the_view_is_found_by_an_index(door: Door, sql: str) -> None:
    plan = door.ledger._db.execute(f"EXPLAIN QUERY PLAN {sql}", ["1"] * sql.count("?")).fetchall()
    steps = [row[3] for row in plan]
    assert any(step.startswith(QUESTIONS[sql]) for step in steps), steps
    assert not [step for step in steps if step.startswith("SCAN") and step != "SCAN e"], steps
    assert "ORDER BY n" not in sql or "t_ms" in sql or "USE TEMP B-TREE FOR ORDER BY" not in steps, steps
