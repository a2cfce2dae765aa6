"""Sockets that leave by one interface only, names included, and what TCP says of them.

SO_BINDTODEVICE decides the way out; a source address does not (seen: a source-bound test that left by the
default route). It needs no privilege since Linux 5.7. `install` makes every socket of this process a bound
one and takes the system's resolver away; it is for the engine's child, never for the daemon.
Source: socket(7); tcp(7), struct tcp_info of linux/tcp.h; facts note 05 §2.5.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import struct
import threading
import time
from collections.abc import Mapping
from typing import Any, ClassVar

from probe.core import dns

_Plain = socket.socket
_TCP_INFO_BYTES = 256
_NO_LINGER = struct.pack("ii", 1, 0)
DNS_TRIES = 2
_IS_UNBOUND = os.environ.get("DOSONG_FAIL") == "unbound"
"""Failpoint: leave by the route table, as speedtest-cli itself does, so that a test sees the path proof catch it."""


class NoAnswer(Exception):
    """No name server of the link gave an address for the name."""


def bind_to(sock: socket.socket, iface: str) -> None:
    """Make a socket use one interface. Raises OSError (ENODEV) if there is no such interface."""
    if not iface:  # the kernel takes an empty name as leave to go anywhere
        raise OSError(errno.ENODEV, os.strerror(errno.ENODEV))
    if _IS_UNBOUND:
        return
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, iface.encode())


def datagram(iface: str, family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    """A UDP socket bound to an interface. Raises OSError if there is no such interface."""
    sock = _Plain(family, socket.SOCK_DGRAM)
    try:
        bind_to(sock, iface)
    except OSError:
        sock.close()
        raise
    return sock


def family_of(address: str) -> socket.AddressFamily:
    """The family of a literal address."""
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def is_literal(host: str) -> bool:
    """Whether a host is written as an address, so that no name is to be resolved."""
    with contextlib.suppress(OSError):
        socket.inet_pton(family_of(host), host)
        return True
    return False


def resolve(name: str, servers: tuple[str, ...], iface: str, timeout_s: float = 2.0) -> tuple[str, ...]:
    """Addresses of a name from the link's own servers: IPv4 if there is any, else IPv6.

    Asks each server twice, waiting `timeout_s` each time. Raises NoAnswer if none gives an address, OSError if
    the interface is missing.
    """
    for record_type in (dns.TYPE_A, dns.TYPE_AAAA):
        for server in servers * DNS_TRIES:
            found = _ask(name, record_type, server, iface, timeout_s)
            if found:
                return found
            if found is not None:
                break  # the name exists without this type: ask for the other
    raise NoAnswer(f"no address for {name} from {len(servers)} servers")


def _ask(name: str, record_type: int, server: str, iface: str, timeout_s: float) -> tuple[str, ...] | None:
    """One question to one server; None if it did not answer it."""
    deadline_s = time.monotonic() + timeout_s
    with datagram(iface, family_of(server)) as sock:
        try:
            asked = dns.question(name, record_type, struct.unpack(">H", os.urandom(2))[0])
            sock.connect((server, 53))
            sock.send(asked)
            while (left_s := deadline_s - time.monotonic()) > 0:
                sock.settimeout(left_s)
                try:
                    return dns.addresses(sock.recv(4096), asked)
                except dns.ErrorCode:
                    return None
                except dns.BadAnswer:
                    continue  # a stray or forged datagram: the real one may follow
        except (OSError, dns.BadAnswer):
            return None
    return None


class BoundSocket(socket.socket):
    """A socket that is bound when it is made; TCP ones are counted in `traffic`."""

    iface: ClassVar[str] = ""

    def __init__(self, family: int = -1, type: int = -1, proto: int = -1, fileno: int | None = None) -> None:
        super().__init__(family, type, proto, fileno)
        if fileno is None and self.family in (socket.AF_INET, socket.AF_INET6):
            try:
                bind_to(self, self.iface)
            except OSError:
                self.close()
                raise
        if self.type & socket.SOCK_STREAM and self.family != socket.AF_UNIX:
            traffic.add(self)

    def _real_close(self, *arguments: Any) -> None:
        traffic.remove(self)
        super()._real_close(*arguments)  # type: ignore[misc]


class Traffic:
    """Payload of all TCP sockets of this process, open or closed, as the kernel counts it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: set[BoundSocket] = set()
        self._received_bytes = self._delivered_bytes = 0

    def add(self, sock: BoundSocket) -> None:
        """Count a socket from now on."""
        with self._lock:
            self._open.add(sock)

    def remove(self, sock: BoundSocket) -> None:
        """Keep the last counts of a socket that is about to be closed."""
        with self._lock:
            if sock in self._open:
                self._open.discard(sock)
                received, delivered = tcp_payload(sock)
                self._received_bytes += received
                self._delivered_bytes += delivered

    def totals(self) -> tuple[int, int]:
        """(received, delivered) payload bytes so far; delivered means acknowledged by the far end."""
        with self._lock:
            received, delivered = self._received_bytes, self._delivered_bytes
            for sock in self._open:
                one = tcp_payload(sock)
                received += one[0]
                delivered += one[1]
        return received, delivered

    def abort(self) -> None:
        """End every open connection at once: wakes the threads that wait in them and drops unsent bytes."""
        with self._lock:
            for sock in self._open:
                with contextlib.suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                    sock.shutdown(socket.SHUT_RDWR)


traffic = Traffic()


def tcp_payload(sock: socket.socket) -> tuple[int, int]:
    """(received, delivered) payload bytes of one socket; (0, 0) if it is closed.

    Delivered is bytes_acked plus what was acknowledged selectively, so that a lost packet delays its own count
    only. Offsets of struct tcp_info: snd_mss 16, sacked 28, bytes_acked 120, bytes_received 128.
    """
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO_BYTES)
    except OSError:
        return 0, 0
    if len(raw) < 136:
        return 0, 0
    (mss,) = struct.unpack_from("=I", raw, 16)
    (sacked,) = struct.unpack_from("=I", raw, 28)
    acked, received = struct.unpack_from("=QQ", raw, 120)
    return received, acked + sacked * mss


def install(iface: str, names: Mapping[str, tuple[str, ...]]) -> None:
    """Bind all future sockets of this process to `iface` and answer names from `names` alone."""
    BoundSocket.iface = iface

    def getaddrinfo(host: Any, port: Any, *_rest: Any, **_named: Any) -> list[Any]:
        text = host.decode() if isinstance(host, bytes) else str(host)
        found = (text,) if is_literal(text) else names.get(text, ())
        if not found:
            raise socket.gaierror(socket.EAI_NONAME, f"{text} was not resolved through {iface}")
        return [(family_of(one), socket.SOCK_STREAM, 0, "", (one, int(port or 0))) for one in found]

    socket.socket = BoundSocket  # type: ignore[misc]
    socket.getaddrinfo = getaddrinfo
