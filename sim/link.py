"""The wires of a site: `cell0` (the modem, shaped or relayed) and `wlan0` (the hall's Wi-Fi, faster) to the core.

Every function is called inside the site's namespace; the core's ends are set through its holder's pid. No wire ever
appears in the machine's own namespace.
"""

from __future__ import annotations

import fcntl
import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from sim import ns
from wire.errors import Misconfigured

CORE_ADDRESS = "198.18.0.1"
OTHER_ADDRESS = "198.18.0.2"
"""Where servers stand that are not ours."""
WIFI_BPS = 200_000_000
SITES_MAX = 99
PROGRAMS = (
    ("ip", "iproute2"),
    ("tc", "iproute2"),
    ("ethtool", "ethtool"),
    ("nsenter", "util-linux"),
    ("setpriv", "util-linux"),
    ("nft", "nftables"),
)
_CELL_METRIC, _WIFI_METRIC = 700, 600
# linux/if_tun.h
TUN = Path("/dev/net/tun")
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
# Packets that the kernel keeps for the relay between two passes; 40 ms of a gigabit.
_TUN_PACKETS = 4_096


@dataclass(frozen=True, slots=True)
class Wires:
    """Where a site's wires end: the core's holder and the site's number (1 to 99) within the run."""

    core_pid: int
    index: int

    @property
    def cell_address(self) -> str:
        """IPv4 address of cell0 in the site."""
        return f"198.18.{self.index}.2"

    @property
    def cell_gateway(self) -> str:
        """IPv4 address of the core's end of cell0."""
        return f"198.18.{self.index}.1"

    @property
    def wifi_address(self) -> str:
        """IPv4 address of wlan0 in the site."""
        return f"198.18.{100 + self.index}.2"

    @property
    def wifi_gateway(self) -> str:
        """IPv4 address of the core's end of wlan0."""
        return f"198.18.{100 + self.index}.1"


