"""The clock of a site's programs: off by any amount, known to be right or not, set while they run.

libfaketime moves the wall clock and leaves monotonic time alone; `sim/data/clock` answers adjtimex, by which programs
tell whether the clock has been set. Both read files of the site, so that time can be set like by a time server.
"""

from __future__ import annotations

import time
from pathlib import Path

from wire.errors import Misconfigured

UNSYNCED_US, SYNCED_US = 16_000_000, 100_000
_LIBRARIES = ("/usr/lib", "/usr/local/lib")
_PRELOAD = "faketime/libfaketimeMT.so.1"


class Clock:
    """The clock as files in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.offset_s, self.synced = 0, True

    def set(self, *, offset_s: int, synced: bool) -> None:
        """The clock is `offset_s` ahead of ours (negative: behind) from now on, and a time server has set it or not."""
        self.offset_s, self.synced = offset_s, synced
        for name, text in (
            ("clock-offset", f"{offset_s:+d}"),
            ("clock-error", str(SYNCED_US if synced else UNSYNCED_US)),
        ):
            fresh = self._folder / (name + ".new")
            fresh.write_text(text + "\n", encoding="ascii")
            fresh.replace(self._folder / name)


def to_1970_s() -> int:
    """The offset of a clock that has just started at 1970, as one without a battery does."""
    return 60 - int(time.time())


def environment(folder: Path) -> list[str]:
    """`NAME=value` words under which a program lives by the clock of the site in `folder`.

    Raises Misconfigured without libfaketime.
    """
    return [
        f"LD_PRELOAD={_library()}",
        f"FAKETIME_TIMESTAMP_FILE={folder / 'clock-offset'}",
        "FAKETIME_NO_CACHE=1",
        "FAKETIME_DONT_FAKE_MONOTONIC=1",
        "NO_FAKE_STAT=1",
        f"DOSONG_SIM_MAXERROR={folder / 'clock-error'}",
        f"PYTHONPATH={Path(__file__).parent / 'data' / 'clock'}",
    ]


def _library() -> Path:
    for root in _LIBRARIES:
        for found in sorted(Path(root).glob(f"*/{_PRELOAD}")):
            return found
    raise Misconfigured("libfaketime is missing: run `apt-get install faketime`")
