"""The Pi itself: load, memory, disk, temperature, throttling. What cannot be read is None.

Source: proc(5), sysfs thermal and hwmon; bits of `get_throttled` as the Raspberry Pi firmware documents them. Where the
firmware's own file is missing, hwmon `rpi_volt` tells undervoltage alone, and `vcgencmd` is asked last: a process.
"""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

from wire.records import Host

SYS = Path("/sys")
_THROTTLED = (
    "devices/platform/soc/soc:firmware/get_throttled",
    "devices/platform/soc@107c000000/firmware/get_throttled",
)
_VCGENCMD = re.compile(r"throttled=0x([0-9a-fA-F]{1,8})$")
_VCGENCMD_S = 2.0
_MODEL = Path("/proc/device-tree/model")
_OS_RELEASE = Path("/etc/os-release")
_TEXT = 128
_COLDEST_X10, _HOTTEST_X10 = -600, 1500
_HOST_LIMITED_PPM = 900_000
"""Above nine tenths of a core the Pi, not the link, may have been what was measured."""


def read(state_dir: Path, spool_records: int, test_cpu_ppm: int | None = None) -> Host:
    """Read the host; `spool_records` is the number of records not yet acknowledged."""
    stat = os.statvfs(state_dir)
    return Host(
        uptime_ms=_uptime_ms(),
        cpu_temp_c_x10=cpu_temp_c_x10(),
        throttled_bits=throttled_bits(),
        load1_x100=round(os.getloadavg()[0] * 100),
        mem_available_bytes=_mem_available_bytes(),
        disk_free_bytes=stat.f_bavail * stat.f_frsize,
        test_cpu_ppm=test_cpu_ppm,
        host_limited=None if test_cpu_ppm is None else test_cpu_ppm >= _HOST_LIMITED_PPM,
        spool_records=spool_records,
    )


def cpu_temp_c_x10(sys: Path = SYS) -> int | None:
    """Return the processor's temperature in tenths of a degree: the thermal zone of the CPU, else its hwmon sensor."""
    zones = sorted(sys.glob("class/thermal/thermal_zone*"), key=lambda zone: "cpu" not in (_text(zone / "type") or ""))
    sensors = [chip for chip in sorted(sys.glob("class/hwmon/hwmon*")) if "cpu" in (_text(chip / "name") or "")]
    places = [zone / "temp" for zone in zones] + [chip / "temp1_input" for chip in sensors]
    for place in places:
        tenths = _milli_to_tenths(_number(place))
        if tenths is not None and _COLDEST_X10 <= tenths <= _HOTTEST_X10:
            return tenths
    return None


def throttled_bits(sys: Path = SYS, vcgencmd: str = "vcgencmd") -> int | None:
    """Return the bits of `get_throttled`; from hwmon only bit 0, undervoltage now. None: this is no Raspberry Pi."""
    for name in _THROTTLED:
        if (bits := _number(sys / name, 16)) is not None:
            return bits
    for chip in sorted(sys.glob("class/hwmon/hwmon*")):
        if (_text(chip / "name") or "").strip() == "rpi_volt":
            return _number(chip / "in0_lcrit_alarm")
    return _ask_firmware(vcgencmd)


def _ask_firmware(vcgencmd: str) -> int | None:
    program = shutil.which(vcgencmd)
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "get_throttled"], capture_output=True, text=True, timeout=_VCGENCMD_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = _VCGENCMD.match(done.stdout.strip())
    return int(found[1], 16) if found else None


def free_bytes(folder: Path) -> int | None:
    """Return the space that this user may still fill beside `folder`; None if the disk does not answer."""
    try:
        room = os.statvfs(folder)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize


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
