"""What is behind the door: one check that all phones of a visit look at, with the signal's last minute."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from probe.devices.link_walk import Way
from probe.examination import Ask, Examination, Seen
from probe.page.view import Level
from wire.errors import Refused, Unavailable

LEAST_S = 0.8
TREND = 60


class Room:
    """Looks at most once in 0.8 s, however many ask. Safe for several threads."""

    def __init__(self, ask: Ask, way: Way, monotonic: Callable[[], float]) -> None:
        self._ask, self._way, self._monotonic = ask, way, monotonic
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        self._examination = Examination(self._ask, self._way, wants_test=False)
        self._seen: Seen | None = None
        self._looked_s = float("-inf")
        self._levels: dict[str, deque[int | None]] = {}
        self._best: dict[str, int] = {}

    def enter(self) -> None:
        """A new visit begins: nothing of an earlier one is shown."""
        with self._lock:
            self._examination.close()
            self._begin()

    def close(self) -> None:
        """End the walk along the links."""
        self._examination.close()

    def test(self) -> None:
        """Ask for one short test of each modem."""
        with self._lock:
            self._examination.want_tests()
            self._looked_s = float("-inf")

    def look(self) -> tuple[Seen | None, dict[str, Level], str | None]:
        """What is seen, the signal of each modem, and why a test was not taken on; None, {} if the daemon is silent."""
        with self._lock:
            now_s = self._monotonic()
            if now_s - self._looked_s >= LEAST_S:
                self._looked_s = now_s
                self._seen = self._fresh()
            return self._seen, {name: self._level(name) for name in self._levels}, self._examination.refusal

    def _fresh(self) -> Seen | None:
        try:
            seen = self._examination.look()
        except (Unavailable, Refused):
            return None
        for name, level in seen.rsrp_dbm_x10.items():
            self._levels.setdefault(name, deque(maxlen=TREND)).append(level)
            if level is not None:
                self._best[name] = max(level, self._best.get(name, level))
        return seen

    def _level(self, name: str) -> Level:
        trend = tuple(self._levels[name])
        return Level(trend[-1], self._best.get(name), trend)
