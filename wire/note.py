"""C2SP signed notes: sign bytes, verify bytes, never re-serialise.

A note is a text that ends in a newline, an empty line, and one or more signature lines
`— <key name> base64(key id[4] || Ed25519 signature[64])`. The key id is the first four bytes of
SHA-256(name || 0x0A || 0x01 || public key). Needs only the standard library and cryptography,
so that the one-file verifier can be made from it.

Source: C2SP signed-note v1; facts note 08 §3.1 for the byte vectors.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from wire.errors import Refused

ED25519 = b"\x01"
_CONTROL = bytes(byte for byte in range(0x20) if byte != 0x0A)
DASH = "— "
_NAME = re.compile(r"[A-Za-z0-9._/-]{1,128}")
_ANY_NAME = re.compile(r"[^\s+]+")
MAX_SIGNATURES = 100
# The y coordinates of the points of small order on edwards25519, low bytes first, sign bit cleared, both spellings of
# 0 and 1. For such a "key" one signature fits many messages. Source: RFC 8032 §5.1; libsodium's block list.
_WEAK_KEYS = frozenset(
    bytes.fromhex(y)
    for y in (
        "00" * 32,
        "01" + "00" * 31,
        "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
        "ec" + "ff" * 30 + "7f",
        "ed" + "ff" * 30 + "7f",
        "ee" + "ff" * 30 + "7f",
    )
)


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: key name, 4-byte key id, and the bytes that follow it."""

    name: str
    key_id: bytes
    value: bytes


@dataclass(frozen=True, slots=True)
class Note:
    """A note taken apart: `text` is what was signed, its last newline included."""

    text: bytes
    signatures: tuple[Signature, ...]


_public_key = lru_cache(maxsize=1024)(Ed25519PublicKey.from_public_bytes)
"""A point is taken apart once a key, not once a signature."""


@dataclass(frozen=True, slots=True)
class Verifier:
    """A named Ed25519 public key (32 bytes)."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name || 0x0A || 0x01 || public key)."""
        return key_id(self.name, self.public)

    @property
    def vkey(self) -> str:
        """The key as text: name+hex(key id)+base64(0x01 || public key)."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(ED25519 + self.public).decode()}"

    def check(self, text: bytes, signature: bytes) -> bool:
        """Say whether `signature` (64 bytes) is this key's over `text`."""
        try:
            _public_key(self.public).verify(signature, text)
        except InvalidSignature:
            return False
        return True


class Signer:
    """A named Ed25519 private key. Never printed: `repr` shows the name only."""

    def __init__(self, name: str, private: Ed25519PrivateKey) -> None:
        _check_name(name)
        self.name = name
        self._private = private
        self.verifier = Verifier(name, private.public_key().public_bytes_raw())

    @classmethod
    def generate(cls, name: str) -> Signer:
        """Make a new key from the system's randomness."""
        return cls(name, Ed25519PrivateKey.generate())

    @classmethod
    def from_seed(cls, name: str, seed: bytes) -> Signer:
        """Make the key of a 32-byte seed. Raises ValueError if the seed has another length."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed))

    @property
    def seed(self) -> bytes:
        """The 32 secret bytes, for the key file only."""
        return self._private.private_bytes_raw()

    def sign_text(self, text: bytes) -> bytes:
        """Return the 64-byte signature over `text`."""
        return self._private.sign(text)

    def __repr__(self) -> str:
        return f"Signer({self.name!r})"


def _check_name(name: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise ValueError(f"not a key name: {name!r} (letters, digits, . _ / - only)")


def key_id(name: str, public: bytes) -> bytes:
    """Return the 4-byte key id of a named public key."""
    return sha256(name.encode() + b"\n" + ED25519 + public).digest()[:4]


def parse_vkey(text: str) -> Verifier:
    """Read `name+hex+base64`. Raises Refused("bad_key") if it is malformed or its id does not match."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3 or _NAME.fullmatch(parts[0]) is None:
        raise Refused("bad_key", "a verifier key reads name+keyid+base64")
    public = strict_base64(parts[2], "bad_key")
    if len(public) != 33 or public[:1] != ED25519:
        raise Refused("bad_key", "not an Ed25519 key (algorithm byte 1, 32 bytes)")
    if public[1:32] + bytes([public[32] & 0x7F]) in _WEAK_KEYS:
        raise Refused("bad_key", "a point of small order is no key: one signature would fit many texts")
    verifier = Verifier(parts[0], public[1:])
    if verifier.key_id.hex() != parts[1]:
        raise Refused("bad_key", "key id does not belong to this name and key")
    return verifier


def sign(text: bytes, *signers: Signer) -> bytes:
    """Return the note over `text`, one line a signer. Raises ValueError unless text ends in a newline."""
    if not text.endswith(b"\n"):
        raise ValueError("a note's text ends in a newline")
    lines = [_line(signer.verifier, signer.sign_text(text)) for signer in signers]
    return text + b"\n" + b"".join(lines)


def _line(verifier: Verifier, signature: bytes) -> bytes:
    packed = base64.b64encode(verifier.key_id + signature).decode()
    return f"{DASH}{verifier.name} {packed}\n".encode()


def strict_base64(text: str, reason: str = "not_a_note") -> bytes:
    """Decode strictly: one byte string has exactly one accepted spelling, or a bit could flip unseen."""
    try:
        raw = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise Refused(reason, "base64 expected") from error
    if base64.b64encode(raw).decode() != text:
        raise Refused(reason, "base64 has stray bits")
    return raw


def split(note: bytes) -> Note:
    """Take a note apart without trusting it. Raises Refused("not_a_note") if its shape is wrong."""
    cut = note.rfind(b"\n\n")
    if cut < 0 or not note.endswith(b"\n"):
        raise Refused("not_a_note", "text, empty line, signature lines expected")
    text, block = note[: cut + 1], note[cut + 2 :]
    try:
        lines = block.decode("utf-8").split("\n")[:-1]
        text.decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused("not_a_note", "not UTF-8") from error
    if not 1 <= len(lines) <= MAX_SIGNATURES:
        raise Refused("not_a_note", f"{len(lines)} signature lines; 1 to {MAX_SIGNATURES} expected")
    if len(text.translate(None, _CONTROL)) != len(text):
        raise Refused("not_a_note", "control character")
    return Note(text, tuple(_parse_line(line) for line in lines))


def _parse_line(line: str) -> Signature:
    name, _, packed = line.removeprefix(DASH).partition(" ")
    if not line.startswith(DASH) or _ANY_NAME.fullmatch(name) is None:
        raise Refused("not_a_note", "malformed signature line")
    raw = strict_base64(packed)
    if len(raw) < 5:
        raise Refused("not_a_note", "signature too short")
    return Signature(name, raw[:4], raw[4:])


def verify(note: Note, verifier: Verifier) -> bytes:
    """Return the signed text if `verifier` signed it; other keys' lines are passed over.

    Raises Refused("unknown_key") if no line is from this key, Refused("bad_signature") if one is but fails.
    Source: C2SP signed-note, "Verifying".
    """
    mine = [s for s in note.signatures if s.name == verifier.name and s.key_id == verifier.key_id]
    if not mine:
        raise Refused("unknown_key", f"no signature by {verifier.name}")
    if len(mine) > 1 or len(mine[0].value) != 64 or not verifier.check(note.text, mine[0].value):
        raise Refused("bad_signature", verifier.name)
    return note.text
