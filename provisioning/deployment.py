"""A deployment on disk: its authority, its keys, the settings of collector and broker, and each probe's files.

<dir>/deployment.toml  origin, addresses           <dir>/ca/          certificate authority: see provisioning.authority
<dir>/broker/          mosquitto.conf, lists, TLS  <dir>/collector/   collector.toml and its keys
<dir>/enrol/           TLS of the enrolment door   <dir>/claims/      claim files, one a card
<dir>/probes/<id>/     record.key, tls.key, tls.crt, ca.crt, identity.toml: what goes on one card
<dir>/points/<code>/   point.key, point.toml: what goes to one measurement point
"""

from __future__ import annotations

import contextlib
import os
import pwd
import re
import secrets
import tomllib
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import urlsplit

from collector.registry_identity import Identities
from provisioning import authority, broker, nats_cluster, pki
from provisioning.broker import BrokerFiles
from provisioning.upkeep import Upkeep
from wire import keyfile
from wire.codec import probe_key_name
from wire.errors import Misconfigured
from wire.note import Signer
from wire.topics import PROBE_PATTERN

COLLECTOR_KEYS = ("ack", "config", "log", "registry")
MAX_SOCKET_BYTES = 100
ENROL_PORT = 8443
_ORIGIN = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.:-]{0,251}[A-Za-z0-9])?")
_URL = re.compile(r"https?://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]{1,5})?(/\S*)?")
_LOGIN = re.compile(r"[A-Za-z0-9_-]+ [A-Za-z0-9._/-]+")
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
    enrol_bind: str | None = None
    enrol_url: str | None = None
    ca_socket: Path | None = None
    root_key: Path | None = None
    influx_user: str | None = None
    influx_password_file: str | None = None

    @property
    def door(self) -> str:
        """Where probes enrol, as claims say it."""
        return self.enrol_url or f"https://{_bracketed(self.host)}:{ENROL_PORT}"


@dataclass(frozen=True, slots=True)
class Deployment:
    """An existing deployment."""

    root: Path
    origin: str
    host: str
    port: int
    enrol_url: str
    socket: str

    @property
    def server_hosts(self) -> tuple[str, ...]:
        """Names for which our servers have certificates."""
        return tuple(dict.fromkeys((self.host, urlsplit(self.enrol_url).hostname or self.host, "localhost")))

    @property
    def ca(self) -> Path:
        """Directory of the certificate authority."""
        return self.root / "ca"

    @property
    def broker(self) -> BrokerFiles:
        """The broker's lists; where it listens is not known here."""
        return BrokerFiles(self.root.resolve() / "broker", "", self.port, "", Path(self.socket))

    @property
    def registry(self) -> Path:
        """The registry's file."""
        return self.collector / "state" / "registry.db"

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
        return _vkey(self.collector, purpose)

    def log_line(self, before: str = "") -> str:
        """The line that gives a probe the log's key, with `before` in front; empty if that key is not kept here."""
        if not (self.collector / "log.key").exists():
            return ""
        return f'{before}log_vkey = "{self.public_key("log")}"\n'


def init(root: Path, plan: Plan, now: datetime) -> Deployment:
    """Make a new deployment. Raises Misconfigured if `root` already holds one: keys are never overwritten."""
    if (root / "deployment.toml").exists():
        raise Misconfigured(f"{root} already holds a deployment; choose another --dir, or move it away first")
    check_plan(plan)
    for name in ("ca", "broker", "enrol", "collector", "probes", "claims"):
        (root / name).mkdir(parents=True, exist_ok=True)
    root.chmod(0o755)
    made = authority.create(root / "ca", plan.origin, plan.root_key, now)
    give_to_broker(root / "broker", plan.broker_user)
    for purpose in COLLECTOR_KEYS:
        keyfile.write_signer(root / "collector" / f"{purpose}.key", Signer.generate(f"{plan.origin}/{purpose}"))
    secret = root / "collector" / "web.secret"
    secret.touch(mode=0o600)
    secret.write_text(secrets.token_hex(32) + "\n")
    _write_deployment(root, plan)
    found = configure(root, plan)
    servers = [authority.put_server(made, root / name, found.server_hosts, now) for name in ("broker", "enrol")]
    with closing(Identities(found.registry)) as identities:
        with identities.transaction():
            for entry in (authority.entry_of(made.above, "issuing", now), *servers):
                identities.add_certificate(entry)
        Upkeep(found.broker, made, identities, lambda: now).turn()
    return found


