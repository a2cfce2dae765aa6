"""The Pi itself: load, memory, disk, temperature, throttling. What cannot be read is None.

Source: proc(5), sysfs thermal and hwmon; bits of `get_throttled` as the Raspberry Pi firmware documents them.
"""

from __future__ import annotations

import os
import platform
from pathlib import Path

from wire.records import Host

_THERMAL = Path("/sys/class/thermal/thermal_zone0/temp")
_THROTTLED = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
_MODEL = Path("/proc/device-tree/model")
_OS_RELEASE = Path("/etc/os-release")
_TEXT = 128
_HOST_LIMITED_PPM = 900_000
"""Above nine tenths of a core the Pi, not the link, may have been what was measured."""


def read(state_dir: Path, spool_records: int, test_cpu_ppm: int | None = None) -> Host:
    """Read the host; `spool_records` is the number of records not yet acknowledged."""
    stat = os.statvfs(state_dir)
    return Host(
        uptime_ms=_uptime_ms(),
        cpu_temp_c_x10=_milli_to_tenths(_number(_THERMAL)),
        throttled_bits=_number(_THROTTLED, 16),
        load1_x100=round(os.getloadavg()[0] * 100),
        mem_available_bytes=_mem_available_bytes(),
        disk_free_bytes=stat.f_bavail * stat.f_frsize,
        test_cpu_ppm=test_cpu_ppm,
        host_limited=None if test_cpu_ppm is None else test_cpu_ppm >= _HOST_LIMITED_PPM,
        spool_records=spool_records,
    )


def model() -> str | None:
    """Return the board's name, else the machine type; None if neither is known."""
    text = _text(_MODEL)
    return (text.strip("\0 \n") if text else platform.machine())[:_TEXT] or None


def os_name() -> str | None:
    """Return the operating system's pretty name; None if /etc/os-release is missing."""
    for line in (_text(_OS_RELEASE) or "").splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')[:_TEXT] or None
    return None


def _uptime_ms() -> int | None:
    text = _text(Path("/proc/uptime"))
    return None if text is None else round(float(text.split()[0]) * 1000)


def _mem_available_bytes() -> int | None:
    for line in (_text(Path("/proc/meminfo")) or "").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _milli_to_tenths(milli: int | None) -> int | None:
    return None if milli is None else round(milli / 100)


def _number(path: Path, base: int = 10) -> int | None:
    text = _text(path)
    try:
        return None if text is None else int(text.strip(), base)
    except ValueError:
        return None


def _text(path: Path) -> str | None:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return None
