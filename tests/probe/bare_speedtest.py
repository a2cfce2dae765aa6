"""speedtest-cli 2.1.3 as it comes, for `test_traps`: `python bare_speedtest.py JSON` prints what it says as JSON.

Only its download of settings is left out (or asked for alone, with `"config": true`): its standard settings stand here.
Nothing else of the library is changed. `download`, `upload`: seconds each; `source`: its own `source_address`.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from typing import Any

import speedtest

GIVEN: dict[str, Any] = json.loads(sys.argv[1])


class Stock(speedtest.Speedtest):  # type: ignore[misc]
    """The library's own test; what www.speedtest.net would have said stands here."""

    def get_config(self) -> dict[str, Any]:
        """Standard settings, with the seconds that were asked for."""
        self.config.update(
            client={"ip": "", "lat": "0", "lon": "0", "isp": "", "country": ""},
            ignore_servers=[],
            sizes={
                "upload": [524288, 1048576, 7340032],
                "download": [350, 500, 750, 1000, 1500, 2000, 2500, 3000, 3500, 4000],
            },
            counts={"upload": 17, "download": 4},
            threads={"upload": 8, "download": 8},
            length={"upload": GIVEN.get("upload", 0), "download": GIVEN.get("download", 0)},
            upload_max=51,
        )
        config: dict[str, Any] = self.config
        return config


def run() -> dict[str, Any]:
    """Do what was asked; what the library raises is named."""
    said: dict[str, Any] = {}
    began_s = time.monotonic()
    try:
        if GIVEN.get("config"):
            asked = speedtest.Speedtest(timeout=5)
            asked.get_servers([])
            return said
        test = Stock(source_address=GIVEN.get("source"), timeout=GIVEN.get("timeout", 10))
        servers = [
            {"url": f"http://{where}/speedtest/upload.php", "d": 1, "id": number}
            for number, where in enumerate(GIVEN["servers"])
        ]
        test.get_best_server(servers)
        said["ping_ms"] = test.results.ping
        if "download" in GIVEN:
            said["download_bps"] = test.download()
        if "upload" in GIVEN:
            said["upload_bps"] = test.upload(pre_allocate=GIVEN.get("pre_allocate", False))
            said["upload_bytes"] = test.results.bytes_sent
    except Exception as error:  # whatever it raises is what the test asks
        said["raised"] = type(error).__name__
    said["seconds"] = time.monotonic() - began_s
    said["rss_kb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return said


if __name__ == "__main__":
    sys.stdout.write(json.dumps(run()) + "\n")
    sys.stdout.flush()
    os._exit(0)
