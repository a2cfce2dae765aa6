"""Witnesses' cosignatures on checkpoints: C2SP tlog-cosignature, `cosignature/v1` by Ed25519.

A cosignature is one more signature line of the checkpoint: key id, eight bytes of time (POSIX seconds, big-endian), and
64 bytes over `cosignature/v1`, the time, and the checkpoint's text. It says: at this time, this was the largest tree
that I had seen of this log, and it grew out of every one that I saw before. Needs only the standard library and
cryptography, so that the one-file verifier can be made from it.
Source: C2SP tlog-cosignature v1; facts note 08 §3.2.
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from wire import note
from wire.errors import Refused

COSIGNATURE = b"\x04"
MOST_TIME_S = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Witness:
    """A named witness key (Ed25519, 32 bytes)."""

    name: str
    public: bytes

    @property
    def key_id(self) -> bytes:
        """First four bytes of SHA-256(name || 0x0A || 0x04 || public key)."""
        return sha256(self.name.encode() + b"\n" + COSIGNATURE + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """The key as text: name+hex(key id)+base64(0x04 || public key)."""
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(COSIGNATURE + self.public).decode()}"


@dataclass(frozen=True, slots=True)
class Cosigned:
    """A cosignature that verifies: by whom, when (POSIX seconds), and its line, newline included."""

    name: str
    time_s: int
    line: bytes


def parse_witness(text: str) -> Witness:
    """Read a witness's verifier key. Raises Refused("bad_key")."""
    parts = text.strip().split("+", 2)
    if len(parts) != 3:
        raise Refused("bad_key", "a witness's key reads name+keyid+base64")
    public = note.strict_base64(parts[2], "bad_key")
    if public[:1] != COSIGNATURE:
        raise Refused("bad_key", "not a witness's key (algorithm byte 4: cosignature/v1)")
    # The same point as a plain key: name, length and weak points are judged in one place.
    plain = note.parse_vkey(note.Verifier(parts[0], public[1:]).vkey)
    found = Witness(plain.name, plain.public)
    if found.key_id.hex() != parts[1]:
        raise Refused("bad_key", "key id does not belong to this name and key")
    return found


def message(text: bytes, time_s: int) -> bytes:
    """The signed bytes: header, time, and the checkpoint's text."""
    return b"cosignature/v1\ntime %d\n" % time_s + text


def cosign(text: bytes, signer: note.Signer, time_s: int) -> bytes:
    """Return the line by which `signer`, as a witness, cosigns a checkpoint's text at `time_s`."""
    witness = Witness(signer.name, signer.verifier.public)
    packed = witness.key_id + time_s.to_bytes(8, "big") + signer.sign_text(message(text, time_s))
    return f"{note.DASH}{witness.name} {base64.b64encode(packed).decode()}\n".encode()


def verify(checkpoint: bytes, witnesses: Sequence[Witness]) -> list[Cosigned]:
    """Return the cosignatures of known witnesses on a checkpoint, each once; other lines are passed over.

    Raises Refused: not_a_note; bad_signature if a known witness's line does not verify, or there are two of one.
    """
    taken = note.split(checkpoint)
    found: list[Cosigned] = []
    for witness in witnesses:
        mine = [s for s in taken.signatures if (s.name, s.key_id) == (witness.name, witness.key_id)]
        if not mine:
            continue
        found.append(_checked(taken.text, witness, mine))
    return found


def _checked(text: bytes, witness: Witness, mine: Sequence[note.Signature]) -> Cosigned:
    value = mine[0].value
    if len(mine) > 1 or len(value) != 72:
        raise Refused("bad_signature", f"{witness.name}: one cosignature of 72 bytes expected")
    time_s = int.from_bytes(value[:8], "big")
    plain = note.Verifier(witness.name, witness.public)
    if time_s > MOST_TIME_S or not plain.check(message(text, time_s), value[8:]):
        raise Refused("bad_signature", witness.name)
    packed = base64.b64encode(mine[0].key_id + value).decode()
    return Cosigned(witness.name, time_s, f"{note.DASH}{witness.name} {packed}\n".encode())


def names(checkpoint: bytes, log: str) -> list[tuple[str, int]]:
    """Who else than the log signed, and when they say they did, unverified: for a page that shows what was stored."""
    taken = note.split(checkpoint)
    rows = [(s.name, int.from_bytes(s.value[:8], "big")) for s in taken.signatures if len(s.value) == 72]
    return [row for row in rows if row[0] != log]
