"""Puts a site's cell into a recorded line, field by field, keeping the line's own quotes, blanks and order.

Pure. Which field holds what, and in what unit, comes from `facts/05-hardware.md` §1.3.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sim.at_table import Mode
from sim.lte import Cell, band_of, clamp, csq, downlink_mhz_x10, uplink_earfcn, uplink_mhz_x10

_LTE_ACT = 7
_BANDWIDTH_INDEX = {1: 0, 3: 1, 5: 2, 10: 3, 15: 4, 20: 5}
# +CxREG <stat>, 3GPP TS 27.007 §10.1.22: 1 at home, 2 searching, 3 denied, 8 emergency only, 0 none of it.
_STAT = {Mode.NORMAL: 1, Mode.SEARCHING: 2, Mode.BOOTING: 2, Mode.DENIED: 3, Mode.LIMITED: 8}


@dataclass(frozen=True, slots=True)
class Context:
    """What decides the fields: the cell, the modem's state, and the formats that the client asked for.

    `registration_n` is the n of AT+CREG=n for the line at hand; `cops_format` 0 (name) or 2 (number). `iccid`: the
    SIM's number, None for the recording's own (masked) one. `has_bearer`: data may flow.
    """

    cell: Cell
    mode: Mode
    registration_n: int = 0
    cops_format: int = 0
    has_act: bool = True
    ci_digits: int = 0
    iccid: str | None = None
    has_bearer: bool = True


def substitute(line: str, context: Context) -> str:
    """The recorded information line with this site's figures in it; lines that hold none come back unchanged."""
    found = re.match(r"([+^][A-Z]+)(: ?)(.*)", line)
    if found is None:
        return _bare(line, context)
    fill = _FILL.get(found.group(1))
    return found.group(1) + found.group(2) + fill(found.group(3), context) if fill else line


def stat(mode: Mode) -> int:
    """+CREG's <stat> in this state of the modem."""
    return _STAT.get(mode, 0)


def registration(context: Context, *, urc: bool = False) -> str:
    """Fields of +CREG, +CGREG or +CEREG; as a URC the leading n is left out (TS 27.007 §10.1.22)."""
    fields = [] if urc else [str(context.registration_n)]
    fields.append(str(stat(context.mode)))
    if context.registration_n == 2 and context.mode is Mode.NORMAL:
        fields += [f'"{context.cell.tac:04X}"', f'"{context.cell.ci:0{context.ci_digits}X}"']
        fields += [str(_LTE_ACT)] if context.has_act else []
    return ",".join(fields)


def _bare(line: str, context: Context) -> str:
    """A subscriber number without prefix becomes the site's network and zeros; never a real one."""
    if re.fullmatch(r"\d{5,6}0{9,10}", line):
        return context.cell.plmn.ljust(15, "0")
    return line


def _put(fields: str, values: Mapping[int, object]) -> str:
    tokens = fields.split(",")
    for at, value in values.items():
        if at < len(tokens):
            tokens[at] = re.sub(r"[^\s\"]+", str(value), tokens[at], count=1) if tokens[at].strip() else str(value)
    return ",".join(tokens)


def _csq(fields: str, context: Context) -> str:
    return _put(fields, {0: csq(context.cell) if _has_signal(context) else 99})


def _has_signal(context: Context) -> bool:
    return context.mode in {Mode.NORMAL, Mode.DENIED, Mode.LIMITED}


def _cesq(fields: str, context: Context) -> str:
    if not _has_signal(context):
        return "99,99,255,255,255,255"
    cell = context.cell
    return _put(fields, {4: clamp(cell.rsrq_db * 2 + 40, 0, 34), 5: clamp(cell.rsrp_dbm + 141, 0, 97)})


def _cops(fields: str, context: Context) -> str:
    if context.mode is not Mode.NORMAL:
        return "0"
    name = context.cell.plmn if context.cops_format == 2 else context.cell.operator
    return f'{fields[:1]},{context.cops_format},"{name}",{_LTE_ACT}'


def _hcsq(fields: str, context: Context) -> str:
    cell = context.cell
    values = {
        1: clamp(cell.rssi_dbm + 121, 1, 96),
        2: clamp(cell.rsrp_dbm + 141, 1, 97),
        3: clamp((cell.sinr_db + 20.2) * 5, 1, 251),
        4: clamp((cell.rsrq_db + 20) * 2, 1, 34),
    }
    return _put(fields, values) if _has_signal(context) else fields


def _rssi(fields: str, context: Context) -> str:
    return _csq(fields, context)


def _sysinfoex(fields: str, context: Context) -> str:
    # <sim_state>: 1 valid, 0 invalid or locked by PIN, 255 none; after the vendor's manual, no recording shows it.
    sim = {Mode.NO_SIM: 255, Mode.SIM_PIN: 0, Mode.SIM_PUK: 0}.get(context.mode, 1)
    if context.mode is Mode.NORMAL:
        return _put(fields, {3: sim})
    service = 1 if context.mode in {Mode.DENIED, Mode.LIMITED} else 0
    return f'{service},0,0,{sim},,0,"NO SERVICE",0,"NO SERVICE"'


