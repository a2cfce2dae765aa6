"""The history on disk: one line appended a minute, so that the loop never waits for a disk longer than for one write.

A write that fails costs a log line and nothing else: measuring goes on.
"""

from __future__ import annotations

import logging
from pathlib import Path

from point.history import MINUTES_KEPT, History, Minute, line_of
from wire.errors import Misconfigured

log = logging.getLogger("point")


class HistoryFile:
    """`health.jsonl` in the point's state folder. Raises Misconfigured if the folder cannot be used."""

    def __init__(self, folder: Path, history: History, now_ms: int) -> None:
        self._path = folder / "health.jsonl"
        self._history = history
        self._appended = 0
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if self._path.exists():
                history.load(self._path.read_text(encoding="utf-8", errors="replace"), now_ms)
            self._rewrite()
        except OSError as error:
            raise Misconfigured(f"point.state_dir = {str(folder)!r}: cannot use it ({error.strerror})") from error

    def add(self, minute: Minute) -> None:
        """Append a finished minute; once a day the file is cut back to a day."""
        try:
            if self._appended >= MINUTES_KEPT:
                self._rewrite()
            else:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line_of(minute))
                self._appended += 1
        except OSError as error:
            log.warning("cannot write %s: %s; free the disk, health history is kept in memory", self._path, error)

    def _rewrite(self) -> None:
        partial = self._path.with_suffix(".partial")
        partial.write_text(self._history.text(), encoding="utf-8")
        partial.replace(self._path)
        self._appended = 0
