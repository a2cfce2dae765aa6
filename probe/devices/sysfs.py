"""The kernel's sysfs as a `Tree`, or any folder that looks like it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

ROOT = Path("/sys")


class Sysfs:
    """Reads below `root`. A device may vanish between two reads: what is gone is empty or None, nothing raises."""

    def __init__(self, root: Path = ROOT) -> None:
        self._root = root

    def names(self, path: str) -> Sequence[str]:
        """Names in a folder, sorted; empty if there is none."""
        try:
            return sorted(entry.name for entry in (self._root / path).iterdir())
        except OSError:
            return ()

    def text(self, path: str) -> str | None:
        """Contents of a file without the blanks around; None if it cannot be read."""
        try:
            return (self._root / path).read_text(encoding="utf-8", errors="replace").strip()
        except OSError:
            return None

    def target(self, path: str) -> str | None:
        """Last name of where a link leads; None if it is no link."""
        try:
            return (self._root / path).readlink().name
        except OSError:
            return None
