"""One connection of a test's transfer: pushes random bytes or pulls and discards, and reports what went through.

Nothing is kept in user space: uploads are thrown away in the kernel (MSG_TRUNC), downloads leave by sendfile from one
anonymous file. What a download has moved is what the peer acknowledged, not what was handed to the kernel.
"""

from __future__ import annotations

import os
import socket

from point.desk import Lease
from point.protocol import LARGEST_IMAGE_BYTES, STREAM_HEAD
from point.tcp import read_info, reset_on_close, use_bbr

READ_BYTES = 1 << 20
SEND_BYTES = 512 << 10
SINK = bytearray(READ_BYTES)  # never touched: MSG_TRUNC leaves it alone, so its pages stay unallocated


class Stream:
    """`before_bytes` is what the connection had sent before this transfer: replies to earlier requests."""

    def __init__(self, sock: socket.socket, image_fd: int, lease: Lease, before_bytes: int) -> None:
        self._sock = sock
        self._image_fd = image_fd
        self._lease = lease
        self._offset = 0
        self._head = STREAM_HEAD if lease.is_downlink else b""
        self._before_bytes = before_bytes + len(self._head)
        self._told_bytes = 0
        if lease.is_downlink:
            use_bbr(sock)

    @property
    def is_downlink(self) -> bool:
        """Whether the point sends."""
        return self._lease.is_downlink

    def is_due(self, now_s: float) -> bool:
        """Whether the ticket's bytes or seconds are used up."""
        return self._lease.is_due(now_s)

    def early(self, count: int, now_s: float) -> None:
        """Payload that came with the request's head."""
        self._lease.moved(count, now_s)

    def pull(self, now_s: float) -> int:
        """Read and discard what is there; returns its bytes, 0 at the end. Raises OSError of the socket."""
        count = self._sock.recv_into(SINK, min(READ_BYTES, self._lease.left_bytes), socket.MSG_TRUNC)
        if count:
            self._lease.moved(count, now_s)
        return count

    def push(self, now_s: float) -> int:
        """Send as much as one step may; returns its bytes. Raises OSError of the socket."""
        if self._head:
            count = self._sock.send(self._head, socket.MSG_MORE)
            self._head = self._head[count:]
            return count
        wanted = min(SEND_BYTES, self._lease.left_bytes, LARGEST_IMAGE_BYTES - self._offset)
        count = os.sendfile(self._sock.fileno(), self._image_fd, self._offset, wanted)
        self._offset = (self._offset + count) % LARGEST_IMAGE_BYTES
        self._lease.moved(count, now_s)
        return count

    def newly_acked(self) -> int:
        """Payload that the peer has acknowledged since this was last asked; 0 for an upload."""
        if not self.is_downlink:
            return 0
        acked_bytes = max(0, (read_info(self._sock).acked_bytes or 0) - self._before_bytes)
        newly_bytes, self._told_bytes = max(0, acked_bytes - self._told_bytes), acked_bytes
        return newly_bytes

    def close(self, now_s: float) -> None:
        """Report the end; the socket, closed after this, drops what was not sent."""
        self._lease.close(read_info(self._sock), self._before_bytes, now_s)
        reset_on_close(self._sock)
