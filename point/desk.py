"""The desk of the measuring protocol: gives tickets, lets transfers begin, signs receipts. No socket here.

Source: `PROTOCOL.md`; design §6, §7.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl

from point import protocol
from point.admission import Admission
from point.history import Minute
from point.load import SETTLE_S, Load
from point.protocol import Reply, Request
from point.tcp import TcpInfo
from point.tickets import (
    DIRECTIONS,
    MOST_CONNECTIONS,
    Book,
    Denied,
    Direction,
    Ticket,
    Transfer,
)
from wire import note, notes
from wire.topics import PROBE_PATTERN

_EPOCH = re.compile(r"[1-9][0-9]{0,6}")
_PROBE = re.compile(PROBE_PATTERN)
DRY_US = 50_000
DRY_SHARE = 0.05
NO_KEY = "no_key: this point signs no receipts; set point.origin, point.point and point.key_file in its settings"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signs: the deployment's origin, the point's code, and its key `<origin>/point/<code>`."""

    origin: str
    point: str
    signer: note.Signer


@dataclass(frozen=True, slots=True)
class Limits:
    """Hard limits: of one direction of a test, of the tests of one address, and of a ticket's life and rest."""

    test_bytes: int
    test_s: int
    tests_of_a_source: int
    ticket_s: int
    rest_s: int


class Lease:
    """One connection's part in a transfer; closed exactly once, with what the kernel knew at the end."""

    def __init__(self, ticket: Ticket, direction: Direction, limits: Limits) -> None:
        self._ticket = ticket
        self.transfer: Transfer = ticket.transfer(direction)
        self._limits = limits
        self._downlink = direction == "downlink"
        self._first_s: float | None = None
        self._bytes = 0

    @property
    def is_downlink(self) -> bool:
        """Whether the point sends."""
        return self._downlink

    @property
    def left_bytes(self) -> int:
        """What the ticket still allows in this direction, all connections together."""
        return max(0, self._limits.test_bytes - self.transfer.handed_bytes)

    def is_due(self, now_s: float) -> bool:
        """Whether a limit is reached: bytes, or seconds since the direction's first connection."""
        return self.left_bytes == 0 or now_s - self.transfer.began_s >= self._limits.test_s

    def moved(self, count: int, now_s: float) -> None:
        """`count` bytes of payload were read, or handed to the kernel."""
        transfer = self.transfer
        if self._first_s is None:
            self._first_s = now_s
            transfer.first_s = now_s if transfer.first_s is None else transfer.first_s
        self._bytes += count
        transfer.handed_bytes += count
        if not self._downlink:
            transfer.payload_bytes += count
            transfer.last_s = now_s

    def close(self, info: TcpInfo, head_bytes: int, now_s: float) -> None:
        """The connection is over; `head_bytes` is what we sent before the payload."""
        transfer = self.transfer
        transfer.open -= 1
        transfer.closed_s = self._ticket.touched_s = now_s
        if info.rtt_us_min is not None:
            known = transfer.rtt_us_min
            transfer.rtt_us_min = info.rtt_us_min if known is None else min(known, info.rtt_us_min)
        if self._downlink:
            self._close_downlink(info, head_bytes, now_s)

    def _close_downlink(self, info: TcpInfo, head_bytes: int, now_s: float) -> None:
        transfer = self.transfer
        if info.retrans is not None:
            transfer.retrans = (transfer.retrans or 0) + info.retrans
        acked_bytes = min(self._bytes, max(0, (info.acked_bytes or 0) - head_bytes))
        transfer.payload_bytes += acked_bytes
        if not acked_bytes or self._first_s is None:
            return
        last_s = max(self._first_s, now_s - (info.last_ack_ms or 0) / 1000)
        transfer.last_s = max(last_s, transfer.last_s or 0.0)
        # Without bytes waiting the connection rested because we were late, whatever the network could do.
        length_us = (last_s - self._first_s) * 1e6
        dry_us = 0.0 if info.busy_us is None else length_us - info.busy_us
        transfer.ran_dry |= dry_us > max(DRY_US, DRY_SHARE * length_us)


