"""The fleet's pages: tiles and filters, a probe's page, the Monday list with notes and caretakers, moves and merges."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from collector.fleet_book import FleetBook
from collector.web.fleet_view import SORTS
from tests.collector.kit import T0_MS
from tests.collector.test_web_world import BASE, get, token
from tests.web.scene import HOUR_MS, Scene, scene
from wire import topics
from wire.errors import Refused
from wire.records import BootRecord


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("fleet"), days=1) as made:
        yield made


def post(client: FlaskClient, path: str, page: str, **form: str) -> TestResponse:
    given = {"csrf_token": token(client, page), **form}
    return client.post(path, data=given, base_url=BASE, headers={"Referer": f"{BASE}{page}"})


def test_only_technicians_and_operators_see_the_fleet(place: Scene) -> None:
    for path in ("/fleet", "/fleet/since", "/fleet/probes/p-one"):
        assert get(place.client(), path).status_code == 302
        assert get(place.client("official"), path).status_code == 403
        assert get(place.client("technician"), path).status_code == 200


def test_tiles_say_state_word_and_number_and_filter(place: Scene) -> None:
    client = place.client("operator")
    page = get(client, "/fleet?lang=en").text
    assert re.search(r"<b>2</b> well", page)
    assert re.search(r"<b>1</b> mobile network", page)
    assert re.search(r"<b>1</b> silent", page)
    rows = get(client, "/fleet?state=network").text
    assert ("p-three" in rows, "p-one" in rows) == (True, False)
    assert "p-four" in get(client, "/fleet?q=buon mlot").text or "p-four" in get(client, "/fleet?q=m'lot").text
    assert "p-one" not in get(client, "/fleet?unit=24400").text
    assert "p-four" in get(client, "/fleet?unit=66").text
    for sort in SORTS:
        assert get(client, f"/fleet?sort={sort}").status_code == get(client, f"/fleet?sort=-{sort}").status_code == 200
    names = re.findall(r"<code>(p-\w+)</code></a>", get(client, "/fleet?sort=-probe").text)
    assert names == ["p-two", "p-three", "p-one", "p-four"]
    assert 'aria-sort="descending"' in get(client, "/fleet?sort=-probe").text


def test_a_probes_page_holds_everything_and_says_what_to_do(place: Scene) -> None:
    page = get(place.client("operator"), "/fleet/probes/p-three?lang=en").text
    for part in ("MobiFone", "0.48 / 10.0 GB", "51.2", "What to do", "Newest records", "s-h-cay-da"):
        assert part in page
    assert "0,48 / 10,0 GB" in get(place.client("operator"), "/fleet/probes/p-three?lang=vi").text
    assert get(place.client("operator"), "/fleet/probes/p-nobody").status_code == 404


def test_the_monday_list_groups_ranks_and_keeps_who_goes(place: Scene) -> None:
    client = place.client("operator")
    page = get(client, "/fleet/since?lang=en&since=2026-09-21T10:00").text
    assert "One station: p-three" in page
    assert "What happened since 10:00 21/09/2026" in page
    trip = page[page.index("<h2>Trips") :]
    assert "p-four" in trip
    assert "5 V/3 A supply" in trip
    assert "p-three" not in trip[: trip.index("Over by itself")]
    told = post(
        client,
        "/fleet/probes/p-four/note",
        "/fleet/since",
        assignee="Anh Tú",
        note="gọi trước",
        since="2026-09-21T10:00",
    )
    assert told.status_code == 303
    assert told.location.endswith("/fleet/since?since=2026-09-21T10:00#p-four")
    page = get(client, "/fleet/since?lang=en").text
    assert "<b>Anh Tú</b>: gọi trước <small>operator, " in page
    post(client, "/fleet/probes/p-four/note", "/fleet/since", assignee="Chị Hoa", note="")
    with_notes = get(client, "/fleet/probes/p-four").text
    assert "Anh Tú" in with_notes
    assert "Chị Hoa" in with_notes
    wrong = post(client, "/fleet/probes/p-four/note", "/fleet/since", note="x" * 301)
    assert "wrong=too_long" in wrong.location
    assert 'role="alert"' in get(client, wrong.location).text


def test_a_caretaker_is_for_operators_and_technicians_and_can_be_erased(place: Scene) -> None:
    client = place.client("operator")
    where = "/fleet/probes/p-four"
    assert "wrong=phone" in post(client, f"{where}/caretaker", where, name="Bà Hai", phone="nhà bên").location
    assert post(client, f"{where}/caretaker", where, name="Bà Hai", phone="0912 345 678").status_code == 303
    assert "tel:0912345678" in get(place.client("technician"), where).text
    assert "Bà Hai" in get(place.client("technician"), "/fleet/since").text
    technician = place.client("technician")
    assert post(technician, f"{where}/caretaker", where, name="X", phone="1234567").status_code == 403
    for path in ("/", "/hamlets/h-m-lot", "/api/places"):
        assert "0912 345 678" not in get(place.client(), path).text
    post(client, f"{where}/caretaker", where, name="", phone="")
    assert "Bà Hai" not in get(client, where).text
    book = FleetBook(place.settings.registry)
    written = [row for row in book._run("SELECT actor, what, target, raw FROM audit") if row[1] == "fleet.caretaker"]
    assert ("operator", "fleet.caretaker", "p-four") in {row[:3] for row in written}
    assert all(b"0912" not in row[3] and b"Hai" not in row[3] for row in written)
    with pytest.raises(Refused):
        book.write("p-one", "a\u202eb", "", "x", 0)
    book.close()


def test_a_scoped_operator_sees_only_own_probes(tmp_path: Path) -> None:
    with scene(tmp_path, days=1) as here:
        user = here.registry.user("operator")
        assert user is not None
        here.registry.load({"users": [{"name": "operator", "argon2": user.argon2, "role": "operator", "scope": "66"}]})
        client = here.client("operator")
        page = get(client, "/fleet").text
        assert ("p-four" in page, "p-one" in page) == (True, False)
        assert get(client, "/fleet/probes/p-one").status_code == 404
        assert "p-three" not in get(client, "/fleet/since").text
        assert post(client, "/fleet/probes/p-one/note", "/fleet", note="x").status_code == 404


def test_two_probes_in_one_hamlet_a_merge_and_a_move_stay_right(tmp_path: Path) -> None:
    with scene(tmp_path, days=1) as here:
        client = here.client("operator")
        both = get(client, "/fleet?unit=h-dong-chuoi").text
        assert ("p-one" in both, "p-two" in both) == (True, True)
        now_ms = here.now_ms
        here.registry.load({"assignments": [{"probe": "p-two", "site": "s-h-3", "valid_from_ms": now_ms}]}, now_ms + 1)
        here.registry.load(
            {
                "hamlet_ends": [
                    {"hamlet": "h-cay-da", "how": "merged", "successors": "h-dong-chuoi", "valid_from_ms": now_ms}
                ]
            },
            now_ms + 2,
        )
        here.now_ms += 10_000
        moved = get(client, "/fleet?unit=24400").text
        assert ("p-two" in moved, "p-four" in moved) == (True, True)
        merged = get(client, "/fleet?unit=h-dong-chuoi").text
        assert ("p-one" in merged, "p-two" in merged, "p-three" in merged) == (True, False, True)
        board = get(client, "/map/05755").text
        assert ("h-dong-chuoi" in board, "h-cay-da" in board) == (True, False)
        (line,) = re.findall(r'data-code="h-dong-chuoi".*?</tr>', board, re.DOTALL)
        assert re.search(r'data-label="Trạm">2<', line)  # p-one, and p-three of the hamlet that was merged
        (other,) = re.findall(r'data-code="h-3".*?</tr>', get(client, "/map/24400").text, re.DOTALL)
        assert re.search(r'data-label="Trạm">1<', other)
        history = get(client, "/fleet/probes/p-two").text
        assert "s-h-3" in history
        assert "s-h-dong-chuoi" in history
        assert get(client, "/hamlets/h-cay-da").status_code == 200
        assert here.registry.place("p-three") is not None


def test_a_power_cut_that_is_over_is_told_as_over(tmp_path: Path) -> None:
    with scene(tmp_path, days=1) as here:
        for name in ("p-one", "p-two", "p-three"):
            probe = here.probes[name]
            common = probe.common(t_ms=T0_MS + 26 * HOUR_MS, clock="trusted")
            record = BootRecord(**common, reason="power", spool="ok", downtime_ms=90 * 60_000)
            here.now_ms = T0_MS + 26 * HOUR_MS
            here.take(probe.seal(record), topic=topics.up(name))
        here.now_ms = T0_MS + 27 * HOUR_MS
        page = get(here.client("operator"), "/fleet/since?lang=en&since=2026-09-22T00:00").text
        over = page[page.index("Over by itself") :]
        assert "Power cut of a commune: Xã Phú Xuyên" in over
