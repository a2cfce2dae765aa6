"""One connection of a test's transfer: pushes random bytes or pulls and discards, and reports what went through.

On a plain socket nothing is kept in user space (`point.carrier`). What a download has moved is what the peer
acknowledged, not what was handed to the kernel; over TLS that is with the records' own 0.13 %.
"""

from __future__ import annotations

import socket

from point.carrier import READ_BYTES, SEND_BYTES, Plain
from point.desk import Lease
from point.protocol import LARGEST_IMAGE_BYTES, STREAM_HEAD
from point.tcp import read_info, reset_on_close, use_control
from point.tls import Tls


class Stream:
    """Bytes that the carrier has sent before the payload (replies to earlier requests, our head) are not counted."""

    def __init__(self, sock: socket.socket, carrier: Plain | Tls, image_fd: int, lease: Lease) -> None:
        self._sock = sock
        self._carrier = carrier
        self._image_fd = image_fd
        self._lease = lease
        self._offset = 0
        self._head = STREAM_HEAD if lease.is_downlink else b""
        self._before_bytes = carrier.sent_bytes
        self._told_bytes = 0
        if lease.is_downlink:
            use_control(sock, lease.transfer.opened)

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
        count = self._carrier.discard(min(READ_BYTES, self._lease.left_bytes))
        if count:
            self._lease.moved(count, now_s)
        return count

    def push(self, now_s: float) -> int:
        """Send as much as one step may; returns its bytes. Raises OSError of the socket."""
        if self._head:
            count = self._carrier.write(self._head, has_more=True)
            self._head, self._before_bytes = self._head[count:], self._carrier.sent_bytes
            return count
        wanted = min(SEND_BYTES, self._lease.left_bytes, LARGEST_IMAGE_BYTES - self._offset)
        count = self._carrier.write_file(self._image_fd, self._offset, wanted)
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
