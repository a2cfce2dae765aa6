"""The generated cluster, three real nats-servers with real certificates: who may say what, and what survives a node."""

from __future__ import annotations

import os
import re
import socket
import ssl
import tomllib
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from collector.broker import Connection
from collector.registry_identity import Identities
from collector.settings import BrokerSettings
from probe.broker import Access
from probe.broker import Connection as ProbeConnection
from provisioning import authority, deployment, nats, nats_cluster
from provisioning.__main__ import cli
from provisioning.deployment import Deployment
from provisioning.nats import Cluster, Node
from tests.nats_kit import SERVER, Nodes, clusters, make_deployment
from tests.provisioning.identity_kit import until
from wire import topics
from wire.errors import Misconfigured

real = [
    pytest.mark.services,
    pytest.mark.xdist_group("nats"),
    pytest.mark.skipif(SERVER is None, reason="nats-server"),
    pytest.mark.skipif(os.geteuid() != 0, reason="the broker's keys belong to root here"),
]
PROBES = ["p-one", "p-two", "p-gone"]
PATIENCE_S = 60.0


@dataclass(slots=True)
class Speaker:
    """One MQTT client: what it heard, and how its connection stands."""

    client: Client
    heard: list[tuple[str, bytes, bool]] = field(default_factory=list)
    granted: list[bool] | None = None
    pubacks: int = 0
    refusals: int = 0
    ends: int = 0

    def has(self, topic: str, payload: bytes) -> bool:
        return (topic, payload) in [one[:2] for one in self.heard]


@dataclass(slots=True)
class Stage:
    made: Deployment
    nodes: Nodes

    @contextmanager
    def speaker(
        self, folder: Path, node: int, client_id: str, hears: tuple[str, ...] = (), qos: int = 1, **options: Any
    ) -> Iterator[Speaker]:
        """A client with the certificate in `folder`; with topics to hear, it is yielded once those are answered."""
        will = options.pop("will", None)
        client = Client(CallbackAPIVersion.VERSION2, client_id, protocol=MQTTProtocolVersion.MQTTv311, **options)
        context = ssl.create_default_context(cafile=folder / "ca.crt")
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        client.tls_set_context(context)
        client.reconnect_delay_set(1, 2)
        if will is not None:
            client.will_set(topics.status(client_id), will, 1, retain=True)
        one = Speaker(client)

        def up(_c: Any, _u: Any, _f: Any, reason: Any, _p: Any) -> None:
            one.refusals += reason.is_failure
            if hears and not reason.is_failure:
                client.subscribe([(topic, qos) for topic in hears])

        def granted(_c: Any, _u: Any, _m: int, codes: Any, _p: Any) -> None:
            one.granted = [not code.is_failure for code in codes]

        def confirmed(*_: Any) -> None:
            one.pubacks += 1

        def ended(*_: Any) -> None:
            one.ends += 1

        client.on_connect, client.on_subscribe, client.on_publish, client.on_disconnect = up, granted, confirmed, ended
        client.on_message = lambda _c, _u, m: one.heard.append((m.topic, m.payload, m.retain))
        client.connect("127.0.0.1", self.nodes.port(self.nodes.names[node]))
        client.loop_start()
        try:
            if hears:
                until(lambda: one.granted is not None, PATIENCE_S, f"{client_id} subscribed")
            yield one
        finally:
            client.disconnect()
            client.loop_stop()

    def probe(self, probe: str, node: int, hears: tuple[str, ...] = (), **options: Any) -> Any:
        return self.speaker(self.made.probe(probe), node, options.pop("client_id", probe), hears, **options)

    def collector(self, node: int, **options: Any) -> Any:
        hears = (topics.UP_FILTER, topics.STATUS_FILTER)
        return self.speaker(self.nodes.root / "collector", node, nats.COLLECTOR, hears, **options)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("nats")
    made = make_deployment(folder, [*PROBES, "p-unlisted"])
    with clusters(made, folder, PROBES) as nodes:
        yield Stage(made, nodes)


