"""A group of messages becomes one transaction of the ledger: verify, registry check, place in the chain, rows.

Authentic bytes (a registered, unrevoked key) are always stored, whatever schema or quota say of them; only
unauthentic bytes are refused, and those are kept with their reason. Nothing is answered before COMMIT.
Source: design §7, order and ACK.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from collector.core import accept, count
from collector.core.accept import Arrival, Chain, Duplicate, Look, Mark, NoteGap, Settle, Standing, Store
from collector.core.clock import date_from
from collector.core.row import Row, prev_of
from collector.failpoint import reached
from collector.keyring import KeyRing, ring
from collector.ledger_port import DeliveryRow, Head, Ledger, RefusedBytes, StoredRow
from collector.receipts import is_receipt, open_receipt
from collector.registry import Registry
from collector.registry_rows import ProbeEntry
from collector.statements import NOTES, Statements
from wire import bundle, codec, topics
from wire.codec import Opened
from wire.errors import Refused
from wire.failure import RefusalReason
from wire.records import AnyRecord, EventRecord, GapRecord, TestRecord


@dataclass(frozen=True, slots=True)
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
    """What became of the records of one message, while it is being worked on."""

    accepted: int = 0
    duplicate: int = 0
    refusals: list[RefusedBytes] = field(default_factory=list)
    epochs: set[int] = field(default_factory=set)


class Ingest:
    """The collector's door. Not safe for several threads."""

    def __init__(self, ledger: Ledger, registry: Registry, origin: str) -> None:
        self._ledger = ledger
        self._registry = registry
        self._origin = origin
        self._rings: dict[str, tuple[str, KeyRing]] = {}
        self.statements: Statements | None = None

    def take(self, messages: Sequence[Message], received_ms: int) -> Taken:
        """Commit a group of messages.

        Raises Unavailable if the ledger or the registry cannot be used: then nothing of the group is held.
        """
        tallies: list[tuple[str | None, Tally]] = []
        with self._ledger.transaction():
            for message in messages:
                if message.topic == NOTES:
                    tallies.append((None, self._take_note(message.payload, received_ms)))
                elif message.topic.startswith(topics.STATUS_FILTER[:-1]):
                    self._take_status(message, received_ms)
                else:
                    tallies.append(self._take_up(message, received_ms))
            touched = dict.fromkeys(probe for probe, tally in tallies if probe and tally.accepted + tally.duplicate)
            heads = {probe: self._ledger.head_of(probe) for probe in touched}
            epochs = {(probe, epoch) for probe, tally in tallies if probe for epoch in tally.epochs}
            each = [(probe, self._ledger.head_of(probe, epoch)) for probe, epoch in sorted(epochs)]
            reached("receive.worked")
        refusals = [refused for _, tally in tallies for refused in tally.refusals]
        return Taken(
            heads={probe: head for probe, head in heads.items() if head is not None},
            older=tuple((probe, head) for probe, head in each if head is not None and head != heads[probe]),
            accepted=sum(tally.accepted for _, tally in tallies),
            duplicate=sum(tally.duplicate for _, tally in tallies),
            refused=len(refusals),
            refused_as=tuple(dict.fromkeys(refused.reason for refused in refusals)),
        )

    def heads(self) -> dict[str, Head]:
        """What every active or quarantined probe's acknowledgement says now."""
        known = [entry.id for entry in self._registry.probes() if entry.state != "revoked"]
        with self._ledger.transaction():
            found = {probe: self._ledger.head_of(probe) for probe in known}
        return {probe: head for probe, head in found.items() if head is not None}

    def _take_status(self, message: Message, received_ms: int) -> None:
        """Keep a liveness word of a registered probe; anything else on that topic is passed over."""
        word = message.payload[:16].decode("ascii", "replace")
        try:
            probe = topics.parse_status(message.topic)
        except Refused:
            return
        if word in {"online", "offline"} and self._registry.probe(probe) is not None:
            self._ledger.set_status(probe, word, received_ms)

    def _take_up(self, message: Message, received_ms: int) -> tuple[str | None, Tally]:
        """Work on one message; return the probe that its topic names, None if it names none, and what became of it."""
        tally = Tally()
        probe: str | None = None
        try:
            probe = topics.parse_up(message.topic)
            entry, keys = self._sender(probe)
            for raw in bundle.decode(message.payload):
                if is_receipt(raw, self._origin):
                    self._take_receipt(raw, probe, received_ms, tally)
                else:
                    self._take_record(raw, entry, keys, received_ms, tally)
        except Refused as error:
            tally.refusals.append(RefusedBytes(probe, error.reason, error.detail, message.payload))
        self._ledger.deliver(
            DeliveryRow(
                received_ms=received_ms,
                topic=message.topic[:200],
                probe=probe,
                size=len(message.payload),
                accepted=tally.accepted,
                duplicate=tally.duplicate,
                refusals=tuple(tally.refusals),
            )
        )
        return probe, tally

    def _sender(self, probe: str) -> tuple[ProbeEntry, KeyRing]:
        """The registered probe of a topic and its keys. Raises Refused: unknown_probe, revoked_key, bad_key."""
        entry = self._registry.probe(probe)
        if entry is None:
            raise Refused(RefusalReason.UNKNOWN_PROBE, f"{probe} is not in the registry")
        if entry.state == "revoked":
            raise Refused(RefusalReason.REVOKED_KEY, f"the key of {probe} was revoked")
        held = self._rings.get(probe)
        if held is None or held[0] != entry.vkey:  # a rotation changes the newest key
            listed = self.statements.identities.keys(probe) if self.statements else []
            self._rings[probe] = held = (entry.vkey, ring(entry.vkey, listed))
        return entry, held[1]

    def _take_note(self, raw: bytes, received_ms: int) -> Tally:
        """Keep a note of the registry's or a probe's own that came by the local door."""
        tally = Tally()
        try:
            if self.statements is None:
                raise Refused(RefusalReason.UNKNOWN_KEY, "notes are not taken here: registry_vkey is not set")
            is_new = self._ledger.keep_note(self.statements.open(raw, received_ms))
            tally.accepted, tally.duplicate = int(is_new), int(not is_new)
        except Refused as error:
            tally.refusals.append(RefusedBytes(None, error.reason, error.detail, raw))
            self._ledger.deliver(DeliveryRow(received_ms, NOTES, None, len(raw), 0, 0, tuple(tally.refusals)))
        return tally

    def _take_receipt(self, raw: bytes, probe: str, received_ms: int, tally: Tally) -> None:
        """Keep a point's receipt; a false one is refused, and the record behind it goes on without it."""
        try:
            self._ledger.keep_receipt(open_receipt(raw, self._origin, self._registry, received_ms))
        except Refused as error:
            tally.refusals.append(RefusedBytes(probe, error.reason, f"receipt: {error.detail}", raw))

    def _take_record(self, raw: bytes, entry: ProbeEntry, keys: KeyRing, received_ms: int, tally: Tally) -> None:
        try:
            verifier = keys.signer_of(raw)
            opened = codec.open_record(raw, self._origin, entry.id, verifier)
            if opened.head is not None:
                keys.check(verifier, opened.head.epoch)
        except Refused as error:
            tally.refusals.append(RefusedBytes(entry.id, error.reason, error.detail, raw))
            return
        reached("receive.verified")
        if opened.head is not None:
            tally.epochs.add(opened.head.epoch)
        if isinstance(opened.record, GapRecord):
            tally.epochs.add(opened.record.gap_epoch)
        if self._place_record(opened, entry, received_ms):
            tally.accepted += 1
        else:
            tally.duplicate += 1

    def _place_record(self, opened: Opened, entry: ProbeEntry, received_ms: int) -> bool:
        """Put one authentic record where it belongs; say whether it is new."""
        probe = entry.id
        epoch = opened.head.epoch if opened.head else self._ledger.last_epoch(probe) or 1
        before = self._ledger.chain(probe, epoch)
        chain, effects = accept.step(before, self._arrival(opened, probe, before))
        new = not isinstance(effects[0], Duplicate)
        n = 0
        for effect in effects:
            if isinstance(effect, Store):
                n = self._store(opened, entry, effect, before, received_ms)
            elif isinstance(effect, NoteGap):
                self._ledger.note_gap(probe, effect.gap, n)
            elif isinstance(effect, Look):
                chain = self._look(entry, effect, chain)
        if chain not in (before, Chain(epoch)):
            self._ledger.keep_chain(probe, chain)
        return new

    def _arrival(self, opened: Opened, probe: str, chain: Chain) -> Arrival:
        """Fetch what the step needs to know about the record's place."""
        head = opened.head
        if head is None:
            return Arrival(opened, aside=self._ledger.is_aside(probe, opened.leaf))
        if head.seq >= chain.end_seq:
            return Arrival(opened)
        held = self._ledger.leaf_at(probe, head.epoch, head.seq)
        if held is not None:
            return Arrival(opened, held, aside=held != opened.leaf and self._ledger.is_aside(probe, opened.leaf))
        before = self._ledger.leaf_at(probe, head.epoch, head.seq - 1)
        return Arrival(opened, before=before, after=self._ledger.prev_at(probe, head.epoch, head.seq + 1))

    def _look(self, entry: ProbeEntry, look: Look, chain: Chain) -> Chain:
        """Move a chain's head as far as it goes; return `chain`, moved if the look was at its own epoch."""
        own = look.epoch == chain.epoch
        moving = chain if own else self._ledger.chain(entry.id, look.epoch)
        todo: list[Look] = [replace(look, seq=moving.next_seq)]
        while todo:
            asked = todo.pop()
            moving, effects = accept.step(moving, self._ledger.look(entry.id, asked.epoch, asked.seq))
            for effect in effects:
                if isinstance(effect, Look):
                    todo.append(effect)
                elif isinstance(effect, Mark):
                    self._mark(entry, moving.epoch, effect)
                elif isinstance(effect, Settle):
                    self._ledger.settle(entry.id, effect.leaf, moving.epoch, effect.seq)
        if not own:
            self._ledger.keep_chain(entry.id, moving)
        return moving if own else chain

    def _mark(self, entry: ProbeEntry, epoch: int, mark: Mark) -> None:
        stored = self._ledger.at(entry.id, epoch, mark.seq)
        if stored is not None:
            self._judge_again(entry, replace(stored, fault=mark.fault))

    def _store(self, opened: Opened, entry: ProbeEntry, store: Store, chain: Chain, received_ms: int) -> int:
        record = opened.record
        dates_boot = self._set_clock(entry.id, record)
        row = self._row(entry, record, store.standing, store.fault, forked=chain.fork_seq is not None)
        head = opened.head
        row = replace(
            row,
            epoch=head.epoch if head else None,
            seq=head.seq if head else None,
            leaf=opened.leaf,
            prev=prev_of(opened, accept.loose_prev(opened.raw)),
            received_ms=received_ms,
            fault_detail=opened.fault.detail if opened.fault else None,
            raw=opened.raw,
        )
        n = self._ledger.insert(row)
        reached("receive.stored")
        if dates_boot is not None:
            for stored in self._ledger.undated(entry.id, dates_boot):
                self._judge_again(entry, stored)
        return n

    def _set_clock(self, probe: str, record: AnyRecord | None) -> str | None:
        """Take the word of a `clock_set` event; return the boot that it dates, None if it dates nothing new."""
        if not isinstance(record, EventRecord) or record.event != "clock_set":
            return None
        if record.set_mono_ms is None or record.set_t_ms is None:
            return None
        first = self._ledger.set_clock(probe, record.boot, record.set_mono_ms, record.set_t_ms)
        return record.boot if first else None

    def _judge_again(self, entry: ProbeEntry, stored: StoredRow) -> None:
        row = self._row(entry, stored.record, stored.standing, stored.fault, forked=stored.forked, n=stored.n)
        self._ledger.judge_again(stored, replace(row, received_ms=stored.received_ms))

    def _row(
        self,
        entry: ProbeEntry,
        record: AnyRecord | None,
        standing: Standing,
        fault: str | None,
        *,
        forked: bool,
        n: int = 0,
    ) -> Row:
        """Everything that is derived of a record (number `n`, 0 for a new one): its time, place, whether it counts."""
        t_ms = self._time_of(entry.id, record)
        place = self._registry.place(entry.id, t_ms)
        judged = count.Standing(
            fault=fault,
            in_chain=standing is Standing.IN_CHAIN,
            fork=forked,
            quarantine=entry.state == "quarantine",
            registered_simulated=entry.simulated,
            t_ms=t_ms,
            place=place,
            unit=self._unit_of(record, t_ms),
            slot_taken=self._slot_taken(entry.id, record, n),
        )
        return Row(
            part=topics.part(entry.id),
            probe=entry.id,
            standing=standing,
            record=record,
            t_ms=t_ms,
            fault=fault,
            place=place,
            not_counted=tuple(count.reasons(record, judged)),
        )

    def _unit_of(self, record: AnyRecord | None, t_ms: int | None) -> str | None:
        """Unit of a test's referral code at that time; None without a code, or if it belonged to none."""
        if not isinstance(record, TestRecord) or record.referral is None:
            return None
        return self._registry.referral_unit(record.referral, t_ms)

    def _slot_taken(self, probe: str, record: AnyRecord | None, n: int) -> bool:
        if not isinstance(record, TestRecord) or record.slot_ms is None:
            return False
        return self._ledger.slot_taken(probe, record.modem, record.slot_ms, n)

    def _time_of(self, probe: str, record: AnyRecord | None) -> int | None:
        """When a record began: by its own clock, else by its boot's clock event; None if by neither."""
        if record is None or record.t_ms is not None:
            return record.t_ms if record else None
        clock = self._ledger.clock_of(probe, record.boot)
        return date_from(clock[0], clock[1], record.mono_ms) if clock else None
