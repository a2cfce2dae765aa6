"""What a ledger in PostgreSQL promises beyond the file: who writes waits, who lost a partition or a server says so.

Each of these is broken on purpose by `python -m tests.faults.mutants`. What every engine must do stands in
test_ledger_contract.py, the leases' turns in test_workers.py, the forwarders' in test_forward_shared.py.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from collector import ledger_pg
from collector.forward_shared import SharedStore
from collector.ingest import Message
from collector.leases import FORWARD, Leases
from collector.ledger_pg import PostgresLedger
from collector.ledger_place import Remote
from collector.ledger_port import Fenced
from collector.partitions import partitions_of
from collector.pg import PgDatabase, PgError
from collector.seal_lock import SealLock
from collector.seal_service import SealService
from collector.settings import read_settings
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, T0_MS, Deployment, FakeProbe
from tests.collector.kit import until as polled
from tests.collector.postgres import Cluster
from wire import bundle, topics
from wire.errors import Unavailable
from wire.keyfile import write_signer
from wire.note import Signer

ALL = frozenset(range(topics.PARTS))
until = partial(polled, within_s=60)


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


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Where somebody else does something meanwhile."""
    with ThreadPoolExecutor(1) as made:
        yield made


def held(probe: FakeProbe) -> list[Message]:
    return [Message(topics.up(probe.probe), bundle.encode([probe.test()]))]


def waiting(root: PgDatabase, event: str) -> bool:
    """Whether a connection of ours stands still for this."""
    sql = "SELECT 1 FROM pg_stat_activity WHERE usename = 'dosong_ledger' AND wait_event = ?"
    return bool(root.execute(sql, (event,)).fetchall())


def test_whoever_writes_is_alone_from_the_first_statement_to_commit(
    inside: Door, tmp_path: Path, one: FakeProbe, two: FakeProbe, root: PgDatabase, aside: ThreadPoolExecutor
) -> None:
    (tmp_path / "b").mkdir()
    entered: list[str] = []
    other = Door(tmp_path / "b", one, two, place=inside.path)
    other.ingest.hold = lambda _: entered.append("second")

    def meanwhile(_: object) -> None:
        entered.append("first")
        job.append(aside.submit(other.ingest.take, held(two), T0_MS, {}))
        until(lambda: waiting(root, "advisory") or "second" in entered or job[0].done(), what="the second is there")
        assert entered == ["first"]

    job: list[Any] = []
    inside.ingest.hold = meanwhile
    try:
        assert inside.ingest.take(held(one), T0_MS, {}).accepted == 1
        assert job[0].result(60).accepted == 1
        assert [sample.probe for sample in inside.reader.samples(newest_first=False)] == ["p-one", "p-two"]
    finally:
        other.close()


def test_nothing_is_acknowledged_before_the_standby_has_it(
    tmp_path: Path, one: FakeProbe, postgres: Remote, root: PgDatabase, aside: ThreadPoolExecutor
) -> None:
    root.execute(f"ALTER DATABASE {postgres.url.partition('?')[0].rpartition('/')[2]} SET synchronous_commit = off")
    (tmp_path / "b").mkdir()
    door = Door(tmp_path / "b", one, place=postgres)  # connects under that setting
    _configure(root, "'nobody'")
    try:
        job = aside.submit(door.take, "p-one", one.test())
        until(lambda: waiting(root, "SyncRep") or job.done(), what="COMMIT waits for the standby")
        assert not job.done()
    finally:
        _configure(root, "''")
        done = job.result(60)
        door.close()
    assert done.accepted == 1


def _configure(root: PgDatabase, standbys: str) -> None:
    root.execute(f"ALTER SYSTEM SET synchronous_standby_names = {standbys}")
    root.execute("SELECT pg_reload_conf()")
    until(lambda: root.execute("SHOW synchronous_standby_names").fetchone()[0] == standbys.strip("'"))
    root.execute("CHECKPOINT")  # it is the checkpointer that has commits wait, once it has read the setting too


def test_a_partition_stays_with_who_commits_until_it_has(
    inside: Door, one: FakeProbe, postgres: Remote, aside: ThreadPoolExecutor, root: PgDatabase
) -> None:
    part, ledger = topics.part("p-one"), cast("PostgresLedger", inside.ledger)
    with closing(PgDatabase(postgres)) as db:
        db.execute("INSERT INTO lease VALUES (?, 'a', 1, 0)", (part,))

        def take_over() -> None:
            db.execute("UPDATE lease SET worker = 'b', fence = 2 WHERE part = ?", (part,))

        def meanwhile(_: object) -> None:
            ledger.hold("a", {part: 1})
            job.append(aside.submit(take_over))
            until(lambda: waiting(root, "transactionid") or job[0].done(), what="the other one is there")
            assert not job[0].done()

        job: list[Any] = []
        inside.ingest.hold = meanwhile
        assert inside.ingest.take(held(one), T0_MS, {}).accepted == 1
        job[0].result(60)
    inside.ingest.hold = lambda _: ledger.hold("a", {part: 1})
    with pytest.raises(Fenced):
        inside.ingest.take(held(one), T0_MS, {})


