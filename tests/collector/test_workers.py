"""Several `receive` processes on one ledger: who has which partition, what a fence refuses, and a worker killed -9."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from collector.broker import Connection
from collector.ingest import Message
from collector.leases import Leases, share
from collector.ledger_pg import PostgresLedger
from collector.ledger_place import Remote
from collector.ledger_port import Fenced
from collector.partitions import Partitions
from collector.receive import Receiver
from collector.seal_lock import SealLock
from collector.settings import BrokerSettings, read_settings
from tests.collector.door import Door
from tests.collector.kit import Deployment, FakeProbe, Field, Mosquitto, running, until
from tests.collector.postgres import Cluster
from tests.faults.workers import WINDOW, crew, kill_one
from wire import bundle, topics
from wire.errors import Misconfigured, Unavailable

ALL = frozenset(range(topics.PARTS))


def test_partitions_are_shared_out_whole_and_few_move_when_one_comes_or_goes() -> None:
    names = ["a", "b", "c"]
    shares = {name: share(name, names) for name in names}
    assert frozenset().union(*shares.values()) == ALL
    assert sum(map(len, shares.values())) == topics.PARTS
    assert all(len(one) > topics.PARTS // 8 for one in shares.values())
    assert share("a", ["a", "b"]) > shares["a"]
    assert share("a", ["a"]) == ALL


def test_a_second_worker_gets_its_share_and_the_first_gets_it_back(postgres: Remote) -> None:
    first = Leases(postgres, "a", "here")
    until(lambda: first.owned().keys() == ALL, what="all partitions")
    with pytest.raises(Misconfigured, match="called a"):
        Leases(postgres, "a", "there")
    second = Leases(postgres, "b", "there")
    until(lambda: first.wanted() == share("a", ["a", "b"]), what="the first sees the second")
    assert not second.owned()
    first.give(ALL - first.wanted())
    until(lambda: second.owned().keys() == share("b", ["a", "b"]), what="the second has its share")
    assert second.owned().keys() | first.owned().keys() == ALL
    assert not second.owned().keys() & first.owned().keys()
    second.close()
    until(lambda: first.owned().keys() == ALL, what="all partitions again")
    first.close()


def test_a_commit_of_a_worker_that_lost_its_partition_is_refused(
    tmp_path: Path, one: FakeProbe, postgres: Remote
) -> None:
    door = Door(tmp_path, one, place=postgres)
    part, ledger = topics.part("p-one"), door.ledger
    assert isinstance(ledger, PostgresLedger)
    with ledger.transaction():
        ledger._db.execute("INSERT INTO lease VALUES (?, 'b', 7, 0)", (part,))
    fences = {part: 7}
    door.ingest.hold = lambda _: ledger.hold("b", fences)
    assert door.ingest.take(_message(one), 1, {}).accepted == 1
    fences[part] = 6
    with pytest.raises(Fenced):
        door.ingest.take(_message(one), 1, {})
    assert (door.reader.last_n(), door.upto("p-one")) == (1, 0)
    door.close()


@pytest.mark.services
def test_a_worker_says_nothing_of_what_is_anothers_now(tmp_path: Path, one: FakeProbe, postgres: Remote) -> None:
    """What it committed and could not tell yet is older than what the next worker tells, and would be retained."""
    broker = Mosquitto(tmp_path)
    deployment = Deployment(tmp_path, f'socket = "{broker.socket}"', one)
    with running(broker):
        door, field = Door(deployment.state, place=postgres), Field(broker.port, deployment.ack_signer.verifier, one)
        a, b = (
            Receiver(read_settings(deployment.config), door.ingest, deployment.ack_signer, threading.Event())
            for _ in "ab"
        )
        connection = Connection(BrokerSettings(socket=str(broker.socket)), None, "a")
        until(lambda: [connection.read(0.05)] and connection.subscribed)
        leases = Leases(postgres, "a", "here")
        assert isinstance(door.ledger, PostgresLedger)
        a.partitions = made = Partitions(leases, door.ledger)
        part = topics.part("p-one")
        until(lambda: [made.turn(connection)] and part in made.now, what="its partition")
        a._note(door.ingest.take(_message(one), 1))
        _give_away(door.ledger, part)
        until(lambda: [made.turn(connection)] and part not in made.now, what="its partition is gone")
        b._note(door.ingest.take(_message(one), 1))
        b._send_acks(connection)
        a._send_acks(connection)
        until(lambda: [connection.read(0.05)] and not connection.in_flight)
        until(lambda: field.upto("p-one") == 1)
        assert len(field.acks["p-one"]) == 1
        door.close()
        leases.close()
        field.close()
        connection.close()


def test_after_a_connection_was_lost_the_newest_is_told(door: Door, one: FakeProbe, tmp_path: Path) -> None:
    """Others may have committed more meanwhile than what could not be told."""
    deployment = Deployment(tmp_path, 'socket = "x"')
    receiver = Receiver(read_settings(deployment.config), door.ingest, deployment.ack_signer, threading.Event())
    receiver._note(door.ingest.take(_message(one), 1))
    door.ingest.take(_message(one), 2)
    assert receiver._queue_all_acks()
    assert receiver._due["p-one"].upto == 1


def _give_away(ledger: PostgresLedger, part: int) -> None:
    """The partition's lease ran out, and another worker took it."""
    with ledger.transaction():
        ledger._db.execute(
            "UPDATE lease SET worker = 'b', fence = fence + 1, until_ms = until_ms + 30000 WHERE part = ?", (part,)
        )


def _message(one: FakeProbe) -> list[Message]:
    return [Message(topics.up(one.probe), bundle.encode([one.test()]))]


def test_one_sealer_at_a_time(postgres: Remote) -> None:
    first, second = SealLock(postgres), SealLock(postgres)
    first.take()
    first.take()
    with pytest.raises(Unavailable, match="another sealer"):
        second.take()
    first.close()
    second.take()
    second.close()


@pytest.mark.services
def test_one_of_two_workers_is_killed_and_nothing_is_lost_or_doubled(cluster: Cluster) -> None:
    with crew(8, 4 * WINDOW, 2, cluster) as made:
        kill_one(made, 100)
        assert made.faults() == []
        until(lambda: set(made.leases().values()) == {"w1"}, 60, "the leases of the killed one have run out")
