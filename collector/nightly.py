"""When forward compares counts, and what it does about what differs: at night, and after every outage.

Source: design §7, forward; facts note 04 §4.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from collector.core.clock import HOUR_MS, day_of
from collector.core.rollup import DayKey
from collector.core.sample import Sample
from collector.forward_memory import Memory
from collector.forward_rollups import Deleter
from collector.ledger import LedgerReader
from collector.reconcile import Difference, PointCounter, reconcile_days
from wire.errors import Misconfigured, Refused, Unavailable

LOG = logging.getLogger("collector.forward")
AT_NIGHT_MS = 2 * HOUR_MS
SAID_AT_MOST = 20
"""So many differing hours are named in the log, the others counted."""


class Repair:
    """Carries a repair out by what forward writes and deletes with."""

    def __init__(self, deleter: Deleter, again: Callable[[Iterable[Sample], Iterable[DayKey]], None]) -> None:
        self.forget = deleter.forget
        self.again = again


class Target(PointCounter, Deleter, Protocol):
    """Counts and deletes."""


class Nightly:
    """Compares and repairs when it is due."""

    def __init__(
        self,
        reader: LedgerReader,
        store: Memory,
        target: Target,
        again: Callable[[Iterable[Sample], Iterable[DayKey]], None],
    ) -> None:
        self._reader = reader
        self._store = store
        self._target = target
        self._repair = Repair(target, again)
        self._is_due = False
        self._said = 0
        self.unequal = 0

    def due(self) -> None:
        """InfluxDB is back after an outage, or forward was started."""
        self._is_due = True

    def once(self, at_ms: int) -> bool:
        """Compare if it is due; say whether everything is to be written again. Raises Unavailable, Misconfigured."""
        night = day_of(at_ms)[0]
        at_night = at_ms - night >= AT_NIGHT_MS and self._store.noted("compared") != night
        if not self._is_due and not at_night:
            return False
        self._said = 0
        self._is_due = False
        if at_ms - night >= AT_NIGHT_MS:
            self._store.note("compared", night)
        try:
            found = reconcile_days(self._reader, self._target, self._repair, at_ms, self._say)
        except (Refused, Misconfigured) as error:  # a login that may only write, or a database that was just dropped
            LOG.warning("counts cannot be compared: %s", error)
            return False
        except Unavailable:
            self._is_due = True
            raise
        self.unequal = len(found.left)
        if found.is_wiped:
            LOG.warning("InfluxDB holds nothing of a day that has records: it was wiped; everything is written again")
            return True
        if found.differed:
            LOG.warning(
                "compared %d hours: %d differed and were written again, %d still differ%s",
                *(found.hours, found.differed, len(found.left)),
                "; does a retention policy drop them?" if found.left else "",
            )
        return False

    def _say(self, one: Difference) -> None:
        self._said += 1
        if self._said <= SAID_AT_MOST:
            LOG.warning(
                "%s of %s, operator %s, hour %d: ledger %d, InfluxDB %d",
                *(
                    one.measurement,
                    one.hamlet or "no place",
                    one.plmn or "unknown",
                    one.hour_ms,
                    one.ledger,
                    one.influx,
                ),
            )
