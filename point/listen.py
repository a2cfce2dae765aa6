"""What the point opens before it serves: its sockets, and the file of incompressible bytes that downloads come from.

Raises Misconfigured with a sentence that says what to do.
"""

from __future__ import annotations

import errno
import os
import socket

from point.echo import want_destination
from point.protocol import LARGEST_IMAGE_BYTES
from point.settings import Settings
from wire.errors import Misconfigured


def bound(settings: Settings, kind: socket.SocketKind, port: int) -> socket.socket:
    """A listening TCP socket, or a UDP socket for echoes. Raises Misconfigured if the port is not to be had."""
    family = socket.AF_INET6 if ":" in settings.bind else socket.AF_INET
    sock = socket.socket(family, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
    try:
        if kind is socket.SOCK_STREAM:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family is socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        sock.bind((settings.bind, port))
        if kind is socket.SOCK_STREAM:
            sock.listen(512)
        else:
            want_destination(sock)
    except OSError as error:
        sock.close()
        raise Misconfigured(_bind_complaint(settings.bind, port, kind, error)) from error
    return sock


def _bind_complaint(bind: str, port: int, kind: socket.SocketKind, error: OSError) -> str:
    what = "TCP" if kind is socket.SOCK_STREAM else "UDP"
    if error.errno == errno.EADDRINUSE:
        option = "--port" if what == "TCP" else "--udp-port"
        return f"{what} port {port} is taken by another program: stop it, or choose another with {option}"
    return f"cannot listen on {bind} {what} port {port} ({error.strerror}): check --bind and --port"


def random_file() -> int:
    """An anonymous file of incompressible bytes, as long as the largest image; returns its descriptor."""
    fd = os.memfd_create("dosong-point-image", os.MFD_CLOEXEC)
    left_bytes = LARGEST_IMAGE_BYTES
    while left_bytes:
        left_bytes -= os.write(fd, os.urandom(min(1 << 20, left_bytes)))
    return fd
