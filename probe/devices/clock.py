"""The kernel's clocks: wall time, time since boot, boot id, and how wrong the wall clock may be.

Source: adjtimex(2), clock_gettime(2) (CLOCK_BOOTTIME counts suspend too), random(4) (boot_id).
"""

from __future__ import annotations

import ctypes
import time
from pathlib import Path

from probe.core.clock import ClockReading

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class _Timex(ctypes.Structure):
    """The head of `struct timex`; the kernel writes 208 bytes on 64-bit machines, so the rest is room for them."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_char * 256),
    )


def max_error_us() -> int | None:
    """Return the kernel's bound of the wall clock's error; None if it will not tell. Changes nothing."""
    state = _Timex()
    if ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state)) < 0:
        return None
    return int(state.maxerror)


def boot_id() -> str:
    """Return this boot's random id as 32 hex digits."""
    return _BOOT_ID.read_text().strip().replace("-", "")


def mono_ms() -> int:
    """Return the milliseconds since boot, suspend included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


def read(boot: str) -> ClockReading:
    """Read all clocks at one moment."""
    return ClockReading(boot, mono_ms(), time.time_ns() // 1_000_000, max_error_us())