def _write_deployment(root: Path, plan: Plan) -> None:
    socket = BrokerFiles(root.resolve() / "broker", "", plan.port, "", plan.socket).socket
    (root / "deployment.toml").write_text(
        f'origin = "{plan.origin}"\nhost = "{plan.host}"\nport = {plan.port}\nenrol_url = "{plan.door}"\n'
        f'socket = "{socket}"\n'
    )


def give_to_broker(folder: Path, user: str) -> None:
    """Give the broker's folder to the broker's group, if we are root and there is such a user: it drops its rights."""
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(KeyError, PermissionError):
        found = pwd.getpwnam(user)
        if os.geteuid() == 0:
            os.chown(folder, found.pw_uid, found.pw_gid)
            folder.chmod(0o750)


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
    if (plan.influx_user is None) != (plan.influx_password_file is None):
        raise Misconfigured("--influx-user and --influx-password-file go together; give both or none")
    if plan.influx_user is not None and not _LOGIN.fullmatch(f"{plan.influx_user} {plan.influx_password_file}"):
        raise Misconfigured("--influx-user and --influx-password-file: letters, digits and . _ / - only")
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
    _write_deployment(root, plan)
    files = BrokerFiles(root.resolve() / "broker", plan.bind, plan.port, plan.broker_user, plan.socket)
    broker.write(files)
    _write_collector(root / "collector", plan, files)
    return load(root)


def _write_collector(directory: Path, plan: Plan, files: BrokerFiles) -> None:
    (directory / "state").mkdir(exist_ok=True)
    (directory / "collector.toml").write_text(
        f"""\
origin = "{plan.origin}"
state_dir = "{directory.resolve() / "state"}"
ack_key_file = "ack.key"
registry_vkey = "{_vkey(directory, "registry")}"
config_vkey = "{_vkey(directory, "config")}"
demo = {str(plan.demo).lower()}

{_broker_table(directory.parent / "nats", files)}
[influx]
url = "{plan.influx_url}"
api = "v1"
database = "{plan.influx_database}"
{_influx_login(plan)}
[web]
bind = "{plan.web_bind}"
secret_file = "web.secret"
language = "vi"

[log]
key_file = "log.key"

[enrol]
bind = "{plan.enrol_bind or f"0.0.0.0:{ENROL_PORT}"}"
ca_socket = "{plan.ca_socket or directory.resolve().parent / "ca" / "ca.sock"}"
{_enrol_tls(plan)}"""
    )


def _broker_table(cluster: Path, files: BrokerFiles) -> str:
    if (cluster / "cluster.toml").exists():
        return nats_cluster.broker_table(cluster)
    return f'[broker]\nsocket = "{files.socket}"\n'


def _influx_login(plan: Plan) -> str:
    if plan.influx_user is None:
        return ""
    return f'username = "{plan.influx_user}"\npassword_file = "{plan.influx_password_file}"\n'


def _enrol_tls(plan: Plan) -> str:
    """Behind nginx the door has no TLS of its own: nginx alone reads that key."""
    if (plan.enrol_bind or "").startswith("unix:"):
        return ""
    return 'cert_file = "../enrol/server.crt"\ntls_key_file = "../enrol/server.key"\n'


def _vkey(directory: Path, purpose: str) -> str:
    return keyfile.read_signer(directory / f"{purpose}.key").verifier.vkey


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def load(root: Path) -> Deployment:
    """Read a deployment back. Raises Misconfigured if there is none."""
    try:
        table = tomllib.loads((root / "deployment.toml").read_text())
        return Deployment(root, *(table[name] for name in ("origin", "host", "port", "enrol_url", "socket")))
    except (OSError, ValueError, RecursionError, KeyError) as error:
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
    ca = authority.load(deployment.ca)
    made = pki.make_client(ca.issuing, probe, now)
    pki.save(made, directory / "tls.key", directory / "tls.crt", ca.issuing.certificate)
    (directory / "ca.crt").write_bytes(ca.root)
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
{deployment.log_line()}"""