class TestRealCluster:
    pytestmark = real

    def test_records_go_up_at_one_node_and_answers_come_down_at_another(self, stage: Stage) -> None:
        hears = (topics.ack("p-one"), topics.config("p-one"))
        with stage.collector(0) as office, stage.probe("p-one", 1, hears, qos=0) as probe:
            assert office.granted == [True, True]
            assert probe.granted == [True, True]
            probe.client.publish(topics.up("p-one"), b"records", 1)
            until(lambda: office.has(topics.up("p-one"), b"records"), PATIENCE_S)
            office.client.publish(topics.ack("p-one"), b"held", 1, retain=True)
            until(lambda: probe.has(topics.ack("p-one"), b"held"), PATIENCE_S)
        with stage.probe("p-one", 2, hears, qos=0) as again:
            until(lambda: (topics.ack("p-one"), b"held", True) in again.heard, PATIENCE_S, "the retained answer")

    def test_a_probe_says_and_hears_nothing_of_others(self, stage: Stage) -> None:
        with stage.collector(0) as office, stage.probe("p-one", 1) as probe:
            for topic in (topics.up("p-two"), topics.status("p-two"), topics.ack("p-one"), topics.config("p-one")):
                probe.client.publish(topic, b"forged", 1)
            wrong_part = f"dosong/v1/up/{(topics.part('p-one') + 1) % topics.PARTS}/p-one"
            probe.client.publish(wrong_part, b"forged", 1)
            probe.client.publish(topics.up("p-one"), b"own", 1)
            until(lambda: office.has(topics.up("p-one"), b"own"), PATIENCE_S)
            assert not [one for one in office.heard if one[1] == b"forged"]
        forbidden = (topics.ack("p-two"), topics.config("+"), topics.UP_FILTER, "dosong/v1/#", "#", "$MQTT/#", "$SYS/#")
        with stage.probe("p-one", 1, forbidden, client_id="p-one-ears") as probe:
            assert probe.granted == [False] * len(forbidden)

    @pytest.mark.parametrize("is_status", [False, True])
    def test_the_greatest_message_that_a_node_lets_by_does_not_throw_the_collector_out(
        self, stage: Stage, is_status: bool
    ) -> None:
        """Kept for who comes later, as a status is, it would throw it out at each connection, for good."""
        root, topic = stage.nodes.root, topics.status("p-two") if is_status else topics.up("p-two")
        context = ssl.create_default_context(cafile=root / "collector" / "ca.crt")
        context.load_cert_chain(root / "collector" / "tls.crt", root / "collector" / "tls.key")
        broker = BrokerSettings(host="127.0.0.1", port=stage.nodes.port(stage.nodes.names[0]), records_qos=0)
        most = int(re.findall(r"max_payload: ([0-9]+)", (root / stage.nodes.names[0] / "nats.conf").read_text())[0])
        key = root / "collector" / "tls.key"
        with closing(Connection(broker, context, None, key)) as office, stage.probe("p-two", 0) as probe:
            until(lambda: [office.read(0.1)] and office.subscribed, PATIENCE_S)
            probe.client.publish(topic, b"x" * most, 1, retain=is_status)
            probe.client.publish(topics.up("p-two"), b"behind it", 1)
            heard: list[bytes] = []
            until(lambda: [heard.extend(one.payload for one in office.read(0.1))] and b"behind it" in heard, PATIENCE_S)
            assert office.alive
            probe.client.publish(topic, b"", 1, retain=is_status)

    def test_who_names_anothers_id_throws_nobody_out(self, stage: Stage) -> None:
        """The cluster takes any client id; a probe's and the collector's end in what only their keys' holders know."""
        folder, root, name = stage.made.probe("p-one"), stage.nodes.root, stage.nodes.names[0]
        files = [folder / part for part in ("ca.crt", "tls.crt", "tls.key")]
        mine = ProbeConnection(Access("127.0.0.1", stage.nodes.port(name), "p-one", 60, None, *files), lambda *_: None)
        context = ssl.create_default_context(cafile=root / "collector" / "ca.crt")
        context.load_cert_chain(root / "collector" / "tls.crt", root / "collector" / "tls.key")
        broker = BrokerSettings(host="127.0.0.1", port=stage.nodes.port(name), records_qos=0)
        office = Connection(broker, context, None, root / "collector" / "tls.key")
        mine.connect()
        until(lambda: [office.read(0.1)] and office.subscribed, PATIENCE_S)
        hears = (topics.ack("p-two"),)
        with (
            stage.probe("p-two", 0, hears, client_id="p-one", qos=0),
            stage.probe("p-two", 0, hears, client_id=nats.COLLECTOR, qos=0),
        ):
            mine.publish(topics.up("p-one"), b"still here")
            heard: list[bytes] = []
            for _ in mine.turns():
                heard += [one.payload for one in office.read(0.1)]
                if b"still here" in heard and not mine.unconfirmed:
                    break
        assert b"still here" in heard
        assert office.alive
        office.close()
        mine.close()
        mine.release()

    def test_who_does_not_stand_in_the_list_is_refused(self, stage: Stage) -> None:
        with stage.probe("p-unlisted", 2) as stranger:
            until(lambda: stranger.refusals, PATIENCE_S, "refused")

    def test_the_servers_own_protocol_opens_nothing(self, stage: Stage) -> None:
        """Without a certificate no handshake; with a probe's one, a user who may come by MQTT alone."""
        port = stage.nodes.cluster.nodes[0].client_port
        folder = stage.made.probe("p-one")
        context = ssl.create_default_context(cafile=folder / "ca.crt")
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        with socket.create_connection(("127.0.0.1", port), 20) as plain:
            assert b'"tls_required":true' in plain.recv(4096)
            with context.wrap_socket(plain, server_hostname="127.0.0.1") as line:
                line.sendall(b'CONNECT {"verbose":true}\r\nSUB > 1\r\n')
                assert b"Authorization Violation" in _until_closed(line)

    def test_a_probes_certificate_opens_no_route(self, stage: Stage) -> None:
        port = stage.nodes.cluster.nodes[0].route_port
        context = ssl.create_default_context(cafile=stage.nodes.root / "mq1" / "route-ca.crt")
        folder = stage.made.probe("p-one")
        context.load_cert_chain(folder / "tls.crt", folder / "tls.key")
        with socket.create_connection(("127.0.0.1", port), 20) as plain:
            plain.recv(4096)
            with pytest.raises((ssl.SSLError, ConnectionError)):
                _speak(context, plain)

    def test_the_last_will_is_said_and_kept_when_a_probe_vanishes(self, stage: Stage) -> None:
        hears = (topics.ack("p-two"),)
        with stage.collector(0) as office, stage.probe("p-two", 1, hears, qos=0, will=b"offline") as probe:
            probe.client.publish(topics.status("p-two"), b"online", 1, retain=True)
            until(lambda: office.has(topics.status("p-two"), b"online"), PATIENCE_S)
            probe.client.loop_stop()
            sock: Any = probe.client.socket()
            sock.shutdown(socket.SHUT_RDWR)
            until(lambda: office.has(topics.status("p-two"), b"offline"), PATIENCE_S, "its last will")
        with stage.collector(2) as late:
            until(lambda: (topics.status("p-two"), b"offline", True) in late.heard, PATIENCE_S, "kept")

    def test_a_revoked_probe_is_thrown_out_of_a_session_that_stands(self, stage: Stage) -> None:
        """The list is taken up by SIGHUP; the others' sessions stay."""
        with (
            stage.probe("p-gone", 1, (topics.ack("p-gone"),), qos=0) as gone,
            stage.probe("p-one", 1, (topics.ack("p-one"),), qos=0) as stays,
        ):
            trusted = authority.load(stage.made.ca).trusted
            assert nats_cluster.refresh(stage.nodes.root, ["p-one", "p-two"], trusted)
            until(lambda: gone.ends and gone.refusals, PATIENCE_S, "thrown out, and refused when it came again")
            assert stays.ends == 0
            assert not nats_cluster.refresh(stage.nodes.root, ["p-one", "p-two"], trusted), "nothing changed"

    def test_what_waits_for_a_session_survives_the_node_it_stood_on(self, stage: Stage) -> None:
        """Last, for it kills: our collector asks for no such session, and the streams beneath are the same."""
        with stage.collector(2, clean_session=False) as office:
            assert office.granted == [True, True]
        with stage.probe("p-two", 1) as probe:
            for number in range(20):
                probe.client.publish(topics.up("p-two"), b"%d" % number, 1)
            until(lambda: probe.pubacks == 20, PATIENCE_S, "all published")
        stage.nodes.kill("mq3")
        with stage.collector(0, clean_session=False) as office:
            until(lambda: all(office.has(topics.up("p-two"), b"%d" % n) for n in range(20)), PATIENCE_S, "all came")


