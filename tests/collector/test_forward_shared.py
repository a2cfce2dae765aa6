"""Several `forward` on one ledger in PostgreSQL: shares, fences, and one killed -9 whose partitions move."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.core.rollup import DayKey
from collector.forward_shared import SharedStore, part_of
from collector.leases import FORWARD, Leases
from collector.ledger_place import Remote
from collector.ledger_port import Fenced
from collector.pg import PgDatabase
from collector.pg_schema import prepare
from tests.collector.door import Door
from tests.collector.kit import T0_MS, Deployment, FakeProbe, Influx, Service, until
from tests.collector.postgres import OWNER, Cluster
from tests.collector.test_forward import count
from wire import topics
from wire.errors import Unavailable

ALL = frozenset(range(topics.PARTS))
DAY = DayKey(T0_MS, "19", "05755", "h-dong-chuoi", "45204")


@pytest.fixture
def place(postgres: Remote) -> Remote:
    prepare(Remote(postgres.url.replace("dosong_ledger@", f"{OWNER}@")), "dosong_ledger")
    return postgres


@contextlib.contextmanager
def forwarder(place: Remote, name: str) -> Iterator[SharedStore]:
    made = SharedStore(place, Leases(place, name, "here", FORWARD))
    try:
        yield made
    finally:
        made.close()


def owning(store: SharedStore, parts: int) -> None:
    def found() -> bool:
        store.turn()
        return len(store.parts or ()) == parts

    until(found, what=f"{parts} partitions")


def test_cursors_go_with_their_partitions_and_rollups_to_one(place: Remote) -> None:
    with forwarder(place, "a") as one:
        owning(one, topics.PARTS)
        assert one.leads
        one.move({3: 50}, {DAY: 0b11})
        assert (one.position(), one.is_taken(9, 50), one.is_taken(9, 51)) == (50, True, False)
        with forwarder(place, "b") as two:
            shared = until(lambda: (one.turn() or two.turn()) and one.parts and two.parts and (one.parts, two.parts))
            until(lambda: (one.turn(), two.turn(), (one.parts or ALL) | (two.parts or ALL) == ALL)[2], what=str(shared))
            until(lambda: (one.turn(), two.turn(), len(one.parts or ()) + len(two.parts or ()) == topics.PARTS)[2])
            assert not (one.parts or ALL) & (two.parts or ALL)
            assert one.leads != two.leads
            assert (one.position(), two.position()) == (50, 50)
            mine, other = (one, two) if part_of(DAY) in (one.parts or ()) else (two, one)
            assert other.touched(10) == {}
            assert mine.touched(10) == {DAY: 0b11}
            other.move({}, {DAY: 0b11})  # a record came of a probe of the other's, before the points were written
            mine.settle({DAY: 0b11}, {"day": {(T0_MS, "19"): False}})
            assert mine.touched(10) == {DAY: 0b11}, "touched again since it was read"
            mine.settle({DAY: 0b11}, {"day": {(T0_MS, "19"): True}})
            assert mine.touched(10) == {}
            assert two.due("day", 10) == {(T0_MS, "19"): True}
            one.settle({}, {"day": {(T0_MS, "19"): False}})
            two.written("day", [(T0_MS, "19")])
            assert two.due("day", 10) == {(T0_MS, "19"): True}, "due again since it was read"


def test_who_lost_a_partition_moves_no_cursor_and_one_that_starts_over_is_heard_by_all(place: Remote) -> None:
    with forwarder(place, "a") as one:
        owning(one, topics.PARTS)
        one.move({1: 70}, {})
        db = PgDatabase(place)
        db.execute("UPDATE forward_lease SET fence = fence + 1 WHERE part = 5")
        with pytest.raises(Fenced):
            one.move({1: 90}, {DAY: 1})
        assert db.execute("SELECT max(n) FROM forward_cursor").fetchone()[0] == 70
        assert db.execute("SELECT count(*) FROM forward_touched").fetchone()[0] == 0
        until(one.turn, what="the new number is known")
        one.move({1: 90}, {})
        one.start_over()
        with pytest.raises(Fenced):
            one.move({1: 95}, {})
        until(one.turn, what="the beginning is known")
        assert one.position() == 0
        db.close()


def test_a_database_that_is_away_is_waited_for(place: Remote, cluster: Cluster) -> None:
    with forwarder(place, "a") as one:
        owning(one, topics.PARTS)
        one.park("line", "reason", T0_MS)
        assert one.parked() == 1
        root = PgDatabase(Remote(cluster.url("postgres", "postgres")))
        root.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dosong_ledger'")
        root.close()
        with pytest.raises(Unavailable):
            one.move({1: 5}, {})
        until(lambda: (one.turn(), one.parts)[1] == ALL, 60, "its leases again")
        one.move({1: 5}, {})
        assert one.position() == 5
        one._place, one._db = Remote(f"postgresql://nobody@/x?host={cluster.folder}&port=1"), None
        one._parked_due_s = 0.0
        assert one.parked() == 1, "what was known last"


@pytest.mark.services
def test_a_forwarder_killed_is_followed_and_counts_are_equal(tmp_path: Path, place: Remote, influx: Influx) -> None:
    probes = [FakeProbe(f"p-{number:03}") for number in range(24)]
    (tmp_path / "door").mkdir()
    door = Door(tmp_path / "door", *probes, place=place)
    target = f'url = "http://127.0.0.1:{influx.port}"\napi = "v1"\ndatabase = "dosong"'
    machines = [_machine(tmp_path / name, place, target, probes) for name in ("f1", "f2")]
    programs: list[Service] = [machine.program("forward") for machine in machines]

    def more() -> None:
        for probe in probes:
            door.take(probe.probe, probe.test(), probe.coverage())

    try:
        more()
        for program in programs:
            program.start()
        until(lambda: len(_owners(place)) == 2 and "" not in _owners(place), 60, "both have partitions")
        more()
        programs[0].kill()
        more()
        until(lambda: _owners(place) == {"f2"}, 60, "the other has all")
        more()
        until(lambda: count(influx, "test", "seq") == 4 * len(probes), 60, "all tests")
        until(lambda: count(influx, "coverage", "state") == 20 * len(probes), 60, "all steps")
        done = machines[1].call("reconcile")
        assert (done.returncode, "DIFFERENT" in done.stdout) == (0, False), done
        db = PgDatabase(place)
        assert db.execute("SELECT count(*) FROM forward_parked").fetchone()[0] == 0
        db.close()
        done = machines[1].call("rebuild", "influx", "--jobs", "2")
        assert (done.returncode, "DIFFERENT" in done.stdout) == (0, False), done
    finally:
        for program in programs:
            program.stop()
        door.close()


def _machine(folder: Path, place: Remote, influx: str, probes: list[FakeProbe]) -> Deployment:
    folder.mkdir()
    made = Deployment(folder, 'socket = "none"', *probes, influx=influx)
    with made.config.open("a") as file:
        file.write(f'[ledger]\nurl = "{place.url}"\nworker = "{folder.name}"\n')
    return made


def _owners(place: Remote) -> set[str]:
    db = PgDatabase(place)
    rows = db.execute("SELECT DISTINCT worker FROM forward_lease").fetchall()
    db.close()
    return {row[0] for row in rows}
