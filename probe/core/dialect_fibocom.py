"""Fibocom modules on two kinds of chip: Intel's (L850, L860: +XMCI, +XCESQ) and others (FM150, FM350: +GTCCINFO).

Conversions: facts/05-hardware.md §1.3. On Intel's chips +CSQ is RSRP in disguise, so it is not asked; their RSSNR has
no documented step, so it is kept raw. +CFUN=15 (restart) is from general knowledge: not seen.
"""

from __future__ import annotations

import re

from probe.core.at_parse import (
    AtParseError,
    area_code,
    bandwidth_khz,
    bare,
    cell_id,
    field_at,
    level,
    parse_temperature,
    plmn_of,
    scaled,
    split_fields,
    to_int,
)
from probe.core.bands import band_of
from probe.core.dialect import BEARER, CESQ, COMMON_INIT, CPIN, PLAIN, REGISTRATION, Dialect, own
from probe.core.radio import Observation

_NO_RSSNR = 255
_LTE_SERVING = 4


def parse_xmci(line: str) -> Observation:
    """+XMCI, one cell a line; type 4 is the serving LTE cell: PLMN, TAC, cell, PCI, EARFCNs (hexadecimal), levels."""
    fields = split_fields(line, "+XMCI:")
    if to_int(fields[0]) != _LTE_SERVING:
        return Observation()
    return Observation(
        rat="LTE",
        plmn=plmn_of(field_at(fields, 1), field_at(fields, 2)),
        tac=area_code(field_at(fields, 3)),
        eci=cell_id(field_at(fields, 4)),
        pci=to_int(field_at(fields, 5), 16),
        earfcn=to_int(field_at(fields, 6), 16),
        rsrp_dbm_x10=scaled(level(field_at(fields, 9), 97), 10, -1410),
        rsrq_db_x10=scaled(level(field_at(fields, 10), 34), 5, -200),
        rssnr_raw=_rssnr(field_at(fields, 11)),
    )


def parse_xcesq(line: str) -> Observation:
    """+XCESQ?: as +CESQ behind a leading setting, then the RSSNR."""
    fields = split_fields(line, "+XCESQ:")
    rsrq, rsrp = level(field_at(fields, 5), 34), level(field_at(fields, 6), 97)
    if rsrp is None and rsrq is None:
        return Observation()
    return Observation(
        rat="LTE",
        rsrp_dbm_x10=scaled(rsrp, 10, -1410),
        rsrq_db_x10=scaled(rsrq, 5, -200),
        rssnr_raw=_rssnr(field_at(fields, 7)),
    )


def parse_xlec(line: str) -> Observation:
    """+XLEC?: setting, number of carriers, a width index for each, the first one's band. The first is the anchor."""
    fields = split_fields(line, "+XLEC:")
    carriers = to_int(field_at(fields, 1))
    if not carriers:
        return Observation()
    names = (re.fullmatch(r"BAND_LTE_(\d+)", bare(field).upper()) for field in fields)
    band = next((found for found in names if found), None)
    width = bandwidth_khz(field_at(fields, 2))
    return Observation(rat="LTE" if band else None, band=int(band[1]) if band else None, bandwidth_khz=width)


def parse_gtccinfo(line: str) -> Observation:
    """+GTCCINFO?, one cell a line without prefix: "1,4" is the serving LTE cell; captions and neighbours say nothing.

    FM150 prints the EARFCN in hexadecimal, FM350 in decimal: the band (100 + n) tells which. The levels are left to
    +CESQ, whose scale is 3GPP's.
    """
    fields = [field.strip() for field in line.split(",")]
    if fields[0] != "1" or field_at(fields, 1) != "4":
        return Observation()
    if len(fields) < 12:
        raise AtParseError("+GTCCINFO line of a serving cell is cut short")
    band_plus = to_int(fields[8])
    band = band_plus - 100 if band_plus is not None and band_plus > 100 else None
    return Observation(
        rat="LTE",
        plmn=plmn_of(fields[2], fields[3].rjust(2, "0")),
        tac=area_code(fields[4]),
        eci=cell_id(fields[5]),
        earfcn=_earfcn(fields[6], band),
        band=band,
    )


def _earfcn(text: str, band: int | None) -> int | None:
    """Read a channel whose base is not known; None if both readings fit, or neither."""
    fitting = {n for base in (10, 16) if (n := to_int(text, base)) is not None and band_of(n) == band}
    return fitting.pop() if band is not None and len(fitting) == 1 else None


def _rssnr(text: str) -> int | None:
    value = to_int(text)
    return None if value == _NO_RSSNR else value


FIBOCOM_INTEL = Dialect(
    name="fibocom-intel",
    words=("L850", "L860"),
    init=COMMON_INIT,
    queries=(
        *REGISTRATION,
        own("AT+XMCI=0", "+XMCI:", parse_xmci),
        own("AT+XCESQ?", "+XCESQ:", parse_xcesq),
        own("AT+XLEC?", "+XLEC:", parse_xlec),
        *BEARER,
        CESQ,
        own("AT+MTSM=1", "+MTSM:", parse_temperature),
        CPIN,
    ),
    restart="AT+CFUN=15",
)
FIBOCOM = Dialect(
    name="fibocom",
    words=("FIBOCOM", "FM150", "FM350"),
    init=COMMON_INIT,
    queries=(*REGISTRATION, own("AT+GTCCINFO?", None, parse_gtccinfo), *PLAIN, CPIN),
    restart="AT+CFUN=15",
)
