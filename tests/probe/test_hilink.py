"""HiLink sticks: recorded answers read, and a real child against a real HTTP server with its faults."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from probe.core import hilink
from probe.core.radio import RadioReading, outage_cause
from probe.core.sim_card import CardWatch, Expected
from probe.devices.hilink import HilinkModem
from probe.devices.modem import ModemGone, ModemMute, ModemRefused
from probe.place import NO_LINK
from tests.probe.sticks import SIGNAL_BLANK, SIGNAL_LTE, STATUS_BLANK, HilinkStick, plugged, recorded
from wire.errors import Misconfigured, Unavailable

NOTHING: dict[str, str] = {}
LONG_S = 30.0


def texts(xml: str) -> dict[str, str]:
    return {element.tag: element.text or "" for element in ElementTree.fromstring(xml)}  # noqa: S314 (our own recording)


def test_the_recorded_signal_is_read_as_expected() -> None:
    expect = recorded("hilink-signal-lte")[0]["expect"]
    reading = hilink.read(texts(SIGNAL_LTE), NOTHING, NOTHING, NOTHING)
    out = {
        "rat": reading.rat,
        "pci": reading.pci,
        "ci": reading.eci,
        "earfcn": reading.earfcn,
        "band": reading.band,
        "tac": reading.tac,
        "plmn": reading.plmn,
        **{
            f"{key}": (getattr(reading, f"{key}_x10") or 0) / 10
            for key in ("rsrp_dbm", "rsrq_db", "rssi_dbm", "sinr_db")
        },
    }
    assert out == expect
    assert (reading.bandwidth_khz, reading.raw) == (15_000, None)


def test_a_stick_without_sim_has_no_signal_no_network_and_a_cause() -> None:
    signal, status, *_ = recorded("hilink-signal-blank")
    reading = hilink.read(texts(SIGNAL_BLANK), texts(STATUS_BLANK), NOTHING, NOTHING)
    assert reading.rsrp_dbm_x10 == signal["expect"]["rsrp_dbm"]
    assert reading.sim == status["expect"]["sim"]
    assert reading.pdp == "down", "connected is false"
    assert (reading.rat, reading.plmn) == (None, None), "its status names LTE, without a SIM"
    assert outage_cause(reading) == "no_sim"


@pytest.mark.parametrize(
    ("elements", "cause"),
    [
        ({"ServiceStatus": "2", "ConnectionStatus": "901", "CurrentNetworkTypeEx": "101"}, None),
        ({"ServiceStatus": "2", "ConnectionStatus": "902", "CurrentNetworkTypeEx": "101"}, "no_pdp"),
        ({"ServiceStatus": "2", "ConnectionStatus": "901", "CurrentNetworkTypeEx": "46"}, "not_lte"),
        ({"ServiceStatus": "1", "SimStatus": "1"}, "limited_service"),
        ({"ServiceStatus": "0", "SimStatus": "1"}, "not_registered"),
        ({"ServiceStatus": ""}, None),
    ],
)
def test_each_status_has_its_cause(elements: dict[str, str], cause: str | None) -> None:
    assert outage_cause(hilink.read(NOTHING, elements, NOTHING, NOTHING)) == cause


@pytest.mark.parametrize(
    ("state", "cause"), [("260", "sim_locked"), ("261", "sim_puk"), ("255", "no_sim"), ("257", None)]
)
def test_each_state_of_the_sim_has_its_cause(state: str, cause: str | None) -> None:
    assert outage_cause(hilink.read(NOTHING, {"SimStatus": "1"}, NOTHING, {"SimState": state})) == cause


@pytest.mark.parametrize(
    "odd", ["<=-113dBm", "&lt;=-113dBm", ">=-51dBm", "", "-", "-86 dBm or so", "0x2A", "-860dBm", "5dBm", "nan", "\x00"]
)
def test_a_level_that_is_no_level_is_none_and_never_zero(odd: str) -> None:
    reading = hilink.read({**texts(SIGNAL_LTE), "rsrp": odd}, NOTHING, NOTHING, NOTHING)
    assert reading.rsrp_dbm_x10 is None
    assert reading.rsrq_db_x10 == -140


def test_the_answer_of_a_refused_reading_is_kept_raw_and_masked() -> None:
    reading = hilink.read({**texts(SIGNAL_LTE), "rsrp": "-20dBm", "x": "490154203237518"}, NOTHING, NOTHING, NOTHING)
    assert reading.rsrp_dbm_x10 is None
    assert reading.raw is not None
    assert "rsrp=-20dBm" in reading.raw
    assert "490154203237518" not in reading.raw


@pytest.fixture
def stick() -> Iterator[HilinkStick]:
    with plugged(HilinkStick()) as stick:
        yield stick


@pytest.fixture
def modems() -> Iterator[list[HilinkModem]]:
    made: list[HilinkModem] = []
    yield made
    for modem in made:
        modem.close()


def opened(stick: HilinkStick, modems: list[HilinkModem], **named: object) -> HilinkModem:
    modem = HilinkModem(lambda: "lo", url=stick.url, **named)  # type: ignore[arg-type]
    modems.append(modem)
    modem.open()
    return modem


def test_a_stick_is_read_by_a_child_and_this_process_stays_small(stick: HilinkStick, modems: list[HilinkModem]) -> None:
    modem = opened(stick, modems, card=CardWatch(lambda: Expected(plmn="45204")))
    reading = modem.poll(LONG_S)
    assert (reading.rat, reading.registration, reading.rsrp_dbm_x10, reading.sim) == ("LTE", "home", -860, "ready")
    assert (reading.pdp, reading.is_wrong_sim, outage_cause(reading)) == ("up", False, None)
    assert "huawei_lte_api" not in sys.modules
    assert "requests" not in sys.modules
    assert stick.heard.count("/api/device/information") == 1
    modem.poll(LONG_S)
    assert stick.heard.count("/api/device/information") == 1, "the SIM is looked at once"
    assert "4520400000" not in repr(vars(modem))


def test_importing_the_daemon_loads_no_library_of_a_stick() -> None:
    code = (
        "import sys, probe.compose; print([n for n in ('huawei_lte_api', 'requests', 'urllib3') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("fault", "error"),
    [("mute", ModemMute), ("garbage", ModemMute), ("error500", ModemMute), ("dead_half", Unavailable)],
)
def test_each_fault_has_its_error_and_ends_with_the_fault(
    stick: HilinkStick, modems: list[HilinkModem], fault: str, error: type[Exception]
) -> None:
    modem = opened(stick, modems)
    stick.fault = fault
    with pytest.raises(error):
        modem.poll(LONG_S)
    assert not modem.is_open
    stick.fault = None
    stick.released.set()
    modem.open()
    assert modem.poll(LONG_S).rsrp_dbm_x10 == -860


def test_a_slow_or_dribbling_stick_is_waited_for_and_a_short_deadline_leaves_out_the_rest(
    stick: HilinkStick, modems: list[HilinkModem]
) -> None:
    modem = opened(stick, modems)
    for fault in ("dribble", "slow"):
        stick.fault = fault
        assert modem.poll(LONG_S).rsrp_dbm_x10 == -860
    before = len(stick.heard)
    reading = modem.poll(0.1)
    assert (reading.rsrp_dbm_x10, reading.pdp) == (-860, "up")
    assert stick.heard[before:] == ["/api/monitoring/status", "/api/device/signal"], "the rest did not fit"
    assert modem.is_open


def test_a_session_that_expires_is_made_anew_without_a_word(stick: HilinkStick, modems: list[HilinkModem]) -> None:
    modem = opened(stick, modems)
    stick.expire_after = 1
    assert modem.poll(LONG_S).rsrp_dbm_x10 == -860
    assert modem.is_open


def test_a_login_is_made_where_a_password_is_set(stick: HilinkStick, modems: list[HilinkModem], tmp_path: Path) -> None:
    stick.password = base64.b64encode(b"open sesame").decode()
    with pytest.raises(ModemRefused, match="wants a login; set user and password_file"):
        opened(stick, modems)
    (tmp_path / "password").write_text("open sesame\n")
    modem = opened(stick, modems, password_file=tmp_path / "password")
    assert modem.poll(LONG_S).rsrp_dbm_x10 == -860
    assert stick.logins == [True]
    stick.is_in = False  # the stick ends sessions after five minutes
    assert modem.poll(LONG_S).rsrp_dbm_x10 == -860
    assert stick.logins == [True, True]


def test_a_wrong_password_is_tried_once_a_child(stick: HilinkStick, modems: list[HilinkModem], tmp_path: Path) -> None:
    stick.password = "right"
    (tmp_path / "password").write_text("wrong")
    with pytest.raises(ModemRefused, match="wants a login"):
        opened(stick, modems, password_file=tmp_path / "password")
    assert stick.logins == [False], "a stick locks its login after three"
    with pytest.raises(Misconfigured, match="write the password there"):
        opened(stick, modems, password_file=tmp_path / "none")


def test_a_stick_that_is_not_there_is_gone(modems: list[HilinkModem]) -> None:
    for interface, url in (("lo", "http://127.0.0.1:9"), (NO_LINK, "http://127.0.0.1:9")):
        modem = HilinkModem(lambda interface=interface: interface, url=url)  # type: ignore[misc]
        modems.append(modem)
        with pytest.raises(ModemGone):
            modem.open()
        assert not modem.is_open


def test_a_child_that_dies_is_seen_and_started_anew(stick: HilinkStick, modems: list[HilinkModem]) -> None:
    modem = opened(stick, modems)
    child = modem._child
    assert child is not None
    child.kill()
    with pytest.raises(ModemMute):
        modem.poll(LONG_S)
    modem.open()
    assert modem.poll(LONG_S).rsrp_dbm_x10 == -860


def test_a_child_ends_with_its_parent(stick: HilinkStick) -> None:
    code = (
        "from probe.devices.hilink import HilinkModem; import os, sys;"
        f"m = HilinkModem(lambda: 'lo', url={stick.url!r}); m.open(); print(m._child.pid, flush=True); os._exit(0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    pid = int(done.stdout)
    for _ in range(200):
        try:
            os.kill(pid, 0)
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            return
        if state == "Z":
            return
        stick.released.wait(0.1)
    pytest.fail("the child outlived its parent")


def test_a_restart_is_sent_and_the_stick_let_go(stick: HilinkStick, modems: list[HilinkModem]) -> None:
    modem = opened(stick, modems)
    modem.restart()
    assert "/api/device/control" in stick.heard
    assert not modem.is_open
    with pytest.raises(ModemGone, match=r"call open\(\) first"):
        modem.poll(LONG_S)


def test_recorded_errors_of_the_api_are_what_the_child_reacts_to() -> None:
    errors = {e["expect"]["error"]: e["rx"] for e in recorded("hilink-signal-blank") if "error" in (e["expect"] or {})}
    codes = {name: texts(rx)["code"] for name, rx in errors.items()}
    assert codes == {"auth": "125002", "no rights": "100003"}
    code = (
        "import json, probe.hilink_child as c; from huawei_lte_api.Session import Session; out = []\n"
        f"for n in {sorted(codes.values())!r}:\n"
        " try: Session._check_response_status({'error': {'code': n}})\n"
        " except c._EXPIRED as e: out.append(n)\n"
        "print(json.dumps(out))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(done.stdout) == ["100003", "125002"]


def test_nothing_at_all_is_no_reading() -> None:
    assert hilink.read(NOTHING, NOTHING, NOTHING, NOTHING) == RadioReading()
