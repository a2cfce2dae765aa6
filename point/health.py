"""The point's state for `/health` and for its own history: ok, busy (no place for one more test), or degraded.

Degraded means that within the last minute the point itself was the limit of what ran on it.
"""

from __future__ import annotations

from pathlib import Path

from point.desk import Desk
from point.history import History, Minute
from point.history_file import HistoryFile
from point.load import Load

_DEGRADED_S = 60.0


class Health:
    """The running minute, the day behind it, and one word for now. `folder` None keeps the day in memory only."""

    def __init__(self, load: Load, folder: Path | None, now_ms: int) -> None:
        self._load = load
        self.history = History()
        self.minute = Minute(now_ms)
        self._file = None if folder is None else HistoryFile(folder, self.history, now_ms)

    def end_minute(self, now_ms: int) -> Minute:
        """Put the running minute away and begin the next; returns the one that ended."""
        ended, self.minute = self.minute, Minute(now_ms)
        ended.lag_us_max = int(self._load.take_lag_s() * 1e6)
        self.history.add(ended)
        if self._file is not None:
            self._file.add(ended)
        return ended

    def state(self, desk: Desk | None, now_s: float) -> str:
        """`degraded`, `busy` or `ok`."""
        if self._load.unfit_since(now_s - _DEGRADED_S):
            return "degraded"
        return "ok" if desk is None or desk.has_room() else "busy"
