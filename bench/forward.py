"""What forward carries into InfluxDB: `python -m bench.forward`, beside the server's own rate with the same lines.

A ledger of tests and coverage records is written to a real influxd: first its ready lines, 5,000 a request, which is
the server's own rate; then by the forwarder, which reads, decodes, renders, writes and moves its cursor. Prints a
`goal:` line, writes bench/results/forward.json. Source: design §12; facts note 04 §5.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import threading
import time
from pathlib import Path

from collector.forward import Forwarder, lines_of
from collector.forward_send import MAX_LINES
from collector.forward_store import ForwardStore
from collector.influx import Influx
from collector.settings import read_settings
from tests.collector.door import Door
from tests.collector.kit import T0_MS, Deployment, FakeProbe
from tests.collector.kit import Influx as Server

RESULTS = Path(__file__).parent / "results" / "forward.json"
GOAL = 0.7
MINUTE_MS = 60_000


def fill(door: Door, probes: list[FakeProbe], records: int) -> None:
    """15 tests to 24 coverage records, as a day of the field has."""
    for probe in probes:
        raws = []
        for number in range(records // len(probes)):
            t_ms = T0_MS + number * 37 * MINUTE_MS
            if number % 39 < 15:
                raws.append(probe.test(t_ms=t_ms, slot_ms=t_ms, loss_ppm=0, downlink_bytes=8_000_000))
            else:
                raws.append(probe.coverage("C" * 58 + "DN", "." * 58 + "ns", t_ms=t_ms))
        for at in range(0, len(raws), 64):
            door.take(probe.probe, *raws[at : at + 64])


def main() -> int:
    """Measure; 0 if it could."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=20_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="dosong-forward-") as name:
        folder = Path(name)
        server = Server(folder)
        target = f'url = "http://127.0.0.1:{server.port}"\napi = "v1"\ndatabase = "dosong"'
        probes = [FakeProbe(f"p-{number:03}") for number in range(50)]
        deployment = Deployment(folder, 'socket = "none"', *probes, influx=target)
        door = Door(deployment.state, *probes)
        fill(door, probes, given.records)
        server.start()
        try:
            own, lines = own_rate(deployment, door)
            forwarded, records = forward_rate(deployment, door)
        finally:
            server.stop()
            door.close()
    ratio = forwarded / own
    print(f"InfluxDB's own rate: {own:,.0f} lines/s; forward: {forwarded:,.0f} ({lines:,} lines, {records:,} records)")
    verdict = "met" if ratio >= GOAL else "short"
    print(f"goal: forward against the database's own rate: {ratio:.2f} (>= {GOAL}): {verdict}")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"own_lines_s": own, "forward_lines_s": forwarded, "lines": lines, "ratio": ratio}))
    return 0


def own_rate(deployment: Deployment, door: Door) -> tuple[float, int]:
    """Lines a second that the server takes when they are ready, 5,000 a request; and how many there were."""
    writer = Influx(read_settings(deployment.config))
    writer.prepare()
    lines = lines_of(door.reader.samples(limit=10**9, newest_first=False))
    batches = [lines[at : at + MAX_LINES] for at in range(0, len(lines), MAX_LINES)]
    began = time.perf_counter()
    for batch in batches:
        writer.write(batch)
    rate = len(lines) / (time.perf_counter() - began)
    writer.drop()
    writer.close()
    return rate, len(lines)


def forward_rate(deployment: Deployment, door: Door) -> tuple[float, int]:
    """Lines a second from the ledger until the cursor stands at its end."""
    settings = read_settings(deployment.config)
    writer, store, stop = Influx(settings), ForwardStore(settings.forward), threading.Event()
    forwarder = Forwarder(settings, door.reader, door.registry, store, writer, stop)
    thread = threading.Thread(target=forwarder.run)
    last = door.reader.last_n()
    began = time.perf_counter()
    thread.start()
    while store.position() < last:
        time.sleep(0.02)
    seconds = time.perf_counter() - began
    lines = sum(len(lines_of([sample])) for sample in door.reader.samples(limit=10**9))
    stop.set()
    thread.join()
    store.close()
    writer.close()
    return lines / seconds, last


if __name__ == "__main__":
    sys.exit(main())
