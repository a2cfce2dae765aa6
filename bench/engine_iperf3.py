"""iperf3, both directions, for `bench/engine.py`: four streams, ten seconds each way.

Usage: engine_iperf3.py HOST. Prints JSON: for each direction bps, start and end (CLOCK_MONOTONIC, ns).
"""

from __future__ import annotations

import json
import subprocess
import sys
import time


def main() -> None:
    """Run both directions."""
    said = {}
    for direction, options in (("downlink", ["-R"]), ("uplink", [])):
        started_ns = time.monotonic_ns()
        command = ["iperf3", "-c", sys.argv[1], "-P4", "-t10", "-J", *options]
        out = subprocess.run(command, check=True, capture_output=True).stdout
        bps = json.loads(out)["end"]["sum_received"]["bits_per_second"]
        said[direction] = {"bps": bps, "start_ns": started_ns, "end_ns": time.monotonic_ns()}
    sys.stdout.write(json.dumps(said) + "\n")


if __name__ == "__main__":
    main()
