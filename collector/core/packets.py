"""MQTT 3.1.1 PUBLISH packets of QoS 0 and 1 out of a buffer, many at a time: nearly all that reaches the collector.

Everything else, and what has not come whole, stays in the buffer for the client library.
Source: MQTT 3.1.1, sections 2.2.3 and 3.3.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

MAX_PACKET_BYTES = 128 * 1024 + 4096
"""A payload as large as a cluster's node lets by (`max_payload`), and its topic: whoever may publish could else end our
connection with one message, and with a retained one every connection. A broker that announces a greater one is left."""
_PUBLISH = 0x30
_KIND = 0xF4  # without the flags "duplicate" and "retained", and without the lower bit of QoS, which is 0 or 1 here
_QOS_1 = 0x02
_LENGTH_BYTES = 4


class Malformed(Exception):
    """These bytes are no MQTT, or announce what no broker of ours sends."""


# Made for every message: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Incoming:
    """One PUBLISH: packet id (to acknowledge it by; 0 at QoS 0), QoS, topic ("" if it is no UTF-8), payload."""

    mid: int
    qos: int
    topic: str
    payload: bytes = field(repr=False)


class Rest(IntEnum):
    """Why cutting stopped: the next packet is not whole, or it is another one, or there is enough."""

    PART = 0
    OTHER = 1
    FULL = 2


def cut(chunk: bytes, at: int, messages: int, size: int) -> tuple[list[Incoming], int, Rest]:
    """Take packets from place `at` on until `messages` of them or `size` bytes of payload are there.

    Returns them, the place behind them, and why it stopped there. Raises Malformed.
    """
    found: list[Incoming] = []
    end = len(chunk)
    while len(found) < messages and size > 0:
        if end - at < 2:
            return found, at, Rest.PART
        length, begin = chunk[at + 1], at + 2
        if length > 127:
            long = _long(chunk, at)
            if long is None:
                return found, at, Rest.PART
            length, begin = long
        stop = begin + length
        if stop > end:
            return found, at, Rest.PART
        if chunk[at] & _KIND != _PUBLISH:
            return found, at, Rest.OTHER
        if length < 2:
            raise Malformed("a PUBLISH without its topic")
        topic = begin + 2
        behind = topic + (chunk[begin] << 8 | chunk[begin + 1])
        qos = (chunk[at] & _QOS_1) >> 1
        body = behind + 2 * qos
        if body > stop or behind == topic:
            raise Malformed("a PUBLISH without its topic and number")
        mid = chunk[behind] << 8 | chunk[behind + 1] if qos else 0
        found.append(Incoming(mid, qos, _text(chunk[topic:behind]), chunk[body:stop]))
        size -= stop - body
        at = stop
    return found, at, Rest.FULL


def _long(chunk: bytes, at: int) -> tuple[int, int] | None:
    """Length of a packet of over 127 bytes, and where it begins; None if that has not come yet. Raises Malformed."""
    length = 0
    for place in range(_LENGTH_BYTES):
        if at + 1 + place >= len(chunk):
            return None
        digit = chunk[at + 1 + place]
        length |= (digit & 127) << 7 * place
        if digit < 128:
            if length > MAX_PACKET_BYTES:
                raise Malformed(f"a packet of {length} bytes; at most {MAX_PACKET_BYTES}")
            return length, at + 2 + place
    raise Malformed("a length of over four bytes")


def _text(topic: bytes) -> str:
    try:
        return topic.decode()
    except UnicodeDecodeError:
        return ""
