"""The ticketed UDP echo as bytes: 28 there, the same 28 back. Pure.

A datagram is `dsg1`, 12 bytes that name the ticket, a number, and 8 bytes of MAC by the key that came with the
ticket: without them the point does not answer, so that it can be no amplifier and no open reflector.
Source: measuring protocol v1, rule 5; RFC 2104.
"""

from __future__ import annotations

import hmac
import struct
from hashlib import sha256

MAGIC = b"dsg1"
PACKET_BYTES = 28
WIRE_BYTES = PACKET_BYTES + 28
"""With IPv4 and UDP heads."""

_MAC_BYTES = 8
_TICKET_BYTES = 12


def packet(ticket: str, key: bytes, number: int) -> bytes:
    """The datagram that asks for echo `number` (32 bits)."""
    body = MAGIC + sha256(ticket.encode()).digest()[:_TICKET_BYTES] + struct.pack(">I", number)
    return body + hmac.digest(key, body, "sha256")[:_MAC_BYTES]


def number_of(reply: bytes, ticket: str, key: bytes) -> int | None:
    """The number of an authentic reply; None for anything else."""
    if len(reply) != PACKET_BYTES:
        return None
    number: int = struct.unpack_from(">I", reply, len(MAGIC) + _TICKET_BYTES)[0]
    return number if hmac.compare_digest(reply, packet(ticket, key, number)) else None
