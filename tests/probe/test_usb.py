"""From the USB path to ports and links: each stick's tree, sticks that come back, CD drives, and other devices."""

from __future__ import annotations

import json
import os
import socket
import threading
import tomllib
from pathlib import Path

import msgspec
import pytest

from probe.backends import Backends, ByUsb
from probe.core.usb import path_key, scan
from probe.core.usb_modems import Found, at_path, modems
from probe.devices import modeswitch
from probe.devices.bound import bind_to
from probe.devices.goform import GoformModem
from probe.devices.hilink import HilinkModem
from probe.devices.mmcli import MmModem
from probe.devices.modem import AtModem, ModemGone
from probe.devices.sysfs import Sysfs
from probe.devices.uevents import Uevents, is_of_interest
from probe.place import CD_PATIENCE_S, NO_LINK, AtUsb, Bus
from probe.settings import Settings
from tests.probe.usb_trees import HUAWEI_CD, NO_MODEMS, STICKS, ZTE_CD, Stick, Sys, e3372, e3372_320, ec25, sim7600

DATA = Path(__file__).parents[2] / "sim" / "data" / "at-transcripts.json"


class Clock:
    """Seconds that only the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def sysfs(tmp_path: Path) -> Sys:
    return Sys(tmp_path / "sys")


def found(sysfs: Sys) -> tuple[Found, ...]:
    return modems(scan(Sysfs(sysfs.root)))


def bus(sysfs: Sys, clock: Clock, switched: list[tuple[str, str | None]] | None = None) -> Bus:
    def switch(ident: str, disk: str | None) -> bool:
        if switched is not None:
            switched.append((ident, disk))
        return True

    return Bus(Sysfs(sysfs.root), monotonic=clock, switch=switch)


@pytest.mark.parametrize("name", STICKS)
def test_each_stick_is_known_by_its_tree(sysfs: Sys, name: str) -> None:
    stick, backend, ports, link = STICKS[name]
    for path, other in NO_MODEMS.items():
        sysfs.plug(path, other)
    sysfs.plug("1-1.2", stick)
    (one,) = found(sysfs)
    assert (one.device.path, one.backend, one.mode) == ("1-1.2", backend, "modem")
    assert list(one.ports) == ports
    assert list(one.links) == ([] if link is None else [link])


def test_a_gps_receiver_a_memory_stick_and_a_network_card_are_no_modems(sysfs: Sys) -> None:
    for path, other in NO_MODEMS.items():
        sysfs.plug(path, other)
    assert found(sysfs) == ()
    assert len(scan(Sysfs(sysfs.root))) == len(NO_MODEMS), "hosts and interfaces of hubs are left out"


def test_what_the_kernel_said_of_an_e3372_320_is_what_its_tree_says(sysfs: Sys) -> None:
    transcript = next(t for t in json.loads(DATA.read_text()) if t["id"] == "kernel-e3372h-320-enumeration")
    log, expect = transcript["exchanges"][0]["rx"], transcript["exchanges"][0]["expect"]
    assert "idVendor=12d1, idProduct=155e" in log
    sysfs.plug("3-3", e3372_320())
    (one,) = found(sysfs)
    assert len(one.ports) == expect["ports"]
    assert one.links == (expect["netdev"],)
    assert all(f"attached to {port}" in log for port in one.ports)


def test_what_was_recorded_of_a_zte_stick_is_what_is_read(sysfs: Sys) -> None:
    transcript = next(t for t in json.loads(DATA.read_text()) if t["id"] == "zte-mf833v-usb")
    idents = [
        e["rx"].split("ID ")[1][:9] for e in transcript["exchanges"] if e["cmd"].startswith("lsusb") and "ID" in e["rx"]
    ]
    sysfs.plug("1-2", ZTE_CD)
    (drive,) = found(sysfs)
    sysfs.pull("1-2")
    sysfs.plug("1-2", STICKS["zte"][0])
    (stick,) = found(sysfs)
    assert [(one.device.ident, one.mode) for one in (drive, stick)] == [(idents[0], "cd"), (idents[1], "modem")]
    assert stick.ports == (), "has_tty is false"
    assert stick.device.number != drive.device.number


def test_paths_are_sorted_as_numbers() -> None:
    assert sorted(["1-1.10", "1-1.9", "2-1", "1-1"], key=path_key) == ["1-1", "1-1.9", "1-1.10", "2-1"]


def test_a_modem_is_chosen_by_its_path_alone(sysfs: Sys) -> None:
    """Sticks of one kind share vendor, serial number and even the MAC."""
    sysfs.plug("1-1.3", e3372(first=0, link="wwan0"))
    sysfs.plug("1-1.2", e3372(first=3, link="wwan1"))
    both = found(sysfs)
    second = at_path(both, "1-1.3")
    assert second is not None
    assert (second.ports[0], second.links[0]) == ("ttyUSB2", "wwan0")
    assert at_path(both, "1-1.4") is None
    first = at_path(both, "auto")
    assert first is not None
    assert first.device.path == "1-1.2"
    held = at_path(both, "auto", "1-1.3")
    assert held is not None
    assert held.device.path == "1-1.3"


def test_a_stick_that_comes_back_under_other_names_is_found(sysfs: Sys) -> None:
    clock = Clock()
    place = AtUsb("1-1.2", bus(sysfs, clock))
    assert place.interface() == NO_LINK
    sysfs.plug("1-1.2", ec25())
    assert place.candidates() == ["/dev/ttyUSB2", "/dev/ttyUSB3"]
    place.answered("/dev/ttyUSB3")
    assert place.interface() == "wwan0"
    sysfs.pull("1-1.2")
    with pytest.raises(ModemGone, match=r"no modem at USB 1-1\.2; modems that are plugged in: none"):
        place.candidates()
    assert place.interface() == NO_LINK
    sysfs.plug("1-1.2", ec25(first=4, link="wwan1"))
    assert place.candidates() == ["/dev/ttyUSB7", "/dev/ttyUSB6"], "the interface that answered goes first"
    assert place.interface() == "wwan1"


def test_the_tree_is_not_read_at_every_question(sysfs: Sys) -> None:
    clock = Clock()
    seen = bus(sysfs, clock)
    assert seen.modems() == ()
    sysfs.plug("1-1.2", ec25())
    assert seen.modems() == ()
    clock.now_s += 2
    assert len(seen.modems()) == 1
    sysfs.pull("1-1.2")
    seen.forget()
    assert seen.modems() == ()


@pytest.mark.parametrize("stick", [HUAWEI_CD, ZTE_CD], ids=["huawei", "zte"])
def test_a_cd_drive_is_switched_after_a_minute_three_times_at_most(sysfs: Sys, stick: Stick) -> None:
    clock, switched = Clock(), list[tuple[str, str | None]]()
    place = AtUsb("1-1.2", bus(sysfs, clock, switched))
    sysfs.plug("1-1.2", stick)
    for _ in range(60):
        with pytest.raises(ModemGone, match="still shows its CD drive"):
            place.find()
        clock.now_s += 10
        assert len(switched) == min(3, int((clock.now_s - 100 - 10) // CD_PATIENCE_S))
    assert switched == [(stick.ident, "sr0")] * 3
    sysfs.pull("1-1.2")
    sysfs.plug("1-1.2", stick)
    with pytest.raises(ModemGone):
        place.find()
    clock.now_s += CD_PATIENCE_S + 1
    with pytest.raises(ModemGone):
        place.find()
    assert len(switched) == 4, "plugged anew, it gets another chance"
    sysfs.pull("1-1.2")
    sysfs.plug("1-1.2", e3372())
    assert place.find().mode == "modem"


def test_usb_modeswitch_is_called_with_the_makers_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "usb_modeswitch"
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/heard\nexit ${{EXIT:-0}}\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert modeswitch.switch("12d1:1f01", "sr0", dev=tmp_path)
    assert modeswitch.switch("19d2:1225", "sr0", dev=tmp_path)
    assert (tmp_path / "heard").read_text() == "-v 12d1 -p 1f01 -J\n-v 19d2 -p 1225 -K\n"
    monkeypatch.setenv("EXIT", "1")
    assert not modeswitch.switch("19d2:1225", None, dev=tmp_path)


def test_without_usb_modeswitch_the_drive_is_ejected_or_the_refusal_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(modeswitch.shutil, "which", lambda *_args, **_named: None)
    assert not modeswitch.switch("12d1:1f01", "sr0", dev=tmp_path)
    assert "cannot open" in caplog.text
    (tmp_path / "sr0").touch()
    assert not modeswitch.switch("12d1:1f01", "sr0", dev=tmp_path), "a plain file ejects nothing"
    assert "does not eject" in caplog.text
    assert not modeswitch.switch("12d1:1f01", None, dev=tmp_path)


def test_messages_of_the_kernel_wake_only_for_what_may_be_a_modem() -> None:
    add = b"add@/devices/usb1/1-1.2:1.2/ttyUSB2/tty/ttyUSB2\0ACTION=add\0SUBSYSTEM=tty\0DEVNAME=ttyUSB2\0"
    assert is_of_interest(add)
    assert is_of_interest(add.replace(b"ACTION=add", b"ACTION=remove"))
    assert not is_of_interest(add.replace(b"SUBSYSTEM=tty", b"SUBSYSTEM=block"))
    assert not is_of_interest(add.replace(b"ACTION=add", b"ACTION=change"))
    assert not is_of_interest(b"libudev\0\xfe\xed\xca\xfe")
    assert not is_of_interest(b"")


def test_the_listener_hears_a_message_and_ends() -> None:
    """The kernel's messages do not reach every container: a socket pair stands for its socket."""
    kernel, ours = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    heard = threading.Event()
    listener = Uevents(heard.set, lambda: ours)
    assert listener.start()
    kernel.send(b"add@/x\0ACTION=add\0SUBSYSTEM=net\0INTERFACE=wwan0\0")
    assert heard.wait(20)
    listener.close()
    assert "hotplug" not in [thread.name for thread in threading.enumerate()]
    kernel.close()


