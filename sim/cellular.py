"""A seeded generator of 4G links that vary as measured ones do. Pure; the same seed gives the same link everywhere.

Parameters from 491 static LTE runs (`facts/03-measurement.md` §3.6, §6): 1-s rates are log-AR(1) with phi 0.62 and
log-sd 0.41 around a mean of 12 to 41 Mbit/s, 20-ms gamma noise of cv 0.3 (assumed), 0.5 % of seconds below 10 % of the
mean. RSRP goes with the logarithm of the rate by 0.46, SINR by 0.65; how far they move (4 and 3 dB) is assumed.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

from sim.rates import Rates, evenly

SECONDS = 600
STEP_NS = 20_000_000
PHI, LOG_SD, NOISE_CV = 0.62, 0.41, 0.3
OUTAGE_SHARE, OUTAGE_LEVEL = 0.005, 0.1
MEANS_BPS = (12_000_000, 41_000_000)
RSRP_CORRELATION, RSRP_SD_DB = 0.46, 4.0
SINR_CORRELATION, SINR_SD_DB = 0.65, 3.0
_STEPS_A_SECOND = 1_000_000_000 // STEP_NS


@dataclass(frozen=True, slots=True)
class Fading:
    """One place over `SECONDS` seconds: rates in 20-ms steps, their means, and RSRP and SINR in dB off their mean."""

    rates: Rates
    seconds_bps: tuple[int, ...]
    rsrp_db: tuple[float, ...]
    sinr_db: tuple[float, ...]


def fading(seed: str, mean_bps: int | None = None) -> Fading:
    """The link of a seed. Its mean over the whole length is `mean_bps`; None lets the seed choose one."""
    draw = random.Random(f"fading:{seed}")  # noqa: S311 - a repeatable link, nothing secret
    chosen_bps = math.exp(draw.uniform(*(math.log(bound) for bound in MEANS_BPS)))
    level = _wander(draw)
    shares = [math.exp(LOG_SD * one) for one in level]
    for at in range(SECONDS):
        if draw.random() < OUTAGE_SHARE:
            shares[at] = OUTAGE_LEVEL * draw.random()
    scale = (mean_bps or chosen_bps) * SECONDS / sum(shares)
    seconds = tuple(round(share * scale) for share in shares)
    return Fading(
        evenly(_with_noise(draw, seconds), STEP_NS),
        seconds,
        tuple(RSRP_SD_DB * one for one in _alongside(draw, level, RSRP_CORRELATION)),
        tuple(SINR_SD_DB * one for one in _alongside(draw, level, SINR_CORRELATION)),
    )


def _wander(draw: random.Random) -> list[float]:
    """AR(1) of mean 0 and variance 1, one value a second."""
    value, step = draw.gauss(0, 1), math.sqrt(1 - PHI * PHI)
    walked = []
    for _ in range(SECONDS):
        walked.append(value)
        value = PHI * value + step * draw.gauss(0, 1)
    return walked


def _alongside(draw: random.Random, level: list[float], correlation: float) -> list[float]:
    """A second walk with that correlation to the first."""
    rest = math.sqrt(1 - correlation * correlation)
    return [correlation * one + rest * other for one, other in zip(level, _wander(draw), strict=True)]


def _with_noise(draw: random.Random, seconds_bps: tuple[int, ...]) -> list[int]:
    """20-ms rates: gamma noise that leaves each second's own mean as it is."""
    shape = 1 / (NOISE_CV * NOISE_CV)
    steps: list[int] = []
    for rate in seconds_bps:
        noise = [draw.gammavariate(shape, 1.0) for _ in range(_STEPS_A_SECOND)]
        scale = rate * _STEPS_A_SECOND / sum(noise)
        steps += [round(one * scale) for one in noise]
    return steps
