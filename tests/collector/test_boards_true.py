"""Boards stay right while the register changes: two probes in one hamlet, a merger, a probe that was carried elsewhere.

Real ledger, real registry, the real forwarder, a real influxd; the catalogue's queries as a board sends them, compared
with the ledger in both directions: nothing missing, and nothing left standing where nothing is any more.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.boards import same
from collector import forward as forwarding
from collector.catalogue import QUERIES, Scope, bind
from collector.catalogue.ledger import Held, answer, chosen
from collector.core.clock import DAY_MS, HOUR_MS, month_of
from collector.forward import Forwarder
from collector.forward_store import ForwardStore
from collector.health import now_ms
from collector.influx import Influx as Writer
from collector.ledger import LedgerReader
from collector.published import fill_new, forward_target
from collector.registry import Registry
from collector.rollups import Rollups
from collector.settings import Settings, read_settings
from grafana.harness import Asked
from grafana.influx import Influx as Reader
from tests.collector.door import Door
from tests.collector.kit import Deployment, FakeProbe, Influx, document, until
from wire.records import TestRecord

pytestmark = [pytest.mark.services, pytest.mark.timeout(300)]
OF_UNITS = (
    *("province_totals", "commune_totals", "commune_tests", "hamlets_measured", "communes", "hamlets_of_commune"),
    *("hamlet_operators", "commune_days", "province_days", "not_counted", "commune_failures", "operators"),
)
MONTH_MS = month_of(month_of(now_ms())[0] - 1)[0]
"""The month before this one: whole, and its newest point is the newest month of every unit."""
FIRST_DAY, SECOND_DAY = MONTH_MS + 3 * DAY_MS, MONTH_MS + 4 * DAY_MS
HAMLET = {"kind": "xóm", "commune": "05755"}
SITE = {"name": "Nhà văn hóa", "valid_from_ms": 0}
UNITS = {
    "communes": [
        {"code": "05755", "name": "Xã Phú Xuyên", "province": "19"},
        {"code": "05758", "name": "Xã Ea H'leo (cũ)", "province": "19"},
    ],
    "hamlets": [
        {"code": "h-a", "name": "3. (cũ)", **HAMLET},
        {"code": "h-b", "name": "Buôn M'lớt", **HAMLET},
        {"code": "h-c", "name": 'Bản "Mới" [A]', **HAMLET, "commune": "05758"},
    ],
    "sites": [
        {"code": "s-one", "hamlet": "h-a", "lat_e7": 215_000_000, "lon_e7": 1_058_000_000, **SITE},
        {"code": "s-c", "hamlet": "h-c", "lat_e7": 216_000_000, "lon_e7": 1_059_000_000, **SITE},
    ],
}


class Boards:
    """A collector whose forwarder runs beside the test, and boards' questions to its two databases."""

    def __init__(self, folder: Path, influx: Influx, *probes: FakeProbe) -> None:
        url = f"http://127.0.0.1:{influx.port}"
        settings = f'url = "{url}"\napi = "v1"\ndatabase = "dosong"\npublic = "open"'
        self.settings: Settings = read_settings(Deployment(folder, 'socket = "none.sock"', influx=settings).config)
        self.door = Door(self.settings.state, *probes)
        self.door.registry.load(document(*probes, **UNITS))
        self.office, self.public = Reader(url, "dosong"), Reader(url, "open")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        made = {"dosong", "open"}
        until(lambda: made <= {row[0] for one in self.office.query("SHOW DATABASES") for row in one.get("values", ())})

    def _run(self) -> None:
        store, registry = ForwardStore(self.settings.forward), Registry(self.settings.registry)
        fill_new(store, self.settings.influx.public)
        reader, writer = LedgerReader(self.settings.ledger), forward_target(self.settings, Writer)
        Forwarder(self.settings, reader, registry, store, writer, self._stop).run()
        for one in (store, registry, reader, writer):
            one.close()

    def close(self) -> None:
        """Stop the forwarder; twice does no harm."""
        if self._stop.is_set():
            return
        self._stop.set()
        self._thread.join(30)
        self.door.close()

    def change(self, **lists: Any) -> None:
        """The registry hears something new; records that it concerns are judged again."""
        self.door.registry.load(lists, now_ms())
        while self.door.ingest.follower.step():
            pass

    def ask(self, name: str, database: Reader | None = None, **codes: list[str]) -> Asked:
        """A query of the catalogue over two months, of some units; those of probes over the last hour."""
        recent = "probe_state" in QUERIES[name].influxql
        scope = Scope(now_ms() - HOUR_MS if recent else MONTH_MS, now_ms() + HOUR_MS, **codes)
        text = bind(QUERIES[name], scope)
        return Asked("", "", text, tuple((database or self.office).query(text)), name=name)

    def faults(self, **codes: list[str]) -> list[str]:
        """Queries whose answer is not the ledger's, in either direction."""
        every = list(Rollups(self.door.reader).days(MONTH_MS, now_ms() + HOUR_MS))
        found = []
        for name in OF_UNITS:
            tags, asked = QUERIES[name].tags, self.ask(name, **codes)
            days = chosen(every, codes if "$commune" in QUERIES[name].influxql else {})
            held = Held(days, days, days)
            if not days and not asked.series:
                continue
            ours = {tuple(row[tag] for tag in tags) for row in answer(name, held)}
            theirs = {tuple(one.get("tags", {}).get(tag, "") for tag in tags) for one in asked.series}
            if same(name, asked, held) == "no" or (tags and ours != theirs):
                found.append(name)
        return found + ([] if self._referrals(**codes) == self._coded(codes.get("commune")) else ["referrals"])

    def _referrals(self, **codes: list[str]) -> Counter[str]:
        series = self.ask("referrals", **codes).series
        return Counter({one["tags"]["referral"]: one["values"][0][1] for one in series})

    def _coded(self, communes: list[str] | None) -> Counter[str]:
        """Tests by referral code, from the records themselves."""
        samples = self.door.reader.samples(kind="test", limit=10_000)
        inside = [one for one in samples if communes is None or one.commune in communes]
        codes = (one.record.referral for one in inside if isinstance(one.record, TestRecord))
        return Counter(code for code in codes if code)

    def right(self, what: str) -> None:
        """Wait until every question about every choice of communes is answered as the ledger answers it."""
        for communes in ([], ["05755"], ["05758"], ["05755", "05758"]):
            codes = {"commune": communes} if communes else {}
            until(lambda codes=codes: not self.faults(**codes), 60, f"{what}: {communes}: {self.faults(**codes)}")

    def hamlets(self, database: Reader | None = None) -> set[str]:
        """Hamlets that the map shows."""
        return {one["tags"]["hamlet"] for one in self.ask("sites", database).series}

    def communes(self, database: Reader | None = None) -> set[str]:
        """Communes of the province's ranking."""
        return {one["tags"]["commune"] for one in self.ask("communes", database).series}

    def probes(self, commune: str) -> set[tuple[str, str]]:
        """(probe, hamlet) of the fleet's table of one commune."""
        tags = (one["tags"] for one in self.ask("fleet", commune=[commune]).series)
        return {(tag["probe"], tag["hamlet"]) for tag in tags}


