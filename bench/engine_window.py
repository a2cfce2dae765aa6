"""Our engine's transfer alone, for `bench/engine.py`: says which window of time its rate is the mean of.

Usage: engine_window.py INTERFACE HOST PORT CAP_MS DIRECTION BEGIN_NS: when the transfer begins (CLOCK_MONOTONIC).
Prints JSON: for the direction bps, stop, wall_s, start and end of the window (CLOCK_MONOTONIC, ns), and all samples of
the estimator with the instant that they count from.
"""

from __future__ import annotations

import json
import os
import sys
import time
from dataclasses import asdict

from probe.core.engine import ERROR_GOAL_PPM, Terms
from probe.core.engine_http import read_ticket
from probe.devices import ask, connection, transfer

_CONNECTED_S = 0.15
SAVER_CAP_MS, SAVER_GOAL_PPM = "3000", 50_000


def main() -> None:
    """Take a ticket, run one direction; it has its connections before it begins, as in the engine."""
    interface, host, port, cap_ms, direction, begin_ns = sys.argv[1:]
    probe = f"p-bench-{os.getpid()}"
    answer = ask.ask(interface, (host, int(port)), f"/v1/ticket?probe={probe}&epoch=1", host)
    ticket = read_ticket(answer.reply, answer.body, probe).ticket
    is_uplink = direction == "uplink"
    goal_ppm = SAVER_GOAL_PPM if cap_ms == SAVER_CAP_MS else ERROR_GOAL_PPM
    terms = Terms(link_is_last=not is_uplink, cap_us=int(cap_ms) * 1000, error_goal_ppm=goal_ppm)
    target = f"/v1/{'upload' if is_uplink else 'download'}?ticket={ticket}"
    made = transfer.Transfer(connection.Order(interface, host, int(port), host, target, terms, is_uplink))
    time.sleep(max(_CONNECTED_S, (int(begin_ns) - time.monotonic_ns()) / 1e9))
    started_ns = time.monotonic_ns()
    moved = made.run()
    outcome = moved.outcome
    start_ns, end_ns = (started_ns + us * 1000 for us in (outcome.start_us or 0, outcome.end_us))
    found = {"bps": outcome.bps, "stop": outcome.stop, "wall_s": moved.wall_s}
    samples = [asdict(sample) for sample in moved.estimator.samples]
    said = {direction: found | {"start_ns": start_ns, "end_ns": end_ns, "zero_ns": started_ns, "samples": samples}}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
