"""From signed records in a real ledger to the minutes of a hamlet, and to the page that shows them."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from collector.core import coverage
from collector.core.coverage import Tally
from collector.core.period import MINUTE_MS, Period
from collector.evidence import asked_around, hamlet_evidence
from tests.collector.kit import T0_MS, FakeProbe, document
from tests.collector.test_web_world import HAMLET, World, get, world
from wire import topics
from wire.records import BootRecord

HOUR_MS = 3_600_000
START_MS = T0_MS - T0_MS % HOUR_MS + HOUR_MS
DAY = Period(START_MS, START_MS + 24 * HOUR_MS)


def window(one: FakeProbe, hour: int, states: str, cause: str = "s", **changes: object) -> bytes:
    causes = "".join("." if letter == "C" else cause for letter in states)
    return one.coverage(states, causes, t_ms=START_MS + hour * HOUR_MS, **changes)


def boot(one: FakeProbe, hour: int, reason: str, downtime_ms: int) -> bytes:
    fields = {**one.common(), "kind": "boot", "reason": reason, "spool": "ok", "downtime_ms": downtime_ms}
    return one.seal(msgspec.convert({**fields, "t_ms": START_MS + hour * HOUR_MS}, BootRecord))


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    other = FakeProbe("p-two")
    place = document(FakeProbe("p-one"), other)
    hamlets = [*place["hamlets"], {"code": "h-ben", "name": "Bến", "kind": "xóm", "commune": "05755"}]
    sites = [*place["sites"], {"code": "s-two", "hamlet": "h-ben", "name": "Nhà văn hóa"}]
    with world(tmp_path, hamlets=hamlets, sites=sites) as made:
        made.registry.load({"probes": [{"id": "p-two", "vkey": other.signer.verifier.vkey, "site": "s-two"}]})
        made.other = other  # type: ignore[attr-defined]
        yield made


def take(here: World, one: FakeProbe, *raws: bytes) -> None:
    here.now_ms = DAY.end_ms
    here.take(*raws, topic=topics.up(one.probe))


def test_silence_is_off_only_as_far_as_the_probe_has_reported(here: World) -> None:
    probe = here.probe
    take(here, probe, window(probe, 0, "C" * 60), window(probe, 5, "C" * 30 + "N" * 30))
    (found,) = hamlet_evidence(here.reader, here.registry, HAMLET, DAY)
    assert found.plmn == "45204"
    assert coverage.tally(found.minutes) == Tally(90, 0, 30, 1320)
    assert coverage.by_cause(found.minutes) == {("U", "?"): 18 * 60, ("U", "o"): 240, ("N", "s"): 30}


def test_a_power_cut_that_the_probe_signed_is_named(here: World) -> None:
    probe = here.probe
    take(here, probe, window(probe, 0, "C" * 60), boot(probe, 4, "power", 2 * HOUR_MS), window(probe, 4, "C" * 60))
    (found,) = hamlet_evidence(here.reader, here.registry, HAMLET, DAY)
    assert coverage.by_cause(found.minutes) == {("U", "?"): 19 * 60, ("U", "f"): 120, ("U", "o"): 60}


def test_a_modem_without_registration_stays_with_its_operator(here: World) -> None:
    probe = here.probe
    take(here, probe, window(probe, 0, "C" * 60), window(probe, 1, "N" * 60, plmn=None))
    (found,) = hamlet_evidence(here.reader, here.registry, HAMLET, DAY)
    assert (found.plmn, found.windows, coverage.tally(found.minutes).no_service) == ("45204", 2, 60)


def test_a_probe_that_fell_silent_is_evidence_of_not_knowing(here: World) -> None:
    take(here, here.probe, window(here.probe, 0, "C" * 60))
    later = Period(DAY.end_ms, DAY.end_ms + 24 * HOUR_MS)
    (found,) = hamlet_evidence(here.reader, here.registry, HAMLET, later)
    assert coverage.by_cause(found.minutes) == {("U", "?"): 1440}
    assert hamlet_evidence(here.reader, here.registry, "h-ben", later) == []


def test_minutes_follow_a_probe_that_was_moved_to_the_minute(here: World) -> None:
    moved_ms = START_MS + 5 * HOUR_MS + 17 * MINUTE_MS
    here.registry.load({"assignments": [{"probe": "p-one", "site": "s-two", "valid_from_ms": moved_ms}]}, DAY.end_ms)
    take(here, here.probe, *[window(here.probe, hour, "C" * 60) for hour in (0, 23)])
    (old,) = hamlet_evidence(here.reader, here.registry, HAMLET, DAY)
    (new,) = hamlet_evidence(here.reader, here.registry, "h-ben", DAY)
    assert coverage.by_cause(old.minutes) == {("U", "-"): 1440 - 317, ("U", "?"): 317 - 60}
    assert coverage.by_cause(new.minutes)["U", "-"] == 317
    assert coverage.tally(new.minutes).covered == 60


def test_the_neighbours_are_asked(here: World) -> None:
    other: FakeProbe = here.other  # type: ignore[attr-defined]
    take(here, here.probe, window(here.probe, 3, "C" * 10 + "N" * 20 + "C" * 30))
    take(here, other, window(other, 3, "C" * 15 + "N" * 30 + "C" * 15))
    (found,) = hamlet_evidence(here.reader, here.registry, HAMLET, DAY)
    (outage,) = coverage.outages(found.minutes)
    (said,) = asked_around(here.reader, "05755", HAMLET, "45204", outage)
    assert (said.name, said.no_service, said.known) == ("h-ben", 15, 20)
    assert "có trạm khác xác nhận" in get(here.client(), f"/hamlets/{HAMLET}/coverage").text


def test_the_page_has_every_hour_and_says_what_it_means(here: World) -> None:
    take(here, here.probe, window(here.probe, 0, "C" * 59 + "D"), window(here.probe, 1, "N" * 60))
    page = get(here.client(), f"/hamlets/{HAMLET}/coverage?lang=vi").text
    assert page.count('class="cell-') % 24 == 0
    assert re.search(r'cell-covered" title="[^"]+: 98 %">98<', page)
    assert re.search(r'cell-no_service" title="[^"]+: 0 %">0<', page)
    assert "Quy tắc coverage-1" in page
    assert "không phải tiêu chí chính thức" in page
    assert "ít nhất 60 phút, nhiều nhất" in page
    assert "claimed by one station" in get(here.client(), f"/hamlets/{HAMLET}/coverage?lang=en").text


def test_an_hour_of_which_nothing_is_known_is_never_nought(here: World) -> None:
    take(here, here.probe, window(here.probe, 0, "U" * 60, cause="w"))
    page = get(here.client(), f"/hamlets/{HAMLET}/coverage").text
    assert ">0<" not in page.replace('<th scope="col">0</th>', "")
    assert "nhầm SIM" in page or "SIM" in page


def test_the_file_has_every_outage_with_its_bounds(here: World) -> None:
    take(here, here.probe, window(here.probe, 0, "C" * 10 + "N" * 5 + "C" * 5 + "N" * 40))
    answer = get(here.client(), f"/hamlets/{HAMLET}/coverage.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert [(row["minutes"], row["begin_known"], row["end_known"], row["cause"]) for row in rows] == [
        ("5", "1", "1", "searching"),
        ("40", "1", "0", "searching"),
    ]
    assert rows[0]["from"].endswith("+07:00")


def test_a_hamlet_that_nobody_watches_says_so(here: World) -> None:
    assert "cũng không phải là không có sóng" in get(here.client(), "/hamlets/h-ben/coverage").text
    for path in ("/hamlets/no-such/coverage", f"/hamlets/{HAMLET}/coverage?month=2026-13"):
        assert get(here.client(), path).status_code == 404
