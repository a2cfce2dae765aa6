"""Our engine's transfer alone, for `bench/engine.py`: says which window of time its rate is the mean of.

Usage: engine_window.py INTERFACE HOST PORT CAP_MS. Prints JSON: for each direction bps, stop, wall_s, and start and end
of the window (CLOCK_MONOTONIC, ns).
"""

from __future__ import annotations

import json
import os
import sys
import time

from probe.core.engine import ERROR_GOAL_PPM, Terms
from probe.core.engine_http import read_ticket
from probe.devices import ask, connection, transfer

_CONNECTED_S = 0.15
SAVER_CAP_MS, SAVER_GOAL_PPM = "3000", 50_000


def main() -> None:
    """Take a ticket, run both directions; each has its connections before it begins, as in the engine."""
    interface, host, port, cap_ms = sys.argv[1:]
    probe = f"p-bench-{os.getpid()}"
    answer = ask.ask(interface, (host, int(port)), f"/v1/ticket?probe={probe}&epoch=1", host)
    ticket = read_ticket(answer.reply, answer.body, probe).ticket
    said = {}
    for direction, verb in (("downlink", "download"), ("uplink", "upload")):
        is_uplink = direction == "uplink"
        goal_ppm = SAVER_GOAL_PPM if cap_ms == SAVER_CAP_MS else ERROR_GOAL_PPM
        terms = Terms(link_is_last=not is_uplink, cap_us=int(cap_ms) * 1000, error_goal_ppm=goal_ppm)
        target = f"/v1/{verb}?ticket={ticket}"
        order = connection.Order(interface, host, int(port), host, target, terms, is_uplink)
        made = transfer.Transfer(order)
        time.sleep(_CONNECTED_S)
        started_ns = time.monotonic_ns()
        moved = made.run()
        outcome = moved.outcome
        start_ns, end_ns = (started_ns + us * 1000 for us in (outcome.start_us or 0, outcome.end_us))
        found = {"bps": outcome.bps, "stop": outcome.stop, "wall_s": moved.wall_s}
        said[direction] = found | {"start_ns": start_ns, "end_ns": end_ns}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
