"""A photo that a telephone sent: decoded, turned upright, made smaller and encoded anew; nothing else of it is kept.

So nothing that the file said besides its picture (position, owner, a thumbnail, a hidden second file) gets any further,
and what cannot be decoded is no photo. Named by its SHA-256, in `<state>/photos`, beside those of the command line.
Source: issue 6, acceptance; Pillow (MIT-CMU licence), decoders limited to three formats and a number of pixels.
"""

from __future__ import annotations

import io
import os
import warnings
from hashlib import sha256
from pathlib import Path

from PIL import Image, ImageOps

from wire.errors import Refused

MOST_BYTES = 12_000_000
MOST_PIXELS = 64_000_000
LONG_SIDE = 1600
QUALITY = 82
FORMATS = ("JPEG", "PNG", "WEBP")


def upright(raw: bytes) -> bytes:
    """The picture as a JPEG of at most 1600 pixels a side, without anything else. Raises Refused if it is none."""
    if len(raw) > MOST_BYTES:
        raise Refused("too_big", f"the photo is larger than {MOST_BYTES // 10**6} MB")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            with Image.open(io.BytesIO(raw), formats=FORMATS) as found:
                if found.width * found.height > MOST_PIXELS:
                    raise Refused("too_big", f"the photo has more than {MOST_PIXELS // 10**6} million pixels")
                found.draft("RGB", (2 * LONG_SIDE, 2 * LONG_SIDE))
                turned = ImageOps.exif_transpose(found).convert("RGB")
    except (OSError, ValueError, SyntaxError, Warning, Image.DecompressionBombError) as error:
        raise Refused("bad_file", "this is no whole photo (JPEG, PNG or WebP)") from error
    turned.thumbnail((LONG_SIDE, LONG_SIDE))
    bare = Image.new("RGB", turned.size)
    bare.paste(turned)
    out = io.BytesIO()
    bare.save(out, "JPEG", quality=QUALITY, optimize=True)
    return out.getvalue()


def keep(state: Path, raw: bytes) -> tuple[str, int]:
    """Keep a photo; its SHA-256 and size. Raises Refused."""
    picture = upright(raw)
    digest, folder = sha256(picture).hexdigest(), state / "photos"
    folder.mkdir(exist_ok=True)
    fresh = folder / f".{digest}.{os.getpid()}"
    with fresh.open("wb") as file:
        file.write(picture)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(folder / f"{digest}.jpg")
    return digest, len(picture)


def held(state: Path, digest: str) -> bytes | None:
    """A photo by its SHA-256 (64 hexadecimal digits); None if it is not here."""
    path = state / "photos" / f"{digest}.jpg"
    return path.read_bytes() if path.is_file() else None
