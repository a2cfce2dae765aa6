"""How often one may try to get in: sliding windows over tries that were written down, without a clock of its own.

Nobody can lock anybody out from elsewhere: a name is limited for each address, an address over all names, and a browser
that got in before stands beside both. A name that is tried from many addresses gets fewer tries at each unknown one,
never none. Source: facts note 08 §5 (login rate limit by account and IP).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address
from math import ceil

WINDOW_MS = 300_000
BUSY_WINDOW_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Limit:
    """So many tries in a window; a further one waits until the oldest of them has left it."""

    tries: int
    window_ms: int = WINDOW_MS

    def wait_s(self, times_ms: Sequence[int], now_ms: int) -> int:
        """Seconds to wait before the next try; 0 if it may be made now. `times_ms`: tries so far, in any order."""
        recent = sorted(t for t in times_ms if 0 <= now_ms - t < self.window_ms)
        if len(recent) < self.tries:
            return 0
        return ceil((recent[-self.tries] + self.window_ms - now_ms) / 1000)


PAIR = Limit(5)
PAIR_BUSY = Limit(2)
ADDRESS = Limit(30)
BUSY = Limit(50, BUSY_WINDOW_MS)
"""So many failures of one name, from anywhere, and it is under attack."""


def net_of(address: str) -> str:
    """The address as it is counted: IPv4 whole, IPv6 by its /64, which one customer has to himself."""
    try:
        found = ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, IPv6Address):
        return str(found.ipv4_mapped) if found.ipv4_mapped else f"{IPv6Address(int(found) >> 64 << 64)}/64"
    return str(found)


def login_wait_s(
    pair: Sequence[int], address: Sequence[int], name: Sequence[int], now_ms: int, *, is_known_device: bool
) -> int:
    """Seconds to wait. `pair`: tries of this name by this device or address; `address`, `name`: over all others.

    A known device is counted by itself alone: what comes from elsewhere, or from its neighbours, does not touch it.
    """
    if is_known_device:
        return PAIR.wait_s(pair, now_ms)
    limit = PAIR_BUSY if BUSY.wait_s(name, now_ms) else PAIR
    return max(limit.wait_s(pair, now_ms), ADDRESS.wait_s(address, now_ms))