def test_a_writer_that_stands_still_holds_nobody_up(
    inside: Door, tmp_path: Path, one: FakeProbe, two: FakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = tuple(one.replace("session_timeout=5000", "session_timeout=200") for one in ledger_pg.OPTIONS)
    assert soon != ledger_pg.OPTIONS
    monkeypatch.setattr(ledger_pg, "OPTIONS", soon)
    (tmp_path / "b").mkdir()
    still = Door(tmp_path / "b", one, two, place=inside.path)
    still.ingest.hold = lambda _: inside.ingest.take(held(two), T0_MS)  # it is away for as long as this takes
    try:
        with pytest.raises(Unavailable):
            still.ingest.take(held(one), T0_MS, {})
        assert [sample.probe for sample in inside.reader.samples()] == ["p-two"]
    finally:
        still.close()


def test_a_partition_that_changes_hands_has_another_number_and_one_that_is_held_does_not(postgres: Remote) -> None:
    part = 5
    with closing(PgDatabase(postgres)) as db:
        db.execute("INSERT INTO lease VALUES (?, 'gone', 7, 1)", (part,))
        with closing(Leases(postgres, "a", "here")) as first:
            until(lambda: part in first.owned(), what="what nobody holds is taken")
            assert first.owned()[part] == 8
            assert first.owned()[part + 1] == 1
            before = _until_ms(db, part)
            until(lambda: _until_ms(db, part) > before, what="prolonged")
            assert first.owned()[part] == 8, "prolonged under the same number"
            with closing(Leases(postgres, "b", "there")) as second:
                until(lambda: second.wanted() and first.wanted() != ALL, what="both know of the other")
                beats = _seen_ms(db, "b")
                until(lambda: _seen_ms(db, "b") > beats, what="one more turn of the second")
                assert not second.owned(), "what is held is not taken"
                first.give(second.wanted())
                until(lambda: second.owned().keys() == second.wanted(), what="the second has its share")
                assert set(second.owned().values()) == {2} | ({9} if part in second.owned() else set())


def test_a_worker_that_is_cut_off_knows_that_its_leases_have_run_out(
    postgres: Remote, root: PgDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("collector.leases.TERM_MS", 1000)
    with closing(Leases(postgres, "a", "here")) as first:
        until(lambda: first.owned().keys() == ALL, what="all partitions")
        database = postgres.url.partition("?")[0].rpartition("/")[2]
        root.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS false")
        root.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ?", (database,))
        until(lambda: not first.owned(), what="it no longer thinks that it has them")
        root.execute(f"ALTER DATABASE {database} ALLOW_CONNECTIONS true")
        until(lambda: first.owned().keys() == ALL, what="they are its own again")


def test_a_forwarders_partition_stays_with_it_until_its_cursor_has_moved(
    postgres: Remote, root: PgDatabase, aside: ThreadPoolExecutor
) -> None:
    store = SharedStore(postgres, Leases(postgres, "a", "here", FORWARD))
    other, third = PgDatabase(postgres), PgDatabase(postgres, ("lock_timeout=200",))
    with closing(store), closing(other), closing(third):
        until(lambda: (store.turn(), store.parts)[1] == ALL, what="all partitions")
        other.execute("BEGIN")
        other.execute("SELECT 1 FROM forward_cursor WHERE part = 1 FOR UPDATE").fetchall()
        job = aside.submit(store.move, {1: 70}, {})
        until(lambda: waiting(root, "transactionid") or job.done(), what="it is about to move its cursors")
        with pytest.raises(PgError, match="lock timeout"):
            third.execute("UPDATE forward_lease SET worker = 'b', fence = fence + 1 WHERE part = 5")
        other.execute("ROLLBACK")
        job.result(60)
        third.execute("UPDATE forward_lease SET worker = 'b', fence = fence + 1 WHERE part = 5")
        with pytest.raises(Fenced):
            store.move({1: 90}, {})


def _until_ms(db: PgDatabase, part: int) -> int:
    return int(db.execute("SELECT until_ms FROM lease WHERE part = ?", (part,)).fetchone()[0])


def _seen_ms(db: PgDatabase, worker: str) -> int:
    found = db.execute("SELECT seen_ms FROM worker WHERE name = ?", (worker,)).fetchone()
    return 0 if found is None else int(found[0])


@pytest.fixture
def machine(tmp_path: Path, one: FakeProbe, postgres: Remote) -> Deployment:
    """Settings of a machine whose ledger is in PostgreSQL."""
    (tmp_path / "machine").mkdir()
    made = Deployment(tmp_path / "machine", 'socket = "none"', one)
    write_signer(made.folder / "log.key", Signer.generate(f"{ORIGIN}/log"))
    with made.config.open("a") as file:
        file.write(f'[ledger]\nurl = "{postgres.url}"\nworker = "a"\n[log]\nkey_file = "log.key"\n')
    return made


def test_a_worker_by_its_settings_commits_only_what_its_leases_cover(
    inside: Door, one: FakeProbe, machine: Deployment, postgres: Remote
) -> None:
    found = partitions_of(read_settings(machine.config), inside.ledger, inside.ingest)
    assert found is not None
    with closing(found), closing(PgDatabase(postgres)) as db:
        until(lambda: found._leases.owned().keys() == ALL, what="all partitions")
        assert inside.ingest.take(held(one), T0_MS, {}).accepted == 1
        db.execute("UPDATE lease SET worker = 'b', fence = fence + 1 WHERE part = ?", (topics.part("p-one"),))
        with pytest.raises(Fenced):
            inside.ingest.take(held(one), T0_MS, {})
        assert inside.reader.last_n() == 1


def test_the_sealer_seals_only_while_no_other_does_and_goes_on_with_a_lost_server_at_once(
    inside: Door, one: FakeProbe, machine: Deployment, root: PgDatabase
) -> None:
    inside.take("p-one", one.test())
    sealer, other = SealService(read_settings(machine.config), threading.Event()), SealLock(inside.path)
    other.take()
    assert not sealer._round()
    assert sealer._error is not None
    assert "another sealer" in sealer._error
    other.close()
    assert sealer._round()
    inside.take("p-one", one.test())
    root.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dosong_ledger'")
    assert not sealer._round(), "it lost the server"
    assert sealer._round(), "and makes all of its connections anew at once"
    assert sealer._size == 2
    sealer._stop.set()
    sealer.run()