@pytest.fixture
def boards(
    tmp_path: Path, influx: Influx, one: FakeProbe, two: FakeProbe, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Boards]:
    for name in ("BOARDS_EVERY_S", "PROBE_STATE_EVERY_S", "ROLLUPS_EVERY_S"):
        monkeypatch.setattr(forwarding, name, 0.2)
    monkeypatch.setattr("collector.board_lines.REST", 0)
    monkeypatch.setattr("collector.unit_lines.EVERY_MS", {"day": 200, "tests": 200, "month": 200})
    monkeypatch.setattr("collector.unit_lines.FIRST_MS", 200)
    made = Boards(tmp_path, influx, one, two)
    kinds = "collector.board_lines.BoardLines._refusals"
    monkeypatch.setattr(kinds, lambda *_: iter(()))
    yield made
    made.close()


def day_of_tests(probe: FakeProbe, day_ms: int, tests: int = 7) -> list[bytes]:
    """Tests from eight in the morning on, the last one failed, and one record of coverage."""
    times = [day_ms + 8 * HOUR_MS + n * 600_000 for n in range(tests)]
    made = [
        probe.test(t_ms=at, slot_ms=at, downlink_bps=20_000_000 + 1_000_000 * n, host={"cpu_temp_c_x10": 500 + n})
        for n, at in enumerate(times[:-1])
    ]
    failed = {"outcome": "failed", "stage": "connect", "cause": "server_unreachable"}
    none = dict.fromkeys(("downlink_bps", "uplink_bps", "rtt_us_median"))
    made.append(probe.test(t_ms=times[-1], slot_ms=times[-1], **failed, **none))
    return [*made, probe.coverage(t_ms=day_ms + 9 * HOUR_MS)]


