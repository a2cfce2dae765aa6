"""A USB bus as sysfs shows it, in a folder: what a modem's ports and its network interface hang on.

`<folder>/sys` is the root that discovery reads instead of /sys, `<folder>/dev` the one instead of /dev. A stick that is
plugged in, pulled out, enumerated anew (other tty numbers) or switched off by its `authorized` file changes the tree
as the kernel does. Source: facts/05-hardware.md §1.1 (who has which interfaces), §2.4 (from tty to interface).
"""

from __future__ import annotations

import contextlib
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from sim import ns, pty

TTYS_MAX = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """One stick: its USB id, names, and its interfaces as (class, subclass, protocol) in the order of their numbers.

    `ttys` are the numbers of the interfaces with a serial port, `at` the one of these that speaks AT, `net` the one
    with the network interface.
    """

    vendor: str
    product: str
    maker: str
    model: str
    interfaces: tuple[str, ...]
    ttys: tuple[int, ...]
    at: int
    net: int


LAYOUTS = {
    "quectel-eg25": Layout(
        "2c7c", "0125", "Quectel", "EG25-G", ("ff/ff/ff", "ff/00/00", "ff/00/00", "ff/00/00", "ff/ff/ff"),
        (0, 1, 2, 3), 2, 4,
    ),
    "huawei-e3372": Layout(
        "12d1", "1506", "HUAWEI_MOBILE", "HUAWEI_MOBILE", ("ff/02/01", "ff/02/02", "ff/02/16"), (0, 1), 1, 2,
    ),
    "simcom-sim7600": Layout(
        "1e0e", "9001", "SimTech, Incorporated", "SimTech, Incorporated",
        ("ff/ff/ff", "ff/00/00", "ff/00/00", "ff/00/00", "ff/00/00", "ff/ff/ff"), (0, 1, 2, 3, 4), 2, 5,
    ),
}  # fmt: skip


class Bus:
    """The bus with one stick's port on it. `interface`: name of the stick's network interface."""

    def __init__(self, folder: Path, family: str, interface: str, port: str = "1-1") -> None:
        self.sys, self.dev = folder / "sys", folder / "dev"
        self._layout, self._interface, self._port = LAYOUTS[family], interface, port
        self._device = self.sys / "devices/platform/sim/usb1" / port
        self._name = self.sys / "bus/usb/devices" / port
        self._silent: list[pty.Port] = []
        self._links: list[Path] = []
        self._count = 0
        self._nodes: Path | None = None
        self.tty: str | None = None

    def show(self) -> None:
        """Puts the tree in place of this mount namespace's own: /sys/bus is `sys/bus`, and /dev has the ports too.

        Raises Misconfigured if the kernel refuses. Programs in the site then find the stick where every Pi has it.
        Nothing of the machine's own /dev is ever mounted below the site's folder: whoever removes the folder would
        remove that too.
        """
        bus, front = self.sys / "bus", self.dev.parent / "front"
        for path in (bus / "usb/devices", front):
            path.mkdir(parents=True, exist_ok=True)
        ns.run("mount", "--bind", str(bus), "/sys/bus")
        ns.run("mount", "-t", "tmpfs", "front", str(front))
        for name in ("upper", "work"):
            (front / name).mkdir()
        ptys = os.open("/dev/pts", os.O_PATH | os.O_DIRECTORY)
        try:
            layers = f"lowerdir=/dev,upperdir={front / 'upper'},workdir={front / 'work'}"
            ns.run("mount", "-t", "overlay", "dev", "-o", layers, "/dev")
            ns.bind(f"/proc/self/fd/{ptys}", "/dev/pts")
        finally:
            os.close(ptys)
            ns.run("umount", "-l", str(front))
        ns.run("mount", "-t", "tmpfs", "shm", "/dev/shm")  # noqa: S108 - a mount, no file
        # The kernel looks for the pts beside the ptmx that is opened, and finds none beside an overlay's.
        ns.bind("/dev/pts/ptmx", "/dev/ptmx")
        self._nodes = Path("/dev")

    def attach(self, at_path: str, first_tty: int = 0) -> None:
        """The stick appears, its AT port being the character device `at_path`, its ttys counted from `first_tty`."""
        self.detach()
        self._count += 1
        layout = self._layout
        described = {
            "idVendor": layout.vendor, "idProduct": layout.product, "manufacturer": layout.maker,
            "product": layout.model, "authorized": "1", "busnum": "1", "devnum": str(self._count + 1),
            "bDeviceClass": "00", "bConfigurationValue": "1",
        }  # fmt: skip
        self._write(self._device, described)
        self._name.parent.mkdir(parents=True, exist_ok=True)
        self._name.symlink_to(self._device)
        for number, kind in enumerate(layout.interfaces):
            self._interface_of(number, kind)
        for place, number in enumerate(layout.ttys):
            self._tty_of(number, f"ttyUSB{first_tty + place}", at_path if number == layout.at else self._silent_port())
        self._net_of(layout.net)

    def detach(self) -> None:
        """The stick is gone from the bus."""
        self.bare()
        self._name.unlink(missing_ok=True)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._device)

    def bare(self) -> None:
        """The stick stays on the bus, and nothing of it works: what writing 0 to `authorized` does."""
        for link in self._links:
            link.unlink(missing_ok=True)
        for path in self._device.glob(f"{self._port}:*"):
            shutil.rmtree(path)
        for port in self._silent:
            port.close()
        self._links, self._silent, self.tty = [], [], None

    def is_authorized(self) -> bool | None:
        """What stands in the stick's `authorized`; None while there is no stick, or nothing readable."""
        try:
            return (self._device / "authorized").read_text(encoding="ascii").strip() == "1"
        except OSError:
            return None

    def _interface_of(self, number: int, kind: str) -> None:
        names = ("bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol")
        path = self._device / f"{self._port}:1.{number}"
        self._write(path, {"bInterfaceNumber": f"{number:02x}", **dict(zip(names, kind.split("/"), strict=True))})
        self._link(self.sys / "bus/usb/devices" / path.name, path)

    def _tty_of(self, number: int, name: str, device: str) -> None:
        port = self._device / f"{self._port}:1.{number}" / name
        node = port / "tty" / name
        self._write(node, {"dev": f"188:{name.removeprefix('ttyUSB')}"})
        (node / "device").symlink_to(Path("../../../") / name)
        self._link(self.sys / "class/tty" / name, node)
        self._link(self.dev / name, Path(device))
        if self._nodes:
            self._link(self._nodes / name, Path(device))
        if number == self._layout.at:
            self.tty = name

    def _net_of(self, number: int) -> None:
        path = self._device / f"{self._port}:1.{number}"
        node = path / "net" / self._interface
        self._write(node, {"operstate": "unknown"})
        (node / "device").symlink_to(Path("../../../") / path.name)
        self._link(self.sys / "class/net" / self._interface, node)

    def _silent_port(self) -> str:
        """A port that nobody answers on: diagnostics, NMEA, audio."""
        self._silent.append(pty.open_port())
        return self._silent[-1].path

    def _write(self, folder: Path, fields: dict[str, str]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, value in fields.items():
            (folder / name).write_text(value + "\n", encoding="ascii")

    def _link(self, name: Path, to: Path) -> None:
        name.parent.mkdir(parents=True, exist_ok=True)
        name.unlink(missing_ok=True)
        name.symlink_to(to)
        self._links.append(name)
