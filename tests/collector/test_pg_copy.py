"""Records into PostgreSQL by COPY: every value comes back, all of a group or none, whatever is asked in between."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from collector.core.accept import Chain
from collector.core.row import Row
from collector.ingest import Message
from collector.ledger_pg import OPTIONS, PROBES, PostgresLedger
from collector.ledger_place import Remote
from collector.pg import PgDatabase, PgError
from collector.pg_copy import SEND_ROWS, RowStream, numbers, spelt
from tests.collector.door import Door
from tests.collector.kit import T0_MS, FakeProbe
from tests.collector.postgres import OWNER
from wire import bundle, codec, topics
from wire.errors import Unavailable

TEXTS = ["", "None", " None", "\\N", "\\", "a,b", ",", "a\tb\nc\rd", "đo sóng", "\\.", '"x"', "'", " ", "\\x00"]


@pytest.fixture
def table(postgres: Remote) -> Iterator[PgDatabase]:
    url = postgres.url.replace("dosong_ledger@", f"{OWNER}@")
    db = PgDatabase(Remote(url))
    db.execute("CREATE TEMP TABLE given (n bigint PRIMARY KEY, note text, raw bytea, more bigint)")
    yield db
    db.close()


def test_every_value_comes_back(table: PgDatabase) -> None:
    rows: list[tuple[int, str | None, bytes | None, int | None]] = [(n, text, None, -n) for n, text in enumerate(TEXTS)]
    rows += [(2**63 - 1, None, b"", None), (-1, "x", bytes(range(256)), 0)]
    stream = RowStream("given", ("n", "note", "raw", "more"))
    stream.add(table, [",".join(map(spelt, row)) for row in rows])
    stream.end(table)
    assert table.execute("SELECT * FROM given ORDER BY n").fetchall() == sorted(rows)
    stream.add(table, [",".join(map(spelt, (10**6, "nul\0", None, None)))])
    stream.end(table)
    assert table.execute("SELECT note FROM given WHERE n = 1000000").fetchone() == ("nul\ufffd",)


def test_numbers_at_once_are_as_numbers_one_by_one(table: PgDatabase) -> None:
    stream = RowStream("given", ("n", "more"))
    given = [(1, None), (2, -7), (2**40, 0)]
    stream.add(table, map(numbers, given))
    stream.end(table)
    assert table.execute("SELECT n, more FROM given ORDER BY n").fetchall() == given


def test_much_is_sent_at_once_and_others_may_ask_behind_a_pause(table: PgDatabase) -> None:
    stream = RowStream("given", ("n", "more"))
    table.execute("BEGIN")
    stream.add(table, (numbers((n, 1)) for n in range(SEND_ROWS)))
    stream.pause()
    assert table.execute("SELECT count(*) FROM given").fetchone() == (SEND_ROWS,)
    stream.add(table, [numbers((SEND_ROWS, 1))])
    stream.pause()  # a few wait on
    assert table.execute("SELECT count(*) FROM given").fetchone() == (SEND_ROWS,)
    stream.end(table)
    table.execute("COMMIT")
    assert table.execute("SELECT count(*) FROM given").fetchone() == (SEND_ROWS + 1,)


def test_what_is_broken_off_leaves_nothing_and_the_connection_goes_on(table: PgDatabase) -> None:
    stream = RowStream("given", ("n", "more"))
    table.execute("BEGIN")
    stream.add(table, (numbers((n, 1)) for n in range(10 * SEND_ROWS)))
    stream.abandon()
    table.execute("ROLLBACK")
    stream.end(table)
    assert table.execute("SELECT count(*) FROM given").fetchone() == (0,)


def test_a_commit_that_the_server_turns_into_a_rollback_is_an_error(table: PgDatabase) -> None:
    table.execute("BEGIN")
    table.execute("INSERT INTO given VALUES (1)")
    with pytest.raises(PgError):
        table.execute("INSERT INTO given VALUES (1)")
    with pytest.raises(PgError, match="undid"):
        table.execute("COMMIT")
    assert table.execute("SELECT count(*) FROM given").fetchone() == (0,)


@pytest.fixture
def inside(tmp_path: Path, one: FakeProbe, two: FakeProbe, postgres: Remote) -> Iterator[Door]:
    made = Door(tmp_path, one, two, place=postgres)
    yield made
    made.close()


def _messages(probe: FakeProbe, raws: list[bytes]) -> list[Message]:
    return [Message(topics.up(probe.probe), bundle.encode(raws[at : at + 8])) for at in range(0, len(raws), 8)]


def test_a_large_group_with_questions_in_between_goes_in_whole(inside: Door, one: FakeProbe, two: FakeProbe) -> None:
    raws = []
    for number in range(15 * SEND_ROWS):
        if number % 50 == 20:  # dates what its boot left undated, which must be read back from what is on its way
            raws.append(one.event("clock_set", set_mono_ms=number, set_t_ms=T0_MS + number))
        undated = {"t_ms": None, "clock": "unsynced", "t_src": "none"}
        raws.append(one.test(**undated) if number % 50 < 20 else one.coverage())
    others = [two.coverage() for _ in range(5 * SEND_ROWS)]
    taken = inside.ingest.take([*_messages(one, raws), *_messages(two, others)], T0_MS)
    assert taken.accepted == len(raws) + len(others)
    held = inside.reader.samples(newest_first=False, limit=10_000)
    assert [sample.raw for sample in held] == [*raws, *others]
    assert [sample.n for sample in held] == list(range(1, len(held) + 1))
    assert all(sample.t_ms is not None for sample in held)
    assert inside.reader.probe_states()[0].records == len(raws)


@pytest.mark.parametrize("count", [3, SEND_ROWS, SEND_ROWS + 3])
def test_a_transaction_sees_what_it_has_stored(inside: Door, one: FakeProbe, count: int) -> None:
    raws, seen = [one.coverage() for _ in range(count)], dict[int, bytes]()
    keep = PostgresLedger.keep_chain

    def look(self: PostgresLedger, probe: str, chain: Chain) -> None:
        seen.update(self.leaves(probe, chain.epoch, range(count)))
        keep(self, probe, chain)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresLedger, "keep_chain", look)
        inside.ingest.take(_messages(one, raws), T0_MS)
    assert seen == {seq: codec.leaf_hash(raw) for seq, raw in enumerate(raws)}


@pytest.mark.parametrize("count", [3, 10 * SEND_ROWS])
def test_a_record_that_lies_there_already_keeps_its_whole_group_out(
    inside: Door, one: FakeProbe, two: FakeProbe, count: int
) -> None:
    """Ours never write one twice; a second writer that got past lease and lock would, and is found here."""
    assert inside.ingest.take(_messages(one, [one.test()]), T0_MS).accepted == 1
    groups = _messages(two, [two.coverage() for _ in range(count)])
    number = PostgresLedger.insert

    def one_lower(self: PostgresLedger, rows: Sequence[Row]) -> int:
        self._records.last()
        self._records._last = 0  # a number that is taken
        return number(self, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresLedger, "insert", one_lower)
        with pytest.raises(Unavailable):
            inside.ingest.take(groups, T0_MS)
    assert [sample.probe for sample in inside.reader.samples()] == ["p-one"]
    assert inside.ingest.take(groups, T0_MS).accepted == count
    assert inside.reader.last_n() == 1 + count


def test_a_group_that_fails_while_it_is_sent_leaves_nothing(inside: Door, one: FakeProbe) -> None:
    groups = _messages(one, [one.coverage() for _ in range(10 * SEND_ROWS)])

    def stop(_: object) -> None:
        raise KeyError("stopped")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inside.ingest.placer._ledger, "keep_chain", lambda *_: stop(0))
        with pytest.raises(KeyError):
            inside.ingest.take(groups, T0_MS)
    assert inside.reader.last_n() == 0
    assert inside.ingest.take(groups, T0_MS).accepted == 10 * SEND_ROWS
    assert inside.reader.last_n() == 10 * SEND_ROWS


def test_the_newest_slot_of_a_probe_is_found_at_the_end_of_its_index(inside: Door, one: FakeProbe) -> None:
    """Of a probe with many records no more are read than of one with few; also by a plan that was made for few."""
    for held in (8, 160):
        inside.ingest.take(_messages(one, [one.test() for _ in range(held)]), T0_MS)
        db = PgDatabase(inside.path, OPTIONS)  # type: ignore[arg-type]
        asked = "EXPLAIN (ANALYZE, COSTS off, TIMING off) " + PROBES.replace("ANY(?)", "ANY('{p-one}')")
        plan = "\n".join(row[0] for row in db.execute(asked).fetchall())
        db.close()
        assert re.search(r"Backward using entry_slot on entry \(actual rows=1 ", plan), plan
        assert "Sort" not in plan
