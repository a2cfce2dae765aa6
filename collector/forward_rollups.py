"""Which rollup points records touch, and writing those points: `test_1h`, `test_1d`, `cause_1d`, from the ledger.

Points are written some seconds after their records, so that a busy hour is written once and not once a record. Where an
hour is there no more (its probe stood elsewhere), the hamlet's points of that day are deleted and written again.
Source: design §7, forward and registry.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from typing import Protocol

from collector.core.clock import DAY_MS, month_of
from collector.core.rollup import DayKey, Hour
from collector.core.rollup_points import CAUSES, DAILY, HOURLY, rollup_lines
from collector.core.sample import Sample
from collector.forward_memory import Due, Memory
from collector.rollups import Rollups, fact_of_sample
from wire.errors import Refused

BATCH_DAYS = 500
ALL_HOURS = 2**24 - 1
ANEW = 1 << 24
"""Bit beside the hours: something was taken away, so the hamlet's points of that day are deleted first."""


class Deleter(Protocol):
    """What deleting needs of a time-series database."""

    def forget(self, measurement: str, tag: str, code: str, since_ms: int, until_ms: int) -> None:
        """Delete the points of a tag's code. Raises Refused where the server cannot, Unavailable, Misconfigured."""


def touched_by(samples: Iterable[tuple[Sample, str | None]]) -> dict[DayKey, int]:
    """Hours (bits) of each day that records belong to, and were in before (`was`: "province commune hamlet")."""
    found: dict[DayKey, int] = {}
    for sample, was in samples:
        fact = fact_of_sample(sample)
        if fact is not None:
            key, number = fact.place
            keys = [key]
            if was is not None:
                province, commune, hamlet = was.split(" ")
                keys.append(key._replace(province=province, commune=commune, hamlet=hamlet))
            for touched in keys:
                found[touched] = found.get(touched, 0) | 1 << number
    return found


class RollupPoints:
    """Writes the rollup points that are due."""

    def __init__(self, rollups: Rollups, store: Memory, deleter: Deleter, write: Callable[[list[str]], None]) -> None:
        self._rollups = rollups
        self._store = store
        self._deleter = deleter
        self._write = write

    def once(self) -> bool:
        """Write the points of some touched days; say whether there was anything. Raises Unavailable, Misconfigured."""
        touched = self._store.touched(BATCH_DAYS)
        lines: list[str] = []
        anew: set[DayKey] = set()
        for key, hours in touched.items():
            held = self._rollups.day(key)
            if hours & ANEW or any(hours >> number & 1 and number not in held for number in range(24)):
                anew.add(key)
                lines += self._anew(key)
            else:
                lines += rollup_lines(key, held, hours)
        self._write(lines)
        self._store.settle(touched, _hanging(touched, anew))
        return bool(touched)

    def _anew(self, key: DayKey) -> list[str]:
        """Delete a hamlet's day and return all that it has now."""
        until_ms = key.day_ms + DAY_MS
        for measurement in (HOURLY, DAILY, CAUSES):
            try:
                self._deleter.forget(measurement, "hamlet", key.hamlet, key.day_ms, until_ms)
            except Refused as error:
                self._store.park(
                    f"delete {measurement} of {key.hamlet or 'no place'} at {key.day_ms}", str(error), key.day_ms
                )
        days = self._rollups.days(key.day_ms, until_ms, hamlet=key.hamlet)
        return [line for day, hours in days for line in rollup_lines(day, hours, ALL_HOURS)]


def _hanging(touched: Iterable[DayKey], anew: Container[DayKey]) -> dict[str, dict[Due, bool]]:
    """Days and months of provinces, and their days of tests, that hang on some touched days."""
    found: dict[str, dict[Due, bool]] = {"day": {}, "month": {}, "tests": {}}
    for key in touched:
        month_ms = month_of(key.day_ms)[0]
        for span, due in (
            ("day", (key.day_ms, key.province)),
            ("month", (month_ms, key.province)),
            ("tests", (key.day_ms, key.province)),
        ):
            found[span][due] = found[span].get(due, False) or key in anew
    return found


def rollup_points(days: Iterable[tuple[DayKey, dict[int, Hour]]]) -> Iterable[str]:
    """Every rollup point of some days."""
    return (line for key, hours in days for line in rollup_lines(key, hours, ALL_HOURS))