class Desk:
    """Answers `/v1/` requests. Counts go to `minute()`, the minute that runs."""

    def __init__(
        self,
        identity: Identity,
        limits: Limits,
        load: Load,
        admission: Admission,
        minute: Callable[[], Minute],
        draw: Callable[[int], bytes] = secrets.token_bytes,
    ) -> None:
        self._identity = identity
        self._limits = limits
        self._load = load
        self._admission = admission
        self._minute = minute
        self._draw = draw
        self.book = Book(limits.tests_of_a_source, limits.rest_s)

    def answer(self, request: Request, peer: str, now_s: float, now_ms: int) -> Reply:
        """The reply to any request but a transfer. Raises Denied."""
        match request.method, request.path:
            case "GET", "/v1/echo":
                return protocol.words(200, "echo", keep_alive=request.keep_alive)
            case "GET", "/v1/ticket":
                return self._ticket(request, peer, now_s, now_ms)
            case "GET", "/v1/receipt":
                return self._receipt(request, now_s, now_ms)
            case _, "/v1/echo" | "/v1/ticket" | "/v1/receipt" | "/v1/download" | "/v1/upload":
                raise Denied(405, "method", "GET, or POST for /v1/upload")
        raise Denied(404, "path", "no such address in protocol v1")

    def begin(self, request: Request, peer: str, now_s: float) -> Lease:
        """Let one connection of a transfer begin. Raises Denied."""
        direction: Direction = "uplink" if request.path == protocol.UPLOAD_PATH else "downlink"
        ticket = self.book.find(_fields(request).get("ticket", ""))
        _check_use(ticket, direction, self._limits.test_bytes, now_s)
        if not self.book.holds_place(ticket):
            self._check_room(now_s)
            self.book.take_place(ticket)
        transfer = ticket.transfer(direction)
        if transfer.opened == 0:
            transfer.began_s = now_s
        transfer.opened += 1
        transfer.open += 1
        ticket.touched_s = now_s
        if peer not in transfer.sources:
            transfer.sources.append(peer)
        return Lease(ticket, direction, self._limits)

    def has_room(self) -> bool:
        """Whether one more test, or a transfer of the mini server, fits beside what runs."""
        return self._admission.has_room(self.book.active, self.book.resting, self._load.used_bps)

    def come_back_s(self, now_s: float) -> int:
        """Seconds until the turn of someone who is sent away now."""
        self._minute().refused += 1
        return self._admission.come_back_s(self.book.active, now_s)

    def tidy(self, now_s: float) -> None:
        """Free the places of ended tests, learn what they took, drop old tickets."""
        for ticket in self.book.end_tests(now_s):
            rates_bps = [t.rate_bps for t in ticket.transfers.values() if t.rate_bps is not None]
            if rates_bps:
                self._admission.finished(max(rates_bps), ticket.touched_s - ticket.issued_s)
        self.book.forget(now_s)

    def _check_room(self, now_s: float) -> None:
        self.tidy(now_s)
        if not self.has_room():
            wait_s = self.come_back_s(now_s)
            raise Denied(503, "server_busy", f"all places are taken, come back in {wait_s} s", wait_s)

    def _ticket(self, request: Request, peer: str, now_s: float, now_ms: int) -> Reply:
        fields = _fields(request)
        probe, epoch = fields.get("probe", ""), fields.get("epoch", "")
        if _PROBE.fullmatch(probe) is None or _EPOCH.fullmatch(epoch) is None:
            raise Denied(400, "request", "ask with probe=<id>&epoch=<1 or more>")
        self._check_room(now_s)
        self.book.check_share(peer, probe)
        ticket = self._draw_ticket(probe, int(epoch), peer, now_s)
        self.book.add(ticket)
        self._minute().tests += 1
        body = notes.Ticket(
            v=1,
            signed_ms=now_ms,
            ticket=ticket.id,
            probe=probe,
            epoch=ticket.epoch,
            point=self._identity.point,
            source=peer,
            expires_ms=now_ms + self._limits.ticket_s * 1000,
        )
        extra = f"X-Echo-Key: {ticket.echo_key.hex()}\r\n"
        return protocol.note(self._seal(body), keep_alive=request.keep_alive, extra=extra)

    def _draw_ticket(self, probe: str, epoch: int, peer: str, now_s: float) -> Ticket:
        expires_s = now_s + self._limits.ticket_s
        return Ticket(self._draw(16).hex(), probe, epoch, peer, self._draw(16), now_s, expires_s, now_s)

    def _receipt(self, request: Request, now_s: float, now_ms: int) -> Reply:
        fields = _fields(request)
        direction = next((known for known in DIRECTIONS if known == fields.get("direction")), None)
        if direction is None:
            raise Denied(400, "request", "ask with direction=downlink or direction=uplink")
        ticket = self.book.find(fields.get("ticket", ""))
        ticket.touched_s = now_s
        transfer = ticket.transfers.get(direction)
        if transfer is None or not transfer.is_over:
            raise Denied(409, "open", f"the {direction} has not ended yet")
        if not transfer.is_settled:
            self._settle(ticket, direction, transfer, now_s, now_ms)
        if transfer.receipt is None:
            wait_s = self._admission.come_back_s(self.book.active, now_s)
            raise Denied(503, "server_busy", f"this test was limited by the point ({transfer.spoiled})", wait_s)
        return protocol.note(transfer.receipt, keep_alive=request.keep_alive)

    def _settle(self, ticket: Ticket, direction: Direction, transfer: Transfer, now_s: float, now_ms: int) -> None:
        """Give or refuse the receipt for good. Raises Denied(409) while the point does not yet know how it did."""
        if now_s - transfer.closed_s < SETTLE_S:
            raise Denied(409, "settling", "ask again in a quarter of a second")
        why = self._load.unfit_within(transfer.began_s, transfer.last_s or transfer.closed_s)
        if why is None and transfer.ran_dry:
            why = "late"
        if why is not None:
            transfer.spoiled = why
            self._minute().spoiled += 1
            return
        transfer.receipt = self._seal(self._receipt_note(ticket, direction, transfer, now_ms))
        self._minute().receipts += 1

    def _receipt_note(self, ticket: Ticket, direction: Direction, transfer: Transfer, now_ms: int) -> notes.Receipt:
        return notes.Receipt(
            v=1,
            signed_ms=now_ms,
            ticket=ticket.id,
            probe=ticket.probe,
            point=self._identity.point,
            direction=direction,
            source=",".join(transfer.sources)[:128],
            bytes=transfer.payload_bytes,
            duration_us=transfer.duration_us,
            rate_bps=transfer.rate_bps,
            rtt_us_min=transfer.rtt_us_min,
            retrans=transfer.retrans,
        )

    def _seal(self, statement: notes.Statement) -> bytes:
        return notes.seal(statement, self._identity.origin, self._identity.signer)


def _fields(request: Request) -> dict[str, str]:
    try:
        return dict(parse_qsl(request.query, max_num_fields=8))
    except ValueError as error:
        raise Denied(400, "request", "at most 8 fields in a query") from error


def _check_use(ticket: Ticket, direction: Direction, limit_bytes: int, now_s: float) -> None:
    """Raise Denied if this ticket does not let one more connection of `direction` begin."""
    transfer = ticket.transfers.get(direction)
    if transfer is not None and (transfer.is_over or transfer.handed_bytes >= limit_bytes):
        raise Denied(403, "used", f"this ticket has served its {direction}; a test needs a new one")
    if transfer is not None and transfer.opened >= MOST_CONNECTIONS:
        raise Denied(403, "connections", f"{MOST_CONNECTIONS} connections for each direction of a ticket")
    if now_s >= ticket.expires_s:
        raise Denied(410, "expired", "this ticket is too old; ask for a new one")
