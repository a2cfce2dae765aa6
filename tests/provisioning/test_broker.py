"""The generated broker, a real mosquitto with real certificates: who may say what, and that a revoked one is mute."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from provisioning import authority, deployment, identity, pki
from provisioning.core.takeover import Sign, State, read, step
from provisioning.upkeep import Upkeep
from tests.provisioning.identity_kit import Office, listens, make_office, until
from wire import topics

pytestmark = [
    pytest.mark.services,
    pytest.mark.xdist_group("broker"),
    pytest.mark.skipif(shutil.which("mosquitto", path=f"{os.environ.get('PATH')}:/usr/sbin") is None, reason="broker"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the broker's keys belong to root here"),
]
PROBES = ("p-one", "p-two", "p-out")


@dataclass(slots=True)
class Speaker:
    """One MQTT client; what it heard, and how its connection stands."""

    client: Client
    heard: list[tuple[str, bytes]] = field(default_factory=list)
    is_up: bool = False
    was_up: int = 0

    def say(self, topic: str, payload: bytes = b"x") -> None:
        self.client.publish(topic, payload, qos=1)


@dataclass(slots=True)
class Stage:
    """A deployment with its real broker."""

    office: Office
    broker: subprocess.Popen[bytes]
    log: Path

    def upkeep(self) -> bool:
        """What `ca serve` does every few seconds."""
        with self.office.desk() as desk:
            return Upkeep(desk.where.broker, authority.load(desk.where.ca), desk.identities, lambda: desk.now).turn()

    def refused_more_than(self, count: int) -> bool:
        """Whether more certificates than that were refused since the broker's start."""
        return self.log.read_text().count("certificate verify failed") > count

    def context(self, folder: Path) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=folder / "ca.crt")
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        return context

    @contextmanager
    def probe(self, probe: str, client_id: str | None = None, folder: Path | None = None) -> Iterator[Speaker]:
        """A client with a probe's certificate; it need not come up."""
        made = Client(CallbackAPIVersion.VERSION2, client_id=client_id or probe, protocol=MQTTProtocolVersion.MQTTv311)
        made.tls_set_context(self.context(folder or self.office.where.probe(probe)))
        with self._speaking(made) as speaker, suppress(OSError):
            made.connect("127.0.0.1", self.office.broker_port)
            made.loop_start()
            yield speaker

    @contextmanager
    def collector(self) -> Iterator[Speaker]:
        """The collector's own listener."""
        made = Client(
            CallbackAPIVersion.VERSION2, "collector.dosong", transport="unix", protocol=MQTTProtocolVersion.MQTTv311
        )
        with self._speaking(made) as speaker:
            made.connect(str(self.office.where.broker.socket))
            made.loop_start()
            until(lambda: speaker.is_up, what="the collector")
            made.subscribe("dosong/v1/#", 1)
            yield speaker

    @contextmanager
    def _speaking(self, made: Client) -> Iterator[Speaker]:
        speaker = Speaker(made)

        def up(*arguments: Any) -> None:
            speaker.is_up, speaker.was_up = not arguments[3].is_failure, speaker.was_up + 1

        made.on_connect = up
        made.on_disconnect = lambda *_: setattr(speaker, "is_up", False)
        made.on_message = lambda _c, _d, message: speaker.heard.append((message.topic, message.payload))
        made.reconnect_delay_set(1, 1)
        try:
            yield speaker
        finally:
            made.disconnect()
            made.loop_stop()


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    root = tmp_path_factory.mktemp("stage")
    office = make_office(root)
    for probe in PROBES:
        _make_probe(office, probe)
    log = root / "mosquitto.log"
    with log.open("wb") as out:
        broker = subprocess.Popen(["/usr/sbin/mosquitto", "-c", str(office.where.broker.config)], stderr=out)
    try:
        until(lambda: listens(office.broker_port), what="mosquitto")
        yield Stage(office, broker, log)
    finally:
        broker.terminate()
        broker.wait(20)


