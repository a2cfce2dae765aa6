"""A stick that still shows its CD drive is told to be a modem: by usb_modeswitch, or by ejecting the drive.

Debian's own rule does this at plug-in, but races with a power cut; so it is looked at again once the stick stayed a
drive for a minute. Both ways need rights that the hardened unit does not give (60-dosong.rules runs usb_modeswitch as
root); a refusal is told in the log.
Source: facts/05-hardware.md §2.3; usb_modeswitch(1): -J is Huawei's message, -K the standard eject.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
from fcntl import ioctl
from pathlib import Path

log = logging.getLogger(__name__)
_CDROMEJECT = 0x5309
_TIMEOUT_S = 20.0
_HUAWEI = "12d1"


def switch(ident: str, disk: str | None, *, dev: Path = Path("/dev")) -> bool:
    """Switch the stick `ident` ("vendor:product") whose drive is `disk` ("sr0"); True if a way was taken.

    Whether it helped shows when the stick comes back under another product number.
    """
    program = shutil.which("usb_modeswitch", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is not None and _ran(program, ident):
        return True
    return disk is not None and _ejected(dev / disk)


def _ran(program: str, ident: str) -> bool:
    vendor, product = ident.split(":")
    message = "-J" if vendor == _HUAWEI else "-K"
    try:
        done = subprocess.run(
            [program, "-v", vendor, "-p", product, message],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        log.warning("modeswitch=failed %s: %s", ident, error)
        return False
    if done.returncode:
        log.warning("modeswitch=failed %s: exit status %d", ident, done.returncode)
    return done.returncode == 0


def _ejected(path: Path) -> bool:
    try:
        drive = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError as error:
        log.warning("modeswitch=failed cannot open %s: %s", path, error.strerror)
        return False
    try:
        ioctl(drive, _CDROMEJECT)
    except OSError as error:
        log.warning("modeswitch=failed %s does not eject: %s", path, error.strerror)
        return False
    finally:
        os.close(drive)
    return True
