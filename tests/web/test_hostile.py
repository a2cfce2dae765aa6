"""Hostile names in every text field of the registry: each page, file and sheet shows them as text and nothing else.

Each field holds a formula's first letter, an element, a handler and a template's braces. Pages are read twice: as
markup by a parser, and by a real Chromium with our own scripts running.
"""

from __future__ import annotations

import csv
import io
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import quote

import openpyxl
import pytest
from docx import Document
from flask import url_for
from flask.testing import FlaskClient

from collector.core.period import date_of
from collector.fleet_book import FleetBook
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.registry_identity import ClaimEntry, Identities
from collector.reports.desk import open_desk
from collector.reports.make import whole_period
from provisioning import labels, registry_tables
from provisioning.labels import Station
from tests.collector.kit import T0_MS
from tests.collector.test_web_accept import GOOD, picture
from tests.collector.test_web_world import BASE, HAMLET, get, token
from tests.web.browser import DESKTOP, Browser
from tests.web.scene import Scene, served

TAIL = "<img src=x onerror=hit()><hostile-x>\"'{{7*7}}"
FORMULA = ("=1+1", "+1", "-2+3", "@SUM(1)", "=cmd|'/C calc'!A0", "＝1")
ROLES = ("operator",)
"""Sees every page that shows a name; what others see is a part of it."""
MARK = re.compile(r"hostile-x", re.IGNORECASE)


def nasty(number: int, most: int = 80) -> str:
    """A name of at most `most` letters that begins as a formula does."""
    return f"{FORMULA[number % len(FORMULA)]}{TAIL}"[:most]