def test_the_real_listener_starts_or_says_that_polling_must_do() -> None:
    listener = Uevents(lambda: None)
    assert listener.start() in (True, False)
    listener.close()
    listener.close()


def test_no_interface_is_never_any_interface() -> None:
    """The kernel takes an empty name as leave to use any interface; a name that no link has is refused."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for name in ("", NO_LINK):
            with pytest.raises(OSError, match=r"No such device"):
                bind_to(sock, name)
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, 16).strip(b"\0") == b""


SETTINGS = """
probe = "p-usb"
origin = "d.example"
state_dir = "state"
key_file = "k"
ack_vkey = "a"
site = "s"
engine = {{ server = "http://198.51.100.7" }}
schedule = {{ slot_s = 3600, seed = "{seed}" }}
[[modem]]
id = "m1"
{lines}
"""


def modem_of(tmp_path: Path, lines: str) -> Settings:
    document = tomllib.loads(SETTINGS.format(seed="0" * 64, lines=lines))
    return msgspec.convert(document | {"folder": str(tmp_path)}, Settings)


def test_the_stick_that_is_plugged_in_decides_how_it_is_spoken_to(sysfs: Sys, tmp_path: Path) -> None:
    settings = modem_of(tmp_path, 'usb = "1-1.2"')
    backends = Backends(settings, sysfs=Sysfs(sysfs.root), dev=str(tmp_path / "dev"))
    modem = backends.modem(settings.modem[0])
    assert isinstance(modem, ByUsb)
    with pytest.raises(ModemGone, match="no modem at USB"):
        modem.open()
    sysfs.plug("1-1.2", ec25())
    with pytest.raises(ModemGone, match="ttyUSB2"):
        modem.open()
    assert not modem.is_open
    assert backends.interface("m1") == "wwan0"
    modem.close()
    backends.close()


@pytest.mark.parametrize(
    ("lines", "kind", "interface"),
    [
        ('port = "/dev/x"\ninterface = "cell0"', AtModem, "cell0"),
        ('interface = "eth1"\nbackend = "hilink"', HilinkModem, "eth1"),
        ('interface = "eth1"\nbackend = "zte"\nurl = "http://192.168.0.1"', GoformModem, "eth1"),
        ('usb = "1-1.2"\nbackend = "mm"', MmModem, NO_LINK),
        ('port = "/dev/cdc-wdm0"\ninterface = "wwan0"\nbackend = "mm"', MmModem, "wwan0"),
        ('usb = "1-1.2"\nbackend = "at"\ninterface = "ppp0"', AtModem, "ppp0"),
        ('usb = "auto"', ByUsb, NO_LINK),
    ],
)
def test_settings_choose_the_backend(
    sysfs: Sys, tmp_path: Path, lines: str, kind: type[object], interface: str
) -> None:
    settings = modem_of(tmp_path, lines)
    backends = Backends(settings, sysfs=Sysfs(sysfs.root))
    assert type(backends.modem(settings.modem[0])) is kind
    assert backends.interface("m1") == interface
    backends.close()


def test_another_stick_at_the_same_place_is_spoken_to_in_its_own_way(sysfs: Sys, tmp_path: Path) -> None:
    settings = modem_of(tmp_path, 'usb = "1-1.2"\ninterface = "lo"\nurl = "http://127.0.0.1:9"')
    backends = Backends(settings, sysfs=Sysfs(sysfs.root), dev=str(tmp_path))
    modem = backends.modem(settings.modem[0])
    sysfs.plug("1-1.2", ec25())
    with pytest.raises(ModemGone, match="ttyUSB2"):
        modem.open()
    sysfs.pull("1-1.2")
    sysfs.plug("1-1.2", STICKS["zte"][0])
    with pytest.raises(ModemGone, match="no connection to the stick at 127"):
        modem.open()
    backends.close()


def test_four_modems_are_four_places(sysfs: Sys) -> None:
    sticks = {"1-1.1": e3372(0, "wwan0"), "1-1.2": ec25(3, "wwan1"), "1-1.3": sim7600(7, "wwan2")}
    for path, stick in sticks.items():
        sysfs.plug(path, stick)
    sysfs.plug("1-1.4", STICKS["zte"][0])
    seen = bus(sysfs, Clock())
    places = [AtUsb(path, seen) for path in (*sticks, "1-1.4")]
    assert [place.interface() for place in places] == ["wwan0", "wwan1", "wwan2", "enx344b50000000"]
    assert [place.find().backend for place in places] == ["at", "at", "at", "zte"]
    sysfs.pull("1-1.2")
    seen.forget()
    assert [place.interface() for place in places] == ["wwan0", NO_LINK, "wwan2", "enx344b50000000"]
