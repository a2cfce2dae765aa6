"""Raw bytes at rest: zstd with a dictionary, bit-exact back.

One record is too short to compress well by itself; the dictionary holds the names and words that every record
repeats, and an example of each kind. It is made once, when a ledger is created, and stored in it, so that later
versions still read old bytes.
"""

from __future__ import annotations

import threading
from importlib import resources

import msgspec
import zstandard

from wire.failure import Cause, Stage
from wire.records import KINDS

MAX_PLAIN_BYTES = 64 * 1024
LEVEL = 3
EXAMPLES = "examples_v2.json"


def make_dictionary() -> bytes:
    """Return dictionary content: the JSON of all field names and words, the most frequent kinds last."""
    order = ("gap", "boot", "event", "coverage", "test")
    words = ",".join(f'"{word}"' for word in (*Stage, *Cause))
    names = [",".join(f'"{name}":' for name in sorted(KINDS[kind].__struct_fields__)) for kind in order]
    parts = '{"lat_e7":,"lon_e7":,"source":"surveyed"},{"plmn":"45204","rat":"LTE","registration":"home","verdict":"ok"'
    plain = f'{words}{parts}{"".join(names)}"v":1}}\n\n— /probe/'.encode()
    examples = msgspec.json.decode((resources.files("collector.schema") / EXAMPLES).read_bytes(), type=list[str])
    return plain + "".join(f"/sample/v1\n{one}\n\n— /probe/" for one in examples).encode()


class Packer:
    """Compress and restore with one dictionary. Not safe for several threads at once."""

    def __init__(self, dictionary: bytes) -> None:
        held = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        held.precompute_compress(level=LEVEL)
        self._compressor = zstandard.ZstdCompressor(level=LEVEL, dict_data=held)
        self._decompressor = zstandard.ZstdDecompressor(dict_data=held)

    def pack(self, plain: bytes) -> bytes:
        """Compress up to 64 KiB; more is cut off there."""
        return self._compressor.compress(plain[:MAX_PLAIN_BYTES])

    def unpack(self, packed: bytes) -> bytes:
        """Restore what `pack` was given. Raises zstandard.ZstdError for bytes that were changed, as far as it shows."""
        if zstandard.frame_content_size(packed) > MAX_PLAIN_BYTES:  # else the library asks for that much memory
            raise zstandard.ZstdError("more than was ever packed")
        return self._decompressor.decompress(packed, max_output_size=MAX_PLAIN_BYTES)

    def read(self, packed: bytes) -> bytes | None:
        """Restore what `pack` was given; None if the bytes were changed since."""
        try:
            return self.unpack(packed)
        except zstandard.ZstdError:
            return None


class Frames:
    """Frames with a dictionary at a level of one's own, of at most so many bytes. Not safe for several threads."""

    def __init__(self, dictionary: bytes, level: int, most: int) -> None:
        held = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
        held.precompute_compress(level=level)
        self._most = most
        self._compressor = zstandard.ZstdCompressor(level=level, dict_data=held)
        self._decompressor = zstandard.ZstdDecompressor(dict_data=held)

    def squeeze(self, plain: bytes) -> bytes:
        """Compress. Raises ValueError for more than may be read again."""
        if len(plain) > self._most:
            raise ValueError(f"{len(plain)} bytes; at most {self._most}")
        return self._compressor.compress(plain)

    def read(self, packed: bytes) -> bytes | None:
        """Restore what `squeeze` was given; None if the bytes were changed since, as far as it shows."""
        try:
            if zstandard.frame_content_size(packed) > self._most:  # else the library asks for that much memory
                return None
            return self._decompressor.decompress(packed, max_output_size=self._most)
        except zstandard.ZstdError:
            return None


class Squeezer(threading.local):
    """Compress and restore without a dictionary; each thread has its own."""

    def __init__(self) -> None:
        self._compressor = zstandard.ZstdCompressor(level=LEVEL)
        self._decompressor = zstandard.ZstdDecompressor()

    def squeeze(self, plain: bytes) -> bytes:
        """Compress; equal bytes give equal bytes."""
        return self._compressor.compress(plain)

    def restore(self, squeezed: bytes) -> bytes:
        """What `squeeze` was given."""
        return self._decompressor.decompress(squeezed)
