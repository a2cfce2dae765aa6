"""Information lines of plain 3GPP, each to an `Observation`, and the tolerant readers that every dialect uses.

Every parser takes one whole line, prefix included, solicited or not, and raises AtParseError if the line is not of its
kind or a level is off its table. A field that is empty, "-", or no number is None: modems print all of these. Levels
are converted here and judged in `probe.core.radio.accept`.

Conversions: facts/05-hardware.md §1.3. Source: 3GPP TS 27.007 (8.5 +CSQ, 8.69 +CESQ, 10.1.20 and 10.1.22 +CGREG and
+CEREG, 7.3 +COPS, 8.3 +CPIN, 9.2 +CME ERROR).
"""

from __future__ import annotations

import re

from probe.core.radio import Observation, Rat, Registration, Sim


class AtParseError(ValueError):
    """The line has another shape, or a value that its table does not know; it is kept raw and not believed."""


_FIELD = re.compile(r'((?:"[^"]*"|[^,"])*)(?:,|$)')
_STAT: dict[int, Registration] = {
    0: "not_registered",
    1: "home",
    2: "searching",
    3: "denied",
    4: "unknown",
    5: "roaming",
    6: "limited",  # SMS only
    7: "limited",  # SMS only, roaming
    8: "limited",  # emergency calls only
    9: "home",  # CSFB not preferred
    10: "roaming",  # CSFB not preferred
    11: "limited",  # emergency calls only
}
# 9 (NB-IoT) is no mobile broadband and must never pass for LTE.
_ACT: dict[int, Rat] = {
    **dict.fromkeys((0, 1, 3, 8), "GSM"),
    **dict.fromkeys((2, 4, 5, 6), "UMTS"),
    **dict.fromkeys((7, 10), "LTE"),
    **dict.fromkeys((11, 12), "NR_SA"),
    13: "NR_NSA",
}
RAT_NAMES: dict[str, Rat] = {
    **dict.fromkeys(("LTE", "FDD LTE", "TDD LTE"), "LTE"),
    **dict.fromkeys(("WCDMA", "UMTS", "TDSCDMA", "TD-SCDMA", "HSDPA", "HSUPA", "HSPA", "HSPA+"), "UMTS"),
    **dict.fromkeys(("GSM", "GPRS", "EDGE"), "GSM"),
    "NR5G-NSA": "NR_NSA",
    **dict.fromkeys(("NR5G-SA", "NR5G_SA"), "NR_SA"),
}
_SIM_WORDS: dict[str, Sim] = {
    "READY": "ready",
    "SIM PIN2": "ready",
    "SIM PUK2": "ready",  # neither blocks the network
    "SIM PIN": "pin",
    "SIM PUK": "puk",
    "NOT READY": "busy",
    "NOT INSERTED": "absent",
    "SIM NOT INSERTED": "absent",
    "SIM PIN REQUIRED": "pin",
    "SIM PUK REQUIRED": "puk",
    "SIM BUSY": "busy",
    "SIM WRONG": "wrong",
    "SIM PIN2 REQUIRED": "ready",
    "SIM PUK2 REQUIRED": "ready",
}
_SIM_CODES: dict[int, Sim] = {
    10: "absent",
    11: "pin",
    12: "puk",
    14: "busy",
    15: "wrong",
    17: "ready",
    18: "ready",
}


_BANDWIDTHS_KHZ = (1400, 3000, 5000, 10_000, 15_000, 20_000)


def to_int(text: str, base: int = 10) -> int | None:
    """Read an integer, quoted or not, with or without blanks and 0x; None for anything else."""
    word = bare(text)
    try:
        return None if "_" in word else int(word, base)
    except ValueError:
        return None


def to_float(text: str) -> float | None:
    """Read a decimal number, quoted or not; None for anything else ("-7.-50", "nan", "-")."""
    word = bare(text)
    return float(word) if re.fullmatch(r"[+-]?\d{1,12}(?:\.\d{1,12})?", word) else None


