"""A deployment with its authority and its enrolment door as real processes, and probes that enrol at it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from collector.registry import Registry
from collector.registry_identity import Identities
from probe import enrol
from probe.settings import load
from provisioning import deployment, identity
from provisioning.deployment import Deployment, Plan
from provisioning.identity import Desk

ORIGIN = "d.example"
UNITS: dict[str, Any] = {
    "provinces": [{"code": "19", "name": "Thái Nguyên"}],
    "communes": [{"code": "05755", "name": "Xã Phú Xuyên", "province": "19"}],
    "hamlets": [{"code": "h-one", "name": "Đồng Chuối", "kind": "xóm", "commune": "05755"}],
    "sites": [{"code": "s-one", "hamlet": "h-one", "name": "NVH", "lat_e7": 215_000_000, "lon_e7": 1_058_000_000}],
    "referrals": [{"code": "TN1", "unit": "h-one"}],
    "operators": [{"plmn": "45204", "name": "Viettel"}],
}  # fmt: skip


def until(true: Callable[[], Any], within_s: float = 30.0, what: str = "") -> Any:
    """Poll until `true()` is; fail after `within_s`. Returns what it gave."""
    deadline_s = time.monotonic() + within_s
    while not (found := true()):
        assert time.monotonic() < deadline_s, f"not within {within_s} s: {what or true}"
        time.sleep(0.02)
    return found


def free_port() -> int:
    """A TCP port that nobody listens on just now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def listens(port: int) -> bool:
    """Whether somebody does."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@dataclass(slots=True)
class Office:
    """A deployment on disk, and the ports at which its servers stand."""

    root: Path
    where: Deployment
    broker_port: int
    enrol_port: int
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @contextmanager
    def desk(self, later: timedelta = timedelta(0)) -> Iterator[Desk]:
        """A visit to the office, now or `later`."""
        registry, identities = Registry(self.where.registry), Identities(self.where.registry)
        try:
            yield Desk(self.where, registry, identities, "tester", datetime.now(UTC) + later)
        finally:
            registry.close()
            identities.close()

    def claim(self, probe: str, *, armed: bool = True, later: timedelta = timedelta(0)) -> Path:
        """A claim file."""
        with self.desk(later) as desk:
            path = identity.make_claim(desk, probe, "s-one", simulated=False)
            if armed:
                identity.arm(desk, probe)
            return path

    def enrolled(self, probe: str, folder: Path) -> Path:
        """A probe that has enrolled and was confirmed, with settings in `folder`."""
        done = enrol.enrol(self.claim(probe), folder)
        with self.desk() as desk:
            identity.confirm(desk, probe, done.fingerprint)
        self.write_settings(probe, folder)
        return folder

    def write_settings(self, probe: str, folder: Path) -> None:
        """A settings file over what enrolment left."""
        head, broker = (folder / "identity.toml").read_text(), (folder / "broker.toml").read_text()
        (folder / "probe.toml").write_text(
            f'{head}\nstate_dir = "state"\nsite = "s-one"\n[engine]\nserver = "http://127.0.0.1:9"\n'
            f'[clock]\ntrust = "always"\n[schedule]\nslot_s = 600\nseed = "{"5eed" * 16}"\n'
            f'[[modem]]\nid = "m1"\nport = "/nowhere"\ninterface = "lo"\n{broker}interface = "lo"\n'
        )
        load(folder / "probe.toml")

    def alarms(self) -> dict[str, int]:
        """How often each kind of alarm was raised."""
        with closing(Identities(self.where.registry)) as identities:
            found: dict[str, int] = {}
            for one in identities.alarms():
                found[one.kind] = found.get(one.kind, 0) + one.times
            return found

    def notes(self) -> list[str]:
        """Types of the notes that wait for the log."""
        with closing(Identities(self.where.registry)) as identities:
            return [one.type for one in identities.notes()]

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start one of our programs; it is ended with the office."""
        with (self.root / f"{words[0]}-{words[1]}.log").open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", *words], stdout=log, stderr=log, env={**os.environ, "PYTHONUNBUFFERED": "1"}
            )
        self.processes.append(process)
        return process

    def close(self) -> None:
        """End what was started."""
        for process in reversed(self.processes):
            process.terminate()
        for process in self.processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(15)
            if process.poll() is None:
                process.kill()
                process.wait()


def make_office(root: Path) -> Office:
    """A deployment without running programs."""
    broker_port, enrol_port = free_port(), free_port()
    plan = Plan(
        origin=ORIGIN, host="127.0.0.1", port=broker_port, bind="127.0.0.1", web_bind="127.0.0.1:8080",
        influx_url="http://127.0.0.1:8086", influx_database="dosong", broker_user="root", demo=False,
        socket=root / "c.sock", enrol_bind=f"127.0.0.1:{enrol_port}", enrol_url=f"https://127.0.0.1:{enrol_port}",
    )  # fmt: skip
    where = deployment.init(root / "d", plan, datetime.now(UTC))
    with closing(Registry(where.registry)) as registry:
        registry.load(UNITS)
    return Office(root, where, broker_port, enrol_port)


@contextmanager
def serving(root: Path) -> Iterator[Office]:
    """A deployment whose authority and enrolment door run."""
    office = make_office(root)
    try:
        office.start("provisioning", "ca", "serve", "--dir", str(office.where.root))
        office.start("collector", "enrol", "--config", str(office.where.collector / "collector.toml"))
        until(lambda: listens(office.enrol_port), what="the enrolment door")
        until((office.where.ca / "ca.sock").exists, what="the authority")
        yield office
    finally:
        office.close()
