"""What carries a connection's bytes: a plain socket, driven by epoll readiness. `point.tls` has its twin.

Uploads are thrown away in the kernel (MSG_TRUNC), downloads leave by sendfile: nothing is copied into this process.
Every method raises BlockingIOError if it would have to wait, and other OSErrors of the socket.
"""

from __future__ import annotations

import os
import socket

READ_BYTES = 1 << 20
SEND_BYTES = 512 << 10
SINK = bytearray(READ_BYTES)  # never touched: MSG_TRUNC leaves it alone, so its pages stay unallocated


class Plain:
    """A socket as it is. `sent_bytes` is what was handed to TCP so far."""

    has_pending = False

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self.sent_bytes = 0

    def read(self, most: int) -> bytes:
        """Bytes that have come; empty at the end."""
        return self._sock.recv(most)

    def discard(self, most: int) -> int:
        """How many bytes have come and are gone; 0 at the end."""
        return self._sock.recv_into(SINK, min(most, READ_BYTES), socket.MSG_TRUNC)

    def write(self, payload: bytes, *, has_more: bool = False) -> int:
        """How many bytes were taken; `has_more` keeps a short segment back for what follows."""
        count = self._sock.send(payload, socket.MSG_MORE if has_more else 0)
        self.sent_bytes += count
        return count

    def write_file(self, fd: int, offset: int, most: int) -> int:
        """How many bytes of a file were taken."""
        count = os.sendfile(self._sock.fileno(), fd, offset, min(most, SEND_BYTES))
        self.sent_bytes += count
        return count

    def flush(self) -> None:
        """Hand over what waits; nothing ever does."""
