"""ZTE modules that have an AT port: what to ask them, and how their lines are read. (Their sticks speak HTTP only.)

Source: documented samples in the recordings (zte-zrssi-zcellinfo). +ZRST is from general knowledge: not seen.
"""

from __future__ import annotations

import re

from probe.core.at_parse import RAT_NAMES, area_code, bare, cell_id, field_at, split_fields, tenths, to_int
from probe.core.dialect import COMMON_INIT, CPIN, PLAIN, REGISTRATION, Dialect, own
from probe.core.radio import Observation


def parse_zrssi(line: str) -> Observation:
    """+ZRSSI, LTE: RSRP, RSRQ, RSSI, SINR in dBm and dB. Any other number of figures is another system's."""
    fields = split_fields(line, "+ZRSSI:")
    if len(fields) != 4:
        return Observation()
    rsrp, rsrq, rssi, sinr = map(tenths, fields)
    is_lte = rsrp is not None and rsrq is not None
    return Observation(
        rat="LTE" if is_lte else None, rsrp_dbm_x10=rsrp, rsrq_db_x10=rsrq, rssi_dbm_x10=rssi, sinr_db_x10=sinr
    )


def parse_zcellinfo(line: str) -> Observation:
    """+ZCELLINFO?: area, cell (0X hexadecimal, else decimal), a word that is not read, band name, channel."""
    fields = split_fields(line, "+ZCELLINFO:")
    area, cell = _either_base(field_at(fields, 0)), _either_base(field_at(fields, 1))
    names = [bare(field).upper() for field in fields[2:]]
    band = next((found for name in names if (found := re.fullmatch(r"LTE B(\d+)", name))), None)
    tac, eci = area_code(str(area or 0), 10), cell_id(str(cell or 0), 10)
    if band is None:
        is_gsm = any(re.match(r"[PER]?GSM|DCS|PCS", name) for name in names)
        return Observation(rat="GSM" if is_gsm else RAT_NAMES.get(names[0] if names else ""), tac=tac, eci=eci)
    return Observation(rat="LTE", tac=tac, eci=eci, band=int(band[1]), earfcn=to_int(fields[-1]))


def _either_base(text: str) -> int | None:
    return to_int(text, 16 if bare(text).upper().startswith("0X") else 10)


ZTE = Dialect(
    name="zte",
    words=("ZTE",),
    init=COMMON_INIT,
    queries=(
        *REGISTRATION,
        own("AT+ZRSSI", "+ZRSSI:", parse_zrssi),
        own("AT+ZCELLINFO?", "+ZCELLINFO:", parse_zcellinfo),
        *PLAIN,
        CPIN,
    ),
    restart="AT+ZRST",
    iccid=("AT+ICCID", "+ICCID:"),
)
