"""`dosong-probe plan`: what tests cost, in megabytes and đồng, and what a SIM's data is good for, before it is bought.

Pure figures of the planner for the settings' engine; nothing is sent and no spool is needed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from probe.core import planner
from probe.core.planner import LADDER, NONE, Rates, Situation
from probe.core.wallet import DAILY_SPARE_PPM, FIRST_DAILY_BYTES, LEAST_MARGIN_BYTES, MARGIN_DIVISOR
from probe.settings import Settings
from probe.terms import request
from wire import slots

SCALE_DAYS = 31


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `limit_bytes` None: how much would be needed; `vnd_per_gb` None: no price is shown."""

    quota: int
    success_percent: float
    stations: int
    downlink_bps: int
    uplink_bps: int
    limit_bytes: int | None
    vnd_per_gb: int | None


def lines(settings: Settings, asked: Question) -> list[str]:
    """Return the forecast for a person."""
    needed = slots.slots_needed(asked.quota, round(asked.success_percent * 10_000))
    if needed is None:
        return [f"{asked.success_percent:g} % of successes never make {asked.quota} samples: mend the site first"]
    each = slots.divide(needed, asked.stations)[0]
    other = FIRST_DAILY_BYTES * SCALE_DAYS * DAILY_SPARE_PPM // 1_000_000
    said = [
        f"{needed} slots a month make {asked.quota} samples with 99 % certainty"
        f" at {asked.success_percent:g} % successes; {each} for each of {asked.stations} modem(s)"
    ]
    costs, worst = _costs(settings, asked)
    for rung, cost in zip(LADDER[:NONE], costs, strict=False):
        counts = "counts" if rung.is_complete else "never counts"
        month = each * cost + other
        cost_said = f"{cost / 1e6:8.1f} MB a test {month / 1e9:7.2f} GB a month{_price(month, asked)}"
        said.append(f"  {rung.name:14}{cost_said} {counts}")
    if asked.limit_bytes is not None:
        margin = max(LEAST_MARGIN_BYTES, asked.limit_bytes // MARGIN_DIVISOR)
        found = planner.plan(Situation(asked.limit_bytes, 0, each, other + margin, costs, worst))
        said += _verdict(found, asked, each)
    return said


def _costs(settings: Settings, asked: Question) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Expected and greatest bytes of a test on each rung."""
    rates = Rates(asked.downlink_bps, asked.uplink_bps)
    base, name = request(settings.engine, "plan"), settings.engine.name
    cut = [replace(planner.cut(base, rung), interface="plan") for rung in LADDER[:NONE]]
    costs = (*(sum(planner.expected_bytes(name, one, rates)) for one in cut), 0)
    return costs, tuple(planner.worst_bytes(planner.limited(name, one, rates, None)) for one in cut)


def _price(moved_bytes: int, asked: Question) -> str:
    if asked.vnd_per_gb is None:
        return ""
    return f" {planner.price_vnd(moved_bytes, asked.vnd_per_gb):>9,} đồng"


def _verdict(found: planner.Forecast, asked: Question, each: int) -> list[str]:
    """What a limit is good for."""
    limit = (asked.limit_bytes or 0) / 1e9
    upper, lower = LADDER[found.upper].name, LADDER[min(found.upper + 1, NONE)].name
    mixed = upper if found.share_ppm == 1_000_000 else f"{found.share_ppm / 1e4:.0f} % {upper}, the others {lower}"
    said = [f"{limit:g} GB: {mixed}; {found.period_bytes / 1e9:.2f} GB a month used at most"]
    sure = slots.certainty_ppm(found.complete, round(asked.success_percent * 10_000), -(-asked.quota // asked.stations))
    if found.is_short:
        said.append(
            f"NOT ENOUGH: {found.complete} of {each} slots are complete tests;"
            f" {sure / 1e4:.1f} % certain of this modem's share"
        )
    return said
