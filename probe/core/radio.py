"""What a modem says about its radio: the value that every backend yields, and what is made of it.

`Observation` is what one line says; `accept` puts it through the plausibility gate and makes a `RadioReading` of it;
`merge` joins the readings of one poll; `summarise` joins the polls of one test.

None is "unknown" everywhere. Levels are tenths of dBm or dB as integers. Source of the gate: facts/05-hardware.md §1.3.
"""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Literal

from probe.core.bands import BANDS, band_of

Rat = Literal["LTE", "UMTS", "GSM", "NR_NSA", "NR_SA"]
Registration = Literal["home", "roaming", "searching", "denied", "not_registered", "limited", "unknown"]
Sim = Literal["ready", "absent", "busy", "pin", "puk", "wrong", "unknown"]
Pdp = Literal["up", "down"]
OutageCause = Literal[
    "no_sim",
    "sim_locked",
    "sim_puk",
    "wrong_sim",
    "denied",
    "searching",
    "not_registered",
    "limited_service",
    "no_pdp",
    "not_lte",
]
FOURTH_GENERATION: frozenset[Rat] = frozenset({"LTE", "NR_NSA", "NR_SA"})

RAW_LIMIT = 512

_LTE_LIMITS: dict[str, tuple[int, int]] = {
    "rsrp_dbm_x10": (-1400, -440),
    "rsrq_db_x10": (-340, 25),
    "sinr_db_x10": (-200, 300),
    "pci": (0, 503),
    "bandwidth_khz": (1400, 20_000),
}
_LIMITS: dict[str, tuple[int, int]] = _LTE_LIMITS | {
    "rssi_dbm_x10": (-1200, -250),
    "rscp_dbm_x10": (-1210, -240),
    "ecio_db_x10": (-245, 0),
    "temp_c_x10": (-400, 1250),
    "tac": (1, 2**24 - 1),
    "eci": (0, 2**36 - 1),
}
_NR_LIMITS = {"pci": (0, 1007), "bandwidth_khz": (1400, 400_000)}
_PLMN = re.compile(r"(?!000)\d{5,6}")  # MCC 000 is a placeholder
_IDENTIFIER = re.compile(r"\d{15,}")

