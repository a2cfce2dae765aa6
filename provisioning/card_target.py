"""Where a card's boot partition lies: a folder that the system mounted, or the FAT partition inside an image or device.

An image is written by mtools at the partition's offset: no root, no loop device, nothing is mounted. What looks like
this machine's own boot partition, or like anything but a fresh Raspberry Pi OS, is refused before a byte is written.
Source: mtools(1); UEFI 2.10 §5 (GPT); the MBR's partition table.
"""

from __future__ import annotations

import os
import shutil
import stat
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from provisioning.card import NEEDED
from wire.errors import Misconfigured, Refused

SECTOR = 512
LOOKED_AT = (*NEEDED, "issue.txt", "user-data", "meta-data", "dosong-claim.toml")
_FAT_TYPES = frozenset({0x01, 0x04, 0x06, 0x0B, 0x0C, 0x0E})
_GPT_TYPES = frozenset(
    {
        bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b"),  # EFI system
        bytes.fromhex("a2a0d0ebe5b9334487c068b6b72699c7"),  # basic data
    }
)
_OWN = ("/", "/boot", "/boot/firmware", "/boot/efi")


class Target(Protocol):
    """A boot partition that can be read and written by names relative to it."""

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None if there is none."""
        ...

    def write(self, name: str, content: bytes) -> None:
        """Write a file, in place of one that is there."""
        ...


@dataclass(frozen=True, slots=True)
class Folder:
    """A boot partition that is mounted."""

    root: Path

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None if there is none."""
        path = self.root / name
        return path.read_bytes() if path.is_file() else None

    def write(self, name: str, content: bytes) -> None:
        """Write a file, and have it on the card when this returns."""
        path = self.root / name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


@dataclass(frozen=True, slots=True)
class Image:
    """A FAT partition at an offset (bytes) inside an image file or a device, through mtools."""

    path: Path
    offset: int

    def read(self, name: str) -> bytes | None:
        """A file's bytes; None if there is none."""
        done = self._mtools("mtype", f"::/{name}")
        return done.stdout if done.returncode == 0 else None

    def write(self, name: str, content: bytes) -> None:
        """Write a file. Raises Refused if the partition is full or damaged."""
        if "/" in name:
            self._mtools("mmd", "-D", "s", f"::/{name.rpartition('/')[0]}")
        with tempfile.NamedTemporaryFile() as file:
            file.write(content)
            file.flush()
            done = self._mtools("mcopy", "-o", file.name, f"::/{name}")
        if done.returncode != 0:
            said = done.stderr.decode(errors="replace").strip()
            raise Refused("bad_file", f"{name} cannot be written into {self.path}: {said}; write the image anew")

    def _mtools(self, command: str, *words: str) -> subprocess.CompletedProcess[bytes]:
        program = shutil.which(command)
        if program is None:
            raise Misconfigured("mtools is needed to write into an image: apt-get install mtools")
        where = ("-i", f"{self.path}@@{self.offset}")
        return subprocess.run([program, *where, *words], capture_output=True, stdin=subprocess.DEVNULL, check=False)


def find(path: Path) -> Target:
    """The boot partition at a path. Raises Refused with what is wrong and what to do."""
    if path.is_dir():
        _check_folder(path)
        target: Target | None = Folder(path) if _is_boot(Folder(path)) else None
        what = (
            "it has no cmdline.txt and config.txt: give the small partition of the card (bootfs), where it is mounted"
        )
    else:
        _check_file(path)
        found = (Image(path, offset) for offset in offsets(path))
        target = next((one for one in found if _is_boot(one)), None)
        what = (
            "it has no FAT partition with cmdline.txt and config.txt; give an image of Raspberry Pi OS Lite, unpacked"
        )
    if target is None:
        raise Refused("bad_file", f"{path} is no boot partition of Raspberry Pi OS: {what}")
    return target


def _is_boot(target: Target) -> bool:
    return all(target.read(name) is not None for name in NEEDED)


def _check_folder(path: Path) -> None:
    """This machine's own system is never a card."""
    held = path.resolve()
    if str(held) in _OWN or any(_same_mount(held, Path(own)) for own in _OWN[1:]):
        raise Refused(
            "bad_file", f"{path} belongs to this machine's own system; give the folder where the card is mounted"
        )


def _same_mount(path: Path, own: Path) -> bool:
    """Whether a path is in this machine's boot partition (if that is a partition of its own)."""
    return os.path.ismount(own) and path.stat().st_dev == own.stat().st_dev


def _check_file(path: Path) -> None:
    """Raise Refused unless this is an image file, or a whole device of which nothing is mounted."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise Refused("bad_file", f"{path}: {error.strerror}; give the card's folder or an image file") from error
    if stat.S_ISBLK(mode):
        mounted = [name for name in _mounted_devices() if name.startswith(os.path.realpath(path))]
        if mounted:
            raise Refused("bad_file", f"{', '.join(mounted)} is mounted: give the folder, or unmount it first")
    elif not stat.S_ISREG(mode):
        raise Refused("bad_file", f"{path} is neither a folder, an image file nor a device")


def _mounted_devices() -> list[str]:
    lines = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace").splitlines()
    return sorted({os.path.realpath(line.split()[0]) for line in lines if line.startswith("/dev/")})


def offsets(path: Path) -> list[int]:
    """Where FAT partitions begin (bytes), by MBR or GPT; 0 for a lone file system. Raises Refused if unreadable."""
    try:
        with path.open("rb") as file:
            head = file.read(2 * SECTOR)
            if head[510:512] != b"\x55\xaa":
                return []
            if head[SECTOR : SECTOR + 8] == b"EFI PART":
                first, count, size = struct.unpack_from("<QII", head, SECTOR + 72)
                file.seek(first * SECTOR)
                return list(_gpt(file.read(min(count, 128) * size), size))
    except (OSError, struct.error) as error:
        raise Refused("bad_file", f"{path} cannot be read: {error}") from error
    return list(_mbr(head)) or [0]


def _mbr(head: bytes) -> Iterator[int]:
    for place in range(446, 510, 16):
        kind, first = head[place + 4], struct.unpack_from("<I", head, place + 8)[0]
        if kind in _FAT_TYPES and first:
            yield first * SECTOR


def _gpt(table: bytes, size: int) -> Iterator[int]:
    for place in range(0, len(table) - 39, max(size, 128)):
        if table[place : place + 16] in _GPT_TYPES:
            yield struct.unpack_from("<Q", table, place + 32)[0] * SECTOR


def write_all(target: Target, made: dict[str, bytes]) -> None:
    """Write every file and read it back. Raises Refused if the card did not keep one."""
    for name, content in made.items():
        target.write(name, content)
    wrong = [name for name, content in made.items() if target.read(name) != content]
    if wrong:
        raise Refused(
            "bad_file", f"the card did not keep {', '.join(wrong)}: it is full, damaged or not genuine; take another"
        )
