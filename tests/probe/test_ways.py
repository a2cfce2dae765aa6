"""Records leave by another way when the first one fails, go home when it may be back, and never begin beside a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from probe.core.ways import RETURN_MS, Ways, after
from probe.settings import load
from tests.probe.kit import ACK_KEY, KEY, wait_until
from tests.probe.test_publish import Broker, Ledger, Site, broker, certificates, ledger
from wire.errors import Misconfigured
from wire.keyfile import write_signer

__all__ = ["broker", "certificates", "ledger"]  # pytest finds fixtures by their names here

_SETTINGS = """
probe = "p-test"
origin = "dosong.example"
state_dir = "state"
key_file = "record.key"
ack_vkey = "{ack}"
site = "site-1"
[schedule]
slot_s = 86400
seed = "{seed}"
[broker]
host = "127.0.0.1"
ca_file = "ca.crt"
cert_file = "tls.crt"
tls_key_file = "tls.key"
{more}
[engine]
server = "http://127.0.0.1:9"
[[modem]]
id = "m1"
port = "/nowhere"
interface = "cell0"
"""


class WaySite(Site):
    """A site whose records may leave by a modem that is gone, and by loopback."""

    def __init__(self, folder: Path, broker: Broker, *ways_out: str) -> None:
        super().__init__(folder, broker)
        self.publisher._ways = Ways(ways_out)


def test_ways_are_tried_in_their_order_and_a_good_session_begins_anew() -> None:
    ways, seen = Ways(("cell0", "eth0", "wlan0")), list[str | None]()
    for _ in range(4):
        seen.append(ways.current)
        ways = after(ways, has_stood=False)
    assert seen == ["cell0", "eth0", "wlan0", "cell0"]
    assert after(Ways(("cell0", "eth0"), 1), has_stood=True).is_first


def test_only_another_way_is_left_for_the_first_one_after_an_hour() -> None:
    assert not Ways(("cell0", "eth0"), 0).may_return(10 * RETURN_MS)
    assert not Ways(("cell0", "eth0"), 1).may_return(RETURN_MS - 1)
    assert Ways(("cell0", "eth0"), 1).may_return(RETURN_MS)


@pytest.mark.services
def test_records_leave_by_the_second_way_when_the_first_is_gone(
    tmp_path: Path, broker: Broker, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    site = WaySite(tmp_path, broker, "cell-gone0", "lo")
    try:
        site.keep(3)
        site.publisher.start()
        wait_until(lambda: ledger.seqs() == [0, 1, 2], what="all arrived by the other way")
        ledger.ack(2)
        wait_until(lambda: site.waiting() == [], what="released")
        assert site.spool.mark("way") == "lo"
        assert "way=lo" in caplog.text
        assert site.publisher.lost_ms() == 0
    finally:
        site.stop()


@pytest.mark.services
def test_no_session_begins_beside_a_test(tmp_path: Path, broker: Broker, ledger: Ledger) -> None:
    site = WaySite(tmp_path, broker, "lo")
    try:
        site.keep(1)
        site.may_send = False
        site.publisher.start()
        moved_ms = site.publisher.moved_ms
        wait_until(lambda: site.publisher.moved_ms > moved_ms, what="the thread moves, for the watchdog")
        wait_until(lambda: site.publisher.moved_ms > moved_ms + 600, what="it waited")
        assert site.publisher.lost_ms() > 0
        assert ledger.statuses == []
        site.may_send = True
        wait_until(lambda: ledger.seqs() == [0], what="sent once the test is over")
    finally:
        site.stop()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('interface = "cell0"\nways = ["wlan0"]', "are both set"),
        ('ways = ["cell0", "cell0"]', "names an interface twice"),
        ('ways = ["an interface"]', "at most 15 characters"),
    ],
)
def test_settings_that_contradict_each_other_are_told(more: str, said: str, tmp_path: Path) -> None:
    write_signer(tmp_path / "record.key", KEY)
    path = tmp_path / "probe.toml"
    path.write_text(_SETTINGS.format(ack=ACK_KEY.verifier.vkey, seed="5" * 64, more='ways = ["cell0", "wlan0"]'))
    broker = load(path).broker
    assert broker is not None
    assert broker.ways == ("cell0", "wlan0")
    path.write_text(_SETTINGS.format(ack=ACK_KEY.verifier.vkey, seed="5" * 64, more=more))
    with pytest.raises(Misconfigured, match=said):
        load(path)
