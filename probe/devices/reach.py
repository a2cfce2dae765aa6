"""One UDP echo by the modem's interface: is the other end reachable, and how far is it?

At most 64 bytes; the socket is bound to the interface (SO_BINDTODEVICE), the destination is a literal address, so no
name is resolved by another link. Source: design §4 (coverage); socket(7).
"""

from __future__ import annotations

import os
import socket
import time

from probe.core.coverage import EchoSeen

_SIZE = 16


def echo(address: tuple[str, int], iface: str, timeout_s: float) -> EchoSeen:
    """Send one echo and wait for its answer. An interface that is missing or has no route is "no_bearer"."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    payload = os.urandom(_SIZE)
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        try:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, iface.encode())
            sock.connect(address)
            begun_ns = time.monotonic_ns()
            sock.send(payload)
        except OSError:
            return EchoSeen("no_bearer")
        return _answer(sock, payload, begun_ns, timeout_s)


def _answer(sock: socket.socket, payload: bytes, begun_ns: int, timeout_s: float) -> EchoSeen:
    deadline_ns = begun_ns + round(timeout_s * 1e9)
    while (left_ns := deadline_ns - time.monotonic_ns()) > 0:
        sock.settimeout(left_ns / 1e9)
        try:
            answer = sock.recv(64)
        except OSError:  # timed out, or refused by ICMP: the other end has no echo
            return EchoSeen("lost")
        if answer == payload:
            return EchoSeen("answered", (time.monotonic_ns() - begun_ns) // 1000)
    return EchoSeen("lost")
