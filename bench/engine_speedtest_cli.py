"""speedtest-cli 2.1.3 as it is, both directions or one, for `bench/engine.py`.

Only its downloads of settings are left out: its standard settings (8 threads, 10 s, sizes of 2019) are put in place of
www.speedtest.net's answer. Usage: engine_speedtest_cli.py HOST PORT [DIRECTION BEGIN_NS]: one direction begins at
BEGIN_NS (CLOCK_MONOTONIC). Prints JSON: for each direction bps, start and end (CLOCK_MONOTONIC, ns).
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

import speedtest


class Stock(speedtest.Speedtest):
    """The library's own test with its standard settings and one server."""

    def get_config(self) -> dict[str, Any]:
        """What www.speedtest.net would have said."""
        self.config.update(
            client={"ip": "", "lat": "0", "lon": "0", "isp": "", "country": ""},
            ignore_servers=[],
            sizes={
                "upload": [524288, 1048576, 7340032],
                "download": [350, 500, 750, 1000, 1500, 2000, 2500, 3000, 3500, 4000],
            },
            counts={"upload": 17, "download": 4},
            threads={"upload": 8, "download": 8},
            length={"upload": 10, "download": 10},
            upload_max=51,
        )
        return self.config


def main() -> None:
    """Run both directions, as the program itself does, or one of them."""
    host, port = sys.argv[1], sys.argv[2]
    only, begin_ns = (sys.argv[3], int(sys.argv[4])) if len(sys.argv) > 3 else (None, 0)
    test = Stock()
    test._best.update({"url": f"http://{host}:{port}/speedtest/upload.php", "latency": 1, "d": 0, "id": 0})
    said = {}
    time.sleep(max(0.0, (begin_ns - time.monotonic_ns()) / 1e9))
    for direction, run in (("downlink", test.download), ("uplink", test.upload)):
        if only not in {None, direction}:
            continue
        started_ns = time.monotonic_ns()
        bps = run()
        said[direction] = {"bps": bps, "start_ns": started_ns, "end_ns": time.monotonic_ns()}
        time.sleep(1.0)  # its own tail would be in the next direction
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
