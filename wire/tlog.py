"""The log's arithmetic: RFC 6962 tree over leaf hashes, its proofs, C2SP checkpoints and proof files.

Needs only the standard library and cryptography (through `wire.note`), so that the one-file verifier can be
made from it. Proofs are checked by walking two numbers, never by rebuilding the tree.
Source: RFC 6962 §2.1; RFC 9162 §2.1.3, §2.1.4; C2SP tlog-checkpoint, tlog-proof v1.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from wire import note
from wire.errors import Refused

EMPTY_ROOT = sha256(b"").digest()
MAX_CHECKPOINT_BYTES = 16 * 1024
MAX_PROOF_HASHES = 63
PROOF_HEADER = "c2sp.org/tlog-proof@v1"
_DECIMAL = re.compile(r"0|[1-9][0-9]{0,15}")


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


def _split_at(size: int) -> int:
    """Largest power of two below `size` (2 or more): where RFC 6962 divides a tree."""
    return 1 << (size - 1).bit_length() - 1


def inclusion_proof(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the path that leads from leaf `index` to the root over `leaves`, lowest sibling first.

    Raises IndexError if there is no such leaf. Source: RFC 9162 §2.1.3.1.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"leaf {index} of a tree of {len(leaves)}")
    if len(leaves) == 1:
        return ()
    cut = _split_at(len(leaves))
    if index < cut:
        return (*inclusion_proof(leaves[:cut], index), root(leaves[cut:]))
    return (*inclusion_proof(leaves[cut:], index - cut), root(leaves[:cut]))


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root_hash: bytes) -> bool:
    """Say whether `proof` leads from the leaf hash at `index` to `root_hash` of a tree of `size` leaves.

    Source: RFC 9162 §2.1.3.2.
    """
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for sibling in proof:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(sibling, found)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root_hash


def consistency_proof(leaves: Sequence[bytes], old: int) -> tuple[bytes, ...]:
    """Return the hashes that show that the tree of the first `old` leaves is a prefix of the tree of all.

    Empty for old = 0 and for old = len(leaves). Raises IndexError if `old` is larger. Source: RFC 9162 §2.1.4.1.
    """
    if not 0 <= old <= len(leaves):
        raise IndexError(f"size {old} of a tree of {len(leaves)}")
    return () if old == 0 else _subproof(leaves, old, whole=True)


def _subproof(leaves: Sequence[bytes], old: int, *, whole: bool) -> tuple[bytes, ...]:
    if old == len(leaves):
        return () if whole else (root(leaves),)
    cut = _split_at(len(leaves))
    if old <= cut:
        return (*_subproof(leaves[:cut], old, whole=whole), root(leaves[cut:]))
    return (*_subproof(leaves[cut:], old - cut, whole=False), root(leaves[:cut]))


def verify_consistency(old: int, new: int, old_root: bytes, new_root: bytes, proof: Sequence[bytes]) -> bool:
    """Say whether the tree of `old` leaves is a prefix of the tree of `new` leaves.

    Source: RFC 9162 §2.1.4.2; a tree of 0 leaves is a prefix of every tree, by the empty proof.
    """
    if not 0 <= old <= new:
        return False
    if old == new:
        return not proof and old_root == new_root
    if old == 0:
        return not proof and old_root == EMPTY_ROOT
    path = [old_root, *proof] if old & (old - 1) == 0 else list(proof)
    return bool(path) and _walk(old - 1, new - 1, path) == (old_root, new_root)


def _walk(at: int, last: int, path: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    """Fold a consistency path into both roots at once; None if it is too long or too short."""
    while at & 1:
        at, last = at >> 1, last >> 1
    first = second = path[0]
    for sibling in path[1:]:
        if last == 0:
            return None
        if at & 1 or at == last:
            first, second = node_hash(sibling, first), node_hash(sibling, second)
            while at and not at & 1:
                at, last = at >> 1, last >> 1
        else:
            second = node_hash(second, sibling)
        at, last = at >> 1, last >> 1
    return (first, second) if last == 0 else None


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Size and root of the log `origin` at one moment."""

    origin: str
    size: int
    root: bytes


