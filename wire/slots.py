"""The grid of slots that a signed configuration fixes, and how many slots a quota needs: arithmetic both sides share.

A month is a month of Vietnam (UTC+7, no summer time). `slots` slots divide it: slot i begins at
`start + i * length`, with `length = (end - start) // slots` in milliseconds; the last one takes the few milliseconds
that are left. In each slot one instant, drawn from HMAC-SHA256(seed of the month, "probe LF modem LF slot start"):
the first 8 bytes, big-endian, as a fraction of the slot without its last five minutes (or of its first quarter, if
that is longer). So the collector derives a missed slot, and anyone checks the instants once the seed is published.
Source: design §5, Schedule; facts note 02 §3 (308, 326 and 348 attempts); decision 0009.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from decimal import Context, Decimal
from hashlib import sha256

VIETNAM = timezone(timedelta(hours=7))
RESERVE_MS = 300_000
"""Kept free at a slot's end, so that a run, or the turns of four modems, ends inside it."""
CERTAINTY_PPM = 990_000
MOST_ATTEMPTS = 50_000
_EXACT = Context(prec=60, Emin=-999_999_999, Emax=999_999_999)


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot, UTC in milliseconds. `end_ms` is where the next one begins; `length_ms` is the grid's step."""

    start_ms: int
    end_ms: int
    length_ms: int


def month_of(t_ms: int) -> str:
    """Return the month of Vietnam that holds `t_ms` as `Config.seeds` spells it, such as 2026_11."""
    local = datetime.fromtimestamp(t_ms / 1000, UTC).astimezone(VIETNAM)
    return f"{local.year:04d}_{local.month:02d}"


def next_month(month: str) -> str:
    """Return the month after `month` (2026_12: 2027_01)."""
    year, number = int(month[:4]), int(month[5:])
    return f"{year + number // 12:04d}_{number % 12 + 1:02d}"


def month_bounds(month: str) -> tuple[int, int]:
    """Return when a month of Vietnam begins and when the next one does (UTC, ms)."""
    return _begin(month), _begin(next_month(month))


def _begin(month: str) -> int:
    return round(datetime(int(month[:4]), int(month[5:]), 1, tzinfo=VIETNAM).timestamp() * 1000)


def slot_at(bounds: tuple[int, int], slots: int, t_ms: int) -> Slot:
    """Return the slot that holds `t_ms`, of a month with these bounds divided into `slots`."""
    start_ms, end_ms = bounds
    length_ms = (end_ms - start_ms) // slots
    number = min((t_ms - start_ms) // length_ms, slots - 1)
    begin_ms = start_ms + number * length_ms
    return Slot(begin_ms, end_ms if number == slots - 1 else begin_ms + length_ms, length_ms)


def instant_ms(seed: bytes, probe: str, modem: str, slot_ms: int, length_ms: int, reserve_ms: int = RESERVE_MS) -> int:
    """Return the instant (UTC, ms) of the slot that begins at `slot_ms`."""
    drawn = int.from_bytes(hmac.new(seed, f"{probe}\n{modem}\n{slot_ms}".encode(), sha256).digest()[:8], "big")
    return slot_ms + drawn * max(length_ms - reserve_ms, length_ms // 4, 1) // 2**64


def slots_needed(minimum: int, success_ppm: int, certainty_ppm: int = CERTAINTY_PPM) -> int | None:
    """Return the fewest attempts of which at least `minimum` succeed with this certainty; exact binomial.

    The chance that attempt n brings the `minimum`-th success is C(n-1, minimum-1) p^minimum (1-p)^(n-minimum);
    these are summed up. None if 50,000 attempts do not do it.
    """
    if minimum <= 0:
        return 0
    exact, chance = _EXACT, Decimal(success_ppm).scaleb(-6, _EXACT)
    missed, wanted = exact.subtract(Decimal(1), chance), Decimal(certainty_ppm).scaleb(-6, _EXACT)
    term = exact.power(chance, minimum)
    reached, attempts = term, minimum
    while reached < wanted:
        if attempts >= MOST_ATTEMPTS or chance == 0:
            return None
        term = exact.divide(exact.multiply(exact.multiply(term, missed), attempts), attempts - minimum + 1)
        reached, attempts = exact.add(reached, term), attempts + 1
    return attempts


def certainty_ppm(attempts: int, success_ppm: int, minimum: int) -> int:
    """Return how certain it is that `attempts` bring at least `minimum` successes, in ppm rounded down."""
    if minimum <= 0:
        return 1_000_000
    if attempts < minimum or success_ppm <= 0:
        return 0
    exact, chance = _EXACT, Decimal(success_ppm).scaleb(-6, _EXACT)
    missed = exact.subtract(Decimal(1), chance)
    term = reached = exact.power(chance, minimum)
    for done in range(minimum, attempts):
        term = exact.divide(exact.multiply(exact.multiply(term, missed), done), done - minimum + 1)
        reached = exact.add(reached, term)
    return min(1_000_000, int(exact.multiply(reached, Decimal(1_000_000))))


def divide(total: int, stations: int) -> tuple[int, ...]:
    """Divide a commune's slots over its working modems as evenly as whole numbers allow; at least one each."""
    each, rest = divmod(total, stations)
    return tuple(max(1, each + (number < rest)) for number in range(stations))
