"""Network interfaces of this process: their byte counters and state, read from the kernel.

`/proc/net/dev` and `if_nameindex` show the namespace of the calling process. `/sys/class/net` shows the
namespace in which that sysfs was mounted: after `nsenter --net` it is still the old one (seen on kernel 6.18),
so it is only read through `from_sysfs`, for a tree whose root is given.
Source: proc(5); facts note 05 §2.5 (proof of path).
"""

from __future__ import annotations

import socket
import struct
from fcntl import ioctl
from pathlib import Path

from probe.core.path import LinkCounters

_SIOCGIFFLAGS = 0x8913
_IFF_UP = 0x1
_IFF_RUNNING = 0x40
_PROC_NET_DEV = Path("/proc/self/net/dev")


def read() -> tuple[LinkCounters, ...]:
    """Counters of every interface of this process's network namespace, in the order of their index.

    An interface that appears or goes between the two reads is left out. Raises OSError without /proc.
    """
    counters = _parse_proc(_PROC_NET_DEV.read_text())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        return tuple(
            LinkCounters(name, index, *counters[name], up=_is_up(any_socket, name))
            for index, name in sorted(socket.if_nameindex())
            if name in counters
        )


def read_bytes(iface: str) -> tuple[int, int] | None:
    """(received, sent) bytes of one interface; None if there is no such interface. Made for sampling."""
    prefix = f"{iface}:"
    for line in _PROC_NET_DEV.read_text().splitlines():
        if line.lstrip().startswith(prefix):
            return _counts(line)
    return None


def from_sysfs(root: Path) -> tuple[LinkCounters, ...]:
    """The same from a sysfs tree such as `/sys/class/net`, in the order of the index.

    `up` is operstate up, or unknown (raw-ip modems say so) with carrier. Files that are missing count as down
    or leave the interface out.
    """
    found = (_read_sysfs(folder) for folder in root.iterdir())
    return tuple(sorted((one for one in found if one is not None), key=lambda link: link.ifindex))


def _parse_proc(text: str) -> dict[str, tuple[int, int]]:
    lines = (line for line in text.splitlines() if ":" in line)
    return {line.partition(":")[0].strip(): _counts(line) for line in lines}


def _counts(line: str) -> tuple[int, int]:
    columns = line.partition(":")[2].split()
    return int(columns[0]), int(columns[8])


def _is_up(any_socket: socket.socket, name: str) -> bool:
    """Up and with carrier, as the kernel's flags say."""
    try:
        answer = ioctl(any_socket.fileno(), _SIOCGIFFLAGS, struct.pack("16sH14x", name.encode(), 0))
    except OSError:
        return False
    flags: int = struct.unpack("16sH14x", answer)[1]
    return flags & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING


def _read_sysfs(folder: Path) -> LinkCounters | None:
    try:
        ifindex = int((folder / "ifindex").read_text())
        rx_bytes = int((folder / "statistics/rx_bytes").read_text())
        tx_bytes = int((folder / "statistics/tx_bytes").read_text())
    except (OSError, ValueError):
        return None
    state, carrier = _word(folder / "operstate"), _word(folder / "carrier")
    up = state == "up" or (state == "unknown" and carrier == "1")
    return LinkCounters(folder.name, ifindex, rx_bytes, tx_bytes, up)


def _word(path: Path) -> str | None:
    try:
        return path.read_text().strip()
    except OSError:  # `carrier` answers EINVAL while the interface is down
        return None
