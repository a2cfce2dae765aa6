"""SIMCom modules, two dialects of +CPSI: SIM7600 prints tenths, A76xx prints 3GPP indices.

Conversions: facts/05-hardware.md §1.3. The unit of RSSNR is unsettled: it is kept raw and never becomes a SINR.
"""

from __future__ import annotations

import re
from dataclasses import replace

from probe.core.at_parse import (
    RAT_NAMES,
    AtParseError,
    area_code,
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
from probe.core.dialect import COMMON_INIT, CPIN, PLAIN, REGISTRATION, Dialect, own
from probe.core.radio import Observation


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
        return replace(place, psc=psc, uarfcn=uarfcn)
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
    return replace(
        place,
        pci=to_int(field_at(fields, 5)),
        band=int(band[1]) if band else None,
        earfcn=to_int(field_at(fields, 7)),
        rsrp_dbm_x10=rsrp,
        rsrq_db_x10=rsrq,
        rssi_dbm_x10=rssi,
        rssnr_raw=rssnr,
    )


_QUERIES = (
    *REGISTRATION,
    own("AT+CPSI?", "+CPSI:", parse_cpsi),
    *PLAIN,
    own("AT+CPMUTEMP", "+CPMUTEMP:", parse_temperature),
    CPIN,
)
# A76xx calls its maker "INCORPORATED" without a name: its model tells it.
SIMCOM_A76 = Dialect(
    name="simcom-a76",
    words=("A7600", "A7602", "A7605", "A7608", "A7670", "A7672", "A7678", "A7683"),
    init=COMMON_INIT,
    queries=_QUERIES,
    restart="AT+CRESET",
    iccid=("AT+CICCID", "+ICCID:"),
)
SIMCOM = Dialect(
    name="simcom",
    words=("SIMCOM",),
    init=COMMON_INIT,
    queries=_QUERIES,
    restart="AT+CFUN=1,1",
    iccid=("AT+CICCID", "+ICCID:"),
)
