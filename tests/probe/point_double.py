"""A small measurement point for tests: speaks measuring protocol v1 with a thread a connection, and can lie.

Bounded: it ends with its standard input, each transfer at 12 s, and it binds the address that it is given. Run as
`python point_double.py ADDRESS PORT [fault ...]`; prints `{"port": N}` when it listens.
Faults: busy (503 for ever), busy-once, refused (403), lost (404 for all), portal, redirect, mute (never answers),
mute-download, no-receipt, small-receipt, unfit (503), cut-N (resets downloads after N megabytes), no-echo.
"""

from __future__ import annotations

import base64
import contextlib
import hmac
import json
import os
import secrets
import socket
import struct
import sys
import threading
import time
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import parse_qs, urlsplit

from wire import note, notes

ORIGIN = "dosong.example"
LIMIT_S = 12.0
SEED = bytes(range(32))
SIGNER = note.Signer.from_seed(f"{ORIGIN}/point/double", SEED)
_BLOCK = os.urandom(1 << 18)
_CACHE = bytearray(1 << 20)


@dataclass
class Leave:
    """One ticket and what was moved by it."""

    probe: str
    source: str
    key: bytes
    open: dict[str, int] = field(default_factory=lambda: {"downlink": 0, "uplink": 0})
    bytes: dict[str, int] = field(default_factory=lambda: {"downlink": 0, "uplink": 0})
    first_s: dict[str, float] = field(default_factory=dict)
    last_s: dict[str, float] = field(default_factory=dict)
    receipts: dict[str, bytes] = field(default_factory=dict)


