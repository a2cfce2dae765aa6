"""How much one probe may send before it is told to wait: token buckets in bounded memory, without a clock of their own.

A message costs its bytes and something for itself. Over its rate a message is passed over: it is not stored and not
answered, so the probe sends it again from its spool, later. Nothing authentic is lost, and the others do not wait.
Source: facts note 08 §4 (per-probe token bucket), fault 19.
"""

from __future__ import annotations

from collections import OrderedDict

RATE_BYTES_S = 256 * 1024
"""What one probe may send for good: some 150 records a second; a probe makes two an hour."""
BURST_BYTES = 4 * 1024 * 1024
"""What it may send at once: a backlog of two months."""
MESSAGE_BYTES = 1024
"""What a message costs beside its bytes, so that empty ones are not free."""
MAX_BUCKETS = 20_000


class Throttle:
    """A bucket a sender, full at first sight; the one not seen for longest is forgotten when there are too many."""

    def __init__(self, rate_s: float = RATE_BYTES_S, burst: float = BURST_BYTES, most: int = MAX_BUCKETS) -> None:
        self._rate_s, self._burst, self._most = rate_s, burst, most
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._held)

    def admit(self, sender: str, size: int, now_s: float) -> bool:
        """Take a message's cost from its sender's bucket; False, and nothing taken, if there is not enough in it."""
        left, seen_s = self._held.pop(sender, (self._burst, now_s))
        left = min(self._burst, left + max(0.0, now_s - seen_s) * self._rate_s)
        cost = size + MESSAGE_BYTES
        admitted = left >= cost
        self._held[sender] = (left - cost if admitted else left, now_s)
        if len(self._held) > self._most:
            self._held.popitem(last=False)
        return admitted
