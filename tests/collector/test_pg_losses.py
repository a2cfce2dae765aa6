"""A server, a standby or a writer lost in the middle of a group: nothing of it is left behind, nothing acknowledged."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest

from collector import leases, ledger_pg, seal_lock
from collector.ingest import Message
from collector.leases import FORWARD, RECEIVE, Leases, Rows
from collector.ledger_pg import PostgresLedger
from collector.ledger_place import Remote
from collector.pg import Answer, PgDatabase, PgError
from collector.pg_copy import SEND_ROWS
from collector.rollup_write import RollupWriter
from collector.seal_lock import SealLock
from tests.collector.door import Door
from tests.collector.kit import T0_MS, FakeProbe
from tests.collector.kit import until as polled
from tests.collector.postgres import OWNER, Cluster
from wire import bundle, topics
from wire.errors import Misconfigured, Unavailable

until = partial(polled, within_s=60)
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


@pytest.fixture
def aside() -> Iterator[ThreadPoolExecutor]:
    """Where somebody else does something meanwhile."""
    with ThreadPoolExecutor(1) as made:
        yield made


@contextmanager
def alone(root: PgDatabase) -> Iterator[None]:
    """Inside, the server's standby is away."""
    _standbys(root, "'nobody'")
    try:
        yield
    finally:
        _standbys(root, "''")


def _standbys(root: PgDatabase, names: str) -> None:
    root.execute(f"ALTER SYSTEM SET synchronous_standby_names = {names}")
    root.execute("SELECT pg_reload_conf()")
    until(lambda: root.execute("SHOW synchronous_standby_names").fetchone()[0] == names.strip("'"))
    root.execute("CHECKPOINT")  # it is the checkpointer that has commits wait, once it has read the setting too


def _commits_waiting(root: PgDatabase) -> bool:
    sql = "SELECT 1 FROM pg_stat_activity WHERE usename = 'dosong_ledger' AND wait_event = 'SyncRep'"
    return bool(root.execute(sql).fetchall())


@pytest.mark.parametrize("how", ["cancel", "terminate"])
def test_a_wait_for_the_standby_that_is_broken_off_acknowledges_nothing(
    inside: Door, one: FakeProbe, root: PgDatabase, aside: ThreadPoolExecutor, how: str
) -> None:
    """Of either the record is held here; neither now nor later is it acknowledged before the standby has it."""
    with alone(root):
        job = aside.submit(inside.take, "p-one", one.test())
        until(lambda: _commits_waiting(root), what="COMMIT waits for the standby")
        root.execute(f"SELECT pg_{how}_backend(pid) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")  # noqa: S608
        with pytest.raises(Unavailable):
            job.result(60)
        assert inside.sql("SELECT upto FROM dosong.chain") == [(0,)]
        asked = aside.submit(inside.upto, "p-one")
        until(lambda: _commits_waiting(root) or asked.done(), what="what is said again waits too")
        done = asked.done()
    assert (done, asked.result(60)) == (False, 0)


