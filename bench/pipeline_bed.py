"""What the pipeline bench stands on: a real mosquitto, the real `dosong-collector receive`, a paho null subscriber.

A drain: the subscriber is stopped (SIGSTOP) once it has subscribed, the broker queues the backlog for it, and the clock
runs from SIGCONT on. So the collector keeps its clean session, and both subscribers begin with the same queue.
"""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.pipeline_records import ORIGIN, Backlog, Chain, registry
from bench.pipeline_wire import Line, blast
from collector.registry import Registry
from wire.keyfile import write_signer
from wire.note import Signer

ROOT = Path(__file__).parents[1]
NULL = """
import sys, paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion
left = int(sys.argv[2])
def on_message(client, userdata, message):
    global left
    left -= 1
    if not left: print("all", flush=True)
client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="null.dosong", protocol=mqtt.MQTTv311, transport="unix")
client.on_message = on_message
client.on_connect = lambda client, *_: client.subscribe("dosong/v1/up/#", 1)
client.on_subscribe = lambda *_: print("ready", flush=True)
client.connect(sys.argv[1], 1883, 600)
client.loop_forever()
"""


@dataclass(frozen=True, slots=True)
class Drained:
    """One drain: seconds from SIGCONT to the last commit, CPU seconds of `receive` and its opener, disk.

    `peak_mb` is the greatest resident memory of `receive`, `opener_mb` that of its opener (0: there was none);
    `together_mb` the greatest of both with pages that they share counted once (PSS).
    """

    seconds: float
    records: int
    cpu_s: float = 0.0
    peak_mb: float = 0.0
    disk_bytes: int = 0
    lost: int = 0
    opener_mb: float = 0.0
    together_mb: float = 0.0

    @property
    def rate(self) -> float:
        """Records a second."""
        return self.records / self.seconds


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def until(true: Callable[[], object], within_s: float = 120.0) -> None:
    """Poll until `true()` is. Raises SystemExit after `within_s`."""
    deadline_s = time.monotonic() + within_s
    while not true():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"bench: not within {within_s:.0f} s")
        time.sleep(0.005)


