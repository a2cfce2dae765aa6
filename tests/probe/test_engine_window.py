"""Transfers that receive windows limit, over a relayed link of 50 ms: what moved is told, never as the link's rate.

The probe's namespace bounds the windows of downlinks, the point's those of uplinks, as a small host would.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sim import cell, ns, site, state

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces need root"),
    pytest.mark.skipif(cell.best_shaper() != "relay", reason="no TUN device on this machine"),
]
POINT, PORT = "198.18.0.1", 7480
LINK_BPS = 20_000_000
SMALL = "4096 16384 16384"
"""Four windows of at most 16 KB each 50 ms: about half of the link."""


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[state.SiteState]:
    """A site of 20 Mbit/s whose both ends have small receive windows, and the point's double behind it."""
    folder = tmp_path_factory.mktemp("window")
    run = state.run_dir(f"w{os.getpid()}-{secrets.token_hex(3)}", folder / "run")
    point: subprocess.Popen[bytes] | None = None
    try:
        shape = state.Spec("a", downlink_bps=LINK_BPS, uplink_bps=LINK_BPS, shaper="relay", attached=True)
        up = site.up(run, shape)
        for pid in (up.netns_pid, up.core_pid):
            assert ns.popen(pid, ["sh", "-c", f"echo {SMALL} > /proc/sys/net/ipv4/tcp_rmem"]).wait() == 0
        point = _point(up.core_pid)
        yield up
    finally:
        if point is not None:
            point.communicate(timeout=20)
        site.all_down(run)


def _point(core_pid: int | None) -> subprocess.Popen[bytes]:
    argv = [sys.executable, str(Path(__file__).with_name("point_double.py")), POINT, str(PORT)]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    point = ns.popen(core_pid, argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert point.stdout is not None
    assert json.loads(point.stdout.readline())["port"] == PORT
    return point


def _measure(up: state.SiteState) -> dict[str, Any]:
    """The last word of the engine's child."""
    request = {
        "interface": up.interface, "server_host": POINT, "server_port": PORT, "server_id": "p1", "udp_port": PORT,
        "echo_count": 2, "cap_ms": 1500, "probe": "p-window",
    }  # fmt: skip
    argv = [sys.executable, "-W", "ignore", "-m", "probe.engine_dosong"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    child = ns.popen(up.netns_pid, argv, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(json.dumps(request).encode() + b"\n")
    child.stdin.flush()
    said = child.stdout.read()
    child.communicate(timeout=20)
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def test_small_receive_windows_are_named_and_never_called_precise(small: state.SiteState) -> None:
    found = _measure(small)
    assert (found["outcome"], found["cause"]) == ("ok", None)
    for way in ("downlink", "uplink"):
        assert found[f"{way}_limit"] == "window", way
        assert found[f"{way}_stop"] == "time", f"{way}: steady as it is, it is not the link's rate"
        assert 0 < found[f"{way}_bps"] < 0.8 * LINK_BPS
