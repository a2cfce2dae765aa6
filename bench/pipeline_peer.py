"""The peer: mqtt2influxdb 2.0.6 from PyPI, into a real victoria-metrics; messages a second that it stores.

It is installed into a venv under `build/` and used as its own page says: one measurement, fields by JSONPath.
Its payload is the JSON object of the same records, one a message, for it cannot read signed notes. Then the database is
away for three seconds in the middle of a steady stream.
"""

from __future__ import annotations

import subprocess
import sys
import time
import urllib.request
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from bench.pipeline_bed import ROOT, broker, free_port, program, until
from bench.pipeline_records import Chain, Mill
from bench.pipeline_wire import Line, blast
from wire import codec

PACKAGE = "mqtt2influxdb==2.0.6"
HOME = ROOT / "build" / "peer"
FIELDS = ("seq", "mono_ms", "t_ms", "epoch")
AWAY_S = 3.0
RATE = 300


@dataclass(frozen=True, slots=True)
class Peer:
    """Messages a second in a burst; messages published and lost while the database was away for three seconds."""

    rate: float
    published: int
    lost: int


def install() -> str | None:
    """Install the peer once; return why it cannot be used, None if it can."""
    tool = HOME / "bin" / "mqtt2influxdb"
    if tool.exists():
        return None
    subprocess.run([sys.executable, "-m", "venv", str(HOME)], check=True)
    words = [HOME / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check", PACKAGE]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else (done.stderr.strip().splitlines() or ["pip failed"])[-1]


def measure(folder: Path, chains: list[Chain], burst: int, away: int) -> Peer:
    """A burst of `burst` messages, then `away` at a steady rate with the database stopped in the middle."""
    mill = Mill(7)
    bodies = [codec.body_of(mill.next(chain)) for chain in chains for _ in range((burst + away) // len(chains) + 1)]
    messages = [(f"records/p{number % 97}", body) for number, body in enumerate(bodies)]
    database = Database(folder)
    with broker(folder) as port, _bridge(folder, port, database.port):
        line = Line(port, "field")
        database.start()
        try:
            until(lambda: _subscribed(line, database), 60)
            before, begin_s = database.stored(), time.monotonic()
            blast(line, messages[:burst])
            until(lambda: database.stored() - before >= burst, 300)
            rate = burst / (time.monotonic() - begin_s)
            before = database.stored()
            _stream(line, messages[burst : burst + away], database)
            time.sleep(2.0)
            lost = away - (database.stored() - before)
        finally:
            database.stop()
        line.close()
    return Peer(rate, away, lost)


class Database:
    """A victoria-metrics that can be away for a while; what it took before is remembered."""

    def __init__(self, folder: Path) -> None:
        self.port, self._folder, self._taken = free_port(), folder, 0
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it answers when this returns."""
        words = ["victoria-metrics", f"-storageDataPath={self._folder}/series", "-retentionPeriod=10y"]
        words += [f"-httpListenAddr=127.0.0.1:{self.port}", "-loggerLevel=ERROR"]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(lambda: self._counted() is not None, 30)

    def stop(self) -> None:
        """End it in an orderly way."""
        if self._process is not None:
            self._taken += self._counted() or 0
            self._process.terminate()
            self._process.wait(30)
            self._process = None

    def stored(self) -> int:
        """Messages that it has taken since the first start."""
        return self._taken + (self._counted() or 0)

    def _counted(self) -> int | None:
        """Messages since the last start: rows inserted over the fields of one message; None while it is away."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=5) as page:
                text = page.read().decode()
        except OSError:
            return None
        rows = [line for line in text.splitlines() if line.startswith('vm_rows_inserted_total{type="influx"')]
        return int(sum(float(line.rpartition(" ")[2]) for line in rows)) // len(FIELDS)


def _bridge(folder: Path, port: int, series: int) -> AbstractContextManager[subprocess.Popen[bytes]]:
    fields = "".join(f"      {name}: $.payload.{name}\n" for name in FIELDS)
    config = folder / "peer.yml"
    config.write_text(
        f"mqtt:\n  host: 127.0.0.1\n  port: {port}\n"
        f"influxdb:\n  host: http://127.0.0.1\n  port: {series}\n  token: x\n  org: x\n  bucket: x\n"
        f"points:\n  - measurement: record\n    topic: records/+\n    fields:\n{fields}"
        "    tags:\n      id: $.topic[1]\n"
    )
    return program([str(HOME / "bin" / "mqtt2influxdb"), "-c", str(config)], folder / "peer.log")


def _subscribed(line: Line, database: Database) -> bool:
    blast(line, [("records/ready", b'{"seq":1,"mono_ms":1,"t_ms":1,"epoch":1}')])
    time.sleep(0.3)
    return database.stored() > 0


def _stream(line: Line, messages: list[tuple[str, bytes]], database: Database) -> None:
    """Publish at a steady rate; the database is away for `AWAY_S` in the middle."""
    begin_s, third, back = time.monotonic(), len(messages) // 3, 0.0
    for number, message in enumerate(messages):
        time.sleep(max(0.0, begin_s + number / RATE - time.monotonic()))
        if number == third:
            database.stop()
            back = time.monotonic() + AWAY_S
        if back and time.monotonic() >= back:
            database.start()
            back = 0.0
        blast(line, [message])
