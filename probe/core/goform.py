"""What a ZTE stick's goform page says, one JSON object of texts, to a `RadioReading`.

No recording of a served MF79 or MF833 exists, and sister models disagree whether cell, area and PCI are hexadecimal: so
digits alone are no cell, and what has a hexadecimal letter is one. Levels are dBm and dB as numbers.
Source: recording zte-mf79u-goform; facts/05-hardware.md §2.2, §7.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from probe.core.at_parse import area_code, cell_id, plmn_of, tenths, to_int
from probe.core.radio import Observation, Pdp, RadioReading, Rat, Registration, Sim, accept

Answer = Mapping[str, object]

STATE_KEYS = ("modem_main_state", "network_type", "simcard_roam", "ppp_status", "rmcc", "rmnc", "signalbar")
RADIO_KEYS = (
    *("lte_rsrp", "lte_rsrq", "lte_rssi", "lte_snr", "lte_pci", "cell_id", "lac_code"),
    *("wan_active_band", "wan_active_channel", "rssi"),
)
CARD_KEYS = ("sim_imsi", "sim_iccid", "iccid")
_SIM: dict[str, Sim] = {
    "modem_init_complete": "ready",
    "modem_sim_undetected": "absent",
    "modem_waitpin": "pin",
    "modem_waitpuk": "puk",
    "modem_imsi_waitnck": "wrong",
    "modem_init": "busy",
}
_RATS: tuple[tuple[Rat, str], ...] = (
    ("NR_NSA", r"ENDC|LTE-NSA"),
    ("NR_SA", r"SA"),
    ("LTE", r"LTE.*"),
    ("UMTS", r"(DC-)?HSP?[DU]?P?A\+?|UMTS|WCDMA|3G"),
    ("GSM", r"GSM|GPRS|EDGE|2G"),
)
_UNSERVED: tuple[tuple[Registration, str], ...] = (
    ("limited", r"LIMITED[ _]SERVICE.*"),
    ("not_registered", r"NO[ _]SERVICE"),
    ("searching", r"SEARCHING"),
)


def is_refused(answer: Answer) -> bool:
    """True if every value is blank: the page wants a Referer, or a login."""
    return not any(isinstance(value, str) and value.strip() for value in answer.values())


def read(answer: Answer) -> RadioReading:
    """Make one reading; elements that are missing or blank are None."""
    kind = _text(answer, "network_type").upper()
    rat = next((rat for rat, pattern in _RATS if re.fullmatch(pattern, kind)), None)
    seen = Observation(
        rat=rat,
        registration=_registration(answer, kind, rat),
        sim=_SIM.get(_text(answer, "modem_main_state")),
        pdp=_pdp(_text(answer, "ppp_status")),
        plmn=plmn_of(_text(answer, "rmcc"), _text(answer, "rmnc").rjust(2, "0")) if rat else None,
        rssi_dbm_x10=tenths(_text(answer, "lte_rssi")) if rat else None,
    )
    parts = " ".join(f"{key}={value}" for key, value in answer.items() if key in RADIO_KEYS and value)
    return accept(_with_lte(seen, answer) if rat in ("LTE", "NR_NSA") else seen, parts)


def _with_lte(seen: Observation, answer: Answer) -> Observation:
    band = re.fullmatch(r"(?:LTE )?(?:BAND|B) ?(\d+)", _text(answer, "wan_active_band").upper())
    return Observation(
        rat=seen.rat,
        registration=seen.registration,
        sim=seen.sim,
        pdp=seen.pdp,
        plmn=seen.plmn,
        rssi_dbm_x10=seen.rssi_dbm_x10,
        tac=area_code(_surely_hex(answer, "lac_code")),
        eci=cell_id(_surely_hex(answer, "cell_id")),
        pci=to_int(_surely_hex(answer, "lte_pci"), 16),
        band=int(band[1]) if band else None,
        earfcn=to_int(_text(answer, "wan_active_channel")),
        rsrp_dbm_x10=tenths(_text(answer, "lte_rsrp")),
        rsrq_db_x10=tenths(_text(answer, "lte_rsrq")),
        sinr_db_x10=tenths(_text(answer, "lte_snr")),
    )


def _registration(answer: Answer, kind: str, rat: Rat | None) -> Registration | None:
    if rat is not None:
        return "roaming" if _text(answer, "simcard_roam").lower() in ("international", "roaming") else "home"
    return next((state for state, pattern in _UNSERVED if re.fullmatch(pattern, kind)), None)


def _pdp(text: str) -> Pdp | None:
    if text in ("ppp_disconnected", "ppp_disconnecting", "ppp_connecting"):
        return "down"
    return "up" if text.endswith("_connected") else None


def _surely_hex(answer: Answer, key: str) -> str:
    text = _text(answer, key)
    return text if re.search(r"[a-fA-F]", text) else ""


def _text(answer: Answer, key: str) -> str:
    value = answer.get(key)
    return value.strip() if isinstance(value, str) else ""
