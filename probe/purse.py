"""The data budget of each SIM, kept in the spool: what was used, what the day's plan says, whether a test may start.

The rules are `probe.core.wallet`; here they meet the link's counters, the clock and the disk. The daemon's test thread
admits, measures and settles one test after the other; the modem's thread reads the counters in between.

The account is noted on the slate and, after each test, in the spool too; of the two the larger counts, so that neither
a damaged spool nor a lost slate makes used data free again. The most that a test may move is pledged before it starts:
a power cut in the middle costs the pledge, since the kernel's counters are gone with it.
"""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import msgspec

from probe.core import budget, planner, wallet
from probe.core.budget import Account
from probe.core.engine_terms import EngineRequest, EngineResult
from probe.core.planner import LADDER
from probe.core.wallet import Diary, Grant, Terms
from probe.measure import Order
from probe.recorder import Recorder
from probe.slate import Slate
from wire.errors import Unavailable
from wire.failure import Cause
from wire.records import Budget

log = logging.getLogger(__name__)
T = TypeVar("T")


class Purse:
    """The data of one modem's SIM. `link_bytes` reads (rx, tx) of its link, None if that is missing.

    `saved`, `diary`: account and diary as they lie on disk, None if there are none.
    """

    def __init__(
        self,
        modem: str,
        recorder: Recorder,
        terms: Terms,
        *,
        link_bytes: Callable[[], tuple[int, int] | None],
        saved: str | None,
        diary: str | None = None,
        slate: Slate | None = None,
    ) -> None:
        self._modem, self._mark, self._diary_mark, self._slate = modem, f"budget {modem}", f"plan {modem}", slate
        self._recorder, self._terms, self._link_bytes = recorder, terms, link_bytes
        notes = [_load(saved, Account), _load(slate.recall(self._mark) if slate else None, Account)]
        self._account = self._on_disk = max((note for note in notes if note), key=_ever_used, default=None)
        noted = slate.recall(self._diary_mark) if slate else None
        self._diary = self._diary_on_disk = _load(noted or diary, Diary) or Diary()
        self._granted: Grant | None = None
        self._before_bytes = 0
        self._found: tuple[int | None, int | None] = (None, None)
        self._lock = threading.RLock()
        self._charge_pledge()

    def _charge_pledge(self) -> None:
        """Count the pledge of a test that a power cut ended; within one boot the kernel's counters still tell."""
        pledged = int((self._slate.recall(f"{self._mark} pledge") if self._slate else None) or 0)
        if pledged and self._account is not None and self._account.boot != self._recorder.stamp().boot:
            self._account = replace(self._account, used_bytes=self._account.used_bytes + pledged)
            self._note_now({self._mark: _text(self._account), f"{self._mark} pledge": "0"})

    def _note_now(self, marks: dict[str, str]) -> None:
        """Put marks on disk now; a disk that takes nothing costs nothing."""
        if self._slate is not None:
            self._slate.sync(marks)
        else:
            with contextlib.suppress(Unavailable):
                self._recorder.remember(marks)

    def retell(self, terms: Terms) -> None:
        """Take other terms; what was used stays known, and the day's plan is made anew."""
        with self._lock:
            if terms != self._terms:
                self._terms, self._diary = terms, replace(self._diary, day=None)

    def update(self) -> Account:
        """Count what the link moved since the last call, make the day's plan if it is due, and note both.

        A disk that takes nothing costs nothing: the counter on it is then older, and the next start counts from that.
        """
        with self._lock:
            moved, stamp = self._link_bytes(), self._recorder.stamp()
            counter = None if moved is None else sum(moved)
            account = budget.count(self._account, stamp.t_ms, counter, self._terms.billing_day, stamp.boot)
            self._account = account
            planned = wallet.replanned(self._diary, account, self._terms, stamp.t_ms)
            has_plan = planned.day != self._diary.day
            self._diary = planned
            self._put_down()
            if has_plan and stamp.t_ms is not None:
                self._tell(stamp.t_ms)
            return account

    def _put_down(self) -> None:
        """Note what changed: on the slate, or without one in the spool."""
        marks = {}
        if self._account is not None and self._account != self._on_disk:
            marks[self._mark] = _text(self._account)
        if self._diary != self._diary_on_disk:
            marks[self._diary_mark] = _text(self._diary)
        if not marks:
            return
        with contextlib.suppress(Unavailable):
            if self._slate is not None:
                self._slate.note(marks)
            else:
                self._recorder.remember(marks)
            self._on_disk, self._diary_on_disk = self._account, self._diary

    def _tell(self, t_ms: int) -> None:
        """Log the day's plan, and what a person should know."""
        known, account = self._diary.forecast, self._account
        if known is None or account is None:
            return
        log.info(
            "plan modem=%s rung=%s slots_left=%d complete=%d used_bytes=%d period_bytes=%d limit_bytes=%s",
            *(self._modem, LADDER[known.upper].name, known.slots_left, known.complete),
            *(account.used_bytes, known.period_bytes, self._terms.limit_bytes),
        )
        for sentence in wallet.warnings(self._diary, account, self._terms, t_ms):
            log.warning("plan modem=%s: %s", self._modem, sentence)

    def is_closed(self) -> bool:
        """Whether even echoes and records must not use this SIM any more in this period."""
        with self._lock:
            return self._account is not None and wallet.is_closed(self._account, self._terms)

    def admit(self, order: Order) -> tuple[Order, Cause | None]:
        """Add the budget to an order; the cause is `budget_spent` if no test at all fits into what is left."""
        with self._lock:
            account, terms = self.update(), self._terms
            t_ms = self._recorder.stamp().t_ms
            given = wallet.grant(self._diary, account, terms, t_ms, order.slot_ms)
            self._granted, self._before_bytes, self._found = given, account.used_bytes, (None, None)
            if terms.limit_bytes is None:
                return order, None
            if given is not None and self._slate is not None:
                self._slate.sync({f"{self._mark} pledge": str(given.worst_bytes)})
            stated = Budget(
                period_start_ms=account.period_ms or None,
                used_bytes=account.used_bytes,
                limit_bytes=terms.limit_bytes,
                test_limit_bytes=terms.test_limit_bytes if given is None else given.worst_bytes,
            )
            return replace(order, budget=stated), Cause.BUDGET_SPENT if given is None else None

    def request(self) -> EngineRequest:
        """Return the request of the test that was admitted last."""
        with self._lock:
            return self._terms.request if self._granted is None else self._granted.request

    def measured(self, run: Callable[[], EngineResult]) -> EngineResult:
        """Run the admitted test, learn from it, and say of a cut one that it was cut."""
        result = run()
        with self._lock:
            self._found = (result.downlink_bps, result.uplink_bps)
            return result if self._granted is None else planner.honest(result, LADDER[self._granted.rung])

    def settle(self) -> None:
        """Count what the admitted test used, as soon as it has ended, and put it on disk in both places."""
        with self._lock:
            given, self._granted = self._granted, None
            account = self.update()
            if given is not None:
                moved = max(0, account.used_bytes - self._before_bytes)
                self._diary = wallet.learned(self._diary, given, moved, *self._found)
            marks = {self._mark: _text(account), self._diary_mark: _text(self._diary)}
            with contextlib.suppress(Unavailable):
                self._recorder.remember(marks)
                self._on_disk, self._diary_on_disk = account, self._diary
            if self._slate is not None:
                self._slate.sync(marks | {f"{self._mark} pledge": "0"})


def _ever_used(account: Account) -> int:
    """All that an account has counted: what only ever grows, whatever the clock did."""
    return account.used_bytes + sum(used for _, used in account.others)


def _text(value: Account | Diary) -> str:
    return msgspec.json.encode(value).decode()


def _load(text: str | None, kind: type[T]) -> T | None:
    """Read what was saved; None if there is nothing, or another program wrote it in another form."""
    try:
        return None if text is None else msgspec.json.decode(text, type=kind)
    except msgspec.DecodeError:
        return None
