"""A SIM's data in its billing period: how much is used, and whether one more test may start.

The period begins on a day of the month, midnight of Vietnam (UTC+7, no summer time). Bytes are the kernel's, of all
that went over the modem's link, management traffic included.
Source: design §5, Budget.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

VIETNAM = timezone(timedelta(hours=7))
KEPT_PERIODS = 3


@dataclass(frozen=True, slots=True)
class Account:
    """Use in the period that began at `period_ms` (0: not known yet, the clock was never trusted).

    `counter`: the link's bytes when last read in boot `boot`, None before. `others`: (period, bytes) of the last other
    periods, since a clock that is set back finds itself in one of them again.
    """

    period_ms: int
    used_bytes: int = 0
    counter: int | None = None
    boot: str = ""
    others: tuple[tuple[int, int], ...] = ()


def period_start_ms(t_ms: int, billing_day: int) -> int:
    """Return when the billing period that holds `t_ms` began (UTC, ms). `billing_day`: 1 to 28."""
    local = datetime.fromtimestamp(t_ms / 1000, UTC).astimezone(VIETNAM)
    first = local.replace(day=billing_day, hour=0, minute=0, second=0, microsecond=0)
    if first > local:
        last_of_month_before = local.replace(day=1) - timedelta(days=1)
        first = first.replace(year=last_of_month_before.year, month=last_of_month_before.month)
    return round(first.timestamp() * 1000)


def count(account: Account | None, t_ms: int | None, counter: int | None, billing_day: int, boot: str = "") -> Account:
    """Add what the link moved since the last reading.

    `counter` None: the link is missing. A counter that went back belongs to a new link, one of another boot begins at
    zero: all that it shows is new. `t_ms` None: the clock is not trusted, so the period stays what it was.
    """
    if account is None:  # what the link moved before the first reading ever is not ours to count
        return Account(0 if t_ms is None else period_start_ms(t_ms, billing_day), 0, counter, boot)
    moved, seen = _moved(account, counter, boot)
    known = replace(account, counter=seen, boot=boot if counter is not None else account.boot)
    if t_ms is not None:
        known = _in_period(known, period_start_ms(t_ms, billing_day))
    return replace(known, used_bytes=known.used_bytes + moved)


def _moved(known: Account, counter: int | None, boot: str) -> tuple[int, int | None]:
    """Return the bytes that are new, and the counter to remember."""
    if counter is None:
        return 0, known.counter
    goes_on = known.boot == boot and known.counter is not None and counter >= known.counter
    return counter - (known.counter or 0 if goes_on else 0), counter


def _in_period(known: Account, period_ms: int) -> Account:
    """Turn to a period; what was used in it before counts, what was used before any date is known counts in it."""
    if known.period_ms in (0, period_ms):
        return replace(known, period_ms=period_ms)
    others = {**dict(known.others), known.period_ms: known.used_bytes}
    used = others.pop(period_ms, 0)
    kept = tuple(sorted(others.items()))[-KEPT_PERIODS:]
    return replace(known, period_ms=period_ms, used_bytes=used, others=kept)


def may_run(account: Account, limit_bytes: int, run_bytes: int) -> bool:
    """Say whether a test of at most `run_bytes` keeps the period within its limit."""
    return account.used_bytes + run_bytes <= limit_bytes
