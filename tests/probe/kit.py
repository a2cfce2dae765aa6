"""What several tests of the probe need: keys, a spool that signs, and a broker with certificates."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from probe.core.draft import Identity, Stamp
from probe.recorder import Recorder
from probe.spool import Spool
from wire import codec
from wire.note import Signer
from wire.records import AnyRecord, EventRecord

ORIGIN = "dosong.example"
PROBE = "p-test"
KEY = Signer.from_seed(codec.probe_key_name(ORIGIN, PROBE), bytes(range(32)))
ACK_KEY = Signer.from_seed(f"{ORIGIN}/ack", bytes(range(32, 64)))
STAMP = Stamp("ab" * 16, 1_000, "trusted", "ntp", 1_795_000_000_000, 5)


def make_recorder(spool: Spool) -> Recorder:
    return Recorder(spool, KEY, ORIGIN, Identity(PROBE, "1.0", True, "site-1"), lambda: STAMP)


def event(recorder: Recorder, note: str = "x") -> EventRecord:
    return EventRecord(**recorder.head(), event="stopping", note=note)


def read(raw: bytes) -> AnyRecord:
    opened = codec.open_record(raw, ORIGIN, PROBE, KEY.verifier)
    assert opened.record is not None, opened.fault
    return opened.record


def wait_until(done: Callable[[], object], timeout_s: float = 15.0, what: str = "") -> None:
    """Poll until `done` holds; fails with `what` after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    while not done():
        assert time.monotonic() < deadline_s, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)


def make_certificates(folder: Path, common_name: str) -> None:
    """A CA (ca.crt), a server for 127.0.0.1 (server.*) and a client with the given name (tls.*)."""
    new = ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    run(folder, [*new, "-x509", "-days", "2", "-subj", "/CN=test CA", "-keyout", "ca.key", "-out", "ca.crt"])
    for name, subject, extra in (("server", "localhost", "subjectAltName=IP:127.0.0.1"), ("tls", common_name, "")):
        run(folder, [*new, "-subj", f"/CN={subject}", "-keyout", f"{name}.key", "-out", f"{name}.csr"])
        (folder / f"{name}.ext").write_text(extra + "\n")
        sign = ["openssl", "x509", "-req", "-days", "2", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key"]
        run(folder, [*sign, "-CAcreateserial", "-extfile", f"{name}.ext", "-out", f"{name}.crt"])


def run(folder: Path, command: list[str]) -> None:
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


class SimSite:
    """A modem from a recording and a real gpsd, on loopback; the simulator runs as a process of its own."""

    def __init__(self, folder: Path) -> None:
        self.run_name = f"t{os.getpid()}-{secrets.token_hex(3)}"
        self.folder = folder

    def sim(self, *words: str) -> str:
        where = ["--run", self.run_name, "--state-dir", str(self.folder)]
        command = [sys.executable, "-m", "sim", *words[:2], *where, *words[2:]]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=30)
        return done.stdout

    def up(self) -> None:
        out = self.sim("site", "up", "s1", "--link", "loopback")
        self.gps_port = int(out.partition("127.0.0.1:")[2].split()[0])

    def modem_state(self, word: str) -> None:
        """Change SIM or network; "unplugged" pulls the modem out, any other word first puts it back."""
        if word == "unplugged":
            self.sim("site", "unplug", "s1")
            return
        if not self.modem.exists():
            self.sim("site", "plug", "s1")
        self.sim("site", "modem-state", "s1", word)

    @property
    def modem(self) -> Path:
        return self.folder / "s1" / "modem"

    def down(self) -> None:
        self.sim("core", "down", "--all")


@contextmanager
def sim_site(folder: Path) -> Iterator[SimSite]:
    """A site that is gone afterwards."""
    site = SimSite(folder)
    try:
        site.up()
        yield site
    finally:
        site.down()


@contextmanager
def point(folder: Path) -> Iterator[int]:
    """A measurement point on loopback; yields its port (TCP and UDP)."""
    ready = folder / "point.json"
    command = [sys.executable, "-m", "point", "--bind", "127.0.0.1", "--port", "0", "--json-ready", str(ready)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(ready.exists, what="the point listens")
        yield json.loads(ready.read_text())["port"]
    finally:
        child.terminate()
        child.wait(10)
