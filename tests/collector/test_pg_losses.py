"""A server, a standby or a writer lost in the middle of a group: nothing of it is left behind, nothing acknowledged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from collector.ingest import Message
from collector.ledger_pg import PostgresLedger
from collector.ledger_place import Remote
from collector.pg import PgDatabase
from collector.pg_copy import SEND_ROWS
from tests.collector.door import Door
from tests.collector.kit import T0_MS, FakeProbe
from tests.collector.postgres import Cluster
from wire import bundle, topics
from wire.errors import Unavailable

TABLES = ("entry", "block", "chain", "delivery", "rollup_day", "rollup_total")


@pytest.fixture
def inside(tmp_path: Path, one: FakeProbe, two: FakeProbe, postgres: Remote) -> Iterator[Door]:
    made = Door(tmp_path, one, two, place=postgres)
    yield made
    made.close()


@pytest.fixture
def root(cluster: Cluster) -> Iterator[PgDatabase]:
    """The server's superuser."""
    made = PgDatabase(Remote(cluster.url("postgres", "postgres")))
    yield made
    made.close()


def _messages(probe: FakeProbe, raws: list[bytes]) -> list[Message]:
    return [Message(topics.up(probe.probe), bundle.encode(raws[at : at + 8])) for at in range(0, len(raws), 8)]


@pytest.mark.parametrize("count", [3, 3 * SEND_ROWS])
@pytest.mark.parametrize("where", ["hold", "expect", "deliver"])
def test_of_a_group_whose_server_was_lost_nothing_is_in_the_next(
    inside: Door, one: FakeProbe, root: PgDatabase, count: int, where: str
) -> None:
    """The next one may bring no record at all: chains that say more than is held would be acknowledged."""
    groups = _messages(one, [one.test() for _ in range(count)])
    step = getattr(PostgresLedger, where, lambda *_: None)

    def lose(self: PostgresLedger, *values: object) -> None:
        step(self, *values)
        root.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dosong_ledger'")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PostgresLedger, where, lose)
        inside.ingest.hold = lambda _: cast("PostgresLedger", inside.ledger).hold("a", {})
        with pytest.raises(Unavailable):
            inside.ingest.take(groups, T0_MS, {})
    inside.ingest.take([Message(topics.status("p-one"), b"online")], T0_MS)
    assert [_rows(inside, table) for table in TABLES] == [0] * len(TABLES)
    assert inside.upto("p-one") is None
    assert inside.ingest.take(groups, T0_MS).accepted == count
    assert (_rows(inside, "entry"), _rows(inside, "delivery")) == (count, len(groups))


def _rows(door: Door, table: str) -> int:
    return int(door.sql(f"SELECT count(*) FROM dosong.{table}")[0][0])  # noqa: S608 (names of ours)
