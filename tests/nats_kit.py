"""A real NATS cluster on loopback from provisioning's own files: nodes that tests start, kill and ask."""

from __future__ import annotations

import contextlib
import functools
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from provisioning import authority, deployment, nats_cluster
from provisioning.deployment import Deployment
from provisioning.nats import Cluster, Node
from tests.collector.kit import free_port

FAIR_CHANCE = -5
"""Niceness of the nodes where root may set it: servers that elect leaders by the clock stand beside compilers here."""
PORTS = range(18_000, 30_000)
"""Where nodes listen. Never in the kernel's range for outgoing connections (from 32768 on): while a killed node is
away, a probe's connection to another node may be given its port, and then it cannot come back."""
SERVER = shutil.which("nats-server", path=f"{os.environ.get('PATH')}:/usr/sbin")
LEADER = "JetStream cluster new metadata leader", "Self is new JetStream cluster metadata leader"


class Nodes:
    """The nodes of one deployment's cluster, each a process with its log."""

    def __init__(self, made: Deployment, folder: Path, probes: list[str], count: int = 3) -> None:
        self.root, self._folder = made.root.resolve() / "nats", folder
        names = [f"mq{number}" for number in range(1, count + 1)]
        nodes = [_node(name) for name in names]
        self.cluster = Cluster(tuple(nodes), self.root, folder / "store")
        nats_cluster.write(self.root, self.cluster, authority.load(made.ca), probes, datetime.now(UTC))
        self._running: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def names(self) -> list[str]:
        return [node.name for node in self.cluster.nodes]

    def node(self, name: str) -> Node:
        return next(node for node in self.cluster.nodes if node.name == name)

    def port(self, name: str) -> int:
        """Where probes find one node."""
        return self.node(name).mqtt_port

    def log(self, name: str) -> str:
        path = self._folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start all nodes; return once there is a leader, without whom nobody may connect."""
        for name in self.names:
            self.start_one(name)
        if len(self.names) > 1:
            self._wait(lambda: any(word in self.log(name) for name in self.names for word in LEADER), "a leader")

    def start_one(self, name: str) -> None:
        assert SERVER is not None
        said = "Listening for MQTT clients"
        before = self.log(name).count(said)
        with (self._folder / f"{name}.log").open("ab") as log:
            argv = [SERVER, "-c", str(self.root / name / "nats.conf")]
            process = self._running[name] = subprocess.Popen([*_fairly(), *argv], stdout=log, stderr=log)
        self._wait(lambda: self.log(name).count(said) > before or process.poll() is not None, f"{name} listens")
        assert process.poll() is None, f"{name} ended at its start: {self.log(name)[-500:]}"

    def start_rest(self) -> None:
        """Start the nodes that were killed and are still away."""
        for name in self.names:
            if name not in self._running or self._running[name].poll() is not None:
                self.start_one(name)

    def kill(self, name: str) -> None:
        """kill -9."""
        process = self._running.pop(name)
        process.send_signal(signal.SIGKILL)
        process.wait()

    def words(self) -> list[str]:
        """Options of `dosong-sim swarm` that name the nodes."""
        return [word for node in self.cluster.nodes for word in ("--broker", f"{node.host}:{node.mqtt_port}")]

    def wait_whole(self, patience_s: float = 120) -> None:
        """Until every node knows a leader and every stream's copy on it is up to date."""
        for name in self.names:
            self._wait(functools.partial(self._is_well, name), f"{name} is well", patience_s)

    def _is_well(self, name: str) -> bool:
        """What a node says of itself. It complains of consumers that a killed node left behind: those do not count."""
        try:
            with urllib.request.urlopen(self.asked(name, "healthz"), timeout=5) as answer:  # noqa: S310 (loopback)
                return bool(json.load(answer)["status"] == "ok")
        except urllib.error.HTTPError as error:
            return b"consumer" in error.read()
        except (OSError, ValueError):
            return False

    def asked(self, name: str, path: str) -> str:
        """Where a node is asked how it is."""
        return f"http://127.0.0.1:{self.node(name).monitor_port}/{path}"

    def reload(self, name: str) -> bool:
        return nats_cluster.reload(self.root / name)

    def stop(self) -> None:
        for process in self._running.values():
            process.kill()
        for process in self._running.values():
            process.wait()
        self._running.clear()

    def _wait(self, is_so: object, what: str, patience_s: float = 60) -> None:
        deadline_s = time.monotonic() + patience_s
        while not is_so():  # type: ignore[operator]
            assert time.monotonic() < deadline_s, f"after {patience_s:.0f} s still not: {what}"
            time.sleep(0.05)


def _node(name: str) -> Node:
    return Node(name, "127.0.0.1", _port(), _port(), _port(), _port(), "127.0.0.1")


def _port() -> int:
    """A port to listen on that no outgoing connection is ever given."""
    while True:
        port = random.choice(PORTS)
        with contextlib.suppress(OSError), socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind(("127.0.0.1", port))
            return port


def _fairly() -> list[str]:
    return ["nice", "-n", str(FAIR_CHANCE)] if os.geteuid() == 0 else []


@contextmanager
def clusters(made: Deployment, folder: Path, probes: list[str], count: int = 3) -> Iterator[Nodes]:
    """A started cluster, stopped whatever happens."""
    nodes = Nodes(made, folder, probes, count)
    try:
        nodes.start()
        yield nodes
    finally:
        nodes.stop()


def make_deployment(folder: Path, probes: list[str]) -> Deployment:
    """A deployment with the identities of `probes`; nothing of it runs."""
    plan = deployment.Plan(
        "dosong.example", "127.0.0.1", free_port(), "127.0.0.1", "127.0.0.1:1", "http://127.0.0.1:1", "dosong",
        "root", False, folder / "c.sock",
    )  # fmt: skip
    made = deployment.init(folder / "deployment", plan, datetime.now(UTC))
    for probe in probes:
        deployment.add_probe(made, probe, datetime.now(UTC))
    return made
