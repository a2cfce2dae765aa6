"""A second modem at a site: another stick on a pty, and a link `cell1` of its own to the core, slower than `cell0`."""

from __future__ import annotations

from sim import ns, site, state

RATE_BPS = 2_000_000
_SITE_END, _CORE_END = "198.18.201.2", "198.18.201.1"


def name_of(first: str) -> str:
    """Name of the site that plays the second modem of a site."""
    return f"{first}-b"


def up(directory: state.RunDir, first: state.SiteState, *, modem: str, plmn: str) -> state.SiteState:
    """Adds it; returns the loopback site whose modem it is, and whose verbs break it. One site of a run may have one.

    Raises what `site.up` raises.
    """
    spec = state.Spec(name_of(first.name), link="loopback", modem=modem, plmn=plmn, attached=True)
    second = site.up(directory, spec)
    _link(first)
    return second


def _link(first: state.SiteState) -> None:
    inside, core = first.netns_pid, first.core_pid
    ip = ["ip", "-batch", "-"]
    ns.run(
        *ns.enter(inside, ip, "/"),
        stdin=f"link add cell1 type veth peer name cell-two netns {core}\n"
        f"addr add {_SITE_END}/30 dev cell1\nlink set cell1 up\n",
    )
    ns.run(*ns.enter(core, ip, "/"), stdin=f"addr add {_CORE_END}/30 dev cell-two\nlink set cell-two up\n")
    ns.run(*ns.enter(inside, ip, "/"), stdin=f"route add default via {_CORE_END} dev cell1 metric 710\n")
    shape = f"root tbf rate {RATE_BPS}bit burst 5000 latency 150ms".split()
    for pid, device in ((inside, "cell1"), (core, "cell-two")):
        ns.run(*ns.enter(pid, ["ethtool", "-K", device, "tso", "off", "gso", "off", "gro", "off"], "/"))
        ns.run(*ns.enter(pid, ["tc", "qdisc", "replace", "dev", device, *shape], "/"))
