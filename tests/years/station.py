"""The probe over a simulated disk and line: a daemon that tests by its schedule, and its publisher."""

from __future__ import annotations

from typing import TYPE_CHECKING

from probe.core import chain, schedule
from probe.core.backoff import delay_s
from tests.years.disk import Disk, Full
from tests.years.spool import Spool
from tests.years.terms import DAY_MS, HOUR_MS, PROBE, SECOND_MS, Rec
from wire.bundle import MAX_RECORDS
from wire.notes import Ack

if TYPE_CHECKING:
    from tests.years.world import World

POLICY = chain.Policy()
PLAN = schedule.Plan(PROBE, "m0", b"seed", 2 * HOUR_MS, 60 * SECOND_MS)
TEST_MS = 30 * SECOND_MS
COVERAGE_MS = 6 * HOUR_MS
KEEP_DAYS = 7
RETRY_S = (5.0, 600.0)
SPOOL_RECORDS = 6_000


class Station:
    """One probe. `life` names a run of its process: what an earlier one had planned does not happen."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.card = Disk(world.rng, ("record", "mark"))
        self.epoch_file = Disk(world.rng, ("epoch",))
        self.limit = SPOOL_RECORDS
        self.life, self.is_alive, self.has_session = 0, False, False
        self.boot_ms = 0
        self.is_clock_set = True

    # --- the process ----------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin a run: open the spool, keep the boot record, go on where the chain stood."""
        world = self.world
        self.life += 1
        self.is_alive, self.has_session, self.attempt = True, False, 0
        self.since_ms = world.now_ms
        try:
            self.spool = Spool(self.card, self.epoch_file, self.limit, world.mutants)
        except Full:
            self.is_alive = False
            world.later(HOUR_MS, self.life, self.start)
            return
        self.usage = schedule.Usage(tuple(self.spool.mark("slots") or ()))  # type: ignore[arg-type]
        self.purge_ms = self.disputed_ms = 0
        self.life_before_ms = int(self.spool.mark("life_ms") or 0)  # type: ignore[call-overload]
        epoch, seq, _ = self.spool.place()
        self.state = chain.State(epoch, seq, gen=int(self.spool.mark("gen") or 0))  # type: ignore[call-overload]
        self.seen_version = -1
        self.keep("boot")
        world.later(1, self.life, self.wake)
        world.later(COVERAGE_MS, self.life, self.cover)
        world.later(2 * SECOND_MS, self.life, self.connect)
        world.later(HOUR_MS, self.life, self._offer_disputed)

    def end(self) -> None:
        """The process is gone, whatever ended it."""
        self.life += 1
        self.is_alive = self.has_session = False

    def mono_ms(self) -> int:
        """Since power-up; a process that starts anew goes on with it."""
        return self.world.now_ms - self.boot_ms

    def keep(self, kind: str, slot_ms: int | None = None, marks: dict[str, object] | None = None) -> None:
        """Record something; what the disk refuses is no record."""
        try:
            gone, gap = self.spool.make_room()
            self.world.truth.dropped(gone)
            if gap is not None:
                self.world.truth.recorded(gap, self.world.now_ms)
            self.world.truth.recorded(self.spool.append(kind, slot_ms, marks), self.world.now_ms)
        except Full:
            return
        epoch, seq, _ = self.spool.place()
        self.state, _ = chain.step(self.state, chain.Placed(epoch, seq - 1), POLICY)
        self.pump()

    # --- what is recorded -----------------------------------------------------------------------------------------

    def wake(self) -> None:
        """Ask the schedule; test, or sleep as long as it says."""
        wall_ms = self.world.wall_ms() if self.is_clock_set else None
        now = schedule.Now(wall_ms, self.mono_ms(), self.since_ms - self.boot_ms)
        due = schedule.decide([(PLAN, self.usage)], now)
        if isinstance(due, schedule.Wait):
            self.world.later(min(due.ms, HOUR_MS), self.life, self.wake)
            return
        self.usage = self.usage.after(due.slot_ms, self.mono_ms())
        slot_ms = due.slot_ms if self.world.rng.random() < 0.9 else None  # a failed test is a record that never counts
        self.world.later(TEST_MS, self.life, lambda: self._tested(slot_ms))

    def _tested(self, slot_ms: int | None) -> None:
        self.keep("test", slot_ms, {"slots": self.usage.done_slots_ms})
        self.world.later(1, self.life, self.wake)

    def cover(self) -> None:
        """A coverage record."""
        self.keep("coverage")
        self.world.later(COVERAGE_MS, self.life, self.cover)

    # --- publishing: the same steps as probe.publish.Publisher ----------------------------------------------------

    def connect(self) -> None:
        """Try for a session; again later if there is none to be had."""
        world = self.world
        if self.has_session:
            return
        if not (world.has_network and world.broker.is_up):
            self.attempt += 1
            wait_s = delay_s(self.attempt, world.rng.random(), *RETRY_S)
            world.later(round(wait_s * 1000), self.life, self.connect)
            return
        self.has_session, self.attempt, self.seen_version = True, 0, -1
        self.state, _ = chain.step(self.state, chain.Connected(), POLICY)
        if world.broker.retained is not None:
            retained = world.broker.retained
            world.later(SECOND_MS, self.life, lambda: self.on_ack(retained))
        self.pump()

    def lose(self) -> None:
        """The session is over."""
        if self.is_alive and self.has_session:
            self.has_session = False
            self.state, _ = chain.step(self.state, chain.Disconnected(), POLICY)
            self.world.later(SECOND_MS, self.life, self.connect)

    def _life_ms(self) -> int:
        if "purged_by_wall_clock" in self.world.mutants:
            return self.world.wall_ms()
        return self.life_before_ms + self.world.now_ms - self.since_ms

    def _timer_ms(self) -> int:
        return self.world.wall_ms() if "wall_clock_for_intervals" in self.world.mutants else self.mono_ms()

    def pump(self) -> None:
        """Offer what waits, if anything changed or is overdue."""
        now_ms = self._timer_ms()
        is_overdue = self.state.retry_ms is not None and now_ms >= self.state.retry_ms
        if not self.has_session or (self.spool.version == self.seen_version and not is_overdue):
            return
        self.seen_version = self.spool.version
        waiting = {rec.key: rec for rec in self.spool.waiting(POLICY.window)}
        offered = chain.Offered(tuple(waiting), now_ms, self.world.rng.random())
        self.state, effects = chain.step(self.state, offered, POLICY)
        for effect in effects:
            if isinstance(effect, chain.Send):
                self._send([waiting[key] for key in effect.keys])
        if self.state.retry_ms is not None:
            self.world.later(max(self.state.retry_ms - now_ms, 0) + 1, self.life, self.pump)

    def _send(self, recs: list[Rec]) -> None:
        for at in range(0, len(recs), MAX_RECORDS):
            self.world.broker.take(tuple(recs[at : at + MAX_RECORDS]))
        self.world.nudge()
        if "delete_on_puback" in self.world.mutants:
            self.spool.forget(recs)

    def on_ack(self, ack: Ack) -> None:
        """A signed ACK, however old."""
        if not self.has_session:
            return
        epoch, seq, _ = self.spool.place()
        self.state, _ = chain.step(self.state, chain.Placed(epoch, seq - 1), POLICY)
        event = chain.Acknowledged(ack, self.spool.leaf(ack.epoch, ack.upto))
        try:
            state, effects = chain.step(self.state, event, POLICY)
            for effect in effects:
                self._carry_out(effect)
            self.state = state
        except Full:
            return
        self.pump()

    def _carry_out(self, effect: chain.Effect) -> None:
        match effect:
            case chain.Release(epoch, upto):
                self.world.truth.released(self.spool.release(epoch, upto, self._life_ms()))
                if self.mono_ms() >= self.purge_ms:
                    self.purge_ms = self.mono_ms() + DAY_MS // 24
                    self.spool.purge(self._life_ms(), KEEP_DAYS)
            case chain.Reinstate(epoch, upto, gen):
                self.spool.reinstate(epoch, upto, gen)
                for rec in self.spool.declared:
                    self.world.truth.recorded(rec, self.world.now_ms)
                self.spool.declared.clear()
            case chain.Dispute(epoch):
                if "older_epoch_not_disputed" not in self.world.mutants:
                    self.spool.dispute(epoch)
            case chain.NewEpoch(epoch):
                self.world.truth.recorded(self.spool.begin_epoch(epoch), self.world.now_ms)
                self.disputed_ms = 0
            case _:
                pass

    def _offer_disputed(self) -> None:
        """Once a day what the ledger knows otherwise is sent again, and soon after a start: it may have been lost."""
        self.world.later(HOUR_MS, self.life, self._offer_disputed)
        if not self.has_session or self.world.now_ms < self.disputed_ms:
            return
        self.disputed_ms = self.world.now_ms + DAY_MS
        after = (0, -1)
        while page := self.spool.disputed(after, POLICY.window):
            after = page[-1].key
            self._send(page)
