"""What the operator does to a site's packets and names: its resolver, its portal, its barred plans.

The resolver listens on the gateway of cell0 (UDP 53), the portal there on TCP 80, both inside the core's namespace and
answered by the site's holder; what is dropped or led astray is a table of nftables of the site's own there. Wi-Fi is
another way and stays as it is. Source: facts/05-hardware.md §2.2, §4 (portals, resolvers that lie).
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
import threading
from dataclasses import dataclass, replace
from typing import Any, cast

from sim import link, ns
from sim.dns_answer import answer
from wire.errors import Misconfigured

DOMAIN = "dosong.test"
"""Every name below it is the core's address; there are no other names."""
PLAN_HOST = "napthe.operator.test"
_CLONE_NEWNET = 0x40000000
CHOICES = {
    "dns": ("ok", "silent", "nxdomain"),
    "portal": ("off", "captive", "plan"),
    "drop": ("none", "all", "udp", "server", "broker"),
}
_PAGE = b"<!doctype html><title>%s</title><p>%s\n"
_PAGES = {
    "captive": ("200 OK", "", _PAGE % (b"Welcome", b"Please log in to use this network.")),
    "plan": (
        "302 Found",
        f"Location: http://{PLAN_HOST}/topup\r\n",
        _PAGE % (b"Top up", "Gói cước đã hết hạn. Vui lòng nạp thẻ. / Your plan has expired.".encode()),
    ),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What holds now. `dns`: how the resolver answers. `portal`: whose page every HTTP request gets, or `off`.

    `drop`: what is thrown away besides: everything, UDP, what goes to the measurement point, or to the broker.
    """

    dns: str = "ok"
    portal: str = "off"
    drop: str = "none"


def changed(policy: Policy, changes: dict[str, Any]) -> Policy:
    """The policy with some parts changed. Raises ValueError, in one sentence, for a part or a word that is none."""
    for name, word in changes.items():
        if word not in CHOICES.get(name, ()):
            raise ValueError(f"{name} {word!r} is nothing that an operator does; there are {CHOICES}")
    return replace(policy, **changes)


def rules(index: int, gateway: str, policy: Policy) -> str:
    """The site's table of nftables, empty where nothing is barred. Pure."""
    table, own = f"dosong_{index}", f'iifname "cell-{index}"'
    drops: list[str] = []
    leads = ""
    if policy.portal != "off":
        leads = f"{own} meta l4proto tcp tcp dport {{ 80, 8080 }} dnat to {gateway}:80"
        drops += [
            f"{own} udp dport != 53 drop",
            f"{own} meta l4proto icmp drop",
            f"{own} tcp dport != {{ 80, 8080 }} drop",
        ]
    drops += {
        "all": [f"{own} drop"],
        "udp": [f"{own} udp dport != 53 drop"],
        "server": [f"{own} ip daddr {link.CORE_ADDRESS} tcp dport != 8883 drop", f"{own} udp dport != 53 drop"],
        "broker": [f"{own} ip daddr {link.CORE_ADDRESS} tcp dport 8883 drop"],
    }.get(policy.drop, [])
    fresh = f"table ip {table}\ndelete table ip {table}\n"
    if not drops and not leads:
        return fresh
    lines = "\n".join(f"  {rule}" for rule in drops)
    return (
        f"{fresh}table ip {table} {{\n"
        f" chain barred {{\n  type filter hook prerouting priority -150; policy accept;\n{lines}\n }}\n"
        f" chain led {{\n  type nat hook prerouting priority -100; policy accept;\n  {leads}\n }}\n}}\n"
    )


class Operator:
    """The operator's side of one site's link; all methods run on the event loop's thread of the site's holder."""

    def __init__(self, wires: link.Wires) -> None:
        self._wires = wires
        self.policy = Policy()
        self._resolver: asyncio.DatagramTransport | None = None
        self._portal: asyncio.Server | None = None

    async def start(self) -> None:
        """Opens resolver and portal. Raises Misconfigured if the core does not let us."""
        sockets = _sockets(self._wires.core_pid, self._wires.cell_gateway)
        loop = asyncio.get_running_loop()
        self._resolver, _ = await loop.create_datagram_endpoint(lambda: _Resolver(self), sock=sockets[0])
        self._portal = await asyncio.start_server(self._page, sock=sockets[1])

    def set(self, changes: dict[str, Any]) -> None:
        """Makes parts of the policy others. Raises ValueError for words that are none, Misconfigured without nft."""
        wanted = changed(self.policy, changes)
        nft = ns.enter(self._wires.core_pid, ["nft", "-f", "-"], "/")
        ns.run(*nft, stdin=rules(self._wires.index, self._wires.cell_gateway, wanted))
        self.policy = wanted

    def close(self) -> None:
        """Closes resolver and portal and takes the site's table away."""
        if self._resolver is not None:
            self._resolver.close()
        if self._portal is not None:
            self._portal.close()
        if self.policy != Policy():
            with contextlib.suppress(Misconfigured):
                self.set({"dns": "ok", "portal": "off", "drop": "none"})

    def address_of(self, name: str) -> str | None:
        """What the resolver says a name's address is; None: there is no such name."""
        if self.policy.portal != "off":
            return self._wires.cell_gateway
        if self.policy.dns == "nxdomain":
            return None
        return link.CORE_ADDRESS if name == DOMAIN or name.endswith("." + DOMAIN) else None

    async def _page(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers whatever is asked with the portal's page, and hangs up."""
        with contextlib.suppress(
            OSError, ValueError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError
        ):
            await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 10)
            status, more, body = _PAGES.get(self.policy.portal, ("404 Not Found", "", b""))
            head = f"HTTP/1.1 {status}\r\n{more}Content-Type: text/html; charset=utf-8\r\n"
            writer.write(f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body)
            await writer.drain()
        writer.close()


class _Resolver(asyncio.DatagramProtocol):
    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        if self._operator.policy.dns == "silent" or self._transport is None:
            return
        text = answer(data, self._operator.address_of)
        if text is not None:
            self._transport.sendto(text, addr)


def _sockets(core_pid: int, address: str) -> tuple[socket.socket, socket.socket]:
    """UDP 53 and listening TCP 80 of the core's namespace, made by a thread that goes there and ends there."""
    made: list[socket.socket] = []
    errors: list[OSError] = []

    def make() -> None:
        try:
            fd = os.open(f"/proc/{core_pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if ctypes.CDLL(None, use_errno=True).setns(fd, _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
            finally:
                os.close(fd)
            for kind, port in ((socket.SOCK_DGRAM, 53), (socket.SOCK_STREAM, 80)):
                made.append(socket.socket(socket.AF_INET, kind | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC))
                made[-1].setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                made[-1].bind((address, port))
            made[1].listen(64)
        except OSError as error:
            errors.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if errors:
        for each in made:
            each.close()
        raise Misconfigured(f"the operator's resolver cannot stand at {address}: {errors[0]}")
    return made[0], made[1]
