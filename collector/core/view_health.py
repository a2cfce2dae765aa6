"""Which faults of the collector itself to report, from figures of its parts. One word a fault; pages say what to do.

Source: issue 2 ("one clear sentence that says what to do"); design §7 (forward, quarantine).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

LAG_RECORDS = 500
QUIET_MS = 3 * 3_600_000


class Deliveries(Protocol):
    """Counts of every delivery since the ledger began."""

    @property
    def accepted(self) -> int:
        """Stored for the first time."""
        ...

    @property
    def duplicate(self) -> int:
        """Delivered again, counted once."""
        ...

    @property
    def refused(self) -> int:
        """Not authentic: kept in quarantine."""
        ...


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """What `receive` and `forward` know of themselves; None where this process does not know.

    `broker_fault`, `influx_fault`: the last error in words, None while it works. `forward_lag`: records in the
    ledger that are not yet in InfluxDB. `parked`: points that InfluxDB refuses for ever.
    """

    broker_connected: bool | None = None
    broker_fault: str | None = None
    forward_lag: int | None = None
    influx_fault: str | None = None
    parked: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a word (`fault.<word>` in the catalogue), how grave, and the number that belongs to it."""

    word: str
    grave: Literal["fault", "notice"]
    number: int | None = None
    detail: str | None = None


def faults(facts: HealthFacts | None, deliveries: Deliveries, last_commit_ms: int | None, now_ms: int) -> tuple[Fault, ...]:
    """List the faults, gravest first; empty if all is well."""
    found: list[Fault] = []
    if facts is None:
        found.append(Fault("alone", "notice"))
    else:
        found.extend(_of_parts(facts))
    if last_commit_ms is None:
        found.append(Fault("empty", "notice"))
    elif now_ms - last_commit_ms > QUIET_MS:
        found.append(Fault("quiet", "fault"))
    if deliveries.refused:
        found.append(Fault("refused", "notice", deliveries.refused))
    return tuple(sorted(found, key=lambda f: f.grave != "fault"))


def _of_parts(facts: HealthFacts) -> list[Fault]:
    found: list[Fault] = []
    if facts.broker_connected is False:
        found.append(Fault("broker", "fault", detail=facts.broker_fault))
    if facts.influx_fault is not None:
        found.append(Fault("influx", "fault", facts.forward_lag, facts.influx_fault))
    elif facts.forward_lag is not None and facts.forward_lag > LAG_RECORDS:
        found.append(Fault("lag", "notice", facts.forward_lag))
    if facts.parked:
        found.append(Fault("parked", "notice", facts.parked))
    return found
