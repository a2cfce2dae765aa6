"""The live board: down from country to hamlet, words and n beside colours, few bytes, coarse places, no JavaScript."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.core.view_board import Figure, coarse
from collector.web.boundaries import read_boundaries
from tests.collector.kit import until
from tests.collector.test_web_world import BASE, get
from tests.web.browser import DESKTOP, PHONE, Browser
from tests.web.scene import Scene, scene, served
from wire.errors import Misconfigured

FIRST_PAINT_BYTES = 100_000
VIETNAM = Path("collector/web/static/vietnam.json")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with scene(tmp_path_factory.mktemp("board"), days=2) as made:
        yield made


def test_a_figure_has_the_class_of_vnnics_map_or_none_below_n() -> None:
    tones = [Figure(mbps * 1e6, 9, is_median=True).tone for mbps in (1, 40, 40.1, 120, 200, 201)]
    assert tones == ["c0", "c0", "c1", "c2", "c4", "c5"]
    assert Figure(99e6, 4, is_median=True).tone == Figure(None, 0, is_median=False).tone == "few"
    assert (coarse(216_712_345, exact=False), coarse(216_712_345, exact=True)) == (216_700_000, 216_712_345)


def test_the_outlines_hold_all_provinces_and_both_archipelagos() -> None:
    held = json.loads(VIETNAM.read_text())
    assert len(held["provinces"]) == 34
    assert "Natural Earth" in held["source"]
    assert set(held["islands"]) == {"hoangsa", "truongsa"}
    for rings in held["provinces"].values():
        lat, lon = rings[0][:2]
        assert (8_000 < lat < 23_500, 102_000 < lon < 110_000) == (True, True)


def test_one_goes_down_from_country_to_hamlet_and_sees_words_and_n(place: Scene) -> None:
    client = place.client()
    country = get(client, "/map?lang=vi").text
    assert 'href="/map/19"' in country
    assert 'href="/map/66"' in country
    province = get(client, "/map/19").text
    assert 'href="/map/05755"' in province
    commune = get(client, "/map/05755").text
    assert 'href="/hamlets/h-dong-chuoi"' in commune
    assert re.search(r'data-words="[0-9]+,[0-9] Mbit/s · n = \d+"', commune)
    assert "Quần đảo Hoàng Sa (Việt Nam)" in country
    assert "Quần đảo Trường Sa (Việt Nam)" in country
    for state in ("Đang có sóng", "Chập chờn", "Mất dịch vụ", "Chưa rõ"):
        assert state in commune
    assert get(client, "/map/nowhere").status_code == 404
    assert get(client, "/map/h-3").status_code == 404  # a hamlet has its own page


def test_the_public_sees_coarse_places_and_staff_exact_ones(place: Scene) -> None:
    for path in ("/map/05755", "/api/places", "/"):
        page = get(place.client(), path).text
        assert "12345" not in page
    assert "21.6712345" in get(place.client("technician"), "/map/05755").text
    assert "216712345" in get(place.client("operator"), "/api/places").text


def test_what_has_not_changed_costs_nothing(place: Scene) -> None:
    client = place.client()
    first = get(client, "/map/05755/live")
    assert first.status_code == 200
    again = get(client, "/map/05755/live", **{"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")
    place.now_ms += 120_000
    assert get(client, "/map/05755/live", **{"If-None-Match": first.headers["ETag"]}).status_code == 200
    part = get(client, "/hamlets/h-dong-chuoi/live")
    held = get(client, "/hamlets/h-dong-chuoi/live", **{"If-None-Match": part.headers["ETag"]})
    assert held.status_code == 304


@pytest.mark.parametrize("path", ["/map", "/map/05755", "/hamlets/h-dong-chuoi", "/"])
def test_the_first_paint_is_small_on_the_wire(place: Scene, path: str) -> None:
    """HTML, style sheets and scripts, as they are sent to a browser that takes gzip."""
    client = place.client()
    page = get(client, path, **{"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    html = gzip.decompress(page.data).decode()
    loaded = re.findall(r'<(?:link rel="stylesheet" href|script src)="([^"]+)"', html)
    assert loaded
    sent = {one: get(client, one, **{"Accept-Encoding": "gzip"}) for one in loaded}
    whole = len(page.data) + sum(len(answer.data) for answer in sent.values())
    assert all(answer.status_code == 200 for answer in sent.values())
    assert whole < FIRST_PAINT_BYTES, {path: len(page.data), **{one: len(a.data) for one, a in sent.items()}}


def test_pages_of_a_session_are_not_compressed(place: Scene) -> None:
    page = get(place.client("operator"), "/map", **{"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in page.headers
    plain = place.app.test_client().get("/map", base_url=BASE)
    assert "Content-Encoding" not in plain.headers


def test_own_boundaries_are_checked_and_served(tmp_path: Path) -> None:
    ring = [[105.5, 21.5], [105.7, 21.5], [105.7, 21.7], [105.5, 21.5]]
    feature = {"type": "Feature", "properties": {"x": "<b>"}, "geometry": {"type": "Polygon", "coordinates": [ring]}}
    path = tmp_path / "own.geojson"
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    kept = json.loads(read_boundaries(path))
    assert kept["features"][0]["properties"] == {}
    assert kept["features"][0]["geometry"]["coordinates"] == [ring]
    swapped = [[y, x] for x, y in ring]
    feature["geometry"] = {"type": "Polygon", "coordinates": [swapped]}
    for broken in (
        json.dumps({"type": "FeatureCollection", "features": [feature]}),
        json.dumps({"type": "Polygon"}),
        json.dumps({"type": "FeatureCollection", "features": [{"geometry": {"type": "Point", "coordinates": [1, 2]}}]}),
        "{",
    ):
        path.write_text(broken)
        with pytest.raises(Misconfigured, match=r"web\.map_file"):
            read_boundaries(path)
    with pytest.raises(Misconfigured):
        read_boundaries(tmp_path / "missing")


@pytest.mark.timeout(300)
@pytest.mark.services
def test_the_map_is_drawn_from_the_lists_own_rows_and_nothing_comes_from_outside(place: Scene) -> None:
    with served(place) as address, Browser() as browser, browser.page(PHONE) as page:
        page.go(f"{address}/map/05755")
        drawn = "document.querySelectorAll('#board .leaflet-marker-icon svg').length"
        wait = f"new Promise(done => {{ const t = () => {drawn} ? done({drawn}) : setTimeout(t, 50); t(); }})"
        assert page.run(wait) == 2
        assert page.run("document.documentElement.scrollWidth") <= PHONE[0]
        assert page.run("performance.getEntriesByType('resource').every(r => r.name.startsWith(location.origin))")


@pytest.mark.timeout(300)
def test_a_fleet_page_that_stays_open_follows_by_itself(tmp_path: Path) -> None:
    """The page is opened once; a probe falls silent; tile, row, title follow; what somebody is typing stays."""
    with (
        scene(tmp_path, days=1) as made,
        served(made) as address,
        Browser() as browser,
        browser.page(DESKTOP, cookies=made.cookies("operator", "en")) as page,
    ):
        page.go(address + "/fleet")
        page.run("document.querySelector('input[name=q]').value = 'p-fo'")
        made.silence("p-four", made.now_ms + 1000)
        look = "document.dispatchEvent(new Event('visibilitychange'))"
        shown = "document.getElementById('fresh-rows').textContent"
        until(lambda: page.run(look) and "MQTT connection lost" in page.run(shown), 60, "the row follows")
        assert "silent" in page.run("document.getElementById('fresh-states').textContent")
        assert page.run("document.title").startswith("(1) ")
        assert page.run("document.querySelector('input[name=q]').value") == "p-fo"
        page.go(address + "/fleet/since")
        page.run("document.querySelector('input[name=note]').value = 'half a'")
        page.run(look)
        until(lambda: page.run("document.getElementById('live-word').className") == "on")
        assert page.run("document.querySelector('input[name=note]').value") == "half a"


def test_a_printed_sheet_lends_its_look_to_no_page() -> None:
    """`.sheet` is a page of a desk elsewhere: the printed one keeps its frame and its middle to itself."""
    style = (Path("collector/web/static") / "site.css").read_text(encoding="utf-8")
    assert ".sheets .sheet {" in style
    assert not re.search(r"(?:^|[},])\s*\.sheet\b", style, re.MULTILINE)
