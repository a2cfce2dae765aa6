"""Bad lines between probes and broker: slow, late, lossy, cut in small pieces, reset, half open, behind a portal.

Everything lives in a network namespace of its own. Loss (20 %) is nftables', the small packets are the interface's
MTU of 1,280; rate, delay, resets, forgotten connections and the portal are a proxy's in front of the broker. A fleet
publishes all the time; after every line it must get its acknowledgements again, and in the end probes, ledger, sums,
InfluxDB and log must agree. What retries cost is printed as bytes sent up for each byte of records.
Needs root and nft. Source: facts note 08 §7.1, §7.2 row 15.

Examples:
  python -m tests.faults.lines               half a minute of each line (eight minutes)
  python -m tests.faults.lines --each-s 5    shorter
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from tests.collector.kit import free_port
from tests.faults.extras import more
from tests.faults.judge import Verdict, judge, keep, report
from tests.faults.world import Fleet, Witness, World, is_root, is_sealed, reader, wait_for, worlds

_CLONE_NEWNET = 0x40000000
MOST_UP = 6.0
"""So many bytes may go up for each byte of records, over all these lines: TLS, MQTT, handshakes and what goes again."""


@dataclass(frozen=True, slots=True)
class Line:
    """What the proxy does. `rate_bps` is each connection's and each way's; `reset_s`: mean life of a connection."""

    name: str
    rate_bps: float = 0.0
    delay_s: float = 0.0
    piece: int = 65_536
    reset_s: float = 0.0
    is_mute: bool = False
    is_portal: bool = False
    loss_percent: int = 0
    mtu: int = 65_536


GOOD = Line("good")
LINES = (
    Line("64 kb/s", rate_bps=64_000),
    Line("2 s late", delay_s=2.0),
    Line("20 % of packets lost", loss_percent=20),
    Line("MTU 1280, pieces of 40 bytes", piece=40, mtu=1_280),
    Line("reset every 2 s", reset_s=2.0),
    Line("half open: nothing passes and nobody says so", is_mute=True),
    Line("a portal answers for everybody", is_portal=True),
)


@dataclass(slots=True)
class Done:
    """What was played, by the name of the line: seconds until the fleet was even with the line good again."""

    back_s: dict[str, float] = field(default_factory=dict)
    record_bytes: int = 0
    up_bytes: int = 0
    verdict: Verdict = field(default_factory=Verdict)

    @property
    def up_factor(self) -> float:
        """Bytes sent up for each byte of records."""
        return self.up_bytes / max(1, self.record_bytes)


class Proxy:
    """A TCP proxy in a thread of its own, whose line can be changed while it runs."""

    def __init__(self, port: int, broker_port: int) -> None:
        self.line, self.up_bytes = GOOD, 0
        self._port, self._broker_port = port, broker_port
        self._loop = asyncio.new_event_loop()
        self._open: set[asyncio.StreamWriter] = set()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", self._port))
        self._loop.run_forever()

    def close(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def forget(self) -> None:
        """Drop all connections without a word on the far side: those that a NAT has forgotten get a reset here."""
        self._loop.call_soon_threadsafe(lambda: [_reset(writer) for writer in self._open])

    async def _serve(self, down: asyncio.StreamReader, up: asyncio.StreamWriter) -> None:
        if self.line.is_portal:
            up.write(b"HTTP/1.1 302 Found\r\nLocation: http://198.18.0.1/login\r\n\r\n")
            up.close()
            return
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._broker_port)
        except OSError:
            up.close()
            return
        self._open |= {up, writer}
        pumps = [self._pump(down, writer, is_up=True), self._pump(reader, up, is_up=False)]
        if self.line.reset_s:
            self._loop.call_later(random.expovariate(1 / self.line.reset_s), _reset, up)
        with contextlib.suppress(OSError, ConnectionError):
            await asyncio.gather(*pumps)
        for one in (up, writer):
            self._open.discard(one)
            one.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, is_up: bool) -> None:
        while chunk := await reader.read(self.line.piece):
            line = self.line
            self.up_bytes += len(chunk) if is_up else 0
            if line.delay_s:
                self._loop.call_later(line.delay_s, _write, writer, chunk)
                continue
            while self.line.is_mute:
                await asyncio.sleep(0.1)
            if line.rate_bps:
                await asyncio.sleep(len(chunk) * 8 / line.rate_bps)
            writer.write(chunk)
            await writer.drain()
        writer.close()


def _write(writer: asyncio.StreamWriter, chunk: bytes) -> None:
    if not writer.is_closing():
        writer.write(chunk)


def _reset(writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


def main(argv: list[str] | None = None) -> int:
    """Play all lines, judge; exits 1 if a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each-s", type=float, default=30.0, help="seconds of each line (30)")
    told = parser.parse_args(argv)
    if not is_root() or shutil.which("nft") is None:
        print("goal: lines: not run, needs root and nft: short")
        return 0
    _own_network()
    with tempfile.TemporaryDirectory(prefix="dosong-lines-") as name:
        done = run(Path(name), told.each_s)
    keep("faults_lines", asdict(done))
    for line, seconds in done.back_s.items():
        print(f"{line:48} even again after {seconds:5.1f} s")
    is_cheap = done.up_factor <= MOST_UP
    print(
        f"goal: lines: {done.up_factor:.2f} bytes up for each of {done.record_bytes} bytes of records"
        f" (at most {MOST_UP:.0f}): {'met' if is_cheap else 'short'}"
    )
    print("\n".join(report("lines", done.verdict, f"{done.verdict.records} records")))
    return 0 if done.verdict.ok and is_cheap else 1


