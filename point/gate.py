"""Who may use what needs no ticket, and how often: the mini server's transfers and the plain UDP echo.

Both are for any client, so each address has a rate; and a mini transfer is sent away while it could spoil a test.
Pure: times are given.
"""

from __future__ import annotations

import math

from point import protocol
from point.bucket import Buckets
from point.desk import Desk
from point.protocol import Reply, Request
from point.tickets import ECHO_MAGIC

_MINI_BURST_S = 20
_ECHO_BURST_S = 10


class Gate:
    """Asked before a mini transfer begins and before a datagram is answered. `desk` is None without a key."""

    def __init__(self, mini_requests_s: int, echoes_s: int, desk: Desk | None) -> None:
        self._mini = Buckets(mini_requests_s, mini_requests_s * _MINI_BURST_S)
        self._echoes = Buckets(echoes_s, echoes_s * _ECHO_BURST_S)
        self._desk = desk

    def refuse_mini(self, request: Request, peer: str, now_s: float) -> Reply | None:
        """The reply that sends a mini transfer away; None if it may begin."""
        if not request.is_bulk:
            return None
        if self._desk is not None and self._desk.book.active and not self._desk.has_room():
            return protocol.refusal(503)
        if self._mini.take(peer, now_s):
            return None
        wait_s = max(1, math.ceil(self._mini.wait_s(peer, now_s)))
        return protocol.words(429, f"rate: too many transfers from this address, wait {wait_s} s", retry_after_s=wait_s)

    def may_echo(self, datagram: bytes, source: str, now_s: float) -> bool:
        """Whether a datagram is answered: a ticketed one by its MAC, any other by its source's rate."""
        if datagram.startswith(ECHO_MAGIC):
            return self._desk is not None and self._desk.book.knows_echo(datagram, now_s)
        return self._echoes.take(source, now_s)
