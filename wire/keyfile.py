"""Private keys on disk: one line `PRIVATE+KEY+<name>+<key id>+base64(0x01 || seed)`, mode 0600.

Source: the private key form of golang.org/x/mod/sumdb/note, so that other note tools read it too.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

from wire.errors import Misconfigured, Refused
from wire.note import ED25519, Signer, Verifier, parse_vkey, strict_base64


def write_signer(path: Path, signer: Signer) -> None:
    """Write a private key with mode 0600. Raises FileExistsError: a key is never overwritten."""
    packed = base64.b64encode(ED25519 + signer.seed).decode()
    line = f"PRIVATE+KEY+{signer.name}+{signer.verifier.key_id.hex()}+{packed}\n"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())


def read_signer(path: Path) -> Signer:
    """Read a private key. Raises Misconfigured if it is missing, malformed or readable by others."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="ascii", errors="replace").strip()
    except OSError as error:
        raise Misconfigured(f"cannot read key file {path}: {error.strerror}; make it with dosong-provision") from error
    if mode & 0o077:
        raise Misconfigured(f"key file {path} can be read by others; run: chmod 600 {path}")
    return _parse(text, path)


def _parse(text: str, path: Path) -> Signer:
    parts = text.split("+", 4)
    try:
        if len(parts) != 5 or parts[:2] != ["PRIVATE", "KEY"]:
            raise Refused("bad_key")
        raw = strict_base64(parts[4], "bad_key")
        if len(raw) != 33 or raw[:1] != ED25519:
            raise Refused("bad_key")
        signer = Signer.from_seed(parts[2], raw[1:])
    except (Refused, ValueError) as error:
        raise Misconfigured(f"{path} is no dosong key file; make one with dosong-provision") from error
    if signer.verifier.key_id.hex() != parts[3]:
        raise Misconfigured(f"{path}: key id does not match its key; restore the file or make a new key")
    return signer


def read_verifier(text: str, where: str) -> Verifier:
    """Read a public key from settings. Raises Misconfigured that names the setting `where`."""
    try:
        return parse_vkey(text)
    except Refused as error:
        raise Misconfigured(f"{where}: {error.detail or error.reason}") from error
