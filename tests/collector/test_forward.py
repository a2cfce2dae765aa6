"""forward with a real InfluxDB 1.x: everything arrives, outages and poison included, counts equal."""

from __future__ import annotations

import contextlib
import http.server
import json
import shutil
import sqlite3
import threading
import time
import urllib.parse
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from collector.forward import lines_of
from collector.forward_send import write_all
from collector.health import now_ms, read_health
from collector.influx import Influx as InfluxWriter
from collector.rebuild import rebuild
from collector.settings import read_settings
from tests.collector.conftest import Bench
from tests.collector.door import Door
from tests.collector.kit import T0_MS, Deployment, FakeProbe, Influx, Service, free_port, until
from wire.errors import Misconfigured, Refused, Unavailable

pytestmark = pytest.mark.services
SERIES = (
    "test,province=19,commune=05755,hamlet=h-dong-chuoi,probe=p-one,modem=m1,plmn=45204,rat=LTE,"
    "engine=speedtest-cli,referral=TN1"
)


def query(influx: Influx, influxql: str) -> list[dict[str, Any]]:
    """One statement at the real server."""
    text = urllib.parse.urlencode({"db": "dosong", "epoch": "ns", "q": influxql})
    with urllib.request.urlopen(f"http://127.0.0.1:{influx.port}/query?{text}", timeout=10) as answer:
        return json.loads(answer.read())["results"][0].get("series", [])


def count(influx: Influx, measurement: str, field: str, where: str = "") -> int:
    series = query(influx, f'SELECT count("{field}") FROM "{measurement}" {where}')  # noqa: S608
    return series[0]["values"][0][1] if series else 0


