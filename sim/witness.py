"""`dosong-sim witness`: a small witness as another authority would run it: C2SP tlog-witness, `add-checkpoint`.

It knows logs by their public keys, remembers the largest checkpoint that it cosigned of each, in a file that is on disk
before it answers, and cosigns only what provably grew out of that.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from wire import cosign, keyfile, note, tlog
from wire.errors import EXIT_OK, Misconfigured, Refused
from wire.tlog import Checkpoint

MOST_BYTES = 65_536
TEXT, SIZE = "text/plain; charset=utf-8", "text/x.tlog.size"


@dataclass(frozen=True, slots=True)
class Reply:
    """An HTTP answer."""

    status: int
    body: bytes
    kind: str = TEXT


class Memory:
    """The largest checkpoint that was cosigned of each log: size and root, on disk before anybody is told."""

    def __init__(self, path: Path) -> None:
        self._path = path
        held = json.loads(path.read_text()) if path.exists() else {}
        self._held: dict[str, tuple[int, bytes]] = {o: (row[0], base64.b64decode(row[1])) for o, row in held.items()}

    def of(self, origin: str) -> tuple[int, bytes]:
        """Size and root; (0, root of nothing) for a log that was never cosigned."""
        return self._held.get(origin, (0, tlog.EMPTY_ROOT))

    def keep(self, seen: Checkpoint) -> None:
        """Persist a checkpoint."""
        self._held[seen.origin] = (seen.size, seen.root)
        rows = {origin: [size, base64.b64encode(root).decode()] for origin, (size, root) in self._held.items()}
        beside = self._path.with_suffix(".new")
        with beside.open("w") as file:
            file.write(json.dumps(rows))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        folder = os.open(self._path.parent, os.O_RDONLY)
        os.fsync(folder)
        os.close(folder)


class Witness:
    """The protocol, without HTTP. One request at a time: comparing with the memory and writing it are one step."""

    def __init__(self, key: note.Signer, logs: Mapping[str, note.Verifier], memory: Memory) -> None:
        self._key, self._logs, self._memory = key, logs, memory
        self._one = threading.Lock()

    def add_checkpoint(self, body: bytes, time_s: int) -> Reply:
        """Answer `add-checkpoint`."""
        head, cut, raw = body.partition(b"\n\n")
        try:
            if not cut:
                raise Refused("not_a_note", "an empty line before the checkpoint is expected")
            old, proof = _head(head)
            origin = raw.partition(b"\n")[0].decode()
        except (Refused, UnicodeDecodeError) as error:
            return Reply(400, f"{error}\n".encode())
        log = next((key for name, key in self._logs.items() if name == origin), None)
        if log is None:
            return Reply(404, b"unknown log\n")
        try:
            seen = tlog.open_checkpoint(raw, log)
        except Refused as refusal:
            return Reply(403 if refusal.reason in ("unknown_key", "bad_signature") else 400, f"{refusal}\n".encode())
        with self._one:
            return self._judge(seen, old, proof, note.split(raw).text, time_s)

    def _judge(self, seen: Checkpoint, old: int, proof: Sequence[bytes], text: bytes, time_s: int) -> Reply:
        if old > seen.size:
            return Reply(400, b"old size is larger than the checkpoint's\n")
        size, root = self._memory.of(seen.origin)
        if old != size:
            return Reply(409, f"{size}\n".encode(), SIZE)
        if old == seen.size and root != seen.root:
            return Reply(409, f"{size}\n".encode(), SIZE)
        if not (old == 0 and not proof) and not tlog.verify_consistency(old, seen.size, root, seen.root, proof):
            return Reply(422, b"the proof does not lead from the old size to the checkpoint\n")
        self._memory.keep(seen)
        return Reply(200, cosign.cosign(text, self._key, time_s))


def _head(head: bytes) -> tuple[int, tuple[bytes, ...]]:
    lines = head.decode("ascii", "replace").split("\n")
    word, _, size = lines[0].partition(" ")
    if word != "old" or not size.isdigit() or (len(size) > 1 and size[0] == "0") or len(size) > 19:
        raise Refused("not_a_note", "`old` and a size without leading zeroes expected")
    if len(lines) > 64:
        raise Refused("not_a_note", "at most 63 lines of proof")
    proof = tuple(note.strict_base64(line) for line in lines[1:])
    if any(len(one) != 32 for one in proof):
        raise Refused("not_a_note", "a proof has hashes of 32 bytes")
    return int(size), proof


def _handler(witness: Witness) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """POST /add-checkpoint, nothing else."""

        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            """Answer one request."""
            length = int(self.headers.get("Content-Length") or 0)
            if self.path != "/add-checkpoint" or length > MOST_BYTES:
                reply = Reply(404, b"POST /add-checkpoint\n")
                self.close_connection = True
            else:
                reply = witness.add_checkpoint(self.rfile.read(length), int(time.time()))
            self.send_response(reply.status)
            self.send_header("Content-Type", reply.kind)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: Any) -> None:
            """One line a request on standard error."""
            sys.stderr.write(f"witness: {format % args}\n")

    return Handler


def add_parser(subparsers: Any) -> None:
    """Register `dosong-sim witness`."""
    parser = subparsers.add_parser(
        "witness",
        help="a witness of logs, as another authority would run it",
        description="Cosigns checkpoints that provably grew out of what it saw before (C2SP tlog-witness). Prints its"
        " public key and its address, then serves until ended.",
        epilog="example: dosong-sim witness --key w1.key --name witness.example/w1 --logs vkeys --state w1.json",
    )
    parser.add_argument("--key", type=Path, required=True, help="its key file; made if it does not exist")
    parser.add_argument("--name", default="witness.example/w1", help="its name, for a new key")
    parser.add_argument("--logs", type=Path, required=True, help="file of the logs' public keys, one a line")
    parser.add_argument("--state", type=Path, required=True, help="file in which it remembers")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0: any free one")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Serve until a signal ends it."""
    if not args.key.exists():
        keyfile.write_signer(args.key, note.Signer.generate(args.name))
    key = keyfile.read_signer(args.key)
    try:
        lines = [line.strip() for line in args.logs.read_text().splitlines() if line.strip()]
        logs = [note.parse_vkey(line) for line in lines]
    except (OSError, Refused) as error:
        raise Misconfigured(f"--logs {args.logs}: {error}; name a file of public keys, such as /log/vkeys") from error
    witness = Witness(key, {log.name: log for log in logs}, Memory(args.state))
    server = ThreadingHTTPServer((args.host, args.port), _handler(witness))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    vkey = cosign.Witness(key.name, key.verifier.public).vkey
    sys.stdout.write(f"{vkey}\nhttp://{args.host}:{server.server_port}\n")
    sys.stdout.flush()
    with contextlib.closing(server.socket):
        server.serve_forever(poll_interval=0.1)
    return EXIT_OK
