"""ModemManager's answers: recorded and documented ones, and a real program in the place of mmcli with its faults."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from probe.core import mmcli
from probe.core.radio import outage_cause
from probe.core.sim_card import CardWatch, Expected
from probe.devices.mmcli import MmModem
from probe.devices.modem import ModemGone, ModemMute, ModemRefused
from tests.probe.sticks import recorded

PATH = "/org/freedesktop/ModemManager1/Modem/0"
SIM = "/org/freedesktop/ModemManager1/SIM/0"
MODEM: dict[str, Any] = {
    "modem": {
        "3gpp": {"imei": "490154203237518", "operator-code": "45204", "registration-state": "home"},
        "dbus-path": PATH,
        "generic": {
            "access-technologies": ["lte"],
            "device": "/sys/devices/platform/scb/fd500000.pcie/usb1/1-1/1-1.2",
            "ports": ["cdc-wdm0 (qmi)", "ttyUSB2 (at)", "wwan0 (net)"],
            "sim": SIM,
            "state": "connected",
            "state-failed-reason": "--",
            "unlock-required": "sim-pin2",
        },
    }
}
BLANKS = {"error-rate": "--", "rsrp": "--", "rsrq": "--", "rssi": "--", "snr": "--"}
SIGNAL = {
    "modem": {
        "signal": {
            "5g": BLANKS,
            "gsm": {"error-rate": "--", "rssi": "--"},
            "lte": {"error-rate": "--", "rsrp": "-104.00", "rsrq": "-12.00", "rssi": "-69.00", "snr": "2.00"},
            "refresh": {"rate": "5"},
            "umts": {"ecio": "--", "error-rate": "--", "rscp": "--", "rssi": "--"},
        }
    }
}
LOCATION = {
    "modem": {"location": {"3gpp": {"cid": "02C17802", "lac": "FFFE", "mcc": "452", "mnc": "04", "tac": "002495"}}}
}
CARD = {"sim": {"properties": {"imsi": "452040000000000", "iccid": "89840400000000000001", "operator-code": "45204"}}}


def told(**generic: object) -> dict[str, Any]:
    modem = copy.deepcopy(MODEM)
    state = generic.pop("registration", None)
    if state is not None:
        modem["modem"]["3gpp"]["registration-state"] = state
    modem["modem"]["generic"] |= {key.replace("_", "-"): value for key, value in generic.items()}
    return modem


def test_the_recorded_answer_is_read_as_expected() -> None:
    exchange = recorded("mmcli-json")[0]
    reading = mmcli.read(json.loads(exchange["rx"]), {}, {})
    assert reading.is_registered == exchange["expect"]["registered"]
    assert (reading.rat, reading.plmn) == ("UMTS", None), "00000 is no operator"
    assert outage_cause(reading) == "not_lte"


def test_a_served_modem_is_read_whole() -> None:
    reading = mmcli.read(MODEM, SIGNAL, LOCATION)
    assert (reading.rat, reading.registration, reading.plmn, reading.sim) == ("LTE", "home", "45204", "ready")
    assert (reading.rsrp_dbm_x10, reading.rsrq_db_x10, reading.rssi_dbm_x10) == (-1040, -120, -690)
    assert (reading.sinr_db_x10, reading.tac, reading.eci) == (20, 0x2495, 0x2C17802)
    assert (reading.pdp, reading.raw, outage_cause(reading)) == ("up", None, None)


@pytest.mark.parametrize(
    ("modem", "cause"),
    [
        (told(state="failed", state_failed_reason="sim-missing", registration="--"), "no_sim"),
        (told(state="locked", unlock_required="sim-pin", registration="--"), "sim_locked"),
        (told(state="locked", unlock_required="sim-puk", registration="--"), "sim_puk"),
        (told(state="locked", unlock_required="ph-net-pin", registration="--"), "sim_locked"),
        (told(state="searching", registration="searching"), "searching"),
        (told(state="enabled", registration="denied"), "denied"),
        (told(state="enabled", registration="idle"), "not_registered"),
        (told(state="registered", registration="emergency-only"), "limited_service"),
        (told(state="registered", registration="roaming"), "no_pdp"),
        (told(access_technologies=["hspa-plus"]), "not_lte"),
        (told(access_technologies=["lte", "5gnr"]), None),
        (told(state="connected"), None),
    ],
)
def test_each_state_has_its_cause(modem: dict[str, Any], cause: str | None) -> None:
    assert outage_cause(mmcli.read(modem, {}, {})) == cause


@pytest.mark.parametrize("odd", [{}, {"modem": None}, {"modem": []}, {"modem": {"generic": "x", "3gpp": 5}}])
def test_an_answer_of_another_shape_is_no_reading(odd: dict[str, Any]) -> None:
    reading = mmcli.read(odd, odd, odd)
    assert (reading.registration, reading.rsrp_dbm_x10, reading.raw) == (None, None, None)


def test_a_level_out_of_range_is_none_and_kept_raw() -> None:
    odd = copy.deepcopy(SIGNAL)
    odd["modem"]["signal"]["lte"]["rsrp"] = "-30.00"
    reading = mmcli.read(MODEM, odd, {})
    assert (reading.rsrp_dbm_x10, reading.rsrq_db_x10) == (None, -120)
    assert reading.raw == "rsrp=-30.00 rsrq=-12.00 rssi=-69.00 snr=2.00"


def test_a_modem_is_known_by_its_usb_path_or_by_a_port() -> None:
    assert mmcli.is_at(MODEM, usb="1-1.2", names=())
    assert not mmcli.is_at(MODEM, usb="1-1.20", names=())
    assert not mmcli.is_at(MODEM, usb="1-1", names=("ttyUSB2",))
    assert mmcli.is_at(MODEM, usb=None, names=("wwan0",))
    assert not mmcli.is_at(MODEM, usb=None, names=("wwan1",))
    assert mmcli.link(MODEM) == "wwan0"


class Mmcli:
    """A program that answers as mmcli does, from files; `fault` takes its place."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.program = folder / "mmcli"
        self.program.write_text(
            "#!/bin/sh\n"
            f'echo "$@" >> {folder}/heard\n'
            f"if [ -f {folder}/fault ]; then . {folder}/fault; fi\n"
            'case "$*" in\n'
            f"*-L*) cat {folder}/list;;\n"
            f"*--signal-get*) cat {folder}/signal;;\n"
            f"*--location-get*) cat {folder}/location;;\n"
            f'*"-i "*) cat {folder}/card;;\n'
            '*--signal-setup*) echo "successfully setup signal";;\n'
            '*--reset*) echo "successfully reseted the modem";;\n'
            f"*) cat {folder}/modem;;\n"
            "esac\n"
        )
        self.program.chmod(0o755)
        answers = {"list": {"modem-list": [PATH]}, "modem": MODEM, "signal": SIGNAL, "location": LOCATION, "card": CARD}
        for name, answer in answers.items():
            self.say(name, answer)

    def say(self, name: str, answer: object) -> None:
        (self.folder / name).write_text(json.dumps(answer))

    def fault(self, script: str | None) -> None:
        (self.folder / "fault").unlink(missing_ok=True)
        if script is not None:
            (self.folder / "fault").write_text(script)

    @property
    def heard(self) -> list[str]:
        return (self.folder / "heard").read_text().splitlines()

    def modem(self, usb: str | None = "1-1.2", card: CardWatch | None = None) -> MmModem:
        return MmModem(usb, (), card=card, program=str(self.program))