def bare(text: str) -> str:
    """Return a field without its quotes and the blanks around."""
    return text.strip().strip('"').strip()


def split_fields(line: str, *prefixes: str) -> list[str]:
    """Split the part behind one of the prefixes at the commas outside quotes; quotes stay."""
    prefix = next((p for p in prefixes if line.upper().startswith(p)), None)
    if prefix is None:
        raise AtParseError(f"awaited {' or '.join(prefixes)}, got another line")
    fields = [field.strip() for field in _FIELD.findall(line[len(prefix) :].strip())]
    return fields[:-1] if len(fields) > 1 and not line.endswith(",") else fields


def field_at(fields: list[str], index: int) -> str:
    """Return a field, or the empty string where the line is too short."""
    return fields[index] if index < len(fields) else ""


def level(text: str, highest: int) -> int | None:
    """Read a level index; None for unknown (99, 255, empty) and for 0, which means "below the scale"."""
    index = to_int(text)
    if index in (None, 0, 255) or (index == 99 and highest < 99):
        return None
    if not 0 < index <= highest:
        raise AtParseError(f"level {index} is off its table, which ends at {highest}")
    return index


def scaled(value: int | None, factor: int, offset: int) -> int | None:
    """Return factor * value + offset; None stays None."""
    return None if value is None else factor * value + offset


def tenths(text: str) -> int | None:
    """Read a decimal number as tenths; None if it is none."""
    value = to_float(text)
    return None if value is None else round(value * 10)


def area_code(text: str, base: int = 16) -> int | None:
    """Read a TAC or LAC; None for the codes that mean "deleted" or "unknown"."""
    area = to_int(text, base)
    return None if area in (0, 0xFFFE, 0xFFFF, 0xFFFFFF) else area


def cell_id(text: str, base: int = 16) -> int | None:
    """Read a cell identity; None for 0 and all ones."""
    cell = to_int(text, base)
    return None if cell in (0, 0xFFFFFFF, 0xFFFFFFFF) else cell


def plmn_of(mcc: str, mnc: str = "") -> str | None:
    """Join MCC and MNC (or take the whole number as `mcc`); None unless five or six digits."""
    digits = bare(mcc) + bare(mnc)
    return digits if re.fullmatch(r"\d{5,6}", digits) else None


def bandwidth_khz(text: str) -> int | None:
    """Read 3GPP's index of a channel width (0 to 5 are 1.4 to 20 MHz); None for anything else."""
    index = to_int(text)
    return _BANDWIDTHS_KHZ[index] if index is not None and 0 <= index < len(_BANDWIDTHS_KHZ) else None


def parse_csq(line: str) -> Observation:
    """+CSQ: RSSI in steps of 2 dB from -113 dBm; 99 is unknown. Never compare it across models."""
    rssi = to_int(split_fields(line, "+CSQ:")[0])
    if rssi is None or rssi == 99:
        return Observation()
    if not 0 <= rssi <= 31:
        raise AtParseError(f"+CSQ level {rssi} is off its table")
    return Observation(rssi_dbm_x10=-1130 + 20 * rssi)


def parse_cesq(line: str) -> Observation:
    """+CESQ: the lower edge of each step; RSRP n-141 dBm, RSRQ n/2-20 dB, RSCP n-121, Ec/Io n/2-24.5, RXLEV n-111."""
    fields = split_fields(line, "+CESQ:")
    rxlev, rscp, ecio = (level(field_at(fields, i), top) for i, top in ((0, 63), (2, 96), (3, 49)))
    rsrq, rsrp = level(field_at(fields, 4), 34), level(field_at(fields, 5), 97)
    if rsrp is not None or rsrq is not None:
        return Observation(rat="LTE", rsrp_dbm_x10=scaled(rsrp, 10, -1410), rsrq_db_x10=scaled(rsrq, 5, -200))
    if rscp is not None:
        return Observation(rat="UMTS", rscp_dbm_x10=scaled(rscp, 10, -1210), ecio_db_x10=scaled(ecio, 5, -245))
    return Observation(rat=None if rxlev is None else "GSM", rssi_dbm_x10=scaled(rxlev, 10, -1110))


