"""A year of one probe and its collector from one seed: events in virtual time, faults, and the promises at the end."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from random import Random

from tests.years import truth
from tests.years.disk import Disk, Table
from tests.years.line import Broker
from tests.years.office import LEDGER, SEAL, Commit, Forward, Influx, Killed, Receive, Seal
from tests.years.station import SPOOL_RECORDS, Station
from tests.years.terms import DAY_MS, HOUR_MS, SECOND_MS, Mutants
from wire.notes import Ack

Image = dict[str, Table]
BEGIN_MS = 1_767_225_600_000
"""2026-01-01 00:00 UTC."""
MINUTE_MS = 60 * SECOND_MS
MEANS_BETWEEN_FAULTS_MS = (DAY_MS // 2, 3 * DAY_MS, 10 * DAY_MS)
WELL_MS = 6 * HOUR_MS
"""After so long without a fault on the way nothing may wait from before."""
LOOK_MS = 2 * DAY_MS
"""How often all records are looked for."""
DRAIN_MS = 4 * DAY_MS
"""How long everything has, once the faults have stopped."""


class World:
    """Everything that a seed decides. `run` lives through a time with faults, `settle` ends them and checks."""

    def __init__(self, seed: int, mutants: frozenset[str] = frozenset()) -> None:
        self.rng, self.mutants = Random(seed), Mutants(mutants)
        self.now_ms, self._events, self._order = (
            BEGIN_MS,
            list[tuple[int, int, int, Callable[[], None]]](),
            itertools.count(),
        )
        self.offset_ms = 0
        self._between_ms = self.rng.choice(MEANS_BETWEEN_FAULTS_MS)
        self.has_network = True
        self.truth = truth.Truth()
        self.broker, self.influx = Broker(self.rng), Influx(self.rng)
        self.influx.poison = frozenset()
        self.station = Station(self)
        self.receive = Receive(Disk(self.rng, LEDGER), self.mutants)
        self.seal = Seal(Disk(self.rng, SEAL), self.receive.disk, self.mutants)
        self.forward = Forward(Disk(self.rng, ("cursor", "redone")), self.receive.disk, self.influx, self.mutants)
        self.is_receiving = True
        self._ill_ms = self._looked_ms = self.now_ms
        self._backups: list[tuple[int, Image]] = []
        self._cards: list[tuple[int, Image]] = []
        self.faults: dict[str, int] = {}
        self.station.start()
        self._every(2 * HOUR_MS, self._office_hour)
        self._every(DAY_MS, self._copies)

    # --- time -----------------------------------------------------------------------------------------------------

    def wall_ms(self) -> int:
        """What the probe's clock says."""
        return self.now_ms + self.offset_ms

    def later(self, ms: int, life: int, what: Callable[[], None]) -> None:
        """Let the probe's process do something, if it is still the same process then."""
        self._at(self.now_ms + max(ms, 0), lambda: what() if life == self.station.life else None)

    def _at(self, t_ms: int, what: Callable[[], None]) -> None:
        heapq.heappush(self._events, (t_ms, next(self._order), 0, what))

    def _every(self, ms: int, what: Callable[[], None]) -> None:
        def again() -> None:
            what()
            self._at(self.now_ms + ms, again)

        self._at(self.now_ms + ms, again)

    def run(self, ms: int) -> None:
        """Let so much time pass."""
        until = self.now_ms + ms
        while self._events and self._events[0][0] <= until:
            self.now_ms, _, _, what = heapq.heappop(self._events)
            what()
        self.now_ms = until

    # --- the collector's side -------------------------------------------------------------------------------------

    def nudge(self) -> None:
        """Messages wait: they are received a moment later."""
        self._at(self.now_ms + self.rng.randint(50, 3_000), self._collect)

    def _collect(self) -> None:
        if not (self.is_receiving and self.broker.is_up and self.broker.queue):
            return
        count = self.rng.randint(1, 8)
        group = self.broker.queue[:count]
        try:
            self.receive.take(group, self._publish)
        except Killed:
            self.is_receiving = False
            self._at(self.now_ms + self.rng.randint(SECOND_MS, MINUTE_MS), self._receive_again)
            if self.rng.random() < 0.3:
                self.receive.disk.cut()
            return
        del self.broker.queue[:count]
        if self.broker.queue:
            self.nudge()

    def _receive_again(self) -> None:
        self.is_receiving = True
        self._collect()

    def _publish(self, ack: Ack, retain: bool) -> None:
        truth.at_an_ack(self, ack)
        self.truth.acks.append(ack)
        if retain:
            self.broker.retained = ack
        if self.broker.is_up and self.rng.random() > self.broker.forgets / 4:
            life = self.station.life
            self.later(self.rng.randint(50, 2_000), life, lambda: self.station.on_ack(ack))

    def _office_hour(self) -> None:
        for part in (self.seal, self.forward):
            try:
                part.round()
            except Killed:
                continue
        self._collect()
        if not self._is_well():
            self._ill_ms = self.now_ms
        elif self.now_ms - self._ill_ms > WELL_MS:
            truth.while_well(self, self._ill_ms)

    def note_ill(self) -> None:
        """What is asked to come again needs its time."""
        self._ill_ms = self.now_ms

    def _is_well(self) -> bool:
        """Whether a record of the probe has a way to the ledger."""
        line = self.has_network and self.broker.is_up and not self.broker.forgets and self.is_receiving
        return line and self.station.is_alive and not self.station.card.is_full

    def _copies(self) -> None:
        if self.rng.random() < 0.4:
            self.save_ledger()
        if self.rng.random() < 0.1:
            self.save_card()

    def save_ledger(self) -> Image:
        """Make a backup of the ledger; the last three are kept."""
        image = self.receive.disk.image()
        self._backups = [*self._backups[-2:], (self.now_ms, image)]
        return image

    def save_card(self) -> None:
        """Copy the probe's card; the last two copies are kept."""
        self._cards = [*self._cards[-1:], (self.now_ms, self.station.card.image())]

    def restore_ledger(self, image: Image, *, excuses: bool = True) -> None:
        """Put a backup back. What the probe had forgotten by then is lost, and no program is to blame."""
        before = truth.ledger_leaves(self)
        gen = self.receive.disk.tables["meta"].get("gen") or 0
        self.receive.disk.put_back(image)
        self.receive.disk.tables["meta"]["gen"] = gen
        if excuses:
            self.truth.excused |= before - truth.ledger_leaves(self) - truth.spool_leaves(self)
        self.truth.set_back(self)
        self.note_ill()
        self.publish_generation()

    # --- faults ---------------------------------------------------------------------------------------------------

    def live(self, ms: int) -> None:
        """Let time pass with faults of every kind, now and then."""
        until = self.now_ms + ms
        while self.now_ms < until:
            self.run(min(round(self.rng.expovariate(1 / self._between_ms)) + 1, until - self.now_ms))
            if self.now_ms < until:
                self.fault(self.rng.choices(list(FAULTS), [weight for weight, _ in FAULTS.values()])[0])

    def fault(self, name: str) -> None:
        """One fault, now."""
        self.faults[name] = self.faults.get(name, 0) + 1
        FAULTS[name][1](self)
        if self.now_ms - self._looked_ms >= LOOK_MS:
            self._looked_ms = self.now_ms
            truth.at_all_times(self)

    def excuse(self, before: set[bytes]) -> None:
        """Media failed: what was on them and is nowhere else is lost, and not by a program."""
        self.truth.media_ms.append(self.now_ms)
        self.truth.lose(before - truth.spool_leaves(self) - truth.ledger_leaves(self))

    def restart(self, low_ms: int, high_ms: int) -> None:
        """The probe is off, and comes back."""
        self.station.end()
        self._at(self.now_ms + self.rng.randint(low_ms, high_ms), lambda: self._power_up(self.station.life))

    def _power_up(self, life: int) -> None:
        if life == self.station.life and not self.station.is_alive:
            self.station.start()

    def settle(self) -> None:
        """No more faults; everything has its time; then every promise is checked. Raises Broken."""
        self.has_network, self.is_receiving, self.offset_ms = True, True, 0
        self.broker.well()
        self.influx.is_up = True
        self.station.card.is_full = False
        if self.station.card.lies:
            self.station.card.be_honest()
        self.receive.disk.is_full = False
        self.station.limit = SPOOL_RECORDS
        self.station.is_clock_set = True
        if not self.station.is_alive:
            self.station.start()
        self.receive.dies_at = self.seal.dies_at = self.forward.dies_at = None
        for _ in range(DRAIN_MS // HOUR_MS):
            self.run(HOUR_MS)
            self._collect()
        self.station.end()
        for _ in range(200):
            self._collect()
            self._office_hour()
        truth.at_the_end(self)

    def backup(self) -> Image | None:
        """A backup of the ledger that is at most three days old; None if there is none."""
        found = [image for t_ms, image in self._backups if self.now_ms - t_ms <= 3 * DAY_MS]
        return self.rng.choice(found) if found else None

    def card_image(self) -> Image | None:
        """A copy of the probe's card; None if nobody made one."""
        return self.rng.choice(self._cards)[1] if self._cards else None

    def during(self, low_ms: int, high_ms: int, undo: Callable[[], None]) -> None:
        """End a fault after a while."""
        self._at(self.now_ms + self.rng.randint(low_ms, high_ms), undo)

    def publish_generation(self) -> None:
        """After a restore."""
        self.receive.raise_generation(self._publish)


def _power_cut(world: World) -> None:
    before = truth.spool_leaves(world)
    lies = world.station.card.lies
    world.station.card.cut()
    world.station.epoch_file.cut()
    world.station.boot_ms = world.now_ms
    if lies:
        world.excuse(before)
    world.station.is_clock_set = world.rng.random() < 0.5
    world.during(SECOND_MS, 2 * HOUR_MS, lambda: setattr(world.station, "is_clock_set", True))
    world.restart(SECOND_MS, 12 * HOUR_MS)


def _crash(world: World) -> None:
    world.restart(SECOND_MS, 30 * SECOND_MS)


def _no_network(world: World) -> None:
    world.has_network = False
    world.station.lose()
    world.during(MINUTE_MS, 72 * HOUR_MS, lambda: setattr(world, "has_network", True))


def _long_darkness(world: World) -> None:
    world.station.limit = world.rng.randint(150, 400)
    if world.station.is_alive:
        world.station.spool.limit = world.station.limit
    world.has_network = False
    world.station.lose()
    world.during(5 * DAY_MS, 25 * DAY_MS, lambda: setattr(world, "has_network", True))


def _broker_crash(world: World) -> None:
    world.broker.is_persistent = world.rng.random() < 0.5
    world.broker.crash()
    world.station.lose()
    world.during(SECOND_MS, 3 * HOUR_MS, lambda: setattr(world.broker, "is_up", True))


def _kick(world: World) -> None:
    world.station.lose()


def _broker_ill(world: World) -> None:
    world.broker.forgets, world.broker.doubles = world.rng.random() * 0.9, world.rng.random() * 0.5
    world.broker.mixes = world.rng.random()
    world.during(HOUR_MS, 2 * DAY_MS, world.broker.well)


def _receive_killed(world: World) -> None:
    world.receive.dies_at = world.rng.choice(("received", "inserted", "committed", "acked"))


def _seal_killed(world: World) -> None:
    world.seal.dies_at = world.rng.choice(("opened", "signed", "persisted"))


def _forward_killed(world: World) -> None:
    world.forward.dies_at = "written"


def _collector_power_cut(world: World) -> None:
    world.receive.disk.cut()
    world.seal.disk.cut()
    world.forward.disk.cut()
    world.is_receiving = False
    world.during(SECOND_MS, HOUR_MS, lambda: setattr(world, "is_receiving", True))


def _ledger_restored(world: World) -> None:
    image = world.backup()
    if image is None or world.now_ms - max(world.truth.media_ms, default=0) < 12 * DAY_MS:
        return
    gen = world.receive.disk.tables["meta"].get("gen") or 0
    world.receive.disk.put_back(image)
    world.receive.disk.tables["meta"]["gen"] = gen
    world.truth.set_back(world)
    world.note_ill()
    world.publish_generation()


def _influx_down(world: World) -> None:
    world.influx.is_up = False
    world.during(HOUR_MS, 5 * DAY_MS, lambda: setattr(world.influx, "is_up", True))


def _influx_wiped(world: World) -> None:
    world.influx.points.clear()
    world.forward.start_over()


def _influx_poisoned(world: World) -> None:
    epoch, seq, _ = world.station.spool.place()
    world.influx.poison |= {f"{epoch},{seq + world.rng.randint(1, 40)} {counted}" for counted in (0, 1)}


def _card_lies(world: World) -> None:
    world.station.card.lies = True
    world.during(DAY_MS, 10 * DAY_MS, world.station.card.be_honest)
    world.during(HOUR_MS, DAY_MS, lambda: _power_cut(world))


def _card_full(world: World) -> None:
    world.station.card.is_full = True
    world.during(MINUTE_MS, DAY_MS, lambda: setattr(world.station.card, "is_full", False))


def _card_set_back(world: World) -> None:
    image = world.card_image()
    if image is not None:
        before = truth.spool_leaves(world)
        world.station.card.put_back(image)
        world.excuse(before)
        world.note_ill()  # what had long been acknowledged waits again on this card
        world.restart(MINUTE_MS, HOUR_MS)


def _card_damaged(world: World) -> None:
    before = truth.spool_leaves(world)
    world.station.card.put_back({"record": {}, "mark": {}})
    world.excuse(before)
    world.restart(SECOND_MS, MINUTE_MS)


def _card_new(world: World) -> None:
    world.station.epoch_file.put_back({"epoch": {}})
    _card_damaged(world)


def _clock_jump(world: World) -> None:
    world.offset_ms = world.rng.choice((1, -1)) * world.rng.choice((HOUR_MS, 40 * DAY_MS, 3650 * DAY_MS))
    world.during(MINUTE_MS, 2 * DAY_MS, lambda: setattr(world, "offset_ms", 0))


FAULTS: dict[str, tuple[float, Callable[[World], None]]] = {
    "power_cut": (6, _power_cut),
    "crash": (4, _crash),
    "no_network": (6, _no_network),
    "long_darkness": (0.5, _long_darkness),
    "broker_crash": (4, _broker_crash),
    "kick": (4, _kick),
    "broker_ill": (4, _broker_ill),
    "receive_killed": (4, _receive_killed),
    "seal_killed": (4, _seal_killed),
    "forward_killed": (2, _forward_killed),
    "collector_power_cut": (3, _collector_power_cut),
    "ledger_restored": (1, _ledger_restored),
    "influx_down": (2, _influx_down),
    "influx_wiped": (0.5, _influx_wiped),
    "influx_poisoned": (2, _influx_poisoned),
    "card_lies": (0.3, _card_lies),
    "card_full": (1, _card_full),
    "card_set_back": (0.2, _card_set_back),
    "card_damaged": (0.2, _card_damaged),
    "card_new": (0.1, _card_new),
    "clock_jump": (3, _clock_jump),
}
"""Each fault with how often it comes beside the others. Media failures are rare: they excuse what they take."""

__all__ = ["FAULTS", "Commit", "World"]
