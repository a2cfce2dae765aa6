"""Tickets: leave to run one test, each direction once, at most 120 s ahead; and what was seen of each direction.

A ticket holds one of the point's places while its test goes on: until both receipts are given, or nothing has come
of it for `rest_s`. A test that lost its place may ask for it again while the ticket is valid.
Pure: times are given, monotonic seconds; ids and keys are drawn by the caller.
Source: design §6, §7; `PROTOCOL.md`.
"""

from __future__ import annotations

import hmac
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

Direction = Literal["downlink", "uplink"]
DIRECTIONS: tuple[Direction, Direction] = ("downlink", "uplink")

RECEIPT_S = 120
"""How long after a ticket's end its receipts can still be fetched."""

MOST_TICKETS = 10_000
MOST_CONNECTIONS = 4
MOST_OF_A_PROBE = 2
"""Tests at once of one probe behind one address: the second is for a probe that was restarted in mid-test."""

MOST_ECHOES = 2000
ECHO_MAGIC = b"dsg1"
ECHO_BYTES = 28
_ECHO_SIGNED_BYTES = 20


class Denied(Exception):
    """A request that gets no ticket, transfer or receipt. `word` is for programs, `sentence` for people."""

    def __init__(self, status: int, word: str, sentence: str, retry_after_s: int | None = None) -> None:
        super().__init__(f"{word}: {sentence}")
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(slots=True)
class Transfer:
    """One direction of one test. Times are None until the first byte; `limited` says that our limit ended it."""

    opened: int = 0
    open: int = 0
    began_s: float = 0.0
    closed_s: float = 0.0
    first_s: float | None = None
    last_s: float | None = None
    handed_bytes: int = 0
    payload_bytes: int = 0
    rtt_us_min: int | None = None
    retrans: int | None = None
    ran_dry: bool = False
    sources: list[str] = field(default_factory=list)
    receipt: bytes | None = None
    spoiled: str | None = None

    @property
    def is_over(self) -> bool:
        """Whether it has run and all its connections are closed."""
        return self.opened > 0 and self.open == 0

    @property
    def is_settled(self) -> bool:
        """Whether its receipt has been given or refused for good."""
        return self.receipt is not None or self.spoiled is not None

    @property
    def duration_us(self) -> int:
        """First to last byte; 0 if none came."""
        if self.first_s is None or self.last_s is None:
            return 0
        return max(0, round((self.last_s - self.first_s) * 1e6))

    @property
    def rate_bps(self) -> int | None:
        """Payload bits a second from first to last byte; None if that is no stretch of time."""
        return self.payload_bytes * 8_000_000 // self.duration_us if self.duration_us else None


@dataclass(slots=True)
class Ticket:
    """One ticket. From `expires_s` on no transfer begins and no echo is answered; `touched_s`: when last used."""

    id: str
    probe: str
    epoch: int
    source: str
    echo_key: bytes
    issued_s: float
    expires_s: float
    touched_s: float
    transfers: dict[Direction, Transfer] = field(default_factory=dict)
    echoes: int = 0

    def transfer(self, direction: Direction) -> Transfer:
        """State of one direction, made at its first use."""
        return self.transfers.setdefault(direction, Transfer())

    @property
    def open_connections(self) -> int:
        """Connections that move its bytes at present."""
        return sum(transfer.open for transfer in self.transfers.values())

    def holds_place(self, now_s: float, rest_s: float) -> bool:
        """Whether its test still goes on; it may rest for `rest_s`."""
        if self.open_connections:
            return True
        done = len(self.transfers) == len(DIRECTIONS) and all(t.is_settled for t in self.transfers.values())
        return not done and now_s - self.touched_s < rest_s


def echo_id(ticket_id: str) -> bytes:
    """The 12 bytes by which a datagram names its ticket."""
    return sha256(ticket_id.encode()).digest()[:12]


def echo_mac(echo_key: bytes, signed: bytes) -> bytes:
    """The last 8 bytes of a ticketed datagram: over the 20 before them."""
    return hmac.digest(echo_key, signed, "sha256")[:8]


