"""Variable links for `bench/engine.py`: which traces, and a seeded generator of driving-like ones.

Static links are the simulator's own (`sim.cellular`: parameters of measured static LTE). Driving-like ones wander
further and fall out more often, so that 1, 3 and 5 s differ from the 10 s around them by 12 to 30, 9 to 25 and 6 to 17
per cent (median), as in recorded drives. They are written in mahimahi's format: a line for each chance of 1500 bytes.
Source: facts note 03 §3.6, §6. `python bench/engine_traces.py` prints how far windows differ.
"""

from __future__ import annotations

import math
import random
import statistics
import sys
from collections.abc import Iterator
from pathlib import Path

SECONDS = 120
STEP_MS = 20
PHI, LOG_SD, NOISE_CV = 0.82, 0.45, 0.4
OUTAGE_SHARE, OUTAGE_LEVEL = 0.01, 0.1
MEANS_MBIT = (6.0, 25.0)
_STEPS = 1000 // STEP_MS


def driving(seed: int) -> list[float]:
    """Bits of each 20 ms over two minutes; the same for the same seed."""
    draw = random.Random(f"driving:{seed}")  # noqa: S311 - a repeatable link, nothing secret
    mean_bps = math.exp(draw.uniform(*(math.log(bound * 1e6) for bound in MEANS_MBIT)))
    level, shares = draw.gauss(0, 1), []
    for _ in range(SECONDS):
        share = math.exp(LOG_SD * level)
        shares.append(OUTAGE_LEVEL * draw.random() if draw.random() < OUTAGE_SHARE else share)
        level = PHI * level + math.sqrt(1 - PHI * PHI) * draw.gauss(0, 1)
    scale = mean_bps * SECONDS / sum(shares)
    shape = 1 / (NOISE_CV * NOISE_CV)
    return [share * scale / _STEPS * draw.gammavariate(shape, 1 / shape) for share in shares for _ in range(_STEPS)]


def write(seed: int, path: Path) -> Path:
    """The same as a file of mahimahi's format."""
    path.write_text("\n".join(str(moment) for moment in _chances(driving(seed))) + "\n")
    return path


def _chances(bits: list[float]) -> Iterator[int]:
    """Milliseconds at which 1500 bytes may leave, spread evenly over each step; what is left goes to the next."""
    left = 0.0
    for at, amount in enumerate(bits):
        left += amount
        count = int(left // 12_000)
        left -= count * 12_000
        for one in range(count):
            yield at * STEP_MS + 1 + one * STEP_MS // count
    yield len(bits) * STEP_MS


def spread_percent(bits: list[float], window_s: int) -> float:
    """How far the mean of a window differs from that of the 10 s which it begins: the median."""
    off = []
    for start_s in range(0, SECONDS - 10, 2):
        short, long = (sum(bits[start_s * _STEPS : (start_s + span) * _STEPS]) / span for span in (window_s, 10))
        off.append(abs(short / long - 1) * 100)
    return statistics.median(off)


if __name__ == "__main__":
    for window_s in (1, 3, 5):
        found = [spread_percent(driving(seed), window_s) for seed in range(1, 21)]
        sys.stdout.write(f"{window_s} s: {min(found):.0f} to {max(found):.0f} %, {statistics.median(found):.0f} %\n")