class Double:
    """The point: `port` after construction, `serve` until `close`."""

    def __init__(self, address: str = "127.0.0.1", port: int = 0, faults: tuple[str, ...] = ()) -> None:
        self.faults = set(faults)
        self.leaves: dict[str, Leave] = {}
        self.asked: list[str] = []
        self._lock = threading.Lock()
        self._listener = socket.create_server((address, port), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        self._echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._echo.bind((address, self.port))
        self.closing = threading.Event()
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._serve, self._answer_echoes)]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        self.closing.set()
        for sock in (self._listener, self._echo):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        self._listener.close()
        self._echo.close()

    def _serve(self) -> None:
        while not self.closing.is_set():
            try:
                sock, peer = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(sock, peer[0]), daemon=True).start()

    def _one(self, sock: socket.socket, peer: str) -> None:
        with sock, contextlib.suppress(OSError):
            if "mute" in self.faults:
                self.closing.wait(LIMIT_S)
                return
            head = b""
            while b"\r\n\r\n" not in head:
                part = sock.recv(4096)
                if not part:
                    return
                head += part
            target = head.split(b" ", 2)[1].decode()
            self.asked.append(target)
            parts = urlsplit(target)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            self._route(sock, peer, parts.path, query)

    def _route(self, sock: socket.socket, peer: str, path: str, query: dict[str, str]) -> None:
        if "lost" in self.faults:
            _reply(sock, 404, b"no")
        elif "portal" in self.faults:
            _reply(sock, 200, b"<html>Please top up</html>", "Content-Type: text/html")
        elif "redirect" in self.faults:
            _reply(sock, 302, b"", "Location: http://198.18.9.9/")
        elif path == "/v1/ticket":
            self._ticket(sock, peer, query)
        elif query.get("ticket") not in self.leaves:
            _reply(sock, 403, b"no such ticket")
        elif path == "/v1/download":
            self._download(sock, self.leaves[query["ticket"]])
        elif path == "/v1/upload":
            self._upload(sock, self.leaves[query["ticket"]])
        elif path == "/v1/receipt":
            self._receipt(sock, query["ticket"], query["direction"])

    def _ticket(self, sock: socket.socket, peer: str, query: dict[str, str]) -> None:
        if self.faults & {"busy", "busy-once"}:
            self.faults.discard("busy-once")
            _reply(sock, 503, b"", "Retry-After: 1")
            return
        if "refused" in self.faults:
            _reply(sock, 403, b"revoked")
            return
        ticket, key = secrets.token_urlsafe(24), secrets.token_bytes(16)
        self.leaves[ticket] = Leave(query["probe"], peer, key)
        now_ms = time.time_ns() // 1_000_000
        made = notes.Ticket(
            v=1, signed_ms=now_ms, ticket=ticket, probe=query["probe"], epoch=int(query["epoch"]), point="double",
            source=peer, expires_ms=now_ms + 120_000,
        )  # fmt: skip
        _reply(sock, 200, notes.seal(made, ORIGIN, SIGNER), f"X-Echo-Key: {key.hex()}")

    def _download(self, sock: socket.socket, leave: Leave) -> None:
        self._begin(leave, "downlink")
        try:
            if "mute-download" in self.faults:
                self.closing.wait(LIMIT_S)
                return
            sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n")
            cut = next((int(one[4:]) * 1_000_000 for one in self.faults if one.startswith("cut-")), None)
            until_s = time.monotonic() + LIMIT_S
            while time.monotonic() < until_s and not self.closing.is_set():
                sock.sendall(_BLOCK)
                if cut is not None and _acked(sock) > cut:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    return
        finally:
            self._end(leave, "downlink", _acked(sock))

    def _upload(self, sock: socket.socket, leave: Leave) -> None:
        self._begin(leave, "uplink")
        count, sink = 0, memoryview(_CACHE)
        sock.settimeout(LIMIT_S)
        try:
            while part := sock.recv_into(sink, len(sink), socket.MSG_TRUNC):
                count += part
        finally:
            self._end(leave, "uplink", count)

    def _begin(self, leave: Leave, way: str) -> None:
        with self._lock:
            leave.open[way] += 1
            leave.first_s.setdefault(way, time.monotonic())

    def _end(self, leave: Leave, way: str, count: int) -> None:
        with self._lock:
            leave.open[way] -= 1
            leave.bytes[way] += count
            leave.last_s[way] = time.monotonic()

    def _receipt(self, sock: socket.socket, ticket: str, way: str) -> None:
        leave = self.leaves[ticket]
        for fault, status in (("no-receipt", 500), ("unfit", 503)):
            if fault in self.faults:
                _reply(sock, status, b"", "Retry-After: 1")
                return
        with self._lock:
            if leave.open[way]:
                _reply(sock, 409, b"open")
                return
            count = leave.bytes[way] // (10 if "small-receipt" in self.faults else 1)
            us = round((leave.last_s[way] - leave.first_s[way]) * 1e6)
            if way not in leave.receipts:
                made = notes.Receipt(
                    v=1, signed_ms=time.time_ns() // 1_000_000, ticket=ticket, probe=leave.probe, point="double",
                    direction=way, source=leave.source, bytes=count, duration_us=us, retrans=0,  # type: ignore[arg-type]
                )  # fmt: skip
                leave.receipts[way] = notes.seal(made, ORIGIN, SIGNER)
            _reply(sock, 200, leave.receipts[way])

    def _answer_echoes(self) -> None:
        while not self.closing.is_set():
            try:
                asked, sender = self._echo.recvfrom(256)
            except OSError:
                return
            if "no-echo" in self.faults or len(asked) != 28 or asked[:4] != b"dsg1":
                continue
            for ticket, leave in list(self.leaves.items()):
                right = hmac.digest(leave.key, asked[:20], "sha256")[:8]
                if asked[4:16] == sha256(ticket.encode()).digest()[:12] and hmac.compare_digest(right, asked[20:]):
                    self._echo.sendto(asked, sender)


def _acked(sock: socket.socket) -> int:
    try:
        raw = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    except OSError:
        return 0
    return int(struct.unpack_from("=Q", raw, 120)[0])


def _reply(sock: socket.socket, status: int, body: bytes, *fields: str) -> None:
    lines = [f"HTTP/1.1 {status} x", *fields, f"Content-Length: {len(body)}", "Connection: close"]
    sock.sendall("\r\n".join(lines).encode() + b"\r\n\r\n" + body)


def opened(receipt: str) -> notes.Receipt:
    """Verify one receipt of a result."""
    return notes.open_note(base64.b64decode(receipt), notes.Receipt, ORIGIN, note.parse_vkey(SIGNER.verifier.vkey))


if __name__ == "__main__":
    point = Double(sys.argv[1], int(sys.argv[2]), tuple(sys.argv[3:]))
    print(json.dumps({"port": point.port}), flush=True)
    sys.stdin.read()
    os._exit(0)
