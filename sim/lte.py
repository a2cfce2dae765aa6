"""What a 4G cell is, in numbers, and how modems print those numbers.

Pure. Levels are dBm and dB; printed indices follow 3GPP TS 27.007 and 36.133 (see `facts/05-hardware.md` §1.3).
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

VIETTEL = "45204"
OPERATORS = {
    "45201": "MobiFone",
    "45202": "VINAPHONE",
    "45204": "Viettel",
    "45205": "Vietnamobile",
    "45207": "Gmobile",
}


@dataclass(frozen=True, slots=True)
class Band:
    """One E-UTRA band: first DL channel, last one, DL low edge and duplex distance in MHz (0 for TDD)."""

    number: int
    first_earfcn: int
    last_earfcn: int
    downlink_low_mhz: int
    duplex_mhz: int


# 3GPP TS 36.101, table 5.7.3-1: the bands on air in Vietnam and those of the recordings.
BANDS = (
    Band(1, 0, 599, 2110, 190),
    Band(2, 600, 1199, 1930, 80),
    Band(3, 1200, 1949, 1805, 95),
    Band(4, 1950, 2399, 2110, 400),
    Band(5, 2400, 2649, 869, 45),
    Band(7, 2750, 3449, 2620, 120),
    Band(8, 3450, 3799, 925, 45),
    Band(12, 5010, 5179, 729, 30),
    Band(20, 6150, 6449, 791, -41),
    Band(28, 9210, 9659, 758, 55),
    Band(38, 37750, 38249, 2570, 0),
    Band(39, 38250, 38649, 1880, 0),
    Band(40, 38650, 39649, 2300, 0),
    Band(41, 39650, 41589, 2496, 0),
    Band(66, 66436, 67335, 2110, 400),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """The serving cell as a modem at the site sees it. Levels dBm and dB, `ci` 28 bits, `plmn` five digits."""

    rsrp_dbm: float = -85.0
    rsrq_db: float = -10.0
    sinr_db: float = 15.0
    plmn: str = VIETTEL
    tac: int = 0x2F4B
    ci: int = 0x0A1B203
    pci: int = 214
    earfcn: int = 1300
    bandwidth_mhz: int = 20

    @property
    def rssi_dbm(self) -> float:
        """Wideband power in dBm: RSRQ = N x RSRP / RSSI (TS 36.214 §5.1.3), N resource blocks."""
        blocks = self.bandwidth_mhz * 5
        return self.rsrp_dbm - self.rsrq_db + 10 * math.log10(blocks)

    @property
    def operator(self) -> str:
        """Name that the network shows; the number itself where we do not know the name."""
        return OPERATORS.get(self.plmn, self.plmn)


def cell_at(place: str, rsrp_dbm: float, rsrq_db: float, sinr_db: float, plmn: str) -> Cell:
    """The cell that serves a place: its identity follows from the place's name, so that no two sites share one."""
    digest = hashlib.sha256(f"cell:{place}".encode()).digest()
    base_station = int.from_bytes(digest[:2]) | 0x1_0000
    return Cell(
        rsrp_dbm,
        rsrq_db,
        sinr_db,
        plmn,
        tac=0x2000 + digest[2],
        ci=base_station << 8 | digest[3] % 3 + 1,
        pci=int.from_bytes(digest[4:6]) % 504,
    )


def band_of(earfcn: int) -> Band:
    """Band of a downlink channel number. Raises ValueError if no band of the table holds it."""
    for band in BANDS:
        if band.first_earfcn <= earfcn <= band.last_earfcn:
            return band
    raise ValueError(f"EARFCN {earfcn} lies in no band of the table; take one of B1 to B41")


def downlink_mhz_x10(earfcn: int) -> int:
    """Carrier frequency of a downlink channel in tenths of a MHz."""
    band = band_of(earfcn)
    return band.downlink_low_mhz * 10 + earfcn - band.first_earfcn


def uplink_mhz_x10(earfcn: int) -> int:
    """Carrier frequency of the paired uplink channel in tenths of a MHz; the same one in TDD."""
    return downlink_mhz_x10(earfcn) - band_of(earfcn).duplex_mhz * 10


def uplink_earfcn(earfcn: int) -> int:
    """Uplink channel number paired with a downlink one (TS 36.101: offset 18000, B66 apart; TDD the same)."""
    band = band_of(earfcn)
    if band.duplex_mhz == 0:
        return earfcn
    return earfcn + (65536 if band.number == 66 else 18000)


def clamp(value: float, low: int, high: int) -> int:
    """Nearest whole number inside [low, high]."""
    return max(low, min(high, math.floor(value + 0.5)))


def csq(cell: Cell) -> int:
    """+CSQ index: -113 + 2n dBm, 0 to 31. Source: 3GPP TS 27.007 §8.5."""
    return clamp((cell.rssi_dbm + 113) / 2, 0, 31)


def faded(cell: Cell, rsrp_db: float, sinr_db: float) -> Cell:
    """The cell with levels so many dB off, within what a modem reports."""
    return replace(
        cell,
        rsrp_dbm=max(-138.0, min(-46.0, cell.rsrp_dbm + rsrp_db)),
        sinr_db=max(-20.0, min(30.0, cell.sinr_db + sinr_db)),
    )


def vary(cell: Cell, seed: int, tick: int) -> Cell:
    """The cell a moment later: levels move by at most 2 dB, the same for the same seed and tick."""
    digest = hashlib.sha256(f"{seed}:{tick}".encode()).digest()
    steps = [(byte / 255 - 0.5) * 2 for byte in digest[:3]]
    return replace(
        cell,
        rsrp_dbm=cell.rsrp_dbm + 2 * steps[0],
        rsrq_db=max(-20.0, min(-3.0, cell.rsrq_db + steps[1])),
        sinr_db=max(-20.0, min(30.0, cell.sinr_db + 2 * steps[2])),
    )