# Usable service outranks everything: CREG may say 0, 3 or 6 while CEREG says 1 (facts/05-hardware.md §1.4 rule 8).
_RANK: tuple[Registration, ...] = (
    "home",
    "roaming",
    "denied",
    "limited",
    "searching",
    "not_registered",
    "unknown",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What one information line says, converted but not yet believed.

    `tac`, `eci`: area code and cell identity, LAC and CI on 2G and 3G. `psc`, `uarfcn`, `rscp_dbm_x10`, `ecio_db_x10`
    are 3G's and never leave as LTE figures. `rssnr_raw`: SIMCom's and Intel's, whose unit is unsettled, so it is no
    SINR. `pdp`: whether the data context is up.
    """

    rat: Rat | None = None
    registration: Registration | None = None
    plmn: str | None = None
    operator_name: str | None = None
    tac: int | None = None
    eci: int | None = None
    pci: int | None = None
    earfcn: int | None = None
    band: int | None = None
    bandwidth_khz: int | None = None
    rsrp_dbm_x10: int | None = None
    rsrq_db_x10: int | None = None
    sinr_db_x10: int | None = None
    rssi_dbm_x10: int | None = None
    psc: int | None = None
    uarfcn: int | None = None
    rscp_dbm_x10: int | None = None
    ecio_db_x10: int | None = None
    rssnr_raw: int | None = None
    sim: Sim | None = None
    pdp: Pdp | None = None
    temp_c_x10: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioReading:
    """One poll of a modem. Every figure is plausible or None.

    `tac`, `eci`: on 2G and 3G the LAC and the cell identity. `pci`, `earfcn`, `band` and the reference-signal levels
    are only there on LTE and NR; with NR_NSA they are the LTE anchor's. `raw`: only lines whose reading was refused,
    joined by " | ", at most 512 printable characters, long digit runs masked. `is_wrong_sim`: another SIM than the
    settings name; None if that is not known. `card_ref`: a hash by which a changed card is told. `pdp`: whether the
    data context is up. None of the three stands in a record.
    """

    rat: Rat | None = None
    registration: Registration | None = None
    plmn: str | None = None
    tac: int | None = None
    eci: int | None = None
    pci: int | None = None
    earfcn: int | None = None
    band: int | None = None
    bandwidth_khz: int | None = None
    rsrp_dbm_x10: int | None = None
    rsrq_db_x10: int | None = None
    sinr_db_x10: int | None = None
    rssi_dbm_x10: int | None = None
    sim: Sim | None = None
    pdp: Pdp | None = None
    temp_c_x10: int | None = None
    is_wrong_sim: bool | None = None
    card_ref: str | None = None
    raw: str | None = None

    @property
    def is_registered(self) -> bool:
        """True if the network serves the modem, at home or roaming."""
        return self.registration in ("home", "roaming")


@dataclass(frozen=True, slots=True, kw_only=True)
class RadioSummary:
    """The polls of one test. Medians are measured values (the lower of two middle ones); None where no poll had one."""

    polls: int
    polls_registered: int
    rsrp_dbm_x10_min: int | None
    rsrp_dbm_x10_median: int | None
    rsrp_dbm_x10_max: int | None
    rsrq_db_x10_median: int | None
    sinr_db_x10_median: int | None
    cell_changes: int


def accept(seen: Observation, line: str) -> RadioReading:
    """Put what a line says through the plausibility gate.

    A figure outside its range becomes None, never 0, and the line goes into `raw`. An EARFCN that lies in no band is
    refused; one that does settles the band, whatever the modem prints.
    """
    believed = _believed(seen)
    is_refused = any(getattr(seen, f.name) is not None and getattr(believed, f.name) is None for f in fields(seen))
    is_cellular = believed.rat not in ("UMTS", "GSM")
    kept = {
        f.name: getattr(believed, f.name)
        for f in fields(RadioReading)
        if f.name not in ("raw", "is_wrong_sim", "card_ref")
        and (is_cellular or f.name not in (*_LTE_LIMITS, "earfcn", "band"))
    }
    return RadioReading(raw=mask_raw((line,)) if is_refused else None, **kept)


def _believed(seen: Observation) -> Observation:
    limits = _LIMITS | (_NR_LIMITS if seen.rat == "NR_SA" else {})
    bad: dict[str, None] = {
        name: None
        for name, (low, high) in limits.items()
        if (value := getattr(seen, name)) is not None and not low <= value <= high
    }
    if seen.plmn is not None and _PLMN.fullmatch(seen.plmn) is None:
        bad["plmn"] = None
    return replace(_with_band(seen), **bad)


def _with_band(seen: Observation) -> Observation:
    if seen.rat == "NR_SA":
        return seen
    if seen.earfcn is None:
        return seen if seen.band is None or seen.band in BANDS else replace(seen, band=None)
    band = band_of(seen.earfcn)
    return replace(seen, band=band, earfcn=None if band is None else seen.earfcn)


def mask_raw(lines: Iterable[str]) -> str | None:
    """Join refused lines for the record: printable ASCII, long digit runs masked, cut at 512; None without lines."""
    joined = " | ".join(line for line in lines if line)
    printable = "".join(c if " " <= c <= "~" else "?" for c in joined)
    return _IDENTIFIER.sub(lambda run: "#" * len(run[0]), printable)[:RAW_LIMIT] or None


def merge(readings: Iterable[RadioReading]) -> RadioReading:
    """Join what several lines of one poll say; what was said first counts, with five exceptions.

    The best registration counts, since data may be served while voice is not. NR_NSA beats LTE: the LTE lines of a
    modem in dual connectivity do not mention it, and a sheet that says "4G only" must know. The hottest sensor counts.
    A bearer that one line calls up is up: modems list contexts that the host does not use.
    A SIM that asks for a code is there, though Huawei's ^SYSINFOEX may say 255 ("none") until the code was given.
    """
    parts = tuple(readings)
    registrations = [part.registration for part in parts if part.registration is not None]
    first = {
        f.name: next((value for part in parts if (value := getattr(part, f.name)) is not None), None)
        for f in fields(RadioReading)
    }
    first["registration"] = min(registrations, key=_RANK.index, default=None)
    first["sim"] = next((part.sim for part in parts if part.sim in ("pin", "puk", "wrong")), first["sim"])
    if any(part.rat == "NR_NSA" for part in parts):
        first["rat"] = "NR_NSA"
    if any(part.pdp == "up" for part in parts):
        first["pdp"] = "up"
    first["temp_c_x10"] = max((part.temp_c_x10 for part in parts if part.temp_c_x10 is not None), default=None)
    first["raw"] = mask_raw(part.raw for part in parts if part.raw is not None)
    return RadioReading(**first)


def summarise(readings: Sequence[RadioReading]) -> RadioSummary:
    """Summarise the polls made while a test ran, oldest first; a poll may be all None.

    A cell change is a different (PLMN, area, cell) than at the last poll that knew its cell.
    """
    rsrp = [r.rsrp_dbm_x10 for r in readings if r.rsrp_dbm_x10 is not None]
    cells = [(r.plmn, r.tac, r.eci) for r in readings if r.eci is not None]
    return RadioSummary(
        polls=len(readings),
        polls_registered=sum(r.is_registered for r in readings),
        rsrp_dbm_x10_min=min(rsrp, default=None),
        rsrp_dbm_x10_median=_median(rsrp),
        rsrp_dbm_x10_max=max(rsrp, default=None),
        rsrq_db_x10_median=_median([r.rsrq_db_x10 for r in readings]),
        sinr_db_x10_median=_median([r.sinr_db_x10 for r in readings]),
        cell_changes=sum(a != b for a, b in pairwise(cells)),
    )


def _median(values: Sequence[int | None]) -> int | None:
    known = [value for value in values if value is not None]
    return statistics.median_low(known) if known else None


def outage_cause(reading: RadioReading) -> OutageCause | None:
    """Say why the modem gives no service, or not the one that is measured; None if it does, or nothing is known.

    Signal without service is `limited_service`, not "no signal"; service without a data context is `no_pdp`, service
    of another generation `not_lte`. A SIM that is still starting ("busy") is no cause. A SIM locked to another network
    counts as locked: only a person can cure it.
    """
    if (of_sim := _sim_cause(reading)) is not None:
        return of_sim
    if reading.registration == "limited":
        return "limited_service"
    if reading.registration in ("denied", "searching", "not_registered"):
        return reading.registration
    if not reading.is_registered:
        return None
    if reading.pdp == "down":
        return "no_pdp"
    return None if reading.rat is None or reading.rat in FOURTH_GENERATION else "not_lte"


def _sim_cause(reading: RadioReading) -> OutageCause | None:
    if reading.sim == "absent":
        return "no_sim"
    if reading.sim == "puk":
        return "sim_puk"
    if reading.sim in ("pin", "wrong"):
        return "sim_locked"
    return "wrong_sim" if reading.is_wrong_sim else None
