"""What a modem's link leads to, as servers that can be made to fail: echo, our point's page, DNS, broker, another one.

Run as a program; every line of JSON on standard input, such as {"web": "portal"}, changes how a server behaves, and is
answered by a line. Needs port 53, so a network namespace of its own.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import struct
import sys
import threading
from typing import Any

from probe.core.engine_http import PORTAL_BODY

ECHO_PORT, WEB_PORT, BROKER_PORT, OTHER_PORT = 7480, 8080, 8883, 4443
EXPIRED_PAGE = "<h1>Gói cước của quý khách đã HẾT HẠN</h1>".encode()
mode: dict[str, str] = {"echo": "on", "web": "exact", "dns": "right", "broker": "own", "other": "on"}


def _udp(address: str, port: int, answer: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((address, port))
        while True:
            packet, sender = sock.recvfrom(2048)
            reply = answer(packet)
            if reply:
                sock.sendto(reply, sender)


def _echo(packet: bytes) -> bytes:
    return packet if mode["echo"] == "on" else b""


def _dns(packet: bytes) -> bytes:
    """NXDOMAIN, an address of its own for every name, SERVFAIL, or nothing."""
    if mode["dns"] == "silent":
        return b""
    if mode["dns"] != "lie":
        return packet[:2] + (b"\x81\x83" if mode["dns"] == "right" else b"\x81\x82") + packet[4:]
    record = struct.pack(">HHHIH4s", 0xC00C, 1, 1, 60, 4, socket.inet_aton("192.168.8.1"))
    return packet[:2] + b"\x81\x80" + packet[4:6] + b"\x00\x01\x00\x00\x00\x00" + packet[12:] + record


def _tcp(address: str, port: int, name: str, serve: Any) -> None:
    """Listen while the mode is not "refuse"; each connection is served in a thread."""
    with socket.create_server((address, port), backlog=16) as listener:
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=_served, args=(sock, name, serve), daemon=True).start()


def _served(sock: socket.socket, name: str, serve: Any) -> None:
    with sock:
        if mode[name] in ("reset", "off"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return
        with contextlib.suppress(OSError):
            serve(sock)


def _web(sock: socket.socket) -> None:
    sock.recv(4096)
    if mode["web"] == "silent":
        sock.recv(1)
        return
    pages = {
        "exact": (b"200 OK", PORTAL_BODY, b""),
        "portal": (b"200 OK", b"<h1>login</h1>", b""),
        "expired": (b"200 OK", EXPIRED_PAGE, b""),
        "redirect": (b"302 Found", b"", b"Location: http://10.0.0.1/nap-the?data=0\r\n"),
        "error": (b"502 Bad Gateway", b"nginx", b""),
    }
    status, body, more = pages[mode["web"]]
    sock.sendall(b"HTTP/1.1 %s\r\n%sContent-Length: %d\r\n\r\n%s" % (status, more, len(body), body))


class _Broker:
    """Shakes hands as the deployment's broker, or as somebody else."""

    def __init__(self, own: tuple[str, str], foreign: tuple[str, str]) -> None:
        self._contexts = {}
        for name, (cert, key) in (("own", own), ("foreign", foreign)):
            self._contexts[name] = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._contexts[name].load_cert_chain(cert, key)

    def __call__(self, sock: socket.socket) -> None:
        with self._contexts[mode["broker"]].wrap_socket(sock, server_side=True) as tls:
            tls.recv(1)


def main(address: str, own_cert: str, own_key: str, foreign_cert: str, foreign_key: str) -> None:
    """Serve until standard input ends."""
    broker = _Broker((own_cert, own_key), (foreign_cert, foreign_key))
    servers: list[tuple[Any, ...]] = [
        (_udp, address, ECHO_PORT, _echo),
        (_udp, address, 53, _dns),
        (_tcp, address, WEB_PORT, "web", _web),
        (_tcp, address, BROKER_PORT, "broker", broker),
        (_tcp, address, OTHER_PORT, "other", lambda _sock: None),
    ]
    for run, *arguments in servers:
        threading.Thread(target=run, args=arguments, daemon=True).start()
    for line in sys.stdin:
        mode.update(json.loads(line))
        sys.stdout.write("done\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
