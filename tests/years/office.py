"""The collector over simulated disks: receive, the sealer, the forwarder; each may be killed at a step."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from random import Random
from typing import Any

from collector.core import accept, tiles
from collector.core.accept import Arrival, Chain, Duplicate, Found, Link, Look, Mark, NoteGap, Standing, Store
from collector.forward_send import write_all
from tests.years.disk import Change, Disk
from tests.years.line import Message
from tests.years.terms import PROBE, Mutants, Rec, opened
from wire.codec import leaf_text
from wire.errors import Refused, Unavailable
from wire.notes import Ack

LEDGER = ("record", "place", "aside", "chain", "gap", "slot", "redo", "meta")
SEAL = ("shard", "checkpoint", "edge")


class Killed(Exception):
    """The process ended at this step."""


@dataclass(frozen=True, slots=True)
class Held:
    """A record of the ledger: how it stands, and whether it is a counted sample."""

    rec: Rec
    standing: Standing
    fault: str | None
    counted: bool


class Commit:
    """Changes of one transaction, read through as if they were made."""

    def __init__(self, disk: Disk) -> None:
        self._disk, self._over = disk, {}  # type: ignore[var-annotated]
        self.changes: list[Change] = []

    def get(self, table: str, key: Any) -> Any:
        """What a reader inside the transaction sees."""
        return self._over.get((table, key), self._disk.tables[table].get(key))

    def put(self, table: str, key: Any, value: Any) -> None:
        """Change a row."""
        self._over[(table, key)] = value
        self.changes.append((table, key, value))


class Receive:
    """Messages to committed rows and acknowledgements. `dies_at`: the named step at which it is killed next."""

    def __init__(self, disk: Disk, mutants: Mutants) -> None:
        self.disk, self._mutants = disk, mutants
        self.dies_at: str | None = None
        self._commits = 0

    def _reached(self, step: str) -> None:
        if self.dies_at == step:
            self.dies_at = None
            raise Killed(step)

    def take(self, messages: Iterable[Message], publish: Any) -> None:
        """One group: one transaction, then the ACKs of what it touched, by `publish(ack, retain)`. Raises Killed."""
        self._reached("received")
        txn = Commit(self.disk)
        epochs = {rec.epoch for message in messages for rec in message}
        for message in messages:
            for rec in message:
                self._place(txn, rec)
        self._reached("inserted")
        if "ack_before_commit" in self._mutants:
            self._publish(txn, epochs, publish)
            self._reached("committed")
        self._commits += 1
        lazy = "ledger_not_synchronous" in self._mutants and self._commits % 20
        self.disk.commit(txn.changes, flush=not lazy)
        self._reached("committed")
        if "ack_before_commit" not in self._mutants:
            self._publish(txn, epochs, publish)
        self._reached("acked")

    def _publish(self, txn: Commit, epochs: set[int], publish: Any) -> None:
        newest = int(txn.get("meta", "epoch") or 0)
        for epoch in sorted(epochs):
            publish(self.ack(txn, epoch), epoch == newest)

    def ack(self, txn: Commit, epoch: int) -> Ack:
        """What is held of an epoch without a hole."""
        chain: Chain = txn.get("chain", epoch) or Chain(epoch)
        head = leaf_text(chain.head) if chain.head is not None else None
        gen, size = int(txn.get("meta", "gen") or 0), int(txn.get("meta", "n") or 0)
        return Ack(v=1, signed_ms=0, probe=PROBE, epoch=epoch, gen=gen, size=size, upto=chain.upto, head=head)

    def raise_generation(self, publish: Any) -> None:
        """After a restore: say at once what the ledger holds now."""
        txn = Commit(self.disk)
        txn.put("meta", "gen", int(self.disk.tables["meta"].get("gen") or 0) + 1)
        self.disk.commit(txn.changes)
        newest = int(txn.get("meta", "epoch") or 1)
        publish(self.ack(txn, newest), True)

    # --- the same steps as collector.ingest_place.Placer ----------------------------------------------------------

    def _place(self, txn: Commit, rec: Rec) -> None:
        before: Chain = txn.get("chain", rec.epoch) or Chain(rec.epoch)
        chain, effects = accept.step(before, self._arrival(txn, rec, before))
        if "no_unique" in self._mutants and isinstance(effects[0], Duplicate):
            effects = (Store(Standing.IN_CHAIN, None),)
        for effect in effects:
            if isinstance(effect, Store):
                self._store(txn, rec, effect, forked=before.fork_seq is not None)
            elif isinstance(effect, NoteGap):
                gap = effect.gap
                txn.put("gap", (gap.epoch, gap.from_seq), gap)
            elif isinstance(effect, Look):
                chain = self._look(txn, effect, chain)
        if chain not in (before, Chain(rec.epoch)):
            txn.put("chain", rec.epoch, chain)
        txn.put("meta", "epoch", max(rec.epoch, int(txn.get("meta", "epoch") or 0)))

    @staticmethod
    def _arrival(txn: Commit, rec: Rec, chain: Chain) -> Arrival:
        if rec.seq >= chain.end_seq:
            return Arrival(opened(rec))
        held = _at(txn, rec.epoch, rec.seq)
        if held is not None:
            is_aside = held.leaf != rec.leaf and txn.get("aside", rec.leaf) is not None
            return Arrival(opened(rec), held.leaf, aside=is_aside)
        before, after = _at(txn, rec.epoch, rec.seq - 1), _at(txn, rec.epoch, rec.seq + 1)
        return Arrival(opened(rec), before=before and before.leaf, after=after and after.prev)

    def _store(self, txn: Commit, rec: Rec, store: Store, *, forked: bool) -> None:
        n = int(txn.get("meta", "n") or 0) + 1
        is_counted = store.standing is Standing.IN_CHAIN and store.fault is None and not forked
        is_counted = is_counted and rec.slot_ms is not None
        if is_counted and "no_unique" not in self._mutants:
            is_counted = txn.get("slot", rec.slot_ms) is None
        txn.put("meta", "n", n)
        txn.put("record", n, Held(rec, store.standing, store.fault, is_counted))
        if store.standing is Standing.IN_CHAIN:
            txn.put("place", rec.key, n)
        else:
            txn.put("aside", rec.leaf, n)
        if is_counted:
            txn.put("slot", rec.slot_ms, n)

    def _look(self, txn: Commit, look: Look, chain: Chain) -> Chain:
        own = look.epoch == chain.epoch
        moving: Chain = chain if own else txn.get("chain", look.epoch) or Chain(look.epoch)
        todo = [moving.next_seq]
        while todo:
            moving, effects = accept.step(moving, _found(txn, moving.epoch, todo.pop()))
            for effect in effects:
                if isinstance(effect, Look):
                    todo.append(effect.seq)
                elif isinstance(effect, Mark):
                    self._mark(txn, moving.epoch, effect)
        if not own:
            txn.put("chain", moving.epoch, moving)
        return moving if own else chain

    @staticmethod
    def _mark(txn: Commit, epoch: int, mark: Mark) -> None:
        n = txn.get("place", (epoch, mark.seq))
        held: Held = txn.get("record", n)
        if held.counted:
            txn.put("slot", held.rec.slot_ms, None)
        txn.put("record", n, Held(held.rec, held.standing, mark.fault, counted=False))
        txn.put("redo", n, True)


def _at(txn: Commit, epoch: int, seq: int) -> Rec | None:
    n = txn.get("place", (epoch, seq))
    return None if n is None else txn.get("record", n).rec


def _found(txn: Commit, epoch: int, seq: int) -> Found:
    n = txn.get("place", (epoch, seq))
    if n is not None:
        held: Held = txn.get("record", n)
        return Found(Link(seq, held.rec.leaf, held.rec.prev, held.fault))
    gaps = [gap for (one, low), gap in txn._disk.tables["gap"].items() if one == epoch and low <= seq <= gap.to_seq]
    gaps += [value for name, _, value in txn.changes if name == "gap" and value.epoch == epoch
             and value.from_seq <= seq <= value.to_seq]  # fmt: skip
    return Found(None, gaps[0] if gaps else None)


class Seal:
    """The sealed log: indices, root, persisted checkpoint, published checkpoint, in this order."""

    def __init__(self, disk: Disk, ledger: Disk, mutants: Mutants) -> None:
        self.disk, self._ledger, self._mutants = disk, ledger, mutants
        self.dies_at: str | None = None
        self.published: dict[tuple[int, int], bytes] = {}

    def _reached(self, step: str) -> None:
        if self.dies_at == step:
            self.dies_at = None
            raise Killed(step)

    def round(self) -> None:
        """Seal what was committed since. Raises Killed."""
        gen = int(self._ledger.tables["meta"].get("gen") or 0)
        last_n = int(self._ledger.tables["meta"].get("n") or 0)
        shards = self.disk.tables["shard"]
        number = len(shards) - 1
        if number < 0 or shards[number][0] != gen:
            base = self._kept(number, last_n) if number >= 0 else 0
            number += 1
            self.disk.commit([("shard", number, (gen, base)), ("edge", number, tiles.Edge(0, ()))])
            self._reached("opened")
        _, base = shards[number]
        edge: tiles.Edge = self.disk.tables["edge"][number]
        if base + edge.size >= last_n:
            return
        records = self._ledger.tables["record"]
        leaves = [records[n].rec.leaf for n in range(base + edge.size + 1, last_n + 1)]
        edge, _ = tiles.grow(edge, leaves)
        root = tiles.root(edge)
        self._reached("signed")
        if "published_before_persisted" in self._mutants:
            self._publish(number, edge.size, root)
            self._reached("persisted")
        self.disk.commit([("checkpoint", (number, edge.size), root), ("edge", number, edge)])
        self._reached("persisted")
        self._publish(number, edge.size, root)

    def _publish(self, number: int, size: int, root: bytes) -> None:
        key = (number, size)
        if self.published.setdefault(key, root) != root:
            raise AssertionError(f"I4: two roots for size {size} of log {number}")

    def _kept(self, number: int, last_n: int) -> int:
        """Up to which row the ledger that was put back holds what the last log was signed over."""
        gen_base = self.disk.tables["shard"][number][1]
        return int(min(last_n, gen_base + self.disk.tables["edge"][number].size))


class Influx:
    """A database of points by their identity: writing one twice is writing it once."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.is_up = True
        self.poison: frozenset[str] = frozenset()
        self.points: dict[str, str] = {}

    def prepare(self) -> None:
        """Nothing to do."""

    def write(self, lines: list[str]) -> None:
        """Take lines, or only a part of them with a 400, or fall silent before or after taking them."""
        if not self.is_up:
            raise Unavailable("influx is down")
        bad = [line for line in lines if line in self.poison]
        for line in lines:
            if line not in self.poison:
                key, _, value = line.partition(" ")
                self.points[key] = value
        if bad:
            raise Refused("partial_write", f"partial write: dropped={len(bad)}")
        if self._rng.random() < 0.02:
            raise Unavailable("taken, and the answer was lost")


