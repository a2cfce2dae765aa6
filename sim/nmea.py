"""NMEA 0183 sentences of a receiver that stands still: RMC, GGA, GSA and GSV, with a few metres of noise.

Pure: the time and the running number are passed in; the noise comes from a seed.
"""

from __future__ import annotations

import hashlib
import math
from datetime import datetime

ALTITUDE_M = 64.0
_GEOID_M = -27.5
_HDOP = 1.1
_METRES_PER_DEGREE = 111_320.0
_NOISE_M = 3.0
# Satellite, elevation and azimuth in degrees, C/N0 in dBHz: a usual sky over northern Viet Nam.
_SKY = (
    (2, 61, 32, 44),
    (5, 18, 214, 33),
    (6, 43, 118, 41),
    (12, 29, 301, 38),
    (17, 12, 63, 30),
    (19, 70, 187, 46),
    (24, 34, 249, 39),
    (25, 9, 338, 28),
)


def checksum(body: str) -> str:
    """XOR of the characters between $ and *, two hex digits. Source: NMEA 0183."""
    value = 0
    for character in body:
        value ^= ord(character)
    return f"{value:02X}"


def sentence(*fields: str) -> str:
    """Fields as one sentence with its checksum and CR LF."""
    body = ",".join(fields)
    return f"${body}*{checksum(body)}\r\n"


def noisy(lat: float, lon: float, seed: int, count: int) -> tuple[float, float]:
    """The position as the receiver sees it: at most 3 m off in each axis, the same for the same seed and count."""
    digest = hashlib.sha256(f"gps:{seed}:{count}".encode()).digest()
    north_m = (digest[0] / 255 - 0.5) * 2 * _NOISE_M
    east_m = (digest[1] / 255 - 0.5) * 2 * _NOISE_M
    return (
        lat + north_m / _METRES_PER_DEGREE,
        lon + east_m / (_METRES_PER_DEGREE * math.cos(math.radians(lat))),
    )


def coordinate(degrees: float, digits: int, letters: str) -> tuple[str, str]:
    """Degrees as (d)ddmm.mmmmm and its hemisphere; `digits` is 2 for latitude, 3 for longitude."""
    hundred_thousandths = round(abs(degrees) * 60 * 100_000)
    whole, minutes = divmod(hundred_thousandths, 60 * 100_000)
    text = f"{whole:0{digits}d}{minutes // 100_000:02d}.{minutes % 100_000:05d}"
    return text, letters[0] if degrees >= 0 else letters[1]


def burst(lat: float, lon: float, when: datetime, seed: int, count: int) -> str:
    """One second's sentences of a 3D fix at this place. `when` is UTC."""
    seen_lat, seen_lon = noisy(lat, lon, seed, count)
    place = (*coordinate(seen_lat, 2, "NS"), *coordinate(seen_lon, 3, "EW"))
    clock = when.strftime("%H%M%S.") + f"{when.microsecond // 10_000:02d}"
    used = [f"{satellite:02d}" for satellite, *_ in _SKY]
    dops = ("2.0", f"{_HDOP}", "1.7")
    gga = (
        "GPGGA",
        clock,
        *place,
        "1",
        f"{len(_SKY):02d}",
        f"{_HDOP}",
        f"{ALTITUDE_M}",
        "M",
        f"{_GEOID_M}",
        "M",
        "",
        "",
    )
    gsa = ("GPGSA", "A", "3", *used, *[""] * (12 - len(used)), *dops)
    rmc = ("GPRMC", clock, "A", *place, "0.02", "", when.strftime("%d%m%y"), "", "", "A")
    return sentence(*rmc) + sentence(*gga) + sentence(*gsa) + _gsv()


def _gsv() -> str:
    groups = [_SKY[at : at + 4] for at in range(0, len(_SKY), 4)]
    text = ""
    for number, group in enumerate(groups, start=1):
        cells = [f"{value:02d}" for satellite in group for value in satellite]
        text += sentence("GPGSV", str(len(groups)), str(number), f"{len(_SKY):02d}", *cells)
    return text
