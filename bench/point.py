"""What the measurement point carries on one core, and whether it ever spoils a test unseen: `python bench/point.py`.

Throughput: the point is pinned to one core and the clients to another; bytes are moved over loopback in both
directions through sockets that discard them, so that the clients cost little. Loopback has no network card and
sendfile copies nothing there: the figure is a ceiling of the program, not of a machine behind a real link.
Fleet: many simulated probes (`bench/point_fleet.py`) with Retry-After obeyed; the point is stopped for a moment a few
times on purpose, so that tests are spoiled which must be marked. Prints goal lines and writes
bench/results/point.json. On a machine with one core both share it.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import platform
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wire.keyfile import write_signer
from wire.note import Signer

GOAL_MINI_MBIT_S = 300
GOAL_MBIT_S = 2000
STOP_S = 0.4
RESULTS = Path(__file__).parent / "results" / "point.json"
UPLOAD_BYTES = 7 << 20
_SINK = bytearray(1 << 20)
_BLOCK = os.urandom(1 << 18)
_GET = b"GET /speedtest/random4000x4000.jpg HTTP/1.1\r\nHost: bench\r\n\r\n"
_POST = b"POST /speedtest/upload.php HTTP/1.1\r\nHost: bench\r\nContent-Length: %d\r\n\r\n" % UPLOAD_BYTES
WAYS = ("downlink", "uplink")


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--seconds", type=float, default=1.0, help="for each direction (1)")
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--probes", type=int, default=200, help="simulated probes (200; 0 leaves the fleet out)")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long they test (10)")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    found: dict[str, object] = {"connections": options.connections, "cores": len(cores), **_machine()}
    with _point(cores[-1], capacity_bps=10**12, test_bytes=4_000_000_000, test_s=60, mini_requests_s=100_000) as point:
        os.sched_setaffinity(0, {cores[0]})
        mini = {way: _mini(*point, way, options.connections, options.seconds) for way in WAYS}
        v1 = {way: _v1(*point, way, options.connections, options.seconds) for way in WAYS}
    os.sched_setaffinity(0, set(cores))
    _throughput_lines(mini, v1)
    found |= {**mini, "v1": v1}
    if options.probes:
        with _point(cores[-1], capacity_bps=10**9, max_tests=32) as point:
            found["fleet"] = fleet = _fleet(*point, options.probes, options.minutes * 60)
        _fleet_lines(fleet, options.probes, options.minutes)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=2) + "\n")
    return 0


def _machine() -> dict[str, str]:
    return {"machine": platform.machine(), "python": platform.python_version()}


@contextmanager
def _point(core: int, **settings: int) -> Iterator[tuple[int, int]]:
    """A point with a key, alone on its core; its port and process id."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_signer(folder / "point.key", Signer.generate("dosong.example/point/bench"))
        lines = ['origin = "dosong.example"', 'point = "bench"', 'key_file = "point.key"']
        lines += [f"{key} = {value}" for key, value in settings.items()]
        (folder / "point.toml").write_text("\n".join(["[point]", *lines, ""]))
        ready = folder / "ready.json"
        options = ["--config", str(folder / "point.toml"), "--bind", "127.0.0.1", "--port", "0"]
        command = [sys.executable, "-m", "point", *options, "--json-ready", str(ready)]
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            _wait_for(ready, process)
            os.sched_setaffinity(process.pid, {core})
            yield json.loads(ready.read_text())["port"], process.pid
        finally:
            process.terminate()
            process.wait()


def _wait_for(ready: Path, process: subprocess.Popen[bytes]) -> None:
    deadline_s = time.monotonic() + 10
    while not ready.exists():
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise SystemExit("bench: the point did not start")
        time.sleep(0.02)


def _mini(port: int, pid: int, way: str, connections: int, seconds: float) -> dict[str, float]:
    """Mbit/s of payload by the mini server's addresses, and the point's CPU seconds for each second."""
    socks = [socket.create_connection(("127.0.0.1", port)) for _ in range(connections)]
    left = dict.fromkeys(socks, 0)
    return _measure(socks, pid, seconds, lambda: (_pull if way == "downlink" else _push)(socks, left))


