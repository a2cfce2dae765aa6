"""Spool to broker: a thread that sends what waits, oldest first, and releases what the ledger acknowledged.

The rules are `probe.core.chain`; here they are carried out. The spool hears of a release only through a signed ACK.
"""

from __future__ import annotations

import contextlib
import logging
import random
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from probe.beacon import Beacon
from probe.broker import Access, Connection, Session, tls_context
from probe.core import chain, parcel, ways
from probe.core.backoff import delay_s
from probe.core.ways import Ways
from probe.spool import Kept, Spool
from probe.spool_open import LIFE_MARK
from wire import notes, topics
from wire.errors import Misconfigured, Refused, Unavailable
from wire.note import Verifier

log = logging.getLogger(__name__)
PURGE_EVERY_MS = 3_600_000
DISPUTED_EVERY_MS = 86_400_000
STOOD_MS = 60_000
"""A session that stood this long was a good one; a shorter one is a failed attempt, and the next waits longer.

Two probes with one certificate throw each other out for ever: each handshake costs 6 KB of the SIM's data.
"""
_BEFORE_ALL = (0, -1)
WAY_MARK = "way"
"""The spool's mark of the interface by which the last session went; "routes" if none was asked for."""


class Clocks(Protocol):
    """The two clocks that publishing reads."""

    def mono_ms(self) -> int:
        """Milliseconds since boot."""
        ...

    def wall_ms(self) -> int:
        """UTC in milliseconds, right or wrong."""
        ...


