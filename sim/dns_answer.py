"""A name server's answer to one question, as bytes. Pure.

Source: RFC 1035 §4; RFC 2308 for what a name that does not exist looks like.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from ipaddress import IPv4Address

_A = 1
_RESPONSE, _AVAILABLE = 0x8000, 0x0080
_NO_SUCH_NAME = 3
_TTL_S = 1


def answer(query: bytes, address_of: Callable[[str], str | None]) -> bytes | None:
    """The answer to a query of one question; None for what is no such query.

    `address_of` gives a name's IPv4 address, None if there is no such name. A name that exists has no other records.
    """
    found = _question(query)
    if found is None:
        return None
    name, kind, end = found
    address = address_of(name)
    has_answer = address is not None and kind == _A
    flags = _RESPONSE | (struct.unpack_from("!H", query, 2)[0] & 0x0100) | _AVAILABLE
    head = struct.pack(
        "!2s5H", query[:2], flags | (0 if address is not None else _NO_SUCH_NAME), 1, int(has_answer), 0, 0
    )
    body = query[12:end]
    if address is None or not has_answer:
        return head + body
    return head + body + struct.pack("!3HIH", 0xC00C, _A, 1, _TTL_S, 4) + IPv4Address(address).packed


def _question(query: bytes) -> tuple[str, int, int] | None:
    """Name, kind and end of the only question; None if the bytes are something else."""
    if len(query) < 17 or query[2] & 0x80 or query[4:6] != b"\0\1":
        return None
    labels, at = [], 12
    while at < len(query) and 0 < (size := query[at]) < 64:
        labels.append(query[at + 1 : at + 1 + size].decode("ascii", "replace"))
        at += size + 1
    if at + 5 > len(query) or query[at] != 0:
        return None
    return ".".join(labels).lower(), struct.unpack_from("!H", query, at + 1)[0], at + 5
