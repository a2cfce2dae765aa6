"""What tests of sites share: transfers, commands inside, waiting, and who is in which namespace."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sim import ns

SERVER = """
import socket, sys, time
listener = socket.socket()
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, sys.argv[4].encode())
listener.bind((sys.argv[1], 0))
listener.listen()
print(listener.getsockname()[1], flush=True)
way, size = sys.argv[2], int(sys.argv[3])
peer, _ = listener.accept()
if way == "send":
    peer.sendall(bytes(size))
    peer.shutdown(socket.SHUT_WR)
    peer.recv(1)
else:
    first, got = None, 0
    while chunk := peer.recv(1 << 18):
        first = first or (time.monotonic(), len(chunk))
        got += len(chunk)
    print((got - first[1]) * 8 / (time.monotonic() - first[0]), flush=True)
"""
CLIENT = """
import socket, sys, time
address, port, way, size, device = sys.argv[1], int(sys.argv[2]), sys.argv[3], int(sys.argv[4]), sys.argv[5]
peer = socket.socket()
peer.settimeout(20)
peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, sys.argv[6].encode())
if device != "-":
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, device.encode())
peer.connect((address, port))
if way == "send":
    peer.sendall(bytes(size))
    peer.shutdown(socket.SHUT_WR)
    peer.recv(1)
else:
    first, got = None, 0
    while chunk := peer.recv(1 << 18):
        first = first or (time.monotonic(), len(chunk))
        got += len(chunk)
    print((got - first[1]) * 8 / (time.monotonic() - first[0]), flush=True)
"""
CONGESTION_CONTROLS = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()


def python(pid: int | None, script: str, *args: Any) -> subprocess.Popen[str]:
    """A Python script running in the namespaces of `pid`."""
    return ns.popen(pid, [sys.executable, "-c", script, *map(str, args)], stdout=subprocess.PIPE, text=True)


def transfer(up: Any, way: str, size: int, device: str = "-", control: str = "cubic") -> float:
    """Goodput in bit/s of `size` bytes downlink or uplink between the site and the core, first bytes not counted."""
    server_way, client_way = ("send", "recv") if way == "down" else ("recv", "send")
    with python(up.core_pid, SERVER, "198.18.0.1", server_way, size, control) as server:
        assert server.stdout is not None
        port = server.stdout.readline().strip()
        with python(up.netns_pid, CLIENT, "198.18.0.1", port, client_way, size, device, control) as client:
            measured = client.stdout if way == "down" else server.stdout
            assert measured is not None
            figure = measured.readline()
        server.terminate()
    return float(figure)


def inside(up: Any, *argv: str) -> str:
    """Output of a command in the site, whatever its exit status."""
    with ns.popen(up.netns_pid, argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as child:
        said: str = child.communicate(timeout=20)[0]
        return said


def until(condition: Callable[[], object], deadline_s: float = 10.0) -> bool:
    """Waits for the condition; False if the deadline passes first."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def namespaces() -> set[str]:
    """Inodes of every network namespace that some process is in."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/ns/net"):
        try:
            found.add(str(path.readlink()))
        except OSError:
            continue
    return found


def children(pid: int) -> list[int]:
    """Pids of the direct children of a process."""
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def ping_ms(up: Any, count: int = 10, every_s: float = 0.05) -> list[float]:
    """Round trips of `ping` from the site to the core, ms; those that were answered."""
    text = inside(up, "ping", f"-c{count}", f"-i{every_s}", "-W2", "198.18.0.1")
    return [float(line.split("time=")[1].split()[0]) for line in text.splitlines() if "time=" in line]