def parse_registration(line: str) -> Observation:
    """+CREG, +CGREG, +CEREG, +C5GREG, asked for or unsolicited; area and cell are hexadecimal.

    The read form has the setting <n> before the status, the unsolicited one has not: the second field tells, since an
    area code is quoted, longer or no status. Some modems print the routing area between area and cell.
    """
    fields = split_fields(line, "+CREG:", "+CGREG:", "+CEREG:", "+C5GREG:")
    if len(fields) > 1 and _is_stat(fields[1]):
        fields = fields[1:]
    stat = to_int(fields[0])
    if stat not in _STAT:
        raise AtParseError("registration status is not in 0 to 11")
    place = fields[1:]
    if len(place) > 3 and len(bare(place[1])) <= 2 < len(bare(place[2])):
        del place[1]  # routing area between
    act = to_int(field_at(place, 2))
    return Observation(
        registration=_STAT[stat],
        tac=area_code(field_at(place, 0)),
        eci=cell_id(field_at(place, 1)),
        rat=None if act is None else _ACT.get(act),
    )


def _is_stat(field: str) -> bool:
    return re.fullmatch(r"\d{1,3}", field) is not None and int(field) in _STAT


def parse_cops(line: str) -> Observation:
    """+COPS?: the operator as number (after +COPS=3,2) or name, and the access technology."""
    fields = split_fields(line, "+COPS:")
    act = to_int(field_at(fields, 3))
    name = bare(field_at(fields, 2)) or None
    is_number = to_int(field_at(fields, 1)) == 2
    return Observation(
        plmn=plmn_of(name) if is_number and name else None,
        operator_name=None if is_number else name,
        rat=None if act is None else _ACT.get(act),
    )


def parse_cpin(line: str) -> Observation:
    """+CPIN, or the +CME ERROR that came in its place, as number or text.

    PIN2 and PUK2 do not block data. A personalisation lock (PH-...) makes it the wrong SIM for this modem.
    """
    word = bare(",".join(split_fields(line, "+CPIN:", "+CME ERROR:"))).upper()
    if word.startswith("PH-"):
        return Observation(sim="wrong")
    code = to_int(word)
    return Observation(sim=_SIM_WORDS.get(word, "unknown") if code is None else _SIM_CODES.get(code, "unknown"))


def parse_cgact(line: str) -> Observation:
    """+CGACT?: context and its state, one a line. Any that is up counts: which one the host uses is its own choice.

    A context for voice (IMS) alone may hide that the data is down; that is seen on the link, and no false outage is.
    """
    state = to_int(field_at(split_fields(line, "+CGACT:"), 1))
    return Observation() if state not in (0, 1) else Observation(pdp="up" if state == 1 else "down")


def parse_cgpaddr(line: str) -> Observation:
    """+CGPADDR=1: the addresses of context 1; all zeros, or none, is no bearer."""
    fields = split_fields(line, "+CGPADDR:")
    if to_int(fields[0]) != 1:
        return Observation()
    return Observation(pdp="up" if any(re.search(r"[1-9A-Fa-f]", bare(field)) for field in fields[1:]) else "down")


def parse_temperature(line: str) -> Observation:
    """+QTEMP, +CPMUTEMP, +MTSM (whole degrees Celsius) and ^CHIPTEMP (tenths, whole where small): the hottest sensor.

    Sensors that a model lacks read -273, 255 or 65535 and are left out.
    """
    fields = split_fields(line, "+QTEMP:", "+CPMUTEMP:", "+MTSM:", "^CHIPTEMP:")
    readings = [value for value in map(to_int, fields) if value is not None]
    if not readings:
        raise AtParseError("no temperature in the line")
    is_chip = line.startswith("^")
    x10 = [value if is_chip and abs(value) > 125 else 10 * value for value in readings]
    return Observation(temp_c_x10=max((t for t in x10 if -400 <= t <= 1250), default=None))