class Hostile(Scene):
    """A scene whose every text field is hostile."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder, days=1)
        since = {"source": nasty(0, 160)}
        document: dict[str, list[dict[str, Any]]] = {
            "provinces": [{**one, "name": nasty(0)} for one in self._document()["provinces"]],
            "communes": [{**one, "name": nasty(1)} for one in self._document()["communes"]],
            "hamlets": [{**one, "name": nasty(2), "kind": nasty(4), **since} for one in self._document()["hamlets"]],
            "sites": [{**one, "name": nasty(3)} for one in self._document()["sites"]],
            "operators": [{"plmn": plmn, "name": nasty(3)} for plmn in ("45201", "45202", "45204")],
            "quotas": [{"commune": "05755", "minimum": 300, "rule": nasty(5)}],
            "old_units": [{"code": "09999", "name": nasty(4)}],
            "old_successors": [{"old": "09999", "new": "05755"}],
            "surveys": [{"site": f"s-{HAMLET}", "lat_e7": 216_712_345, "lon_e7": 1_055_612_345, **since}],
            "sims": [{"code": "sim-1", "plmn": "45204", "brand": nasty(1)}],
            "sim_plans": [{"sim": "sim-1", "plan": nasty(2), "cap_bytes": 10**10, "billing_day": 1, **since}],
            "sim_modems": [{"sim": "sim-1", "probe": "p-one", "modem": "m1", **since}],
            "assignments": [{"probe": "p-one", "site": f"s-{HAMLET}", "valid_from_ms": 1, **since}],
            "tariffs": [{"code": "t1", "plmn": "45204", "name": nasty(0), "cap_bytes": 10**9, "days": 30, "vnd": 1,
                         **since}],
            "campaigns": [{"code": "c1", "name": nasty(1), "document": nasty(2), "starts_ms": 0}],
            "campaign_quotas": [{"campaign": "c1", "line": "q1", "level": "commune", "what": "samples", "minimum": 300,
                                 "period": "month", **since}],
            "campaign_reports": [{"campaign": "c1", "line": "r1", "level": "commune", "period": "month", "due_day": 5,
                                  "recipients": nasty(3), **since}],
            "limits": [{"code": "l1", "name": nasty(4), "nature": "target", "relation": ">=", "value_x1000": 1,
                        "unit": "=1+1", **since}],
        }  # fmt: skip
        self.registry.load(document, self.now_ms)
        with closing(Identities(self.registry.path)) as identities:
            site, late_ms = f"s-{HAMLET}", self.now_ms + 10**9
            identities.add_claim(ClaimEntry("t", "p-new", site, False, T0_MS, late_ms, nasty(0)))
            identities.raise_alarm("unknown_claim", nasty(1, 64), nasty(2, 64), nasty(3), self.now_ms)
        book = FleetBook(self.registry.path)
        book.keep(f"s-{HAMLET}", nasty(0, 60), "0912345678")
        book.write("p-one", nasty(1, 40), nasty(2), "operator", self.now_ms)
        book.close()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hostile]:
    with closing(Hostile(tmp_path_factory.mktemp("hostile"))) as made:
        yield made


class Reader(HTMLParser):
    """Finds what our templates never write."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """An element of the payload, a handler, a script without a file, an address that is code."""
        given = dict(attrs)
        is_code = any(str(value).lower().startswith("javascript:") for value in given.values())
        if MARK.search(tag) or given.get("src") == "x" or is_code or any(name.startswith("on") for name in given):
            self.found.append(f"<{tag} {given}>")
        if tag == "script" and not given.get("src"):
            self.found.append("<script>")


GIVEN: dict[str, list[dict[str, Any]]] = {
    "code": [{"code": code} for code in (HAMLET, "05755", "19", "TN1", "h-3")],
    "probe": [{"probe": probe} for probe in ("p-one", "p-three", "p-new")],
    "probe epoch seq": [{"probe": "p-one", "epoch": 1, "seq": 0}],
    "": [{}],
}


def addresses(here: Hostile) -> list[str]:
    """Every address that can be looked at, with what the registry knows put in; and searches."""
    found = ["/registry?q=1", "/registry?q=hostile", "/registry?q=p-", "/hamlets?page=0", "/fleet?q=p-"]
    with here.app.test_request_context(base_url=BASE):
        for rule in here.app.url_map.iter_rules():
            names = " ".join(sorted(rule.arguments))
            if "GET" in (rule.methods or ()) and rule.endpoint != "static":
                found += [url_for(rule.endpoint, **values) for values in GIVEN.get(names, [])]
    return sorted(set(found))


def pages_of(here: Hostile, client: FlaskClient) -> Iterator[tuple[str, str, str]]:
    """Address, kind and text of every answer that this visitor gets."""
    for address in addresses(here):
        answer = get(client, address)
        if answer.status_code == 200 and not answer.mimetype.startswith(("image/", "application/octet")):
            yield address, answer.mimetype, answer.data.decode("utf-8", "replace")


def test_no_page_reads_a_name_as_markup_and_no_file_as_a_formula(place: Hostile) -> None:
    shown: set[str] = set()
    for role in ROLES:
        client = place.client(role)
        for address, kind, text in pages_of(place, client):
            if kind == "text/html":
                reader = Reader()
                reader.feed(text)
                assert reader.found == [], (role, address)
                assert re.search(r"hostile-x&gt;[^<]{0,20}49", text) is None, "a template's braces were read"
                shown |= {address} if "hostile-x" in text else set()
            elif kind == "text/csv":
                _check_csv(text, address)
    assert len(shown) > 20, sorted(shown)


def _check_csv(text: str, where: str) -> None:
    for row in csv.reader(io.StringIO(text.lstrip("\ufeff"))):
        for cell in row:
            if MARK.search(cell):
                assert cell[0] not in "=+-@\t\r＝＋－＠", (where, cell)


def test_nothing_runs_in_a_browser(place: Hostile) -> None:
    """With our own scripts: feed, map, charts. Our policy forbids handlers; the elements must not be there either."""
    ours = ("/", "/map", "/map/19", f"/hamlets/{HAMLET}", "/samples/p-one/1/0", "/log/", "/operator", "/technician",
            "/registry?q=1", "/registry/units/05755", f"/registry/hamlets/{HAMLET}", "/registry/probes/p-one",
            "/claims",
            "/refusals", "/campaigns", "/fleet", "/fleet/probes/p-one", "/accept/p-one")  # fmt: skip
    look = "[document.querySelectorAll('hostile-x, img[src=x]').length, typeof window.hit, document.title.length]"
    with served(place) as address, Browser() as browser:
        with browser.page(DESKTOP, cookies=place.cookies("operator")) as tab:
            for path in ours:
                tab.go(address + path)
                elements, hit, title = tab.run(look)
                assert (elements, hit) == (0, "undefined"), path
                assert title > 0, path
        with browser.page(DESKTOP) as tab:
            tab.go("data:text/html," + quote(f"<title>x</title>{TAIL}"))
            assert tab.run(look)[0] == 2, "it would be seen"


def test_tables_of_the_registry_come_back_as_they_were(place: Hostile, tmp_path: Path) -> None:
    registry = place.registry
    book, folder = tmp_path / "all.xlsx", tmp_path / "csv"
    folder.mkdir()
    registry_tables.leave(registry, book, "comma")
    registry_tables.leave(registry, folder, "comma")
    held = openpyxl.load_workbook(book)
    cells = [cell for sheet in held for row in sheet.iter_rows() for cell in row if MARK.search(str(cell.value))]
    assert len(cells) > 20
    assert {cell.data_type for cell in cells} == {"s"}, "text, and never a formula"
    files = list(folder.glob("*.csv"))
    assert files
    for path in files:
        _check_csv(path.read_text(encoding="utf-8-sig").replace(";", ","), path.name)


@pytest.mark.parametrize("kind", ["month"])
def test_reports_keep_names_as_text(place: Hostile, tmp_path: Path, kind: Any) -> None:
    desk = open_desk(place.settings, LedgerReader(place.settings.ledger), Registry(place.settings.registry))
    whole = whole_period(kind, date_of(place.now_ms))
    made = desk.make(kind, "05755", whole, place.now_ms)
    drawn = {name: desk.store.drawn(made.id, name) or b"" for name in ("pdf", "docx", "xlsx", "csv")}
    book = openpyxl.load_workbook(io.BytesIO(drawn["xlsx"]))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert {cell.data_type for cell in cells if MARK.search(str(cell.value))} == {"s"}
    assert all(cell.data_type != "f" for cell in cells)
    _check_csv(drawn["csv"].decode("utf-8-sig"), "csv")
    paper = Document(io.BytesIO(drawn["docx"]))
    words = [p.text for p in paper.paragraphs] + [c.text for t in paper.tables for r in t.rows for c in r.cells]
    assert any("<hostile-x>" in text for text in words)
    assert "<hostile-x>" in _read_pdf(tmp_path, drawn["pdf"])


def test_labels_notices_and_sheets_keep_names_as_text(place: Hostile, tmp_path: Path) -> None:
    for raw in (
        labels.sheet([Station("p-one", nasty(0), None)], "https://d.example", "x", "vi", 1),
        labels.notice([Station("p-one", nasty(1), None)], "0203 123 456", nasty(2), "vi", 1),
        _accepted(place),
    ):
        assert "<hostile-x>" in _read_pdf(tmp_path, raw)


def _accepted(here: Hostile) -> bytes:
    """The PDF of a site that was accepted."""
    probe = here.probes["p-one"]
    for _ in range(2):
        here.now_ms += 3_600_000
        from wire import topics  # noqa: PLC0415

        here.take(probe.test(t_ms=here.now_ms, slot_ms=here.now_ms, **GOOD), topic=topics.up("p-one"))
    client = here.client("technician")

    def send(path: str, **form: Any) -> Any:
        fields = {"csrf_token": token(client, "/accept/p-one"), **form}
        answer = client.post(path, data=fields, base_url=BASE, headers={"Referer": f"{BASE}/accept/p-one"})
        assert answer.status_code == 303, answer.text
        return answer.headers["Location"]

    send("/accept/p-one/photo", photo=(io.BytesIO(picture()), nasty(0)))
    form = {"side": "indoor", "antenna": "wall", "result": "green", "lat": "21,6712", "lon": "105,5612"}
    where = send("/accept/p-one/accept", **form)
    with closing(Identities(here.registry.path)) as identities, identities.transaction():
        identities.settle(identities.wishes()[0].n, here.now_ms, "leaf")
    return bytes(get(client, f"{where}.pdf").data)


def _read_pdf(folder: Path, raw: bytes) -> str:
    (folder / "one.pdf").write_bytes(raw)
    done = subprocess.run(["pdftotext", "-raw", str(folder / "one.pdf"), "-"], capture_output=True, check=True)
    return re.sub(r"[\s\u200b\u00ad]+", "", done.stdout.decode())
