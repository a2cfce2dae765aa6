"""A deployment on disk: its authority, its keys, the settings of collector and broker, and each probe's files.

<dir>/deployment.toml  origin, broker address      <dir>/ca/          certificate authority (keep it offline)
<dir>/broker/          mosquitto.conf, acl, TLS    <dir>/collector/   collector.toml and its keys
<dir>/probes/<id>/     record.key, tls.key, tls.crt, ca.crt, identity.toml: what goes on one card
<dir>/points/<code>/   point.key, point.toml: what goes to one measurement point
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
import tomllib
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from provisioning import pki
from provisioning.broker import BrokerFiles, write
from wire import keyfile
from wire.codec import probe_key_name
from wire.errors import Misconfigured
from wire.note import Signer
from wire.topics import PROBE_PATTERN

COLLECTOR_KEYS = ("ack", "config", "log", "registry")
MAX_SOCKET_BYTES = 100
_ORIGIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_URL = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/\S*)?")
_BIND = re.compile(r"\S+:[0-9]{1,5}|unix:\S+")


@dataclass(frozen=True, slots=True)
class Plan:
    """What `init` must know. `host` and `port`: where probes find the broker; `broker_user`: who it runs as."""

    origin: str
    host: str
    port: int
    bind: str
    web_bind: str
    influx_url: str
    influx_database: str
    broker_user: str
    demo: bool
    socket: Path | None = None


@dataclass(frozen=True, slots=True)
class Deployment:
    """An existing deployment."""

    root: Path
    origin: str
    host: str
    port: int

    @property
    def collector(self) -> Path:
        """Directory of collector.toml, its keys and its state."""
        return self.root / "collector"

    def probe(self, probe: str) -> Path:
        """Directory of one probe's files."""
        return self.root / "probes" / probe

    def point(self, point: str) -> Path:
        """Directory of one measurement point's files."""
        return self.root / "points" / point

    def public_key(self, purpose: str) -> str:
        """Text form of the collector's public key for `purpose` (ack, config, log, registry)."""
        return keyfile.read_signer(self.collector / f"{purpose}.key").verifier.vkey


def init(root: Path, plan: Plan, now: datetime) -> Deployment:
    """Make a new deployment. Raises Misconfigured if `root` already holds one: keys are never overwritten."""
    if (root / "deployment.toml").exists():
        raise Misconfigured(f"{root} already holds a deployment; choose another --dir, or move it away first")
    check_plan(plan)
    for name in ("ca", "broker", "collector", "probes"):
        (root / name).mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    ca = pki.make_ca(plan.origin, now)
    pki.save(ca, root / "ca" / "ca.key", root / "ca" / "ca.crt")
    broker = root / "broker"
    pki.save(pki.make_server(ca, (plan.host, "localhost"), now), broker / "server.key", broker / "server.crt")
    shutil.copy(root / "ca" / "ca.crt", broker / "ca.crt")
    for purpose in COLLECTOR_KEYS:
        keyfile.write_signer(root / "collector" / f"{purpose}.key", Signer.generate(f"{plan.origin}/{purpose}"))
    secret = root / "collector" / "web.secret"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(32) + "\n")
    lines = f'origin = "{plan.origin}"\nhost = "{plan.host}"\nport = {plan.port}\n'
    (root / "deployment.toml").write_text(lines)
    return configure(root, plan)


def check_plan(plan: Plan) -> None:
    """Raise Misconfigured for what would only fail later, in another program."""
    if _ORIGIN.fullmatch(plan.origin) is None:
        raise Misconfigured(
            f"--origin {plan.origin!r}: small letters, digits, . and - only, such as dosong.sokhcn.example"
        )
    if _HOST.fullmatch(plan.host) is None:
        raise Misconfigured(f"--host {plan.host!r}: give a plain name or an address, such as mqtt.sokhcn.example")
    if _URL.fullmatch(plan.influx_url) is None:
        raise Misconfigured(f"--influx-url {plan.influx_url!r}: give http://HOST:PORT, such as http://127.0.0.1:8086")
    if _BIND.fullmatch(plan.web_bind) is None:
        raise Misconfigured(f"--web-bind {plan.web_bind!r}: give HOST:PORT, such as 127.0.0.1:8080")
    if plan.socket is not None and len(os.fsencode(plan.socket)) > MAX_SOCKET_BYTES:
        raise Misconfigured(f"--socket {plan.socket}: at most {MAX_SOCKET_BYTES} bytes; choose a shorter path")


