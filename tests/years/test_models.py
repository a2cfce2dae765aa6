"""The simulation's spool and ledger do as the real ones do: the same steps, the same answers."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from probe.spool import Spool as RealSpool
from tests.collector.door import Door
from tests.collector.kit import FakeProbe
from tests.probe.kit import event, make_recorder
from tests.years.disk import Disk
from tests.years.office import LEDGER, Commit, Receive
from tests.years.spool import Spool
from tests.years.terms import DAY_MS, Mutants, Rec, made
from wire import codec
from wire.codec import leaf_text
from wire.records import BootRecord


def keys(kept: object) -> list[tuple[int, int]]:
    """Places of records, of either kind."""
    return [(one.epoch, one.seq) for one in kept]  # type: ignore[attr-defined]


@pytest.mark.parametrize("seed", range(8))
def test_the_spool_is_modelled_as_it_is(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    model = Spool(Disk(rng, ("record", "mark")), Disk(rng, ("epoch",)), 10_000, Mutants())
    real = RealSpool(tmp_path, 10_000_000)
    recorder = make_recorder(real)
    life_ms = gen = 0
    for _ in range(60):
        epoch, seq, _ = model.place()
        life_ms += rng.randint(0, 3) * DAY_MS
        step = rng.choices(("keep", "release", "reinstate", "purge", "dispute", "epoch"), (8, 4, 1, 2, 0.5, 0.7))[0]
        at = (rng.randint(max(epoch - 1, 1), epoch), rng.randint(0, max(seq, 1)))
        if step == "keep":
            for _ in range(rng.randint(1, 5)):
                model.append("event")
                recorder.keep(event(recorder))
        elif step == "release":
            model.release(*at, life_ms)
            real.release(*at, 0, life_ms)
        elif step == "reinstate":
            gen += 1
            upto = rng.choice((None, at[1]))
            model.reinstate(at[0], upto, gen)
            recorder.reinstate(at[0], upto, gen)
        elif step == "purge":
            model.purge(life_ms, 7)
            real.purge(life_ms, 7)
        elif step == "dispute":
            model.dispute(at[0])
            real.dispute(at[0])
        else:
            boot = BootRecord(**recorder.head(), reason="new_epoch", spool="rolled_back", uptime_ms=1)
            model.begin_epoch(epoch + 1)
            recorder.begin_epoch(epoch + 1, boot)
        assert keys(real.waiting(999)) == keys(model.waiting(999)), step
        assert keys(real.disputed((0, -1), 999)) == keys(model.disputed((0, -1), 999)), step
        assert (real.place().epoch, real.place().seq) == model.place()[:2], step
        for place in {at, (epoch, 0), (epoch, seq - 1)}:
            assert (real.leaf(*place) is None) == (model.leaf(*place) is None), (step, place)
    real.close()


class Twins:
    """One probe of each kind, whose records stand in the same places."""

    def __init__(self) -> None:
        self.real = FakeProbe("p-one")
        self.pairs: list[tuple[Rec, bytes]] = []
        self._prev = ""

    def grow(self, count: int) -> None:
        """So many records more."""
        for _ in range(count):
            slot_ms = self.real.common()["t_ms"]
            rec = made(self.real.epoch, self.real.seq, self._prev, "test", int(slot_ms))
            self.pairs.append((rec, self.real.test()))
            self._prev = leaf_text(rec.leaf)

    def fork(self, at: int, count: int) -> None:
        """Set the card back by some records and go on from there."""
        rec = self.pairs[at][0]
        self.real.seq, self._prev = rec.seq, rec.prev
        self.real.head = leaf_text(codec.leaf_hash(self.pairs[at - 1][1])) if at else ""
        slot_ms = int(self.real.common()["t_ms"]) + 1
        for _ in range(count):
            other = made(self.real.epoch, self.real.seq, self._prev, "test", slot_ms)
            self.pairs.append((other, self.real.test(slot_ms=slot_ms)))
            self._prev, slot_ms = leaf_text(other.leaf), slot_ms + 7_200_000


@pytest.mark.parametrize("seed", range(6))
def test_the_ledger_is_modelled_as_it_is(seed: int, tmp_path: Path) -> None:
    rng = Random(seed)
    twins = Twins()
    twins.grow(40)
    if seed % 2:
        twins.fork(rng.randint(1, 38), rng.randint(1, 4))
    order = [pair for pair in twins.pairs if rng.random() < 0.8]
    order += rng.choices(twins.pairs, k=30)
    for _ in range(rng.randint(0, 30)):
        a, b = rng.randrange(len(order)), rng.randrange(len(order))
        order[a], order[b] = order[b], order[a]
    order += twins.pairs
    door, model = Door(tmp_path, twins.real), Receive(Disk(rng, LEDGER), Mutants())
    try:
        while order:
            size = rng.randint(1, 9)
            group, order = order[:size], order[size:]
            model.take([tuple(rec for rec, _ in group)], lambda _ack, _retain: None)
            door.take("p-one", *(raw for _, raw in group))
            assert door.upto("p-one") == model.ack(Commit(model.disk), 1).upto
        rows = {row[0]: row[1:] for row in door.sql("SELECT leaf, standing, coalesce(fault, ''), counted FROM record")}
        leaves = {rec.leaf: codec.leaf_hash(raw) for rec, raw in twins.pairs}
        held = {leaves[h.rec.leaf]: (int(h.standing), h.fault or "", int(h.counted))
                for h in model.disk.tables["record"].values()}  # fmt: skip
        assert held == rows
    finally:
        door.close()
