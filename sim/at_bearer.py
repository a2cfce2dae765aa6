"""The data connection (PDP context) of a modem, as AT commands see and change it.

Pure. Source: 3GPP TS 27.007 §10.1.9 (+CGATT), §10.1.10 (+CGACT), §10.1.14 (+CGPADDR), §10.1.23 (+CGCONTRDP), §7.3
(+COPS); ^NDISDUP after the vendor's manual. The address is one of a carrier's NAT (RFC 6598) and nobody's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

ADDRESS = "100.64.0.2"
NO_ADDRESS = "0.0.0.0"
"""What modems print for "none"."""
_UP = re.compile(r"AT(\+CGACT=1(,1)?|\+CGATT=1|\+COPS=0|\^NDISDUP=1,1.*|\+CFUN=1)$")
_DOWN = re.compile(r"AT(\+CGACT=0(,1)?|\+CGATT=0|\+COPS=2|\^NDISDUP=1,0|\+CFUN=[04])$")
REFUSED = 148
"""+CME ERROR of a context that the network does not grant: "unspecified GPRS error"."""


@dataclass(frozen=True, slots=True)
class Bearer:
    """`up`: data may flow; `granted`: the network would let it, so that asking again helps."""

    up: bool = True
    granted: bool = True


def step(bearer: Bearer, command: str) -> Bearer | None:
    """The bearer after a command that is about it; None if this one is not."""
    if _UP.match(command):
        return replace(bearer, up=bearer.granted)
    return replace(bearer, up=False) if _DOWN.match(command) else None


def is_refused(bearer: Bearer, command: str) -> bool:
    """Whether the network refuses this very command: it answers with an error, where +COPS=0 and +CFUN=1 do not."""
    return not bearer.granted and re.match(r"AT(\+CGACT=1|\^NDISDUP=1,1)", command) is not None


def line(*, up: bool, command: str) -> str | None:
    """The information line of a question about the bearer; None if this is none, '' if it has no line now."""
    if command == "AT+CGACT?":
        return f"+CGACT: 1,{int(up)}"
    if command == "AT+CGATT?":
        return f"+CGATT: {int(up)}"
    if re.fullmatch(r"AT\+CGPADDR(=1)?", command):
        return f'+CGPADDR: 1,"{ADDRESS if up else NO_ADDRESS}"'
    if re.fullmatch(r"AT\+CGCONTRDP(=1)?", command):
        return f'+CGCONTRDP: 1,5,"internet","{ADDRESS}","","198.18.0.1"' if up else ""
    return None