def _make_probe(office: Office, probe: str) -> None:
    deployment.add_probe(office.where, probe, datetime.now(UTC))
    with office.desk() as desk:
        row = {"id": probe, "vkey": deployment.probe_vkey(office.where, probe), "site": "s-one"}
        desk.registry.load({"probes": [row]})
        identity.keep_made_here(desk, probe)


def _settled(collector: Speaker, probe: Speaker, topic: str) -> list[str]:
    """Topics that reached the collector before `topic`, which this probe may write: nothing is still under way."""
    probe.say(topic, b"end")
    until(lambda: (topic, b"end") in collector.heard, what=topic)
    return [one for one, payload in collector.heard if payload == b"forged"]


def test_a_probe_speaks_on_its_own_topics_alone(stage: Stage) -> None:
    with stage.collector() as collector, stage.probe("p-one") as one:
        until(lambda: one.is_up, what="p-one")
        mine, other = topics.up("p-one"), topics.up("p-two")
        forged = [
            *(other, f"dosong/v1/up/{topics.part('p-one')}/p-two", topics.status("p-two"), topics.CHECKPOINT),
            *(topics.ack("p-one"), topics.ack("p-two"), topics.config("p-one"), "dosong/v1/up/64/p-one", "$SYS/x", "x"),
        ]
        for topic in forged:
            one.say(topic, b"forged")
        assert _settled(collector, one, mine) == []


def test_a_probe_hears_its_own_answers_alone(stage: Stage) -> None:
    with stage.collector() as collector, stage.probe("p-one") as one:
        until(lambda: one.is_up, what="p-one")
        one.client.subscribe([("#", 1), ("dosong/v1/ack/+", 1), (topics.ack("p-one"), 1)])
        _settled(collector, one, topics.up("p-one"))
        for probe in ("p-two", "p-one"):
            collector.say(topics.ack(probe), probe.encode())
            collector.say(topics.config(probe), probe.encode())
        until(lambda: (topics.ack("p-one"), b"p-one") in one.heard, what="its own answer")
        assert {payload for _, payload in one.heard} == {b"p-one"}


def test_the_collectors_client_id_cannot_be_taken(stage: Stage) -> None:
    with stage.collector() as collector, stage.probe("p-two", "collector.dosong") as thief:
        until(lambda: thief.is_up, what="p-two")
        _settled(collector, thief, topics.up("p-two"))
        assert (collector.is_up, collector.was_up) == (True, 1)
        assert "as p-two" in stage.log.read_text()


def test_revoked_probe_is_mute_in_a_session_that_stands_and_comes_in_no_more(stage: Stage) -> None:
    with stage.collector() as collector, stage.probe("p-out") as out, stage.probe("p-one") as one:
        until(lambda: out.is_up and one.is_up, what="both probes")
        assert _settled(collector, out, topics.up("p-out")) == []
        with stage.office.desk() as desk:
            identity.revoke(desk, "p-out", "stolen")
        assert stage.upkeep()
        assert not stage.upkeep(), "nothing changed since"
        until(lambda: _is_mute(collector, out, one), what="the session that stands is mute")
        assert out.was_up == 1, "it was not even hung up on"
        refused = stage.log.read_text().count("certificate verify failed")
        with stage.probe("p-out", "again") as again:
            until(partial(stage.refused_more_than, refused), what="the revocation list's refusal")
            assert not again.is_up


def _is_mute(collector: Speaker, out: Speaker, one: Speaker) -> bool:
    """Say something in the connection that stands; PUBACKs come (3.1.1 knows no refusal), so look who heard it."""
    word = os.urandom(8)
    out.client.publish(topics.up("p-out"), word, qos=1).wait_for_publish(10)
    end = os.urandom(8)
    one.say(topics.up("p-one"), end)
    until(lambda: (topics.up("p-one"), end) in collector.heard, what="p-one")
    return (topics.up("p-out"), word) not in collector.heard