def test_two_in_one_hamlet_then_one_merged_then_one_moved(boards: Boards, one: FakeProbe, two: FakeProbe) -> None:
    for probe in (one, two):
        for day_ms in (FIRST_DAY, SECOND_DAY):
            boards.door.take(probe.probe, *day_of_tests(probe, day_ms))
    boards.right("two probes in one hamlet")
    assert boards.hamlets() == boards.hamlets(boards.public) == {"h-a", "h-c"}
    assert {one["tags"]["hamlet"] for one in boards.ask("hamlets_of_commune").series} == {"h-a"}
    until(lambda: boards.probes("05755") == {("p-one", "h-a"), ("p-two", "h-a")})
    (row,) = boards.ask("commune_totals", commune=["05755"]).series
    assert row["values"][0][1:] == [28, 24, 4]

    merged = {"hamlet": "h-a", "how": "merged", "successors": "h-b", "valid_from_ms": SECOND_DAY, "source": "NQ 9"}
    boards.change(hamlet_ends=[merged])
    boards.right("one hamlet merged into another since the second day")
    until(lambda: boards.hamlets() == boards.hamlets(boards.public) == {"h-b", "h-c"}, what="the map after the merger")
    until(lambda: boards.probes("05755") == {("p-one", "h-b"), ("p-two", "h-b")}, what="the fleet after the merger")
    assert {one["tags"]["hamlet"] for one in boards.ask("hamlets_of_commune").series} == {"h-a", "h-b"}

    boards.change(assignments=[{"probe": "p-two", "site": "s-c", "valid_from_ms": MONTH_MS}])
    boards.right("one probe moved to another commune")
    until(lambda: boards.probes("05755") == {("p-one", "h-b")}, what="the fleet where it stood")
    until(lambda: boards.probes("05758") == {("p-two", "h-c")}, what="the fleet where it stands")
    (troubles,) = boards.ask("fleet_troubles").series
    assert troubles["values"][0][1] == 2

    boards.change(assignments=[{"probe": "p-one", "site": "s-c", "valid_from_ms": MONTH_MS}])
    boards.right("a commune that has nothing left")
    assert boards.communes() == {"05758"}
    until(lambda: boards.communes(boards.public) == {"05758"}, what="the public database too")


def test_a_public_database_that_is_new_gets_the_history(boards: Boards, one: FakeProbe) -> None:
    boards.door.take(one.probe, *day_of_tests(one, FIRST_DAY))
    boards.right("one day")
    boards.close()
    store = ForwardStore(boards.settings.forward)
    try:
        assert store.position() > 0
        fill_new(store, "open")
        assert store.position() > 0, "the same database as before: nothing is written again"
        fill_new(store, "later")
        assert store.position() == 0
    finally:
        store.close()
