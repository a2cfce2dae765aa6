"""Is this broker safe to start? What its configuration and its files really say, one sentence for each fault.

Run before every start (`systemd/mosquitto-dosong.conf`): a broker that lets one probe speak as another, or everybody
in, must not come up, and one whose revocation list has run out would lock the whole fleet out.
Source: facts note 08 §2, §4 (what each line prevents was measured on mosquitto 2.0.11).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from provisioning import pki
from provisioning.broker import ACL
from wire.errors import Refused
from wire.topics import PROBE_PATTERN

WARN_CRL = timedelta(days=30)
WARN_CERTIFICATE = timedelta(days=60)
_LISTENER_NEEDS = {
    "allow_anonymous": ("false", "anybody could speak"),
    "require_certificate": ("true", "whoever has no certificate could speak"),
    "use_identity_as_username": ("true", "a probe would have no name, and no access list would hold"),
    "use_username_as_clientid": ("true", "a probe could take another's session, or the collector's"),
}
_LISTENER_FILES = ("cafile", "certfile", "keyfile", "crlfile", "acl_file")
_FORBIDDEN = ("password_file", "psk_file", "plugin", "auth_plugin", "bridge_cafile", "connection", "include_dir")
_DENY = re.compile(rf"user ({PROBE_PATTERN})\ntopic deny dosong/v1/#\n")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong; `is_fatal`: the broker must not start."""

    text: str
    is_fatal: bool = True


@dataclass(frozen=True, slots=True)
class Listener:
    """One `listener` section: its words, and every setting that follows it."""

    words: tuple[str, ...]
    settings: dict[str, str]

    @property
    def is_local(self) -> bool:
        """Whether it is a unix socket."""
        return self.words[0] == "0" and len(self.words) == 2


@dataclass(frozen=True, slots=True)
class Configuration:
    """mosquitto.conf, taken apart: what stands before the first listener, and the listeners."""

    common: dict[str, str]
    listeners: tuple[Listener, ...]


def parse(text: str) -> Configuration:
    """Take a configuration apart."""
    common: dict[str, str] = {}
    listeners: list[Listener] = []
    for line in text.splitlines():
        key, _, value = line.strip().partition(" ")
        if not key or key.startswith("#"):
            continue
        if key in {"listener", "port"}:
            listeners.append(Listener(tuple(value.split()), {}))
        else:
            (listeners[-1].settings if listeners else common)[key] = value.strip()
    return Configuration(common, tuple(listeners))


def check(path: Path, now: datetime) -> list[Fault]:
    """Everything that is wrong with the broker whose configuration is `path`; empty: it may start."""
    try:
        found = parse(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        return [Fault(f"cannot read {path} ({error}); write it anew: dosong-provision configure")]
    faults = list(_common(found))
    for listener in found.listeners:
        faults += _local(listener) if listener.is_local else _public(listener, now)
    return faults


def _common(found: Configuration) -> Iterator[Fault]:
    if found.common.get("per_listener_settings") != "true":
        yield Fault("per_listener_settings is not true: the collector's open door would be everybody's")
    if found.common.get("persistence") != "false":
        yield Fault("persistence is not false: the broker would keep what nobody verified")
    for name in ("max_packet_size", "memory_limit", "max_queued_messages"):
        if not found.common.get(name, "").isdecimal():
            yield Fault(f"{name} is not set: one client could fill the memory")
    settings = [found.common, *(one.settings for one in found.listeners)]
    for name in _FORBIDDEN:
        if any(name in one for one in settings):
            yield Fault(f"{name} is set: another way in than a probe's certificate; remove it")
    if not any(one.is_local for one in found.listeners):
        yield Fault("the collector has no listener of its own: a flood of probes would lock it out")
    if all(one.is_local for one in found.listeners):
        yield Fault("there is no listener for probes")


def _local(listener: Listener) -> Iterator[Fault]:
    folder = Path(listener.words[1]).parent
    try:
        mode = folder.stat().st_mode
    except OSError:
        yield Fault(f"{folder} is missing, the collector's socket cannot be made; create it")
        return
    # mosquitto 2.0 makes the socket with the mode 0777 less its umask: the folder is what keeps others out.
    if mode & 0o002 and not mode & 0o1000:
        yield Fault(f"anybody may write to {folder}, where the collector's socket lies; run: chmod o-w {folder}")


def _public(listener: Listener, now: datetime) -> Iterator[Fault]:
    where = f"listener {' '.join(listener.words)}"
    for name, (wanted, otherwise) in _LISTENER_NEEDS.items():
        if listener.settings.get(name) != wanted:
            yield Fault(f"{where}: {name} is not {wanted}: {otherwise}")
    if listener.settings.get("tls_version") not in {"tlsv1.3", "tlsv1.2"}:
        yield Fault(f"{where}: tls_version is not tlsv1.3")
    if not listener.settings.get("max_connections", "").isdecimal():
        yield Fault(f"{where}: max_connections is not set: idle sockets could use up every descriptor")
    missing = [name for name in _LISTENER_FILES if name not in listener.settings]
    for name in missing:
        yield Fault(f"{where}: {name} is missing; write the configuration anew: dosong-provision configure")
    if not missing:
        yield from _files({name: Path(listener.settings[name]) for name in _LISTENER_FILES}, now)


def _files(files: dict[str, Path], now: datetime) -> Iterator[Fault]:
    held: dict[str, bytes] = {}
    for name, path in files.items():
        try:
            held[name] = path.read_bytes()
        except OSError as error:
            yield Fault(f"{name} {path}: {error.strerror}; make it with dosong-provision")
    if len(held) < len(files):
        return
    if files["keyfile"].stat().st_mode & 0o037:
        yield Fault(f"{files['keyfile']} can be read by others; run: chmod o-rwx {files['keyfile']}")
    yield from _acl(held["acl_file"].decode("utf-8", "replace"))
    yield from _certificate(held["certfile"], now)
    yield from _crl(held["crlfile"], held["cafile"], now)


def _acl(text: str) -> Iterator[Fault]:
    """The access list is exactly ours, and what is added to it only denies."""
    extra = _DENY.sub("", text.removeprefix(ACL))
    extra = "\n".join(line for line in extra.splitlines() if line and not line.startswith("#"))
    if not text.startswith(ACL) or extra:
        yield Fault("acl_file holds other lines than ours; write it anew: delete it, then dosong-provision broker sync")


def _certificate(pem: bytes, now: datetime) -> Iterator[Fault]:
    try:
        end_ms = pki.facts(pem).not_after_ms
    except Refused as error:
        yield Fault(f"certfile: {error.detail}; make it anew: dosong-provision ca renew broker")
        return
    left_ms = end_ms - now.timestamp() * 1000
    if left_ms < WARN_CERTIFICATE.total_seconds() * 1000:
        text = f"the broker's certificate ends in {left_ms / 86_400_000:.0f} days; dosong-provision ca renew broker"
        yield Fault(text, is_fatal=left_ms < 0)


def _crl(pem: bytes, trusted: bytes, now: datetime) -> Iterator[Fault]:
    """One list must be signed by a trusted authority and in force; a broker refuses all probes when it is not."""
    remedy = "dosong-provision ca renew crl"
    for issuer in pki.split_pem(trusted):
        try:
            held = pki.read_crl(pem, issuer)
        except Refused:
            continue
        left = (held.next_update or now) - now
        if left < WARN_CRL:
            text = f"the revocation list ends in {left.days} days, then every probe is refused; {remedy}"
            yield Fault(text, is_fatal=left < timedelta(0))
        return
    yield Fault(f"crlfile is no list of a trusted authority, every probe would be refused; {remedy}")
