"""Small real disks for tests of the probe: ext4 in an image, and a tmpfs; both need root."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

needs_disks = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root"),
    pytest.mark.skipif(shutil.which("mkfs.ext4") is None, reason="mkfs.ext4 needed"),
]


def make_image(path: Path, size_bytes: int = 4 << 20) -> Path:
    """An ext4 file system without space kept for root, in a file."""
    with path.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(path)], check=True, capture_output=True)
    return path


@contextmanager
def mounted(image: Path, at: Path, options: str = "loop,commit=300") -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    mount = subprocess.run(["mount", "-o", options, str(image), str(at)], capture_output=True, text=True, check=False)
    if mount.returncode != 0:
        pytest.skip(f"no loop mounts here: {mount.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True, capture_output=True)  # a failed test may hold it open


@contextmanager
def memory_disk(at: Path, size_bytes: int) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "tmpfs", str(at)]
    mount = subprocess.run(command, capture_output=True, text=True, check=False)
    if mount.returncode != 0:
        pytest.skip(f"no mounts here: {mount.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True, capture_output=True)


def fill_up(disk: Path) -> Path:
    """Take all the space that is left, down to the last block; returns the file that holds it."""
    path = disk / "ballast"
    with path.open("ab", buffering=0) as file:
        for size in (1 << 20, 65_536, 4_096, 512, 1):
            try:
                while file.write(bytes(size)) == size:
                    pass
            except OSError:
                continue
        os.fsync(file.fileno())
    return path


def remount(at: Path, how: str) -> None:
    """Remount "ro" or "rw". Files open for writing must not stop the kernel from going read-only, as after an error."""
    subprocess.run(["mount", "-o", f"remount,{how}", str(at)], check=True, capture_output=True)
