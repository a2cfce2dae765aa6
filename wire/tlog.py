"""The log's arithmetic: RFC 6962 tree over leaf hashes, and C2SP checkpoints.

Needs only the standard library and cryptography (through `wire.note`), so that the one-file verifier can be
made from it. Source: RFC 6962 §2.1; C2SP tlog-checkpoint.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from wire import note
from wire.errors import Refused

EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(raw: bytes) -> bytes:
    """SHA-256(0x00 || entry), 32 bytes."""
    return sha256(b"\x00" + raw).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(0x01 || left || right), 32 bytes."""
    return sha256(b"\x01" + left + right).digest()


def root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over leaf hashes; SHA-256 of nothing for an empty tree."""
    if not leaves:
        return EMPTY_ROOT
    level = list(leaves)
    while len(level) > 1:
        paired = [node_hash(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = paired + level[len(paired) * 2 :]
    return level[0]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root of the log `origin` at one moment."""

    origin: str
    size: int
    root: bytes


def checkpoint_text(checkpoint: Checkpoint) -> bytes:
    """The three signed lines: origin, size in decimal, root in base64."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n".encode()


def open_checkpoint(raw: bytes, verifier: note.Verifier) -> Checkpoint:
    """Verify and read a checkpoint; other signers' lines (witnesses) are passed over.

    Raises Refused: not_a_note, wrong_domain, unknown_key, bad_signature.
    """
    text = note.verify(note.split(raw), verifier)
    lines = text.decode().split("\n")
    if len(lines) != 4 or lines[0] != verifier.name:
        raise Refused("wrong_domain", "a checkpoint is three lines: origin, size, root")
    size = lines[1]
    if not (size.isascii() and size.isdigit()) or (len(size) > 1 and size[0] == "0") or len(size) > 16:
        raise Refused("not_a_note", "checkpoint size is not a plain number")
    root_hash = note.strict_base64(lines[2])
    if len(root_hash) != 32:
        raise Refused("not_a_note", "checkpoint root is not 32 bytes")
    return Checkpoint(lines[0], int(size), root_hash)
