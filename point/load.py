"""How the point itself does: how late its loop runs, how busy it is, how much it carries; and when it was unfit.

A test that overlaps an unfit stretch was limited by the point, not by the network, and its receipts are refused.
Unfit is: the loop ran late by `LAG_LIMIT_S` or more (paused, or starved of the processor); hardly ever idle in two
windows running (the processor was the limit); or at the capacity of the point's own link.
Pure: times are given, monotonic seconds. Source: facts note 03 §6, "Honesty rules".
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

WINDOW_S = 0.1
SETTLE_S = 2.5 * WINDOW_S
LAG_LIMIT_S = 0.1
"""Socket buffers cover shorter stops: in the bench's fleet links of 2 to 40 Mbit/s kept their rate through 0.4 s."""

IDLE_LIMIT = 0.03
CAPACITY_SHARE = 0.95
SECOND_S = 0.95  # shorter bursts into socket buffers are no full link
_WINDOWS_KEPT = 12
_STRETCHES_KEPT = 1024
_JOIN_S = 0.5


@dataclass(frozen=True, slots=True)
class Unfit:
    """A stretch in which the point was the limit; `why` is `late`, `processor` or `link`."""

    from_s: float
    to_s: float
    why: str


class Load:
    """Fed by the loop; asked by admission, receipts and health."""

    def __init__(self, capacity_bps: int, now_s: float) -> None:
        self._capacity_bytes = capacity_bps / 8
        self._window_from_s = now_s
        self._idle_s = 0.0
        self._sent_bytes = self._received_bytes = 0
        self._was_full = False
        self._windows: deque[tuple[float, int, int]] = deque(maxlen=_WINDOWS_KEPT)
        self._unfit: deque[Unfit] = deque(maxlen=_STRETCHES_KEPT)
        self.lag_s_max = 0.0

    def moved(self, sent_bytes: int, received_bytes: int) -> None:
        """Bytes that went through the point's sockets."""
        self._sent_bytes += sent_bytes
        self._received_bytes += received_bytes

    def waited(self, from_s: float, until_s: float, due_s: float) -> None:
        """The loop slept from `from_s` to `until_s` and had meant to be awake by `due_s`."""
        self._idle_s += until_s - from_s
        lag_s = until_s - due_s
        self.lag_s_max = max(self.lag_s_max, lag_s)
        if lag_s >= LAG_LIMIT_S:
            self._mark(due_s, until_s, "late")

    def take_lag_s(self) -> float:
        """Greatest lag since this was last asked."""
        lag_s, self.lag_s_max = self.lag_s_max, 0.0
        return lag_s

    @property
    def used_bps(self) -> int:
        """Bits a second of the busier direction over the last second."""
        length_s, busier_bytes = self._last_second()
        return int(8 * busier_bytes / length_s) if length_s else 0

    def unfit_within(self, from_s: float, to_s: float) -> str | None:
        """Why the point was unfit at some time between the two; None if it never was.

        Final once `SETTLE_S` has passed after `to_s`.
        """
        for stretch in reversed(self._unfit):
            if stretch.from_s < to_s and stretch.to_s > from_s:
                return stretch.why
        return None

    def unfit_since(self, from_s: float) -> bool:
        """Whether the point was unfit at some time after `from_s`."""
        return bool(self._unfit) and self._unfit[-1].to_s > from_s

    def window_is_due(self, now_s: float) -> bool:
        """Whether `end_window` shall be called, once all that moved has been told."""
        return now_s - self._window_from_s >= WINDOW_S

    def end_window(self, now_s: float) -> None:
        """Judge the window that ends now and begin the next."""
        length_s = now_s - self._window_from_s
        self._windows.append((length_s, self._sent_bytes, self._received_bytes))
        full = self._idle_s / length_s < IDLE_LIMIT
        if full and self._was_full:
            self._mark(now_s - 2 * length_s, now_s, "processor")
        second_s, busier_bytes = self._last_second()
        if second_s >= SECOND_S and busier_bytes / second_s >= CAPACITY_SHARE * self._capacity_bytes:
            self._mark(self._window_from_s, now_s, "link")
        self._was_full = full
        self._window_from_s, self._idle_s = now_s, 0.0
        self._sent_bytes = self._received_bytes = 0

    def _last_second(self) -> tuple[float, int]:
        """Length of the newest windows that make up a second, and the bytes of their busier direction."""
        length_s, sent_bytes, received_bytes = 0.0, 0, 0
        for window_s, sent, received in reversed(self._windows):
            length_s, sent_bytes, received_bytes = length_s + window_s, sent_bytes + sent, received_bytes + received
            if length_s >= SECOND_S:
                break
        return length_s, max(sent_bytes, received_bytes)

    def _mark(self, from_s: float, to_s: float, why: str) -> None:
        """Add a stretch, or lengthen the last one of the same kind.

        So what is kept reaches back `_STRETCHES_KEPT` times `_JOIN_S` or more: longer than any test can be asked after.
        """
        if self._unfit and self._unfit[-1].why == why and self._unfit[-1].to_s + _JOIN_S >= from_s:
            from_s = min(from_s, self._unfit.pop().from_s)
        self._unfit.append(Unfit(from_s, to_s, why))
