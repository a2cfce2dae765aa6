"""The same carrier over TLS, for probes whose operator would meddle with plain HTTP.

The point ends TLS itself, on a port of its own: nothing stands in front, so that TCP_INFO still sees the probe. Records
are full (16,384 bytes, 22 more on the wire), so that they cost 0.13 %. What TCP had no room for waits here, in
`has_pending`. Both sides speak TLS 1.3 alone.
Source: RFC 8446 §5.2; ssl in the Python library, MemoryBIO.
"""

from __future__ import annotations

import os
import socket
import ssl
from pathlib import Path

from wire.errors import Misconfigured

_RAW_BYTES = 256 << 10
_FIRST_BYTES = 8 << 10
_FILE_BYTES = 128 << 10


def context(cert_file: str, key_file: str) -> ssl.SSLContext:
    """What all connections share. Raises Misconfigured if the files are no certificate and its key."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        made.load_cert_chain(cert_file, key_file)
    except (OSError, ssl.SSLError) as error:
        reason = error.strerror or str(error)
        raise Misconfigured(
            f"tls_cert_file {Path(cert_file)} and tls_key_file {Path(key_file)} cannot be used ({reason}); "
            "give a PEM certificate (with its chain) and its unencrypted key"
        ) from error
    return made


class Tls:
    """One connection over TLS. `sent_bytes` counts what TCP was or will be handed, records and handshake included."""

    def __init__(self, sock: socket.socket, shared: ssl.SSLContext) -> None:
        self._sock = sock
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = shared.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._is_open = False
        self._pending = memoryview(b"")
        self.sent_bytes = 0

    @property
    def has_pending(self) -> bool:
        """Whether bytes wait for room in TCP."""
        return len(self._pending) > 0

    def read(self, most: int) -> bytes:
        """Bytes that have come, all of them, so that none wait where epoll cannot see; empty at the end."""
        if not self._feed(max(most, _FIRST_BYTES)):
            return b""
        received = b"".join(iter(self._next_record, b""))
        if not received:
            raise BlockingIOError
        return received

    def discard(self, most: int) -> int:
        """How many bytes have come and are gone; 0 at the end."""
        if not self._feed(_RAW_BYTES):
            return 0
        count = 0
        while count < most and (part := self._next_record(most - count)):
            count += len(part)
        if not count:
            raise BlockingIOError
        return count

    def write(self, payload: bytes, *, has_more: bool = False) -> int:  # noqa: ARG002 - a record is never kept back
        """All bytes are taken, or none while earlier ones wait."""
        self.flush()
        self._tls.write(payload)
        self._send()
        return len(payload)

    def write_file(self, fd: int, offset: int, most: int) -> int:
        """How many bytes of a file were taken, whole records unless less is wanted."""
        return self.write(os.pread(fd, min(most, _FILE_BYTES), offset))

    def flush(self) -> None:
        """Hand over what waits; raises BlockingIOError if something still does."""
        while self._pending:
            self._pending = self._pending[self._sock.send(self._pending) :]

    def _feed(self, most: int) -> bool:
        """Take in what has come, and answer the handshake; False at the end."""
        raw = self._sock.recv(most)
        if raw:
            self._incoming.write(raw)
            if not self._is_open:
                self._shake()
        return bool(raw)

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
            self._is_open = True
        except ssl.SSLWantReadError:
            raise BlockingIOError from None
        finally:
            self._send()

    def _next_record(self, most: int = _RAW_BYTES) -> bytes:
        """What the next record holds; empty if it has not come yet."""
        try:
            return self._tls.read(most)
        except ssl.SSLWantReadError:
            return b""

    def _send(self) -> None:
        ready = self._outgoing.read()
        self.sent_bytes += len(ready)
        self._pending = memoryview(bytes(self._pending) + ready) if self._pending else memoryview(ready)
        try:
            self.flush()
        except BlockingIOError:
            return