def _v1(port: int, pid: int, way: str, connections: int, seconds: float) -> dict[str, float]:
    """The same by tickets: four connections each."""
    request = {
        "downlink": "GET /v1/download?ticket=%s HTTP/1.1\r\n\r\n",
        "uplink": "POST /v1/upload?ticket=%s HTTP/1.1\r\nContent-Length: 1099511627776\r\n\r\n",
    }[way]
    socks, ticket = [], ""
    for number in range(connections):
        if number % 4 == 0:
            ticket = _ticket(port, number, way)
        socks.append(socket.create_connection(("127.0.0.1", port)))
        socks[-1].sendall((request % ticket).encode())
    return _measure(socks, pid, seconds, lambda: (_drain if way == "downlink" else _pump)(socks))


def _ticket(port: int, number: int, way: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", f"/v1/ticket?probe=p-{way}-{number}&epoch=1")
    body = connection.getresponse().read()
    connection.close()
    return str(json.loads(body.split(b"\n")[1])["ticket"])


def _measure(socks: list[socket.socket], pid: int, seconds: float, work: object) -> dict[str, float]:
    for sock in socks:
        sock.setblocking(False)
    cpu_s, started_s, moved = _cpu_s(pid), time.monotonic(), 0
    while (elapsed_s := time.monotonic() - started_s) < seconds:
        moved += work()  # type: ignore[operator]
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
    """Send wherever there is room; answers are thrown away."""
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


def _drain(socks: list[socket.socket]) -> int:
    ready = select.select(socks, [], [], 0.1)[0]
    counts = [sock.recv_into(_SINK, len(_SINK), socket.MSG_TRUNC) for sock in ready]
    if 0 in counts:
        raise SystemExit("bench: the point ended a download; lower --seconds or raise --connections")
    return sum(counts)


def _pump(socks: list[socket.socket]) -> int:
    return sum(sock.send(_BLOCK) for sock in select.select([], socks, [], 0.1)[1])


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _fleet(port: int, pid: int, probes: int, seconds: float) -> dict[str, int]:
    """Run the fleet; the point stands still for a moment thrice a minute, so that there is something to mark."""
    program = Path(__file__).with_name("point_fleet.py")
    command = [sys.executable, str(program), "--port", str(port), "--probes", str(probes), "--seconds", str(seconds)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    stops = max(3, round(seconds / 20) - 1)
    for _ in range(stops):
        time.sleep(seconds / (stops + 1) - STOP_S)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(STOP_S)
        os.kill(pid, signal.SIGCONT)
    counts: dict[str, int] = json.loads(child.communicate(timeout=seconds + 60)[0])
    return counts


def _throughput_lines(mini: dict[str, dict[str, float]], v1: dict[str, dict[str, float]]) -> None:
    goals = (("mini server", mini, GOAL_MINI_MBIT_S), ("measuring protocol", v1, GOAL_MBIT_S))
    for name, figures, goal in goals:
        for way, figure in figures.items():
            print(f"{name}, {way}: {figure['mbit_s']:.0f} Mbit/s, {figure['point_cpu_share']:.2f} of the point's core")
        slowest = min(figure["mbit_s"] for figure in figures.values())
        verdict = "met" if slowest >= goal else "short"
        print(f"goal: point, {name} on one core: {slowest:.0f} Mbit/s (>= {goal}): {verdict}")


def _fleet_lines(fleet: dict[str, int], probes: int, minutes: float) -> None:
    print("fleet: " + ", ".join(f"{name} {count}" for name, count in sorted(fleet.items())))
    judged = fleet.get("transfers", 0) - fleet.get("left_out", 0)
    unmarked = fleet.get("spoiled_unmarked", 0) + fleet.get("broken", 0)
    verdict = "met" if judged and not unmarked else "short"
    print(
        f"goal: {probes} probes for {minutes:g} minutes, transfers spoiled by the point without a mark:"
        f" {unmarked} of {judged} (0): {verdict}"
    )


if __name__ == "__main__":
    sys.exit(main())
