"""gpsd's reports to a fix, and the fix to a position.

gpsd repeats the last fix for ever when the receiver falls silent, and says mode 3 before it has a latitude; so a fix
counts only while its time moves, and only if everything that it needs is there.

Source: facts/05-hardware.md §3.1 and §3.2; gpsd_json(5): TPV, SKY, POLL.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

STALE_AFTER_S = 10.0
EARTH_RADIUS_M = 6_371_008.8
_UNKNOWN_DOP = 99.0
"""gpsd prints 99.99 for a dilution that it does not know."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fix:
    """One believed GNSS fix, WGS 84. None is "not told".

    `alt_mm`: above mean sea level, 3D fixes only. `eph_mm`: horizontal error, 95 %. `age_ms`: how long ago the
    receiver's time last moved. `t_ms`: GNSS time, milliseconds since 1970 UTC; not judged here.
    """

    lat_e7: int
    lon_e7: int
    alt_mm: int | None
    eph_mm: int | None
    fix_mode: Literal[2, 3]
    sats_used: int | None
    hdop_x100: int | None
    age_ms: int
    t_ms: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Where the probe stands, and the fix that confirms it.

    `surveyed_offset_m`: distance of the fix from the surveyed position; None without both.
    """

    lat_e7: int | None
    lon_e7: int | None
    position_source: Literal["surveyed", "gps", "none"]
    surveyed_offset_m: int | None
    fix: Fix | None


@dataclass(frozen=True, slots=True)
class Freshness:
    """What tells a living receiver from an old fix: the last fix seen, since when, and whether it ever moved.

    A first fix may be hours old, so nothing is fresh until a second one differs from it.
    """

    key: tuple[int | None, int, int] | None = None
    moved_at_s: float = 0.0
    has_moved: bool = False

    def after(self, fix: Fix | None, now_s: float) -> Freshness:
        """Return the state after one report, read at `now_s` on the monotonic clock. No fix begins anew."""
        if fix is None:
            return Freshness()
        # A receiver that tells no time still moves a little in place.
        key = (fix.t_ms, 0, 0) if fix.t_ms is not None else (None, fix.lat_e7, fix.lon_e7)
        if key == self.key:
            return self
        return Freshness(key, now_s, self.key is not None)

    def fresh(self, fix: Fix | None, now_s: float) -> Fix | None:
        """Return the fix with its age at `now_s`, or None if it stands still longer than 10 s or never moved."""
        if fix is None or not self.has_moved or now_s - self.moved_at_s > STALE_AFTER_S:
            return None
        return replace(fix, age_ms=max(0, round((now_s - self.moved_at_s) * 1000)))


def parse_poll(report: object) -> Fix | None:
    """Read gpsd's POLL report, as decoded from JSON; None without a believable fix. Never raises.

    Reports of several receivers are in the list; the best mode counts, the last of equals. `age_ms` is 0: only
    `Freshness` can know it.
    """
    if not isinstance(report, Mapping) or not report.get("active"):
        return None
    fixes = [tpv for tpv in _objects(report.get("tpv")) if _mode(tpv) is not None]
    if not fixes:
        return None
    tpv = max(reversed(fixes), key=lambda t: _mode(t) or 0)
    skies = _objects(report.get("sky"))
    own = [sky for sky in skies if sky.get("device") == tpv.get("device")]
    return parse_tpv(tpv, own[-1] if own else {})


def parse_tpv(tpv: Mapping[str, object], sky: Mapping[str, object]) -> Fix | None:
    """Read one TPV with the SKY of the same receiver (empty if there is none); None if it is no believable fix."""
    mode = _mode(tpv)
    lat_e7, lon_e7 = _scaled(tpv.get("lat"), 1e7, 90), _scaled(tpv.get("lon"), 1e7, 180)
    if mode is None or lat_e7 is None or lon_e7 is None or (lat_e7 == 0 and lon_e7 == 0):
        return None
    altitude = tpv.get("altMSL", tpv.get("alt")) if mode == 3 else None
    return Fix(
        lat_e7=lat_e7,
        lon_e7=lon_e7,
        alt_mm=_scaled(altitude, 1000, 20_000),
        eph_mm=_positive(_scaled(tpv.get("eph"), 1000, 100_000)),
        fix_mode=mode,
        sats_used=_sats_used(sky),
        hdop_x100=_positive(_scaled(sky.get("hdop"), 100, _UNKNOWN_DOP)),
        age_ms=0,
        t_ms=parse_time_ms(tpv.get("time")),
    )


def parse_time_ms(text: object) -> int | None:
    """Read gpsd's ISO 8601 time, with or without fraction; None if it is absent or unreadable."""
    if not isinstance(text, str):
        return None
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        return None
    return round(time.replace(tzinfo=time.tzinfo or UTC).timestamp() * 1000)


def _objects(part: object) -> list[Mapping[str, object]]:
    return [each for each in part if isinstance(each, Mapping)] if isinstance(part, Sequence) else []


def _mode(tpv: Mapping[str, object]) -> Literal[2, 3] | None:
    mode = tpv.get("mode")
    if mode == 3:
        return 3
    return 2 if mode == 2 else None


def _scaled(number: object, factor: float, limit: float) -> int | None:
    if isinstance(number, bool) or not isinstance(number, int | float):
        return None
    if not math.isfinite(number) or abs(number) > limit:
        return None
    return round(number * factor)


def _positive(value: int | None) -> int | None:
    return value if value is not None and value > 0 else None


def _sats_used(sky: Mapping[str, object]) -> int | None:
    count = _scaled(sky.get("uSat"), 1, 200)
    if count is not None and count >= 0:
        return count
    satellites = _objects(sky.get("satellites"))
    return sum(satellite.get("used") is True for satellite in satellites) if satellites else None


def distance_m(lat_a_e7: int, lon_a_e7: int, lat_b_e7: int, lon_b_e7: int) -> float:
    """Return the great-circle distance of two points in metres (haversine on a sphere; within 0.6 %)."""
    lat_a, lon_a, lat_b, lon_b = (math.radians(e7 / 1e7) for e7 in (lat_a_e7, lon_a_e7, lat_b_e7, lon_b_e7))
    half = math.sin((lat_b - lat_a) / 2) ** 2
    half += math.cos(lat_a) * math.cos(lat_b) * math.sin((lon_b - lon_a) / 2) ** 2
    return 2 * EARTH_RADIUS_M * math.asin(math.sqrt(min(1.0, half)))


def resolve(surveyed: tuple[int, int] | None, fix: Fix | None) -> Position:
    """Say where the probe stands. `surveyed`: the site's agreed (lat_e7, lon_e7), None if it was never surveyed.

    The surveyed position is the position; a fix only confirms it, by its distance.
    """
    if surveyed is not None:
        lat_e7, lon_e7 = surveyed
        offset_m = None if fix is None else round(distance_m(lat_e7, lon_e7, fix.lat_e7, fix.lon_e7))
        return Position(lat_e7=lat_e7, lon_e7=lon_e7, position_source="surveyed", surveyed_offset_m=offset_m, fix=fix)
    if fix is not None:
        return Position(lat_e7=fix.lat_e7, lon_e7=fix.lon_e7, position_source="gps", surveyed_offset_m=None, fix=fix)
    return Position(lat_e7=None, lon_e7=None, position_source="none", surveyed_offset_m=None, fix=None)