def test_a_worker_whose_commit_waits_for_the_standby_says_so_once(
    inside: Door,
    one: FakeProbe,
    root: PgDatabase,
    aside: ThreadPoolExecutor,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(leases, "BEAT_S", 0.01)
    monkeypatch.setattr(leases, "SILENT_S", 0.0)
    with closing(Leases(cast("Remote", inside.path), "a", "here")) as first, alone(root):
        until(lambda: bool(first.owned()), what="its partitions")
        assert "standby" not in caplog.text
        job = aside.submit(inside.take, "p-one", one.test())
        until(lambda: "COMMIT waits for the standby" in caplog.text, what="it says so")
    assert job.result(60).accepted == 1
    assert caplog.text.count("COMMIT waits") == 1


def test_nothing_is_sealed_that_may_be_on_one_server_only(
    inside: Door, root: PgDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seal_lock, "STANDBY_S", 0.3)
    _set(root, inside.path, "synchronous_commit = off")
    with closing(SealLock(inside.path)) as lock:
        lock.take()
        with alone(root), pytest.raises(Unavailable, match="one server only"):
            lock.take()
        lock.take()


@pytest.mark.parametrize("rows", [RECEIVE, FORWARD], ids=["receive", "forward"])
def test_a_standby_that_is_away_keeps_nobody_from_prolonging(
    postgres: Remote, root: PgDatabase, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT_S", 0.1)
    with alone(root), closing(Leases(postgres, "a", "here", rows)) as first, closing(PgDatabase(postgres)) as db:
        until(lambda: len(first.owned()) == topics.PARTS or _commits_waiting(root), what="all partitions")
        assert not _commits_waiting(root)
        before = _until_ms(db, rows)
        until(lambda: _until_ms(db, rows) > before or _commits_waiting(root), what="prolonged")
        assert not _commits_waiting(root)


def _until_ms(db: PgDatabase, rows: Rows) -> int:
    return int(db.execute(f"SELECT min(until_ms) FROM {rows.prefix}lease").fetchone()[0])  # noqa: S608 (ours)


def test_leases_of_a_clock_that_was_ahead_are_taken(postgres: Remote) -> None:
    """The one that gave them was a primary's that is lost; its workers may be lost too."""
    with closing(PgDatabase(postgres)) as db:
        ahead_ms = int(db.execute("SELECT (extract(epoch FROM now()) * 1000)::bigint").fetchone()[0]) + 3_600_000
        db.execute("INSERT INTO worker VALUES ('gone', ?, 'there')", (ahead_ms,))
        db.execute("INSERT INTO lease VALUES (5, 'gone', 1, ?)", (ahead_ms,))
        with closing(Leases(postgres, "a", "here")) as first:
            until(lambda: len(first.owned()) == topics.PARTS, what="all partitions")
            assert first.owned()[5] == 2


def test_who_waits_for_the_partitions_of_one_that_stands_still_keeps_its_own(
    postgres: Remote, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leases, "BEAT_S", 0.1)
    with closing(PgDatabase(postgres)) as db, closing(PgDatabase(postgres)) as still:
        db.execute("INSERT INTO lease VALUES (5, 'still', 1, 1)")
        still.execute("BEGIN")
        still.execute("SELECT 1 FROM lease FOR SHARE").fetchall()
        db.execute("INSERT INTO lease SELECT part, 'a', 1, 0 FROM generate_series(6, 63) AS p (part)")
        with closing(Leases(postgres, "a", "here")) as first:
            until(lambda: len(first.owned()) == 58, what="what is its own is prolonged")
            still.execute("ROLLBACK")
            until(lambda: len(first.owned()) == topics.PARTS, what="all partitions")


def test_a_writer_that_stands_still_while_it_sends_is_ended_by_the_next(
    inside: Door, tmp_path: Path, one: FakeProbe, two: FakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Amid COPY no timeout of the server counts."""
    monkeypatch.setattr(ledger_pg, "STILL_S", 0)
    soon = tuple(one.replace("lock_timeout=10000", "lock_timeout=100") for one in ledger_pg.OPTIONS)
    assert soon != ledger_pg.OPTIONS
    (tmp_path / "b").mkdir()
    still = Door(tmp_path / "b", one, two, place=inside.path)
    monkeypatch.setattr(ledger_pg, "OPTIONS", soon)
    (tmp_path / "c").mkdir()
    other = Door(tmp_path / "c", one, two, place=inside.path)
    keep, taken = PostgresLedger.keep_chain, list[int]()

    def stand(self: PostgresLedger, *values: Any) -> None:
        if not taken and self is still.ledger:
            taken.append(0)
            with pytest.raises(Unavailable, match="lock timeout"):
                other.ingest.take(_messages(two, [two.test()]), T0_MS)
            taken.append(other.ingest.take(_messages(two, [two.test()]), T0_MS).accepted)
        keep(self, *values)

    monkeypatch.setattr(PostgresLedger, "keep_chain", stand)
    try:
        with pytest.raises(Unavailable):
            still.ingest.take(_messages(one, [one.test() for _ in range(2 * SEND_ROWS)]), T0_MS)
        assert taken == [0, 1]
    finally:
        still.close()
        other.close()


def test_a_roles_own_isolation_does_not_count(
    tmp_path: Path, one: FakeProbe, two: FakeProbe, postgres: Remote, root: PgDatabase, aside: ThreadPoolExecutor
) -> None:
    """With a snapshot that was taken before the lock was had, every number would be taken."""
    _set(root, postgres, "default_transaction_isolation = 'repeatable read'")
    (tmp_path / "b").mkdir()
    first, other = Door(tmp_path, one, two, place=postgres), Door(tmp_path / "b", one, two, place=postgres)

    def meanwhile(_: object) -> None:
        job.append(aside.submit(other.ingest.take, _messages(two, [two.test()]), T0_MS))
        until(lambda: _waiting_for_lock(root), what="the other one waits")

    job: list[Any] = []
    first.ingest.hold = meanwhile
    try:
        assert first.ingest.take(_messages(one, [one.test()]), T0_MS, {}).accepted == 1
        assert job[0].result(60).accepted == 1
    finally:
        first.close()
        other.close()


def test_a_roles_own_alphabet_does_not_count(
    tmp_path: Path, one: FakeProbe, postgres: Remote, root: PgDatabase
) -> None:
    _set(root, postgres, "client_encoding = 'LATIN1'")
    with closing(Door(tmp_path, one, place=postgres)) as door:
        door.take_bytes("nơi/đó/é", b"junk")
        assert [refused.topic for refused in door.reader.refusals(10)] == ["nơi/đó/é"]


def _set(root: PgDatabase, place: object, setting: str) -> None:
    """A setting of the database, which is also what its roles have."""
    root.execute(f"ALTER DATABASE {cast('Remote', place).url.partition('?')[0].rpartition('/')[2]} SET {setting}")


def _waiting_for_lock(root: PgDatabase) -> bool:
    return bool(root.execute("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'advisory'").fetchall())


@pytest.mark.netns
def test_a_machine_that_fell_silent_keeps_its_name_for_seconds_only(tmp_path: Path) -> None:
    """Switched off, or cut off: its server hears nothing, neither an end nor an error."""
    net, link, address = f"pgl{os.getpid()}", f"pgl{os.getpid() % 10**9}", f"198.18.{os.getpid() % 250}"
    cluster = Cluster().init()
    cluster.configure(f"listen_addresses = '{address}.1'")
    with (cluster.data / "pg_hba.conf").open("a") as file:
        file.write(f"host all all {address}.0/24 trust\n")
    try:
        for words in (
            *(f"netns add {net}", f"link add {link} type veth peer name in netns {net}"),
            *(f"addr add {address}.1/24 dev {link}", f"link set {link} up"),
            *(f"-n {net} addr add {address}.2/24 dev in", f"-n {net} link set in up"),
        ):
            subprocess.run(["ip", *words.split()], check=True)
        place = cluster.start().database("ledger")
        over = f"postgresql://dosong_ledger@{address}.1:{cluster.port}/ledger"
        held = subprocess.Popen(
            ["ip", "netns", "exec", net, sys.executable, "-c", _HOLD, over], stdout=subprocess.PIPE, text=True
        )
        try:
            assert held.stdout is not None
            assert held.stdout.readline() == "held\n"
            with pytest.raises(Misconfigured, match="another receive is called a"):
                Leases(place, "a", "here")
            subprocess.run(["ip", "link", "set", link, "down"], check=True)
            until(lambda: _has_name(place), what="the name is free")
        finally:
            held.kill()
            held.communicate()
    finally:
        subprocess.run(["ip", "netns", "del", net], check=False)
        cluster.remove()


_HOLD = """
import sys, time
from collector.leases import Leases
from collector.ledger_place import Remote
Leases(Remote(sys.argv[1]), "a", "there", stuck_s=0)
print("held", flush=True)
time.sleep(600)
"""


def _has_name(place: Remote) -> bool:
    try:
        Leases(place, "a", "here").close()
    except Misconfigured:
        return False
    return True


def test_two_workers_that_start_after_an_upgrade_make_the_sums_once(
    inside: Door, one: FakeProbe, aside: ThreadPoolExecutor, root: PgDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = cast("Remote", inside.path)
    inside.take("p-one", *(one.test() for _ in range(5)))
    before = inside.reader.hamlet_counts(0, 2**50)
    with closing(PgDatabase(place)) as db:
        db.execute("UPDATE meta SET value = 0 WHERE key = 'rollup'")
    facts, second = RollupWriter._facts, list[Any]()

    def slowly(self: RollupWriter) -> Any:
        if not second:
            second.append(aside.submit(PostgresLedger, place))
            sql = "SELECT 1 FROM pg_stat_activity WHERE usename = 'dosong_ledger' AND wait_event_type = 'Lock'"
            until(lambda: bool(root.execute(sql).fetchall()), what="the other one waits")
        return facts(self)

    monkeypatch.setattr(RollupWriter, "_facts", slowly)
    PostgresLedger(place).close()
    second[0].result(60).close()
    assert inside.reader.hamlet_counts(0, 2**50) == before


def test_a_commit_whose_answer_was_lost_is_found_when_its_group_comes_again(inside: Door, one: FakeProbe) -> None:
    raws, execute = [one.test() for _ in range(50)], ledger_pg._Writer.execute

    def lose(self: ledger_pg._Writer, sql: str, values: Sequence[Any] = (), /) -> Answer:
        answer = execute(self, sql, values)
        if sql == "COMMIT":
            self.close()
            raise PgError("lost")
        return answer

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ledger_pg._Writer, "execute", lose)
        with pytest.raises(Unavailable):
            inside.take("p-one", *raws)
    again = inside.take("p-one", *raws)
    assert (again.accepted, again.duplicate, again.heads["p-one"].upto) == (0, 50, 49)
    assert inside.take("p-one", one.test()).accepted == 1
    assert [sample.n for sample in inside.reader.samples(newest_first=False, limit=100)] == list(range(1, 52))


@pytest.mark.parametrize("table", ["entry", "block", "chain", "rollup_total"])
def test_a_statement_that_is_refused_amid_others_takes_its_group_along(
    inside: Door, one: FakeProbe, table: str
) -> None:
    groups = _messages(one, [one.test() for _ in range(2 * SEND_ROWS)])
    with closing(PgDatabase(Remote(cast("Remote", inside.path).url.replace("dosong_ledger@", f"{OWNER}@")))) as owner:
        owner.execute(
            "CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'disk full'; END $$"
        )
        owner.execute(f"CREATE TRIGGER full_disk BEFORE INSERT ON {table} EXECUTE FUNCTION full_disk()")
        for _ in range(2):
            with pytest.raises(Unavailable, match="disk full"):
                inside.ingest.take(groups, T0_MS)
        owner.execute(f"DROP TRIGGER full_disk ON {table}")
    assert inside.ingest.take(groups, T0_MS).accepted == 2 * SEND_ROWS
    assert (_rows(inside, "entry"), _rows(inside, "delivery")) == (2 * SEND_ROWS, len(groups))
