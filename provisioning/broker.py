"""mosquitto's configuration and access list, as text.

Two listeners: TLS for probes (client certificate; its common name becomes user name and client id), and a unix
socket for the collector alone. `pattern` lines, because bare `topic` lines before any `user` apply to anonymous
clients only. The broker keeps nothing on disk: probes' spools are the queue.
Source: facts note 08 §4 (this form was run on mosquitto 2.0.11), facts note 04 §3.
"""

from __future__ import annotations

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
log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages true
max_packet_size 65536
max_keepalive 1200
max_queued_messages 2000
max_inflight_messages 100
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
tls_version tlsv1.3
acl_file {here / "acl"}
max_connections 12000
"""


def write(files: BrokerFiles) -> None:
    """Write mosquitto.conf and the access list into the broker's directory."""
    files.directory.mkdir(parents=True, exist_ok=True)
    acl = files.directory / "acl"
    acl.write_text(ACL)
    acl.chmod(0o600)
    files.config.write_text(config_text(files))
