"""The packed form of a day's hours: MessagePack, keys in order, and zstd, so that equal hours are equal bytes."""

from __future__ import annotations

import msgspec

from collector.core.rollup import Hour
from collector.pack import Squeezer

_DECODER = msgspec.msgpack.Decoder(dict[int, Hour])
_VALUES = msgspec.msgpack.Decoder(
    dict[int, tuple[msgspec.Raw, int, int, msgspec.Raw, msgspec.Raw, msgspec.Raw, list[list[int]]]]
)
"""An hour of which only the values are read: a third of the time."""
_ENCODER = msgspec.msgpack.Encoder()
_SQUEEZER = Squeezer()


def pack_hours(hours: dict[int, Hour]) -> bytes:
    """Hours by their number in the day (0 to 23) as bytes."""
    return _SQUEEZER.squeeze(_ENCODER.encode({number: hours[number] for number in sorted(hours)}))


def unpack_values(packed: bytes) -> list[list[list[int]]]:
    """The values of each hour of a day, metric by metric, without its counts. Raises as `unpack_hours` does."""
    return [hour[-1] for hour in _VALUES.decode(_SQUEEZER.restore(packed)).values()]


def unpack_hours(packed: bytes) -> dict[int, Hour]:
    """What `pack_hours` was given. Raises an error of its library if the bytes were changed."""
    return _DECODER.decode(_SQUEEZER.restore(packed))
