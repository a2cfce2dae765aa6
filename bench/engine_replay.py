"""Recorded windows of variable links once more through the engine's rules, without a link: what a change would say.

    sudo python bench/engine.py --only static --tune --record FOLDER
    python bench/engine_replay.py FOLDER

For each way and mode: error against what the link could have carried in the window (mean, mean of the amount, worst),
against what it delivered (the estimator's own error; the rest is capacity that nobody used), when windows began and
ended, which share of the recording's bytes came before and after them. A later stop sees its end.
Use seeds of --tune for it: what rules are made on is never what is reported.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from bench.engine_window import SAVER_GOAL_PPM
from probe.core.engine import ERROR_GOAL_PPM, Estimator, Terms
from probe.core.engine_sample import Flow, Sample

BIN_NS = 50_000_000
SHARE = 1448 / 1500


@dataclass(frozen=True, slots=True)
class Replayed:
    """One window: errors in per cent, instants in ms since the request, shares of all bytes outside the window."""

    error: float
    own_error: float
    start_ms: float
    end_ms: float
    before: float
    after: float


def replay(found: dict[str, Any], *, is_saver: bool) -> Replayed | None:
    """One recording (one direction); None if it has no rate."""
    ((way, said),) = found["said"].items()
    link_is_last = way == "downlink"
    goal_ppm, cap_us = (SAVER_GOAL_PPM, 3_000_000) if is_saver else (ERROR_GOAL_PPM, 5_000_000)
    estimator = Estimator(Terms(link_is_last=link_is_last, cap_us=cap_us, error_goal_ppm=goal_ppm))
    for one in said["samples"]:
        flows = tuple(Flow(**flow) for flow in one["flows"])
        if estimator.add(Sample(**{**one, "flows": flows})).stop is not None:
            break
    outcome = estimator.outcome()
    if outcome.bps is None or outcome.start_us is None:
        return None
    # Capacity counts at the far end of the link; of an uplink we see it when the acknowledgement has come back.
    shift_ns = 0 if link_is_last else found["link"]["rtt_ms"] * 500_000
    start_ns, end_ns = (said["zero_ns"] + us * 1000 - shift_ns for us in (outcome.start_us, outcome.end_us))
    capacity, delivered = (
        _sum(found["bins"], way, what, start_ns, end_ns) * SHARE * 8e9 / (end_ns - start_ns)
        for what in ("capacity", "delivered")
    )
    before, inside, after = (
        _sum(found["bins"], way, "delivered", *span) for span in ((0, start_ns), (start_ns, end_ns), (end_ns, 1 << 62))
    )
    moved = before + inside + after
    error, own_error = ((outcome.bps / true_bps - 1) * 100 for true_bps in (capacity, delivered))
    return Replayed(error, own_error, outcome.start_us / 1000, outcome.end_us / 1000, before / moved, after / moved)


def _sum(bins: list[dict[str, Any]], way: str, what: str, start_ns: int, end_ns: int) -> float:
    """Bytes of a column between two instants; of bins that they cut, the share inside."""
    total = 0.0
    for one in bins:
        inside_ns = min(end_ns, one["t_ns"] + BIN_NS) - max(start_ns, one["t_ns"])
        total += one[way][what] * max(0, inside_ns) / BIN_NS
    return total


def line(name: str, found: list[Replayed]) -> str:
    """One line of the table."""
    errors, own = [one.error for one in found], [one.own_error for one in found]
    means = {word: statistics.mean(getattr(one, word) for one in found) for word in ("start_ms", "end_ms")}
    before, after = (statistics.mean(getattr(one, word) for one in found) * 100 for word in ("before", "after"))
    worst = max(errors, key=abs)
    return (
        f"{name:24} {len(found):4} windows  "
        f"error {statistics.mean(errors):+6.2f} % amount {statistics.mean(map(abs, errors)):5.2f} worst {worst:+7.2f}  "
        f"own {statistics.mean(own):+6.3f} % amount {statistics.mean(map(abs, own)):5.3f}  "
        f"window {means['start_ms']:.0f} to {means['end_ms']:.0f} ms  bytes before {before:.1f} %, after {after:.1f} %"
    )


def main() -> int:
    """Replay all recordings of a folder; 1 if there are none."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    groups: dict[str, list[Replayed]] = {}
    for path in sorted(parser.parse_args().folder.glob("*link.json")):
        if "speedtest" in path.name:
            continue
        kind, way = path.name.partition("-")[0], path.stem.rpartition("-")[2]
        is_saver = "-saver-" in path.name
        one = replay(json.loads(path.read_text()), is_saver=is_saver)
        if one is not None:
            groups.setdefault(f"{kind} {way}{' saver' if is_saver else ''}", []).append(one)
    for name, found in groups.items():
        sys.stdout.write(line(name, found) + "\n")
    return 0 if groups else 1


if __name__ == "__main__":
    sys.exit(main())
