"""The photo of a site: a JPEG without what the phone wrote about itself, its owner and its place, named by its SHA-256.

Kept beside the registry in `<collector state>/photos`; the registry holds its digest, size and day.
"""

from __future__ import annotations

import os
from hashlib import sha256
from pathlib import Path

from wire.errors import Refused

MOST_BYTES = 12_000_000
_BEGIN, _END, _SCAN = b"\xff\xd8", 0xD9, 0xDA
_ALONE = {0x01, *range(0xD0, 0xD8)}
_TELLING = {*range(0xE1, 0xF0), 0xFE}
"""APP1 to APP15 (Exif with position and owner, XMP, makers' notes) and comments; APP0 (JFIF) is needed."""


def bare(raw: bytes) -> bytes:
    """Return a JPEG without its telling segments. Raises Refused if it is none, or larger than 12 MB."""
    if len(raw) > MOST_BYTES:
        raise Refused("bad_file", f"the photo is larger than {MOST_BYTES // 10**6} MB; take it smaller")
    kept = [_BEGIN]
    at = len(_BEGIN) if raw.startswith(_BEGIN) else len(raw)
    has_picture = False
    while at + 1 < len(raw) and raw[at] == 0xFF:
        marker = raw[at + 1]
        if marker == _END and has_picture:
            # Whatever comes behind it (phones append thumbnails and videos) is left out.
            return b"".join((*kept, raw[at : at + 2]))
        if marker == 0xFF:
            at += 1
            continue
        end = at + 2 if marker in _ALONE else at + 2 + int.from_bytes(raw[at + 2 : at + 4], "big")
        if marker == _SCAN:
            has_picture, end = True, _scan_end(raw, end)
        if end < at + 2 or end >= len(raw) or (marker not in _ALONE and end < at + 4):
            break
        if marker not in _TELLING:
            kept.append(raw[at:end])
        at = end
    raise Refused("bad_file", "the photo is no whole JPEG; save it as .jpg")


def _scan_end(raw: bytes, at: int) -> int:
    """Where the image bytes that begin at `at` end: at the next marker, which they never hold by themselves."""
    while True:
        at = raw.find(b"\xff", at)
        if at < 0 or at + 1 >= len(raw):
            return len(raw)
        if raw[at + 1] != 0 and raw[at + 1] not in _ALONE:
            return at
        at += 2


def keep(state: Path, raw: bytes) -> tuple[str, int]:
    """Lay a photo down without what it tells; return its SHA-256 and size. Raises Refused."""
    picture = bare(raw)
    digest = sha256(picture).hexdigest()
    folder = state / "photos"
    folder.mkdir(exist_ok=True)
    fresh = folder / f".{digest}.{os.getpid()}"
    with fresh.open("wb") as file:
        file.write(picture)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / f"{digest}.jpg")
    return digest, len(picture)
