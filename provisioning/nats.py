"""A NATS JetStream cluster as broker, as text: each node's settings, and the list of who may say what.

Probes speak MQTT 3.1.1 over TLS with their certificate as before; its common name becomes the user (`verify_and_map`),
so every probe stands in the list with a place of its own, and who does not stand there is refused: that is also how a
probe is revoked, for this server reads no revocation lists. Nodes prove themselves to each other by certificates of an
authority that signs nothing else: a probe's certificate opens no route. What was published is kept on as many nodes
as are needed for one to be lost, and only until the collector took it: probes' spools are the queue here too.
Source: nats-server 2.9.10 (this form was run on it); design §9.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from string import Template

from wire import topics

COLLECTOR = "collector.dosong"
"""Common name of the collector's certificate; no probe's id has a dot."""
MAX_REPLICAS = 3
MAX_ACK_PENDING = 10_000
"""Messages that the collector may have without PUBACK. The server's own default, 100, would be its speed limit."""
USERS = "users.conf"
_INBOX = "$MQTT.sub.>"
"""Where the server hands a QoS 1 subscription what is for it; the name behind it is random and the session's own."""

_NODE = Template("""\
# Written by dosong-provision broker nats; change the cluster by running it again rather than this file.
server_name: "$name"
listen: "127.0.0.1:$client_port"
http: "127.0.0.1:$monitor_port"
pid_file: "$here/nats.pid"
max_payload: 131072
max_connections: 45000
write_deadline: "10s"

# Nobody but a node's own administrator, by a certificate that stands in the list.
tls {
  cert_file: "$here/server.crt"
  key_file: "$here/server.key"
  ca_file: "$here/ca.crt"
  verify_and_map: true
}

jetstream {
  store_dir: "$store"
  max_memory_store: 1GB
  max_file_store: 20GB
}

mqtt {
  listen: "$bind:$mqtt_port"
  tls {
    cert_file: "$here/server.crt"
    key_file: "$here/server.key"
    ca_file: "$here/ca.crt"
    verify_and_map: true
    timeout: 20
  }
  stream_replicas: $replicas
  ack_wait: "30s"
  max_ack_pending: $pending
}

authorization {
  timeout: 20
  include $users
}

cluster {
  name: "dosong"
  listen: "$bind:$route_port"
  authorization { user: "route", password: "$secret", timeout: 5 }
  tls {
    cert_file: "$here/route.crt"
    key_file: "$here/route.key"
    ca_file: "$here/route-ca.crt"
    verify: true
    timeout: 5
  }
  routes: [
$routes
  ]
}
""")


@dataclass(frozen=True, slots=True)
class Node:
    """One server: its name in the cluster, the host by which others reach it, and its ports.

    `bind`: the address it listens on. `client_port`: the server cannot do without, so it stands on loopback alone.
    `monitor_port`: loopback too; `/healthz` says whether every copy is up to date, `/jsz` what lies in the streams.
    """

    name: str
    host: str
    mqtt_port: int = 8883
    route_port: int = 6222
    client_port: int = 4222
    monitor_port: int = 8222
    bind: str = "0.0.0.0"


@dataclass(frozen=True, slots=True)
class Cluster:
    """The nodes, where a node's files lie on its machine (`folder`/NAME) and its streams (`store`/NAME)."""

    nodes: tuple[Node, ...]
    folder: Path
    store: Path

    @property
    def replicas(self) -> int:
        """On how many nodes everything lies: an odd number, so that a majority of them is more than half."""
        return MAX_REPLICAS if len(self.nodes) >= MAX_REPLICAS else 1

    def at(self, node: Node) -> Path:
        """Folder of one node's files on its machine."""
        return self.folder / node.name


def node_text(cluster: Cluster, node: Node, secret: str) -> str:
    """Return one node's nats.conf; `secret`: the word that routes must say beside showing their certificate."""
    routes = "\n".join(
        f'    "nats-route://route:{secret}@{_bracketed(one.host)}:{one.route_port}"'
        for one in cluster.nodes
        if one != node
    )
    return _NODE.substitute(
        name=node.name,
        here=cluster.at(node),
        store=cluster.store / node.name,
        bind=_bracketed(node.bind),
        mqtt_port=node.mqtt_port,
        route_port=node.route_port,
        client_port=node.client_port,
        monitor_port=node.monitor_port,
        replicas=cluster.replicas,
        pending=MAX_ACK_PENDING,
        users=USERS,
        secret=secret,
        routes=routes,
    )


def users_text(probes: Iterable[str]) -> str:
    """Return the list of users: the collector, and each of `probes` with its own topics and no others."""
    lines = [_user(COLLECTOR, _COLLECTOR_SAYS, _COLLECTOR_HEARS)]
    lines += [_probe(probe) for probe in sorted(set(probes))]
    return "# Written by dosong-provision; who does not stand here is refused.\nusers: [\n" + "".join(lines) + "]\n"


def subject(topic: str) -> str:
    """What NATS calls an MQTT topic or filter of ours (no topic of version 1 has a dot or an empty level).

    >>> subject("dosong/v1/up/#"), subject("dosong/v1/status/+")
    ('dosong.v1.up.>', 'dosong.v1.status.*')
    """
    return topic.replace("/", ".").replace("#", ">").replace("+", "*")


_COLLECTOR_SAYS = (subject(topics.ack("+")), subject(topics.config("+")), subject(topics.CHECKPOINT))
_UP_ITSELF = subject(topics.UP_FILTER).removesuffix(".>")
"""MQTT's `a/#` is also `a`: the server makes two subscriptions of it, and refuses the whole if one is not allowed."""
_COLLECTOR_HEARS = (_UP_ITSELF, subject(topics.UP_FILTER), subject(topics.STATUS_FILTER), _INBOX)


def _probe(probe: str) -> str:
    says = (subject(topics.up(probe)), subject(topics.status(probe)))
    hears = (subject(topics.ack(probe)), subject(topics.config(probe)), subject(topics.CHECKPOINT), _INBOX)
    return _user(probe, says, hears)


def _user(name: str, says: tuple[str, ...], hears: tuple[str, ...]) -> str:
    may = {"publish": {"allow": says}, "subscribe": {"allow": hears}}
    entry = {"user": f"CN={name}", "permissions": may, "allowed_connection_types": ["MQTT"]}
    return f"  {json.dumps(entry)}\n"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
