"""TLS of our engine: one request over a socket that waits, and a tunnel for transfers that never do.

Only loaded where a server is `https`: the library costs a child more memory than its whole test. TLS 1.3 alone, and
only certificates that the configured file vouches for. A transfer's payload is counted by TCP as over a plain socket,
the records' own 22 bytes in 16,406 (0.13 %) with it, so that one link gives one figure either way. Of a download only
the handshake and the head are deciphered; the kernel throws the rest away unread, and the point's signed receipt says
how much it was.
Source: RFC 8446 §5.2; ssl in the Python library, MemoryBIO.
"""

from __future__ import annotations

import socket
import ssl
from functools import lru_cache

from probe.core.engine_http import NotTrusted
from probe.core.engine_terms import Trust
from wire.failure import Cause

_NOT_YET_VALID = 9  # X509_V_ERR_CERT_NOT_YET_VALID


class Tunnel:
    """TLS without a socket: bytes of TCP in and out. Raises NotTrusted for what is no TLS of our server."""

    def __init__(self, trust: Trust) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = _context(trust.ca_file).wrap_bio(self._incoming, self._outgoing, server_hostname=trust.name)
        self.is_open = False

    @property
    def waiting_bytes(self) -> int:
        """Bytes that came and belong to no whole record yet."""
        return self._incoming.pending

    def advance(self, received: bytes = b"") -> bytes:
        """One step of the handshake; returns what is to be sent."""
        self._incoming.write(received)
        try:
            self._tls.do_handshake()
            self.is_open = True
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise NotTrusted(_cause(error)) from None
        return self._outgoing.read()

    def wrap(self, payload: bytes | memoryview) -> bytes:
        """Payload as records."""
        self._tls.write(payload)
        return self._outgoing.read()

    def unwrap(self, received: bytes) -> bytes:
        """What has come whole of the records so far."""
        self._incoming.write(received)
        parts = []
        try:
            while part := self._tls.read(1 << 16):
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError as error:
            raise NotTrusted(_cause(error)) from None
        return b"".join(parts)


def wrapped(sock: socket.socket, trust: Trust) -> ssl.SSLSocket:
    """A connected socket after its handshake. Raises NotTrusted, or OSError (TimeoutError included)."""
    try:
        return _context(trust.ca_file).wrap_socket(sock, server_hostname=trust.name)
    except ssl.SSLError as error:
        raise NotTrusted(_cause(error)) from None


@lru_cache(maxsize=2)
def _context(ca_file: str) -> ssl.SSLContext:
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.minimum_version = ssl.TLSVersion.TLSv1_3
    try:
        made.load_verify_locations(ca_file)
    except OSError:
        raise NotTrusted(Cause.NOT_CONFIGURED) from None
    return made


def _cause(error: ssl.SSLError) -> str:
    """A certificate from the future is our clock's fault; any other stranger is taken for a portal."""
    if isinstance(error, ssl.SSLCertVerificationError) and error.verify_code == _NOT_YET_VALID:
        return Cause.CLOCK
    return Cause.CAPTIVE
