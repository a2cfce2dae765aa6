"""By which interface records leave: the ways out in their order, the next one when one fails, home when it has stood.

Pure. Tests never leave by any of these: they are bound to the modem's link (`probe.devices.bound`).
Source: design §5 (Ways out).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

RETURN_MS = 3_600_000
"""A session by another way than the first is given up after an hour, to see whether the first is back."""


@dataclass(frozen=True, slots=True)
class Ways:
    """The ways out, best first; None leaves one to the routes. `at`: the one that is tried next, or used."""

    names: tuple[str | None, ...] = (None,)
    at: int = 0

    @property
    def current(self) -> str | None:
        """The interface of this way; None: as the routes say."""
        return self.names[self.at]

    @property
    def is_first(self) -> bool:
        """True at the best way: a round begins with it."""
        return self.at == 0

    def may_return(self, stood_ms: int) -> bool:
        """Whether a session that stood so long by another way is to be given up for the first one."""
        return not self.is_first and stood_ms >= RETURN_MS


def after(ways: Ways, *, has_stood: bool) -> Ways:
    """The way to try after a session ended: the first if it had stood for long, else the next in the round."""
    return replace(ways, at=0 if has_stood else (ways.at + 1) % len(ways.names))
