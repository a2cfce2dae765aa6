"""Rows that are sent before anybody waits for them: they go in whole or not at all, and keep nobody out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from collector import ledger_pg
from collector.ledger_pg import SEND_AT, PostgresLedger
from collector.ledger_place import Remote
from collector.ledger_rows import COLUMNS, INSERT
from collector.pg import PgDatabase
from tests.collector.postgres import Cluster
from wire.errors import Unavailable

WITHIN_S = 30.0


@pytest.fixture
def ledger(postgres: Remote) -> Iterator[PostgresLedger]:
    made = PostgresLedger(postgres)
    yield made
    made.close()


def _rows(first: int, count: int = SEND_AT) -> list[tuple[Any, ...]]:
    fixed = {"epoch": 1, "leaf": b"leaf", "prev": None, "kind": 1}
    empty = dict.fromkeys(("boot", "t_ms", "fault", "fault_detail", "modem", "slot_ms", "outcome"))
    row = dict.fromkeys(COLUMNS, 1) | empty | fixed | {"standing": 0, "counted": 0}
    return [tuple((row | {"n": n, "seq": n})[name] for name in COLUMNS) for n in range(first, first + count)]


def _fail_behind(ledger: PostgresLedger) -> None:
    ledger._db.executemany(INSERT, _rows(1))
    raise ZeroDivisionError


def _held(place: Remote) -> int:
    db = PgDatabase(place)
    try:
        return int(db.execute("SELECT count(*) FROM entry").fetchone()[0])
    finally:
        db.close()


def test_a_writer_that_stands_still_behind_sent_rows_counts_as_idle(ledger: PostgresLedger, cluster: Cluster) -> None:
    root = PgDatabase(Remote(cluster.url("postgres", "postgres")))
    asked = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'dosong_ledger' AND state = 'idle in transaction'"
    try:
        with ledger.transaction():
            ledger._db.executemany(INSERT, _rows(1))
            until_s = time.monotonic() + WITHIN_S
            assert ledger._writer.sending
            while not (idle := root.execute(asked).fetchone()[0]) and time.monotonic() < until_s:
                time.sleep(0.02)
            assert idle == 1  # so that idle_in_transaction_session_timeout ends it, and others may write
    finally:
        root.close()


def test_an_error_behind_sent_rows_undoes_them_and_the_next_group_goes_in(
    ledger: PostgresLedger, postgres: Remote
) -> None:
    with pytest.raises(ZeroDivisionError), ledger.transaction():
        _fail_behind(ledger)
    assert _held(postgres) == 0
    with ledger.transaction():
        ledger._db.executemany(INSERT, _rows(1))
    assert _held(postgres) == SEND_AT


def test_of_sent_rows_that_lie_there_already_none_goes_in(ledger: PostgresLedger, postgres: Remote) -> None:
    with ledger.transaction():
        ledger._db.executemany(INSERT, _rows(1, 3))
    with pytest.raises(Unavailable, match="lie there already"), ledger.transaction():
        ledger._db.executemany(INSERT, _rows(3))
    assert _held(postgres) == 3


def test_what_is_asked_behind_sent_rows_sees_them(
    ledger: PostgresLedger, postgres: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_pg, "SEND_AT", 2)
    with ledger.transaction():
        ledger._db.executemany(INSERT, _rows(1, 2))
        ledger._db.executemany(INSERT, _rows(3, 1))
        assert ledger._db.execute("SELECT count(*) FROM entry").fetchone()[0] == 3
        ledger._db.executemany(INSERT, _rows(4, 2))
        assert ledger._db.execute("UPDATE entry SET t_ms = 1 WHERE n = 5").rowcount == 1
    assert _held(postgres) == 5
