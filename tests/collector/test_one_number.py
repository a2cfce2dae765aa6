"""One month, one truth: every figure on page, board, CSV, API, report and evidence pack is what really happened.

The truth is kept by this test while it plays the month, with sums of its own and none of ours: two stations of one
commune, missed slots, failed and partial tests, two tests in a slot, a foreign referral code, a suspect clock, a clock
that was set later, duplicates, records that came after the month, a hamlet merged into its neighbour on the 16th, and a
commune that was re-typed from xã to phường.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask.testing import FlaskClient

from collector.catalogue import QUERIES, Scope, bind
from collector.catalogue.ledger import Held, answer, chosen
from collector.core.clock import DAY_MS, HOUR_MS, month_of
from collector.core.period import Period
from collector.core.rollup_view import summary
from collector.evidence_pack import Packer, Wanted
from collector.influx import Influx as Writer
from collector.rebuild import rebuild
from collector.reports.desk import open_desk
from collector.reports.gather import Asked, Gatherer
from collector.rollups import Rollups
from collector.settings import InfluxSettings
from collector.web.present import Pages
from tests.collector.kit import T0_MS, FakeProbe, Influx
from tests.collector.test_forward import query
from tests.collector.test_web_world import HAMLET, World, get, world
from wire import topics

START_MS, END_MS = month_of(T0_MS)
MERGED_MS = START_MS + 15 * DAY_MS
SLOT_MS = 8 * HOUR_MS
SLOTS = (END_MS - START_MS) // SLOT_MS
BEN = "h-ben"
FIELDS = ("tests", "ok", "partial", "failed", "counted")


@dataclass
class Truth:
    """What happened, as the test itself wrote it down."""

    tests: Counter[tuple[str, str]] = field(default_factory=Counter)
    downlinks: dict[str, list[int]] = field(default_factory=lambda: defaultdict(list))
    minutes: dict[str, dict[int, str]] = field(default_factory=lambda: defaultdict(dict))
    steps: Counter[tuple[str, str]] = field(default_factory=Counter)

    def test(self, hamlet: str, outcome: str, *, counts: bool, downlink: int) -> None:
        self.tests[hamlet, "tests"] += 1
        self.tests[hamlet, outcome] += 1
        if counts:
            self.tests[hamlet, "counted"] += 1
            self.downlinks[hamlet].append(downlink)

    def window(self, hamlet: str, t_ms: int, states: str) -> None:
        held = self.minutes[hamlet]
        for at, letter in enumerate(states):
            self.steps[hamlet, letter] += 1
            if letter != "U":
                minute = t_ms + at * 60_000
                held[minute] = min(letter, held.get(minute, letter))  # C before D before N: the best holds

    def of(self, hamlet: str) -> dict[str, int]:
        return {name: self.tests[hamlet, name] for name in FIELDS}

    def whole(self) -> dict[str, int]:
        return {name: self.tests[HAMLET, name] + self.tests[BEN, name] for name in FIELDS}

    def known(self, hamlet: str) -> Counter[str]:
        return Counter(self.minutes[hamlet].values())


def median(values: list[int]) -> int:
    """The middle value that was measured; the lower one of two."""
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2]


class Month:
    """Plays the month: each station signs, some messages come twice, the last ones after the month."""

    def __init__(self, here: World, truth: Truth) -> None:
        self.here, self.truth = here, truth
        self.late: list[tuple[str, bytes]] = []

    def send(self, probe: FakeProbe, raw: bytes, t_ms: int, number: int) -> None:
        if probe.probe == "p-two" and t_ms > END_MS - 3 * DAY_MS:
            self.late.append((probe.probe, raw))
            return
        self.here.now_ms = t_ms + 5_000
        for _ in range(2 if number % 7 == 0 else 1):
            self.here.take(raw, topic=topics.up(probe.probe))

    def slot(self, probe: FakeProbe, own: str, number: int) -> None:
        slot_ms = START_MS + number * SLOT_MS
        hamlet = own if slot_ms < MERGED_MS else HAMLET
        self.coverage(probe, hamlet, slot_ms, number)
        if number % 20 != 3:  # a missed slot leaves nothing
            self.test(probe, hamlet, slot_ms, number)

    def coverage(self, probe: FakeProbe, hamlet: str, slot_ms: int, number: int) -> None:
        states = {2: "C" * 30 + "N" * 20 + "D" * 10, 6: "U" * 60}.get(number % 10, "C" * 60)
        causes = "".join({"C": ".", "N": "s", "D": "n", "U": "z"}[letter] for letter in states)
        self.truth.window(hamlet, slot_ms, states)
        self.send(probe, probe.coverage(states, causes, t_ms=slot_ms), slot_ms + HOUR_MS, number)

    def test(self, probe: FakeProbe, hamlet: str, slot_ms: int, number: int) -> None:
        t_ms = slot_ms + 2 * HOUR_MS
        downlink = 10_000_000 + 50_000 * number + (7_000_000 if probe.probe == "p-two" else 0)
        base: dict[str, Any] = {"t_ms": t_ms, "slot_ms": slot_ms, "slot_length_ms": SLOT_MS, "downlink_bps": downlink}
        no_rates: dict[str, Any] = {"downlink_bps": None, "uplink_bps": None}
        if number % 15 == 4:
            raw = probe.test(**{**base, "outcome": "failed", "stage": "dns", "cause": "timeout", **no_rates})
            self.truth.test(hamlet, "failed", counts=False, downlink=0)
        elif number % 15 == 9:
            raw = probe.test(**{**base, "outcome": "partial", "stage": "uplink", "cause": "timeout"})
            self.truth.test(hamlet, "partial", counts=False, downlink=0)
        else:
            strange: dict[str, Any] = {7: {"clock": "suspect"}, 13: {"referral": "ZZ9"}}.get(number % 25, {})
            if number % 25 == 18:
                strange = {"t_ms": None, "clock": "unsynced", "boot": f"{number:032x}", "mono_ms": 1_000}
            raw = probe.test(**{**base, **strange})
            self.truth.test(hamlet, "ok", counts=number % 25 not in (7, 13), downlink=downlink)
        self.send(probe, raw, t_ms, number)
        if number % 25 == 18 and number % 15 not in (4, 9):  # the clock was set an hour later, and dates the test
            event = probe.event("clock_set", boot=f"{number:032x}", mono_ms=1_000 + HOUR_MS, t_ms=t_ms + HOUR_MS,
                                set_mono_ms=1_000 + HOUR_MS, set_t_ms=t_ms + HOUR_MS, set_err_ms=9)  # fmt: skip
            self.send(probe, event, t_ms + HOUR_MS, 1)
        if number % 12 == 5 and number % 25 not in (7, 13) and number % 15 not in (4, 9):  # again in the same slot
            self.truth.test(hamlet, "ok", counts=False, downlink=downlink)
            self.send(probe, probe.test(**{**base, "t_ms": t_ms + 600_000}), t_ms + 600_000, 1)

    def after(self) -> None:
        """What the network held back comes three days into the next month."""
        self.here.now_ms = END_MS + 3 * DAY_MS
        for probe, raw in self.late:
            self.here.take(raw, topic=topics.up(probe))
        self.here.now_ms = END_MS - 1


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[World, Truth]]:
    with world(tmp_path_factory.mktemp("month")) as here:
        two, truth = FakeProbe("p-two"), Truth()
        place = {"lat_e7": 215_000_000, "lon_e7": 1_058_000_000}
        here.registry.load({
            "hamlets": [{"code": BEN, "name": "Bến", "kind": "xóm", "commune": "05755"}],
            "sites": [{"code": "s-two", "hamlet": BEN, "name": "Nhà văn hóa Bến", **place}],
            "probes": [{"id": "p-two", "vkey": two.signer.verifier.vkey, "site": "s-two"}],
        }, START_MS)  # fmt: skip
        here.registry.load({
            "sites": [{"code": "s-two", "hamlet": HAMLET, "name": "Nhà văn hóa Bến", **place,
                       "valid_from_ms": MERGED_MS}],
            "hamlet_ends": [{"hamlet": BEN, "how": "merged", "successors": HAMLET, "valid_from_ms": MERGED_MS}],
            "unit_names": [{"code": "05755", "name": "Phường Phú Xuyên", "valid_from_ms": MERGED_MS + 4 * DAY_MS}],
        }, END_MS)  # fmt: skip
        month = Month(here, truth)
        for number in range(SLOTS):
            month.slot(here.probe, HAMLET, number)
            month.slot(two, BEN, number)
        month.after()
        yield here, truth


def api(client: FlaskClient, path: str) -> Any:
    answer = get(client, f"/api/v1/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json


def test_the_month_has_everything_in_it(played: tuple[World, Truth]) -> None:
    here, truth = played
    assert {sample.hamlet for sample in here.reader.samples(limit=10_000)} == {HAMLET, BEN}
    reasons = {word for sample in here.reader.samples(kind="test", limit=10_000) for word in sample.not_counted}
    assert {"outcome", "clock", "referral", "same_slot"} <= reasons
    assert here.reader.deliveries().duplicate > 10
    assert truth.whole()["counted"] > 100
    assert all(truth.of(BEN)[name] for name in FIELDS)
    assert any(s.received_ms > END_MS for s in here.reader.samples(limit=10_000))


def test_the_interface_says_the_truth(played: tuple[World, Truth]) -> None:
    here, truth = played
    client = here.client("official")
    for hamlet in (HAMLET, BEN):
        found = api(client, f"hamlets/{hamlet}")["hamlet"]
        assert {name: found["counts"][name] for name in FIELDS} == truth.of(hamlet)
        assert found["figures"]["downlink_bps"]["median"] == median(truth.downlinks[hamlet])
        steps = {"C": "covered", "D": "degraded", "N": "no_service", "U": "unknown"}
        assert {k: found["counts"][word] for k, word in steps.items()} == {k: truth.steps[hamlet, k] for k in steps}
    (commune,) = api(client, "quota")["items"]
    both = truth.downlinks[HAMLET] + truth.downlinks[BEN]
    assert (commune["counted"], commune["tests"]) == (truth.whole()["counted"], truth.whole()["tests"])
    assert commune["name"] == "Phường Phú Xuyên"
    assert commune["figures"]["downlink_bps"]["n"] == len(both)
    assert commune["figures"]["downlink_bps"]["median"] == median(both)
    assert (commune["hamlets"], commune["hamlets_with_evidence"]) == (1, 1), "the merged hamlet is no more"


def test_tables_for_download_say_the_truth(played: tuple[World, Truth]) -> None:
    here, truth = played
    answer = get(here.client("official"), "/api/v1/bulk/records.csv?kind=test")
    assert answer.status_code == 200, answer.text
    rows = list(csv.DictReader(io.StringIO(answer.data.decode("utf-8-sig"))))
    for hamlet in (HAMLET, BEN):
        own = [row for row in rows if row["hamlet"] == hamlet]
        good = [row for row in own if row["counted"] == "true"]
        assert (len(own), len(good)) == (truth.of(hamlet)["tests"], truth.of(hamlet)["counted"])
        assert sorted(int(row["downlink_bps"]) for row in good) == sorted(truth.downlinks[hamlet])


def test_pages_say_the_truth(played: tuple[World, Truth]) -> None:
    here, truth = played
    client = here.client("official")
    whole = truth.whole()
    sheet = get(client, "/official").text
    shown = re.findall(r"/behind/05755/(counted|tests)[^>]*>(?:<b>)?([0-9.]+)<", sheet)
    assert {name: int(text.replace(".", "")) for name, text in shown} == {k: whole[k] for k in ("counted", "tests")}
    for unit, meant in (("05755", whole), (HAMLET, truth.of(HAMLET)), (BEN, truth.of(BEN))):
        for what in ("tests", "counted", "failed", "ok"):
            page = get(client, f"/behind/{unit}/{what}").text
            found = re.search(r'<p class="lead">([0-9.]+) lần đo', page)
            assert found is not None
            assert int(found[1].replace(".", "")) == meant[what], (unit, what)
        why = re.search(r"có ([0-9.]+) lần đo, ([0-9.]+) lần không", get(client, f"/why/{unit}").text)
        assert why is not None
        assert [int(n.replace(".", "")) for n in why.groups()] == [meant["tests"], meant["tests"] - meant["counted"]]
    assert f"{whole['counted']} / 300 mẫu" in get(client, "/today").text


def test_the_calendar_says_the_truth(played: tuple[World, Truth]) -> None:
    here, truth = played
    for hamlet in (HAMLET, BEN):
        rows = csv.DictReader(io.StringIO(get(here.client(), f"/hamlets/{hamlet}/coverage.csv").text.lstrip("\ufeff")))
        known = truth.known(hamlet)
        assert sum(int(row["minutes"]) for row in rows) == known["N"]
        share = round(known["C"] * 1_000_000 / sum(known.values()))
        page = get(here.client(), f"/hamlets/{hamlet}/coverage").text
        assert f"{share / 10_000:.1f}".replace(".", ",") in page, hamlet


def test_a_report_says_the_truth(played: tuple[World, Truth]) -> None:
    here, truth = played
    asked = Asked("month", "05755", Period(START_MS, END_MS), END_MS + 4 * DAY_MS, "vi")
    found = Gatherer(here.reader, here.registry, asked).unit_report()
    assert found.own.counted == truth.whole()["counted"]
    assert found.own.whole is not None
    assert {name: getattr(found.own.whole.counts, name) for name in FIELDS} == truth.whole()
    assert found.own.stat("downlink_bps").median == median(truth.downlinks[HAMLET] + truth.downlinks[BEN])
    assert {one.code: one.counted for one in found.units} == {h: truth.of(h)["counted"] for h in (HAMLET, BEN)}
    desk = open_desk(here.settings, here.reader, here.registry)
    kept = desk.make("month", "05755", Period(START_MS, END_MS), END_MS + 4 * DAY_MS, by="official")
    table = (desk.store.drawn(kept.id, "csv") or b"").decode("utf-8-sig")
    desk.store.close()
    rows = [row for row in csv.DictReader(io.StringIO(table)) if row["table"] != "coverage"]
    for hamlet in (HAMLET, BEN):
        own = {row["column"]: row["value"] for row in rows if row["row"] == hamlet}
        assert own["ours"] == str(truth.of(hamlet)["counted"]), own


def test_an_evidence_pack_says_the_truth(played: tuple[World, Truth]) -> None:
    here, truth = played
    raw = Packer(here.settings, here.reader, here.registry).make(Wanted("05755", Period(START_MS, END_MS))).raw
    with zipfile.ZipFile(io.BytesIO(raw)) as pack:
        head = json.loads(pack.read("manifest.json"))["headline"]
        rows = list(csv.DictReader(io.StringIO(pack.read("figures.csv").decode("utf-8-sig"))))
    assert {name: head[name] for name in FIELDS} == truth.whole()
    for row in rows:
        known = truth.known(row["hamlet"])
        assert {name: int(row[name]) for name in FIELDS} == truth.of(row["hamlet"])
        assert [int(row[name]) for name in ("covered", "degraded", "no_service")] == [known[k] for k in "CDN"]


@pytest.mark.services
def test_boards_say_the_truth(played: tuple[World, Truth], tmp_path: Path) -> None:
    here, truth = played
    (tmp_path / "influx").mkdir()
    service = Influx(tmp_path / "influx")
    service.start()
    try:
        there = InfluxSettings(url=f"http://127.0.0.1:{service.port}", database="dosong")
        writer = Writer(msgspec.structs.replace(here.settings, influx=there))
        writer.prepare()
        parked: list[str] = []
        rebuild(here.reader, here.registry, writer, lambda line, _why: parked.append(line), END_MS)
        writer.close()
        assert parked == []
        for hamlet in (HAMLET, BEN):
            where = f"WHERE hamlet = '{hamlet}' AND time >= {START_MS}ms AND time < {END_MS}ms"
            sums = "count(seq), sum(ok), sum(failed), sum(counted)"
            ((_, *found),) = query(service, f"SELECT {sums} FROM test {where}")[0]["values"]  # noqa: S608
            meant = truth.of(hamlet)
            assert found == [meant["tests"], meant["ok"], meant["tests"] - meant["ok"], meant["counted"]]
            middle = f"SELECT percentile(downlink_bps, 50) FROM test {where} AND counted = 1"  # noqa: S608
            assert query(service, middle)[0]["values"][0][1] == median(truth.downlinks[hamlet])
            steps = f"SELECT sum(covered), sum(no_service) FROM coverage {where}"  # noqa: S608
            assert query(service, steps)[0]["values"][0][1:] == [truth.steps[hamlet, "C"], truth.steps[hamlet, "N"]]
        for hamlets in ([HAMLET], [BEN], [HAMLET, BEN]):
            for name, meant_rows in shown_by_pages(here, hamlets).items():
                scope = Scope(START_MS, END_MS - 1, hamlet=hamlets)
                (series,) = query(service, bind(QUERIES[name], scope))
                row = dict(zip(series["columns"], series["values"][0], strict=True))
                assert {key: row[key] for key in meant_rows} == pytest.approx(meant_rows, rel=1e-9), (name, hamlets)
    finally:
        service.stop()


def shown_by_pages(here: World, hamlets: list[str]) -> dict[str, dict[str, float | None]]:
    """What pages and reports show of some hamlets' month, in the columns of the catalogue's query for the question.

    Pages and annexes take their figures of a summary over the rollups (`collector.core.rollup_view.summary`).
    """
    days = chosen(Rollups(here.reader).days(START_MS, END_MS), {"hamlet": hamlets})
    shown = summary(hour for _, hours in days for hour in hours.values())
    counts, stats = shown.counts, shown.stats
    units = {"downlink": ("downlink_bps", 1e6), "uplink": ("uplink_bps", 1e6), "delay": ("rtt_us_median", 1e3)}
    made: dict[str, dict[str, float | None]] = {
        name: {
            "median": (stats[field].median or 0) / unit,
            "mean": (stats[field].mean or 0) / unit,
            "n": stats[field].n,
        }
        for name, (field, unit) in units.items()
    }
    ran = counts.tests - counts.skipped
    known = counts.covered + counts.degraded + counts.no_service
    made["totals"] = {"tests": counts.tests, "counted": counts.counted, "failed": counts.tests - counts.ok}
    made["success"] = {"share": 100 * counts.ok / ran, "n": ran}
    made["covered"] = {"covered": 100 * counts.covered / known, "n_steps": known, "unknown": counts.unknown}
    return made


def test_the_catalogue_says_of_the_ledger_what_pages_show(played: tuple[World, Truth]) -> None:
    """One question, three ways: the catalogue's answer from the ledger, the pages' own figures, and what happened."""
    here, truth = played
    whole = Rollups(here.reader)
    for hamlets in ([HAMLET], [BEN], [HAMLET, BEN]):
        days = chosen(whole.days(START_MS, END_MS), {"hamlet": hamlets})
        held = Held(days, days, days)
        for name, row in shown_by_pages(here, hamlets).items():
            (found,) = answer(name, held)
            assert {key: found[key] for key in row} == pytest.approx(row, rel=1e-9), (name, hamlets)
            columns = {column.name for column in QUERIES[name].columns}
            assert set(row) <= columns, "a page's figure is a column of the catalogue"
        meant = [truth.of(hamlet) for hamlet in hamlets]
        (totals,) = answer("totals", held)
        assert totals["counted"] == sum(one["counted"] for one in meant)
    pages = Pages(here.reader, here.registry, lambda: END_MS - 1)
    for hamlet in (HAMLET, BEN):
        entry = here.registry.hamlet(hamlet)
        assert entry is not None
        own = pages.hamlet_page(entry).row
        days = chosen(whole.days(START_MS, END_MS), {"hamlet": [hamlet]})
        (row,) = answer("downlink", Held(days, days, days))
        assert own.figures.downlink.median == pytest.approx((row["median"] or 0) * 1e6)  # type: ignore[operator]
        assert own.figures.downlink.n == row["n"]
        (row,) = answer("success", Held(days, days, days))
        assert (own.figures.success.n, own.figures.success.ppm) == (row["n"], round(float(row["share"] or 0) * 10_000))
