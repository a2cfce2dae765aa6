"""Where a modem is: its serial ports and its network interface, fixed by the settings or found by its USB path.

Names move when a stick comes back (ttyUSB2 becomes ttyUSB3, wwan0 becomes wwan1); the path where it is plugged does
not. So nothing is kept but the path, and every open looks again.
Source: facts/05-hardware.md §1.1, §2.3, §2.4.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from probe.core import usb_modems
from probe.core.usb import Tree, scan
from probe.core.usb_modems import Found
from probe.devices.modem import ModemGone

log = logging.getLogger(__name__)
FRESH_S = 2.0
CD_PATIENCE_S = 60.0
"""How long a stick may stay a CD drive before it is told to be a modem: the system's own rule goes first."""
CD_TRIES = 3
NO_LINK = "no-link"
"""Stands for the interface of a modem that has none: a name that no link has. An empty one would bind to any link."""


class Place(Protocol):
    """Where one modem is now."""

    def interface(self) -> str:
        """Name of its network interface; `NO_LINK` while it has none."""
        ...

    def candidates(self) -> Sequence[str]:
        """Paths of its serial ports, best first. Raises ModemGone."""
        ...

    def answered(self, path: str) -> None:
        """Remember the port that spoke AT."""
        ...


@dataclass(frozen=True, slots=True)
class Fixed:
    """A place that the settings spell out. `port` may be empty: a modem that is spoken to by its link only."""

    port: str
    link: str

    def interface(self) -> str:
        """The interface of the settings."""
        return self.link

    def candidates(self) -> Sequence[str]:
        """The port of the settings."""
        return (self.port,) if self.port else ()

    def answered(self, path: str) -> None:
        """Nothing to remember."""


class Bus:
    """The modems on this host's USB, read at most every two seconds unless something was plugged or pulled.

    `switch(ident, disk)` tells a CD drive to be a modem. Called by several owners' threads.
    """

    def __init__(
        self, tree: Tree, *, monotonic: Callable[[], float], switch: Callable[[str, str | None], bool]
    ) -> None:
        self._tree, self._monotonic, self._switch = tree, monotonic, switch
        self._lock = threading.Lock()
        self._found: tuple[Found, ...] = ()
        self._read_s: float | None = None
        self._drives: dict[tuple[str, int | None], tuple[float, int]] = {}

    def modems(self) -> tuple[Found, ...]:
        """What is plugged in."""
        with self._lock:
            now_s = self._monotonic()
            if self._read_s is None or now_s - self._read_s >= FRESH_S:
                self._found, self._read_s = usb_modems.modems(scan(self._tree)), now_s
                self._note_drives(now_s)
            return self._found

    def forget(self) -> None:
        """Read anew at the next question."""
        with self._lock:
            self._read_s = None

    def _note_drives(self, now_s: float) -> None:
        drives = {(one.device.path, one.device.number) for one in self._found if one.mode == "cd"}
        self._drives = {drive: self._drives.get(drive, (now_s, 0)) for drive in drives}

    def nudge(self, found: Found) -> None:
        """Switch a stick that has been a CD drive for a minute; three times at most each time it comes."""
        key = (found.device.path, found.device.number)
        with self._lock:
            now_s = self._monotonic()
            since_s, tries = self._drives.get(key, (now_s, 0))
            if now_s - since_s < CD_PATIENCE_S * (tries + 1) or tries >= CD_TRIES:
                return
            self._drives[key] = (since_s, tries + 1)
        log.warning("modem=cd_drive usb=%s id=%s: switching it (%d)", found.device.path, found.device.ident, tries + 1)
        self._switch(found.device.ident, found.disk)
        self.forget()


class AtUsb:
    """The modem plugged in at the USB path `wanted`, or with "auto" the only one. `link`: its interface, if set."""

    def __init__(self, wanted: str, bus: Bus, *, link: str | None = None, dev: str = "/dev") -> None:
        self._wanted, self._bus, self._link, self._dev = wanted, bus, link, dev
        self._held: str | None = None
        self._number: int | None = None

    def find(self) -> Found:
        """Return the modem. Raises ModemGone if nothing is plugged in there, or if it still is a CD drive."""
        self._bus.forget()
        found = self._look()
        if found is None:
            seen = ", ".join(f"{one.device.path} ({one.device.ident})" for one in self._bus.modems()) or "none"
            where = "on USB" if self._wanted == "auto" else f"at USB {self._wanted}"
            raise ModemGone(f"no modem {where}; modems that are plugged in: {seen}; check plug, cable and power")
        if found.mode == "cd":
            self._bus.nudge(found)
            raise ModemGone(
                f"the stick at USB {found.device.path} ({found.device.ident}) still shows its CD drive; "
                "install usb-modeswitch and the udev rules, or plug it anew"
            )
        self._held = found.device.path
        return found

    def path(self) -> str | None:
        """Where it is plugged in, or was when it was last seen; None if it never was."""
        found = self._look()
        return found.device.path if found is not None else self._held

    def _look(self) -> Found | None:
        return usb_modems.at_path(self._bus.modems(), self._wanted, self._held)

    def interface(self) -> str:
        """Name of its network interface now; `NO_LINK` while it has none."""
        if self._link is not None:
            return self._link
        found = self._look()
        return next(iter(found.links), NO_LINK) if found is not None else NO_LINK

    def candidates(self) -> Sequence[str]:
        """Paths of its serial ports, the one that answered last time first. Raises ModemGone."""
        found = self.find()
        last = usb_modems.port_at(found, self._number)
        names = dict.fromkeys((*((last,) if last else ()), *found.ports))
        return [f"{self._dev}/{name}" for name in names]

    def answered(self, path: str) -> None:
        """Remember the interface of the port that spoke AT: its number stays."""
        found = self._look()
        self._number = None if found is None else usb_modems.number_of(found, path.rpartition("/")[2])
