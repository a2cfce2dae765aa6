"""Rungs carried out: on fake sysfs trees, on real ptys, by the rescue service's own process, over restarts."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from probe.core.draft import Identity, Stamp
from probe.core.recovery import Rung, Terms
from probe.devices.modem import AtModem
from probe.devices.usb_power import Impossible, UsbPower
from probe.owner import Observed, Redials
from probe.recorder import Recorder
from probe.recovery import Around, Recovery
from probe.rescue import act, answer, ask
from probe.slate import Slate
from probe.spool import Spool
from tests.probe.kit import KEY, ORIGIN, PROBE, STAMP, read, sim_site, wait_until
from wire.errors import Unavailable
from wire.failure import Cause
from wire.records import EventRecord


class Tree:
    """A Pi's sysfs: a controller with root hub usb1, a hub at 1-1, a stick at 1-1.2 with ttyUSB2, a disk elsewhere."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.controller = root / "devices/pci0000:00/0000:01:00.0"
        self.stick = self.controller / "usb1/1-1/1-1.2"
        self.driver = root / "bus/pci/drivers/xhci_hcd"
        for folder in (self.stick, self.driver, root / "bus/usb/devices", root / "class/block"):
            folder.mkdir(parents=True)
        self.put(self.stick, idVendor="12d1", authorized="1")
        self.put(self.driver, bind="", unbind="")
        (self.controller / "driver").symlink_to(self.driver)
        for name, place in (("usb1", "usb1"), ("1-1", "usb1/1-1"), ("1-1.2", "usb1/1-1/1-1.2")):
            (root / "bus/usb/devices" / name).symlink_to(self.controller / place)
        self.switch = self.controller / "usb1/1-1/1-1:1.0/1-1-port2"
        self.put(self.switch, disable="0")
        (root / "bus/usb/devices/1-1:1.0").symlink_to(self.switch.parent)
        self.root_switch = self.controller / "usb1/1-0:1.0/usb1-port1"
        self.put(self.root_switch, disable="0")
        (root / "bus/usb/devices/1-0:1.0").symlink_to(self.root_switch.parent)
        tty = self.stick / "1-1.2:1.2/ttyUSB2"
        tty.mkdir(parents=True)
        (root / "class/tty/ttyUSB2").mkdir(parents=True)
        (root / "class/tty/ttyUSB2/device").symlink_to(tty)

    @staticmethod
    def put(folder: Path, **files: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text)

    def add_disk(self, name: str, place: Path) -> None:
        (place / name).mkdir(parents=True)
        (self.root / "class/block" / name).symlink_to(place / name)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path / "sys")


class Seen:
    """What stood in a file at each pause."""

    def __init__(self, *files: Path) -> None:
        self.files, self.at_pause = files, list[list[str]]()

    def pause(self, _seconds: float) -> None:
        self.at_pause.append([file.read_text() for file in self.files])


def test_serial_port_leads_to_its_usb_path(tree: Tree) -> None:
    usb = UsbPower(tree.root)
    assert usb.path_of("/dev/ttyUSB2") == "1-1.2"
    assert usb.path_of("/dev/ttyUSB7") is None
    assert usb.path_of("/dev/pts/3") is None


def test_authorise_is_off_and_on(tree: Tree) -> None:
    seen = Seen(tree.stick / "authorized")
    UsbPower(tree.root, seen.pause).reauthorise("1-1.2")
    assert seen.at_pause == [["0"]]
    assert (tree.stick / "authorized").read_text() == "1"


@pytest.mark.parametrize("path", ["1-1.2", "1-1"])
def test_power_is_cut_at_that_port_of_its_hub_only(tree: Tree, path: str) -> None:
    mine, other = (tree.switch, tree.root_switch) if path == "1-1.2" else (tree.root_switch, tree.switch)
    seen = Seen(mine / "disable", other / "disable")
    UsbPower(tree.root, seen.pause).cut(path)
    assert seen.at_pause == [["1", "0"]]
    assert (mine / "disable").read_text() == "0"


