"""The data budget of each SIM, kept in the spool: what was used, and whether the next test may start."""

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
    ) -> None:
        self._mark, self._recorder, self._link_bytes = f"budget {modem}", recorder, link_bytes
        self._limit_bytes, self._billing_day, self._test_limit_bytes = limit_bytes, billing_day, test_limit_bytes
        self._account = _load(saved)
        self._on_disk = self._account
        self._lock = threading.Lock()

    def retell(self, limit_bytes: int | None, billing_day: int, test_limit_bytes: int) -> None:
        """Take other terms; what was used stays known. `limit_bytes` None: bytes are counted, nothing is stopped."""
        with self._lock:
            self._limit_bytes, self._billing_day, self._test_limit_bytes = limit_bytes, billing_day, test_limit_bytes

    def update(self) -> Account:
        """Count what the link moved since the last call, and put it on disk.

        A disk that takes nothing costs nothing: the counter on it is then older, and the next start counts from that.
        """
        with self._lock:
            moved, stamp = self._link_bytes(), self._recorder.stamp()
            counter = None if moved is None else sum(moved)
            account = budget.count(self._account, stamp.t_ms, counter, self._billing_day, stamp.boot)
            self._account = account
            if account != self._on_disk:
                with contextlib.suppress(Unavailable):
                    self._recorder.remember({self._mark: msgspec.json.encode(account).decode()})
                    self._on_disk = account
            return account

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
        return replace(order, budget=stated), None if is_free else Cause.BUDGET_SPENT


def _load(text: str | None) -> Account | None:
    """Read a saved account; None if there is none, or another program wrote it in another form."""
    try:
        return None if text is None else msgspec.json.decode(text, type=Account)
    except msgspec.DecodeError:
        return None
