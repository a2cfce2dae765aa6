"""receive with a real mosquitto: acknowledged means stored, whatever dies in between."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from collector.broker import Connection
from collector.health import ForwardState, StateFile, now_ms, read_health
from collector.ingest import Taken
from collector.ledger_port import Head
from collector.receive import MAX_DUE_OLDER, Receiver
from collector.settings import BrokerSettings, read_settings
from tests.collector.conftest import Bench
from tests.collector.door import Door
from tests.collector.kit import Deployment, FakeProbe, Field, Mosquitto, free_port, until
from wire import codec, topics

pytestmark = pytest.mark.services


def test_a_record_is_stored_and_acknowledged(bench: Bench, one: FakeProbe) -> None:
    bench.receiving()
    raws = [one.test(), one.coverage(), one.event()]
    bench.field.send("p-one", *raws)
    until(lambda: bench.field.upto("p-one") == 2)
    samples = bench.reader.samples(newest_first=False)
    assert [s.raw for s in samples] == raws
    assert [s.kind for s in samples] == ["test", "coverage", "event"]
    assert [s.counted for s in samples] == [True, False, False]
    assert bench.field.acks["p-one"][-1][0].head == one.head
    assert samples[0].hamlet == "h-dong-chuoi"


def test_a_cluster_is_asked_for_records_at_qos_0_and_answered_all_the_same(bench: Bench, one: FakeProbe) -> None:
    """Decision 0042: there it costs no queue with a consensus of its own; the signed answer is what frees a spool."""
    text = bench.deployment.config.read_text()
    bench.deployment.config.write_text(text.replace("[broker]\n", "[broker]\nrecords_qos = 0\n"))
    bench.receiving()
    raws = [one.test() for _ in range(50)]
    for raw in raws:
        bench.field.send("p-one", raw)
    until(lambda: bench.field.upto("p-one") == len(raws) - 1)
    assert sorted(s.raw for s in bench.reader.samples(limit=100)) == sorted(raws)
    assert "Received PUBACK from collector" not in bench.broker.text()


def test_what_is_refused_shows_on_the_command_line(bench: Bench, one: FakeProbe, two: FakeProbe) -> None:
    bench.receiving()
    altered = bytearray(one.test())
    altered[len(altered) // 2] ^= 1
    bench.field.send("p-one", bytes(altered))
    bench.field.send("p-two", one.test(), topic=topics.up("p-two"))
    bench.field.send_bytes("dosong/v1/up/0/nobody/at/all", b"x")
    until(lambda: bench.reader.deliveries().refused == 3 if bench.reader.path.exists() else False)
    done = bench.deployment.call("refusals", "--json")
    rows = [json.loads(row) for row in done.stdout.splitlines()]
    assert [row["reason"] for row in rows] == ["wrong_topic", "unknown_key", "bad_signature"]
    assert rows[1]["probe"] == "p-two"
    assert bench.field.acks == {}
    text = bench.deployment.call("refusals").stdout.splitlines()
    assert ["bad_signature" in row for row in text] == [False, False, True]


def test_acks_are_published_again_when_the_broker_forgot_them(bench: Bench, one: FakeProbe) -> None:
    bench.receiving()
    bench.field.send("p-one", one.test())
    until(lambda: bench.field.upto("p-one") == 0)
    bench.broker.kill()
    until(lambda: "trying again for ever" in bench.receive.text())
    bench.field.acks.clear()
    bench.broker.start()
    until(lambda: bench.field.upto("p-one") == 0, what="the ack after the broker came back empty")
    bench.field.send("p-one", one.test())
    until(lambda: bench.field.upto("p-one") == 1)
    lines = [line for line in bench.receive.text().splitlines() if "broker" in line]
    # Connected, lost, connected: not one line an attempt. (A broker that is starting may hang up on us once: said too.)
    assert [line for line in lines if "connected" in line] == [lines[0], lines[-1]]
    assert len(lines) in {3, 4}, lines


def test_killed_in_mid_stream_nothing_acknowledged_is_missing_and_nothing_counts_twice(
    bench: Bench, one: FakeProbe
) -> None:
    raws = [one.test() for _ in range(400)]
    kills, at = 0, 0
    bench.receiving()
    while (upto := bench.field.upto("p-one")) != len(raws) - 1:
        # A probe's rule: from the acknowledged head on, again and again, as fast as it may.
        start = 0 if upto is None else upto + 1
        for place in range(start, min(start + 60, len(raws)), 6):
            bench.field.send("p-one", *raws[place : place + 6])
        if kills < 5 and start >= at:
            at = start + 60
            bench.receive.kill()
            kills += 1
            acknowledged = bench.field.upto("p-one")
            held = {s.seq for s in bench.reader.samples(limit=1000)}
            assert acknowledged is None or set(range(acknowledged + 1)) <= held
            bench.receiving()
        with contextlib.suppress(pytest.fail.Exception):
            until(lambda last=start: (bench.field.upto("p-one") or -1) >= min(last + 59, len(raws) - 1), 1.0)
    assert kills == 5
    held = bench.reader.samples(limit=1000, newest_first=False)
    assert sorted(s.raw for s in held) == sorted(raws)
    assert bench.reader.hamlet_counts()["h-dong-chuoi"].counted == len(raws)


def _lock(bench: Bench) -> sqlite3.Connection:
    """Hold the ledger's write lock, as a disk that does not answer would."""
    connection = sqlite3.connect(bench.reader.path, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    return connection


def test_nothing_is_acknowledged_while_the_ledger_cannot_be_written(bench: Bench, one: FakeProbe) -> None:
    bench.receiving()
    bench.field.send("p-one", one.test())
    until(lambda: bench.field.upto("p-one") == 0)
    pubacks = re.compile("Received PUBACK from collector")
    until(lambda: len(pubacks.findall(bench.broker.text())) == 1)
    held = _lock(bench)
    bench.field.send("p-one", one.test())
    until(lambda: "nothing is acknowledged until then" in bench.receive.text(), 20)
    state = read_health(bench.deployment.state, now_ms()).receive
    assert state is not None
    assert "cannot write" in (state.ledger_error or "")
    assert bench.field.upto("p-one") == 0
    assert bench.reader.last_n() == 1
    assert len(pubacks.findall(bench.broker.text())) == 1
    held.execute("ROLLBACK")
    held.close()
    until(lambda: bench.field.upto("p-one") == 1)
    assert bench.receive.text().count("nothing is acknowledged") == 1
    assert bench.receive.text().count("ledger is back") == 1


def test_stopped_while_the_ledger_cannot_be_written_nothing_is_acknowledged(bench: Bench, one: FakeProbe) -> None:
    bench.receiving()
    bench.field.send("p-one", one.test())
    until(lambda: bench.field.upto("p-one") == 0)
    held = _lock(bench)
    bench.field.send("p-one", one.test())
    until(lambda: "nothing is acknowledged until then" in bench.receive.text())
    assert bench.receive.stop() == 0
    held.close()
    assert len(re.findall("Received PUBACK from collector", bench.broker.text())) == 1


def test_late_acks_never_leave_by_a_new_connection(tmp_path: Path, one: FakeProbe) -> None:
    broker = Mosquitto(tmp_path)
    broker.start()
    settings = BrokerSettings(socket=str(broker.socket), client_id="late")
    field = Field(broker.port, one.signer.verifier)
    try:
        first = Connection(settings, None)
        until(lambda: [first.read(0.05)] and first.subscribed)
        for _ in range(5):
            field.send("p-one", one.test())
        old = []
        until(lambda: [old.extend(first.read(0.05))] and len(old) == 5)
        second = Connection(settings, None)  # the broker throws the first one out
        until(lambda: [second.read(0.05)] and second.subscribed)
        until(lambda: [first.read(0.05)] and not first.alive)
        for _ in range(5):
            field.send("p-one", one.test())
        new = []
        until(lambda: [new.extend(second.read(0.05))] and len(new) == 5)
        assert {i.mid for i in old} & {i.mid for i in new}  # ids do repeat: this is what makes late acks deadly
        first.acknowledge(old)
        second.read(0.2)
        assert not re.search(r"Received PUBACK from late", broker.text())
        second.acknowledge(new)
        until(lambda: len(re.findall(r"Received PUBACK from late", broker.text())) == 5)
        second.close()
    finally:
        field.close()
        broker.stop()


def test_reading_stops_at_one_group(tmp_path: Path, one: FakeProbe) -> None:
    broker = Mosquitto(tmp_path, "max_queued_messages 0\nmax_inflight_messages 0\n")
    broker.start()
    field = Field(broker.port, one.signer.verifier)
    try:
        connection = Connection(BrokerSettings(socket=str(broker.socket)), None)
        until(lambda: [connection.read(0.05)] and connection.subscribed)
        sent = 2500
        for _ in range(sent):
            field.send_bytes("dosong/v1/up/1/x", b"x" * 100)
        groups: list[int] = []
        until(lambda: [groups.append(len(connection.read(0.05)))] and sum(groups) == sent)
        assert max(groups) <= 1000
        connection.close()
    finally:
        field.close()
        broker.stop()


@pytest.fixture
def trickle(tmp_path: Path, one: FakeProbe) -> Iterator[tuple[Connection, Callable[[int], None]]]:
    """A connection, and how to send it messages with a pause before each, as a broker does that must read its disk."""
    broker = Mosquitto(tmp_path, "max_queued_messages 0\nmax_inflight_messages 0\n")
    broker.start()
    field = Field(broker.port, one.signer.verifier)
    connection = Connection(BrokerSettings(socket=str(broker.socket)), None)
    until(lambda: [connection.read(0.05)] and connection.subscribed)

    def send(count: int) -> None:
        for _ in range(count):
            time.sleep(0.01)
            field.send_bytes("dosong/v1/up/1/x", b"x" * 100)

    yield connection, send
    connection.close()
    field.close()
    broker.stop()


def test_a_group_grows_while_the_opener_has_the_one_before_it(
    trickle: tuple[Connection, Callable[[int], None]],
) -> None:
    connection, send = trickle
    answer, opener = os.pipe()

    def work() -> None:
        send(40)
        os.write(opener, b"x")

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(work)
        taken = connection.read(600, answer)
        done.result()
        assert len(taken) + len(connection.read(1)) == 40
        assert len(taken) > 20  # what comes last may be behind the answer
    assert connection.read(600, answer) == []  # the answer is there: nothing is waited for
    os.close(answer)
    os.close(opener)


def test_a_group_does_not_grow_for_ever(trickle: tuple[Connection, Callable[[int], None]]) -> None:
    connection, send = trickle
    silent, opener = os.pipe()
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(send, 300)
        groups = [len(connection.read(0.3, silent))]
        assert not done.done()  # messages go on coming, none of them as late as the time that was given
        until(lambda: [groups.append(len(connection.read(0.05)))] and sum(groups) == 300, 60)
    os.close(silent)
    os.close(opener)


def test_a_schema_broken_record_is_acknowledged_with_those_behind_it(bench: Bench, one: FakeProbe) -> None:
    bench.receiving()
    for raw in (one.test(), one.schema_broken(), one.test()):
        bench.field.send("p-one", raw)
    until(lambda: bench.field.upto("p-one") == 2)
    assert bench.reader.hamlet_counts()["h-dong-chuoi"].counted == 2


def test_liveness_is_kept_apart_from_evidence(bench: Bench, one: FakeProbe) -> None:
    bench.field.send_bytes(topics.status("p-one"), b"offline", retain=True)
    bench.receiving()
    until(lambda: [s.status for s in bench.reader.probe_states()] == ["offline"])
    assert bench.reader.last_n() == 0


class Narrow:
    """A connection that takes one message and is full."""

    def __init__(self) -> None:
        self.taken: list[str] = []

    def publish(self, topic: str, _payload: bytes, *, retain: bool) -> bool:
        self.taken += [] if self.taken else [f"{topic} {retain}"]
        return len(self.taken) == 1 and self.taken[-1] == f"{topic} {retain}"


def test_many_old_epochs_of_one_probe_hold_no_other_probes_answer_back(tmp_path: Path, one: FakeProbe) -> None:
    deployment = Deployment(tmp_path, 'socket = "x"', one)
    door = Door(deployment.state)
    receiver = Receiver(read_settings(deployment.config), door.ingest, deployment.ack_signer, threading.Event())
    old = Head(1, 0, b"\0" * 32, 1, 0)
    older = tuple(("p-two", replace(old, epoch=epoch)) for epoch in range(1, MAX_DUE_OLDER + 50))
    receiver._note(Taken({"p-one": old}, older, 1, 0, 0, ()))
    narrow: Any = Narrow()
    receiver._send_acks(narrow)
    assert narrow.taken == [f"{topics.ack('p-one')} True"]
    assert len(receiver._due_older) == MAX_DUE_OLDER
    door.close()


def test_a_flood_of_refused_bytes_does_not_fill_the_log(bench: Bench, one: FakeProbe) -> None:
    bench.receiving()
    for number in range(40):
        bench.field.send_bytes(topics.up("p-one"), b"junk")
        until(lambda last=number: bench.reader.deliveries().refused > last if bench.reader.path.exists() else False)
    assert bench.receive.text().count("refused records=") == 1


def test_a_disk_that_refuses_even_to_clean_up_ends_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    state = ForwardState(1, 2, 3, False, None, 4, 5, 6, 7, 8, None)
    StateFile(tmp_path / "file", "forward").write(state, now=True)
    assert read_health(tmp_path / "file", 2).forward is None


def test_a_state_from_the_future_is_no_sign_of_life(tmp_path: Path) -> None:
    StateFile(tmp_path, "forward").write(ForwardState(1, 1_000_000, 3, False, None, 4, 5, 6, 7, 8, None), now=True)
    assert read_health(tmp_path, 990_000).forward_alive
    assert not read_health(tmp_path, 900_000).forward_alive


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A CA, a broker certificate for localhost, a client certificate, and a CA that signed neither."""
    folder = tmp_path / "tls"
    folder.mkdir()
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl is not installed")
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2"]
    for ca in ("ca", "other"):
        _openssl(folder, *new, "-subj", f"/CN={ca}", "-keyout", f"{ca}.key", "-out", f"{ca}.crt")
    signed = ["-CA", "ca.crt", "-CAkey", "ca.key"]
    for name, cn in (("server", "localhost"), ("client", "collector")):
        names = ["-addext", f"subjectAltName=DNS:{cn},IP:127.0.0.1", "-addext", "basicConstraints=critical,CA:FALSE"]
        _openssl(folder, *new, *signed, *names, "-subj", f"/CN={cn}", "-keyout", f"{name}.key", "-out", f"{name}.crt")
    return folder


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=20)


@pytest.mark.parametrize("trusted", [True, False])
def test_by_tls(tmp_path: Path, certificates: Path, one: FakeProbe, trusted: bool) -> None:
    port = free_port()
    broker = Mosquitto(
        tmp_path,
        f"listener {port} 127.0.0.1\nrequire_certificate true\nuse_identity_as_username true\n"
        f"cafile {certificates}/ca.crt\ncertfile {certificates}/server.crt\nkeyfile {certificates}/server.key\n",
    )
    broker.start()
    ca = "ca" if trusted else "other"
    deployment = Deployment(
        tmp_path,
        f'host = "localhost"\nport = {port}\nca_file = "tls/{ca}.crt"\ncert_file = "tls/client.crt"\n'
        'tls_key_file = "tls/client.key"',
        one,
    )
    receive = deployment.program("receive")
    field = Field(broker.port, deployment.ack_signer.verifier, one)
    try:
        receive.start()
        if trusted:
            until(lambda: "connected" in receive.text())
            field.send("p-one", one.test())
            until(lambda: field.upto("p-one") == 0)
        else:
            until(lambda: "does not vouch for" in receive.text())
            assert receive.text().count("trying again for ever") == 1
            shutil.copy(certificates / "ca.crt", certificates / "other.crt")
            until(lambda: "connected" in receive.text(), what="the file is put right while it waits")
        assert receive.stop() == 0
    finally:
        field.close()
        receive.kill()
        broker.stop()


def test_the_acknowledged_head_is_the_probes_own_leaf(bench: Bench, one: FakeProbe) -> None:
    bench.receiving()
    raws = [one.test() for _ in range(3)]
    bench.field.send("p-one", raws[2])
    bench.field.send("p-one", raws[0])
    until(lambda: bench.field.upto("p-one") == 0)
    assert bench.field.acks["p-one"][-1][0].head == codec.leaf_text(codec.leaf_hash(raws[0]))
    bench.field.send("p-one", raws[1])
    until(lambda: bench.field.upto("p-one") == 2)
    assert bench.field.acks["p-one"][-1][0].head == one.head
    assert bench.field.acks["p-one"][-1][0].size == 3
