"""Make Chromium's screenshots small: a PNG of at most 128 colours, written by hand so that no package is needed.

Boards are flat drawings; what is lost is the finest shade of the letters' edges. Pure functions on bytes.
Source: PNG specification (third edition), §9 filtering, §11.2 chunks.
"""

from __future__ import annotations

import struct
import zlib
from collections import Counter
from collections.abc import Iterator

from wire.errors import Misconfigured

SIGNATURE = b"\x89PNG\r\n\x1a\n"
COLOURS = 128
Rgb = tuple[int, int, int]


def _chunks(png: bytes) -> Iterator[tuple[bytes, bytes]]:
    place = len(SIGNATURE)
    while place < len(png):
        (size,) = struct.unpack_from(">I", png, place)
        yield png[place + 4 : place + 8], png[place + 8 : place + 8 + size]
        place += size + 12


def _paeth(left: int, up: int, corner: int) -> int:
    guess = left + up - corner
    by_left, by_up, by_corner = abs(guess - left), abs(guess - up), abs(guess - corner)
    if by_left <= by_up and by_left <= by_corner:
        return left
    return up if by_up <= by_corner else corner


def _unfilter(kind: int, line: bytearray, above: bytes, step: int) -> bytearray:
    """Undo one line's filter (0 none, 1 left, 2 up, 3 average, 4 Paeth)."""
    if kind == 2:
        return bytearray((a + b) & 255 for a, b in zip(line, above, strict=True))
    for i in range(len(line) if kind else 0):
        left = line[i - step] if i >= step else 0
        if kind == 1:
            line[i] = (line[i] + left) & 255
        elif kind == 3:
            line[i] = (line[i] + (left + above[i]) // 2) & 255
        else:
            line[i] = (line[i] + _paeth(left, above[i], above[i - step] if i >= step else 0)) & 255
    return line


def rows(png: bytes) -> Iterator[list[Rgb]]:
    """Pixels line by line. Raises Misconfigured if it is no 8-bit RGB or RGBA picture."""
    chunks = list(_chunks(png))
    width, _, depth, colour, *_ = struct.unpack(">IIBBBBB", chunks[0][1])
    if not png.startswith(SIGNATURE) or depth != 8 or colour not in {2, 6}:
        raise Misconfigured("not an 8-bit RGB picture: did another program than Chromium draw it?")
    step = 4 if colour == 6 else 3
    raw = zlib.decompress(b"".join(body for kind, body in chunks if kind == b"IDAT"))
    stride = width * step
    above: bytes | bytearray = bytes(stride)
    for start in range(0, len(raw), stride + 1):
        line = _unfilter(raw[start], bytearray(raw[start + 1 : start + 1 + stride]), bytes(above), step)
        above = line
        yield list(zip(line[0::step], line[1::step], line[2::step], strict=True))


def _palette(counts: Counter[Rgb]) -> list[Rgb]:
    """The most frequent colours, at most COLOURS, none nearer than a shade to one taken before."""
    taken: list[Rgb] = []
    for colour, _ in counts.most_common():
        if all(sum(abs(a - b) for a, b in zip(colour, other, strict=True)) > 18 for other in taken):
            taken.append(colour)
            if len(taken) == COLOURS:
                break
    return taken


def _nearest(colour: Rgb, palette: list[Rgb]) -> int:
    red, green, blue = colour
    return min(
        range(len(palette)),
        key=lambda i: (palette[i][0] - red) ** 2 + (palette[i][1] - green) ** 2 + (palette[i][2] - blue) ** 2,
    )


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def shrink(png: bytes) -> bytes:
    """The same picture with a palette."""
    lines = list(rows(png))
    counts: Counter[Rgb] = Counter()
    for line in lines:
        counts.update(line)
    palette = _palette(counts)
    index = {colour: _nearest(colour, palette) for colour in counts}
    packed = b"".join(b"\x00" + bytes(index[pixel] for pixel in line) for line in lines)
    head = struct.pack(">IIBBBBB", len(lines[0]), len(lines), 8, 3, 0, 0, 0)
    table = b"".join(bytes(colour) for colour in palette)
    parts = [(b"IHDR", head), (b"PLTE", table), (b"IDAT", zlib.compress(packed, 9)), (b"IEND", b"")]
    return SIGNATURE + b"".join(_chunk(kind, body) for kind, body in parts)
