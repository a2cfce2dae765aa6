"""What ModemManager's `mmcli --output-json` says to a `RadioReading`. A value that it does not know is "--".

Source: recording mmcli-json; documented answers of mmcli 1.20 (-m, --signal-get, --location-get, -i);
facts/05-hardware.md §2.1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from probe.core.at_parse import area_code, cell_id, plmn_of, tenths
from probe.core.radio import Observation, Pdp, RadioReading, Rat, Registration, Sim, accept, merge

Answer = Mapping[str, Any]

_REGISTRATIONS: dict[str, Registration] = {
    "home": "home",
    "roaming": "roaming",
    "searching": "searching",
    "denied": "denied",
    "idle": "not_registered",
    "home-sms-only": "limited",
    "roaming-sms-only": "limited",
    "emergency-only": "limited",
    "home-csfb-not-preferred": "home",
    "roaming-csfb-not-preferred": "roaming",
    "attached-rlos": "limited",
}
_TECHNOLOGIES: tuple[tuple[str, Rat], ...] = (
    ("lte", "LTE"),
    *((name, "UMTS") for name in ("umts", "hsdpa", "hsupa", "hspa", "hspa-plus")),
    *((name, "GSM") for name in ("gsm", "gsm-compact", "gprs", "edge")),
)
_LOCKS: dict[str, Sim] = {"sim-pin": "pin", "sim-puk": "puk", "sim-pin2": "ready", "sim-puk2": "ready", "none": "ready"}
_FAILED: dict[str, Sim] = {"sim-missing": "absent", "sim-error": "wrong"}
_BEARERS: dict[str, Pdp] = {"connected": "up", "registered": "down", "connecting": "down"}
_PLACEHOLDER_PLMN = "00000"


def read(modem: Answer, signal: Answer, location: Answer) -> RadioReading:
    """Make one reading of the answers to -m, --signal-get and --location-get; any may be empty."""
    parts = (_state(modem), _signal(signal), _location(location))
    return merge(accept(seen, line) for seen, line in parts)


def _state(modem: Answer) -> tuple[Observation, str]:
    state = _text(modem, "modem", "generic", "state")
    operator = _text(modem, "modem", "3gpp", "operator-code")
    return Observation(
        registration=_REGISTRATIONS.get(_text(modem, "modem", "3gpp", "registration-state")),
        plmn=None if operator == _PLACEHOLDER_PLMN else plmn_of(operator),
        rat=_rat(_list(modem, "modem", "generic", "access-technologies")),
        sim=_sim(modem, state),
        pdp=_BEARERS.get(state),
    ), f"operator-code={operator}"


def _rat(technologies: Sequence[str]) -> Rat | None:
    """LTE and 5GNR together are dual connectivity."""
    if "5gnr" in technologies:
        return "NR_NSA" if "lte" in technologies else "NR_SA"
    return next((rat for name, rat in _TECHNOLOGIES if name in technologies), None)


def _sim(modem: Answer, state: str) -> Sim | None:
    if state == "failed":
        return _FAILED.get(_text(modem, "modem", "generic", "state-failed-reason"))
    lock = _text(modem, "modem", "generic", "unlock-required")
    if lock.startswith("ph-"):
        return "wrong"
    return _LOCKS.get(lock) or ("ready" if state in ("registered", "connected") else None)


def _signal(answer: Answer) -> tuple[Observation, str]:
    names = ("rsrp", "rsrq", "rssi", "snr")
    texts = {name: _text(answer, "modem", "signal", "lte", name) for name in names}
    seen = Observation(
        rsrp_dbm_x10=tenths(texts["rsrp"]),
        rsrq_db_x10=tenths(texts["rsrq"]),
        rssi_dbm_x10=tenths(texts["rssi"]),
        sinr_db_x10=tenths(texts["snr"]),
    )
    return seen, " ".join(f"{name}={text}" for name, text in texts.items())


def _location(answer: Answer) -> tuple[Observation, str]:
    tac, cell = (_text(answer, "modem", "location", "3gpp", name) for name in ("tac", "cid"))
    return Observation(tac=area_code(tac), eci=cell_id(cell)), f"tac={tac} cid={cell}"


def paths(listing: Answer) -> tuple[str, ...]:
    """The D-Bus paths of `mmcli -J -L`."""
    return tuple(_list(listing, "modem-list"))


def is_at(modem: Answer, *, usb: str | None, names: Sequence[str]) -> bool:
    """True if a modem is the one at a USB path, or has a port or link of one of these names."""
    if usb is not None and usb != "auto":
        return _text(modem, "modem", "generic", "device").rstrip("/").rpartition("/")[2] == usb
    ports = [port.partition(" ")[0] for port in _list(modem, "modem", "generic", "ports")]
    return usb == "auto" or any(name in ports for name in names)


def link(modem: Answer) -> str | None:
    """The network interface among a modem's ports ("wwan0 (net)"); None if it has none."""
    ports = _list(modem, "modem", "generic", "ports")
    return next((port.partition(" ")[0] for port in ports if port.endswith("(net)")), None)


def card_path(modem: Answer) -> str | None:
    """The D-Bus path of the SIM; None without one."""
    path = _text(modem, "modem", "generic", "sim")
    return path if path.startswith("/") else None


def card(answer: Answer) -> tuple[str, str]:
    """IMSI and ICCID of `mmcli -J -i`, as texts; to be compared and forgotten."""
    return _text(answer, "sim", "properties", "imsi"), _text(answer, "sim", "properties", "iccid")


def _at(answer: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        answer = answer.get(key) if isinstance(answer, Mapping) else None
    return answer


def _text(answer: Answer, *keys: str) -> str:
    value = _at(answer, keys)
    return "" if not isinstance(value, str) or value == "--" else value.strip()


def _list(answer: Answer, *keys: str) -> list[str]:
    value = _at(answer, keys)
    return [one for one in value if isinstance(one, str)] if isinstance(value, list) else []