def test_a_cloned_card_shows_in_the_brokers_log(stage: Stage) -> None:
    """Two machines with one certificate throw each other out until somebody looks: found by the log, as it is read."""
    found: list[Sign] = []
    seen = len(stage.log.read_text().splitlines())

    def look() -> list[Sign]:
        state = State()
        for line in stage.log.read_text().splitlines()[seen:]:
            event = read(line)
            if event is not None:
                state, signs = step(state, event, 0.0)
                found.extend(signs)
        return found

    with stage.probe("p-two"), stage.probe("p-two", "p-two-on-the-copied-card"):
        until(look, within_s=60, what="the sign")
    assert {sign.probe for sign in found} == {"p-two"}


def test_expired_and_foreign_certificates_are_refused(stage: Stage, tmp_path: Path) -> None:
    made = authority.load(stage.office.where.ca)
    now = datetime.now(UTC)
    foreign = pki.make_issuing(pki.make_root("x", now), "x", now)
    young = pki.Issued(made.issuing.key, _older(made.issuing, now))
    cases = {"expired": (young, now - timedelta(days=3 * 365)), "foreign": (foreign, now)}
    for name, (ca, when) in cases.items():
        folder = tmp_path / name
        folder.mkdir()
        pki.save(pki.make_client(ca, "p-two", when), folder / "tls.key", folder / "tls.crt")
        shutil.copy(stage.office.where.ca / "root.crt", folder / "ca.crt")
        seen = stage.log.read_text().count("certificate verify failed")
        with stage.probe("p-two", folder=folder) as two:
            until(partial(stage.refused_more_than, seen), what=name)
            assert not two.is_up


def _older(ca: pki.Issued, now: datetime) -> Any:
    from cryptography import x509  # noqa: PLC0415
    from cryptography.hazmat.primitives import hashes  # noqa: PLC0415

    old = ca.certificate
    builder = x509.CertificateBuilder().subject_name(old.subject).issuer_name(old.issuer).serial_number(1)
    builder = builder.public_key(ca.key.public_key()).not_valid_after(old.not_valid_after_utc)
    return builder.not_valid_before(now - timedelta(days=4 * 365)).sign(ca.key, hashes.SHA256())


def test_400_idle_sockets_keep_neither_collector_nor_probes_out(stage: Stage) -> None:
    with ExitStack() as stack:
        for _ in range(400):
            stack.enter_context(socket.create_connection(("127.0.0.1", stage.office.broker_port), 10))
        with stage.collector() as collector, stage.probe("p-two") as two:
            until(lambda: two.is_up, what="a probe beside 400 idle sockets")
            assert _settled(collector, two, topics.up("p-two")) == []


def test_broker_lists_are_written_only_when_something_changed(stage: Stage) -> None:
    files = stage.office.where.broker
    stage.upkeep()
    stamps = [path.stat().st_mtime_ns for path in (files.acl, files.crl)]
    stage.upkeep()
    assert [path.stat().st_mtime_ns for path in (files.acl, files.crl)] == stamps
    files.crl.write_bytes(b"broken")
    assert stage.upkeep()
    issuer = (stage.office.where.ca / "issuing.crt").read_bytes()
    assert pki.read_crl(files.crl.read_bytes(), issuer).next_update is not None


def test_old_revocation_list_is_signed_anew_long_before_it_ends(tmp_path: Path) -> None:
    office = make_office(tmp_path)
    with office.desk() as desk:
        ca = authority.load(desk.where.ca)
        later = Upkeep(desk.where.broker, ca, desk.identities, lambda: desk.now + timedelta(days=6))
        assert not later.turn()
        later = Upkeep(desk.where.broker, ca, desk.identities, lambda: desk.now + timedelta(days=8))
        assert later.turn()
        held = pki.read_crl(desk.where.broker.crl.read_bytes(), ca.above)
        assert held.next_update is not None
        assert held.next_update > desk.now + timedelta(days=90)
