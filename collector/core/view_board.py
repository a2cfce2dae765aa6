"""The live board's classes: which tone a figure has, in words that i-Speed's readers know; and places made coarse.

Classes and colours are those of VNNIC's map for mobile downlink; a figure below the minimum n has no tone.
Source: facts note 01 §2 (map classes); facts note 06 §6 (privacy of public maps); design §8.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass

from collector.core.view_figures import N_MIN

CLASSES_MBPS = (40, 80, 120, 160, 200)
"""Upper ends of the classes; the sixth has none."""
COARSE_E7 = 100_000
"""A hundredth of a degree, about a kilometre: what a visitor without a login may know of a place."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A rate of `n` counted samples, and whether it is their median or their mean; `bps` None: there are none."""

    bps: float | None
    n: int
    is_median: bool

    @property
    def enough(self) -> bool:
        """Whether there are enough values to assess."""
        return self.n >= N_MIN and self.bps is not None

    @property
    def tone(self) -> str:
        """c0 to c5, or `few`: the class that gives its colour."""
        if not self.enough or self.bps is None:
            return "few"
        return f"c{bisect_left(CLASSES_MBPS, self.bps / 1e6)}"


def coarse(value_e7: int | None, exact: bool) -> int | None:
    """A coordinate as this reader may know it: as it is, or to a hundredth of a degree."""
    if value_e7 is None or exact:
        return value_e7
    return round(value_e7 / COARSE_E7) * COARSE_E7
