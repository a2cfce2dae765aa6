"""The part of the command line that is about a site's link: its options, `site link` and `site truth`."""

from __future__ import annotations

import argparse
import json
import re
import time
from pathlib import Path
from typing import Any

from sim import air, cell, rates, state, truth

_WAYS = {"down": "downlink", "up": "uplink"}
_PERCENT_PPM = 10_000


def rate(text: str) -> int:
    """`20mbit` as bits a second; argparse's own error if it is none."""
    try:
        return rates.parse_rate(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add_options(parser: argparse.ArgumentParser) -> None:
    """All options of a relayed link; an option not given leaves no attribute."""
    group = parser.add_argument_group("link", "what only --shaper relay can do")

    def option(name: str, field: str, text: str, **more: Any) -> None:
        group.add_argument(name, dest=field, default=argparse.SUPPRESS, help=text, **more)

    option("--delay", "delay_ms", "one way, each direction (25)", type=float, metavar="MS")
    option("--delay-up", "uplink_delay_ms", "one way, uplink, if it differs", type=float, metavar="MS")
    option("--queue", "queue_ms", "room of the drop-tail queue at the mean rate (250)", type=float, metavar="MS")
    option("--queue-bytes", "queue_bytes", "the same in bytes", type=int, metavar="BYTES")
    option("--loss", "loss_ppm", "random loss each way, per cent", type=_percent, metavar="PERCENT")
    words = "cellular:SEED, cellular:SEED:own, steps:20mbit*2s,5mbit*500ms, or a file in mahimahi's format"
    option("--trace-down", "downlink_trace", words, type=_trace, metavar="TRACE")
    option("--trace-up", "uplink_trace", "the same for the uplink", type=_trace, metavar="TRACE")
    option("--trace-offset", "trace_offset_s", "where the traces begin", type=float, metavar="S")
    option(
        "--promotion", "promotion_ms", "an idle radio wakes in, like 300-600; 0 never sleeps", type=_span, metavar="MS"
    )
    option("--idle", "idle_s", "after so long without a packet it sleeps (10)", type=float, metavar="S")
    option("--police", "police_bytes", "bytes both ways until the plan is spent", type=int, metavar="BYTES")
    option("--police-rate", "police_bps", "rate from then on (1mbit)", type=rate, metavar="RATE")


def chosen(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of `Air` that were given; rates only where `--down` or `--up` was."""
    given = vars(options)
    fields = {name: given[name] for name in air.FIELDS if given.get(name) is not None and name != "seed"}
    fields |= {f"{way}_bps": given[short] for short, way in _WAYS.items() if given.get(short) is not None}
    if "promotion_ms" in given:
        fields["promotion_low_ms"], fields["promotion_high_ms"] = given["promotion_ms"]
    return fields


def add_shaper(parser: argparse.ArgumentParser) -> None:
    """The choice between relay and tbf."""
    parser.add_argument(
        "--shaper",
        choices=cell.SHAPERS,
        default=cell.best_shaper(),
        help="relay has delay, queue, loss and traces; tbf has a rate only (%(default)s)",
    )


def text_of(each: state.SiteState) -> str:
    """The link in a few words."""
    if not (each.downlink_bps and each.uplink_bps):
        return "loopback, no link of its own"
    ways = (_way_text(each.downlink_bps, each.downlink_trace), _way_text(each.uplink_bps, each.uplink_trace))
    delay = "" if each.rtt_ms is None else f", RTT {each.rtt_ms:g} ms"
    return f"{ways[0]} down, {ways[1]} up Mbit/s{delay}"


def _way_text(rate_bps: int, trace: str | None) -> str:
    return f"{rate_bps / 1e6:g}" if trace is None else f"{rate_bps / 1e6:g} ({trace})"


def show_truth(path: Path, seconds_back: float, *, as_json: bool) -> list[str]:
    """The last seconds of a ground truth: a row for each second, or its lines as they are."""
    now_ns = time.monotonic_ns()
    since_ns = now_ns - round(seconds_back * 1e9)
    found = truth.read(path, since_ns)
    if as_json:
        return [json.dumps(row) for row in truth.rows(found)]
    head = (
        "second      down: offered  delivered  dropped  lost   up: offered  delivered  dropped  lost   lag p99 max ms"
    )
    lines = [head]
    for second in found.seconds:
        within = truth.between(found, second.second_ns, second.second_ns + truth.SECOND_NS)
        columns = [
            within.total(way, what) for way in air.DIRECTIONS for what in ("offered", "delivered", "dropped", "lost")
        ]
        ago_s = (second.second_ns - now_ns) / 1e9
        lag = f"{second.lag_us_p99 / 1000:.1f} {second.lag_us_max / 1000:.1f}"
        lines.append(f"{ago_s:7.1f} s {_row(columns)}   {lag}")
    verdict = "sound" if found.is_sound else "too late at times: repeat what was measured"
    lines.append(f"relay: {found.cpu_share:.1%} of a core, latest pass {found.lag_us_max / 1000:.1f} ms: {verdict}")
    return lines


def _row(columns: list[int]) -> str:
    widths = (14, 10, 8, 5, 13, 10, 8, 5)
    return " ".join(f"{value:>{width}}" for value, width in zip(columns, widths, strict=True))


def _percent(text: str) -> int:
    return round(float(text.rstrip("% ")) * _PERCENT_PPM)


def _span(text: str) -> tuple[float, float]:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no span; write it like 300-600")
    low_ms = float(found.group(1))
    return low_ms, float(found.group(2) or low_ms)


def _trace(text: str) -> str:
    return text if text.startswith(("cellular:", "steps:")) else str(Path(text).absolute())
