"""Interface counters, in this namespace, in another one, and from a made-up sysfs."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from probe.core.path import LinkCounters
from probe.devices import links

_SHOW = """
import json
from dataclasses import asdict
from pathlib import Path
from probe.devices import links
print(json.dumps([[asdict(x) for x in links.read()], [x.iface for x in links.from_sysfs(Path("/sys/class/net"))]]))
"""


def _fake(root: Path, name: str, **files: str) -> None:
    folder = root / name
    (folder / "statistics").mkdir(parents=True)
    for key, value in files.items():
        target = folder / "statistics" / key if key.endswith("_bytes") else folder / key
        target.write_text(value + "\n")


def test_from_sysfs_reads_a_tree_and_leaves_out_what_is_broken(tmp_path: Path) -> None:
    counts = {"rx_bytes": "18446744073709551615", "tx_bytes": "7"}
    _fake(tmp_path, "wwan0", ifindex="5", operstate="unknown", carrier="1", **counts)
    _fake(tmp_path, "eth0", ifindex="2", operstate="up", carrier="1", **counts)
    _fake(tmp_path, "usb0", ifindex="4", operstate="down", **counts)
    _fake(tmp_path, "half", ifindex="9", operstate="up", rx_bytes="1")
    assert links.from_sysfs(tmp_path) == (
        LinkCounters("eth0", 2, 2**64 - 1, 7, up=True),
        LinkCounters("usb0", 4, 2**64 - 1, 7, up=False),
        LinkCounters("wwan0", 5, 2**64 - 1, 7, up=True),
    )


def test_read_counts_bytes_that_really_moved() -> None:
    before = {link.iface: link for link in links.read()}["lo"]
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as source,
    ):
        sink.bind(("127.0.0.1", 0))
        source.sendto(bytes(5000), sink.getsockname())
        sink.recv(5000)
    after = {link.iface: link for link in links.read()}["lo"]
    assert after.rx_bytes - before.rx_bytes >= 5028
    assert after.up


def test_read_bytes_is_none_for_an_interface_that_is_not_there() -> None:
    assert links.read_bytes("lo") is not None
    assert links.read_bytes("l") is None
    assert links.read_bytes("nonesuch0") is None


@pytest.fixture
def namespace() -> Iterator[str]:
    name = f"dsl{os.getpid()}-{secrets.token_hex(3)}"
    subprocess.run(["ip", "netns", "add", name], check=True)
    subprocess.run(["ip", "-n", name, "link", "add", "cell0", "type", "veth", "peer", "name", "far0"], check=True)
    yield name
    subprocess.run(["ip", "netns", "del", name], check=True)


@pytest.mark.netns
def test_read_sees_the_namespace_it_runs_in_where_sysfs_shows_the_old_one(namespace: str) -> None:
    command = ["nsenter", f"--net=/run/netns/{namespace}", sys.executable, "-c", _SHOW]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    seen, in_sysfs = json.loads(done.stdout)
    assert {link["iface"] for link in seen} >= {"lo", "cell0"}
    assert {link["iface"] for link in seen}.isdisjoint(set(in_sysfs) - {"lo"})
    assert not any(link["up"] for link in seen), "both are down there, and counted as such"
