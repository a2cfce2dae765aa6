"""Which USB devices are modems, who speaks to them, and which of their ports and links is the right one.

A new modem is one line in the table. One that is in no line and has a modem's serial port (by its driver, or beside a
network link) is tried with AT on every port; the first that gives a clean OK wins.
Source: facts/05-hardware.md §1.1 (ModemManager's rules), §2.2, §2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from probe.core.usb import UsbDevice, UsbInterface

Backend = Literal["at", "hilink", "zte"]
Mode = Literal["modem", "cd"]

_PCUI = ("ff/02/02", "ff/01/02")
_PPP = ("ff/02/01", "ff/01/01")
_WWAN_DRIVERS = frozenset({"qmi_wwan", "cdc_mbim", "huawei_cdc_ncm"})
_MODEM_DRIVERS = frozenset({"option", "qcserial", "sierra"})


@dataclass(frozen=True, slots=True)
class Row:
    """One kind of device. `at`: its AT interfaces, best first, by number or by kind; `never`: not to be tried.

    `mode` "cd": it shows a drive with software for Windows until it is told to be a modem.
    """

    idents: tuple[str, ...]
    backend: Backend = "at"
    at: tuple[int | str, ...] = ()
    never: tuple[int, ...] = ()
    mode: Mode = "modem"


_TABLE = (
    Row(("12d1:1506", "12d1:1442", "12d1:155e", "12d1:1573"), at=(*_PCUI, *_PPP)),
    Row(("12d1:14db", "12d1:14dc"), "hilink"),
    Row(("12d1:1f01", "12d1:14fe"), "hilink", mode="cd"),
    Row(("2c7c:0125", "2c7c:0306", "2c7c:6005", "2c7c:0800"), at=(2, 3), never=(0, 1)),
    Row(("1e0e:9001",), at=(2, 3), never=(0, 1, 4)),
    Row(("1e0e:9011",), at=(4,)),
    Row(("2cb7:0007",), at=(2, 6), never=(4,)),
    Row(("8087:095a",), at=(2, 6), never=(4,)),
    Row(("19d2:1405",), "zte"),
    Row(("19d2:1225",), "zte", mode="cd"),
)
_KNOWN = {ident: row for row in _TABLE for ident in row.idents}


@dataclass(frozen=True, slots=True)
class Found:
    """A modem among the devices. `ports`: names to try, best first; `links`: network interfaces, best first.

    `disk`: the drive to eject where `mode` is "cd".
    """

    device: UsbDevice
    backend: Backend
    mode: Mode
    ports: tuple[str, ...]
    links: tuple[str, ...]
    disk: str | None = None


def modems(devices: Sequence[UsbDevice]) -> tuple[Found, ...]:
    """Pick out the modems, in the order of the devices."""
    return tuple(found for device in devices if (found := _found(device)) is not None)


def at_path(found: Sequence[Found], wanted: str, held: str | None = None) -> Found | None:
    """Choose the modem at the path `wanted`, or for "auto" the one at `held`, else the first; None if there is none."""
    if wanted != "auto":
        return next((one for one in found if one.device.path == wanted), None)
    kept = next((one for one in found if one.device.path == held), None)
    return kept or next(iter(found), None)


def number_of(found: Found, port: str) -> int | None:
    """Return the number of the interface that a port belongs to: it stays when the port's name moves."""
    return next((one.number for one in found.device.interfaces if port in one.ports), None)


def port_at(found: Found, number: int | None) -> str | None:
    """Return the port of the interface `number`; None if it has none."""
    return next((port for one in found.device.interfaces if one.number == number for port in one.ports), None)


def _found(device: UsbDevice) -> Found | None:
    row = _KNOWN.get(device.ident) or _unknown(device)
    if row is None:
        return None
    disks = [disk for interface in device.interfaces for disk in interface.disks]
    return Found(
        device=device,
        backend=row.backend,
        mode=row.mode,
        ports=tuple(port for one in _ordered(device, row) for port in one.ports),
        links=tuple(link for interface in device.interfaces for link in interface.links),
        disk=next(iter(disks), None),
    )


def _unknown(device: UsbDevice) -> Row | None:
    has_link = any(one.links for one in device.interfaces)
    has_port = any(one.ports and (has_link or one.driver in _MODEM_DRIVERS) for one in device.interfaces)
    has_wwan = any(one.driver in _WWAN_DRIVERS and one.links for one in device.interfaces)
    return Row((device.ident,), at=_PCUI) if has_port or has_wwan else None


def _ordered(device: UsbDevice, row: Row) -> list[UsbInterface]:
    def rank(interface: UsbInterface) -> int:
        marks = [at for at, mark in enumerate(row.at) if mark in (interface.number, interface.kind)]
        return min(marks, default=len(row.at))

    return sorted((one for one in device.interfaces if one.number not in row.never), key=rank)