def _speak(context: ssl.SSLContext, plain: socket.socket) -> None:
    """Go on until the server says something; raises SSLError or ConnectionError if it never does."""
    with context.wrap_socket(plain, server_hostname="127.0.0.1") as line:
        line.sendall(b"PING\r\n")
        if not line.recv(4096):
            raise ConnectionResetError


def _until_closed(line: ssl.SSLSocket) -> bytes:
    said = b""
    with suppress(OSError):
        while more := line.recv(4096):
            said += more
    return said


def test_every_probe_has_its_own_topics_and_part() -> None:
    text = nats.users_text(["p-one", "p-two", "p-one"])
    assert text.count('"CN=p-one"') == 1
    line = next(line for line in text.splitlines() if "CN=p-one" in line)
    assert f'"dosong.v1.up.{topics.part("p-one")}.p-one"' in line
    assert "p-two" not in line
    assert text.count('MQTT"]') == 3


def test_one_command_writes_folders_that_need_nothing_else(tmp_path: Path) -> None:
    made = make_deployment(tmp_path, [])
    nodes = [word for name in ("mq1", "mq2", "mq3") for word in ("--node", f"{name}={name}.example")]
    argv = ["broker", "nats", "--dir", str(made.root), "--folder", "/etc/dosong-nats", *nodes]
    said = CliRunner().invoke(cli, argv, catch_exceptions=False)
    assert said.exit_code == 0, said.output
    assert 'others = ["mq2.example:8883", "mq3.example:8883"]' in said.output
    root = made.root / "nats"
    held = {path.name for path in (root / "mq2").iterdir()}
    assert held == {"nats.conf", "users.conf", "ca.crt", "server.crt", "server.key", "route.crt", "route.key",
                    "route-ca.crt"}  # fmt: skip
    text = (root / "mq2" / "nats.conf").read_text()
    assert "stream_replicas: 3" in text
    assert "@mq1.example:6222" in text
    assert "@mq2.example" not in text
    for name in ("server.key", "route.key", "nats.conf"):
        assert (root / "mq2" / name).stat().st_mode & 0o007 == 0, name
    before = (root / "route-ca" / "ca.key").read_bytes()
    assert CliRunner().invoke(cli, argv).exit_code == 0
    assert (root / "route-ca" / "ca.key").read_bytes() == before, "nodes are renewed one by one"
    with closing(Identities(made.registry)) as identities:
        assert {one.subject for one in identities.certificates()} >= {"mq1.example", nats.COLLECTOR}


