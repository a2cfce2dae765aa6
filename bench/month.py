"""What a month costs a SIM: tests really run at their default settings, counted by the kernel, against the prediction.

    sudo python bench/month.py

One site of the simulator over its relayed link (40/15 Mbit/s, 50 ms), the real probe with our engine, real broker and
collector. Coverage runs sixty times as fast (a step a second, a record a minute), so that a minute holds an hour's
upkeep. Each test's bytes are its record's kernel counters; what the link moved besides is upkeep. Both are taken times
a month and compared with `wire.data_use`. Prints goal lines, writes bench/results/month.json. Needs root.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import statistics
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from sim import demo_world, ns, site
from sim.demo_scene import CHECK, PLACES, Place
from sim.demo_world import World
from sim.programs import module, run
from wire import codec, data_use
from wire.records import TestRecord

TESTS_A_MONTH, DAYS = 326, 30
LIMIT_BYTES, WITHIN_PERCENT = 4_000_000_000, 5.0
PLACE = replace(PLACES[0], downlink_bps=40_000_000, uplink_bps=15_000_000)
PACE = replace(CHECK, slot_s=25, test_s=10, step_s=1, steps=60, history_days=0)
SPEED_UP = 60
RESULTS = Path(__file__).parent / "results" / "month.json"


def main() -> int:
    """Measure, compare, print, write; 0 if it could measure."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0] if __doc__ else None)
    parser.add_argument("--tests", type=int, default=12, help="real tests (12)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dosong-month-") as folder:
        found = measure(Path(folder), arguments.tests)
    report(found)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(found, indent=1) + "\n")
    return 0


def measure(folder: Path, wanted: int) -> dict[str, Any]:
    """Bring the world up, let the probe run its tests, and count."""
    world = demo_world.make(folder, "netns", PACE, f"month-{os.getpid()}", 0)
    try:
        demo_world.start_core(world)
        demo_world.provision(world)
        demo_world.start_servers(world)
        demo_world.start_site(world, PLACE, shaper="relay")
        demo_world.start_probe(world, PLACE)
        before, began_s = link_bytes(world, PLACE), time.monotonic()
        deadline_s = began_s + wanted * PACE.slot_s * 2 + 60
        while len(good := kept_tests(world)) < wanted:
            if time.monotonic() > deadline_s:
                raise SystemExit(f"only {len(good)} good tests in {deadline_s - began_s:.0f} s")
            time.sleep(2)
        seconds, moved = time.monotonic() - began_s, link_bytes(world, PLACE) - before
        every = kept_tests(world, only_good=False)
    finally:
        demo_world.stop(world)
    return {
        "test_bytes": [used(row) for row in good[:wanted]],
        "windows_us": [[row.downlink_us, row.uplink_us] for row in good[:wanted]],
        "bps": [[row.downlink_bps, row.uplink_bps] for row in good[:wanted]],
        "seconds": seconds,
        "link_bytes": moved,
        "all_tests_bytes": sum(used(row) for row in every),
        "records": len(every),
    }


def link_bytes(world: World, place: Place) -> int:
    """Bytes of the modem's link since it was made, both ways, by the kernel."""
    inside = site.find(world.directory, place.name).netns_pid
    for line in run(*ns.enter(inside, ["cat", "/proc/net/dev"])).splitlines():
        name, _, counts = line.partition(":")
        if name.strip() == "cell0":
            numbers = counts.split()
            return int(numbers[0]) + int(numbers[8])
    raise SystemExit("the site has no cell0")


def kept_tests(world: World, *, only_good: bool = True) -> list[TestRecord]:
    """Test records that the collector holds, oldest first."""
    settings = str(demo_world.collector_settings(world))
    lines = run(*module("collector", "export", "--config", settings, "--probe", PLACE.probe)).splitlines()
    rows = [json.loads(line) for line in lines]
    found = [
        codec.decode_body(codec.body_of(base64.b64decode(row["raw"])))
        for row in rows
        if row["kind"] == "test" and not row["fault"]
    ]
    measured = [record for record in found if isinstance(record, TestRecord) and record.path is not None]
    return [record for record in measured if not only_good or record.outcome == "ok"]


def used(record: TestRecord) -> int:
    """What a test moved over the modem's link."""
    return record.path.rx_bytes + record.path.tx_bytes if record.path else 0


def report(found: dict[str, Any]) -> None:
    """Extrapolate both ways and print the goal lines."""
    share = 1448 / 1500
    link = data_use.Link(round(PLACE.downlink_bps * share), round(PLACE.uplink_bps * share))
    terms, upkeep = data_use.Terms(), data_use.Upkeep()
    one, counted_one = data_use.bytes_of_test(link, terms), statistics.mean(found["test_bytes"])
    beside = found["link_bytes"] - found["all_tests_bytes"] - found["records"] * data_use.TEST_RECORD_BYTES
    hours = DAYS * 24
    # A minute holds an hour's steps, but only a minute's pings.
    pings = hours * 3600 // upkeep.keepalive_s * data_use.PING_BYTES
    upkeep_counted = beside / found["seconds"] * 60 * hours + pings * (1 - 1 / SPEED_UP)
    predicted = data_use.bytes_of_month(link, terms, upkeep, TESTS_A_MONTH, DAYS)
    counted = TESTS_A_MONTH * (counted_one + data_use.TEST_RECORD_BYTES) + upkeep_counted
    off = abs(predicted - counted) / counted * 100
    found |= {"predicted_month_bytes": predicted, "counted_month_bytes": round(counted), "predicted_test_bytes": one}
    spread = statistics.stdev(found["test_bytes"]) / counted_one * 100 if len(found["test_bytes"]) > 1 else 0.0
    number = len(found["test_bytes"])
    print(f"{number} tests: {counted_one / 1e6:.2f} MB each (spread {spread:.1f} %), predicted {one / 1e6:.2f} MB")
    upkeep_predicted = data_use.bytes_of_upkeep(upkeep, hours)
    print(f"upkeep of a month: {upkeep_counted / 1e6:.1f} MB counted, {upkeep_predicted / 1e6:.1f} MB predicted")
    print(
        f"goal: data of a month of {TESTS_A_MONTH} tests, predicted {predicted / 1e9:.2f} GB against counted "
        f"{counted / 1e9:.2f} GB: {off:.1f} % apart (<= {WITHIN_PERCENT:g} %): {_met(off <= WITHIN_PERCENT)}"
    )
    print(
        f"goal: data of that month at 40/15 Mbit/s, default mode: {counted / 1e9:.2f} GB"
        f" (< {LIMIT_BYTES / 1e9:g} GB): {_met(counted < LIMIT_BYTES)}"
    )


def _met(is_so: bool) -> str:
    return "met" if is_so else "short"


if __name__ == "__main__":
    raise SystemExit(main())
