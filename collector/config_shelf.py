"""Signed configurations for probes, as provisioning lays them down: `receive` publishes them, retained.

One file a probe, `<state>/config/<probe>.note`, renamed into place. The broker keeps nothing on disk, so after every
connection all of them are due again. The notes are signed elsewhere; this end has no key for them.
"""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

import msgspec

from wire.notes import MAX_NOTE_BYTES, Config
from wire.topics import PROBE_PATTERN

SUFFIX = ".note"
_PROBE = re.compile(PROBE_PATTERN)


class ConfigShelf:
    """What has not been published over the present connection yet."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._seen_ns: int | None = None
        self._published: dict[str, tuple[int, int]] = {}

    def reset(self) -> None:
        """Another connection: everything is due again."""
        self._seen_ns, self._published = None, {}

    def due(self) -> list[tuple[str, bytes]]:
        """Return (probe, note) of what is new, in order of names. Costs one `stat` while nothing changes."""
        try:
            changed_ns = self._folder.stat().st_mtime_ns
        except OSError:
            return []
        if changed_ns == self._seen_ns:
            return []
        found = [note for path in sorted(self._folder.glob(f"*{SUFFIX}")) if (note := self._read(path)) is not None]
        if not found:
            self._seen_ns = changed_ns
        return found

    def _read(self, path: Path) -> tuple[str, bytes] | None:
        with contextlib.suppress(OSError):
            stamp = path.stat()
            mark = (stamp.st_mtime_ns, stamp.st_ino)
            is_fit = _PROBE.fullmatch(path.stem) is not None and stamp.st_size <= MAX_NOTE_BYTES
            if is_fit and self._published.get(path.stem) != mark:
                return path.stem, path.read_bytes()
        return None

    def done(self, probe: str) -> None:
        """This probe's note was handed to the broker."""
        with contextlib.suppress(OSError):
            stamp = (self._folder / f"{probe}{SUFFIX}").stat()
            self._published[probe] = (stamp.st_mtime_ns, stamp.st_ino)


def held(folder: Path, probe: str) -> Config | None:
    """The configuration that was signed last for a probe, as it lies here; None if there is none."""
    try:
        return msgspec.json.decode((folder / f"{probe}{SUFFIX}").read_bytes().split(b"\n", 2)[1], type=Config)
    except (OSError, IndexError, msgspec.DecodeError):
        return None