@contextmanager
def program(words: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A program of ours or others', ended by its own pid."""
    with log.open("wb") as out:
        process = subprocess.Popen(words, stdout=out, stderr=out, cwd=ROOT, env={**os.environ, "PYTHONUNBUFFERED": "1"})
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:  # mqtt2influxdb begins anew on SIGTERM
            process.kill()
            process.wait()


@contextmanager
def broker(folder: Path) -> Iterator[int]:
    """A mosquitto with room for any backlog; its port, which its own process is known to hold."""
    port = free_port()
    conf = folder / "mosquitto.conf"
    lines = [
        f"listener 0 {folder}/c.sock",
        f"listener {port} 127.0.0.1",
        "max_packet_size 65536",
        "set_tcp_nodelay true",
    ]
    lines += [
        "max_queued_messages 0",
        "max_inflight_messages 100",
        "persistence false",
        "log_type error",
        "user root",
        "allow_anonymous true",
    ]
    conf.write_text("\n".join([*lines, ""]))
    with program(["mosquitto", "-c", str(conf)], folder / "mosquitto.log") as process:
        until(lambda: _listens(port), 10)
        if process.poll() is not None:
            raise SystemExit("bench: another program holds the broker's port; run it again")
        yield port


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


class Collector:
    """A deployment in a folder, and its `receive` once started."""

    def __init__(self, folder: Path, chains: list[Chain], influx: str = "http://127.0.0.1:1") -> None:
        self.state = folder / "state"
        self.state.mkdir(parents=True)
        self.log = folder / "receive.log"
        write_signer(folder / "ack.key", Signer.generate(f"{ORIGIN}/ack"))
        self._config = folder / "collector.toml"
        self._config.write_text(
            f'origin = "{ORIGIN}"\nstate_dir = "state"\nack_key_file = "ack.key"\n'
            f'[broker]\nsocket = "{folder}/c.sock"\nkeepalive_s = 600\n'
            f'[influx]\nurl = "{influx}"\napi = "v1"\ndatabase = "dosong"\n'
        )
        held = Registry(self.state / "registry.db")
        held.load(registry(chains))
        held.close()

    def words(self, command: str) -> list[str]:
        """A command of `dosong-collector` on this deployment."""
        return [sys.executable, "-m", "collector", command, "--config", str(self._config)]

    @contextmanager
    def receiving(self) -> Iterator[subprocess.Popen[bytes]]:
        """`receive`, subscribed."""
        with program(self.words("receive"), self.log) as process:
            until(lambda: "connected" in self.log.read_text(), 30)
            yield process

    def held(self) -> int:
        """Records in the ledger."""
        with sqlite3.connect(f"file:{self.state}/ledger.db?mode=ro", uri=True) as db:
            return int(db.execute("SELECT coalesce(max(n), 0) FROM entry").fetchone()[0])

    def disk_bytes(self) -> int:
        """Bytes of the ledger's pages in use."""
        with sqlite3.connect(f"file:{self.state}/ledger.db?mode=ro", uri=True) as db:
            pages, free, size = (
                db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
            )
        return int((pages - free) * size)


def queue_up(port: int, process: subprocess.Popen[bytes], backlog: Backlog) -> None:
    """Have the broker queue a backlog for a stopped subscriber."""
    process.send_signal(signal.SIGSTOP)
    line = Line(port, "backlog")
    blast(line, backlog.messages)
    line.close()


def drain(folder: Path, chains: list[Chain], backlog: Backlog) -> Drained:
    """Have `receive` take a backlog; the time to the last commit, and what it took."""
    with broker(folder) as port:
        collector = Collector(folder, chains)
        with collector.receiving() as process:
            queue_up(port, process, backlog)
            cpu_s = _together(cpu_seconds, process.pid)
            begin_s = time.monotonic()
            process.send_signal(signal.SIGCONT)
            together = _watch(collector, process.pid, backlog.records)
            took_s = time.monotonic() - begin_s
            cpu_s = _together(cpu_seconds, process.pid) - cpu_s
            peak, beside = peak_mb(process.pid), _together(peak_mb, process.pid) - peak_mb(process.pid)
        held = collector.held()
        lost = backlog.records - held
        return Drained(took_s, held, cpu_s, peak, collector.disk_bytes(), lost, beside, together)


def drain_null(folder: Path, backlog: Backlog) -> Drained:
    """The same backlog for paho alone: automatic acknowledgement, nothing done with what comes."""
    with broker(folder) as port:
        log = folder / "null.log"
        with program([sys.executable, "-c", NULL, str(folder / "c.sock"), str(len(backlog.messages))], log) as process:
            until(lambda: "ready" in log.read_text(), 30)
            queue_up(port, process, backlog)
            begin_s = time.monotonic()
            process.send_signal(signal.SIGCONT)
            until(lambda: "all" in log.read_text(), 600)
            return Drained(time.monotonic() - begin_s, len(backlog.messages))


def _watch(collector: Collector, pid: int, records: int) -> float:
    """Wait until all is held, at little cost to who else needs the cores; the greatest memory of both meanwhile."""
    seen = 0.0
    with closing(sqlite3.connect(f"file:{collector.state}/ledger.db?mode=ro", uri=True)) as db:
        deadline_s, looks = time.monotonic() + 600, 0
        while int(db.execute("SELECT coalesce(max(n), 0) FROM entry").fetchone()[0]) < records:
            if time.monotonic() > deadline_s:
                raise SystemExit("bench: not within 600 s")
            if looks % 25 == 0:
                seen = max(seen, _together(pss_mb, pid))
            looks += 1
            time.sleep(0.01)
    return max(seen, _together(pss_mb, pid))


def _together(figure: Callable[[int], float], pid: int) -> float:
    """A figure of `receive` and of the opener beside it, if that was started."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return figure(pid) + sum(figure(int(child)) for child in children)


def cpu_seconds(pid: int) -> float:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def pss_mb(pid: int) -> float:
    """Memory of a process now, with its share of what others have too, MB."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6


def peak_mb(pid: int) -> float:
    """Greatest resident memory of a process so far, MB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / 1e6
