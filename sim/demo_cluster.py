"""The demonstration's broker as three nats-servers with JetStream, instead of one mosquitto: configuration only.

The nodes stand in the core, on one address with ports of their own, from the folders that `dosong-provision broker
nats` writes; probes' and collector's settings name them all. NATS has no unix socket, so `receive` stands in the core
with them; the collector's other programs stay where they are.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sim import ns
from sim.programs import module, program_path, run
from wire.errors import Misconfigured

if TYPE_CHECKING:
    from sim.demo_world import World

BROKERS = ("mosquitto", "nats")
NODES = ("mq1", "mq2", "mq3")
MQTT_PORT, ROUTE_PORT, CLIENT_PORT, MONITOR_PORT = 8883, 6222, 4222, 8222
LEADS = "new metadata leader"
BESIDE = ("forward", "web", "judge", "remind", "seal")
"""The collector's programs that do not speak to the broker."""
_ASK = """\
import sys, urllib.error, urllib.request
try:
    said = urllib.request.urlopen(sys.argv[1], timeout=5).read()
except urllib.error.HTTPError as error:
    said = error.read()
sys.exit(not (b'"ok"' in said or b'consumer' in said))"""


def check(broker: str, link: str) -> None:
    """Raise Misconfigured if this broker cannot stand here."""
    if broker == "nats":
        program_path("nats-server")
        if link != "netns":
            raise Misconfigured("three nodes stand in the core, which LINK=loopback has not; leave out --broker nats")


def settle(world: World) -> bool:
    """Write the nodes' folders, or drop those of an earlier run without; return whether settings must follow."""
    folder = world.deployment / "nats"
    if world.broker != "nats":
        had = folder.exists()
        shutil.rmtree(folder, ignore_errors=True)
        return had
    places = [
        f"{name}={world.server}:{MQTT_PORT + n}:{ROUTE_PORT + n}:{CLIENT_PORT + n}:{MONITOR_PORT + n}"
        for n, name in enumerate(NODES)
    ]
    nodes = [word for place in places for word in ("--node", place)]
    where = ["--dir", str(world.deployment), "--store", str(world.root / "nats"), "--bind", world.server]
    run(*module("provisioning", "broker", "nats", *where, *nodes))
    return True


def probe_lines(world: World) -> str:
    """What a probe's `[broker]` says beside its first address."""
    if world.broker != "nats":
        return ""
    others = ", ".join(f'"{world.server}:{MQTT_PORT + n}"' for n in range(1, len(NODES)))
    return f"others = [{others}]\n"


def start_nodes(world: World) -> None:
    """Start the three nodes; return once they have a leader, without whom nobody may connect."""
    for name in NODES:
        start_node(world, name)
    logs = [world.programs.running[name].log for name in NODES]
    world.programs.wait_ready(NODES[0], lambda: any(LEADS in log.read_text(errors="replace") for log in logs))


def start_node(world: World, name: str) -> None:
    """Start one node."""
    conf = world.deployment / "nats" / name / "nats.conf"
    world.programs.start(name, [program_path("nats-server"), "-c", str(conf)], world.core_pid)


def is_well(world: World, name: str) -> bool:
    """Whether a node says that it knows a leader and that its copies of the streams are up to date.

    It complains of consumers that a killed node left behind: those do not count.
    """
    asked = f"http://127.0.0.1:{MONITOR_PORT + NODES.index(name)}/healthz"
    argv = ns.enter(world.core_pid, [sys.executable, "-c", _ASK, asked])
    return subprocess.run(argv, capture_output=True, timeout=30, check=False).returncode == 0


def start_collector(world: World, settings: Path) -> None:
    """Start `receive` beside the nodes and the other programs where they always are, each by itself."""
    config = ("--config", str(settings))
    world.programs.start("receive", module("collector", "receive", *config), world.core_pid)
    world.programs.wait_ready("receive", (settings.parent / "state" / "ledger.db").exists)
    for name in BESIDE:
        world.programs.start(name, module("collector", name, *config))
