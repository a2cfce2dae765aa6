"""A station to visit: modem, gpsd, measurement point, broker, and a ledger that acknowledges all it gets."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from probe import control
from probe.control import Request
from tests.probe.kit import ACK_KEY, KEY, PROBE, SimSite, make_certificates, point, sim_site, wait_until
from tests.probe.test_publish import Broker, Ledger
from wire.errors import Unavailable
from wire.keyfile import write_signer

SETTINGS = """
probe = "p-test"
origin = "dosong.example"
state_dir = "state"
key_file = "record.key"
ack_vkey = "{ack}"
simulated = true
site = "nvh-thu"
[position]
lat_e7 = 217000000
lon_e7 = 1060000000
[schedule]
slot_s = 86400
seed = "{seed}"
[coverage]
step_s = 60
poll_s = 10
[gps]
port = {gps}
[broker]
host = "127.0.0.1"
port = {broker}
ca_file = "ca.crt"
cert_file = "tls.crt"
tls_key_file = "tls.key"
retry_low_s = 0.5
[engine]
name = "speedtest-cli"
server = "http://127.0.0.1:{point}/speedtest/upload.php"
echo = "127.0.0.1:{point}"
downlink_s = 1
uplink_s = 1
time_limit_s = 20
[clock]
trust = "always"
[[modem]]
id = "m1"
port = "{modem}"
interface = "lo"
plmn = "45204"
"""


@dataclass(slots=True)
class Station:
    """One probe's folder, what stands around it, and its programs."""

    folder: Path
    site: SimSite
    ledger: Ledger

    @property
    def settings(self) -> Path:
        return self.folder / "probe.toml"

    @property
    def state(self) -> Path:
        return self.folder / "state"

    def command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "probe", *words, "--config", str(self.settings)]

    def call(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.command(*words), capture_output=True, text=True, timeout=100, check=False)

    def doctor(self, *words: str) -> tuple[int, dict[str, Any]]:
        """The exit status, and what was printed as JSON."""
        done = self.call("doctor", "--json", *words)
        assert done.stdout, done.stderr
        found: dict[str, Any] = json.loads(done.stdout)
        return done.returncode, found

    def add(self, text: str) -> None:
        """Add a table to the settings."""
        self.settings.write_text(self.settings.read_text() + text)

    @contextmanager
    def daemon(self) -> Iterator[subprocess.Popen[str]]:
        """The daemon runs, and answers at its socket."""
        with (self.folder / "log").open("w") as log:
            child = subprocess.Popen(self.command("run"), stderr=log, text=True)
        try:
            wait_until(lambda: child.poll() is not None or control.is_running(self.state), 60, "the daemon answers")
            assert child.poll() is None, (self.folder / "log").read_text()
            yield child
        finally:
            child.terminate()
            child.wait(40)


def until_polled(station: Station, word: str | None) -> None:
    """Wait until the daemon's own polls say `word` (a cause; None: served)."""

    def cause() -> object:
        with contextlib.suppress(Unavailable):
            snapshot = control.ask(station.state, Request("look", near=True))
            modem = snapshot.facts.modems[0] if snapshot else None
            return "unpolled" if modem is None or not modem.is_polled else modem.cause
        return "unpolled"

    wait_until(lambda: cause() == word, 60, f"the modem says {word}")


@contextmanager
def station(folder: Path) -> Iterator[Station]:
    """A station on loopback, whose programs are not started yet."""
    tls = folder / "tls"
    tls.mkdir()
    make_certificates(tls, PROBE)
    broker = Broker(tls)
    broker.start()
    stop = threading.Event()
    with contextlib.ExitStack() as stack:
        stack.callback(broker.kill)
        site = stack.enter_context(sim_site(folder / "run"))
        port = stack.enter_context(point(folder))
        ledger = Ledger(broker)
        stack.callback(ledger.close)
        write_signer(folder / "record.key", KEY)
        for name in ("ca.crt", "tls.crt", "tls.key"):
            (folder / name).write_bytes((tls / name).read_bytes())
        named = {"gps": site.gps_port, "broker": broker.port, "point": port, "modem": site.modem}
        (folder / "probe.toml").write_text(SETTINGS.format(ack=ACK_KEY.verifier.vkey, seed="5" * 64, **named))
        thread = threading.Thread(target=_acknowledge, args=(ledger, stop), daemon=True)
        thread.start()
        stack.callback(thread.join, 10)
        stack.callback(stop.set)
        yield Station(folder, site, ledger)


def _acknowledge(ledger: Ledger, stop: threading.Event) -> None:
    """Sign for all that came, as the collector does."""
    seen = 0
    while not stop.wait(0.1):
        if len(ledger.raws) > seen:
            seen = len(ledger.raws)
            ledger.ack(max(ledger.seqs()))
