"""Broker to ledger: read what has arrived, commit it once, acknowledge it, tell each probe how far it is held.

One thread. A group is whatever came while the last one was being committed; nothing waits for more while little comes
(`core.pace`). While the ledger cannot be written nothing is read and nothing acknowledged; the broker fills, then the
probes keep their spools. Losing the broker or the ledger is said once, and once again when it is back.
Source: design §7, receive, order, ACK; facts note 04 §4, §6.
"""

from __future__ import annotations

import logging
import os
import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from collector.broker import Connection, NotLetIn, hung_up, tls_context, where
from collector.config_shelf import ConfigShelf
from collector.core.packets import Incoming
from collector.core.throttle import Throttle
from collector.failpoint import reached
from collector.health import ReceiveState, StateFile, now_ms
from collector.ingest import Ingest, Message, Taken
from collector.ledger_port import Fenced, Head
from collector.opener import Task
from collector.opener_line import Proofs
from collector.partitions import Partitions
from collector.seal_store import SealReader
from collector.settings import Settings
from collector.statements import NOTES
from collector.submit import Door
from wire import codec, notes, topics
from wire.errors import Misconfigured, Unavailable
from wire.note import Signer

LOG = logging.getLogger("collector.receive")
WAIT_S = 0.5
RETRY_LEDGER_S = 0.5
MAX_BACKOFF_S = 5.0
CONNECT_WITHIN_S = 10.0
"""For each broker that is known: a cluster that elects a leader is slow to answer."""
MAX_DUE_OLDER = 20_000
SAY_REFUSED_EVERY_S = 10.0
MAX_NAMED = 20
DOUBTS_EVERY_S = 2.0
FOLLOW_BUSY_S = 0.5


@dataclass(frozen=True, slots=True)
class Group:
    """What one connection brought at once, what is left of it by the rates, what the opener was asked of it."""

    taken: list[Incoming]
    messages: list[Message]
    tasks: tuple[Task, ...]


