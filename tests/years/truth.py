"""What really happened, beside what the programs believe; and the promises, checked against it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING

from collector.core.accept import Chain
from tests.years.office import line_of
from tests.years.terms import Rec
from wire import tlog
from wire.notes import Ack

if TYPE_CHECKING:
    from tests.years.world import World


class Broken(AssertionError):
    """A promise was not kept."""


class Truth:
    """Every record by its leaf; what media took away is excused, what a full spool dropped must be declared."""

    def __init__(self) -> None:
        self.all: dict[bytes, Rec] = {}
        self.when_ms: dict[bytes, int] = {}
        self.taken: set[bytes] = set()
        self.excused: set[bytes] = set()
        self.shed: set[bytes] = set()
        self.acks: list[Ack] = []
        self.media_ms: list[int] = []

    def recorded(self, rec: Rec, now_ms: int) -> None:
        """The spool said that this record is safe."""
        self.all[rec.leaf] = rec
        self.when_ms[rec.leaf] = now_ms

    def dropped(self, recs: Iterable[Rec]) -> None:
        """The spool had no room for these; whether that is declared is seen at the end."""
        self.shed.update(rec.leaf for rec in recs)

    def lose(self, leaves: set[bytes]) -> None:
        """Media took these; where one was a gap that nobody had seen yet, what it declared is told by nobody."""
        self.excused |= leaves
        gaps = [rec.gap for leaf in leaves if (rec := self.all.get(leaf)) is not None and rec.gap is not None]
        for leaf in self.shed:
            rec = self.all[leaf]
            if any(gap.epoch == rec.epoch and gap.from_seq <= rec.seq <= gap.to_seq for gap in gaps):
                self.excused.add(leaf)

    def released(self, recs: Iterable[Rec]) -> None:
        """The probe was told that the ledger holds these."""
        self.taken.update(rec.leaf for rec in recs)

    def set_back(self, world: World) -> None:
        """The ledger was put back from a backup: what it lost is to come again from the probe."""
        self.taken &= ledger_leaves(world)


def spool_leaves(world: World) -> set[bytes]:
    """Leaves on the probe's card."""
    return {row[0].leaf for row in world.station.card.tables["record"].values()}


def ledger_leaves(world: World) -> set[bytes]:
    """Leaves in the ledger."""
    return {held.rec.leaf for held in world.receive.disk.tables["record"].values()}


def at_all_times(world: World) -> None:
    """I2: whatever was recorded is in the spool or in the ledger, short of media failure. Raises Broken."""
    ledger = ledger_leaves(world)
    false = {leaf for leaf in world.truth.taken - ledger - world.truth.excused if not _is_second(world, leaf)}
    if false:
        raise Broken(f"I1: {len(false)} records were acknowledged and are not in the ledger")
    there = spool_leaves(world) | ledger | world.truth.excused | world.truth.shed
    lost = [rec for leaf, rec in world.truth.all.items() if leaf not in there and not _is_second(world, leaf)]
    if lost:
        raise Broken(f"I2: recorded, and neither in the spool nor in the ledger: {lost[0]} and {len(lost) - 1} more")


def _is_second(world: World, leaf: bytes) -> bool:
    """Whether a card was set back and another record of ours has this one's place: it never counts, and may be lost.

    An ACK names one leaf. Where the ledger has the first line up to some place and the second behind it, that leaf can
    be the second line's, and what is before it the first's (docs/reliability.md, what is not promised).
    """
    return bool(world.truth.media_ms) and world.truth.all[leaf].key in world.receive.disk.tables["place"]


def at_an_ack(world: World, ack: Ack) -> None:
    """I9: what an ACK says is in the ledger, and would be after a power cut. Raises Broken."""
    chain: Chain = world.receive.disk.tables["chain"].get(ack.epoch) or Chain(ack.epoch)
    if not world.receive.disk.is_safe or (-1 if ack.upto is None else ack.upto) >= chain.next_seq:
        raise Broken(f"I9: {ack.epoch}/{ack.upto} was acknowledged before it was safe")


def while_well(world: World, since_ms: int) -> None:
    """I8: with line, broker and collector well since `since_ms`, nothing waits from before that. Raises Broken."""
    for rec in world.station.spool.waiting(1):
        if rec.kind != "gap" and world.truth.when_ms[rec.leaf] < since_ms:
            raise Broken(f"I8: {rec.epoch}/{rec.seq} waits although all has been well for long")


def at_the_end(world: World) -> None:
    """All promises, once the faults have stopped and the backlog had its time. Raises Broken."""
    at_all_times(world)
    _all_arrived(world)
    _counted_once(world)
    _chains_whole(world)
    _acks_true(world)
    _roots_true(world)
    _points_equal(world)


