"""Where a site stands, from many fixes: taken once at the installation, then only confirmed.

At least 60 good fixes over at least 5 minutes; the median of each coordinate, what lies beyond three median deviations
cut, and a radius that holds 95 % of the rest. Several paths of the signal at a fixed spot do not average out, so no
survey claims better than 10 m.
Source: facts note 05 §3.2; design §5, GPS.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from probe.core.tpv import EARTH_RADIUS_M, Fix

LEAST_FIXES = 60
LEAST_MS = 300_000
LEAST_SATS = 5
MOST_HDOP_X100 = 300
MOST_EPH_MM = 50_000
LEAST_RADIUS_MM = 10_000
LEAST_CUT_M = 1.0
_KEPT_FIXES = 7_200
"""Two hours of a fix a second: more is not better."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What has been collected: fixes that are good enough, when the first came (monotonic, ms), how many were not."""

    fixes: tuple[Fix, ...] = field(default=(), repr=False)
    began_ms: int | None = None
    last_ms: int = 0
    refused: int = 0


@dataclass(frozen=True, slots=True)
class Surveyed:
    """A site's position, WGS 84: `radius_mm` holds 95 % of the fixes kept; `window_ms` from the first to the last."""

    lat_e7: int
    lon_e7: int
    radius_mm: int
    fixes: int
    cut: int
    window_ms: int


def why_not(fix: Fix) -> str | None:
    """Say in a word why a fix is not good enough for a survey; None if it is."""
    if fix.fix_mode != 3:
        return "mode"
    if fix.sats_used is not None and fix.sats_used < LEAST_SATS:
        return "satellites"
    if fix.hdop_x100 is not None and fix.hdop_x100 > MOST_HDOP_X100:
        return "hdop"
    return "error" if fix.eph_mm is not None and fix.eph_mm > MOST_EPH_MM else None


def after(survey: Survey, fix: Fix | None, now_ms: int) -> Survey:
    """Add a fix read at `now_ms` (monotonic). One moment of the receiver is one fix; None changes nothing."""
    if fix is None or (survey.fixes and fix.t_ms is not None and fix.t_ms == survey.fixes[-1].t_ms):
        return survey
    if why_not(fix) is not None:
        return replace(survey, refused=survey.refused + 1)
    began_ms = now_ms if survey.began_ms is None else survey.began_ms
    return Survey((*survey.fixes, fix)[-_KEPT_FIXES:], began_ms, now_ms, survey.refused)


def share(survey: Survey) -> float:
    """Say how much of a survey is done, 0 to 1: the lesser of fixes and time."""
    seconds = 0 if survey.began_ms is None else survey.last_ms - survey.began_ms
    return min(1.0, len(survey.fixes) / LEAST_FIXES, seconds / LEAST_MS)


def result(survey: Survey) -> Surveyed | None:
    """Return the position; None before there is enough of it."""
    if share(survey) < 1.0 or survey.began_ms is None:
        return None
    lat = median(fix.lat_e7 for fix in survey.fixes)
    lon = median(fix.lon_e7 for fix in survey.fixes)
    off_m = _offsets(survey.fixes, lat, lon)
    limit_m = max(3 * median(off_m), LEAST_CUT_M)
    kept = [fix for fix, metres in zip(survey.fixes, off_m, strict=True) if metres <= limit_m]
    lat = round(median(fix.lat_e7 for fix in kept))
    lon = round(median(fix.lon_e7 for fix in kept))
    residuals = sorted(_offsets(kept, lat, lon))
    radius_mm = round(residuals[-(-len(residuals) * 95 // 100) - 1] * 1000)
    return Surveyed(
        lat_e7=lat,
        lon_e7=lon,
        radius_mm=max(radius_mm, LEAST_RADIUS_MM),
        fixes=len(kept),
        cut=len(survey.fixes) - len(kept),
        window_ms=survey.last_ms - survey.began_ms,
    )


def _offsets(fixes: Sequence[Fix], lat_e7: float, lon_e7: float) -> list[float]:
    """Metres from a point, on the plane that touches there."""
    north_m = math.radians(1e-7) * EARTH_RADIUS_M
    east_m = north_m * math.cos(math.radians(lat_e7 / 1e7))
    return [math.hypot((fix.lat_e7 - lat_e7) * north_m, (fix.lon_e7 - lon_e7) * east_m) for fix in fixes]