def _own_network() -> None:
    """From here on this program and its children see a network of their own, with a loopback and nothing else."""
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise SystemExit(f"no network namespace of our own: {os.strerror(ctypes.get_errno())}")
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


def run(folder: Path, each_s: float) -> Done:
    """Play it once."""
    done = Done()
    with worlds(folder, 6) as world:
        port, proxy = _between(world)
        keeper = world.keeper(0)
        fleet = world.fleet("--rate", "2", "--days", "200", "--retry-s", "6", "--patience", "240")
        try:
            witness = Witness(world)
            more(fleet, 30)
            for line in LINES:
                _play(fleet, proxy, port, line, each_s)
                done.back_s[line.name] = _even(fleet)
            truth = fleet.finish(300)
            wait_for("everything is sealed", lambda: is_sealed(world), 240)
            done.verdict = judge(world, truth, witness)
            done.up_bytes, done.record_bytes = proxy.up_bytes, _record_bytes(world)
        finally:
            fleet.close()
            keeper.close()
            proxy.close()
    return done


def _between(world: World) -> tuple[int, Proxy]:
    """Move the broker to another port and put the proxy in its place; returns the broker's port."""
    path = world.root / "broker" / "mosquitto.conf"
    text = path.read_text()
    (told,) = [line for line in text.splitlines() if line.startswith("listener ") and line.split()[1] != "0"]
    old, new = int(told.split()[1]), free_port()
    path.write_text(text.replace(told, told.replace(str(old), str(new))))
    world.broker.stop()
    world.start_broker()
    return new, Proxy(old, new)


def _play(fleet: Fleet, proxy: Proxy, port: int, line: Line, each_s: float) -> None:
    """One line for a while, with whatever sessions stood before and those that are tried meanwhile."""
    _kernel(port, line)
    proxy.line = line
    if line.is_portal or line.reset_s:
        proxy.forget()
    time.sleep(each_s)
    _kernel(port, GOOD)
    proxy.line = GOOD
    if line.is_mute:
        proxy.forget()


def _kernel(port: int, line: Line) -> None:
    """Loss on the way between proxy and broker, and the size of packets, as this line has them."""
    rules = "flush ruleset\n"
    if line.loss_percent:
        drop = f"numgen random mod 100 < {line.loss_percent} drop"
        rules += (
            "table inet bad {\n chain out {\n  type filter hook output priority 0; policy accept;\n"
            f"  tcp dport {port} {drop}\n  tcp sport {port} {drop}\n }}\n}}\n"
        )
    subprocess.run(["nft", "-f", "-"], input=rules, text=True, check=True)
    subprocess.run(["ip", "link", "set", "lo", "mtu", str(line.mtu)], check=True)


def _even(fleet: Fleet) -> float:
    """Seconds until everything that was made by now is acknowledged."""
    begun_s = time.monotonic()
    told = fleet.status()
    is_even: Callable[[], bool] = lambda: fleet.status()["acked"] >= told["made"]  # noqa: E731
    wait_for("what was made on a bad line is acknowledged", is_even, 300)
    return time.monotonic() - begun_s


def _record_bytes(world: World) -> int:
    total, after = 0, 0
    with contextlib.closing(reader(world)) as ledger:
        while page := ledger.samples(after_n=after, limit=2000, newest_first=False):
            total += sum(len(sample.raw) for sample in page)
            after = page[-1].n
    return total


if __name__ == "__main__":
    sys.exit(main())
