"""The public files of a log: its tiles and its checkpoint, as static files that any web server can give.

A file appears whole or not at all, and is on disk before anything that depends on it.
Source: C2SP tlog-tiles; facts note 08 §3.2, order.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from collector.core.tiles import WIDTH, Tile, tile_path
from wire.errors import Unavailable

HASH_BYTES = 32


class TileFiles:
    """The folder of one log."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def write(self, tiles: Sequence[Tile]) -> None:
        """Put tiles on disk, each folder synced once. Raises Unavailable."""
        folders = {self._put(tile.path, b"".join(tile.hashes)) for tile in tiles}
        for folder in sorted(folders):
            _sync_folder(folder)

    def read(self, level: int, index: int, width: int) -> Sequence[bytes]:
        """Return at least `width` hashes of a tile: of the whole one if it is there. Raises Unavailable."""
        for path in (tile_path(level, index), tile_path(level, index, width)):
            try:
                raw = (self.folder / path).read_bytes()
            except FileNotFoundError:
                continue
            except OSError as error:
                raise Unavailable(f"cannot read {self.folder / path} ({error.strerror}); repair the disk") from error
            if width * HASH_BYTES <= len(raw) <= WIDTH * HASH_BYTES:
                return [raw[at : at + HASH_BYTES] for at in range(0, len(raw), HASH_BYTES)]
        raise Unavailable(
            f"{self.folder / tile_path(level, index, width)} is missing; put back the log folder of the newest backup"
        )

    def publish(self, checkpoint: bytes) -> None:
        """Put the newest checkpoint where everybody finds it."""
        _sync_folder(self._put("checkpoint", checkpoint))

    def put(self, name: str, raw: bytes) -> None:
        """Put another public file beside it."""
        _sync_folder(self._put(name, raw))

    def published(self) -> bytes | None:
        """The checkpoint that everybody sees; None before the first."""
        try:
            return (self.folder / "checkpoint").read_bytes()
        except OSError:
            return None

    def _put(self, path: str, raw: bytes) -> Path:
        target = self.folder / path
        beside = target.with_name(f".{target.name}.new")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            with beside.open("wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(target)
        except OSError as error:
            raise Unavailable(f"cannot write {target} ({error.strerror}); free or repair the disk") from error
        return target.parent


def _sync_folder(folder: Path) -> None:
    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise Unavailable(f"cannot sync {folder} ({error.strerror}); repair the disk") from error
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
