"""The demonstration on three broker nodes: what its settings say. The whole runs in tests/faults/cluster_demo.py."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path

import pytest

from provisioning import nats_cluster
from sim import demo_cluster, demo_world
from sim.demo_scene import CHECK
from sim.state import CoreState
from tests.nats_kit import SERVER, make_deployment
from wire.errors import Misconfigured

needs_server = pytest.mark.skipif(SERVER is None, reason="nats-server")


@needs_server
def test_three_nodes_stand_on_one_address_and_leave_nothing_when_mosquitto_is_back(tmp_path: Path) -> None:
    world = demo_world.make(tmp_path, "netns", CHECK, "cluster-test", 0, "nats")
    world.core = CoreState("cluster-test", 1, 1, "198.18.0.1")
    make_deployment(tmp_path, [])
    assert demo_cluster.settle(world)
    nodes = nats_cluster.load(world.deployment / "nats").nodes
    ports = [port for one in nodes for port in (one.mqtt_port, one.route_port, one.client_port, one.monitor_port)]
    assert len(set(ports)) == 12
    assert {(one.host, one.bind) for one in nodes} == {("198.18.0.1", "198.18.0.1")}
    lines = tomllib.loads(demo_cluster.probe_lines(world))
    assert lines == {"others": ["198.18.0.1:8884", "198.18.0.1:8885"]}
    world.broker = "mosquitto"
    assert demo_cluster.settle(world), "the collector's settings must name mosquitto again"
    assert not demo_cluster.settle(world)
    assert demo_cluster.probe_lines(world) == ""
    shutil.rmtree(world.scratch)


@needs_server
def test_a_cluster_without_a_core_is_refused() -> None:
    with pytest.raises(Misconfigured, match="LINK=loopback"):
        demo_cluster.check("nats", "loopback")
    demo_cluster.check("mosquitto", "loopback")
    demo_cluster.check("nats", "netns")
