"""Where the technician's page may stand: on a private address of the access point or USB link, never on a modem's."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable


def problem(address: str, interface: str, modem_interfaces: Iterable[str]) -> str | None:
    """Say in half a sentence what is wrong with a place for the page, and what to do; None if it may stand there."""
    try:
        found = ipaddress.IPv4Address(address)
    except ValueError:
        return f"page.address = {address!r} is no IPv4 address; give that of the access point, for example 192.168.50.1"
    if found.is_unspecified:
        return "page.address = 0.0.0.0 would open the page to the modem's network; name the access point's own address"
    if found.is_multicast or not (found.is_private or found.is_link_local):
        return f"page.address = {address} is no private address; give that of the access point, such as 192.168.50.1"
    if interface in modem_interfaces:
        return f"page.interface = {interface!r} is a modem's link; name the access point or USB interface"
    return None