class Forward:
    """Ledger to InfluxDB by a cursor that moves only once a batch is taken or parked."""

    def __init__(self, disk: Disk, ledger: Disk, influx: Influx, mutants: Mutants) -> None:
        self.disk, self._ledger, self._influx, self._mutants = disk, ledger, influx, mutants
        self.parked: set[str] = set()
        self.dies_at: str | None = None

    def round(self) -> None:
        """Write what is new and what changed. Raises Killed."""
        meta = self.disk.tables["cursor"]
        gen = int(self._ledger.tables["meta"].get("gen") or 0)
        done = int(meta.get("n") or 0) if int(meta.get("gen") or 0) == gen else 0
        last = min(int(self._ledger.tables["meta"].get("n") or 0), done + 500)
        redo = [n for n in self._ledger.tables["redo"] if n <= done and n not in self.disk.tables["redone"]]
        lines = [line_of(self._ledger.tables["record"][n]) for n in [*range(done + 1, last + 1), *redo]]
        if not lines:
            return
        try:
            if "batch_dropped_on_400" in self._mutants:
                self._write_or_drop(lines)
            else:
                write_all(self._influx, lines, lambda line, _reason: self.parked.add(line))
        except Unavailable:
            return
        if self.dies_at == "written":
            self.dies_at = None
            raise Killed("written")
        marks: list[Change] = [("redone", n, True) for n in redo]
        self.disk.commit([*marks, ("cursor", "n", last), ("cursor", "gen", gen)])

    def _write_or_drop(self, lines: list[str]) -> None:
        fine = [line for line in lines if line not in self._influx.poison]
        if len(fine) == len(lines):
            self._influx.write(lines)
        else:
            self.parked.update(line for line in lines if line in self._influx.poison)

    def start_over(self) -> None:
        """The database was wiped: everything again."""
        self.disk.commit([("cursor", "n", 0), *(("redone", n, None) for n in list(self.disk.tables["redone"]))])


def line_of(held: Held) -> str:
    """The point of a record: its identity, and whether it counts."""
    aside = "" if held.standing is Standing.IN_CHAIN else f",{leaf_text(held.rec.leaf)}"
    return f"{held.rec.epoch},{held.rec.seq}{aside} {int(held.counted)}"
