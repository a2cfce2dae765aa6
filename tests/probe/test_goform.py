"""ZTE sticks over HTTP: the recorded answers, the documented ones, and a real server with its faults."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from probe.core import goform
from probe.core.radio import outage_cause
from probe.core.sim_card import CardWatch, Expected
from probe.devices.goform import GoformModem
from probe.devices.modem import ModemGone, ModemMute, ModemRefused
from tests.probe.sticks import GoformStick, plugged, recorded
from wire.errors import Unavailable


def test_the_recorded_answers_are_read_as_expected() -> None:
    with_referer, without = recorded("zte-mf79u-goform")
    reading = goform.read(json.loads(with_referer["rx"]))
    assert reading.sim == with_referer["expect"]["sim"]
    assert reading.pdp == "down", "connected is false"
    assert outage_cause(reading) == "no_sim"
    assert not goform.is_refused(json.loads(with_referer["rx"]))
    assert without["expect"]["error"] == "refused"
    assert goform.is_refused(json.loads(without["rx"]))


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ({"modem_main_state": "modem_waitpin"}, "sim_locked"),
        ({"modem_main_state": "modem_waitpuk"}, "sim_puk"),
        ({"modem_main_state": "modem_imsi_waitnck"}, "sim_locked"),
        ({"network_type": "No Service"}, "not_registered"),
        ({"network_type": "LIMITED_SERVICE_LTE"}, "limited_service"),
        ({"network_type": "SEARCHING"}, "searching"),
        ({"network_type": "LTE", "ppp_status": "ppp_disconnected"}, "no_pdp"),
        ({"network_type": "DC-HSPA+", "ppp_status": "ppp_connected"}, "not_lte"),
        ({"network_type": "EDGE"}, "not_lte"),
        ({"network_type": "ENDC", "ppp_status": "ipv4_ipv6_connected"}, None),
        ({"network_type": "LTE_CA"}, None),
        ({"network_type": "what is this"}, None),
    ],
)
def test_each_state_has_its_cause(told: dict[str, str], cause: str | None) -> None:
    assert outage_cause(goform.read(told)) == cause


def test_digits_alone_are_no_cell_and_a_false_level_is_kept_raw() -> None:
    told = {**GoformStick().told, "cell_id": "1234567", "lac_code": "24A5", "lte_pci": "1a3", "lte_rsrp": "-9"}
    reading = goform.read(told)
    assert (reading.eci, reading.tac, reading.pci, reading.rsrp_dbm_x10) == (None, 0x24A5, 0x1A3, None)
    assert reading.raw is not None
    assert "lte_rsrp=-9" in reading.raw
    assert "452040000000000" not in reading.raw


@pytest.fixture
def stick() -> Iterator[GoformStick]:
    with plugged(GoformStick()) as stick:
        yield stick


def test_a_served_stick_is_read(stick: GoformStick) -> None:
    modem = GoformModem(lambda: "lo", url=stick.url, card=CardWatch(lambda: Expected(plmn="45204")))
    modem.open()
    reading = modem.poll(5.0)
    assert (reading.rat, reading.registration, reading.plmn, reading.sim) == ("LTE", "home", "45204", "ready")
    assert (reading.rsrp_dbm_x10, reading.rsrq_db_x10, reading.sinr_db_x10) == (-970, -100, 124)
    assert (reading.band, reading.earfcn, reading.eci, reading.pci) == (3, 1650, 0x2C17802, None)
    assert (reading.is_wrong_sim, outage_cause(reading)) == (False, None)
    modem.poll(5.0)
    assert sum("sim_imsi" in path for path in stick.heard) == 1
    stick.told["sim_imsi"], stick.told["modem_main_state"] = "452010000000000", "modem_waitpin"
    assert modem.poll(5.0).is_wrong_sim is None
    stick.told["modem_main_state"] = "modem_init_complete"
    assert modem.poll(5.0).is_wrong_sim is True


def test_no_exchange_asks_for_more_than_a_dozen_elements() -> None:
    """A long list hangs sister models until they are plugged anew."""
    assert all(len(keys) <= 12 for keys in (goform.STATE_KEYS, goform.RADIO_KEYS, goform.CARD_KEYS))


@pytest.mark.parametrize(
    ("fault", "error"), [("garbage", ModemMute), ("error500", ModemMute), ("dead_half", Unavailable)]
)
def test_each_fault_has_its_error_and_ends_with_the_fault(
    stick: GoformStick, fault: str, error: type[Exception]
) -> None:
    modem = GoformModem(lambda: "lo", url=stick.url)
    modem.open()
    stick.fault = fault
    with pytest.raises(error):
        modem.poll(5.0)
    assert not modem.is_open
    stick.fault = None
    modem.open()
    assert modem.poll(5.0).rat == "LTE"


@pytest.mark.parametrize("fault", ["slow", "dribble"])
def test_an_answer_that_comes_late_or_byte_by_byte_is_the_same_answer(stick: GoformStick, fault: str) -> None:
    modem = GoformModem(lambda: "lo", url=stick.url)
    modem.open()
    whole = modem.poll(5.0)
    stick.fault = fault
    assert modem.poll(5.0) == whole


def test_a_mute_stick_is_mute(stick: GoformStick, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("probe.devices.ask.TIMEOUT_S", 0.5)
    stick.fault = "mute"
    with pytest.raises(ModemMute, match="does not answer"):
        GoformModem(lambda: "lo", url=stick.url).open()


def test_a_stick_that_tells_nothing_or_is_not_there_is_told_apart(stick: GoformStick) -> None:
    stick.told.clear()
    with pytest.raises(ModemRefused, match="may want a login"):
        GoformModem(lambda: "lo", url=stick.url).open()
    with pytest.raises(ModemGone):
        GoformModem(lambda: "lo", url="http://127.0.0.1:9").open()
    with pytest.raises(ModemGone):
        GoformModem(lambda: "no-link", url=stick.url).open()
    with pytest.raises(ModemRefused):
        GoformModem(lambda: "lo", url=stick.url).restart()


def test_a_stick_without_signal_still_says_so(stick: GoformStick) -> None:
    stick.told = {"modem_main_state": "modem_init_complete", "network_type": "No Service"}
    modem = GoformModem(lambda: "lo", url=stick.url)
    modem.open()
    reading = modem.poll(5.0)
    assert (reading.registration, reading.rsrp_dbm_x10, modem.is_open) == ("not_registered", None, True)
