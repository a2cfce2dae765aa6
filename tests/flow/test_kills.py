"""kill -9 of each program in the middle of the flow: nothing acknowledged is missing, nothing counts twice.

After each kill the program is started again as a supervisor would, and everything must catch up by itself.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from collector.catalogue import QUERIES, Scope, bind
from grafana.alerts import ALERTS, Alert, fires, queries
from grafana.influx import Influx
from grafana.interpolate import expand
from tests.flow.conftest import PLACE, Whole, eventually


def assert_nothing_lost(whole: Whole) -> None:
    """The promise: spool and ledger agree record by record, once each, and InfluxDB has what the ledger has."""
    spooled = whole.spooled()
    ledger = whole.ledger()
    places = [(row["probe"], row["epoch"], row["seq"]) for row in ledger]
    assert len(places) == len(set(places)), "a record stands twice in the ledger"
    leaves = {row["seq"]: row["leaf"] for row in ledger}
    missing = [seq for seq, leaf, place in spooled if place == 1 and leaves.get(seq) != leaf]
    assert not missing, f"acknowledged, but not in the ledger as signed: {missing}"
    seqs = sorted(leaves)
    assert seqs == list(range(len(seqs))), "the chain has a hole"
    slots = [row["record"].slot_ms for row in ledger if row["kind"] == "test" and row["counted"]]
    assert len(slots) == len(set(slots)), "a slot counts twice"
    tests = sum(row["kind"] == "test" for row in ledger)
    eventually("InfluxDB has caught up", lambda: whole.influx_tests() >= tests, 60)


def goes_on(whole: Whole) -> None:
    """Wait until records made after this moment have come back acknowledged, a test among them."""
    last = max((seq for seq, _, _ in whole.spooled()), default=0)
    tests = len(whole.tests())

    def is_so() -> bool:
        acked = max((seq for seq, _, place in whole.spooled() if place == 1), default=-1)
        return acked > last + 2 and len(whole.tests()) > tests

    eventually("new records are acknowledged", is_so, 120)


@pytest.fixture(autouse=True)
def _flowing(whole: Whole) -> None:
    eventually("a first record is acknowledged", lambda: whole.acknowledged() > 0, 120)


def test_kill_probe_in_a_test(whole: Whole) -> None:
    probe = whole.world.programs.running[PLACE.probe].process.pid

    def is_measuring() -> bool:
        children = psutil.Process(probe).children(recursive=True)
        return any("probe.engine_speedtest" in " ".join(child.cmdline()) for child in children)

    eventually("a test runs", is_measuring, 60)
    whole.world.programs.kill(PLACE.probe)
    whole.world.programs.restart(PLACE.probe)
    goes_on(whole)
    assert_nothing_lost(whole)
    boots = [row["record"].reason for row in whole.ledger() if row["kind"] == "boot"]
    assert "crash" in boots


def test_kill_broker(whole: Whole) -> None:
    whole.world.programs.kill("mosquitto")
    before = len(whole.spooled())
    eventually("the probe goes on without a broker", lambda: len(whole.spooled()) > before + 1, 60)
    whole.world.programs.restart("mosquitto")
    goes_on(whole)
    assert_nothing_lost(whole)


def test_kill_collector(whole: Whole) -> None:
    collector = psutil.Process(whole.world.programs.running["collector"].process.pid)
    children = collector.children(recursive=True)
    whole.world.programs.kill("collector")
    psutil.wait_procs(children, timeout=10)
    assert not [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]
    before = len(whole.spooled())
    eventually("the probe goes on without a collector", lambda: len(whole.spooled()) > before + 1, 60)
    whole.world.programs.restart("collector")
    goes_on(whole)
    assert_nothing_lost(whole)


def test_kill_receive_alone_is_restarted_by_the_supervisor(whole: Whole) -> None:
    collector = psutil.Process(whole.world.programs.running["collector"].process.pid)
    receive = next(c for c in collector.children(recursive=True) if "receive" in c.cmdline())
    os.kill(receive.pid, signal.SIGKILL)
    goes_on(whole)
    assert_nothing_lost(whole)


def test_kill_influxdb(whole: Whole) -> None:
    whole.world.programs.kill("influxd")
    tests, begin = len(whole.tests()), time.monotonic()
    eventually("the ledger goes on without InfluxDB", lambda: len(whole.tests()) > tests, 60)
    assert time.monotonic() - begin < 60
    whole.world.programs.restart("influxd")
    goes_on(whole)
    assert_nothing_lost(whole)


@pytest.mark.timeout(600)
def test_a_killed_probe_turns_its_tile_and_fires_the_alert(whole: Whole) -> None:
    """The last will goes out, the series says silent, the rule fires, and the runbook says what to do."""
    silent = next(alert for alert in ALERTS if alert.name == "silent-probe")
    eventually("the probe is not silent", lambda: PLACE.probe not in silent_tile(whole) | firing(whole, silent), 120)
    whole.world.programs.kill(PLACE.probe)
    try:
        eventually("its tile has turned", lambda: PLACE.probe in silent_tile(whole), 200)
        eventually("the alert's query fires", lambda: PLACE.probe in firing(whole, silent), 30)
    finally:
        whole.world.programs.restart(PLACE.probe)
    runbook = (Path(__file__).parents[2] / "docs" / "runbook.md").read_text(encoding="utf-8")
    told = runbook.partition(f'<a id="{silent.anchor}"></a>')[2].partition("<a id=")[0]
    assert "**Làm gì.**" in told
    assert "**What to do.**" in told
    goes_on(whole)
    eventually("its tile has turned back", lambda: PLACE.probe not in silent_tile(whole) | firing(whole, silent), 120)


def silent_tile(whole: Whole) -> set[str]:
    """Probes that the fleet board's table of silent ones lists now."""
    now_ms = time.time_ns() // 1_000_000
    sent = bind(QUERIES["silent_probes"], Scope(now_ms - 86_400_000, now_ms + 60_000))
    return {one["tags"]["probe"] for one in Influx(whole.world.influx_url, "dosong").query(sent)}


def firing(whole: Whole, alert: Alert) -> set[str]:
    """Probes for which a rule fires now, asked as Grafana's back end asks."""
    now_ms = time.time_ns() // 1_000_000
    ((ref, text),) = queries(alert)
    sent = expand(text, now_ms - alert.range_s * 1000, now_ms + 60_000, 60_000)
    found = Influx(whole.world.influx_url, "dosong").query(sent)
    last = {one["tags"]["probe"]: one["values"][-1][one["columns"].index("value")] for one in found}
    return {probe for probe, value in last.items() if fires(alert, {ref: value})}
