"""A point started as a program, and a small client of the measuring protocol with plain sockets."""

from __future__ import annotations

import hmac
import http.client
import json
import secrets
import select
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from wire import notes
from wire.keyfile import read_signer, write_signer
from wire.note import Signer, Verifier

POINT = [sys.executable, "-m", "point"]
ORIGIN = "dosong.example"
CODE = "hn-1"
RESET = struct.pack("ii", 1, 0)


def until(true: Callable[[], object], limit_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + limit_s
    while not true():
        assert time.monotonic() < deadline_s, f"not within {limit_s} s"
        time.sleep(0.02)


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def word(self) -> str:
        return self.body.decode().partition(":")[0].strip()


@dataclass(frozen=True)
class Leave:
    """A ticket as the client has it."""

    id: str
    echo_key: bytes
    note: notes.Ticket

    def datagram(self, seq: int) -> bytes:
        signed = b"dsg1" + sha256(self.id.encode()).digest()[:12] + struct.pack(">I", seq)
        return signed + hmac.digest(self.echo_key, signed, "sha256")[:8]


@dataclass
class Point:
    """A running point that has a key."""

    process: subprocess.Popen[str]
    port: int
    udp_port: int
    verifier: Verifier
    probes: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000_000)))

    def connect(self, source: str = "127.0.0.1", receive_bytes: int | None = None) -> socket.socket:
        sock = socket.socket()
        sock.settimeout(10)
        sock.bind((source, 0))
        if receive_bytes is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        sock.connect(("127.0.0.1", self.port))
        return sock

    def ask(self, path: str, method: str = "GET", source: str = "127.0.0.1") -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10, source_address=(source, 0))
        connection.request(method, path)
        response = connection.getresponse()
        answer = Answer(response.status, dict(response.getheaders()), response.read())
        connection.close()
        return answer

    def try_ticket(self, probe: str | None = None, source: str = "127.0.0.1") -> Answer:
        probe = probe or f"p-test-{next(self.probes)}"
        return self.ask(f"/v1/ticket?probe={probe}&epoch=3", source=source)

    def ticket(self, probe: str | None = None, source: str = "127.0.0.1") -> Leave:
        answer = self.try_ticket(probe, source)
        assert answer.status == 200, answer
        opened = notes.open_note(answer.body, notes.Ticket, ORIGIN, self.verifier)
        return Leave(opened.ticket, bytes.fromhex(answer.headers["X-Echo-Key"]), opened)

    def try_receipt(self, leave: Leave, direction: str) -> Answer:
        """The answer once the point has made up its mind."""
        deadline_s = time.monotonic() + 5
        while True:
            answer = self.ask(f"/v1/receipt?ticket={leave.id}&direction={direction}")
            if answer.status != 409 or time.monotonic() > deadline_s:
                return answer
            time.sleep(0.05)

    def receipt(self, leave: Leave, direction: str) -> notes.Receipt:
        answer = self.try_receipt(leave, direction)
        assert answer.status == 200, answer
        return notes.open_note(answer.body, notes.Receipt, ORIGIN, self.verifier)

    def start_download(
        self, leave: Leave, source: str = "127.0.0.1", receive_bytes: int | None = None
    ) -> socket.socket:
        """A download whose head has been read."""
        sock = self.connect(source, receive_bytes)
        sock.sendall(f"GET /v1/download?ticket={leave.id} HTTP/1.1\r\nHost: point\r\n\r\n".encode())
        head = b""
        while b"\r\n\r\n" not in head:
            byte = sock.recv(1)
            assert byte, head
            head += byte
        assert head.startswith(b"HTTP/1.1 200"), head
        return sock

    def start_upload(self, leave: Leave, source: str = "127.0.0.1") -> socket.socket:
        """An upload that the point has let begin."""
        sock = self.connect(source)
        head = f"POST /v1/upload?ticket={leave.id} HTTP/1.1\r\nHost: point\r\nContent-Length: 1099511627776\r\n"
        sock.sendall(f"{head}Expect: 100-continue\r\n\r\n".encode())
        answer = sock.recv(100)
        assert answer == b"HTTP/1.1 100 Continue\r\n\r\n", answer
        return sock


def drain(sock: socket.socket) -> int:
    """Read to the end; returns the bytes."""
    count = 0
    while chunk := sock.recv(1 << 20):
        count += len(chunk)
    return count


def pace(socks: dict[socket.socket, int], seconds: float, bps: int) -> dict[socket.socket, float]:
    """Read each socket at `bps` for `seconds`; counts go into `socks`. Returns each one's achieved share of `bps`."""
    started_s = time.monotonic()
    for sock in socks:
        sock.setblocking(False)
    counts = dict.fromkeys(socks, 0)
    while (elapsed_s := time.monotonic() - started_s) < seconds:
        for sock in select.select(list(socks), [], [], 0.01)[0]:
            allowed = int(bps / 8 * elapsed_s) - counts[sock]
            if allowed > 0:
                counts[sock] += len(sock.recv(allowed))
        time.sleep(0.005)
    for sock, count in counts.items():
        socks[sock] += count
    return {sock: count * 8 / seconds / bps for sock, count in counts.items()}


def reset(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


def configuration(folder: Path, **settings: object) -> tuple[Path, Verifier]:
    """A settings file with a key beside it (made once for a folder), other settings on top."""
    key = folder / "point.key"
    if not key.exists():
        write_signer(key, Signer.generate(f"{ORIGIN}/point/{CODE}"))
    values = {"origin": ORIGIN, "point": CODE, "key_file": key.name, "capacity_bps": 10**12, **settings}
    path = folder / f"point-{secrets.token_hex(4)}.toml"
    path.write_text("[point]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in values.items()))
    return path, read_signer(key).verifier


@contextmanager
def running(folder: Path, port: int = 0, **settings: object) -> Iterator[Point]:
    path, verifier = configuration(folder, **settings)
    ready = folder / f"ready-{secrets.token_hex(4)}.json"
    command = [*POINT, "--config", str(path), "--bind", "127.0.0.1", "--port", str(port), "--json-ready", str(ready)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        until(lambda: ready.exists() or process.poll() is not None)
        assert ready.exists(), process.communicate()[1]
        ports = json.loads(ready.read_text())
        yield Point(process, ports["port"], ports["udp_port"], verifier)
    finally:
        process.kill()
        process.communicate()
