"""The line to the process that holds the issuing key (`dosong-provision ca serve`): one question, one answer.

Nothing is decided at this end: the other one checks every signature itself.
Source: design §7 (the web holds no signing key).
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

import msgspec

from wire.enrolment import MAX_BODY_BYTES
from wire.errors import Unavailable

WAIT_S = 20.0
MOST_ANSWER_BYTES = 4 * MAX_BODY_BYTES


def ask(path: Path, what: str, body: bytes, address: str) -> bytes:
    """Put one question to the authority; return its answer, JSON. Raises Unavailable if there is none."""
    question = msgspec.json.encode({"ask": what, "body": body.decode("utf-8", "replace"), "address": address})
    try:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as line:
                line.settimeout(WAIT_S)
                line.connect(f"/proc/self/fd/{folder}/{path.name}")  # a socket's path may have 107 bytes at most
                line.sendall(question + b"\n")
                return _answer(line)
        finally:
            os.close(folder)
    except OSError as error:
        raise Unavailable(f"no answer at {path} ({error}); start there: dosong-provision ca serve") from error


def _answer(line: socket.socket) -> bytes:
    found = b""
    while not found.endswith(b"\n"):
        part = line.recv(65_536)
        found += part
        if not part or len(found) > MOST_ANSWER_BYTES:
            raise OSError("hung up")
    return found[:-1]
