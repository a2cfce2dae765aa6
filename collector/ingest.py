"""A group of messages becomes one transaction of the ledger: verify, registry check, place in the chain, rows.

Authentic bytes (a registered, unrevoked key) are always stored, whatever schema or quota say of them; only
unauthentic bytes are refused, and those are kept with their reason. Nothing is answered before COMMIT.
A probe's records of one group are worked on together, so that a contiguous chain needs one signature check.
Source: design §4 (chain), §7 (order and ACK).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from collector import light
from collector.core import run
from collector.core.run import Pieces, Run, Shape
from collector.failpoint import reached
from collector.follow import Follower
from collector.ingest_place import Placer
from collector.keyring import KeyRing, ring
from collector.ledger_port import DeliveryRow, Head, Ledger, RefusedBytes
from collector.opener import LEAF_BYTES, Proof, Task
from collector.opener_line import OpenerLine, Proofs, offered
from collector.receipts import open_receipt, receipt_begins
from collector.registry import Registry
from collector.registry_rows import ProbeEntry
from collector.statements import NOTES, Statements
from collector.verify import checker
from wire import bundle, codec, topics
from wire.errors import Refused, Unavailable
from wire.failure import RefusalReason
from wire.note import Verifier
from wire.records import GapRecord

MAX_KEYS = 20_000
"""So many probes' keys are kept ready; they are read again when there are more."""
LEAST_AHEAD_BYTES = 256 * 1024
"""A smaller group is opened here: it takes no longer than to hand it over."""
_probe_of = lru_cache(maxsize=20_000)(topics.parse_up)


# Made for every message: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Message:
    """One PUBLISH as it reached us."""

    topic: str
    payload: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Taken:
    """What a committed group came to: what to acknowledge to each probe that sent authentic bytes, and counts.

    `heads` is each probe's highest epoch, whose acknowledgement is retained; `older` is what came late of an epoch
    before it, which the probe still waits for.
    `refused_as` holds the reason words of what was refused, each once.
    """

    heads: dict[str, Head]
    older: tuple[tuple[str, Head], ...]
    accepted: int
    duplicate: int
    refused: int
    refused_as: tuple[str, ...]


@dataclass(slots=True)
class Tally:
    """What became of the records of one message, while it is being worked on. `probe`: whom its topic names."""

    message: Message
    probe: str | None = None
    accepted: int = 0
    duplicate: int = 0
    refusals: list[RefusedBytes] = field(default_factory=list)
    epochs: set[int] = field(default_factory=set)

    @property
    def is_told(self) -> bool:
        """Whether a delivery is kept: of a note only if it was refused, for it is kept itself."""
        return self.message.topic != NOTES or bool(self.refusals)

    def refuse(self, error: Refused, raw: bytes, what: str = "") -> None:
        """Keep bytes that are not authentic, with the reason."""
        self.refusals.append(RefusedBytes(self.probe, error.reason, f"{what}{error.detail}", raw))


@dataclass(frozen=True, slots=True)
class Key:
    """A probe's keys, ready for use. `shape` and `check`: of the newest; what an older one signed goes the slow way."""

    vkey: str
    ring: KeyRing
    shape: Shape
    check: Callable[[bytes, bytes], bool]
    newest: Verifier


@dataclass(slots=True)
class Work:
    """What one probe brought in a group: records in order of arrival, and the tally of the message of each."""

    entry: ProbeEntry
    key: Key
    raws: list[bytes] = field(default_factory=list)
    tallies: list[Tally] = field(default_factory=list)


