"""Owners with real ports at moving names: sticks that come back elsewhere are found; one that fails stops no other."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest

from probe.backends import Backends
from probe.compose import fault_cause
from probe.core.radio import RadioReading
from probe.devices import clock
from probe.devices.sysfs import Sysfs
from probe.owner import Observed, Owner
from probe.place import NO_LINK
from probe.settings import Settings
from tests.probe.kit import wait_until
from tests.probe.sticks import GoformStick, plugged
from tests.probe.test_modem import E3372, EC25, SIM7600, Peer
from tests.probe.usb_trees import STICKS, Iface, Stick, Sys, e3372, ec25, sim7600
from wire.failure import Cause

HEAD = """
probe = "p-usb"
origin = "d.example"
state_dir = "state"
key_file = "k"
ack_vkey = "a"
site = "s"
engine = {{ server = "http://198.51.100.7" }}
schedule = {{ slot_s = 3600, seed = "{seed}" }}
"""


@dataclass
class Host:
    """A Pi made of a sysfs tree, a folder that stands for /dev, and peers behind its ports."""

    folder: Path
    sysfs: Sys
    peers: dict[str, list[Peer]] = field(default_factory=dict)
    owners: dict[str, Owner] = field(default_factory=dict)
    seen: dict[str, list[Observed]] = field(default_factory=dict)

    def plug(self, path: str, stick: Stick, tables: dict[str, dict[str, str]]) -> None:
        """Plug a stick in; `tables`: port to the answers behind it. Other ports stay silent."""
        self.peers[path] = [Peer(dict(table), self.folder / port) for port, table in tables.items()]
        self.sysfs.plug(path, stick)

    def pull(self, path: str) -> None:
        self.sysfs.pull(path)
        for peer in self.peers.pop(path, []):
            peer.pull()
        for name in self.folder.iterdir():
            if name.is_symlink() and not name.exists():
                name.unlink()

    def begin(self, modems: str) -> Backends:
        """Start an owner for each modem of the settings, polling ten times a second."""
        document = tomllib.loads(HEAD.format(seed="0" * 64) + modems)
        settings = msgspec.convert(document | {"folder": str(self.folder)}, Settings)
        backends = Backends(settings, sysfs=Sysfs(self.sysfs.root), dev=str(self.folder))
        for modem in settings.modem:
            seen = self.seen.setdefault(modem.id, [])
            self.owners[modem.id] = Owner(
                modem.id,
                backends.modem(modem),
                poll_s=0.1,
                fast_s=0.1,
                fault_cause=fault_cause,
                mono_ms=clock.mono_ms,
                on_poll=seen.append,
            )
            self.owners[modem.id].start()
        return backends

    def eventually(self, modem: str, cause: Cause | None) -> Observed:
        """Wait for a poll with this cause that began after now."""
        told = len(self.seen[modem])
        wait_until(lambda: any(one.cause is cause for one in self.seen[modem][told:]), 60, f"{modem}: {cause}")
        return next(one for one in self.seen[modem][told:] if one.cause is cause)


def reading_of(observed: Observed) -> RadioReading:
    assert observed.reading is not None
    return observed.reading


@pytest.fixture
def host(tmp_path: Path) -> Iterator[Host]:
    (tmp_path / "dev").mkdir()
    host = Host(tmp_path / "dev", Sys(tmp_path / "sys"))
    yield host
    for owner in host.owners.values():
        owner.ask_to_stop()
    for owner in host.owners.values():
        owner.stop(30)
    for path in list(host.peers):
        host.pull(path)


def test_a_stick_that_comes_back_under_other_names_is_measured_again_without_a_restart(host: Host) -> None:
    backends = host.begin('[[modem]]\nid = "m1"\nusb = "1-1.2"\n')
    host.eventually("m1", Cause.NO_MODEM)
    assert backends.interface("m1") == NO_LINK
    host.plug("1-1.2", ec25(), {"ttyUSB2": EC25})
    assert reading_of(host.eventually("m1", None)).rat == "LTE"
    assert backends.interface("m1") == "wwan0"
    host.pull("1-1.2")
    host.eventually("m1", Cause.NO_MODEM)
    host.plug("1-1.2", ec25(first=1, link="wwan1"), {"ttyUSB3": EC25})
    assert reading_of(host.eventually("m1", None)).rat == "LTE"
    wait_until(lambda: backends.interface("m1") == "wwan1", 20, "the new link's name")
    host.pull("1-1.2")
    host.eventually("m1", Cause.NO_MODEM)
    host.plug("1-1.2", e3372(first=5), {"ttyUSB7": E3372})
    reading = reading_of(host.eventually("m1", None))
    assert reading.registration == "roaming", "another make in the same socket speaks its own dialect"


def test_four_modems_of_four_kinds_and_one_that_fails_leaves_the_others_working(host: Host) -> None:
    modems = "".join(f'[[modem]]\nid = "m{n}"\nusb = "1-1.{n}"\n' for n in (1, 2, 3))
    host.plug("1-1.1", e3372(), {"ttyUSB2": E3372})
    host.plug("1-1.2", ec25(first=3), {"ttyUSB5": EC25})
    host.plug("1-1.3", sim7600(first=7), {"ttyUSB9": SIM7600})
    zte = STICKS["zte"][0]
    host.plug("1-1.4", Stick(zte.ident, zte.product, {0: Iface("02/06/00", "cdc_ether", link="lo")}), {})
    with plugged(GoformStick()) as stick:
        host.begin(modems + f'[[modem]]\nid = "m4"\nusb = "1-1.4"\nurl = "{stick.url}"\n')
        plmns = {modem: reading_of(host.eventually(modem, None)).plmn for modem in host.owners}
        assert plmns == {"m1": "52005", "m2": "45204", "m3": "310260", "m4": "45204"}
        host.pull("1-1.2")
        stick.fault = "error500"
        host.eventually("m2", Cause.NO_MODEM)
        host.eventually("m4", Cause.MODEM_MUTE)
        for modem in ("m1", "m3"):
            host.eventually(modem, None)
        stick.fault = None
        host.plug("1-1.2", ec25(first=20), {"ttyUSB22": EC25})
        for modem in host.owners:
            host.eventually(modem, None)


def test_a_mute_at_port_is_left_for_the_one_that_answers(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """The second AT port answers while the first is taken by a hung program, say."""
    monkeypatch.setattr("probe.devices.modem.SYNC_TRIES", 3)
    silent = dict.fromkeys(("AT",), "")
    host.plug("1-1.2", ec25(), {"ttyUSB2": silent, "ttyUSB3": EC25})
    host.peers["1-1.2"][0].react = lambda _command: b""
    host.begin('[[modem]]\nid = "m1"\nusb = "auto"\n')
    assert reading_of(host.eventually("m1", None)).plmn == "45204"


def test_plugging_wakes_an_owner_that_sleeps(host: Host) -> None:
    backends = host.begin('[[modem]]\nid = "m1"\nusb = "1-1.2"\n')
    host.eventually("m1", Cause.NO_MODEM)
    owner = host.owners["m1"]
    seen = len(host.seen["m1"])
    backends.listen(owner.wake)
    owner.wake()
    wait_until(lambda: len(host.seen["m1"]) > seen, 20, "a poll")
    backends.close()
