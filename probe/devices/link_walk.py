"""The way from the modem to the internet, step by step, each by the modem's own interface: address, names, answer.

Three small checks of a few hundred bytes each, for a person who waits: they never raise for the network.
Source: facts note 05 §4 (three-part portal check); netdevice(7); RFC 2606 (`.invalid` never exists).
"""

from __future__ import annotations

import secrets
import socket
import struct
import time
from dataclasses import dataclass
from fcntl import ioctl
from pathlib import Path

from probe.core import cause, engine_http
from probe.core.doctor_facts import Step
from probe.devices import ask, links
from probe.devices.bound import NoAnswer, bind_to, family_of, is_literal, resolve
from probe.devices.throughput import PORTAL_BODY, PORTAL_PATH
from wire.failure import Cause

_SIOCGIFADDR = 0x8915
_IF_INET6 = Path("/proc/self/net/if_inet6")
_GLOBAL_SCOPE = "00"
CONNECT_TIMEOUT_S = 6.0


@dataclass(frozen=True, slots=True)
class Way:
    """What is to be reached by which interface. `is_ours`: the server answers the portal check of our points."""

    interface: str
    host: str
    port: int
    dns: tuple[str, ...] = ()
    is_ours: bool = True


def address_of(interface: str) -> str | None:
    """An address of an interface, IPv4 first, global IPv6 else; None without one. Raises OSError never."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        try:
            answer = ioctl(sock.fileno(), _SIOCGIFADDR, struct.pack("256s", interface.encode()[:15]))
        except OSError:
            return _address6_of(interface)
    return socket.inet_ntoa(answer[20:24])


def _address6_of(interface: str) -> str | None:
    try:
        lines = _IF_INET6.read_text().splitlines()
    except OSError:
        return None
    rows = (line.split() for line in lines)
    found = [row[0] for row in rows if len(row) == 6 and row[5] == interface and row[3] == _GLOBAL_SCOPE]
    return socket.inet_ntop(socket.AF_INET6, bytes.fromhex(found[0])) if found else None


def check_apn(way: Way) -> Step:
    """Does the operator give an address?"""
    if links.read_bytes(way.interface) is None:
        return Step(Cause.NO_INTERFACE)
    address = address_of(way.interface)
    return Step(Cause.NO_PDP) if address is None else Step(None, address)


def check_dns(way: Way) -> Step:
    """Do the link's name servers answer, and truly? A name that cannot exist must not: portals answer everything."""
    if is_literal(way.host):
        return Step(None)
    try:
        found = resolve(way.host, way.dns, way.interface)
        if _exists(f"{secrets.token_hex(8)}.invalid", way):
            return Step(Cause.CAPTIVE)
    except NoAnswer:
        return Step(Cause.NO_DNS)
    except OSError as error:
        return Step(Cause(cause.of_error(error)))
    return Step(None, found[0])


def _exists(name: str, way: Way) -> bool:
    try:
        return bool(resolve(name, way.dns[:1], way.interface, timeout_s=1.0))
    except NoAnswer:
        return False


def check_portal(way: Way) -> Step:
    """Does the server itself answer, word for word? Portals answer 200 as well, with a page of their own."""
    try:
        host = way.host if is_literal(way.host) else resolve(way.host, way.dns, way.interface)[0]
        return _asked(way, host) if way.is_ours else _connected(way, host)
    except engine_http.NotOurs:
        return Step(Cause.CAPTIVE)
    except NoAnswer:
        return Step(Cause.NO_DNS)
    except OSError as error:
        return Step(Cause(cause.of_error(error)))


def _asked(way: Way, host: str) -> Step:
    named = f"[{way.host}]" if ":" in way.host else way.host
    answer = ask.ask(way.interface, (host, way.port), PORTAL_PATH, f"{named}:{way.port}")
    if answer.reply.status != 200:
        return Step(Cause(cause.of_status(answer.reply.status)))
    return Step(None, _ms(answer.connect_us)) if answer.body == PORTAL_BODY else Step(Cause.CAPTIVE)


def _connected(way: Way, host: str) -> Step:
    started_s = time.monotonic()
    with socket.socket(family_of(host), socket.SOCK_STREAM) as sock:
        bind_to(sock, way.interface)
        sock.settimeout(CONNECT_TIMEOUT_S)
        sock.connect((host, way.port))
    return Step(None, _ms(round((time.monotonic() - started_s) * 1e6)))


def _ms(us: int) -> str:
    return f"{us / 1000:.0f} ms"
