"""The engines that a probe can measure with. Adding one is a file and a line in `ENGINES`.

An engine is anything with a name (its word in records and in `[engine] name`) and a `run` that never raises for the
network. Both engines can run in one slot (`[engine] compare = true`). A slot has one counted sample: the configured
engine's record carries the slot, the other's says trigger `manual` and no slot, so that it can never be counted. Which
of the two runs first is drawn from the slot's own HMAC, so that neither always meets the idle radio or the used-up
quota; their order stands in the records' sequence numbers and times.
Source: design §6; issue of the measuring engine, items 4 and 5.
"""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from hashlib import sha256
from typing import Protocol

from probe.core.engine_terms import EngineRequest, EngineResult
from probe.core.schedule import Plan
from probe.devices.throughput import DosongEngine, SpeedtestEngine
from probe.measure import Bench, Order


class Engine(Protocol):
    """What the daemon needs of an engine."""

    name: str

    def run(self, request: EngineRequest) -> EngineResult:
        """Run one test; a failure of the network is a result. Raises OSError if no process can be started."""
        ...


def _by_name(*engines: Engine) -> Mapping[str, Engine]:
    return {engine.name: engine for engine in engines}


ENGINES = _by_name(
    DosongEngine(),
    SpeedtestEngine(),
)


def other(name: str) -> str:
    """The engine that `name` is compared with: the first of the others."""
    return next(one for one in ENGINES if one != name)


def runs(order: Order, plan: Plan, first: Bench, second: Bench | None) -> tuple[tuple[Order, Bench], ...]:
    """What is to be run in one slot, in order of time. `second` is None unless engines are compared."""
    if second is None:
        return ((order, first),)
    beside = replace(order, trigger="manual", slot_ms=None, slot_length_ms=None, due_ms=None)
    pair = ((order, first), (beside, second))
    return pair[::-1] if is_swapped(plan, order.slot_ms) else pair


def is_swapped(plan: Plan, slot_ms: int | None) -> bool:
    """Whether the compared engine runs before the configured one in this slot; never without a slot."""
    if slot_ms is None:
        return False
    text = f"compare\n{plan.probe}\n{plan.modem}\n{slot_ms}"
    return bool(hmac.digest(plan.seed, text.encode(), sha256)[0] & 1)