class Receiver:
    """The receiving process, from first connect to stop."""

    def __init__(self, settings: Settings, ingest: Ingest, signer: Signer, stop: threading.Event) -> None:
        """Raises Misconfigured if the TLS files cannot be used."""
        self._settings = settings
        self._ingest = ingest
        self._signer = signer
        self._stop = stop
        self._at, self._turn = settings.broker, 0
        self.partitions: Partitions | None = None
        """Those of this worker; None: it is the only one."""
        self.sweep: Callable[[], None] = lambda: None
        """Asked at every turn of a connection: lets go what may go with time."""
        tls_context(settings)  # unusable files are said before anything else starts
        self._door = Door(settings.state)
        self._due: dict[str, Head] = {}
        self._due_older: dict[tuple[str, int], Head] = {}
        self._shelf = ConfigShelf(settings.state / "config")
        self._file = StateFile(settings.state, "receive")
        self._started_ms = now_ms()
        self._broker_since_ms = self._started_ms
        self._broker_error: str | None = None
        self._ledger_error: str | None = None
        self._connected = False
        self._last_commit_ms: int | None = None
        self._accepted = self._duplicate = self._refused = 0
        self._unsaid = 0
        self._unsaid_as: set[str] = set()
        self._say_refused_due_s = 0.0
        self._checkpoint: tuple[Connection, int] | None = None
        self._throttle = Throttle()
        self._doubts = SealReader(settings.seal) if settings.log is not None else None
        self._doubted, self._doubts_due_s, self._follow_due_s = 0, 0.0, 0.0
        self._delayed = 0
        self._delayed_unsaid: dict[str, int] = {}
        self._say_delayed_due_s = 0.0

    def run(self) -> None:
        """Receive until stopped, over as many connections as it takes."""
        attempt = 0
        while not self._stop.is_set():
            try:
                connection = self._connect()
            except (Unavailable, Misconfigured) as error:
                self._lose_broker(str(error), needs_person=isinstance(error, NotLetIn | Misconfigured))
                attempt += 1
                self._take_submitted()
                self._stop.wait(random.uniform(0.1, min(MAX_BACKOFF_S, 0.2 * 2 ** min(attempt, 8))))  # noqa: S311
                continue
            attempt = 0
            self._serve(connection)
        self._door.close()
        self._say(now=True)

    def _connect(self) -> Connection:
        """Open, be accepted, subscribe. Reads the TLS files at each attempt. Raises Unavailable, Misconfigured."""
        self._at, self._turn = self._settings.broker.turn(self._turn), self._turn + 1
        worker = self.partitions.worker if self.partitions else None
        key = None if self._at.tls_key_file is None else self._settings.path(self._at.tls_key_file)
        connection = Connection(self._at, tls_context(self._settings), worker, key)
        deadline_s = time.monotonic() + CONNECT_WITHIN_S * (1 + len(self._at.others))
        self._early: list[Incoming] = []
        while connection.alive and not connection.subscribed and connection.refused is None:
            if time.monotonic() > deadline_s or self._stop.is_set():
                connection.close()
                raise NotLetIn(f"what listens at {where(self._at)} does not answer as a broker; correct [broker]")
            self._early += connection.read(WAIT_S)
        if connection.refused is not None:
            connection.close()
            raise NotLetIn(connection.refused)
        if not connection.alive:
            raise hung_up(self._at)
        return connection

    def _serve(self, connection: Connection) -> None:
        """Work one connection until it is lost or we stop."""
        self._find_broker()
        taken = self._early
        current = False
        ahead: Group | None = None
        self._shelf.reset()
        while connection.alive and not self._stop.is_set():
            ahead = self._work(connection, taken, ahead)
            self._take_submitted()
            self.sweep()
            if self.partitions is not None and self.partitions.turn(connection):
                current = False
            if not current:
                current = self._queue_all_acks()
            self._send_acks(connection)
            self._send_configs(connection)
            self._send_checkpoint(connection)
            self._follow_registry(busy=ahead is not None)
            self._say()
            answer = None if ahead is None else self._ingest.answer
            taken = connection.read(WAIT_S if ahead is None or answer is not None else 0, answer)
        if self._stop.is_set():
            connection.close()
        else:
            self._lose_broker(f"broker at {where(self._at)} was lost; start mosquitto if it ended")

    def _work(self, connection: Connection, taken: list[Incoming], ahead: Group | None) -> Group | None:
        """Commit the group that the opener has had, while it has the next; return that, None: it is small."""
        proofs = self._ingest.proofs(ahead.tasks) if ahead is not None else {}
        group = self._group(taken) if taken else None
        if ahead is not None:
            self._settle(connection, ahead, proofs)
        if group is not None and not group.tasks:
            self._settle(connection, group, {})
        return group if group is not None and group.tasks else None

    def _group(self, taken: list[Incoming]) -> Group:
        """What came now, handed to the opener if it is much."""
        messages = self._admitted(taken)
        try:
            return Group(taken, messages, self._ingest.hand(messages))
        except Unavailable:  # the registry: `take` says so
            return Group(taken, messages, ())

    def _settle(self, connection: Connection, group: Group, proofs: Proofs) -> None:
        """Commit a group and acknowledge it, if the connection that it came by is still there."""
        if self._commit(connection, group.messages, proofs):
            connection.acknowledge(group.taken)
            reached("receive.acked")

    def _take_submitted(self) -> None:
        """Commit what came by the local door, by the same way as what the broker brings."""

        def commit(messages: Sequence[Message]) -> Taken:
            done = self._ingest.take(messages, now_ms())
            self._note(done)
            return done

        self._door.take(commit, self._ingest.mark)
        self._take_doubts()
        statements = self._ingest.statements
        if statements is None:
            return
        try:
            for n, raws in statements.due():
                commit([Message(NOTES, raw) for raw in raws])
                statements.done(n)
        except Unavailable as error:
            self._lose_ledger(str(error))

    def _take_doubts(self) -> None:
        """Mark the records that the audit of signatures has named since; all of them once after a start."""
        if self._doubts is None or time.monotonic() < self._doubts_due_s:
            return
        self._doubts_due_s = time.monotonic() + DOUBTS_EVERY_S
        try:
            found = self._doubts.unsigned(self._doubted)
        except Unavailable:  # the sealer has not made its file yet
            return
        try:
            if found and self._ingest.doubt([(n, leaf) for _, n, leaf in found]):
                LOG.error("records without a good signature of their own: %d; kept, not counted", len(found))
            self._doubted = max((number for number, _, _ in found), default=self._doubted)
        except Unavailable as error:
            self._lose_ledger(str(error))

    def _follow_registry(self, *, busy: bool) -> None:
        """Judge records again that the registry says otherwise of now: a few at a time, each a commit of its own."""
        if busy and time.monotonic() < self._follow_due_s:
            return
        self._follow_due_s = time.monotonic() + FOLLOW_BUSY_S
        try:
            self._ingest.follower.step()
        except Fenced:  # the registry is newer: at the next turn
            return
        except Unavailable as error:
            self._lose_ledger(str(error))

    def _commit(self, connection: Connection, messages: list[Message], proofs: Proofs) -> bool:
        """Commit one group, trying until the ledger takes it; False if the connection was lost or we stop first."""
        reached("receive.read")
        while not self._stop.is_set() and connection.alive:
            try:
                self._note(self._ingest.take(messages, now_ms(), proofs))
                reached("receive.committed")
                return True
            except Fenced as error:
                LOG.warning("group dropped: %s; probes send it again to that one", error)
                return True
            except Unavailable as error:
                self._lose_ledger(str(error))
                connection.keep_alive()
                self._say()
                self._stop.wait(RETRY_LEDGER_S)
        return False

    def _admitted(self, taken: list[Incoming]) -> list[Message]:
        """Leave out what a probe sends over its rate: not stored and not answered, so it sends that again, later."""
        now_s = time.monotonic()
        admitted = []
        for one in taken:
            if self.partitions is not None and not self.partitions.is_ours(one.topic):
                continue  # nobody answers it from here: its probe sends it again, to whom it belongs
            sender = one.topic.rpartition("/")[2][:40]
            if self._throttle.admit(sender, len(one.payload), now_s):
                admitted.append(Message(one.topic, one.payload))
            else:
                self._delayed += 1
                if sender in self._delayed_unsaid or len(self._delayed_unsaid) < MAX_NAMED:
                    self._delayed_unsaid[sender] = self._delayed_unsaid.get(sender, 0) + 1
        if self._delayed_unsaid and now_s >= self._say_delayed_due_s:
            named = " ".join(f"{probe}={count}" for probe, count in sorted(self._delayed_unsaid.items()))
            LOG.warning(
                "over their rate, to be sent again: %s messages; a probe that goes on so is ill or not ours", named
            )
            self._delayed_unsaid, self._say_delayed_due_s = {}, now_s + SAY_REFUSED_EVERY_S
        return admitted

    def _note(self, done: Taken) -> None:
        if self._ledger_error is not None:
            LOG.warning("ledger is back")
            self._ledger_error = None
        self._last_commit_ms = now_ms()
        self._accepted += done.accepted
        self._duplicate += done.duplicate
        self._refused += done.refused
        self._due.update(done.heads)
        self._due_older.update({(probe, head.epoch): head for probe, head in done.older})
        while len(self._due_older) > MAX_DUE_OLDER:  # its probe sends again what got no answer
            del self._due_older[next(iter(self._due_older))]
        self._say_refused(done)
        LOG.debug("committed accepted=%d duplicate=%d refused=%d", done.accepted, done.duplicate, done.refused)

    def _say_refused(self, done: Taken) -> None:
        """Log what was refused, at once and then at most every 10 s: a flood must not fill the log."""
        self._unsaid += done.refused
        self._unsaid_as.update(done.refused_as)
        if self._unsaid and time.monotonic() >= self._say_refused_due_s:
            reasons = " ".join(sorted(self._unsaid_as))
            LOG.warning("refused records=%d reasons=%s; see dosong-collector refusals", self._unsaid, reasons)
            self._unsaid, self._unsaid_as = 0, set()
            self._say_refused_due_s = time.monotonic() + SAY_REFUSED_EVERY_S

    def _queue_all_acks(self) -> bool:
        """Have every probe's acknowledgement published again: the broker may have forgotten retained ones."""
        try:
            self._due.update(self._ingest.heads())
        except Unavailable as error:
            self._lose_ledger(str(error))
            return False
        return True

    def _send_acks(self, connection: Connection) -> None:
        """Publish what is due while there is room; a newer head of a probe replaces one that still waits.

        Retained ones go first, so that one probe with many old epochs cannot keep the others' answers back.
        Of another worker's partition nothing is said: that one may hold more by now, and tells it when it comes.
        """
        if self.partitions is not None:
            self._due = {probe: head for probe, head in self._due.items() if topics.part(probe) in self.partitions.now}
        while self._due:
            probe, head = next(iter(self._due.items()))
            if not connection.publish(topics.ack(probe), self._sealed(probe, head), retain=True):
                return
            del self._due[probe]
            reached("receive.answered")
        while self._due_older:
            (probe, epoch), head = next(iter(self._due_older.items()))
            if not connection.publish(topics.ack(probe), self._sealed(probe, head), retain=False):
                return
            del self._due_older[probe, epoch]

    def _send_configs(self, connection: Connection) -> None:
        """Publish signed configurations that provisioning laid down since, or all of them on a new connection."""
        for probe, note in self._shelf.due():
            if not connection.publish(topics.config(probe), note, retain=True):
                return
            self._shelf.done(probe)
            LOG.info("config published probe=%s", probe)

    def _send_checkpoint(self, connection: Connection) -> None:
        """Tell all probes the log's newest checkpoint, retained: what they sign afterwards is younger than it."""
        path = self._settings.log_folder / "checkpoint"
        try:
            seen = (connection, path.stat().st_mtime_ns)
            if seen == self._checkpoint:
                return
            note = path.read_bytes()
        except OSError:
            return
        if connection.publish(topics.CHECKPOINT, note, retain=True):
            self._checkpoint = seen

    def _sealed(self, probe: str, head: Head) -> bytes:
        ack = notes.Ack(
            v=1,
            signed_ms=now_ms(),
            probe=probe,
            epoch=head.epoch,
            gen=head.gen,
            size=head.size,
            upto=head.upto,
            head=codec.leaf_text(head.head) if head.head is not None else None,
        )
        return notes.seal(ack, self._settings.origin, self._signer)

    def _find_broker(self) -> None:
        self._connected, self._broker_error, self._broker_since_ms = True, None, now_ms()
        self._say(now=True)
        LOG.info("broker %s connected", where(self._at))

    def _lose_broker(self, sentence: str, *, needs_person: bool = False) -> None:
        """Say a loss once, and what a person must put right whenever that is something new."""
        if self._broker_error is None:
            self._broker_since_ms = now_ms()
        new = self._broker_error is None or (needs_person and sentence != self._broker_error)
        self._connected, self._broker_error = False, sentence
        # The health page first: who reads the log line and looks there finds the same thing.
        self._say(now=new)
        if new:
            LOG.warning("%s; trying again for ever", sentence)

    def _lose_ledger(self, sentence: str) -> None:
        new, self._ledger_error = self._ledger_error is None, sentence
        self._say(now=new)
        if new:
            LOG.error("%s; free or repair the disk; nothing is acknowledged until then", sentence)

    def _say(self, *, now: bool = False) -> None:
        state = ReceiveState(
            pid=os.getpid(),
            at_ms=now_ms(),
            started_ms=self._started_ms,
            broker_connected=self._connected,
            broker_since_ms=self._broker_since_ms,
            broker_error=self._broker_error,
            ledger_error=self._ledger_error,
            last_commit_ms=self._last_commit_ms,
            accepted=self._accepted,
            duplicate=self._duplicate,
            refused=self._refused,
            delayed=self._delayed,
        )
        self._file.write(state, now=now)
