"""Our engine's transfer alone, for `bench/engine.py`: says which window of time its rate is the mean of.

Usage: engine_window.py INTERFACE HOST PORT CAP_MS. Prints JSON: for each direction bps, stop, and start and end of the
window (CLOCK_MONOTONIC, ns).
"""

from __future__ import annotations

import json
import sys
import time

from probe.core.engine import Terms
from probe.core.engine_http import read_ticket
from probe.devices import ask, connection, transfer


def main() -> None:
    """Take a ticket, run both directions."""
    interface, host, port, cap_ms = sys.argv[1:]
    answer = ask.ask(interface, (host, int(port)), "/v1/ticket?probe=p-bench&epoch=1", host)
    ticket = read_ticket(answer.reply, answer.body, "p-bench").ticket
    said = {}
    for direction, verb in (("downlink", "download"), ("uplink", "upload")):
        is_uplink = direction == "uplink"
        terms = Terms(link_is_last=not is_uplink, cap_us=int(cap_ms) * 1000)
        target = f"/v1/{verb}?ticket={ticket}"
        started_ns = time.monotonic_ns()
        order = connection.Order(interface, host, int(port), host, target, terms, is_uplink)
        outcome = transfer.Transfer(order).run().outcome
        start_ns, end_ns = (started_ns + us * 1000 for us in (outcome.start_us or 0, outcome.end_us))
        said[direction] = {"bps": outcome.bps, "stop": outcome.stop, "start_ns": start_ns, "end_ns": end_ns}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