def test_points_carry_the_record(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", one.test(), one.coverage("CCDNU", "..nsz"), one.event("stopping"))
    until(lambda: count(influx, "probe_state", "event") == 1)
    series = query(influx, "SELECT * FROM test")[0]
    row = dict(zip(series["columns"], series["values"][0], strict=True))
    assert row["time"] == T0_MS * 1_000_000
    assert row["downlink_bps"] == 20_000_000
    assert (row["hamlet"], row["plmn"], row["rat"], row["engine"]) == ("h-dong-chuoi", "45204", "LTE", "speedtest-cli")
    assert (row["ok"], row["failed"], row["counted"], row["simulated"]) == (1, 0, 1, 0)
    steps = query(influx, "SELECT state, cause FROM coverage")[0]["values"]
    assert [(s[1], s[2]) for s in steps] == [
        (3, "none"),
        (3, "none"),
        (2, "not_lte"),
        (1, "searching"),
        (0, "unknown"),
    ]
    assert query(influx, "SELECT hamlet_name, probes FROM site")[0]["values"][0][1:] == ["Xóm Đồng Chuối", 1]


@pytest.mark.rates
def test_a_point_is_in_the_database_within_two_seconds(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", one.test())
    until(lambda: count(influx, "test", "seq") == 1)
    began = time.monotonic()
    full.field.send("p-one", one.test())
    until(lambda: count(influx, "test", "seq") == 2)
    assert time.monotonic() - began < 2.0


def test_an_outage_of_influxdb_leaves_ingest_alone_and_is_caught_up(
    full: Bench, one: FakeProbe, influx: Influx
) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", one.test())
    until(lambda: count(influx, "test", "seq") == 1)
    influx.kill()
    for _ in range(30):
        full.field.send("p-one", one.test(), one.coverage())
    until(lambda: full.field.upto("p-one") == 60)
    until(lambda: "trying again for ever" in full.forward.text())
    state = read_health(full.deployment.state, now_ms()).forward
    assert state is not None
    assert "does not answer" in (state.influx_error or "")
    influx.start()
    until(lambda: count(influx, "test", "seq") == 31 and count(influx, "coverage", "state") == 150, 30)
    done = full.deployment.call("reconcile")
    assert (done.returncode, "DIFFERENT" in done.stdout) == (0, False), done
    assert full.forward.text().count("trying again for ever") == 1


def test_killed_forward_loses_and_doubles_nothing(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    for _ in range(3):
        full.forward.start()
        for _ in range(40):
            full.field.send("p-one", one.test(), one.coverage())
        until(lambda: count(influx, "test", "seq") > 0)
        full.forward.kill()
    full.forward.start()
    until(lambda: count(influx, "test", "seq") == 120 and count(influx, "coverage", "state") == 600)
    assert full.deployment.call("reconcile").returncode == 0


def test_a_poison_point_is_parked_and_the_rest_goes_on(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    until(lambda: "takes points" in full.forward.text())
    # The server now holds `rtt_us_median` of this series as a word: an integer there is refused for ever.
    poison = f'{SERIES} rtt_us_median="word" {T0_MS * 1_000_000 - 1}'
    urllib.request.urlopen(f"http://127.0.0.1:{influx.port}/write?db=dosong", poison.encode(), timeout=10).close()
    bad = one.test()
    good = [one.test(rtt_us_median=None) for _ in range(9)]
    full.field.send("p-one", bad, *good)
    until(lambda: count(influx, "test", "seq") == 9)
    until(lambda: "parked one line" in full.forward.text())
    with contextlib.closing(sqlite3.connect(full.deployment.state / "forward.db")) as held:
        rows = held.execute("SELECT reason, line FROM parked").fetchall()
    assert len(rows) == 1
    assert "rtt_us_median" in rows[0][0]
    assert rows[0][1].startswith("test,")
    full.field.send("p-one", one.test(rtt_us_median=None))
    until(lambda: count(influx, "test", "seq") == 10)


def test_a_record_dated_later_is_forwarded_then(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", one.test(t_ms=None, clock="unsynced", t_src="none", slot_ms=T0_MS), one.test())
    until(lambda: count(influx, "test", "seq") == 1)
    full.field.send("p-one", one.event("clock_set", set_mono_ms=0, set_t_ms=T0_MS))
    until(lambda: count(influx, "test", "seq") == 2)
    assert query(influx, "SELECT counted FROM test")[0]["values"][0] == [T0_MS * 1_000_000, 1]
    with contextlib.closing(sqlite3.connect(full.deployment.state / "forward.db")) as held:
        until(lambda: held.execute("SELECT max(redo) FROM cursor").fetchone()[0] == 1, what="the change is done once")


def test_rebuild_fills_an_empty_database_with_equal_counts(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", *[one.test() for _ in range(20)], one.coverage(), one.event())
    until(lambda: count(influx, "probe_state", "event") == 1)
    full.forward.stop()  # it would fill the database by itself
    query_post(influx, "DROP DATABASE dosong")
    assert full.deployment.call("reconcile").returncode == 1
    done = full.deployment.call("rebuild", "influx")
    assert done.returncode == 0, done
    assert "test p-one: ledger 20, InfluxDB 20: equal" in done.stdout
    full.forward.start()
    full.field.send("p-one", one.test())
    until(lambda: count(influx, "test", "seq") == 21)


def query_post(influx: Influx, influxql: str, db: str = "") -> None:
    text = urllib.parse.urlencode({"q": influxql, **({"db": db} if db else {})}).encode()
    urllib.request.urlopen(f"http://127.0.0.1:{influx.port}/query", text, timeout=10).close()


def test_a_login_that_is_refused_is_one_sentence_and_78(tmp_path: Path, one: FakeProbe) -> None:
    service = Influx(tmp_path, auth=True)
    service.start()
    try:
        base = f'url = "http://127.0.0.1:{service.port}"\napi = "v1"\ndatabase = "dosong"\n'
        deployment = Deployment(tmp_path, 'socket = "x"', one, influx=base)
        Door(deployment.state).close()
        query_post(service, "CREATE USER boss WITH PASSWORD 'right' WITH ALL PRIVILEGES")
        done = deployment.call("forward")
        assert done.returncode == 78
        assert "refuses the login (401)" in done.stderr.splitlines()[-1]
        login = 'username = "boss"\npassword_file = "pw"'
        deployment.config.write_text(deployment.config.read_text().replace("[web]", f"{login}\n[web]"))
        (tmp_path / "pw").write_text("right\n")
        forward = deployment.program("forward")
        forward.start()
        until(lambda: "takes points" in forward.text())
        assert forward.stop() == 0
        assert "right" not in forward.text()
    finally:
        service.stop()


def test_a_login_that_may_only_write_is_enough(tmp_path: Path, one: FakeProbe) -> None:
    service = Influx(tmp_path, auth=True)
    service.start()
    try:
        query_post(service, "CREATE USER boss WITH PASSWORD 'b' WITH ALL PRIVILEGES")
        boss = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        boss.add_password(None, f"http://127.0.0.1:{service.port}/", "boss", "b")
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(boss))
        for text in ("CREATE DATABASE dosong", "CREATE USER pen WITH PASSWORD 'p'"):
            opener.open(f"http://127.0.0.1:{service.port}/query", urllib.parse.urlencode({"q": text}).encode()).close()
        base = f'url = "http://127.0.0.1:{service.port}"\napi = "v1"\ndatabase = "dosong"\n'
        login = 'username = "pen"\npassword_file = "pw"'
        deployment = Deployment(tmp_path, 'socket = "x"', one, influx=base + login)
        (tmp_path / "pw").write_text("p\n")
        Door(deployment.state).close()
        done = deployment.call("forward")
        assert done.returncode == 78
        assert "does not let this login write to dosong" in done.stderr
        assert "grant it WRITE" in done.stderr
        grant = urllib.parse.urlencode({"q": "GRANT WRITE ON dosong TO pen"}).encode()
        opener.open(f"http://127.0.0.1:{service.port}/query", grant).close()
        forward = deployment.program("forward")
        forward.start()
        until(lambda: "takes points" in forward.text())
        assert forward.stop() == 0
    finally:
        service.stop()


class Anything(http.server.BaseHTTPRequestHandler):
    """A program that says 200 to everything, as proxies and portals do."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>Welcome</html>")

    def log_message(self, *_: object) -> None:
        """Says nothing."""


@pytest.mark.parametrize("api", ["v1", "v2"])
def test_a_program_that_says_yes_to_everything_has_taken_nothing(tmp_path: Path, api: str) -> None:
    with http.server.HTTPServer(("127.0.0.1", 0), Anything) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        base = f'url = "http://127.0.0.1:{server.server_port}"\napi = "{api}"\ndatabase = "d"\nbucket = "d"\norg = "o"'
        writer = InfluxWriter(read_settings(Deployment(tmp_path, 'socket = "x"', influx=base).config))
        try:
            with pytest.raises(Misconfigured, match="is it InfluxDB"):
                writer.write(["a b=1 1"])
            with pytest.raises(Misconfigured, match="is it InfluxDB"):
                writer.query("SHOW DATABASES")
        finally:
            writer.close()
            server.shutdown()
            thread.join()


def test_a_ledger_made_anew_is_forwarded_from_its_beginning(full: Bench, one: FakeProbe, influx: Influx) -> None:
    full.receiving()
    full.forward.start()
    full.field.send("p-one", *[one.test() for _ in range(5)])
    until(lambda: count(influx, "test", "seq") == 5)
    full.receive.stop()
    full.forward.stop()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (full.deployment.state / name).unlink(missing_ok=True)
    full.reader.close()
    full.receiving()
    full.forward.start()
    full.field.send("p-one", one.test(), one.test())
    # The points of the old ledger go or stay, as the hours are compared now or at night: the new ones are there.
    until(lambda: count(influx, "test", "seq", "WHERE seq >= 5") == 2, what="the two records of the new ledger")
    assert "restored or made anew" in full.forward.text()


class Listed:
    """A writer that refuses lines holding a word, and counts requests."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.taken: list[str] = []
        self.sizes: list[int] = []

    def prepare(self) -> None:
        """Nothing to do."""

    def write(self, lines: list[str]) -> None:
        self.sizes.append(len(lines))
        if any(self.word in line for line in lines):
            raise Refused("bad_points", "no")
        self.taken += lines


def test_what_changes_while_points_are_rebuilt_is_written_again(door: Door, one: FakeProbe) -> None:
    first = one.test()
    one.head = "A" * 43 + "="
    door.take("p-one", one.test())
    taken: list[str] = []

    class Slow(Listed):
        def write(self, lines: list[str]) -> None:
            if any(line.startswith("test") for line in lines) and not taken:
                door.take("p-one", first)  # shows that the record read just now breaks its chain
            taken.extend(line for line in lines if line.startswith("test") and "seq=1i" in line)

    rebuild(door.reader, door.registry, Slow(""), lambda _line, _reason: None, T0_MS)
    assert ["counted=1i" in line for line in taken] == [True, False]


def test_bisection_finds_every_bad_line_in_few_requests() -> None:
    lines = [f"good {n}" for n in range(12_000)]
    for at in (0, 4_999, 5_000, 11_999):
        lines[at] = f"bad {at}"
    writer = Listed("bad")
    parked: list[str] = []
    assert write_all(writer, lines, lambda line, _reason: parked.append(line)) == 11_996
    assert parked == [lines[at] for at in (0, 4_999, 5_000, 11_999)]
    assert writer.taken == [line for line in lines if line.startswith("good")]
    assert max(writer.sizes) == 5_000
    assert len(writer.sizes) < 4 * 28


def _v2(tmp_path: Path, port: int) -> InfluxWriter:
    influx = f'url = "http://127.0.0.1:{port}"\napi = "v2"\nbucket = "dosong"\norg = "o"\ntoken_file = "token"'
    deployment = Deployment(tmp_path, 'socket = "x"', influx=influx)
    (tmp_path / "token").write_text("not-checked")
    return InfluxWriter(read_settings(deployment.config))


def test_the_second_write_api_against_victoria_metrics(tmp_path: Path, one: FakeProbe) -> None:
    program = shutil.which("victoria-metrics")
    if program is None:
        pytest.skip("victoria-metrics is not installed (apt install victoria-metrics)")
    port = free_port()
    service = Service(
        [
            *(program, f"-httpListenAddr=127.0.0.1:{port}", f"-storageDataPath={tmp_path}/vm"),
            *("-retentionPeriod=100y", "-loggerLevel=ERROR", "-search.latencyOffset=0s"),
        ],
        tmp_path / "vm.log",
    )
    door = Door(tmp_path, one)
    now = now_ms() - 60_000
    door.take("p-one", *[one.test(t_ms=now + n * 1000, slot_ms=now + n * 1000) for n in range(3)])
    writer = _v2(tmp_path, port)
    service.start()
    try:
        until(lambda: _takes(writer, lines_of(door.reader.samples())), what="victoria-metrics")
        match = urllib.parse.quote('{__name__="test_downlink_bps"}')
        address = f"http://127.0.0.1:{port}/api/v1/export?match[]={match}"

        def exported() -> list[Any]:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/internal/force_flush", timeout=5).close()
            with urllib.request.urlopen(address, timeout=5) as answer:
                return [json.loads(row) for row in answer.read().splitlines()]

        found = until(exported)
        assert found[0]["values"] == [20_000_000] * 3
        assert found[0]["metric"]["hamlet"] == "h-dong-chuoi"
        assert found[0]["timestamps"] == [now, now + 1000, now + 2000]
    finally:
        writer.close()
        service.stop()
        door.close()


def _takes(writer: InfluxWriter, lines: list[str]) -> bool:
    with contextlib.suppress(Unavailable):
        writer.write(lines)
        return True
    return False


def test_the_second_write_api_translates_what_goes_wrong(tmp_path: Path, influx: Influx) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    writer = _v2(folder, influx.port)  # 1.6 has no /api/v2/write: the wrong api in the settings
    with pytest.raises(Misconfigured, match="api v2"):
        writer.write(["a b=1 1"])
    influx.kill()
    with pytest.raises(Unavailable, match="does not answer"):
        writer.write(["a b=1 1"])
    writer.close()
