"""One UDP echo by the modem's interface, for a step of coverage: does the other end answer, and how far is it?

Source: design §4 (coverage: one echo of at most 64 bytes a minute).
"""

from __future__ import annotations

from probe.core.coverage import EchoSeen
from probe.devices.echo import Echo


def reach(address: str, port: int, iface: str, timeout_s: float) -> EchoSeen:
    """Send one echo and wait for its answer. An interface that is missing or has no route is "no_bearer"."""
    try:
        echo = Echo(iface, address, port)
    except OSError:
        return EchoSeen("no_bearer")
    try:
        (rtt_us,) = echo.series(1, 0.0, timeout_s)
    finally:
        echo.close()
    return EchoSeen("lost") if rtt_us is None else EchoSeen("answered", rtt_us)
