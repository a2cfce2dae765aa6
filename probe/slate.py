"""The slate: small values that change every minute, in a file of fixed size beside the spool, overwritten in place.

A commit of the spool costs dozens of sectors, which a card has no endless supply of; a value here costs one block. Two
places are written by turns, each with its checksum, so that a torn write leaves the one before. The file keeps its
blocks: it takes values on a full disk, and it outlives a damaged spool.

A value is on disk when `sync` returns, and every `every_s` without being asked. In between, a crash of the program
costs nothing where `volatile` is a folder in memory (systemd's RuntimeDirectory): each note is copied there at once.
A disk that takes nothing raises nothing here: what is noted stays in memory.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import struct
import threading
import time
import zlib
from collections.abc import Mapping
from pathlib import Path

log = logging.getLogger(__name__)
NAME = "slate"
PLACE_BYTES = 65_536
SYNC_EVERY_S = 300.0
"""What a power cut may cost: five minutes of coverage letters, and of the small traffic between tests."""
_HEAD = struct.Struct(">8sQII")
_MAGIC = b"dsslate1"
_RETRY_S = 30.0


class Slate:
    """The open slate. Safe for several threads."""

    def __init__(self, folder: Path, volatile: Path | None = None, every_s: float = SYNC_EVERY_S) -> None:
        self._path = folder / NAME
        self._copy = None if volatile is None else volatile / NAME
        self._every_s = every_s
        self._lock = threading.RLock()
        self._file: int | None = None
        on_disk, in_memory = _newest(self._path), _newest(self._copy)
        self._place = on_disk[2]
        self._turn, self._values, _ = max(on_disk, in_memory, key=lambda found: found[0])
        self._dirty_s: float | None = None
        self._refused_s = -_RETRY_S
        self._is_told = False

    def recall(self, name: str) -> str | None:
        """Return a value, None if it was never noted."""
        with self._lock:
            return self._values.get(name)

    def note(self, values: Mapping[str, str]) -> None:
        """Note values. On disk within `every_s`, at the first note after it; at once in the volatile copy."""
        with self._lock:
            if all(self._values.get(name) == value for name, value in values.items()):
                return
            self._values = {**self._values, **values}
            self._turn += 1
            self._write_copy()
            now_s = time.monotonic()
            self._dirty_s = now_s if self._dirty_s is None else self._dirty_s
            if now_s - self._dirty_s >= self._every_s:
                self.sync()

    def sync(self, values: Mapping[str, str] | None = None) -> bool:
        """Note `values` and put all on disk now. Returns False if the disk took nothing."""
        with self._lock:
            if values and any(self._values.get(name) != value for name, value in values.items()):
                self._values, self._turn = {**self._values, **values}, self._turn + 1
                self._write_copy()
            elif self._dirty_s is None:
                return True
            self._dirty_s = self._dirty_s or time.monotonic()
            if time.monotonic() - self._refused_s < _RETRY_S:
                return False
            try:
                self._write(_framed(self._turn, self._values))
            except OSError as error:
                self._refuse(error)
                return False
            self._dirty_s, self._is_told, self._refused_s = None, False, -_RETRY_S
            return True

    def close(self) -> None:
        """Put all on disk and close."""
        with self._lock:
            self.sync()
            self._drop_file()

    def _write(self, octets: bytes) -> None:
        if self._file is None:
            self._file = _opened(self._path)
        os.pwrite(self._file, octets, (1 - self._place) * PLACE_BYTES)
        os.fdatasync(self._file)
        self._place = 1 - self._place

    def _refuse(self, error: OSError) -> None:
        if not self._is_told:
            log.error("slate=refused %s: %s; its values are kept in memory", self._path, error.strerror)
        self._is_told, self._refused_s = True, time.monotonic()
        self._drop_file()

    def _drop_file(self) -> None:
        if self._file is not None:
            with contextlib.suppress(OSError):
                os.close(self._file)
            self._file = None

    def _write_copy(self) -> None:
        """Replace the copy in memory: a rename is whole or not at all, which is all that a crash can ask."""
        if self._copy is None:
            return
        with contextlib.suppress(OSError):
            partial = self._copy.with_name(f"{NAME}.partial")
            partial.write_bytes(_framed(self._turn, self._values))
            partial.replace(self._copy)


def _framed(turn: int, values: Mapping[str, str]) -> bytes:
    """Return one place's bytes. Raises OSError if the values do not fit."""
    packed = zlib.compress(json.dumps(values).encode())
    octets = _HEAD.pack(_MAGIC, turn, len(packed), zlib.crc32(packed, turn & 0xFFFFFFFF)) + packed
    if len(octets) > PLACE_BYTES:
        raise OSError(27, "the values do not fit the slate")
    return octets


def _newest(path: Path | None) -> tuple[int, dict[str, str], int]:
    """Return the newest values of a file that are whole, behind their turn and before their place; turn 0: none."""
    found: tuple[int, dict[str, str], int] = (0, {}, 0)
    if path is None:
        return found
    with contextlib.suppress(OSError):
        octets = path.read_bytes()
        for place in (0, 1):
            turn, values = _parsed(octets[place * PLACE_BYTES : (place + 1) * PLACE_BYTES])
            if turn > found[0]:
                found = turn, values, place
    return found


def _parsed(octets: bytes) -> tuple[int, dict[str, str]]:
    if len(octets) < _HEAD.size:
        return 0, {}
    magic, turn, size, crc = _HEAD.unpack_from(octets)
    packed = octets[_HEAD.size : _HEAD.size + size]
    if magic != _MAGIC or len(packed) != size or zlib.crc32(packed, turn & 0xFFFFFFFF) != crc:
        return 0, {}
    try:
        values: dict[str, str] = json.loads(zlib.decompress(packed))
    except (zlib.error, ValueError):  # zeros behind the first word have a true sum: a page that was never written
        return 0, {}
    return turn, values


def _opened(path: Path) -> int:
    """Open the file at its full size, its blocks written once so that later writes move none. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size == 2 * PLACE_BYTES:
            return os.open(path, os.O_RDWR | os.O_CLOEXEC)
    partial = path.with_name(f"{NAME}.partial")
    with partial.open("wb") as file:
        file.write(bytes(2 * PLACE_BYTES))
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return os.open(path, os.O_RDWR | os.O_CLOEXEC)
