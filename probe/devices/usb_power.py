"""A modem's power and its controller, by sysfs: authorise, a hub port's switch, the host controller's driver.

All of it needs root; a probe without root asks `probe.rescue`. Only files of the kernel are written, and only below the
one device that is named. A controller that carries a disk is never touched.

Unavailable
└── Impossible   this machine has no such switch

Source: facts note 05 §4, §4.1; Linux Documentation/ABI/testing/sysfs-bus-usb (authorized; port `disable`, Linux 6.0).
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

from wire.errors import Unavailable

PATH = re.compile(r"\d{1,2}-\d{1,2}(?:\.\d{1,2}){0,5}")
OFF_S = 4.0
"""How long a device stays without power: capacitors of a stick hold a second or two."""
_DISK = re.compile(r"(?:sd[a-z]|nvme\d|mmcblk\d)")


class Impossible(Unavailable):
    """This machine cannot do that."""


class UsbPower:
    """What can be done to a device at a USB path such as "1-1.2". `sys`: where sysfs is."""

    def __init__(self, sys: Path = Path("/sys"), pause: Callable[[float], None] = time.sleep) -> None:
        self._sys, self._pause = sys, pause
        self._devices = sys / "bus" / "usb" / "devices"

    def path_of(self, tty: str) -> str | None:
        """Return the USB path of the device behind a serial port; None if it is none, or is gone."""
        place = self._sys / "class" / "tty" / Path(tty).resolve().name / "device"
        if not place.exists():
            return None
        for folder in (found := place.resolve(), *found.parents):
            if (folder / "idVendor").exists():
                return folder.name if PATH.fullmatch(folder.name) else None
        return None

    def reauthorise(self, path: str) -> None:
        """Take the device from the system and give it back: it is enumerated anew. Raises Unavailable."""
        switch = self._devices / _checked(path) / "authorized"
        self._toggle(switch, "0", "1")

    def cut(self, path: str) -> None:
        """Switch the hub's port off and on. A hub that cannot cut power resets the port at least."""
        hub, port = _port_of(_checked(path))
        interface = f"{hub.removeprefix('usb')}-0:1.0" if hub.startswith("usb") else f"{hub}:1.0"
        self._toggle(self._devices / interface / f"{hub}-port{port}" / "disable", "1", "0")

    def rebind(self, path: str) -> None:
        """Take the host controller from its driver and give it back: every device on it starts anew."""
        root = self._devices / f"usb{_checked(path).partition('-')[0]}"
        if not root.exists():
            raise Impossible(f"there is no USB bus {root.name} here")
        controller = root.resolve().parent
        driver = controller / "driver"
        if not driver.exists():
            raise Impossible(f"the controller of {root.name} has no driver that could be taken off")
        if disk := self._disk_below(controller):
            raise Impossible(f"disk {disk} is on the controller of {root.name}: it is never reset")
        self._write(driver.resolve() / "unbind", controller.name)
        self._pause(OFF_S)
        self._write(driver.resolve() / "bind", controller.name)

    def _disk_below(self, controller: Path) -> str | None:
        blocks = self._sys / "class" / "block"
        names = sorted(found.name for found in blocks.iterdir()) if blocks.is_dir() else []
        return next((n for n in names if _DISK.match(n) and controller in (blocks / n).resolve().parents), None)

    def _toggle(self, switch: Path, off: str, on: str) -> None:
        if not switch.exists():
            raise Impossible(f"{switch} is not there: no device, or no such switch on this hub")
        self._write(switch, off)
        try:
            self._pause(OFF_S)
        finally:
            self._write(switch, on)

    def _write(self, switch: Path, text: str) -> None:
        try:
            switch.write_text(text)
        except OSError as error:
            raise Unavailable(f"{switch} refused {text!r}: {error.strerror}; it needs root") from error


def _checked(path: str) -> str:
    if not PATH.fullmatch(path):
        raise Impossible(f"{path!r} is no USB path; it looks like 1-1.2")
    return path


def _port_of(path: str) -> tuple[str, str]:
    """Return the hub of a path and the port on it: 1-1.2 is port 2 of hub 1-1, 1-1 is port 1 of root hub usb1."""
    hub, dot, port = path.rpartition(".")
    if dot:
        return hub, port
    bus, _, port = path.partition("-")
    return f"usb{bus}", port
