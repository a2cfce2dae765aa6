"""The SD card of a site: a small ext4 in an image, mounted in the site alone, that fills up, fails, and forgets.

A power cut keeps what the disk held at that moment: the image is copied as it lies there, without what only the page
cache knew. A card that fails turns read-only as the kernel makes it (`errors=remount-ro`); nothing but a new mount
helps then, and whoever has files open on the old one keeps a dead one. Source: facts note 08 §7.1.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from sim import ns
from wire.errors import Misconfigured

# The journal is written when somebody syncs, or never: what was not synced is lost in a power cut.
_OPTIONS = "loop,commit=300,errors=remount-ro"
_FILLER = ".filler"
_STEPS_BYTES = (1 << 20, 1 << 16, 1 << 12, 1 << 10)
STATES = ("good", "full", "read_only")
PROGRAMS = (("mkfs.ext4", "e2fsprogs"), ("mount", "mount"))


class Card:
    """One card. Every method is called inside the site's mount namespace; `at` is where programs find it."""

    def __init__(self, folder: Path, mb: int) -> None:
        self.at = folder / "card"
        self._folder, self._mb = folder, mb
        self._image: Path | None = None
        self._count = 0
        self.state = "good"

    def start(self) -> None:
        """Makes the card and puts it in. Raises Misconfigured where no image can be mounted."""
        self.at.mkdir(exist_ok=True)
        image = self._next_image()
        with image.open("wb") as file:
            file.truncate(self._mb << 20)
        ns.run("mkfs.ext4", "-q", "-F", "-m", "0", str(image))
        self._mount(image)

    def fill(self) -> None:
        """Leaves no block free."""
        with (self.at / _FILLER).open("ab") as file:
            for step in _STEPS_BYTES:
                self._write_all(file.fileno(), bytes(step))
        self.state = "full"

    def fail(self) -> None:
        """Makes the card read-only for everybody, open files included, as an error of the medium does."""
        device = self._device()
        trigger = Path("/sys/fs/ext4") / Path(device).name / "trigger_fs_error"
        try:
            trigger.write_text("site", encoding="ascii")
        except OSError as error:
            raise Misconfigured(f"no card can fail here: {trigger}: {error.strerror}") from error
        self.state = "read_only"

    def mend(self) -> None:
        """The fault is gone: the filler goes; a failed card is put in anew (what programs hold open stays dead)."""
        if self.state == "full":
            (self.at / _FILLER).unlink(missing_ok=True)
        elif self.state == "read_only":
            self.cut()
        self.state = "good"

    def cut(self) -> None:
        """The power went: the card holds what the disk held, and comes back checked as at a boot."""
        old, image = self._image, self._next_image()
        if old is not None:
            shutil.copyfile(old, image)
        self.close()
        # fsck as a boot does it: 1 says that something was mended.
        ns.run("sh", "-c", 'fsck.ext4 -p -f "$0" >/dev/null; [ $? -le 1 ]', str(image))
        self._mount(image)
        self.state = "full" if (self.at / _FILLER).exists() else "good"

    def close(self) -> None:
        """Takes the card out; whoever has files open on it keeps the old one until he lets go."""
        if self._image is not None:
            ns.run("umount", "-l", str(self.at))
            self._image.unlink(missing_ok=True)
            self._image = None

    def _mount(self, image: Path) -> None:
        ns.run("mount", "-o", _OPTIONS, str(image), str(self.at))
        self._image = image

    def _next_image(self) -> Path:
        self._count += 1
        return self._folder / f"card-{self._count}.img"

    def _device(self) -> str:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
        return next(line.split()[0] for line in reversed(mounts) if line.split()[1] == str(self.at))

    def _write_all(self, fd: int, block: bytes) -> None:
        try:
            while os.write(fd, block) == len(block):
                os.fsync(fd)
        except OSError:
            return
