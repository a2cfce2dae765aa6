"""mosquitto's configuration and access list, as text.

Two listeners: TLS for probes (client certificate; its common name becomes user name and client id), and a unix
socket for the collector alone. `pattern` lines, because bare `topic` lines before any `user` apply to anonymous
clients only. A revoked probe has a section of its own that denies everything: read again at SIGHUP, it mutes a session
that stands. The broker keeps nothing on disk: probes' spools are the queue.
Source: facts note 08 §4 (this form was run on mosquitto 2.0.11), facts note 04 §3.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from wire.topics import PARTS

_ACL_HEAD = """\
# A probe writes only its own records and status, and reads only its own answers. %u is the certificate's name.
# One line for each part, where `+` would do: a probe that leaves retained messages about fills 64 topics, not the
# broker's memory.
"""
_ACL_TAIL = """\
pattern write dosong/v1/status/%u
pattern read dosong/v1/ack/%u
pattern read dosong/v1/config/%u
pattern read dosong/v1/checkpoint
"""
_ACL_REVOKED = "# Revoked: nothing may be written or read, by a session that still stands either.\n"
ACL = _ACL_HEAD + "".join(f"pattern write dosong/v1/up/{part}/%u\n" for part in range(PARTS)) + _ACL_TAIL


@dataclass(frozen=True, slots=True)
class BrokerFiles:
    """Where the broker's files lie and where it listens."""

    directory: Path
    bind: str
    port: int
    user: str
    socket_path: Path | None = None

    @property
    def socket(self) -> Path:
        """Unix socket of the collector's listener (a socket's path has at most 107 bytes)."""
        return self.socket_path or self.directory / "collector.sock"

    @property
    def acl(self) -> Path:
        """The access list."""
        return self.directory / "acl"

    @property
    def crl(self) -> Path:
        """The revocation list."""
        return self.directory / "crl.pem"

    @property
    def pid(self) -> Path:
        """Where the running broker writes its process id: beside its socket, for it may not write beside its lists."""
        return self.socket.parent / "mosquitto.pid"

    @property
    def config(self) -> Path:
        """mosquitto.conf itself."""
        return self.directory / "mosquitto.conf"


def config_text(files: BrokerFiles) -> str:
    """Return mosquitto.conf. Paths are absolute, so that the broker may be started from anywhere."""
    here = files.directory
    return f"""\
# Written by dosong-provision; change the deployment and run it again rather than this file.
user {files.user}
per_listener_settings true
persistence false
pid_file {files.pid}
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages true
max_packet_size 65536
max_keepalive 1200
max_queued_messages 2000
max_inflight_messages 100
memory_limit 500000000
set_tcp_nodelay true

# The collector only; never exposed.
listener 0 {files.socket}
allow_anonymous true

# Probes.
listener {files.port} {files.bind}
allow_anonymous false
require_certificate true
use_identity_as_username true
use_username_as_clientid true
cafile {here / "ca.crt"}
certfile {here / "server.crt"}
keyfile {here / "server.key"}
crlfile {files.crl}
tls_version tlsv1.3
acl_file {here / "acl"}
max_connections 12000
"""


def acl_text(revoked: Iterable[str]) -> str:
    """Return the access list; `revoked`: ids of probes that may do nothing any more."""
    denied = "".join(f"user {probe}\ntopic deny dosong/v1/#\n" for probe in sorted(set(revoked)))
    return ACL + (_ACL_REVOKED + denied if denied else "")


def write(files: BrokerFiles) -> None:
    """Write mosquitto.conf, and an access list if there is none; later ones are `provisioning.upkeep`'s."""
    files.directory.mkdir(parents=True, exist_ok=True)
    if not files.acl.exists():
        put(files.acl, acl_text(()).encode())
    files.config.write_text(config_text(files))


def put(path: Path, content: bytes) -> None:
    """Write a file of the broker whole or not at all, readable by its folder's owner and group alone."""
    partial = path.with_name(f"{path.name}.partial")
    handle = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640)
    with os.fdopen(handle, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(partial, owner.st_uid, owner.st_gid)
    partial.replace(path)
