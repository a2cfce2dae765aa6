"""What a transfer's transport hands to the estimator: counts at one instant, and what TCP says of each connection.

Source: facts note 03 §5 rule 3.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Flow:
    """What TCP_INFO says of one connection. `window_bytes` is the receive window, None if the kernel has no word."""

    rtt_us: int
    rtt_us_min: int | None
    retrans: int
    window_bytes: int | None


@dataclass(frozen=True, slots=True)
class Sample:
    """Counts at one instant since the start of the transfer.

    `payload_bytes`: received in order (downlink) or acknowledged by the far end (uplink). `link_bytes`: the
    interface's own count in that direction without our echoes, None if it cannot be read. `sent_bytes` (uplink):
    payload handed to the link, sent again or not; None if the kernel has no word. `step_us` (uplink): when the
    count last stepped, None if that is not known (several connections).
    """

    at_us: int
    payload_bytes: int
    link_bytes: int | None
    flows: tuple[Flow, ...] = ()
    sent_bytes: int | None = None
    step_us: int | None = None
