"""Counts by hamlet, hour and operator: what InfluxDB lost behind a 204 comes back; rollup points are the rollups."""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import sqlite3
import threading
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.core.clock import DAY_MS, HOUR_MS, day_of, hour_of
from collector.health import now_ms, read_health
from collector.rollups import Rollups
from tests.collector.conftest import Bench
from tests.collector.kit import SLOT_MS, T0_MS, FakeProbe, Influx, Service, document, free_port, until
from tests.collector.test_forward import count, query, query_post

pytestmark = pytest.mark.services
RATES = (5_000_000, 1_000_000, 4_000_000, 2_000_000, 3_000_000)


def test_hours_and_days_are_points_with_exact_medians(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", *[one.test(downlink_bps=rate, t_ms=T0_MS + n) for n, rate in enumerate(RATES)])
    full.field.send("p-one", one.test(outcome="failed", stage="connect", cause="timeout", t_ms=T0_MS + HOUR_MS))
    until(lambda: count(influx, "test_1h", "tests") == 2, 30, "two hours")
    names = "tests, counted, failed, downlink_bps_n, downlink_bps_p50, downlink_bps_mean, hamlet, plmn"
    hours = query(influx, f"SELECT {names} FROM test_1h")[0]["values"]  # noqa: S608
    assert hours[0] == [hour_of(T0_MS) * 10**6, 5, 5, 0, 5, 3_000_000, 3_000_000, "h-dong-chuoi", "45204"]
    assert hours[1][1:5] == [1, 0, 1, 0]
    day = until(lambda: [r for s in query(influx, f"SELECT {names} FROM test_1d") for r in s["values"] if r[1] == 6])  # noqa: S608
    assert day[0][:7] == [day_of(T0_MS)[0] * 10**6, 6, 5, 1, 5, 3_000_000, 3_000_000]
    # A late record is in its hour's point, which is written again and not beside it.
    full.field.send("p-one", one.test(downlink_bps=9_000_000, t_ms=T0_MS + 7))
    until(lambda: query(influx, "SELECT counted FROM test_1h")[0]["values"][0][1] == 6, 30, "the late one")
    assert count(influx, "test_1h", "tests") == 2


def test_a_database_that_was_dropped_is_filled_again(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", *[one.test() for _ in range(40)], one.coverage())
    until(lambda: count(influx, "test_1h", "tests") == 8, 30)
    query_post(influx, "DROP DATABASE dosong")
    full.field.send("p-one", one.test())
    until(lambda: count(influx, "test", "seq") == 41, 60, "all of it")
    until(lambda: "DIFFERENT" not in full.deployment.call("reconcile").stdout, 30)


def test_points_that_went_missing_are_named_and_written_again(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", *[one.test() for _ in range(40)], one.coverage())
    until(lambda: count(influx, "test", "seq") == 40 and count(influx, "coverage", "state") == 5)
    assert full.forward.stop() == 0
    gone, more = (hour_of(T0_MS) + n * HOUR_MS for n in (1, 5))
    span = f"time >= {gone}ms AND time < {gone + HOUR_MS}ms"
    query_post(influx, f'DELETE FROM "test" WHERE {span}', db="dosong")  # noqa: S608
    stale = f"test,province=19,commune=05755,hamlet=h-dong-chuoi,probe=p-old,plmn=45204 seq=1i {more * 10**6}"
    urllib.request.urlopen(f"http://127.0.0.1:{influx.port}/write?db=dosong", stale.encode(), timeout=10).close()
    told = full.deployment.call("reconcile")
    assert told.returncode == 1
    named = [line.split(": ", 1)[1] for line in told.stdout.splitlines() if line.startswith("test h-dong-chuoi")]
    assert sorted(named) == [
        "ledger 6, InfluxDB 0: DIFFERENT",
        "ledger 6, InfluxDB 7: DIFFERENT",
    ]
    full.forward.start()
    until(lambda: "2 differed and were written again, 0 still differ" in full.forward.text(), 30)
    assert full.deployment.call("reconcile").returncode == 0


class Proxy:
    """Between forward and a server: while `faulty`, it forwards requests and hangs up before the answer."""

    def __init__(self, port: int) -> None:
        self.faulty = True
        self.cut = 0
        self._is_write = False
        self._behind = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        threads = []
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threads.append(threading.Thread(target=self._pass, args=(client,)))
                threads[-1].start()
        for thread in threads:
            thread.join()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._behind)) as server:
            back = threading.Thread(target=self._back, args=(server, client))
            back.start()
            with contextlib.suppress(OSError):
                while request := client.recv(65536):
                    self._is_write = request.startswith(b"POST /write") or (
                        self._is_write and not request.startswith(b"POST")
                    )
                    server.sendall(request)
            with contextlib.suppress(OSError):
                server.shutdown(socket.SHUT_RDWR)
            back.join()

    def _back(self, server: socket.socket, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while answer := server.recv(65536):
                if self.faulty and self._is_write:
                    self.cut += 1
                    break
                client.sendall(answer)
            client.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


def test_a_server_that_takes_and_does_not_answer_gets_the_same_again(
    tmp_path: Path, one: FakeProbe, influx: Influx
) -> None:
    proxy = Proxy(influx.port)
    target = f'url = "http://127.0.0.1:{proxy.port}"\napi = "v1"\ndatabase = "dosong"'
    bench = Bench(tmp_path, one, influx=target)
    try:
        bench.receiving()
        bench.forward.start()
        bench.field.send("p-one", *[one.test() for _ in range(20)])
        until(lambda: proxy.cut >= 2, 30, "requests that were cut")
        proxy.faulty = False
        until(lambda: "takes points" in bench.forward.text(), 40)
        until(lambda: count(influx, "test", "seq") == 20, 30)
        assert bench.deployment.call("reconcile").returncode == 0
    finally:
        bench.close()
        proxy.close()


class Victoria(Service):
    """A real victoria-metrics, which takes InfluxDB's lines by `/api/v2/write`."""

    def __init__(self, folder: Path, retention: str = "100y") -> None:
        program = shutil.which("victoria-metrics")
        if program is None:
            pytest.skip("victoria-metrics is not installed (scripts/setup.sh test installs it)")
        self.port = free_port()
        self.storage = folder / "vm"
        words = (f"-httpListenAddr=127.0.0.1:{self.port}", f"-storageDataPath={self.storage}")
        # A point that is written again must be one point.
        more = (
            f"-retentionPeriod={retention}",
            "-dedup.minScrapeInterval=1ms",
            "-loggerLevel=ERROR",
            "-search.latencyOffset=0s",
        )
        super().__init__([program, *words, *more], folder / "vm.log")

    def count(self, name: str) -> int:
        """How many points a series name has in all."""
        base = f"http://127.0.0.1:{self.port}"
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{base}/internal/force_flush", timeout=5).close()  # noqa: S310
            match = urllib.parse.quote(f'{{__name__="{name}"}}')
            with urllib.request.urlopen(f"{base}/api/v1/export?match[]={match}", timeout=5) as answer:  # noqa: S310
                return sum(len(json.loads(row)["values"]) for row in answer.read().splitlines())
        return -1


@contextlib.contextmanager
def to_victoria(folder: Path, one: FakeProbe, **words: Any) -> Iterator[tuple[Bench, Victoria]]:
    """A collector whose points go there; the server is not started."""
    server = Victoria(folder, **words)
    (folder / "token").write_text("not-checked")
    target = f'url = "http://127.0.0.1:{server.port}"\napi = "v2"\nbucket = "b"\norg = "o"\ntoken_file = "token"'
    bench = Bench(folder, one, influx=target)
    try:
        bench.receiving()
        yield bench, server
    finally:
        bench.close()
        server.stop()


def test_victoria_metrics_that_was_down_and_then_wiped_is_filled(tmp_path: Path, one: FakeProbe) -> None:
    days = [T0_MS + n * DAY_MS // 4 for n in range(12)]
    with to_victoria(tmp_path, one) as (bench, server):
        bench.forward.start()
        bench.field.send("p-one", *[one.test(t_ms=t, slot_ms=t) for t in days], one.coverage())
        until(lambda: bench.field.upto("p-one") == 12)
        until(lambda: "trying again for ever" in bench.forward.text())
        server.start()
        until(lambda: server.count("test_seq") == 12, 40, "what waited for days")
        until(lambda: bench.deployment.call("reconcile").returncode == 0, 30, "equal by hamlet, hour and operator")
        server.kill()
        shutil.rmtree(server.storage)
        bench.field.send("p-one", one.test())
        until(lambda: bench.forward.text().count("trying again for ever") == 2, 30)
        server.start()
        until(lambda: server.count("test_seq") == 13, 60, "what was wiped")
        assert bench.deployment.call("rebuild", "influx").returncode == 0


def test_what_a_server_says_204_to_and_drops_is_told_and_not_for_ever(tmp_path: Path, one: FakeProbe) -> None:
    """With a retention of a month records of half a year ago are taken and are not there."""
    old = now_ms() - 180 * DAY_MS
    with to_victoria(tmp_path, one, retention="1") as (bench, server):
        server.start()
        bench.field.send("p-one", *[one.test(t_ms=old + n, slot_ms=old + n) for n in range(3)])
        until(lambda: bench.field.upto("p-one") == 2)
        bench.forward.start()
        until(lambda: "3 differed" in bench.forward.text() or "1 differed" in bench.forward.text(), 40, "told")
        assert "does a retention policy drop them?" in bench.forward.text()
        state = until(lambda: read_health(bench.deployment.state, now_ms()).forward)
        assert until(lambda: read_health(bench.deployment.state, now_ms()).forward.unequal == 1, 20)
        assert state.influx_error is None
        assert "wiped" not in bench.forward.text()


def test_what_is_touched_survives_a_kill_between_record_and_rollup_point(
    full: Bench, one: FakeProbe, influx: Influx
) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", *[one.test() for _ in range(12)])
    until(lambda: count(influx, "test", "seq") == 12)
    full.forward.kill()
    with contextlib.closing(sqlite3.connect(full.deployment.state / "forward.db")) as held:
        waiting = held.execute("SELECT count(*) FROM touched").fetchone()[0]
    hours = len(next(iter(dict(Rollups(full.reader).days(0, T0_MS + DAY_MS)).values())))
    full.forward.start()
    until(lambda: count(influx, "test_1h", "tests") == hours, 30, f"rollup points ({waiting} days waited)")


def test_a_probe_that_stood_elsewhere_since_last_week_has_its_points_there(
    full: Bench, one: FakeProbe, influx: Influx
) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", *[one.test() for _ in range(12)], one.coverage(), one.event())
    until(lambda: count(influx, "test_1h", "tests") >= 3, 30)
    full.deployment.load(
        one,
        hamlets=[{"code": "h-two", "name": "Hai", "kind": "xóm", "commune": "05755"}],
        sites=[{"code": "s-two", "hamlet": "h-two", "name": "Nhà văn hóa"}],
        probes=[{**document(one)["probes"][0], "site": "s-two", "valid_from_ms": T0_MS + 6 * SLOT_MS}],
    )

    def by_hamlet(measurement: str, field: str) -> dict[str, int]:
        found = query(influx, f'SELECT sum("{field}") FROM "{measurement}" GROUP BY hamlet')  # noqa: S608
        return {series["tags"]["hamlet"]: series["values"][0][1] for series in found}

    until(lambda: by_hamlet("test", "counted") == {"h-dong-chuoi": 6, "h-two": 6}, 60, "tests where they were made")
    until(lambda: by_hamlet("test_1h", "tests") == {"h-dong-chuoi": 6, "h-two": 6}, 60, "hours")
    until(lambda: by_hamlet("test_1d", "tests") == {"h-dong-chuoi": 6, "h-two": 6}, 60, "days")
    assert by_hamlet("coverage", "covered") == {"h-two": 2}
    assert full.deployment.call("reconcile").returncode == 0