def checkpoint_text(checkpoint: Checkpoint) -> bytes:
    """The three signed lines: origin, size in decimal, root in base64."""
    return f"{checkpoint.origin}\n{checkpoint.size}\n{base64.b64encode(checkpoint.root).decode()}\n".encode()


def sign_checkpoint(checkpoint: Checkpoint, signer: note.Signer) -> bytes:
    """Return the signed checkpoint. Raises ValueError unless the signer is named as the log's origin."""
    if signer.name != checkpoint.origin:
        raise ValueError(f"the log {checkpoint.origin} is not signed by {signer.name}")
    return note.sign(checkpoint_text(checkpoint), signer)


@lru_cache(maxsize=64)
def open_checkpoint(raw: bytes, verifier: note.Verifier) -> Checkpoint:
    """Verify and read a checkpoint; other signers' lines (witnesses) are passed over.

    Many proofs lead to one checkpoint, so its signature is checked once for the same bytes and key.

    Raises Refused: too_big, not_a_note, wrong_domain, unknown_key, bad_signature.
    """
    if len(raw) > MAX_CHECKPOINT_BYTES:
        raise Refused("too_big", f"{len(raw)} bytes; a checkpoint has at most {MAX_CHECKPOINT_BYTES}")
    text = note.verify(note.split(raw), verifier)
    lines = text.decode().split("\n")
    if len(lines) != 4 or lines[0] != verifier.name:
        raise Refused("wrong_domain", "a checkpoint is three lines: origin, size, root")
    root_hash = note.strict_base64(lines[2])
    if _DECIMAL.fullmatch(lines[1]) is None or len(root_hash) != 32:
        raise Refused("not_a_note", "a checkpoint has a plain decimal size and a root of 32 bytes")
    return Checkpoint(lines[0], int(lines[1]), root_hash)


@dataclass(frozen=True, slots=True)
class Proof:
    """A proof file: one leaf's index and path, and the checkpoint that it leads to, still unverified."""

    index: int
    path: tuple[bytes, ...]
    checkpoint: bytes


def proof_text(proof: Proof) -> bytes:
    """Write a `.tlog-proof` file. Source: C2SP tlog-proof v1."""
    hashes = "".join(base64.b64encode(h).decode() + "\n" for h in proof.path)
    return f"{PROOF_HEADER}\nindex {proof.index}\n{hashes}\n".encode() + proof.checkpoint


def parse_proof(raw: bytes) -> Proof:
    """Read a `.tlog-proof` file; an `extra` line is passed over. Raises Refused("not_a_note" | "too_big")."""
    if len(raw) > 2 * MAX_CHECKPOINT_BYTES:
        raise Refused("too_big", f"{len(raw)} bytes; a proof has at most {2 * MAX_CHECKPOINT_BYTES}")
    head, found, checkpoint = raw.partition(b"\n\n")
    try:
        lines = head.decode("ascii").split("\n")
    except UnicodeDecodeError as error:
        raise Refused("not_a_note", "a proof's head is ASCII") from error
    if len(lines) > 1 and lines[1].startswith("extra "):
        del lines[1]
    if not found or lines[0] != PROOF_HEADER or len(lines) < 2 or len(lines) > 2 + MAX_PROOF_HASHES:
        raise Refused("not_a_note", f"{PROOF_HEADER}, index, hashes, empty line, checkpoint expected")
    word, _, index = lines[1].partition(" ")
    path = tuple(note.strict_base64(line) for line in lines[2:])
    if word != "index" or _DECIMAL.fullmatch(index) is None or any(len(h) != 32 for h in path):
        raise Refused("not_a_note", "a proof names a decimal index and hashes of 32 bytes")
    return Proof(int(index), path, checkpoint)


def check_proof(raw: bytes, proof: Proof, verifier: note.Verifier) -> Checkpoint | None:
    """Return the checkpoint that holds the entry `raw`; None if the path does not lead to its root.

    Raises Refused if the checkpoint itself is not authentic.
    """
    checkpoint = open_checkpoint(proof.checkpoint, verifier)
    holds = verify_inclusion(leaf_hash(raw), proof.index, checkpoint.size, proof.path, checkpoint.root)
    return checkpoint if holds else None
