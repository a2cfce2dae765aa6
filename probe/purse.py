"""The data budget of each SIM: what was used, and whether the next test may start.

The account is noted on the slate and, after each test, in the spool too; of the two the larger counts, so that neither
a damaged spool nor a lost slate makes used data free again. A test's whole limit is pledged before it starts: a power
cut in the middle costs the pledge, since the kernel's counters are gone with it.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from dataclasses import replace

import msgspec

from probe.core import budget
from probe.core.budget import Account
from probe.measure import Order
from probe.recorder import Recorder
from probe.slate import Slate
from wire.errors import Unavailable
from wire.failure import Cause
from wire.records import Budget


class Purse:
    """The account of one modem's SIM. `link_bytes` reads (rx, tx) of its link, None if that is missing."""

    def __init__(
        self,
        modem: str,
        recorder: Recorder,
        *,
        limit_bytes: int | None,
        billing_day: int,
        test_limit_bytes: int,
        link_bytes: Callable[[], tuple[int, int] | None],
        saved: str | None,
        slate: Slate | None = None,
    ) -> None:
        self._slate = slate
        self._mark, self._recorder, self._link_bytes = f"budget {modem}", recorder, link_bytes
        self._limit_bytes, self._billing_day, self._test_limit_bytes = limit_bytes, billing_day, test_limit_bytes
        notes = [_load(saved), _load(slate.recall(self._mark) if slate else None)]
        known = [note for note in notes if note]
        self._account = max(known, key=_ever_used, default=None)
        self._on_disk = self._account
        self._lock = threading.Lock()
        self._charge_pledge()

    def _charge_pledge(self) -> None:
        """Count the pledge of a test that a power cut ended; within one boot the kernel's counters still tell."""
        pledged = int((self._slate.recall(f"{self._mark} pledge") if self._slate else None) or 0)
        if pledged and self._account is not None and self._account.boot != self._recorder.stamp().boot:
            self._account = replace(self._account, used_bytes=self._account.used_bytes + pledged)
            self._note({self._mark: msgspec.json.encode(self._account).decode(), f"{self._mark} pledge": "0"})

    def _note(self, marks: dict[str, str]) -> None:
        """Put marks on disk now; a disk that takes nothing costs nothing."""
        if self._slate is not None:
            self._slate.sync(marks)
        else:
            with contextlib.suppress(Unavailable):
                self._recorder.remember(marks)

    def retell(self, limit_bytes: int | None, billing_day: int, test_limit_bytes: int) -> None:
        """Take other terms; what was used stays known. `limit_bytes` None: bytes are counted, nothing is stopped."""
        with self._lock:
            self._limit_bytes, self._billing_day, self._test_limit_bytes = limit_bytes, billing_day, test_limit_bytes

    def update(self) -> Account:
        """Count what the link moved since the last call, and note it.

        A disk that takes nothing costs nothing: the counter on it is then older, and the next start counts from that.
        """
        with self._lock:
            moved, stamp = self._link_bytes(), self._recorder.stamp()
            counter = None if moved is None else sum(moved)
            account = budget.count(self._account, stamp.t_ms, counter, self._billing_day, stamp.boot)
            self._account = account
            if account != self._on_disk:
                marks = {self._mark: msgspec.json.encode(account).decode()}
                if self._slate is not None:
                    self._slate.note(marks)
                    self._on_disk = account
                else:
                    with contextlib.suppress(Unavailable):
                        self._recorder.remember(marks)
                        self._on_disk = account
            return account

    def settle(self) -> None:
        """Count what a test used, and put it on disk in both places."""
        marks = {self._mark: msgspec.json.encode(self.update()).decode()}
        with contextlib.suppress(Unavailable):
            self._recorder.remember(marks)
        if self._slate is not None:
            self._slate.sync(marks | {f"{self._mark} pledge": "0"})

    def admit(self, order: Order) -> tuple[Order, Cause | None]:
        """Add the budget to an order; the cause is `budget_spent` if one more test might exceed it."""
        account = self.update()
        if self._limit_bytes is None:
            return order, None
        stated = Budget(
            period_start_ms=account.period_ms or None,
            used_bytes=account.used_bytes,
            limit_bytes=self._limit_bytes,
            test_limit_bytes=self._test_limit_bytes,
        )
        is_free = budget.may_run(account, self._limit_bytes, self._test_limit_bytes)
        if is_free and self._slate is not None:
            self._slate.sync({f"{self._mark} pledge": str(self._test_limit_bytes)})
        return replace(order, budget=stated), None if is_free else Cause.BUDGET_SPENT


def _ever_used(account: Account) -> int:
    """All that an account has counted: what only ever grows, whatever the clock did."""
    return account.used_bytes + sum(used for _, used in account.others)


def _load(text: str | None) -> Account | None:
    """Read a saved account; None if there is none, or another program wrote it in another form."""
    try:
        return None if text is None else msgspec.json.decode(text, type=Account)
    except msgspec.DecodeError:
        return None
