# ruff: noqa: S310 (addresses are our own, on loopback)
"""A real influxd of one's own: its folder, its free ports, ended by its pid."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from grafana.influx import Influx

CONFIG = """reporting-disabled = true
bind-address = "127.0.0.1:{rpc}"
[meta]
  dir = "{dir}/meta"
[data]
  dir = "{dir}/data"
  wal-dir = "{dir}/wal"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{http}"
  log-enabled = false
"""


TRIES = 6


@dataclass(frozen=True, slots=True)
class Seeded:
    """The running influxd and the moment (UTC ms) at which the seeded month ends."""

    influx: Influx
    now_ms: int


def free_ports(count: int) -> list[int]:
    """Ports that were free a moment ago."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 240
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"influxd ended: {log.read_text()[-800:]}")
        try:
            urllib.request.urlopen(f"{url}/ping", timeout=2).close()
        except (urllib.error.URLError, ConnectionError):
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"influxd does not answer at {url}")


@contextmanager
def influxd(folder: Path) -> Iterator[str]:
    """Start influxd in `folder`; gives its address."""
    rpc, http = free_ports(2)
    config, log = folder / "influxdb.conf", folder / "influxd.log"
    config.write_text(CONFIG.format(rpc=rpc, http=http, dir=folder))
    environment = {**os.environ, "HOME": str(folder)}
    with log.open("wb") as out:
        command = ["influxd", "-config", str(config)]
        process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)
    url = f"http://127.0.0.1:{http}"
    try:
        _wait(url, process, log)
        yield url
    finally:
        process.terminate()
        process.wait(timeout=20)


def write(url: str, database: str, lines: Iterable[str]) -> None:
    """Create the database and write the lines, 20,000 a request."""
    create = urllib.request.Request(f"{url}/query", f"q=CREATE+DATABASE+{database}".encode())
    urllib.request.urlopen(create, timeout=30).close()
    pending = list(lines)
    for start in range(0, len(pending), 20_000):
        body = "\n".join(pending[start : start + 20_000]).encode()
        _put(urllib.request.Request(f"{url}/write?db={database}&precision=ns", body))


def _put(request: urllib.request.Request) -> None:
    """Write, and again after a while where a busy influxd says 500 or nothing: the same points twice are one."""
    for attempt in range(TRIES):
        try:
            urllib.request.urlopen(request, timeout=60).close()
            return
        except (urllib.error.URLError, TimeoutError) as error:
            final = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if final or attempt == TRIES - 1:
                raise
            time.sleep(2**attempt)
