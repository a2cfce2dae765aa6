"""Information lines in the dialects of Huawei, Quectel and SIMCom, each to an `Observation`.

The rules of `probe.core.at_parse` hold here too. The forms are those of the recorded transcripts; conversions:
facts/05-hardware.md §1.3.
"""

from __future__ import annotations

import re

from probe.core.at_parse import (
    RAT_NAMES,
    AtParseError,
    area_code,
    bare,
    cell_id,
    field_at,
    level,
    plmn_of,
    scaled,
    split_fields,
    tenths,
    to_int,
)
from probe.core.radio import Observation, Registration, Sim

# The states between say only that CPIN knows better.
_HUAWEI_SIM: dict[int, Sim] = {1: "ready", 255: "absent"}
_QENG_STATES: dict[str, Registration] = {"SEARCH": "searching", "LIMSRV": "limited"}


def parse_hcsq(line: str) -> Observation:
    """^HCSQ (Huawei): LTE is RSSI, RSRP, SINR, RSRQ in that order; 0 is below the scale, 255 unknown."""
    fields = split_fields(line, "^HCSQ:")
    rat = RAT_NAMES.get(bare(fields[0]).upper())
    a, b = level(field_at(fields, 1), 96), level(field_at(fields, 2), 97)
    if rat == "LTE":
        return Observation(
            rat=rat,
            rssi_dbm_x10=scaled(a, 10, -1210),
            rsrp_dbm_x10=scaled(b, 10, -1410),
            sinr_db_x10=scaled(level(field_at(fields, 3), 251), 2, -202),
            rsrq_db_x10=scaled(level(field_at(fields, 4), 34), 5, -200),
        )
    if rat == "UMTS":
        ecio = scaled(level(field_at(fields, 3), 65), 5, -325)
        return Observation(
            rat=rat, rssi_dbm_x10=scaled(a, 10, -1210), rscp_dbm_x10=scaled(b, 10, -1210), ecio_db_x10=ecio
        )
    return Observation(rat=rat, rssi_dbm_x10=scaled(a, 10, -1210) if rat else None)


def parse_sysinfoex(line: str) -> Observation:
    """^SYSINFOEX (Huawei): service, domain, roaming, SIM, lock, system mode number and name, submode.

    A service that is restricted, or has no packet domain, is `limited`: there is signal and no data.
    """
    fields = split_fields(line, "^SYSINFOEX:")
    service, domain, roaming, sim = (to_int(field_at(fields, i)) for i in range(4))
    return Observation(
        registration=_huawei_registration(service, domain, roaming),
        sim=None if sim is None else _HUAWEI_SIM.get(sim),
        rat=RAT_NAMES.get(bare(field_at(fields, 6)).upper()),
    )


def _huawei_registration(service: int | None, domain: int | None, roaming: int | None) -> Registration | None:
    if domain == 4:
        return "searching"
    if service in (1, 3) or (service == 2 and domain == 1):
        return "limited"
    if service == 2:
        return "roaming" if roaming == 1 else "home"
    return "not_registered" if service == 0 else None


def parse_hfreqinfo(line: str) -> Observation:
    """^HFREQINFO (Huawei): <n>, system mode (6 is LTE), band, downlink channel, then frequencies and widths."""
    fields = split_fields(line, "^HFREQINFO:")
    if to_int(field_at(fields, 1)) != 6:
        return Observation()
    return Observation(rat="LTE", band=to_int(field_at(fields, 2)), earfcn=to_int(field_at(fields, 3)))


def parse_monsc(line: str) -> Observation:
    """^MONSC (Huawei modules), LTE: MCC, MNC, EARFCN, then cell, PCI and TAC in hexadecimal, RSRP, RSRQ, RSSI."""
    fields = split_fields(line, "^MONSC:")
    rat = RAT_NAMES.get(bare(fields[0]).upper())
    if rat != "LTE":
        return Observation(rat=rat)
    return Observation(
        rat=rat,
        plmn=plmn_of(field_at(fields, 1), field_at(fields, 2)),
        earfcn=to_int(field_at(fields, 3)),
        eci=cell_id(field_at(fields, 4)),
        pci=to_int(field_at(fields, 5), 16),
        tac=area_code(field_at(fields, 6)),
        rsrp_dbm_x10=tenths(field_at(fields, 7)),
        rsrq_db_x10=tenths(field_at(fields, 8)),
        rssi_dbm_x10=tenths(field_at(fields, 9)),
    )


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


def parse_cpsi(line: str) -> Observation:
    """+CPSI? (SIMCom): area hexadecimal, cell decimal, then levels in one of three dialects.

    SIM7600 prints tenths, A76xx prints 3GPP indices, NB-IoT prints whole dB: sign and size of RSRP tell which.
    Raises AtParseError for the line of zeros that is printed while the modem changes cell.
    """
    fields = split_fields(line, "+CPSI:")
    system = bare(fields[0]).upper()
    rat = RAT_NAMES.get(system)
    plmn = plmn_of(bare(field_at(fields, 2)).replace("-", ""))
    place = Observation(rat=rat, plmn=plmn, tac=area_code(field_at(fields, 3)), eci=cell_id(field_at(fields, 4), 10))
    if rat == "UMTS":
        psc, uarfcn = to_int(field_at(fields, 6)), to_int(field_at(fields, 7))
        return Observation(rat=rat, plmn=plmn, tac=place.tac, eci=place.eci, psc=psc, uarfcn=uarfcn)
    return _cpsi_lte(fields, place) if system.startswith("LTE") else place


def _cpsi_lte(fields: list[str], place: Observation) -> Observation:
    rsrq, rsrp, rssi, rssnr = (to_int(field_at(fields, i)) for i in range(10, 14))
    if to_int(field_at(fields, 7)) == 0xFFFFFFFF or rsrp == 0:
        raise AtParseError("+CPSI line printed between two cells")
    if rsrp is not None and rsrp > 0:
        rsrp, rsrq, rssi = scaled(level(str(rsrp), 97), 10, -1410), scaled(rsrq, 5, -200), None
    elif rsrp is not None and rsrp > -440:
        rsrp, rsrq, rssi = 10 * rsrp, scaled(rsrq, 10, 0), scaled(rssi, 10, 0)
    band = re.fullmatch(r"EUTRAN-BAND(\d+)", bare(field_at(fields, 6)).upper())
    return Observation(
        rat=place.rat,
        plmn=place.plmn,
        tac=place.tac,
        eci=place.eci,
        pci=to_int(field_at(fields, 5)),
        band=int(band[1]) if band else None,
        earfcn=to_int(field_at(fields, 7)),
        rsrp_dbm_x10=rsrp,
        rsrq_db_x10=rsrq,
        rssi_dbm_x10=rssi,
        rssnr_raw=rssnr,
    )


def parse_temperature(line: str) -> Observation:
    """+QTEMP, +CPMUTEMP (whole degrees Celsius) and ^CHIPTEMP (tenths, whole where small): the hottest sensor.

    Sensors that a model lacks read -273, 255 or 65535 and are left out.
    """
    fields = split_fields(line, "+QTEMP:", "+CPMUTEMP:", "^CHIPTEMP:")
    readings = [value for value in map(to_int, fields) if value is not None]
    if not readings:
        raise AtParseError("no temperature in the line")
    is_chip = line.startswith("^")
    x10 = [value if is_chip and abs(value) > 125 else 10 * value for value in readings]
    return Observation(temp_c_x10=max((t for t in x10 if -400 <= t <= 1250), default=None))