def configure(root: Path, plan: Plan) -> Deployment:
    """Write the settings of broker and collector anew; keys and state stay as they are.

    Raises Misconfigured if there is no deployment, or if `plan` names another origin: it stands in every signature.
    """
    check_plan(plan)
    made = load(root)
    if made.origin != plan.origin:
        raise Misconfigured(
            f"{root} is {made.origin}, not {plan.origin}: an origin stands in every signature and stays;"
            f" give --origin {made.origin}, or another --dir"
        )
    files = BrokerFiles(root.resolve() / "broker", plan.bind, plan.port, plan.broker_user, plan.socket)
    write(files)
    _write_collector(root / "collector", plan, files)
    return made


def _write_collector(directory: Path, plan: Plan, files: BrokerFiles) -> None:
    (directory / "state").mkdir(exist_ok=True)
    (directory / "collector.toml").write_text(
        f"""\
origin = "{plan.origin}"
state_dir = "{directory.resolve() / "state"}"
ack_key_file = "ack.key"
demo = {str(plan.demo).lower()}

[broker]
socket = "{files.socket}"

[influx]
url = "{plan.influx_url}"
api = "v1"
database = "{plan.influx_database}"

[web]
bind = "{plan.web_bind}"
secret_file = "web.secret"
language = "vi"

[log]
key_file = "log.key"
"""
    )


def load(root: Path) -> Deployment:
    """Read a deployment back. Raises Misconfigured if there is none."""
    try:
        table = tomllib.loads((root / "deployment.toml").read_text())
        return Deployment(root, table["origin"], table["host"], table["port"])
    except (OSError, tomllib.TOMLDecodeError, KeyError) as error:
        raise Misconfigured(f"{root} holds no deployment; run: dosong-provision init --dir {root}") from error


def add_probe(deployment: Deployment, probe: str, now: datetime) -> Path:
    """Make one probe's keys, certificate and identity.toml; return its directory.

    Raises Misconfigured if the id is none, or if the probe exists: a probe's key is never made twice under one name.
    """
    if re.fullmatch(PROBE_PATTERN, probe) is None:
        raise Misconfigured(f"{probe!r} is no probe id: 3 to 32 of a-z 0-9 -, such as p-dong-chuoi; choose such a one")
    directory = deployment.probe(probe)
    if directory.exists():
        raise Misconfigured(f"probe {probe} exists already in {directory}; choose another id")
    directory.mkdir(parents=True)
    signer = Signer.generate(probe_key_name(deployment.origin, probe))
    keyfile.write_signer(directory / "record.key", signer)
    ca = pki.load(deployment.root / "ca" / "ca.key", deployment.root / "ca" / "ca.crt")
    pki.save(pki.make_client(ca, probe, now), directory / "tls.key", directory / "tls.crt")
    shutil.copy(deployment.root / "ca" / "ca.crt", directory / "ca.crt")
    (directory / "identity.toml").write_text(_identity(deployment, probe))
    return directory


def probe_vkey(deployment: Deployment, probe: str) -> str:
    """Text form of a probe's public record key."""
    return keyfile.read_signer(deployment.probe(probe) / "record.key").verifier.vkey


def add_point(deployment: Deployment, point: str) -> Path:
    """Make one measurement point's key and point.toml; return its directory, which goes to that machine.

    Raises Misconfigured if the code is none, or if the point exists: its key is never made twice under one name.
    """
    if re.fullmatch(r"[A-Za-z0-9_-]{1,32}", point) is None:
        raise Misconfigured(f"{point!r} is no point's code: 1 to 32 letters, digits, _ or -, such as hn-1")
    directory = deployment.point(point)
    if directory.exists():
        raise Misconfigured(f"point {point} exists already in {directory}; choose another code")
    directory.mkdir(parents=True)
    keyfile.write_signer(directory / "point.key", Signer.generate(f"{deployment.origin}/point/{point}"))
    (directory / "point.toml").write_text(
        f"""\
# Settings of one measurement point: dosong-point --config point.toml. The key beside it never leaves its machine.
[point]
origin = "{deployment.origin}"
point = "{point}"
key_file = "point.key"
"""
    )
    return directory


def point_vkey(deployment: Deployment, point: str) -> str:
    """Text form of a measurement point's public key."""
    return keyfile.read_signer(deployment.point(point) / "point.key").verifier.vkey


def _identity(deployment: Deployment, probe: str) -> str:
    return f"""\
# Identity of one probe: the head of its probe.toml. The keys beside it never leave the probe.
probe = "{probe}"
origin = "{deployment.origin}"
key_file = "record.key"
ack_vkey = "{deployment.public_key("ack")}"
config_vkey = "{deployment.public_key("config")}"
"""