def test_power_comes_back_even_if_the_pause_is_broken_off(tree: Tree) -> None:
    def broken(_seconds: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        UsbPower(tree.root, broken).cut("1-1.2")
    assert (tree.switch / "disable").read_text() == "0"


def test_controller_is_unbound_and_bound_by_its_own_driver(tree: Tree) -> None:
    seen = Seen(tree.driver / "unbind", tree.driver / "bind")
    UsbPower(tree.root, seen.pause).rebind("1-1.2")
    assert seen.at_pause == [["0000:01:00.0", ""]]
    assert (tree.driver / "bind").read_text() == "0000:01:00.0"


def test_controller_with_a_disk_is_never_touched(tree: Tree) -> None:
    tree.add_disk("sda", tree.controller / "usb1/1-1/1-1.3/host0/block")
    with pytest.raises(Impossible, match="sda"):
        UsbPower(tree.root, lambda _: None).rebind("1-1.2")
    assert (tree.driver / "unbind").read_text() == ""


def test_card_elsewhere_and_a_sticks_own_cd_drive_are_no_hindrance(tree: Tree) -> None:
    tree.add_disk("mmcblk0", tree.root / "devices/platform/mmc/block")
    tree.add_disk("sr0", tree.stick / "host1/block")
    UsbPower(tree.root, lambda _: None).rebind("1-1.2")


@pytest.mark.parametrize("path", ["1-1.9", "2-1", "../../etc", "1-1.2/..", "", "1-1.2 x"])
def test_what_is_not_there_or_no_path_is_impossible_and_writes_nothing(tree: Tree, path: str) -> None:
    usb = UsbPower(tree.root, lambda _: None)
    for do in (usb.reauthorise, usb.cut):
        with pytest.raises(Impossible):
            do(path)


def test_rescue_knows_its_words_only(tree: Tree, tmp_path: Path) -> None:
    usb = UsbPower(tree.root, lambda _: None)
    assert answer("usb_power 1-1.2\n", usb, ()) == "done"
    assert answer("usb_power 1-1.9\n", usb, ()).startswith("impossible: ")
    assert answer("modem_restart 1-1.2", usb, ()).startswith("impossible: ")
    assert answer("rm -rf /", usb, ()) == "impossible: no such word"
    assert answer("reboot", usb, ()).startswith("impossible: reboot is not permitted")
    mark = tmp_path / "rebooted"
    assert answer("reboot", usb, ("touch", str(mark))) == "done"
    assert mark.exists()
    assert answer("reboot", usb, ("false",)).startswith("refused: ")


@pytest.fixture
def rescue_socket(tmp_path: Path) -> Iterator[Path]:
    """What systemd does with Accept=yes: for each connection the real program, with the socket as stdin and stdout."""
    (tmp_path / "probe.toml").write_text(
        'probe = "p-test"\norigin = "dosong.example"\nstate_dir = "s"\nkey_file = "k"\nsite = "x"\n'
        f'ack_vkey = "{KEY.from_seed("dosong.example/ack", bytes(32)).verifier.vkey}"\n'
        f'[recovery]\nreboot = ["touch", "{tmp_path / "rebooted"}"]\n'
        '[engine]\nserver = "http://127.0.0.1:9"\n[schedule]\nslot_s = 3600\nseed = "' + "5" * 64 + '"\n'
        '[[modem]]\nid = "m1"\nport = "/dev/x"\ninterface = "cell0"\n'
    )
    command = [sys.executable, "-m", "probe", "rescue", "--config", str(tmp_path / "probe.toml")]
    path = tmp_path / "rescue.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                subprocess.run(command, stdin=connection, stdout=connection, timeout=60, check=False)

    thread = threading.Thread(target=serve)
    thread.start()
    yield path
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(60)


def test_daemon_without_privilege_asks_the_rescue_service(rescue_socket: Path, tmp_path: Path) -> None:
    ask(str(rescue_socket), Rung.REBOOT, None)
    assert (tmp_path / "rebooted").exists()
    with pytest.raises(Impossible, match="not there"):
        ask(str(rescue_socket), Rung.USB_POWER, "99-9.9")
    with pytest.raises(Impossible, match="does not answer"):
        ask(str(tmp_path / "none.sock"), Rung.USB_POWER, "1-1.2")


@pytest.mark.services
def test_at_rungs_on_the_simulators_modem(tmp_path: Path) -> None:
    with sim_site(tmp_path / "run") as site:
        modem = AtModem(str(site.modem))
        assert isinstance(modem, Redials)
        modem.open()
        modem.reregister()
        assert modem.poll(5.0).is_registered
        modem.reconnect()
        assert modem.poll(5.0).is_registered
        modem.restart()
        wait_until(lambda: not site.modem.exists(), 30, "it leaves the bus")
        wait_until(site.modem.exists, 30, "it comes back")
        modem.close()


class Ladder:
    """A ladder over a real spool and slate, with a modem that says what we say, and a clock of ours."""

    def __init__(self, folder: Path, cause: Cause | None, boot: str = "a" * 32) -> None:
        self.spool, self.slate = Spool(folder, 1_000_000), Slate(folder)
        self.cause, self.now_ms, self.boot = cause, 0, boot
        self.did: list[tuple[Rung, str | None]] = []
        self.on_disk_then: list[str | None] = []
        self.folder = folder
        recorder = Recorder(self.spool, KEY, ORIGIN, Identity(PROBE, "1.0", True, "s"), self.stamp)
        around = Around(lambda: False, lambda: True, lambda: True, lambda: None, lambda: "1-1.2")
        self.recovery = Recovery("m1", self, self.power, around, Terms(), recorder, self.slate)

    def stamp(self) -> Stamp:
        return replace(STAMP, boot=self.boot, mono_ms=self.now_ms)

    is_open = True

    def open(self) -> None: ...

    def close(self) -> None: ...

    def poll(self, deadline_s: float) -> object:
        raise AssertionError

    def restart(self) -> None:
        self.power(Rung.MODEM_RESTART, None)
        raise Unavailable("mute as before")

    def power(self, rung: Rung, path: str | None) -> None:
        self.did.append((rung, path))
        self.on_disk_then.append(Slate(self.folder).recall("recovery m1"))

    def polls(self, minutes: int) -> None:
        for _ in range(minutes * 6):
            self.now_ms += 10_000
            self.recovery.on_poll(Observed(1, self.now_ms, self.now_ms, None, self.cause))

    def events(self) -> list[tuple[str | None, str | None, str | None]]:
        records = [read(kept.raw) for kept in self.spool.waiting(100)]
        return [(r.rung, r.cause, r.now) for r in records if isinstance(r, EventRecord) and r.event == "recovery"]


def test_state_is_on_disk_before_a_rung_is_carried_out_and_goes_on_in_the_next_boot(tmp_path: Path) -> None:
    ladder = Ladder(tmp_path, Cause.MODEM_MUTE)
    ladder.polls(12)
    assert [rung for rung, _ in ladder.did] == [Rung.MODEM_RESTART, Rung.USB_REAUTHORISE]
    assert ladder.did[1][1] == "1-1.2"
    for (rung, _), text in zip(ladder.did, ladder.on_disk_then, strict=True):
        assert text is not None
        assert f'"pending":"{rung.value}"' in text
    ladder.spool.close()  # the rung took the machine down
    after = Ladder(tmp_path, None, boot="b" * 32)
    after.polls(1)
    assert after.events() == [
        ("modem_restart", "modem_mute", "refused"),
        ("usb_reauthorise", "modem_mute", "cured"),
    ]


def test_an_old_state_of_another_form_is_passed_over(tmp_path: Path) -> None:
    Slate(tmp_path).sync({"recovery m1": '{"rung": 7, "pending": []}'})
    ladder = Ladder(tmp_path, Cause.SIM_PUK)
    ladder.polls(60)
    assert ladder.did == []


def test_reboot_without_a_command_is_impossible() -> None:
    with pytest.raises(Impossible, match="not permitted"):
        act(Rung.REBOOT, None, UsbPower(), ())