def _all_arrived(world: World) -> None:
    """I1, I8: what the probe recorded is in the ledger, or declared as dropped."""
    held, gaps = ledger_leaves(world), list(world.receive.disk.tables["gap"].values())
    for leaf, rec in world.truth.all.items():
        if leaf in held or leaf in world.truth.excused:
            continue
        if leaf in world.truth.shed and any(
            gap.epoch == rec.epoch and gap.from_seq <= rec.seq <= gap.to_seq for gap in gaps
        ):
            continue
        if leaf in world.truth.shed and world.truth.media_ms and rec.key in world.receive.disk.tables["place"]:
            continue  # of a card that failed: another record has its place, so it was disputed, and went first
        raise Broken(f"I1/I8: {rec} never reached the ledger; shed={leaf in world.truth.shed}")
    strange = held - set(world.truth.all)
    if strange:
        raise Broken(f"I5: {len(strange)} records in the ledger that no probe recorded")


def _counted_once(world: World) -> None:
    """I3: one row a record, one counted sample a slot."""
    rows = list(world.receive.disk.tables["record"].values())
    twice = [leaf for leaf, count in Counter(held.rec.leaf for held in rows).items() if count > 1]
    if twice:
        raise Broken(f"I3: {len(twice)} records are held twice")
    slots = Counter(held.rec.slot_ms for held in rows if held.counted)
    if slots and max(slots.values()) > 1:
        raise Broken("I3: two counted samples in one slot")


def _chains_whole(world: World) -> None:
    """I6: without media failure no hole and no fork; with it, nothing that is silent."""
    for chain in world.receive.disk.tables["chain"].values():
        assert isinstance(chain, Chain)
        if world.truth.media_ms:
            continue
        if chain.next_seq != chain.end_seq:
            raise Broken(f"I6: epoch {chain.epoch} is held up to {chain.upto}, and {chain.end_seq - 1} was seen")
        if chain.fork_seq is not None:
            raise Broken(f"I6: two records for {chain.epoch}/{chain.fork_seq} of a probe that nobody copied")
    faults = [held for held in world.receive.disk.tables["record"].values() if held.fault is not None]
    if faults and not world.truth.media_ms:
        raise Broken(f"I6: {faults[0]} is at fault, and no card failed")


def _acks_true(world: World) -> None:
    """I9: every acknowledged place is held, or declared."""
    places = world.receive.disk.tables["place"]
    gaps = list(world.receive.disk.tables["gap"].values())
    furthest: dict[int, int] = {}
    for ack in world.truth.acks:
        if ack.upto is not None:
            furthest[ack.epoch] = max(furthest.get(ack.epoch, -1), ack.upto)
    for epoch, upto in furthest.items():
        for seq in range(upto + 1):
            if (epoch, seq) in places or any(g.epoch == epoch and g.from_seq <= seq <= g.to_seq for g in gaps):
                continue
            if not world.truth.media_ms:
                raise Broken(f"I1: {epoch}/{seq} was acknowledged and is not in the ledger")


def _roots_true(world: World) -> None:
    """I4: each log's last root is that of the ledger's rows, as far as they were not set back by a restore."""
    shards, seal = world.seal.disk.tables["shard"], world.seal.disk.tables
    forgotten = set(world.seal.published) - set(seal["checkpoint"])
    if forgotten:
        raise Broken(f"I4: {len(forgotten)} checkpoints were published that the sealer does not know: {min(forgotten)}")
    if not shards:
        return
    number = len(shards) - 1
    _, base = shards[number]
    sizes = sorted(size for one, size in world.seal.published if one == number)
    records = world.receive.disk.tables["record"]
    for size in {*sizes[-1:], *sizes[len(sizes) // 2 : len(sizes) // 2 + 1]}:
        root = tlog.root([records[n].rec.leaf for n in range(base + 1, base + size + 1)])
        if root != world.seal.published[(number, size)] or seal["checkpoint"].get((number, size)) != root:
            raise Broken(f"I4: checkpoint {size} of log {number} is not the root of the ledger's rows")


def _points_equal(world: World) -> None:
    """I3: InfluxDB holds a point for each record, with what it counts as, but for those parked."""
    wanted = {line_of(held) for held in world.receive.disk.tables["record"].values()}
    found = {f"{key} {value}" for key, value in world.influx.points.items()}
    # After a restore InfluxDB may hold points of records that are in the ledger under the same identity again.
    missing = wanted - found - world.forward.parked
    if missing:
        raise Broken(f"I3: {len(missing)} records have no point, or another: {sorted(missing)[0]}")
