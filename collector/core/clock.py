"""Days and months as Vietnam counts them, and times of records made before their clock was set.

Asia/Ho_Chi_Minh is UTC+7 without summer time since 1975, so the bounds are arithmetic.
Source: design §7, time; §5, clock.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

ICT = timezone(timedelta(hours=7), "ICT")
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS
OFFSET_MS = 7 * HOUR_MS


def hour_of(t_ms: int) -> int:
    """Start (UTC ms) of the hour that holds `t_ms`; local hours begin with UTC hours."""
    return t_ms - t_ms % HOUR_MS


def day_of(t_ms: int) -> tuple[int, int]:
    """Start and end (UTC ms, end not included) of the local day that holds `t_ms`."""
    start = (t_ms + OFFSET_MS) // DAY_MS * DAY_MS - OFFSET_MS
    return start, start + DAY_MS


def month_of(t_ms: int) -> tuple[int, int]:
    """Start and end (UTC ms, end not included) of the local month that holds `t_ms`."""
    here = datetime.fromtimestamp(t_ms / 1000, UTC).astimezone(ICT)
    first = here.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    following = (first + timedelta(days=32)).replace(day=1)
    return int(first.timestamp() * 1000), int(following.timestamp() * 1000)


def date_from(set_mono_ms: int, set_t_ms: int, mono_ms: int) -> int | None:
    """Time (UTC ms) of a reading at `mono_ms` of the same boot; None if that would be before 1970."""
    t_ms = set_t_ms + mono_ms - set_mono_ms
    return t_ms if t_ms >= 0 else None