class Publisher:
    """Publishes the spool of one probe. `may_send` says False while a test has the link to itself.

    `begin_epoch` is called when the ledger turns out to know more than the spool, `reinstate` when it was restored;
    `on_config` takes config notes, `beacon` the log's checkpoints (None: they are not asked for).
    """

    def __init__(
        self,
        access: Access,
        spool: Spool,
        *,
        origin: str,
        ack_verifier: Verifier,
        policy: chain.Policy,
        retry_s: tuple[float, float],
        keep_acked_days: int,
        clocks: Clocks,
        may_send: Callable[[], bool],
        begin_epoch: Callable[[chain.NewEpoch], None],
        reinstate: Callable[[int, int | None, int], int],
        on_config: Callable[[bytes], None],
        beacon: Beacon | None = None,
        ways_out: tuple[str, ...] = (),
    ) -> None:
        tls_context(access)  # raises Misconfigured now rather than in the thread
        self._access, self._spool = access, spool
        self._first = topics.part(access.client_id)
        self._ways = Ways(ways_out or (access.interface,))
        self._origin, self._ack_verifier, self._policy = origin, ack_verifier, policy
        self._retry_s, self._keep_acked_days = retry_s, keep_acked_days
        self._clocks, self._may_send, self._beacon = clocks, may_send, beacon
        self._begin_epoch, self._reinstate, self._on_config = begin_epoch, reinstate, on_config
        place = spool.place()
        self._state = chain.State(place.epoch, place.seq, gen=int(spool.mark("gen") or 0))
        self._life_before_ms, self._began_ms = int(spool.mark(LIFE_MARK) or 0), clocks.mono_ms()
        self._seen_version = -1
        self._purge_ms = 0
        self._disputed_ms, self._disputed_after = 0, _BEFORE_ALL
        self._told: str | None = None
        self._lost_at_ms: int | None = clocks.mono_ms()
        self._wanted_ms = 0
        self._hearing: Connection | None = None
        self._stop = threading.Event()
        self.moved_ms = clocks.mono_ms()
        self._thread = threading.Thread(target=self._run, name="publish", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float) -> None:
        """Send what may be sent at once, say goodbye and end, within `timeout_s`."""
        self._stop.set()
        self._thread.join(timeout_s)

    @property
    def is_alive(self) -> bool:
        """False once the thread has ended."""
        return self._thread.is_alive()

    def hasten(self, seconds: float) -> None:
        """Somebody looks: for the next `seconds` a lost connection is tried again soon, whatever the back-off says."""
        self._wanted_ms = self._clocks.mono_ms() + round(seconds * 1000)

    @property
    def trouble(self) -> str | None:
        """What was said when the connection was last lost; None while it stands, or before the first attempt ended."""
        return self._told

    def lost_ms(self) -> int:
        """For how long there has been no session with the broker; 0 while one stands."""
        lost_at_ms = self._lost_at_ms
        return 0 if lost_at_ms is None else self._clocks.mono_ms() - lost_at_ms

    def _run(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            self.moved_ms = self._clocks.mono_ms()
            has_stood = False
            try:
                self._wait_for_the_test()
                has_stood = self._one_session()
            except (Misconfigured, Unavailable) as error:  # the certificate may have been replaced by an unusable one
                self._tell(str(error))
            self._lost_at_ms = self._clocks.mono_ms() if self._lost_at_ms is None else self._lost_at_ms
            self._state, _ = chain.step(self._state, chain.Disconnected(), self._policy)
            if self._beacon is not None:
                self._beacon.lost()
            self._ways = ways.after(self._ways, has_stood=has_stood)
            attempt = 0 if has_stood else attempt + self._ways.is_first
            if self._ways.is_first:  # a whole round failed, or a good session ended
                self._rest(delay_s(attempt, random.random(), *self._retry_s))  # noqa: S311 (jitter, no secret)

    def _wait_for_the_test(self) -> None:
        """A handshake would be the traffic of others beside a test, and by another way spoil its proof of path."""
        while not self._may_send() and not self._stop.wait(0.5):
            self.moved_ms = self._clocks.mono_ms()

    def _rest(self, seconds: float) -> None:
        begun_ms = self._clocks.mono_ms()
        until_ms = begun_ms + round(seconds * 1000)
        while not self._stop.is_set() and (left_ms := until_ms - self._clocks.mono_ms()) > 0:
            if begun_ms + self._retry_s[0] * 1000 <= self.moved_ms < self._wanted_ms:
                return
            self._stop.wait(min(left_ms / 1000, 10.0))
            self.moved_ms = self._clocks.mono_ms()

    def _one_session(self) -> bool:
        """Connect and serve until the connection is down; True if it stood for long. Raises Unavailable.

        Of several brokers that stand for each other the first that answers is taken, from the one behind the last on.
        """
        problem = Unavailable("there is no broker")
        for access in self._access.one_by_one(self._first):
            self._first, self.moved_ms = self._first + 1, self._clocks.mono_ms()
            connection = Connection(replace(access, interface=self._ways.current), self._on_message)
            self._hearing = connection
            try:
                connection.connect()
                return self._serve(connection, access)
            except Unavailable as error:
                problem = error
            finally:
                connection.release()
        raise problem

    def _serve(self, connection: Connection, access: Access) -> bool:
        way = self._ways.current or "routes"
        log.info("broker=connected host=%s port=%d way=%s", access.host, access.port, way)
        self._note_way(way)
        self._told, self._lost_at_ms, self._seen_version = None, None, -1
        self._state, _ = chain.step(self._state, chain.Connected(), self._policy)
        begun_ms = self._clocks.mono_ms()
        for _ in connection.turns():
            self.moved_ms = self._clocks.mono_ms()
            self._pump(connection)
            self._offer_disputed(connection)
            if self._beacon is not None:
                self._beacon.turn(connection, may_ask=self._may_send())
            if self._stop.is_set() or self._may_go_home(connection, begun_ms):
                connection.close()
                return True
        self._tell("the connection to the broker is down; it is tried again")
        return self._clocks.mono_ms() - begun_ms >= STOOD_MS

    def _may_go_home(self, session: Session, begun_ms: int) -> bool:
        """Whether to leave another way for the first one: nothing is under way, and no test runs."""
        if not self._ways.may_return(self._clocks.mono_ms() - begun_ms) or session.unconfirmed or not self._may_send():
            return False
        log.info("broker=left way=%s: the first way is tried again", self._ways.current)
        return True

    def _note_way(self, way: str) -> None:
        """Note for `status` by which way records leave; a disk that takes nothing costs no session."""
        if self._spool.mark(WAY_MARK) != way:
            with contextlib.suppress(Unavailable):
                self._spool.put_marks({WAY_MARK: way})

    def _tell(self, text: str) -> None:
        """Log a loss once, until the connection was back."""
        if self._told is None:
            log.warning("broker=lost: %s", text)
        self._told = text

    def _pump(self, session: Session) -> None:
        """Offer the rules what waits, if anything changed or is overdue."""
        now_ms = self._clocks.mono_ms()
        is_overdue = self._state.retry_ms is not None and now_ms >= self._state.retry_ms and not session.unconfirmed
        if not self._may_send() or (self._spool.version == self._seen_version and not is_overdue):
            return
        self._seen_version = self._spool.version
        waiting = {(kept.epoch, kept.seq): kept for kept in self._spool.waiting(self._policy.window)}
        offered = chain.Offered(tuple(waiting), now_ms, random.random())  # noqa: S311 (jitter, no secret)
        self._state, effects = chain.step(self._state, offered, self._policy)
        for effect in effects:
            if isinstance(effect, chain.Send):
                self._send(session, [waiting[key] for key in effect.keys])

    def _offer_disputed(self, session: Session) -> None:
        """Send once a day what the ledger knows otherwise, behind all that waits: it may never be acknowledged."""
        now_ms = self._clocks.mono_ms()
        if now_ms < self._disputed_ms or session.unconfirmed or not self._may_send():
            return
        page = self._spool.disputed(self._disputed_after, self._policy.window)
        self._send(session, page)
        if page:
            self._disputed_after = (page[-1].epoch, page[-1].seq)
        else:
            self._disputed_ms, self._disputed_after = now_ms + DISPUTED_EVERY_MS, _BEFORE_ALL

    def _send(self, session: Session, records: list[Kept]) -> None:
        for payload in parcel.messages((*kept.receipts, kept.raw) for kept in records):
            session.publish(topics.up(self._access.client_id), payload)

    def _on_message(self, topic: str, payload: bytes) -> None:
        if topic == topics.config(self._access.client_id):
            self._on_config(payload)
        elif topic == topics.ack(self._access.client_id):
            self._on_ack(payload)
        elif topic == topics.CHECKPOINT and self._beacon is not None and self._hearing is not None:
            self._beacon.take(payload, self._hearing)

    def _on_ack(self, payload: bytes) -> None:
        """Check who signed it and for whom; only then do the rules hear of it."""
        try:
            ack = notes.open_note(payload, notes.Ack, self._origin, self._ack_verifier)
        except Refused as refusal:
            log.warning("ack=refused: %s", refusal)
            return
        if ack.probe != self._access.client_id:
            log.warning("ack=refused: it is for %s", ack.probe)
            return
        if self._spool.is_shut:  # without the records an ACK can neither be believed nor doubted; it is retained
            return
        place = self._spool.place()
        placed = chain.Placed(place.epoch, place.seq - 1)
        self._state, _ = chain.step(self._state, placed, self._policy)
        event = chain.Acknowledged(ack, self._spool.leaf(ack.epoch, ack.upto))
        state, effects = chain.step(self._state, event, self._policy)
        for effect in effects:
            self._carry_out(effect)
        self._state = state  # only now: what the disk refused must be due again at the next ACK

    def _carry_out(self, effect: chain.Effect) -> None:
        match effect:
            case chain.Release(epoch, upto):
                if self._spool.release(epoch, upto, self._clocks.wall_ms(), self._life_ms()):
                    log.info("ack=taken epoch=%d upto=%d", epoch, upto)
                self._purge()
            case chain.Reinstate(epoch, upto, gen):
                count = self._reinstate(epoch, upto, gen)
                log.warning("ledger=restored gen=%d records=%d are sent again", gen, count)
            case chain.Dispute(epoch):
                if self._spool.dispute(epoch):
                    log.warning("ledger=other epoch=%d: what waits of it is offered once a day", epoch)
            case chain.NewEpoch():
                log.warning("spool=behind the ledger knows epoch %d seq %s", effect.head_epoch, effect.head_seq)
                self._begin_epoch(effect)
                self._disputed_ms = 0
            case chain.Warn(text):
                log.warning("ack=odd: %s", text)

    def _life_ms(self) -> int:
        """For how long this probe has run in all, as far as its spool remembers."""
        return self._life_before_ms + self._clocks.mono_ms() - self._began_ms

    def _purge(self) -> None:
        mono_ms = self._clocks.mono_ms()
        if mono_ms >= self._purge_ms:
            self._purge_ms = mono_ms + PURGE_EVERY_MS
            self._spool.purge(self._life_ms(), self._keep_acked_days)
