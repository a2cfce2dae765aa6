"""PUBLISH packets out of a buffer: however the bytes are cut on their way, and beside what paho reads of the same."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt._packet import decode_publish
from paho.mqtt.enums import MQTTProtocolVersion

from collector.core.packets import MAX_PACKET_BYTES, Incoming, Malformed, Rest, cut

PINGRESP = b"\xd0\x00"


def packet(head: int, body: bytes) -> bytes:
    """A packet with its length."""
    out, number = bytearray([head]), len(body)
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (128 if number else 0))
        if not number:
            return bytes(out) + body


def publish(topic: bytes, mid: int, payload: bytes, flags: int = 0) -> bytes:
    """A PUBLISH at QoS 1; at QoS 0 with `mid` 0."""
    number = struct.pack(">H", mid) if mid else b""
    return packet(0x30 | bool(mid) << 1 | flags, struct.pack(">H", len(topic)) + topic + number + payload)


PACKETS = st.one_of(
    st.builds(
        publish,
        st.one_of(st.text(min_size=1, max_size=40).map(str.encode), st.binary(min_size=1, max_size=9)),
        st.one_of(st.just(0), st.integers(1, 65_535)),
        st.binary(max_size=300),
        st.sampled_from([0, 1, 8, 9]),
    ),
    st.just(PINGRESP),
)


def read(pieces: list[bytes], messages: int = 1000, size: int = 1 << 20) -> tuple[list[Incoming], int]:
    """What a client takes that gets these pieces one by one; and how many other packets it passed over."""
    held, found, others = b"", list[Incoming](), 0
    for piece in pieces:
        held += piece
        rest = Rest.FULL
        while rest is not Rest.PART:
            some, at, rest = cut(held, 0, messages, size)
            found, held = found + some, held[at:]
            if rest is Rest.OTHER:
                assert held.startswith(PINGRESP)
                others, held = others + 1, held[len(PINGRESP) :]
    assert held == b""
    return found, others


@given(st.lists(PACKETS, max_size=12), st.data())
def test_packets_come_out_as_paho_reads_them_however_they_were_cut(packets: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(packets)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]
    found, others = read(pieces, data.draw(st.integers(1, 5)), data.draw(st.integers(1, 500)))
    expected = []
    for one in packets:
        if one != PINGRESP:
            start = 2 if one[1] < 128 else 3
            theirs = decode_publish(one[0], one[start:], MQTTProtocolVersion.MQTTv311)
            try:
                topic = theirs.topic.decode()
            except UnicodeDecodeError:
                topic = ""
            expected.append(Incoming(theirs.mid, theirs.qos, topic, theirs.payload))
    assert found == expected
    assert others == packets.count(PINGRESP)


def test_it_stops_when_there_is_enough() -> None:
    stream = publish(b"t", 7, b"x" * 100) * 5
    assert [len(cut(stream, 0, count, 10_000)[0]) for count in (1, 4, 9)] == [1, 4, 5]
    some, at, rest = cut(stream, 0, 9, 150)
    assert (len(some), at, rest) == (2, 2 * len(stream) // 5, Rest.FULL)


@pytest.mark.parametrize(
    "stream",
    [
        packet(0x32, b""),
        packet(0x32, b"\x00"),
        packet(0x30, b"\x00\x09topic"),
        packet(0x30, b"\x00\x00payload"),
        packet(0x32, b"\x00\x00\x00\x07payload"),
        packet(0x32, b"\x00\x09topic"),
        packet(0x32, b"\x00\x05topic\x00"),
        b"\x32\xff\xff\xff\xff",
        packet(0x32, bytes(MAX_PACKET_BYTES + 1))[:5],
        packet(0x30, bytes(MAX_PACKET_BYTES + 1))[:5],
    ],
)
def test_what_is_no_packet_is_said(stream: bytes) -> None:
    with pytest.raises(Malformed):
        cut(stream + PINGRESP * 300, 0, 10, 1000)


def test_a_packet_of_nothing_at_the_end_of_the_buffer_is_said() -> None:
    for head in (b"\x30\x00", b"\x32\x00"):
        with pytest.raises(Malformed):
            cut(head, 0, 10, 1000)


def test_the_greatest_packet_is_taken() -> None:
    payload = bytes(MAX_PACKET_BYTES - 5)
    found, _ = read([publish(b"t", 1, payload)])
    assert [len(one.payload) for one in found] == [len(payload)]