def burst_bytes(rate_bps: int) -> int:
    """Bucket of the shaper: 8 ms of the rate, so that it never counts as throughput; 2 packets to 16 KiB."""
    return max(3_200, min(16_384, rate_bps // 1000))


def build_core() -> None:
    """Sets up the core's namespace, from within it: the address that servers bind to, and nothing else."""
    _quiet()
    _ip("link set lo up", f"addr add {CORE_ADDRESS}/32 dev lo", f"addr add {OTHER_ADDRESS}/32 dev lo")


def build_site() -> None:
    """Sets up the site's namespace, from within it: loopback, and no wire yet."""
    _quiet()
    _ip("link set lo up")


def shaped_cell(wires: Wires, downlink_bps: int, uplink_bps: int) -> None:
    """Adds cell0 as a veth pair that tbf shapes, with its default route."""
    _pair(wires, "cell", "cell0", wires.cell_address, wires.cell_gateway)
    shape(wires, downlink_bps, uplink_bps)
    cell_up(wires)


def relayed_cell(wires: Wires) -> tuple[int, int]:
    """Adds cell0 and the core's end as two TUN devices (raw IP, as a modem's wwan interface), with the default route.

    Returns their descriptors, not inherited by children; the devices vanish when the last copy of each is closed.
    """
    peer = _peer(wires, "cell")
    site_fd, core_fd = _tun("cell0"), _tun(peer)
    _ip(
        f"link set cell0 txqueuelen {_TUN_PACKETS}",
        f"addr add {wires.cell_address}/30 dev cell0",
        f"link set {peer} netns {wires.core_pid}",
    )
    core = ns.enter(wires.core_pid, ["ip", "-batch", "-"], "/")
    settings = f"addr add {wires.cell_gateway}/30 dev {peer}\nlink set {peer} txqueuelen {_TUN_PACKETS} up\n"
    ns.run(*core, stdin=settings)
    cell_up(wires)
    return site_fd, core_fd


def cell_up(wires: Wires) -> None:
    """Brings cell0 up; its default route, lost when the link went down, comes back with it."""
    _ip(
        "link set cell0 up",
        f"route replace default via {wires.cell_gateway} dev cell0 metric {_CELL_METRIC}",
    )


def cell_down() -> None:
    """Takes cell0 down, as when the stick is pulled out."""
    _ip("link set cell0 down")


def wifi_up(wires: Wires) -> None:
    """Adds wlan0, 200 Mbit/s and preferred by metric: whatever is not bound to cell0 leaves here."""
    _pair(wires, "wlan", "wlan0", wires.wifi_address, wires.wifi_gateway)
    _queue(wires, "wlan", "wlan0", _tbf(WIFI_BPS), _tbf(WIFI_BPS))
    _ip("link set wlan0 up", f"route replace default via {wires.wifi_gateway} dev wlan0 metric {_WIFI_METRIC}")


def wifi_down() -> None:
    """Removes wlan0."""
    _ip("link delete wlan0")


def shape(wires: Wires, downlink_bps: int, uplink_bps: int) -> None:
    """Shapes both directions: uplink at cell0, downlink at the core's end. Rates are on the wire, bits a second."""
    _queue(wires, "cell", "cell0", _tbf(uplink_bps), _tbf(downlink_bps))


def block(wires: Wires) -> None:
    """Drops every packet of cell0 in both directions, in silence, as a lost radio link does."""
    _queue(wires, "cell", "cell0", ["blackhole"], ["blackhole"])


def _queue(wires: Wires, kind: str, device: str, site_end: list[str], core_end: list[str]) -> None:
    """Puts a queueing discipline on both ends of a pair."""
    ns.run("tc", "qdisc", "replace", "dev", device, "root", *site_end)
    core = ["tc", "qdisc", "replace", "dev", _peer(wires, kind), "root", *core_end]
    ns.run(*ns.enter(wires.core_pid, core, "/"))


def _tbf(rate_bps: int) -> list[str]:
    return f"tbf rate {rate_bps}bit burst {burst_bytes(rate_bps)} latency 150ms".split()


def _peer(wires: Wires, kind: str) -> str:
    return f"{kind}-{wires.index}"


def close(fds: Iterable[int]) -> None:
    """Closes descriptors that someone else holds now."""
    for fd in fds:
        os.close(fd)


def _tun(name: str) -> int:
    """Makes a TUN device in this namespace. Raises Misconfigured if the machine does not allow it."""
    try:
        fd = os.open(TUN, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, _TUNSETIFF, struct.pack("16sH22x", name.encode(), _IFF_TUN | _IFF_NO_PI))
    except OSError as error:
        raise Misconfigured(f"no TUN device ({error.strerror}); run `modprobe tun`, or take `--shaper tbf`") from error
    return fd


def _pair(wires: Wires, kind: str, device: str, address: str, gateway: str) -> None:
    """One veth pair, both ends addressed, offloads off: a shaper that sees 64 KB packets shapes badly."""
    peer = _peer(wires, kind)
    _ip(f"link add {device} type veth peer name {peer} netns {wires.core_pid}", f"addr add {address}/30 dev {device}")
    core = ns.enter(wires.core_pid, ["ip", "-batch", "-"], "/")
    ns.run(*core, stdin=f"addr add {gateway}/30 dev {peer}\nlink set {peer} up\n")
    off = ["tso", "off", "gso", "off", "gro", "off"]
    ns.run("ethtool", "-K", device, *off)
    ns.run(*ns.enter(wires.core_pid, ["ethtool", "-K", peer, *off], "/"))


def _ip(*commands: str) -> None:
    ns.run("ip", "-batch", "-", stdin="\n".join(commands) + "\n")


def _quiet() -> None:
    """No IPv6 chatter on the counters, and replies may come back by either link (rp_filter loose)."""
    for name, value in (("net/ipv6/conf/all/disable_ipv6", "1"), ("net/ipv4/conf/all/rp_filter", "2")):
        path = Path("/proc/sys") / name
        if path.exists() and path.read_text(encoding="ascii").strip() != value:
            try:
                path.write_text(value, encoding="ascii")
            except OSError as error:
                raise Misconfigured(
                    f"cannot write {path}: {error.strerror}; run on a machine that allows it"
                ) from error