@pytest.fixture
def host(tmp_path: Path) -> Mmcli:
    return Mmcli(tmp_path)


def test_a_modem_is_found_and_read_and_its_sim_looked_at_once(host: Mmcli) -> None:
    modem = host.modem(card=CardWatch(lambda: Expected(plmn="45201")))
    modem.open()
    readings = [modem.poll(30.0), modem.poll(30.0)]
    assert [(r.rsrp_dbm_x10, r.is_wrong_sim) for r in readings] == [(-1040, True), (-1040, True)]
    assert modem.link == "wwan0"
    assert sum("-i " in line for line in host.heard) == 1
    assert f"-m {PATH} --signal-setup=5" in host.heard
    assert "4520400000" not in repr(vars(modem))


@pytest.mark.parametrize(
    ("script", "error"),
    [
        ("exec sleep 60", ModemMute),
        ("echo not json; exit 0", ModemMute),
        ("echo []; exit 0", ModemMute),
        ('echo "error: couldn\'t find modem" >&2; exit 1', ModemGone),
    ],
)
def test_each_fault_has_its_error_and_ends_with_the_fault(host: Mmcli, script: str, error: type[Exception]) -> None:
    modem = host.modem()
    modem.open()
    host.fault(script)
    with pytest.raises(error):
        modem.poll(1.0)
    host.fault(None)
    if not modem.is_open:
        modem.open()
    assert modem.poll(30.0).rat == "LTE"


def test_a_modem_that_comes_back_under_another_number_is_found(host: Mmcli) -> None:
    modem = host.modem()
    modem.open()
    modem.restart()
    assert not modem.is_open
    host.say("list", {"modem-list": []})
    with pytest.raises(ModemGone, match=r"knows no modem at 1-1\.2"):
        modem.open()
    host.say("list", {"modem-list": [PATH.replace("/0", "/1")]})
    modem.open()
    assert modem.poll(30.0).rat == "LTE"
    assert f"-J -m {PATH.replace('/0', '/1')}" in host.heard


def test_without_mmcli_the_sentence_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(ModemGone, match="install modemmanager"):
        MmModem("1-1.2", (), program=str(tmp_path / "none")).open()


def test_a_refusal_names_no_subscriber(host: Mmcli) -> None:
    host.fault("echo 'error: SIM 452040000000000 says no' >&2; exit 1")
    with pytest.raises(ModemRefused) as caught:
        host.modem().open()
    assert "452040" not in str(caught.value)
