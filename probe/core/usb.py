"""What is plugged in, read from a sysfs tree: USB devices, their interfaces, and the ports and links that drivers made.

Pure over a `Tree`, so that trees of sticks that nobody here has can be written down and read.
Source: facts/05-hardware.md §1.1 and §2.4; Linux Documentation/ABI/testing/sysfs-bus-usb.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

DEVICES = "bus/usb/devices"
_DEVICE = re.compile(r"\d+-\d+(?:\.\d+)*")
_PORT = re.compile(r"tty(?:USB|ACM)\d+")
_BLOCK_DEPTH = 5


class Tree(Protocol):
    """A sysfs tree; paths are relative to /sys. Nothing raises: what is not there is empty or None."""

    def names(self, path: str) -> Sequence[str]:
        """Names in a folder, sorted."""
        ...

    def text(self, path: str) -> str | None:
        """Contents of a file without the blanks around."""
        ...

    def target(self, path: str) -> str | None:
        """Last name of where a link leads."""
        ...


@dataclass(frozen=True, slots=True)
class UsbInterface:
    """One interface of a device. `kind`: class, subclass and protocol as two hexadecimal digits each, "ff/02/02"."""

    number: int
    kind: str
    driver: str | None
    ports: tuple[str, ...]
    links: tuple[str, ...]
    disks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class UsbDevice:
    """One device. `path`: where it is plugged, "1-1.2": the one name that stays (serial numbers are all alike).

    `ident`: vendor and product, "12d1:1506". `number`: its address, another one after every re-enumeration.
    """

    path: str
    ident: str
    number: int | None
    product: str | None
    interfaces: tuple[UsbInterface, ...]


def scan(tree: Tree) -> tuple[UsbDevice, ...]:
    """Read all devices, sorted by path; one that goes meanwhile is left out."""
    paths = [name for name in tree.names(DEVICES) if _DEVICE.fullmatch(name)]
    found = (_device(tree, path) for path in sorted(paths, key=path_key))
    return tuple(device for device in found if device is not None)


def path_key(path: str) -> tuple[int, ...]:
    """Sort key of USB paths: 1-1.9 stands before 1-1.10."""
    return tuple(int(part) for part in re.findall(r"\d+", path))


def _device(tree: Tree, path: str) -> UsbDevice | None:
    folder = f"{DEVICES}/{path}"
    vendor, product = tree.text(f"{folder}/idVendor"), tree.text(f"{folder}/idProduct")
    if vendor is None or product is None:
        return None
    names = [name for name in tree.names(folder) if name.startswith(f"{path}:")]
    number = tree.text(f"{folder}/devnum") or ""
    return UsbDevice(
        path=path,
        ident=f"{vendor}:{product}".lower(),
        number=int(number) if number.isdigit() else None,
        product=tree.text(f"{folder}/product"),
        interfaces=tuple(sorted((_interface(tree, f"{folder}/{name}") for name in names), key=lambda i: i.number)),
    )


def _interface(tree: Tree, folder: str) -> UsbInterface:
    triple = (tree.text(f"{folder}/bInterface{word}") or "00" for word in ("Class", "SubClass", "Protocol"))
    number = tree.text(f"{folder}/bInterfaceNumber") or ""
    # ttyUSB lies in the interface's folder itself, ttyACM one level deeper.
    names = (*tree.names(folder), *tree.names(f"{folder}/tty"))
    return UsbInterface(
        number=int(number, 16) if re.fullmatch(r"[0-9a-fA-F]{1,2}", number) else 255,
        kind="/".join(triple).lower(),
        driver=tree.target(f"{folder}/driver"),
        ports=tuple(name for name in names if _PORT.fullmatch(name)),
        links=tuple(tree.names(f"{folder}/net")),
        disks=tuple(_disks(tree, folder, _BLOCK_DEPTH)),
    )


def _disks(tree: Tree, folder: str, depth: int) -> list[str]:
    """Block devices below a storage interface: host0/target0:0:0/0:0:0:0/block/sr0."""
    found = list(tree.names(f"{folder}/block"))
    if depth:
        for name in tree.names(folder):
            if re.fullmatch(r"host\d+|target[\d:]+|\d+:\d+:\d+:\d+", name):
                found += _disks(tree, f"{folder}/{name}", depth - 1)
    return found
