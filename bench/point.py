"""How fast the measurement point is when it has one core to itself: `python bench/point.py`.

The point is pinned to one core and the clients to another; bytes are moved over loopback in both directions
through sockets that discard them, so that the clients cost little. Loopback has no network card and sendfile
copies nothing there: the figure is a ceiling of the program, not of a machine behind a real link. On a machine
with one core both share it. Prints a goal line and writes bench/results/point.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import select
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

GOAL_MBIT_S = 300
RESULTS = Path(__file__).parent / "results" / "point.json"
UPLOAD_BYTES = 7 << 20
_SINK = bytearray(1 << 20)
_BLOCK = os.urandom(1 << 18)
_GET = b"GET /speedtest/random4000x4000.jpg HTTP/1.1\r\nHost: bench\r\n\r\n"
_POST = b"POST /speedtest/upload.php HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % UPLOAD_BYTES


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=3.0, help="for each direction (3)")
    parser.add_argument("--connections", type=int, default=8)
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as folder:
        process, port = _start(Path(folder) / "ready.json", cores[-1])
        os.sched_setaffinity(0, {cores[0]})
        try:
            figures = {
                way: _measure(port, process.pid, way, options.connections, options.seconds)
                for way in ("downlink", "uplink")
            }
        finally:
            process.terminate()
            process.wait()
    _report(figures, options.connections, len(cores))
    return 0


def _start(ready: Path, core: int) -> tuple[subprocess.Popen[bytes], int]:
    command = [sys.executable, "-m", "point", "--bind", "127.0.0.1", "--port", "0", "--json-ready", str(ready)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    deadline_s = time.monotonic() + 10
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise SystemExit("bench: the point did not start")
        time.sleep(0.02)
    os.sched_setaffinity(process.pid, {core})
    return process, json.loads(ready.read_text())["port"]


def _measure(port: int, pid: int, way: str, connections: int, seconds: float) -> dict[str, float]:
    """Mbit/s of payload, and the point's CPU seconds for each second."""
    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    work = _pull if way == "downlink" else _push
    left = dict.fromkeys(socks, 0)
    for sock in socks:
        sock.setblocking(False)
    cpu_s, started_s, moved = _cpu_s(pid), time.monotonic(), 0
    while (elapsed_s := time.monotonic() - started_s) < seconds:
        moved += work(socks, left)
    used_s = _cpu_s(pid) - cpu_s
    for sock in socks:
        sock.close()
    return {"mbit_s": moved * 8 / 1e6 / elapsed_s, "point_cpu_share": used_s / elapsed_s}


def _pull(socks: list[socket.socket], left: dict[socket.socket, int]) -> int:
    """Ask for the next image wherever the last one has come; throw away what is there."""
    for sock in socks:
        if left[sock] <= 0:
            sock.send(_GET)
            left[sock] += 31_625_365
    moved = 0
    for sock in select.select(socks, [], [], 0.1)[0]:
        count = sock.recv_into(_SINK, len(_SINK), socket.MSG_TRUNC)
        left[sock] -= count
        moved += count
    return moved


def _push(socks: list[socket.socket], left: dict[socket.socket, int]) -> int:
    """Send wherever there is room; receipts are thrown away."""
    readable, writable, _ = select.select(socks, socks, [], 0.1)
    for sock in readable:
        sock.recv(4096)
    moved = 0
    for sock in writable:
        if left[sock] == 0:
            sock.send(_POST)
            left[sock] = UPLOAD_BYTES
            continue
        count = sock.send(memoryview(_BLOCK)[: left[sock]])
        left[sock] -= count
        moved += count
    return moved


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _report(figures: dict[str, dict[str, float]], connections: int, cores: int) -> None:
    for way, figure in figures.items():
        print(f"{way}: {figure['mbit_s']:.0f} Mbit/s, {figure['point_cpu_share']:.2f} of the point's core")
    slowest = min(figure["mbit_s"] for figure in figures.values())
    machine = {"machine": platform.machine(), "cores": cores, "python": platform.python_version()}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"connections": connections, **machine, **figures}, indent=2) + "\n")
    verdict = "met" if slowest >= GOAL_MBIT_S else "short"
    print(f"goal: point throughput on one core: {slowest:.0f} Mbit/s (>= {GOAL_MBIT_S}): {verdict}")


if __name__ == "__main__":
    sys.exit(main())
