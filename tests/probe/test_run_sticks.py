"""The program itself with sticks that speak HTTP: what stands in its record, and why it measures nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.probe.kit import ACK_KEY, KEY, point
from tests.probe.sticks import SIGNAL_BLANK, STATUS_BLANK, GoformStick, HilinkStick, Stick, plugged, response
from wire.keyfile import write_signer

SETTINGS = """
probe = "p-test"
origin = "dosong.example"
state_dir = "state"
key_file = "record.key"
ack_vkey = "{ack}"
simulated = true
site = "site-1"
schedule = {{ slot_s = 86400, seed = "{seed}" }}
clock = {{ trust = "always" }}
[engine]
name = "speedtest-cli"
server = "http://127.0.0.1:{point}/speedtest/upload.php"
downlink_s = 1
uplink_s = 1
time_limit_s = 20
[[modem]]
id = "m1"
interface = "lo"
plmn = "45204"
backend = "{backend}"
url = "{url}"
"""


@pytest.fixture(scope="module")
def point_port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    with point(tmp_path_factory.mktemp("point")) as port:
        yield port


def once(folder: Path, stick: Stick, backend: str, point_port: int) -> dict[str, Any]:
    """Run one test by the program; returns its record."""
    if not (folder / "record.key").exists():
        write_signer(folder / "record.key", KEY)
    text = SETTINGS.format(ack=ACK_KEY.verifier.vkey, seed="5" * 64, point=point_port, backend=backend, url=stick.url)
    (folder / "probe.toml").write_text(text)
    command = [sys.executable, "-m", "probe", "once", "--json", "--config", str(folder / "probe.toml")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.stdout, done.stderr
    assert "452040000000000" not in done.stdout + done.stderr
    record: dict[str, Any] = json.loads(done.stdout)
    return record


@pytest.mark.services
@pytest.mark.parametrize(("made", "backend", "rsrp"), [(HilinkStick, "hilink", -860), (GoformStick, "zte", -970)])
def test_a_test_over_a_stick_names_its_radio(
    tmp_path: Path, point_port: int, made: type[Stick], backend: str, rsrp: int
) -> None:
    with plugged(made()) as stick:
        record = once(tmp_path, stick, backend, point_port)
    assert record["downlink_bps"] > 0
    before = record["radio"]["before"]
    assert (before["rat"], before["registration"], before["rsrp_dbm_x10"]) == ("LTE", "home", rsrp)
    assert record["radio"]["during"]["polls"] > 0, "the radio is read while the test runs"


@pytest.mark.services
@pytest.mark.parametrize(
    ("pages", "stage", "cause"),
    [
        ({"device/signal": SIGNAL_BLANK, "monitoring/status": STATUS_BLANK}, "sim", "no_sim"),
        ({"pin/status": response(SimState="261"), "monitoring/status": STATUS_BLANK}, "sim", "sim_puk"),
        ({"device/information": response(Imsi="452010000000000")}, "sim", "wrong_sim"),
        ({"monitoring/status": response(ServiceStatus="1", SimStatus="1")}, "registration", "limited_service"),
    ],
)
def test_a_stick_that_cannot_measure_says_why(
    tmp_path: Path, point_port: int, pages: dict[str, str], stage: str, cause: str
) -> None:
    stick = HilinkStick()
    stick.pages |= pages
    with plugged(stick):
        record = once(tmp_path, stick, "hilink", point_port)
    assert (record["outcome"], record["stage"], record["cause"]) == ("failed", stage, cause)
    assert "downlink_bps" not in record


@pytest.mark.services
def test_a_stick_that_is_mute_or_gone_is_told_apart(tmp_path: Path, point_port: int) -> None:
    with plugged(HilinkStick()) as stick:
        stick.fault = "error500"
        record = once(tmp_path, stick, "hilink", point_port)
        assert (record["stage"], record["cause"]) == ("modem", "modem_mute")
    record = once(tmp_path, stick, "hilink", point_port)
    assert (record["stage"], record["cause"]) == ("modem", "no_modem")
