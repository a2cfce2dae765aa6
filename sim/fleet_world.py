"""The country that a simulated fleet measures in: operators with their addresses, masts with their cells, sites.

Pure and seeded. Masts stand a few kilometres apart, tracking areas are squares of about 25 km, and what a probe hears
is log-distance loss with shadowing: near and far cells differ as they do on air.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, field

LAT_M, LON_M = 111_000.0, 103_500.0
"""Metres of a degree at 21.5 degrees north."""
SOUTH, WEST = 21.2, 105.2
AREA_M = 25_000.0
MAST_EVERY_M = 4_500.0
REGION_M = 140_000.0
PREFIXES = {
    "45204": ("100.64.0.0/12", "27.64.0.0/12"),
    "45202": ("100.80.0.0/12", "113.160.0.0/13"),
    "45201": ("100.96.0.0/12", "59.153.224.0/19"),
}
"""Address ranges of the simulated operators; `fixed_source` gives addresses outside all of them."""


@dataclass(frozen=True, slots=True)
class Mast:
    """A mast of one operator; `number` is its eNodeB id."""

    plmn: str
    number: int
    x_m: float
    y_m: float

    @property
    def tac(self) -> int:
        """Its tracking area: one a square of the map."""
        return 10_000 + int(self.x_m // AREA_M) * 100 + int(self.y_m // AREA_M) + int(self.plmn[-1]) * 1_000


@dataclass(frozen=True, slots=True)
class Heard:
    """A cell as heard at a place: its identity and its mean level, dBm."""

    plmn: str
    tac: int
    eci: int
    pci: int
    rsrp_dbm: float


@dataclass(frozen=True, slots=True)
class Spot:
    """A place of the region, metres from its south-west corner."""

    x_m: float
    y_m: float

    @property
    def lat_e7(self) -> int:
        """Latitude in 1e-7 degrees."""
        return round((SOUTH + self.y_m / LAT_M) * 1e7)

    @property
    def lon_e7(self) -> int:
        """Longitude in 1e-7 degrees."""
        return round((WEST + self.x_m / LON_M) * 1e7)


@dataclass(slots=True)
class Region:
    """All masts of a region, made from one seed."""

    seed: int
    masts: list[Mast] = field(default_factory=list)

    def __post_init__(self) -> None:
        dice = random.Random(f"{self.seed}/masts")  # noqa: S311 (a simulation, not a secret)
        number = 200_000
        for plmn in PREFIXES:
            steps = int(REGION_M // MAST_EVERY_M)
            for at in range(steps * steps):
                x, y = (at % steps + dice.random()) * MAST_EVERY_M, (at // steps + dice.random()) * MAST_EVERY_M
                self.masts.append(Mast(plmn, number, x, y))
                number += 1

    def heard(self, spot: Spot, plmn: str, count: int = 4) -> list[Heard]:
        """The strongest cells of an operator at a place, strongest first."""
        near = sorted((m for m in self.masts if m.plmn == plmn), key=lambda m: _away_m(m, spot))[: count * 2]
        cells = [_cell(mast, spot, self.seed) for mast in near]
        return sorted(cells, key=lambda cell: -cell.rsrp_dbm)[:count]

    def spot(self, dice: random.Random, margin_m: float = 20_000.0) -> Spot:
        """Somewhere inside the region."""
        return Spot(dice.uniform(margin_m, REGION_M - margin_m), dice.uniform(margin_m, REGION_M - margin_m))


def beside(spot: Spot, away_m: float, dice: random.Random) -> Spot:
    """A place about `away_m` from another one, inside the region if it can be."""
    for _ in range(50):
        angle = dice.uniform(0, 2 * math.pi)
        found = Spot(spot.x_m + away_m * math.cos(angle), spot.y_m + away_m * math.sin(angle))
        if 0 < found.x_m < REGION_M and 0 < found.y_m < REGION_M:
            return found
    return found


def _away_m(mast: Mast, spot: Spot) -> float:
    return math.hypot(mast.x_m - spot.x_m, mast.y_m - spot.y_m)


def _cell(mast: Mast, spot: Spot, seed: int) -> Heard:
    """One sector of a mast at a place; shadowing belongs to the pair of both and stays."""
    away_m = max(_away_m(mast, spot), 120.0)
    shadow = random.Random(f"{seed}/{mast.number}/{spot.x_m:.0f}/{spot.y_m:.0f}").gauss(0, 5)  # noqa: S311
    angle = math.degrees(math.atan2(spot.y_m - mast.y_m, spot.x_m - mast.x_m)) % 360
    sector = int(angle // 120)
    rsrp = -62.0 - 27 * math.log10(away_m / 120.0) + shadow
    return Heard(mast.plmn, mast.tac, mast.number * 256 + sector + 1, (mast.number * 3 + sector) % 504, rsrp)


def source(plmn: str, dice: random.Random) -> str:
    """An address out of an operator's first range, as a carrier's NAT shows it."""
    first = PREFIXES[plmn][0].partition("/")[0].split(".")
    return f"{first[0]}.{int(first[1]) + dice.randrange(16)}.{dice.randrange(256)}.{dice.randrange(1, 255)}"


def fixed_source(dice: random.Random) -> str:
    """An address of a fixed line."""
    return f"203.0.113.{dice.randrange(1, 255)}"