def _hfreqinfo(fields: str, context: Context) -> str:
    earfcn, width = context.cell.earfcn, context.cell.bandwidth_mhz * 1000
    values = {
        2: band_of(earfcn).number,
        3: earfcn,
        4: downlink_mhz_x10(earfcn),
        5: width,
        6: uplink_earfcn(earfcn),
        7: uplink_mhz_x10(earfcn),
        8: width,
    }
    return _put(fields, values)


def _qeng(fields: str, context: Context) -> str:
    cell = context.cell
    if not fields.startswith('"servingcell"') or len(fields.split(",")) < 17:
        return fields
    band = band_of(cell.earfcn)
    width = _BANDWIDTH_INDEX[cell.bandwidth_mhz]
    values = {
        3: "FDD" if band.duplex_mhz else "TDD",
        4: cell.plmn[:3],
        5: cell.plmn[3:],
        6: f"{cell.ci:X}",
        7: cell.pci,
        8: cell.earfcn,
        9: band.number,
        10: width,
        11: width,
        12: f"{cell.tac:X}",
        13: round(cell.rsrp_dbm),
        14: round(cell.rsrq_db),
        15: round(cell.rssi_dbm),
        16: round(cell.sinr_db),
    }
    return _put(fields, values)


def _qcsq(fields: str, context: Context) -> str:
    cell = context.cell
    values = {
        1: round(cell.rssi_dbm),
        2: round(cell.rsrp_dbm),
        3: clamp((cell.sinr_db + 20) * 5, 0, 250),
        4: round(cell.rsrq_db),
    }
    return _put(fields, values) if _has_signal(context) else fields


def _qnwinfo(fields: str, context: Context) -> str:
    cell, band = context.cell, band_of(context.cell.earfcn)
    if "," not in fields:
        return fields
    duplex = "FDD" if band.duplex_mhz else "TDD"
    return f'"{duplex} LTE","{cell.plmn}","LTE BAND {band.number}",{cell.earfcn}'


def _qcainfo(fields: str, context: Context) -> str:
    cell = context.cell
    values = {
        1: cell.earfcn,
        2: cell.bandwidth_mhz * 5,
        3: f"LTE BAND {band_of(cell.earfcn).number}",
        5: cell.pci,
        6: round(cell.rsrp_dbm),
        7: round(cell.rsrq_db),
        8: round(cell.rssi_dbm),
        9: round(cell.sinr_db),
    }
    tokens = fields.split(",")
    return ",".join(_quoted_like(token, values.get(at)) for at, token in enumerate(tokens))


def _quoted_like(token: str, value: object | None) -> str:
    if value is None:
        return token
    return f'"{value}"' if token.startswith('"') else str(value)


def _qspn(fields: str, context: Context) -> str:
    name = context.cell.operator
    tokens = fields.split(",")
    return ",".join([f'"{name}"'] * 3 + tokens[3:4] + [f'"{context.cell.plmn}"'])


def _cpsi(fields: str, context: Context) -> str:
    cell = context.cell
    if not fields.startswith("LTE,"):
        return fields
    width = _BANDWIDTH_INDEX[cell.bandwidth_mhz]
    values = {
        2: f"{cell.plmn[:3]}-{cell.plmn[3:]}",
        3: f"0x{cell.tac:04X}",
        4: cell.ci,
        5: cell.pci,
        6: f"EUTRAN-BAND{band_of(cell.earfcn).number}",
        7: cell.earfcn,
        8: width,
        9: width,
        10: round(cell.rsrq_db * 10),
        11: round(cell.rsrp_dbm * 10),
        12: round(cell.rssi_dbm * 10),
        13: round(cell.sinr_db),
    }
    return _put(fields, values)


def _iccid(fields: str, context: Context) -> str:
    return _put(fields, {0: context.iccid}) if context.iccid else fields


def _ndis(fields: str, context: Context) -> str:
    return fields if context.has_bearer else _put(fields, {0: 0})


def _registration(_fields: str, context: Context) -> str:
    return registration(context)


_FILL: dict[str, Callable[[str, Context], str]] = {
    "+CSQ": _csq,
    "+CESQ": _cesq,
    "+COPS": _cops,
    "+CREG": _registration,
    "+CGREG": _registration,
    "+CEREG": _registration,
    "^HCSQ": _hcsq,
    "^RSSI": _rssi,
    "^SYSINFOEX": _sysinfoex,
    "^HFREQINFO": _hfreqinfo,
    "+QENG": _qeng,
    "+QCSQ": _qcsq,
    "+QNWINFO": _qnwinfo,
    "+QCAINFO": _qcainfo,
    "+QSPN": _qspn,
    "+CPSI": _cpsi,
    "+CCID": _iccid,
    "+QCCID": _iccid,
    "^ICCID": _iccid,
    "^NDISSTATQRY": _ndis,
}