def test_configure_tells_the_collector_of_the_cluster(tmp_path: Path) -> None:
    made = make_deployment(tmp_path, [])
    nodes = tuple(Node(f"mq{n}", f"mq{n}.example") for n in (1, 2, 3))
    cluster = Cluster(nodes, Path("/etc/dosong-nats"), Path("/var/lib/dosong-nats"))
    nats_cluster.write(made.root / "nats", cluster, authority.load(made.ca), [], datetime.now(UTC))
    plan = deployment.Plan("dosong.example", "mq.example", 8883, "0.0.0.0", "127.0.0.1:1", "http://127.0.0.1:1", "d",
                           "root", False, tmp_path / "c.sock")  # fmt: skip
    deployment.configure(made.root, plan)
    table = tomllib.loads((made.root / "collector" / "collector.toml").read_text())["broker"]
    assert (table["host"], table["port"]) == ("mq1.example", 8883)
    assert table["others"] == ["mq2.example:8883", "mq3.example:8883"]
    assert table["records_qos"] == 0, "a queue for each subscription is a consensus group, elected anew at every fault"
    assert Path(table["tls_key_file"]).exists()


@pytest.mark.parametrize(
    "nodes",
    [
        ["mq1=a"] * 3,
        ["mq1=a", "mq2=b"],
        ["mq1=a", "mq2=b", "mq 3=c"],
        ["mq1=a:0", "mq2=b", "mq3=c"],
        ["mq1"],
        ["mq1=a:1:2:3:4:5", "mq2=b", "mq3=c"],
    ],
)
def test_a_cluster_that_could_not_stand_is_refused(tmp_path: Path, nodes: list[str]) -> None:
    made = make_deployment(tmp_path, [])
    argv = ["broker", "nats", "--dir", str(made.root), *(word for one in nodes for word in ("--node", one))]
    said = CliRunner().invoke(cli, argv)
    assert isinstance(said.exception, Misconfigured)
    assert not (made.root / "nats" / "cluster.toml").exists()


def test_a_killed_broker_is_followed_by_the_next(tmp_path: Path) -> None:
    access = Access("a", 1, "p-one", 60, None, tmp_path, tmp_path, tmp_path, (("b", 2), ("c", 3)))
    assert [(one.host, one.port) for one in access.one_by_one(4)] == [("b", 2), ("c", 3), ("a", 1)]
    settings = BrokerSettings(host="a", port=1, others=("b:2", "[::1]:3"))
    assert [(one.host, one.port) for one in map(settings.turn, range(4))] == [("a", 1), ("b", 2), ("::1", 3), ("a", 1)]
