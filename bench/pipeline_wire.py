"""MQTT 3.1.1 by hand for the bench: it must cost less than what it measures, so packets are built beforehand."""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator, Sequence

CONNECT_WITHIN_S = 10.0


def _length(number: int) -> bytes:
    out = bytearray()
    while True:
        number, digit = divmod(number, 128)
        out.append(digit | (128 if number else 0))
        if not number:
            return bytes(out)


def _text(text: str) -> bytes:
    return struct.pack(">H", len(text)) + text.encode()


def publish(topic: str, payload: bytes, mid: int) -> bytes:
    """A PUBLISH at QoS 1."""
    body = _text(topic) + struct.pack(">H", mid) + payload
    return b"\x32" + _length(len(body)) + body


class Line:
    """One connection to the broker. `packets` gives whole packets: type and body."""

    def __init__(self, port: int, client_id: str) -> None:
        """Connect and wait for the broker's word. Raises OSError."""
        self.sock = socket.create_connection(("127.0.0.1", port), CONNECT_WITHIN_S)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._held = bytearray()
        body = _text("MQTT") + b"\x04\x02" + struct.pack(">H", 600) + _text(client_id)
        self.sock.sendall(b"\x10" + _length(len(body)) + body)
        self._await(0x20)

    def subscribe(self, pattern: str) -> None:
        """Subscribe at QoS 1 and wait for the broker's word."""
        body = b"\x00\x01" + _text(pattern) + b"\x01"
        self.sock.sendall(b"\x82" + _length(len(body)) + body)
        self._await(0x90)

    def close(self) -> None:
        """Leave."""
        self.sock.close()

    def fileno(self) -> int:
        return self.sock.fileno()

    def packets(self, wait_s: float = 0.0) -> list[tuple[int, bytes]]:
        """Whole packets that have come, after waiting at most `wait_s`. Raises OSError when the broker hangs up."""
        if select.select([self.sock], [], [], wait_s)[0]:
            got = self.sock.recv(1 << 20)
            if not got:
                raise ConnectionResetError("the broker hung up")
            self._held += got
        return list(self._whole())

    def _await(self, kind: int) -> None:
        deadline_s = time.monotonic() + CONNECT_WITHIN_S
        while time.monotonic() < deadline_s:
            if any(one[0] == kind for one in self.packets(0.2)):
                return
        raise TimeoutError(f"no packet {kind:#x} within {CONNECT_WITHIN_S} s")

    def _whole(self) -> Iterator[tuple[int, bytes]]:
        at, held = 0, self._held
        while True:
            length, shift, here = 0, 0, at + 1
            while here < len(held):
                length |= (held[here] & 127) << shift
                shift, here = shift + 7, here + 1
                if not held[here - 1] & 128:
                    break
            else:
                break
            if here + length > len(held):
                break
            yield held[at] & 0xF0, bytes(held[here : here + length])
            at = here + length
        del held[:at]


def blast(line: Line, messages: Sequence[tuple[str, bytes]]) -> float:
    """Publish all of it, as fast as the broker takes it, and wait for its word on each; return the seconds it took."""
    begin_s, answered = time.monotonic(), 0
    for at in range(0, len(messages), 64):
        packets = [
            publish(topic, payload, (at + i) % 65_535 + 1) for i, (topic, payload) in enumerate(messages[at : at + 64])
        ]
        line.sock.sendall(b"".join(packets))
        answered += sum(one[0] == 0x40 for one in line.packets())
    while answered < len(messages):
        answered += sum(one[0] == 0x40 for one in line.packets(5.0))
    return time.monotonic() - begin_s
