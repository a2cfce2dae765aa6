"""What our engine says to a measurement point and reads from it: HTTP/1.1 heads and note bodies as bytes. Pure.

Notes are read without a check of their signature: the probe passes them on as evidence, the ledger verifies them.
Source: measuring protocol v1; RFC 9112; `wire.notes`.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

MOST_HEAD_BYTES = 4096
ENDLESS_BYTES = 1 << 40
"""The length that an upload announces; it ends when it has said enough."""

PORTAL_PATH = "/dosong-portal-check"
PORTAL_BODY = b"dosong point v1: this link reaches the internet\n"
"""What our own point answers; the same words stand in `point.protocol` (a test compares them)."""

_TICKET = re.compile(r"[A-Za-z0-9_-]{16,64}")
_ECHO_KEY = re.compile(r"[0-9a-f]{32}")


class NotOurs(ValueError):
    """The answer is none of a measurement point of ours: a portal or another server gave it."""


class NotTrusted(Exception):
    """The other end of a TLS handshake is not the server that was meant. `cause` is a word of `wire.failure`."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


@dataclass(frozen=True, slots=True)
class Reply:
    """The head of an answer; `head_bytes` is its length, fields have lower-case names."""

    status: int
    fields: dict[str, str]
    head_bytes: int


@dataclass(frozen=True, slots=True)
class Pass:
    """Leave to measure: the ticket, the key of its echoes (None: the point has no echo), the note itself."""

    ticket: str
    echo_key: bytes | None
    note: bytes


def get(path: str, host: str, fields: str = "") -> bytes:
    """A request without a body. `fields`: more lines of its head, each with its line end."""
    return f"GET {path} HTTP/1.1\r\nHost: {host}\r\n{fields}Connection: close\r\n\r\n".encode()


def post(path: str, host: str) -> bytes:
    """The head of an upload without an end."""
    lines = (
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/octet-stream",
        f"Content-Length: {ENDLESS_BYTES}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def read_head(received: bytes) -> Reply | None:
    """The head at the start of `received`; None while it is not whole. Raises NotOurs if it is no HTTP."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        if len(received) > MOST_HEAD_BYTES or not b"HTTP/1.".startswith(received[:7]):
            raise NotOurs("no HTTP head")
        return None
    first, *lines = received[:end].decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/1.") or not re.fullmatch("[1-5][0-9][0-9]", words[1]):
        raise NotOurs("no HTTP status line")
    pairs = (line.partition(":") for line in lines)
    return Reply(int(words[1]), {name.strip().lower(): value.strip() for name, _, value in pairs}, end + 4)


def read_ticket(reply: Reply, body: bytes, probe: str) -> Pass:
    """The ticket of an answer with status 200. Raises NotOurs if it is none for this probe."""
    claims = read_note(body, "ticket")
    ticket, key = claims.get("ticket"), reply.fields.get("x-echo-key")
    if not isinstance(ticket, str) or not _TICKET.fullmatch(ticket) or claims.get("probe") != probe:
        raise NotOurs("no ticket for this probe")
    return Pass(ticket, bytes.fromhex(key) if key and _ECHO_KEY.fullmatch(key) else None, body)


def read_note(body: bytes, kind: str) -> dict[str, Any]:
    """The claims of a note of this kind, unverified. Raises NotOurs."""
    lines = body.split(b"\n", 2)
    if len(lines) < 3 or not lines[0].endswith(f"/{kind}/v1".encode()):
        raise NotOurs(f"no {kind} note")
    try:
        claims = json.loads(lines[1])
    except (ValueError, RecursionError):
        raise NotOurs(f"no {kind} note") from None
    if not isinstance(claims, dict):
        raise NotOurs(f"no {kind} note")
    return claims


def retry_after_s(reply: Reply) -> int | None:
    """How long a busy point asks to wait; None if it does not say so in seconds."""
    text = reply.fields.get("retry-after", "")
    return int(text) if re.fullmatch("[0-9]{1,6}", text) else None


def evidence(note: bytes) -> str:
    """A note's own bytes as text."""
    return base64.b64encode(note).decode()


def leaf_text(note: bytes) -> str:
    """A note's leaf hash as it stands in a record: the same as `wire.codec` makes it, without its libraries."""
    return evidence(sha256(b"\x00" + note).digest())
