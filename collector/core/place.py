"""Where a probe stood: unit codes and the surveyed position of its site; distance between two positions."""

from __future__ import annotations

import math
from dataclasses import dataclass

EARTH_RADIUS_M = 6_371_000


@dataclass(frozen=True, slots=True)
class Place:
    """Codes of the place where a probe stood at one moment; position None while the site is not surveyed."""

    province: str
    commune: str
    hamlet: str
    site: str
    lat_e7: int | None
    lon_e7: int | None


def distance_m(lat_a_e7: int, lon_a_e7: int, lat_b_e7: int, lon_b_e7: int) -> float:
    """Great-circle distance in metres, good to 0.5 % (haversine on a sphere)."""
    lat_a, lat_b = math.radians(lat_a_e7 / 1e7), math.radians(lat_b_e7 / 1e7)
    half_lat = (lat_b - lat_a) / 2
    half_lon = math.radians((lon_b_e7 - lon_a_e7) / 1e7) / 2
    chord = math.sin(half_lat) ** 2 + math.cos(lat_a) * math.cos(lat_b) * math.sin(half_lon) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(min(1.0, math.sqrt(chord)))
