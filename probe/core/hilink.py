"""What a Huawei HiLink stick's API says, each answer as a mapping of element to text, to a `RadioReading`.

Values carry units ("-86dBm"), bounds ("<=-113dBm": below the scale, so no value), or nothing. Cell and area are
decimal. Without a SIM the status still names a network type, so only a served stick is believed to be on a network.
Source: recordings hilink-signal-lte and hilink-signal-blank; facts/05-hardware.md §1.3, §2.2.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from probe.core.at_parse import area_code, cell_id, plmn_of, to_int
from probe.core.radio import Observation, Pdp, RadioReading, Rat, Registration, Sim, accept, merge

Answer = Mapping[str, str | None]

_FIGURE = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:dBm|dB|MHz)?")
_MODES: dict[str, Rat] = {"0": "GSM", "2": "UMTS", "7": "LTE"}
_TYPES: dict[int, Rat] = {
    **dict.fromkeys((1, 2, 3), "GSM"),
    **dict.fromkeys(range(41, 47), "UMTS"),
    **dict.fromkeys((101, 1011), "LTE"),
}
_SIM: dict[str, Sim] = {"255": "absent", "1": "ready"}
_PIN: dict[str, Sim] = {"255": "absent", "257": "ready", "258": "ready", "259": "ready", "260": "pin", "261": "puk"}
_PDP: dict[str, Pdp] = {"901": "up", **dict.fromkeys(("900", "902", "903", "904", "905", "906"), "down")}


def read(signal: Answer, status: Answer, plmn: Answer, pin: Answer) -> RadioReading:
    """Make one reading of device/signal, monitoring/status, net/current-plmn and pin/status; any may be empty."""
    seen = ((_signal(signal), signal), (_status(status, plmn), status), (_card(status, pin), pin))
    return merge(accept(each, _line(answer)) for each, answer in seen)


def _line(answer: Answer) -> str:
    """What goes into the record where a figure is refused; long digit runs are masked there."""
    return " ".join(f"{key}={value}" for key, value in answer.items() if isinstance(value, str) and value)


def _signal(answer: Answer) -> Observation:
    rat = _MODES.get(_text(answer, "mode"))
    if rat != "LTE":
        return Observation(rat=rat, rssi_dbm_x10=_tenths(answer, "rssi") if rat else None)
    channel = re.match(r"(?:DL:)?(\d+)", _text(answer, "earfcn"))
    width = _figure(answer, "dlbandwidth")
    return Observation(
        rat=rat,
        plmn=plmn_of(_text(answer, "plmn")),
        tac=area_code(_text(answer, "tac"), 10),
        eci=cell_id(_text(answer, "cell_id"), 10),
        pci=to_int(_text(answer, "pci")),
        earfcn=int(channel[1]) if channel else None,
        band=to_int(_text(answer, "band")),
        bandwidth_khz=None if width is None else round(width * 1000),
        rsrp_dbm_x10=_tenths(answer, "rsrp"),
        rsrq_db_x10=_tenths(answer, "rsrq"),
        rssi_dbm_x10=_tenths(answer, "rssi"),
        sinr_db_x10=_tenths(answer, "sinr"),
    )


def _status(answer: Answer, plmn: Answer) -> Observation:
    registration = _registration(answer)
    is_served = registration in ("home", "roaming")
    kind = to_int(_text(answer, "CurrentNetworkTypeEx"))
    return Observation(
        registration=registration,
        rat=_TYPES.get(kind) if is_served and kind is not None else None,
        plmn=plmn_of(_text(plmn, "Numeric")) if is_served else None,
        pdp=_PDP.get(_text(answer, "ConnectionStatus")),
    )


def _registration(answer: Answer) -> Registration | None:
    """ServiceStatus counts as ^SYSINFO does: 0 none, 1 and 3 restricted, 2 valid."""
    service = _text(answer, "ServiceStatus")
    if service == "2":
        return "roaming" if _text(answer, "RoamingStatus") == "1" else "home"
    if service in ("1", "3"):
        return "limited"
    return "not_registered" if service == "0" else None


def _card(status: Answer, pin: Answer) -> Observation:
    """A SIM that asks for a code is there; else one answer that there is none is enough."""
    asked, told = _PIN.get(_text(pin, "SimState")), _SIM.get(_text(status, "SimStatus"))
    if asked in ("pin", "puk"):
        return Observation(sim=asked)
    return Observation(sim="absent" if "absent" in (asked, told) else asked or told)


def _text(answer: Answer, key: str) -> str:
    value = answer.get(key)
    return value.strip() if isinstance(value, str) else ""


def _figure(answer: Answer, key: str) -> float | None:
    found = _FIGURE.fullmatch(_text(answer, key))
    return float(found[1]) if found else None


def _tenths(answer: Answer, key: str) -> int | None:
    value = _figure(answer, key)
    return None if value is None else round(value * 10)
