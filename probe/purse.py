"""The data budget of each SIM, kept in the spool: what was used, and whether the next test may start."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import msgspec

from probe.core import budget
from probe.core.budget import Account
from probe.measure import Order
from probe.recorder import Recorder
from wire.failure import Cause
from wire.records import Budget


class Purse:
    """The account of one modem's SIM. `link_bytes` reads (rx, tx) of its link, None if that is missing."""

    def __init__(
        self,
        modem: str,
        recorder: Recorder,
        *,
        limit_bytes: int,
        billing_day: int,
        test_limit_bytes: int,
        link_bytes: Callable[[], tuple[int, int] | None],
        saved: str | None,
        is_same_boot: bool,
    ) -> None:
        self._mark, self._recorder, self._link_bytes = f"budget {modem}", recorder, link_bytes
        self._limit_bytes, self._billing_day, self._test_limit_bytes = limit_bytes, billing_day, test_limit_bytes
        self._account = None if saved is None else msgspec.json.decode(saved, type=Account)
        if self._account is not None and not is_same_boot:
            self._account = replace(self._account, counter=0)  # the kernel counts from zero again
        self._lock = threading.Lock()

    def update(self) -> Account:
        """Count what the link moved since the last call; on disk when this returns. Raises Unavailable."""
        moved = self._link_bytes()
        with self._lock:
            account = budget.count(
                self._account, self._recorder.stamp().t_ms, None if moved is None else sum(moved), self._billing_day
            )
            if account != self._account:
                self._recorder.remember({self._mark: msgspec.json.encode(account).decode()})
            self._account = account
            return account

    def admit(self, order: Order) -> tuple[Order, Cause | None]:
        """Add the budget to an order; the cause is `budget_spent` if one more test might exceed it."""
        account = self.update()
        stated = Budget(
            period_start_ms=account.period_ms or None,
            used_bytes=account.used_bytes,
            limit_bytes=self._limit_bytes,
            test_limit_bytes=self._test_limit_bytes,
        )
        is_free = budget.may_run(account, self._limit_bytes, self._test_limit_bytes)
        return replace(order, budget=stated), None if is_free else Cause.BUDGET_SPENT
