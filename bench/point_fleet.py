"""Many simulated probes against one point: a child of `bench/point.py`, prints one JSON line.

Each probe has a link of its own rate (its socket is read and filled at that rate and no faster, and what the point
does not send in time is lost, as on a real link), asks for tickets, waits as long as Retry-After says, and runs a
download and an upload one after the other. A transfer that reached less than 95 % of its link's rate was spoiled; if
its receipt was refused it was marked. Transfers in which this program itself was late say nothing and are left out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import socket
import struct
import sys
import time
from collections import Counter
from dataclasses import dataclass, field

RATES_MBIT_S = (2, 5, 10, 20, 40)
TRANSFER_S = 1.5
REST_S = (4.0, 8.0)
TICK_S = 0.008
DEPTH_S = 0.05
OWN_LAG_S = 0.025
SPOILED_BELOW = 0.95
_BLOCK = bytes(1 << 18)
_SINK = bytearray(1 << 20)
_RESET = struct.pack("ii", 1, 0)


@dataclass
class Fleet:
    """What all probes share."""

    port: int
    end_s: float
    counts: Counter[str] = field(default_factory=Counter)
    late: list[tuple[float, float]] = field(default_factory=list)

    def was_late(self, from_s: float, to_s: float) -> bool:
        """Whether this program itself could not keep its pace between the two."""
        return any(a < to_s and b > from_s for a, b in self.late)


async def _watch(fleet: Fleet) -> None:
    while True:
        before_s = time.monotonic()
        await asyncio.sleep(TICK_S)
        late_s = time.monotonic() - before_s - TICK_S
        if late_s > OWN_LAG_S:
            fleet.late.append((before_s, before_s + TICK_S + late_s))


async def _request(fleet: Fleet, source: str, path: str) -> tuple[int, dict[str, str], bytes]:
    reader, writer = await asyncio.open_connection("127.0.0.1", fleet.port, local_addr=(source, 0))
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n".encode())
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    lines = head.decode().split("\r\n")
    return int(lines[0].split()[1]), dict(line.split(": ", 1) for line in lines[1:]), body


async def _open(fleet: Fleet, source: str, head: str, mbit_s: float) -> socket.socket:
    sock = socket.socket()
    sock.setblocking(False)
    buffer_bytes = max(16 << 10, int(mbit_s * 1e6 / 8 * DEPTH_S))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer_bytes)
    sock.bind((source, 0))
    loop = asyncio.get_running_loop()
    await loop.sock_connect(sock, ("127.0.0.1", fleet.port))
    await loop.sock_sendall(sock, head.encode())
    return sock


async def _transfer(sock: socket.socket, mbit_s: float, *, downlink: bool) -> float:
    """Move bytes at the link's rate; returns the share of that rate which was reached."""
    rate = mbit_s * 1e6 / 8
    moved, tokens = 0, 0.0
    started_s = last_s = time.monotonic()
    while (now_s := time.monotonic()) - started_s < TRANSFER_S:
        tokens = min(tokens + (now_s - last_s) * rate, rate * DEPTH_S)
        last_s = now_s
        try:
            count = _take(sock, int(tokens)) if downlink else sock.send(memoryview(_BLOCK)[: int(tokens)])
        except BlockingIOError:
            count = 0
        moved, tokens = moved + count, tokens - count
        await asyncio.sleep(TICK_S)
    return moved / (last_s - started_s) / rate


def _take(sock: socket.socket, most: int) -> int:
    if most <= 0:
        return 0
    count = sock.recv_into(_SINK, most, socket.MSG_TRUNC)
    if count == 0:
        raise ConnectionError("the point ended the transfer")
    return count


async def _direction(fleet: Fleet, source: str, ticket: str, mbit_s: float, direction: str) -> None:
    downlink = direction == "downlink"
    start = f"GET /v1/download?ticket={ticket} HTTP/1.1\r\n\r\n"
    if not downlink:
        start = f"POST /v1/upload?ticket={ticket} HTTP/1.1\r\nContent-Length: 1099511627776\r\n\r\n"
    began_s = time.monotonic()
    sock = await _open(fleet, source, start, mbit_s)
    try:
        if downlink:
            await asyncio.get_running_loop().sock_recv(sock, 100)
        share = await _transfer(sock, mbit_s, downlink=downlink)
    except OSError:
        fleet.counts["broken"] += 1
        return
    finally:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.close()
    ended_s = time.monotonic()
    status, why = 409, b""
    while status == 409:
        await asyncio.sleep(0.1)
        status, _, why = await _request(fleet, source, f"/v1/receipt?ticket={ticket}&direction={direction}")
    if status != 200:
        fleet.counts["marked_" + why.decode().rpartition("(")[2].rstrip(")\n")] += 1
    _judge(fleet, share, marked=status != 200, own=fleet.was_late(began_s, ended_s))


def _judge(fleet: Fleet, share: float, *, marked: bool, own: bool) -> None:
    fleet.counts["transfers"] += 1
    fleet.counts["marked"] += marked
    if own:
        fleet.counts["left_out"] += 1
    elif share < SPOILED_BELOW:
        fleet.counts["spoiled"] += 1
        fleet.counts["spoiled_unmarked"] += not marked
    else:
        fleet.counts["marked_for_nothing"] += marked


async def _probe(fleet: Fleet, number: int) -> None:
    draw = random.Random(number)  # noqa: S311 - a fixed seed is wanted
    source = f"127.1.{number // 250}.{number % 250 + 1}"
    mbit_s = draw.choice(RATES_MBIT_S)
    await asyncio.sleep(draw.uniform(0, 3))
    while time.monotonic() < fleet.end_s:
        status, headers, body = await _request(fleet, source, f"/v1/ticket?probe=p-bench-{number}&epoch=1")
        if status != 200:
            fleet.counts["told_to_wait"] += 1
            await asyncio.sleep(int(headers["Retry-After"]))
            continue
        fleet.counts["tests"] += 1
        ticket = json.loads(body.split(b"\n")[1])["ticket"]
        for direction in ("downlink", "uplink"):
            await _direction(fleet, source, ticket, mbit_s, direction)
        await asyncio.sleep(draw.uniform(*REST_S))


async def _run(port: int, probes: int, seconds: float) -> Counter[str]:
    fleet = Fleet(port, time.monotonic() + seconds)
    watch = asyncio.create_task(_watch(fleet))
    tasks = [asyncio.create_task(_probe(fleet, number)) for number in range(probes)]
    _done, late = await asyncio.wait(tasks, timeout=seconds + 15)
    for task in [*late, watch]:
        task.cancel()
    for task in tasks:
        if task.done() and not task.cancelled() and task.exception() is not None:
            fleet.counts["broken"] += 1
            sys.stderr.write(f"probe ended: {task.exception()!r}\n")
    return fleet.counts


def main() -> int:
    """Run the fleet and print its counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--probes", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=60.0)
    options = parser.parse_args()
    print(json.dumps(asyncio.run(_run(options.port, options.probes, options.seconds))), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
