"""Which backend speaks to a modem, and where it finds it: the settings' `[[modem]]` tables to `ModemPort`s.

Three kinds: AT on a serial port, HTTP (HiLink, ZTE's goform), ModemManager. A modem that is named by its USB path only
gets the backend of what is plugged in there, looked at again at every open.
Source: design §5 (modems); facts/05-hardware.md §2.1.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from probe.core.radio import RadioReading
from probe.core.sim_card import CardWatch, Expected
from probe.devices import modeswitch
from probe.devices.goform import GoformModem
from probe.devices.hilink import HilinkModem
from probe.devices.mmcli import MmModem
from probe.devices.modem import AtModem, ModemGone
from probe.devices.sysfs import Sysfs
from probe.devices.uevents import Uevents
from probe.devices.usb_power import Impossible, UsbPower
from probe.owner import ModemPort, Redials
from probe.place import NO_LINK, AtUsb, Bus, Fixed, Place
from probe.settings import Settings
from probe.settings_modem import Modem
from wire.errors import Unavailable


class ByUsb:
    """A modem at a USB path: speaks AT or HTTP, as the stick that is plugged in there does.

    `make(backend)`: the port of a kind ("at", "hilink", "zte"). Raises what they raise, and ModemGone.
    """

    def __init__(self, place: AtUsb, make: Callable[[str], ModemPort]) -> None:
        self._place, self._make = place, make
        self._kind: str | None = None
        self._port: ModemPort | None = None

    @property
    def is_open(self) -> bool:
        """True while the stick's own port is held."""
        return self._port is not None and self._port.is_open

    def open(self) -> None:
        """Look what is plugged in, and open it as what it is."""
        kind = self._place.find().backend
        if self._port is None or kind != self._kind:
            self.close()
            self._kind, self._port = kind, self._make(kind)
        self._port.open()

    def poll(self, deadline_s: float) -> RadioReading:
        """Read the radio once."""
        return self._opened().poll(deadline_s)

    def restart(self) -> None:
        """Have the modem start anew."""
        self._opened().restart()

    def reconnect(self) -> None:
        """Take the bearer down and up."""
        self._redials().reconnect()

    def reregister(self) -> None:
        """Look for the network anew."""
        self._redials().reregister()

    def _redials(self) -> Redials:
        port = self._opened()
        if not isinstance(port, Redials):
            raise Impossible("this kind of modem has no such command")
        return port

    def close(self) -> None:
        """Give the port back."""
        if self._port is not None:
            self._port.close()

    def _opened(self) -> ModemPort:
        if self._port is None:
            raise ModemGone("the modem is not open; call open() first")
        return self._port


class Backends:
    """The modems of one probe. `sysfs`, `dev`: where the kernel's trees are."""

    def __init__(self, settings: Settings, *, sysfs: Sysfs | None = None, dev: str = "/dev") -> None:
        self._settings = settings
        self._bus = Bus(sysfs or Sysfs(), monotonic=time.monotonic, switch=modeswitch.switch)
        self._places = {modem.id: self._place(modem, dev) for modem in settings.modem}
        self._wakers: list[Callable[[], None]] = []
        self._uevents = Uevents(self._changed)

    def _place(self, modem: Modem, dev: str) -> Place:
        if modem.usb is None:
            return Fixed(modem.port or "", modem.interface or NO_LINK)
        return AtUsb(modem.usb, self._bus, link=modem.interface, dev=dev)

    def interface(self, modem_id: str) -> str:
        """Name of a modem's network interface now; `NO_LINK` while it has none."""
        return self._places[modem_id].interface()

    def usb_path(self, modem_id: str) -> str | None:
        """Where a modem is plugged in now; None if it is not there, or not on USB."""
        place = self._places[modem_id]
        try:
            return place.path() if isinstance(place, AtUsb) else UsbPower().path_of(place.candidates()[0])
        except (Unavailable, IndexError):
            return None

    def modem(self, modem: Modem, plmn: Callable[[], str | None] | None = None) -> ModemPort:
        """Make the backend of one modem; nothing is opened yet.

        `plmn()`: the operator of its SIM now, if a signed configuration may change it; None: as the settings say.
        """
        origin = self._settings.origin
        card = CardWatch(lambda: Expected(plmn() if plmn is not None else modem.plmn, modem.sim, origin))
        place = self._places[modem.id]
        if modem.backend == "auto" and isinstance(place, AtUsb):
            return ByUsb(place, lambda kind: self._make(kind, modem, place, card))
        return self._make("at" if modem.backend == "auto" else modem.backend, modem, place, card)

    def _make(self, kind: str, modem: Modem, place: Place, card: CardWatch) -> ModemPort:
        if kind == "hilink":
            password = None if modem.password_file is None else self._settings.path(modem.password_file)
            return HilinkModem(place.interface, url=modem.url, user=modem.user, password_file=password, card=card)
        if kind == "zte":
            return GoformModem(place.interface, url=modem.url, card=card)
        if kind == "mm":
            names = [Path(name).name for name in (modem.port, modem.interface) if name is not None]
            return MmModem(modem.usb, names, card=card)
        return AtModem(place, family=None if modem.family == "auto" else modem.family, card=card)

    def listen(self, *wakers: Callable[[], None]) -> None:
        """Call `wakers` whenever something is plugged or pulled, if any modem is named by its USB path."""
        self._wakers += wakers
        if any(isinstance(place, AtUsb) for place in self._places.values()):
            self._uevents.start()

    def _changed(self) -> None:
        self._bus.forget()
        for wake in self._wakers:
            wake()

    def close(self) -> None:
        """Stop listening."""
        self._uevents.close()
