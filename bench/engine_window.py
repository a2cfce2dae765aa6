"""Our engine's transfer alone, for `bench/engine.py`: says which window of time its rate is the mean of.

Usage: engine_window.py INTERFACE HOST PORT downlink|uplink CAP_MS. Prints JSON: bps, stop, bytes, and start and end of
the window (CLOCK_MONOTONIC, ns).
"""

from __future__ import annotations

import json
import sys
import time

from probe.core.engine import Terms
from probe.core.engine_http import read_ticket
from probe.devices import ask, transfer


def main() -> None:
    """Take a ticket, run one direction."""
    interface, host, port, direction, cap_ms = sys.argv[1:]
    answer = ask.ask(interface, (host, int(port)), "/v1/ticket?probe=p-bench&epoch=1", host)
    ticket = read_ticket(answer.reply, answer.body, "p-bench").ticket
    is_uplink = direction == "uplink"
    terms = Terms(link_is_last=not is_uplink, cap_us=int(cap_ms) * 1000)
    path = f"/v1/{'upload' if is_uplink else 'download'}?ticket={ticket}"
    started_ns = time.monotonic_ns()
    moved = transfer.Transfer(transfer.Order(interface, host, int(port), host, path, terms, is_uplink), None).run()
    outcome = moved.outcome
    said = {
        "bps": outcome.bps,
        "stop": outcome.stop,
        "cause": moved.cause,
        "bytes": outcome.payload_bytes,
        "start_ns": started_ns + (outcome.start_us or 0) * 1000,
        "end_ns": started_ns + outcome.end_us * 1000,
    }
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
