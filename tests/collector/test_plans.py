"""No question that the ledger's writer asks walks the ledger, whatever comes in whatever order."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from collector.ingest import Message
from tests.collector.door import Door
from tests.collector.kit import T0_MS, FakeProbe, document
from tests.collector.postgres import SQLITE_ONLY

FORKED = 3


def disorder(door: Door, one: FakeProbe) -> None:
    """Holes that fill late, loose records, a fork, a boot that is dated late, a broken schema, doubts, a move."""
    undated = one.test(t_ms=None, clock="unsynced", t_src="none")
    raws = [undated, *(one.test() for _ in range(FORKED)), one.odd(b'{"v":1}'), one.schema_broken(), one.test()]
    raws += [one.gap(20, 22, "A" * 43 + "="), one.event("clock_set", set_mono_ms=0, set_t_ms=T0_MS), one.coverage()]
    copy = FakeProbe("p-one")
    copy.signer = one.signer
    for raw in [*raws[::2], *raws[1::2], *raws]:
        door.take("p-one", raw)
    door.take("p-one", *(copy.test(downlink_bps=1 + at) for at in range(FORKED)))
    door.ingest.doubt([(n, leaf) for n, leaf in door.sql("SELECT n, leaf FROM entry WHERE n = 2")])
    door.ingest.mark([(1, True), (1, False)])
    door.ingest.take([Message("dosong/v1/status/p-one", b"online")], T0_MS)
    moved = {**document(one)["probes"][0], "valid_from_ms": T0_MS - 1}
    door.registry.load({"probes": [moved]})
    while door.ingest.follower.step():
        pass
    door.ingest.heads()


@SQLITE_ONLY
def test_every_question_finds_its_records_by_an_index(tmp_path: Path) -> None:
    one = FakeProbe("p-one")
    door = Door(tmp_path, one)
    asked: set[str] = set()
    door.ledger._db.set_trace_callback(asked.add)
    try:
        disorder(door, one)
        door.ledger._db.set_trace_callback(None)
        of_entry = [sql for sql in asked if "entry" in sql and sql.split()[0] in {"SELECT", "UPDATE", "DELETE"}]
        assert len(of_entry) > 20
        with sqlite3.connect(door.path) as db:
            walks = [(sql, step[3]) for sql in of_entry for step in _plan(db, sql) if step[3].startswith("SCAN")]
        assert not walks
    finally:
        door.close()


def _plan(db: sqlite3.Connection, sql: str) -> list[tuple[int, int, int, str]]:
    return db.execute(f"EXPLAIN QUERY PLAN {sql}").fetchall()
