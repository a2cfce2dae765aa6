"""Which faults of the collector itself to report, from figures of its parts. One word a fault; pages say what to do.

Source: issue 2 ("one clear sentence that says what to do"); design §7 (forward, quarantine).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from collector.core.sample import Deliveries

LAG_RECORDS = 500
QUIET_MS = 3 * 3_600_000


@dataclass(frozen=True, slots=True)
class HealthFacts:
    """What `receive` and `forward` last said of themselves; None where they never said it.

    `*_fault`: the last error in words, None while it works. `forward_lag`: records in the ledger that are not yet in
    InfluxDB. `parked`: points that InfluxDB refuses for ever. `*_ms`: when a process last spoke, since when the broker
    is as it is, when InfluxDB last took points, when the log was last signed. `seal_alive` None: no log is kept here;
    `judge_alive` None: it never ran here. `judge_waiting`: probes' months to be judged.
    """

    receive_alive: bool
    forward_alive: bool
    broker_connected: bool | None = None
    broker_fault: str | None = None
    ledger_fault: str | None = None
    forward_lag: int | None = None
    influx_fault: str | None = None
    parked: int | None = None
    receive_said_ms: int | None = None
    forward_said_ms: int | None = None
    broker_since_ms: int | None = None
    influx_write_ms: int | None = None
    seal_alive: bool | None = None
    seal_fault: str | None = None
    seal_said_ms: int | None = None
    sealed_ms: int | None = None
    sealed_size: int | None = None
    unsigned: int | None = None
    judge_alive: bool | None = None
    judge_fault: str | None = None
    judge_said_ms: int | None = None
    judge_waiting: int | None = None


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a word (`fault.<word>` in the catalogue), how grave, its number, and since when (None: not known)."""

    word: str
    grave: Literal["fault", "notice"]
    number: int | None = None
    detail: str | None = None
    since_ms: int | None = None


def faults(facts: HealthFacts, deliveries: Deliveries, last_commit_ms: int | None, now_ms: int) -> tuple[Fault, ...]:
    """List the faults, gravest first; empty if all is well."""
    found = [*_of_receive(facts, last_commit_ms), *_of_forward(facts), *_of_seal(facts), *_of_judge(facts)]
    if last_commit_ms is None and facts.ledger_fault is None:
        found.append(Fault("empty", "notice"))
    elif last_commit_ms is not None and now_ms - last_commit_ms > QUIET_MS:
        found.append(Fault("quiet", "fault", since_ms=last_commit_ms))
    if deliveries.refused:
        found.append(Fault("refused", "notice", deliveries.refused))
    return tuple(sorted(found, key=lambda f: f.grave != "fault"))


def _of_receive(facts: HealthFacts, last_commit_ms: int | None) -> Iterator[Fault]:
    if not facts.receive_alive:
        yield Fault("receive", "fault", since_ms=facts.receive_said_ms)
    elif facts.broker_connected is False:
        yield Fault("broker", "fault", detail=facts.broker_fault, since_ms=facts.broker_since_ms)
    if facts.ledger_fault is not None:
        yield Fault("ledger", "fault", detail=facts.ledger_fault, since_ms=last_commit_ms)


def _of_forward(facts: HealthFacts) -> Iterator[Fault]:
    if not facts.forward_alive:
        yield Fault("forward", "fault", since_ms=facts.forward_said_ms)
    elif facts.influx_fault is not None:
        yield Fault("influx", "fault", facts.forward_lag or 0, facts.influx_fault, facts.influx_write_ms)
    elif facts.forward_lag is not None and facts.forward_lag > LAG_RECORDS:
        yield Fault("lag", "notice", facts.forward_lag)
    if facts.parked:
        yield Fault("parked", "notice", facts.parked)


def _of_seal(facts: HealthFacts) -> Iterator[Fault]:
    if facts.seal_fault is not None and facts.seal_alive:
        yield Fault("seal_broken", "fault", detail=facts.seal_fault, since_ms=facts.sealed_ms)
    elif facts.seal_alive is False:
        yield Fault("seal", "fault", since_ms=facts.seal_said_ms)
    if facts.unsigned:
        yield Fault("unsigned", "fault", facts.unsigned)


def _of_judge(facts: HealthFacts) -> Iterator[Fault]:
    """Verdicts come later: records are taken and counted meanwhile, so this is a notice."""
    if facts.judge_alive is False:
        yield Fault("judge", "notice", since_ms=facts.judge_said_ms)
    elif facts.judge_fault is not None:
        yield Fault("judge", "notice", detail=facts.judge_fault, since_ms=facts.judge_said_ms)
