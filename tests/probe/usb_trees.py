"""Fake sysfs trees of USB sticks, written down from what their drivers and rules say; each is a folder on disk.

Sources: facts/05-hardware.md §1.1 and §2.4; recordings kernel-e3372h-320-enumeration and zte-mf833v-usb.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Iface:
    """One interface of a stick: class triple, driver, and what the driver made of it."""

    kind: str
    driver: str | None = None
    port: str | None = None
    link: str | None = None
    disk: str | None = None


@dataclass(frozen=True)
class Stick:
    """A device as it enumerates."""

    ident: str
    product: str
    ifaces: dict[int, Iface] = field(default_factory=dict)


def ports(kinds: list[str], first: int = 0) -> dict[int, Iface]:
    return {n: Iface(kind, "option", f"ttyUSB{first + n}") for n, kind in enumerate(kinds)}


def e3372(first: int = 0, link: str = "wwan0") -> Stick:
    """Stick mode: PCUI is told by its class, whatever its number."""
    return Stick(
        "12d1:1506",
        "HUAWEI_MOBILE",
        {
            **ports(["ff/02/01", "ff/02/12", "ff/02/02"], first),
            3: Iface("ff/02/16", "huawei_cdc_ncm", link=link),
            4: Iface("ff/02/1e"),
            5: Iface("08/06/50", "usb-storage"),
        },
    )


def e3372_320() -> Stick:
    """As the recorded kernel log says: option on 0 to 2, cdc_ncm on 3."""
    return Stick(
        "12d1:155e",
        "HUAWEI_MOBILE",
        {**ports(["ff/02/02", "ff/02/01", "ff/02/12"]), 3: Iface("02/0d/00", "cdc_ncm", link="wwan0")},
    )


def ec25(first: int = 0, link: str = "wwan0") -> Stick:
    return Stick("2c7c:0125", "EC25", {**ports(["ff/ff/ff"] * 4, first), 4: Iface("ff/ff/ff", "qmi_wwan", link=link)})


def sim7600(first: int = 0, link: str = "wwan0") -> Stick:
    return Stick(
        "1e0e:9001", "SimTech SIM7600", {**ports(["ff/ff/ff"] * 5, first), 5: Iface("ff/ff/ff", "qmi_wwan", link=link)}
    )


STICKS = {
    "e3372": (e3372(), "at", ["ttyUSB2", "ttyUSB0", "ttyUSB1"], "wwan0"),
    "e3372-320": (e3372_320(), "at", ["ttyUSB0", "ttyUSB1", "ttyUSB2"], "wwan0"),
    "hilink": (
        Stick("12d1:14dc", "HUAWEI_MOBILE", {0: Iface("02/06/00", "cdc_ether", link="eth1")}),
        "hilink",
        [],
        "eth1",
    ),
    "ec25-qmi": (ec25(), "at", ["ttyUSB2", "ttyUSB3"], "wwan0"),
    "ec25-ecm": (
        Stick("2c7c:0125", "EC25", {**ports(["ff/ff/ff"] * 4), 4: Iface("02/06/00", "cdc_ether", link="usb0")}),
        "at",
        ["ttyUSB2", "ttyUSB3"],
        "usb0",
    ),
    "sim7600": (sim7600(), "at", ["ttyUSB2", "ttyUSB3"], "wwan0"),
    "a7670": (
        Stick(
            "1e0e:9011",
            "A7670E",
            {
                0: Iface("e0/01/03", "rndis_host", link="usb0"),
                **{n: Iface("ff/00/00", "option", f"ttyUSB{n - 2}") for n in (2, 3, 4)},
            },
        ),
        "at",
        ["ttyUSB2", "ttyUSB0", "ttyUSB1"],
        "usb0",
    ),
    "l850-mbim": (
        Stick(
            "2cb7:0007",
            "L850-GL",
            {
                0: Iface("02/0e/00", "cdc_mbim", link="wwan0"),
                2: Iface("02/02/01", "cdc_acm", "ttyACM0"),
                4: Iface("02/02/01", "cdc_acm", "ttyACM1"),
                6: Iface("02/02/01", "cdc_acm", "ttyACM2"),
            },
        ),
        "at",
        ["ttyACM0", "ttyACM2"],
        "wwan0",
    ),
    "l850-ncm": (
        Stick(
            "8087:095a",
            "L850-GL",
            {
                0: Iface("02/0d/00", "cdc_ncm", link="wwan0"),
                2: Iface("02/02/01", "cdc_acm", "ttyACM0"),
                6: Iface("02/02/01", "cdc_acm", "ttyACM1"),
            },
        ),
        "at",
        ["ttyACM0", "ttyACM1"],
        "wwan0",
    ),
    "zte": (
        Stick(
            "19d2:1405",
            "ZTE Mobile Broadband",
            {
                0: Iface("02/06/00", "cdc_ether", link="enx344b50000000"),
                1: Iface("0a/00/00", "cdc_ether"),
                2: Iface("08/06/50", "usb-storage", disk="sda"),
            },
        ),
        "zte",
        [],
        "enx344b50000000",
    ),
    "unknown-option": (Stick("1199:9999", "Any modem", ports(["ff/00/00"] * 2)), "at", ["ttyUSB0", "ttyUSB1"], None),
}
HUAWEI_CD = Stick("12d1:1f01", "HUAWEI_MOBILE", {0: Iface("08/06/50", "usb-storage", disk="sr0")})
ZTE_CD = Stick("19d2:1225", "ZTE Mobile Broadband", {0: Iface("08/06/50", "usb-storage", disk="sr0")})
NO_MODEMS = {
    "1-1.4": Stick("1546:01a7", "u-blox 7 GPS", {0: Iface("02/02/01", "cdc_acm", "ttyACM9")}),
    "1-1.3": Stick("067b:2303", "USB-Serial", {0: Iface("ff/00/00", "pl2303", "ttyUSB9")}),
    "1-1.1": Stick("0bda:8153", "USB Ethernet", {0: Iface("ff/ff/00", "r8152", link="eth9")}),
    "1-1.9": Stick("0781:5567", "A memory stick", {0: Iface("08/06/50", "usb-storage", disk="sdb")}),
    "1-1": Stick("2109:3431", "USB2.0 Hub", {0: Iface("09/00/00", "hub")}),
}


class Sys:
    """A sysfs tree in a folder: plug and pull as the kernel would."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._number = 3
        (root / "bus/usb/devices").mkdir(parents=True)
        for path in ("usb1", "1-0:1.0"):
            (root / "bus/usb/devices" / path).mkdir()

    def plug(self, path: str, stick: Stick) -> None:
        folder = self.root / "devices/usb1" / path
        self._number += 1
        self._write(folder, idVendor=stick.ident[:4], idProduct=stick.ident[5:], product=stick.product)
        self._write(folder, devnum=str(self._number), serial="1234567890ABCDEF")
        for number, iface in stick.ifaces.items():
            self._interface(folder / f"{path}:1.{number}", number, iface)
        link = self.root / "bus/usb/devices" / path
        link.symlink_to(folder)

    def _interface(self, folder: Path, number: int, iface: Iface) -> None:
        kinds = iface.kind.split("/")
        self._write(folder, bInterfaceNumber=f"{number:02x}", bInterfaceClass=kinds[0])
        self._write(folder, bInterfaceSubClass=kinds[1], bInterfaceProtocol=kinds[2])
        if iface.driver is not None:
            driver = self.root / "bus/usb/drivers" / iface.driver
            driver.mkdir(parents=True, exist_ok=True)
            (folder / "driver").symlink_to(driver)
        if iface.port is not None:
            deeper = "tty" if iface.port.startswith("ttyACM") else "."
            (folder / deeper / iface.port).mkdir(parents=True)
        if iface.link is not None:
            (folder / "net" / iface.link).mkdir(parents=True)
        if iface.disk is not None:
            (folder / "host0/target0:0:0/0:0:0:0/block" / iface.disk).mkdir(parents=True)

    @staticmethod
    def _write(folder: Path, **files: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text + "\n")

    def pull(self, path: str) -> None:
        (self.root / "bus/usb/devices" / path).unlink()
        shutil.rmtree(self.root / "devices/usb1" / path)