class Book:
    """All tickets that are valid, or whose receipts can still be fetched; at most `MOST_TICKETS`."""

    def __init__(self, tests_of_a_source: int, rest_s: int) -> None:
        self._rest_s = rest_s
        self._tests_of_a_source = tests_of_a_source
        self._tickets: dict[str, Ticket] = {}
        self._by_echo_id: dict[bytes, Ticket] = {}
        self._active: dict[str, Ticket] = {}

    def __len__(self) -> int:
        return len(self._tickets)

    @property
    def active(self) -> int:
        """Tests that hold a place."""
        return len(self._active)

    @property
    def resting(self) -> int:
        """Tests that hold a place and move no bytes at present."""
        return sum(1 for ticket in self._active.values() if not ticket.open_connections)

    def holds_place(self, ticket: Ticket) -> bool:
        """Whether this ticket's test is among the active ones."""
        return ticket.id in self._active

    def check_share(self, source: str, probe: str) -> None:
        """Raise Denied(429) if this address, or this probe behind it, has its share of places already."""
        of_source = [ticket for ticket in self._active.values() if ticket.source == source]
        if sum(ticket.probe == probe for ticket in of_source) >= MOST_OF_A_PROBE:
            raise Denied(429, "probe_limit", f"this probe has {MOST_OF_A_PROBE} tests open here", self._rest_s)
        if len(of_source) >= self._tests_of_a_source:
            count = self._tests_of_a_source
            raise Denied(429, "source_limit", f"{count} tests are open from this address", self._rest_s)

    def add(self, ticket: Ticket) -> None:
        """Enter a new ticket, which holds a place. Raises Denied(503) if the book is full of valid ones."""
        self._make_room(ticket.issued_s)
        self._tickets[ticket.id] = ticket
        self._by_echo_id[echo_id(ticket.id)] = ticket
        self._active[ticket.id] = ticket

    def take_place(self, ticket: Ticket) -> None:
        """Give a ticket whose test had rested too long its place again."""
        self._active[ticket.id] = ticket

    def find(self, ticket_id: str) -> Ticket:
        """The ticket of this id. Raises Denied(403) if there is none."""
        ticket = self._tickets.get(ticket_id)
        if ticket is None:
            raise Denied(403, "unknown", "no such ticket here; ask for one with /v1/ticket")
        return ticket

    def knows_echo(self, datagram: bytes, now_s: float) -> bool:
        """Whether a ticketed datagram may be answered: right length, known valid ticket, right MAC, not too many."""
        if len(datagram) != ECHO_BYTES:
            return False
        ticket = self._by_echo_id.get(datagram[4:16])
        if ticket is None or now_s >= ticket.expires_s or ticket.echoes >= MOST_ECHOES:
            return False
        mac = echo_mac(ticket.echo_key, datagram[:_ECHO_SIGNED_BYTES])
        if not hmac.compare_digest(mac, datagram[_ECHO_SIGNED_BYTES:]):
            return False
        ticket.echoes += 1
        ticket.touched_s = now_s
        return True

    def end_tests(self, now_s: float) -> Iterator[Ticket]:
        """Take their places from tests that are over; yields each of them."""
        for ticket in [t for t in self._active.values() if not t.holds_place(now_s, self._rest_s)]:
            del self._active[ticket.id]
            yield ticket

    def forget(self, now_s: float) -> None:
        """Drop tickets whose receipts can no longer be fetched."""
        while self._tickets and self._oldest_ends_s() + RECEIPT_S <= now_s and self._drop_oldest():
            pass

    def _make_room(self, now_s: float) -> None:
        self.forget(now_s)
        if len(self._tickets) < MOST_TICKETS:
            return
        # Receipts of ended tests give way before a test is sent away.
        if self._oldest_ends_s() > now_s or not self._drop_oldest():
            wait_s = max(1, int(self._oldest_ends_s() - now_s) + 1)
            raise Denied(503, "server_busy", f"{MOST_TICKETS} tickets are open", min(60, wait_s))

    def _oldest_ends_s(self) -> float:
        return next(iter(self._tickets.values())).expires_s

    def _drop_oldest(self) -> bool:
        ticket_id, ticket = next(iter(self._tickets.items()))
        if ticket.open_connections:
            return False
        del self._tickets[ticket_id], self._by_echo_id[echo_id(ticket_id)]
        self._active.pop(ticket_id, None)
        return True
