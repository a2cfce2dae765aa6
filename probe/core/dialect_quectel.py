"""Quectel modules (EC25, EG25, EP06, EC200, 5G): what to ask them, and how their lines are read.

Conversions: facts/05-hardware.md §1.3: +QENG prints plain dBm and dB, +QCSQ prints SINR as raw/5-20.
"""

from __future__ import annotations

import re

from probe.core.at_parse import (
    RAT_NAMES,
    area_code,
    bandwidth_khz,
    bare,
    cell_id,
    field_at,
    parse_temperature,
    plmn_of,
    scaled,
    split_fields,
    tenths,
    to_int,
)
from probe.core.dialect import COMMON_INIT, CPIN, PLAIN, REGISTRATION, Dialect, own
from probe.core.radio import Observation, Registration

_QENG_STATES: dict[str, Registration] = {"SEARCH": "searching", "LIMSRV": "limited"}


def parse_qeng(line: str) -> Observation:
    """+QENG="servingcell" (Quectel): levels are plain dBm and dB, no scaling; cell and area are hexadecimal.

    5G modules in dual connectivity print the state, the LTE cell and the NR cell on lines of their own.
    """
    fields = split_fields(line, "+QENG:")
    registration: Registration | None = None
    if bare(fields[0]) == "servingcell":
        registration = _QENG_STATES.get(bare(field_at(fields, 1)).upper())
        fields = fields[2:]
    rat = RAT_NAMES.get(bare(field_at(fields, 0)).upper())
    if rat == "LTE":
        return _qeng_lte(fields, registration)
    if rat == "UMTS":
        return _qeng_umts(fields, registration)
    if rat == "GSM":
        area, cell, rxlev = area_code(field_at(fields, 3)), cell_id(field_at(fields, 4)), tenths(field_at(fields, 8))
        plmn = plmn_of(field_at(fields, 1), field_at(fields, 2))
        return Observation(rat=rat, registration=registration, plmn=plmn, tac=area, eci=cell, rssi_dbm_x10=rxlev)
    if rat == "NR_NSA":
        rsrp = to_int(field_at(fields, 4))  # -32768 while the NR leg is configured but not in use
        return Observation(rat=rat if rsrp is not None and -156 <= rsrp <= -31 else None)
    return _qeng_nr(fields, registration) if rat == "NR_SA" else Observation(registration=registration)


def _qeng_lte(fields: list[str], registration: Registration | None) -> Observation:
    return Observation(
        rat="LTE",
        registration=registration,
        plmn=plmn_of(field_at(fields, 2), field_at(fields, 3)),
        eci=cell_id(field_at(fields, 4)),
        pci=to_int(field_at(fields, 5)),
        earfcn=to_int(field_at(fields, 6)),
        band=to_int(field_at(fields, 7)),
        bandwidth_khz=bandwidth_khz(field_at(fields, 9)),
        tac=area_code(field_at(fields, 10)),
        rsrp_dbm_x10=tenths(field_at(fields, 11)),
        rsrq_db_x10=tenths(field_at(fields, 12)),
        rssi_dbm_x10=tenths(field_at(fields, 13)),
        sinr_db_x10=tenths(field_at(fields, 14)),
    )


def _qeng_umts(fields: list[str], registration: Registration | None) -> Observation:
    return Observation(
        rat="UMTS",
        registration=registration,
        plmn=plmn_of(field_at(fields, 1), field_at(fields, 2)),
        tac=area_code(field_at(fields, 3)),
        eci=cell_id(field_at(fields, 4)),
        uarfcn=to_int(field_at(fields, 5)),
        psc=to_int(field_at(fields, 6)),
        rscp_dbm_x10=tenths(field_at(fields, 8)),
        ecio_db_x10=tenths(field_at(fields, 9)),
    )


def _qeng_nr(fields: list[str], registration: Registration | None) -> Observation:
    return Observation(
        rat="NR_SA",
        registration=registration,
        plmn=plmn_of(field_at(fields, 2), field_at(fields, 3)),
        eci=cell_id(field_at(fields, 4)),
        pci=to_int(field_at(fields, 5)),
        tac=area_code(field_at(fields, 6)),
        band=to_int(field_at(fields, 8)),
        rsrp_dbm_x10=tenths(field_at(fields, 10)),
        rsrq_db_x10=tenths(field_at(fields, 11)),
        sinr_db_x10=tenths(field_at(fields, 12)),
    )


def parse_qcsq(line: str) -> Observation:
    """+QCSQ (Quectel): LTE is RSSI, RSRP, SINR (raw/5-20 dB), RSRQ; some firmware prints RSSI without its sign."""
    fields = split_fields(line, "+QCSQ:")
    rat = RAT_NAMES.get(bare(fields[0]).upper())
    if rat == "LTE":
        return Observation(
            rat=rat,
            rssi_dbm_x10=tenths(field_at(fields, 1)),
            rsrp_dbm_x10=tenths(field_at(fields, 2)),
            sinr_db_x10=scaled(to_int(field_at(fields, 3)), 2, -200),
            rsrq_db_x10=tenths(field_at(fields, 4)),
        )
    if rat == "UMTS":
        rscp, ecio = tenths(field_at(fields, 2)), tenths(field_at(fields, 3))
        return Observation(rat=rat, rssi_dbm_x10=tenths(field_at(fields, 1)), rscp_dbm_x10=rscp, ecio_db_x10=ecio)
    return Observation(rat=rat, rssi_dbm_x10=tenths(field_at(fields, 1)) if rat == "GSM" else None)


def parse_qnwinfo(line: str) -> Observation:
    """+QNWINFO (Quectel): technology, PLMN, band name, channel.

    An NR line says nothing here: only +QENG tells NSA from SA.
    """
    fields = split_fields(line, "+QNWINFO:")
    rat = RAT_NAMES.get(bare(fields[0]).upper())
    if rat != "LTE":
        return Observation(rat=rat, plmn=plmn_of(field_at(fields, 1)) if rat else None)
    band = re.fullmatch(r"LTE BAND (\d+)", bare(field_at(fields, 2)).upper())
    return Observation(
        rat=rat,
        plmn=plmn_of(field_at(fields, 1)),
        band=int(band[1]) if band else None,
        earfcn=to_int(field_at(fields, 3)),
    )


QUECTEL = Dialect(
    name="quectel",
    words=("QUECTEL",),
    init=COMMON_INIT,
    queries=(
        *REGISTRATION,
        own('AT+QENG="servingcell"', "+QENG:", parse_qeng),
        own("AT+QCSQ", "+QCSQ:", parse_qcsq),
        own("AT+QNWINFO", "+QNWINFO:", parse_qnwinfo),
        *PLAIN,
        own("AT+QTEMP", "+QTEMP:", parse_temperature),
        CPIN,
    ),
    restart="AT+CFUN=1,1",
    iccid=("AT+QCCID", "+QCCID:"),
)
