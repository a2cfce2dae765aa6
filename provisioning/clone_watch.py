"""Reads the broker's log as it grows, and yields what looks like a cloned card.

The log is read by a process of its own: what others may write into it reaches no key.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from provisioning.core.takeover import Sign, State, read, step

LOOK_S = 0.5
MOST_LINE = 4096


def watch(path: Path | None) -> Iterator[Sign]:
    """Yield signs from a growing file (read from its beginning, followed when it is rotated), or standard input."""
    state = State()
    for line in _follow(path) if path is not None else sys.stdin:
        event = read(line[:MOST_LINE])
        if event is not None:
            state, signs = step(state, event, time.time())
            yield from signs


def _follow(path: Path) -> Iterator[str]:
    """The whole lines of a file, for ever."""
    place, inode, rest = 0, -1, ""
    while True:
        try:
            stat = path.stat()
            if stat.st_ino != inode or stat.st_size < place:
                place, inode, rest = 0, stat.st_ino, ""
            with path.open("rb") as file:
                file.seek(place)
                text = rest + file.read(1 << 20).decode("utf-8", "replace")
                place = file.tell()
        except FileNotFoundError:
            text = rest
        lines = text.split("\n")
        rest = lines.pop()[-MOST_LINE:]
        yield from lines
        if not lines:
            time.sleep(LOOK_S)