class Ingest:
    """The collector's door. Not safe for several threads."""

    def __init__(self, ledger: Ledger, registry: Registry, origin: str) -> None:
        self._ledger = ledger
        self._registry = registry
        self._origin = origin
        self.placer = Placer(ledger, registry)
        self.follower = Follower(ledger, self.placer, registry)
        self._receipt = receipt_begins(origin)
        self._keys: dict[str, Key] = {}
        self.statements: Statements | None = None
        self.hold: Callable[[Sequence[str]], None] | None = None
        """Asked inside the transaction of what a broker brought, with its probes: raises Fenced if they are another
        worker's now. None: there is one worker."""
        self.line: OpenerLine | None = None
        """To the opener, on a machine with a second core; None: everything is opened here."""

    def hand(self, messages: Sequence[Message]) -> tuple[Task, ...]:
        """Have the opener begin with a large group; empty if it must all be opened in `take`. Raises Unavailable."""
        if self.line is None or sum(len(message.payload) for message in messages) < LEAST_AHEAD_BYTES:
            return ()
        with self._registry.still():
            tasks = self._tasks(messages)
        return tasks if tasks and self.line.ask(tasks) else ()

    @property
    def answer(self) -> int | None:
        """What can be read from when the opener has done what it was handed; None if it was handed nothing."""
        return None if self.line is None else self.line.answering

    def proofs(self, tasks: tuple[Task, ...]) -> Proofs:
        """What the opener says of a group that it was handed, by probe; empty if it says nothing."""
        found = self.line.answer(len(tasks)) if self.line is not None and tasks else None
        return {task.probe: (task, proof) for task, proof in zip(tasks, found or (), strict=bool(found))}

    def _tasks(self, messages: Sequence[Message]) -> tuple[Task, ...]:
        payloads: dict[str, list[bytes]] = {}
        for message in messages:
            with suppress(Refused):
                payloads.setdefault(_probe_of(message.topic), []).append(message.payload)
        tasks = []
        self._registry.expect(payloads)
        for probe, held in payloads.items():
            with suppress(Refused):
                newest = self._work(probe).key.newest
                tasks.append(Task(probe, newest.name, newest.public, held))
        return tuple(tasks)

    def take(self, messages: Sequence[Message], received_ms: int, proofs: Proofs | None = None) -> Taken:
        """Commit a group of messages; `proofs`: what the opener said of it, None if no broker brought it.

        Raises Fenced, Unavailable if the ledger or the registry cannot be used: then nothing of the group is held.
        """
        self.placer.forks.clear()
        with self._registry.still(), self._ledger.transaction():
            self._ledger.offer(offered(proofs or {}))
            tallies: list[Tally] = []
            works: dict[str, Work] = {}
            for message in messages:
                if message.topic == NOTES:
                    tallies.append(self._take_note(message, received_ms))
                elif message.topic.startswith(topics.STATUS_FILTER[:-1]):
                    self._take_status(message, received_ms)
                else:
                    tallies.append(self._take_up(message, works, received_ms))
            if self.hold is not None and proofs is not None:
                self.hold(list(works))
            self._ledger.expect(list(works))
            for work in works.values():
                self._take_work(work, received_ms, (proofs or {}).get(work.entry.id))
            self._ledger.deliver([_delivery(tally, received_ms) for tally in tallies if tally.is_told])
            taken = self._taken(tallies)
            reached("receive.worked")
        self._tell_forks(received_ms)
        return taken

    def doubt(self, found: Sequence[tuple[int, bytes]]) -> int:
        """Records (number, leaf) whose own signature fails stay and count no more; return how many were marked.

        Raises Unavailable if the ledger or the registry cannot be used: then none is.
        """
        marked = 0
        with self._registry.still(), self._ledger.transaction():
            for n, leaf in found:
                held = self._ledger.numbered(n, leaf)
                entry = self._registry.probe(held[0]) if held else None
                if held is not None and entry is not None and held[1].fault is None:
                    self.placer.doubt(entry, held[1], RefusalReason.BAD_SIGNATURE)
                    marked += 1
        return marked

    def _tell_forks(self, received_ms: int) -> None:
        """Two records of one number come of a copied card or a spool put back: an alarm, once they are committed."""
        if self.statements is None:
            return
        for probe, detail in self.placer.forks:
            with suppress(Unavailable):
                self.statements.identities.raise_alarm("fork", probe, "", detail, received_ms)

    def mark(self, marks: Sequence[tuple[int, bool]]) -> int:
        """Count records again by number, with what their verdict says now: suspect or not. Returns how many changed.

        Verdicts are derived by another process; only here do they enter the counting. Raises Unavailable.
        """
        changed = 0
        with self._registry.still(), self._ledger.transaction():
            for n, is_suspect in marks:
                stored = self._ledger.by_number(n)
                entry = None if stored is None else self._registry.probe(stored.record.probe)
                if stored is not None and entry is not None:
                    changed += stored.suspect != is_suspect
                    self.placer.suspect(entry, stored, is_suspect=is_suspect)
        return changed

    def heads(self) -> dict[str, Head]:
        """What every active or quarantined probe's acknowledgement says now."""
        known = [entry.id for entry in self._registry.probes() if entry.state != "revoked"]
        with self._ledger.transaction():
            self._ledger.expect(known)
            found = {probe: self._ledger.head_of(probe) for probe in known}
        return {probe: head for probe, head in found.items() if head is not None}

    def _taken(self, tallies: Sequence[Tally]) -> Taken:
        epochs: dict[str, set[int]] = {}
        for tally in tallies:
            if tally.probe and tally.accepted + tally.duplicate:
                epochs.setdefault(tally.probe, set()).update(tally.epochs)
        heads = {probe: self._ledger.head_of(probe) for probe in epochs}
        older: list[tuple[str, Head]] = []
        for probe, seen in sorted(epochs.items()):
            current = heads[probe]
            late = sorted(epoch for epoch in seen if current is None or epoch != current.epoch)
            older += [(probe, head) for head in (self._ledger.head_of(probe, one) for one in late) if head is not None]
        refusals = [refused for tally in tallies for refused in tally.refusals]
        return Taken(
            heads={probe: head for probe, head in heads.items() if head is not None},
            older=tuple(older),
            accepted=sum(tally.accepted for tally in tallies),
            duplicate=sum(tally.duplicate for tally in tallies),
            refused=len(refusals),
            refused_as=tuple(dict.fromkeys(refused.reason for refused in refusals)),
        )

    def _take_status(self, message: Message, received_ms: int) -> None:
        """Keep a liveness word of a registered probe; anything else on that topic is passed over."""
        word = message.payload[:16].decode("ascii", "replace")
        try:
            probe = topics.parse_status(message.topic)
        except Refused:
            return
        if word in {"online", "offline"} and self._registry.probe(probe) is not None:
            self._ledger.set_status(probe, word, received_ms)

    def _take_up(self, message: Message, works: dict[str, Work], received_ms: int) -> Tally:
        """Take one message apart: its records join what their probe brought before in this group."""
        tally = Tally(message)
        try:
            tally.probe = probe = _probe_of(message.topic)
            work = works.get(probe) or self._work(probe)
            raws = bundle.decode(message.payload)
        except Refused as error:
            tally.refuse(error, message.payload)
            return tally
        works[probe] = work
        for raw in raws:
            if raw.startswith(self._receipt):
                self._take_receipt(raw, received_ms, tally)
            else:
                work.raws.append(raw)
                work.tallies.append(tally)
        return tally

    def _work(self, probe: str) -> Work:
        """The registered probe of a topic and its key. Raises Refused: unknown_probe, revoked_key, bad_key."""
        entry = self._registry.probe(probe)
        if entry is None:
            raise Refused(RefusalReason.UNKNOWN_PROBE, f"{probe} is not in the registry")
        if entry.state == "revoked":
            raise Refused(RefusalReason.REVOKED_KEY, f"the key of {probe} was revoked")
        return Work(entry, self._key(entry))

    def _key(self, entry: ProbeEntry) -> Key:
        held = self._keys.get(entry.id)
        if held is None or held.vkey != entry.vkey:
            if len(self._keys) >= MAX_KEYS:
                self._keys.clear()
            # A rotation changes the newest key.
            keys = ring(entry.vkey, self.statements.identities.keys(entry.id) if self.statements else [])
            newest = keys.keys[-1][1]
            held = Key(entry.vkey, keys, Shape.of(self._origin, newest), checker(newest), newest)
            self._keys[entry.id] = held
        return held

    def _take_note(self, message: Message, received_ms: int) -> Tally:
        """Keep a note of the registry's or a probe's own that came by the local door."""
        tally = Tally(message)
        try:
            if self.statements is None:
                raise Refused(RefusalReason.UNKNOWN_KEY, "notes are not taken here: registry_vkey is not set")
            is_new = self._ledger.keep_note(self.statements.open(message.payload, received_ms))
            tally.accepted, tally.duplicate = int(is_new), int(not is_new)
        except Refused as error:
            tally.refuse(error, message.payload)
        return tally

    def _take_receipt(self, raw: bytes, received_ms: int, tally: Tally) -> None:
        """Keep a point's receipt; a false one is refused, and the record behind it goes on without it."""
        try:
            self._ledger.keep_receipt(open_receipt(raw, self._origin, self._registry, received_ms))
        except Refused as error:
            tally.refuse(error, raw, "receipt: ")

    def _pieces(self, work: Work, found: tuple[Task, Proof] | None) -> Pieces:
        """What a probe brought, opened: by what the opener said, if that is of these records and of the key of now."""
        key = work.key
        if found is not None and len(found[1].ways) == len(work.raws):
            task, proof = found
            if (task.name, task.public) == (key.newest.name, key.newest.public):
                size = LEAF_BYTES
                leaves = [proof.leaves[at : at + size] for at in range(0, len(proof.leaves), size)]
                return run.proved(work.raws, proof.ways, leaves, key.shape, light.read)
        return run.open_backwards(work.raws, key.shape, work.entry.id, key.check)

    def _take_work(self, work: Work, received_ms: int, found: tuple[Task, Proof] | None) -> None:
        """Place what a probe brought, run by run."""
        pieces = self._pieces(work, found)
        reached("receive.verified")
        for one in run.runs(pieces):
            if isinstance(one, int):
                self._take_single(work, pieces, one, received_ms)
            elif not self._take_run(work, one, received_ms):
                for at in range(one.at, one.at + len(one)):
                    self._take_single(work, pieces, at, received_ms)

    def _take_run(self, work: Work, one: Run, received_ms: int) -> bool:
        """Let a run go on at its chain's head; False if each of its records must be asked."""
        epoch = one.records[0].epoch
        if not work.key.ring.is_of(work.key.ring.keys[-1][1], epoch):
            return False
        held = self.placer.extend(work.entry, one, received_ms)
        if held is None:
            return False
        tallies = work.tallies
        for at, record in enumerate(one.records):
            tally = tallies[one.at + at]
            tally.epochs.add(epoch)
            if isinstance(record, GapRecord):
                tally.epochs.add(record.gap_epoch)
            if at < held:
                tally.duplicate += 1
            else:
                tally.accepted += 1
        return True

    def _take_single(self, work: Work, pieces: Pieces, at: int, received_ms: int) -> None:
        """Place one record that nothing but its own signature vouches for."""
        raw, tally = pieces.raws[at], work.tallies[at]
        try:
            opened = pieces.opened(at) if pieces.ways[at] == run.SIGNED else None
            keys = work.key.ring
            verifier = keys.signer_of(raw)
            if opened is None:
                opened = codec.open_record(raw, self._origin, work.entry.id, verifier)
            if opened.head is not None:
                keys.check(verifier, opened.head.epoch)
        except Refused as error:
            tally.refuse(error, raw)
            return
        if opened.head is not None:
            tally.epochs.add(opened.head.epoch)
        if isinstance(opened.record, GapRecord):
            tally.epochs.add(opened.record.gap_epoch)
        if self.placer.place(work.entry, opened, received_ms):
            tally.accepted += 1
        else:
            tally.duplicate += 1


def _delivery(tally: Tally, received_ms: int) -> DeliveryRow:
    return DeliveryRow(
        received_ms=received_ms,
        topic=tally.message.topic[:200],
        probe=tally.probe,
        size=len(tally.message.payload),
        accepted=tally.accepted,
        duplicate=tally.duplicate,
        refusals=tuple(tally.refusals),
    )
