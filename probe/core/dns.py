"""DNS questions and answers as bytes: enough of RFC 1035 to look one name up over a socket of our choice.

The operating system's resolver goes where resolv.conf points, which need not be the modem's link; so the
engine asks the link's own servers itself. Names in answers are skipped, never followed.
Source: RFC 1035 §4.1; RFC 3596 (AAAA).
"""

from __future__ import annotations

import struct
from ipaddress import IPv4Address, IPv6Address

TYPE_A = 1
TYPE_AAAA = 28
_IN = 1


class BadAnswer(Exception):
    """Bytes that do not answer the question: malformed, of another question, or an error code."""


class ErrorCode(BadAnswer):
    """The server answered this very question with an error, such as 3: there is no such name."""


def question(name: str, record_type: int, query_id: int) -> bytes:
    """A recursive query for one name. Raises BadAnswer if the name cannot be asked for."""
    try:
        labels = [label.encode("idna") for label in name.rstrip(".").split(".")]
    except UnicodeError as error:
        raise BadAnswer(f"{name!r} is no host name") from error
    if any(not 1 <= len(label) <= 63 for label in labels) or sum(map(len, labels)) > 240:
        raise BadAnswer(f"{name!r} is no host name")
    encoded = b"".join(bytes([len(label)]) + label for label in labels)
    return struct.pack(">HHHHHH", query_id, 0x0100, 1, 0, 0, 0) + encoded + struct.pack(">BHH", 0, record_type, _IN)


def addresses(answer: bytes, asked: bytes) -> tuple[str, ...]:
    """The addresses in an answer to `asked`, in its order; empty if the name exists without any.

    Raises BadAnswer if the answer is malformed or belongs to another question, ErrorCode if it carries one.
    """
    try:
        return _addresses(answer, asked)
    except (struct.error, IndexError, ValueError) as error:
        raise BadAnswer("malformed answer") from error


def _addresses(answer: bytes, asked: bytes) -> tuple[str, ...]:
    query_id, flags, questions, count = struct.unpack_from(">HHHH", answer)
    if query_id != struct.unpack_from(">H", asked)[0] or not flags & 0x8000 or questions != 1:
        raise BadAnswer("an answer to another question")
    if answer[12 : len(asked)].lower() != asked[12:].lower():
        raise BadAnswer("an answer to another question")
    if flags & 0x000F:
        raise ErrorCode(f"error code {flags & 0x000F}")
    found, offset = [], len(asked)
    for _ in range(min(count, 64)):
        offset = _after_name(answer, offset)
        kind, class_, _ttl, length = struct.unpack_from(">HHIH", answer, offset)
        offset += 10
        value = answer[offset : offset + length]
        offset += length
        if class_ == _IN and kind in (TYPE_A, TYPE_AAAA):
            found.append(str(IPv4Address(value) if kind == TYPE_A else IPv6Address(value)))
    return tuple(found)


def _after_name(message: bytes, offset: int) -> int:
    """The offset behind a name; a pointer ends it, so none is followed."""
    for _ in range(128):
        length = message[offset]
        if length >= 0xC0:
            return offset + 2
        offset += length + 1
        if length == 0:
            return offset
    raise BadAnswer("malformed answer")
