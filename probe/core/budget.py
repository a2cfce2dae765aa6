"""A SIM's data in its billing period: how much is used, and whether one more test may start.

The period begins on a day of the month, midnight of Vietnam (UTC+7, no summer time). Bytes are the kernel's, of all
that went over the modem's link, management traffic included.
Source: design §5, Budget.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7))


@dataclass(frozen=True, slots=True)
class Account:
    """Use in the period that began at `period_ms`. `counter`: the link's bytes when last read, None before."""

    period_ms: int
    used_bytes: int = 0
    counter: int | None = None


def period_start_ms(t_ms: int, billing_day: int) -> int:
    """Return when the billing period that holds `t_ms` began (UTC, ms). `billing_day`: 1 to 28."""
    local = datetime.fromtimestamp(t_ms / 1000, UTC).astimezone(VIETNAM)
    first = local.replace(day=billing_day, hour=0, minute=0, second=0, microsecond=0)
    if first > local:
        last_of_month_before = local.replace(day=1) - timedelta(days=1)
        first = first.replace(year=last_of_month_before.year, month=last_of_month_before.month)
    return round(first.timestamp() * 1000)


def count(account: Account | None, t_ms: int | None, counter: int | None, billing_day: int) -> Account:
    """Add what the link moved since the last reading.

    `counter` None: the link is missing. A counter that went back belongs to a new link: all that it shows is new.
    `t_ms` None: the clock is not trusted, so the period stays what it was.
    """
    known = account or Account(0)
    moved = 0
    if counter is not None:
        is_new = known.counter is None or counter < known.counter
        moved = counter - (0 if is_new else known.counter or 0)
        moved = 0 if account is None else moved
    period = known.period_ms if t_ms is None else period_start_ms(t_ms, billing_day)
    is_same = known.period_ms in (0, period)
    seen = known.counter if counter is None else counter
    return Account(period, known.used_bytes + moved if is_same else moved, seen)


def may_run(account: Account, limit_bytes: int, run_bytes: int) -> bool:
    """Say whether a test of at most `run_bytes` keeps the period within its limit."""
    return account.used_bytes + run_bytes <= limit_bytes
