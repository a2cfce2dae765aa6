"""The pages over a real ledger: they show what it holds, in both languages, and run nothing that they should not."""

from __future__ import annotations

import importlib
import json
import re
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from html import unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import msgspec
import pytest
from flask import g
from jinja2 import nodes
from werkzeug.serving import make_server

from collector.core.count import Reason
from collector.registry_identity import Identities
from collector.web import language
from collector.web.words import WORDS, say
from collector.web.words_remedies import REMEDY
from tests.collector.kit import T0_MS, until
from tests.collector.test_web_world import HAMLET, World, get, world
from wire import failure
from wire.metrics import metrics
from wire.records import KINDS

PUBLIC = (
    "/",
    "/live",
    "/hamlets",
    f"/hamlets/{HAMLET}",
    f"/hamlets/{HAMLET}/live",
    f"/hamlets/{HAMLET}/coverage",
    "/samples/p-one/1/0",
    "/login",
)
DOORS = ("/technician", "/operator", "/official", "/health", "/refusals")
HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>{{7*7}}"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.tests(6)
        made.take(made.probe.coverage("CCDNU", "..esf"))
        made.take(made.probe.test(outcome="failed", stage="registration", cause="searching", downlink_bps=None))
        yield made


class Links(HTMLParser):
    """Everything that a page loads, links to or runs."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.scripts: list[str] = []
        self.inline: list[str] = []
        self._inside = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._inside = tag
        for name, value in attrs:
            if name in {"href", "src", "action", "data-feed", "data-part", "data-places", "data-hamlets"}:
                self.addresses.append(value or "")
            if name.startswith("on") or name == "style":
                self.inline.append(f"{tag} {name}")
            if tag == "script" and name == "src":
                self.scripts.append(value or "")

    def handle_data(self, data: str) -> None:
        if self._inside in {"script", "style"} and data.strip():
            self.inline.append(data)


def words_of(page: str) -> str:
    """A page's text without tags, white space folded."""
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page)))


@pytest.mark.parametrize("lang", ["vi", "en"])
@pytest.mark.parametrize("path", PUBLIC + DOORS)
def test_every_page_renders_without_anything_inline_or_from_outside(here: World, path: str, lang: str) -> None:
    client = here.client("operator" if path in DOORS else "")
    answer = get(client, f"{path}?lang={lang}")
    assert answer.status_code == 200
    links = Links(answer.text)
    assert not links.inline
    assert all(a.startswith(("/", "#", "?")) or a == "" for a in links.addresses), links.addresses
    assert not any(a.startswith("//") for a in links.addresses)
    if "/live" not in path:
        assert f'<html lang="{lang}">' in answer.text


def test_headers_forbid_inline_code_framing_and_guessing(here: World) -> None:
    for path in ("/", "/api/feed", "/nothing-here", "/static/site.css"):
        headers = get(here.client(), path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "same-origin"
        assert "max-age" in headers["Strict-Transport-Security"]
    cookie = get(here.client(), "/login").headers["Set-Cookie"]
    assert {"HttpOnly", "Secure", "SameSite=Lax"} <= {part.strip() for part in cookie.split(";")}


def test_numbers_on_the_page_are_the_apis_and_the_ledgers(here: World) -> None:
    client = here.client("operator")
    shown = json.loads(get(client, f"/api/hamlets/{HAMLET}/samples?limit=100").text)["samples"]
    held = here.reader.samples(hamlet=HAMLET, limit=100)
    assert [(s["n"], s["probe"], s["epoch"], s["seq"]) for s in shown] == [(s.n, s.probe, s.epoch, s.seq) for s in held]
    for row, sample in zip(shown, held, strict=True):
        assert row["counted"] == sample.counted
        assert sample.record is not None
        for metric in metrics(sample.kind or ""):
            assert row[metric.name] == metric.value(sample.record), metric.name
    counts = here.reader.hamlet_counts(T0_MS, T0_MS + 10**9)[HAMLET]
    page = words_of(get(client, f"/hamlets/{HAMLET}").text)
    assert f"{counts.counted} mẫu được tính trên {counts.tests} lần đo" in page
    assert "20,0 Mbit/s trung vị 20,0 Mbit/s trung bình n = 6" in page
    assert "31,0 ms trung vị" in page
    assert "85,7 % tỷ lệ 6 / 7 n = 7" in page
    assert "không thành công: vào mạng di động – đang tìm mạng" in page
    english = words_of(get(client, f"/hamlets/{HAMLET}?lang=en").text)
    assert "20.0 Mbit/s median" in english
    assert "failed: network registration – searching for a network" in english


def test_below_n_min_there_is_no_assessment(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        here.tests(4)
        page = words_of(get(here.client(), f"/hamlets/{HAMLET}").text)
        assert "Không đủ số mẫu để đánh giá n = 4" in page
        assert "20,0 Mbit/s trung vị" not in page
        here.tests(1)
        assert "20,0 Mbit/s trung vị" in words_of(get(here.client(), f"/hamlets/{HAMLET}").text)


def fetch(port: int, path: str) -> str:
    """What a browser gets."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as answer:
        return str(answer.read().decode())


@pytest.mark.rates
def test_a_new_sample_is_on_the_page_within_two_seconds_of_its_commit(here: World) -> None:
    """Over real HTTP, polling as the script does: once a second."""
    server = make_server("127.0.0.1", 0, here.app, threaded=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        last_n = here.reader.last_n()
        committed_s: list[float] = []

        def commit() -> None:
            here.tests(1, downlink_bps=77_700_000)
            committed_s.append(time.monotonic())

        threading.Timer(0.3, commit).start()
        feed_path = f"/api/feed?after={last_n}&hamlet={HAMLET}"
        while not (feed := json.loads(fetch(server.server_port, feed_path)))["samples"]:
            assert not committed_s or time.monotonic() - committed_s[0] < 2
            time.sleep(1)
        part = fetch(server.server_port, f"/hamlets/{HAMLET}/live")
        assert time.monotonic() - committed_s[0] < 2
        assert feed["last_n"] == last_n + 1
        assert f'data-n="{last_n + 1}"' in part
        assert "77,7" in part
    finally:
        server.shutdown()
        thread.join(5)
        server.server_close()


def test_the_feed_is_empty_while_nothing_is_new_and_follows_a_ledger_that_went_back(here: World) -> None:
    client = here.client()
    last_n = here.reader.last_n()
    assert json.loads(get(client, f"/api/feed?after={last_n}").text) == {"last_n": last_n, "samples": []}
    assert json.loads(get(client, f"/api/feed?after={last_n + 50}").text)["last_n"] == last_n
    assert json.loads(get(client, "/api/feed?after=x").text)["last_n"] == last_n


def test_hostile_names_and_raw_lines_are_text(tmp_path: Path) -> None:
    name = HOSTILE[:80]
    hamlets = [{"code": HAMLET, "name": name, "kind": name, "commune": "05755", "lat_e7": 1, "lon_e7": 1}]
    communes = [{"code": "05755", "name": name, "province": "19", "lat_e7": 1, "lon_e7": 1}]
    operators = [{"plmn": "45204", "name": name}]
    with world(tmp_path, hamlets=hamlets, communes=communes, operators=operators) as here:
        here.tests(6, server="<script>alert(4)</script>", radio={"raw": HOSTILE, "before": {"rat": "LTE"}})
        here.take(b"<script>alert(2)</script>", topic="dosong/v1/up/0/<script>alert(3)</script>")
        client = here.client("operator")
        for path in PUBLIC + DOORS:
            page = get(client, path).text
            assert "<script>alert" not in page, path
            assert "<img" not in page, path
            assert "{{" not in page or "{{7*7}}" in unescape(page), path
            assert not Links(page).inline, path
        assert unescape(get(client, f"/hamlets/{HAMLET}").text).count(name) > 0
        assert get(client, "/api/places").mimetype == "application/json"


def test_alarms_are_listed_and_what_a_stranger_says_is_only_text(here: World, tmp_path: Path) -> None:
    page = get(here.client("operator"), "/refusals").text
    assert "No alarm" in page or "Chưa có cảnh báo nào" in page
    with closing(Identities(here.registry.path)) as identities:
        for _ in range(3):
            identities.raise_alarm("claim_reused", "<b>p</b>", "203.0.113.7", "<script>x</script>", 1_790_000_400_000)
    page = get(here.client("operator"), "/refusals").text
    assert "<script>x" not in page
    assert "&lt;script&gt;x" in page
    assert "&lt;b&gt;p" in page
    assert "203.0.113.7" in page


def test_refusals_are_listed_with_their_reason(here: World) -> None:
    raw = here.probe.test()
    here.take(raw.replace(b'"downlink_bps":20000000', b'"downlink_bps":99000000'))
    page = words_of(get(here.client("operator"), "/refusals").text)
    assert "chữ ký sai: nội dung đã bị sửa" in page
    assert "dosong/v1/up/" in page
    health = json.loads(get(here.client(), "/healthz").text)
    assert health["refused"] == 1
    assert health["faults"] == ["receive", "forward"]


def test_an_authentic_record_that_breaks_the_schema_is_shown_as_such(here: World) -> None:
    here.take(here.probe.schema_broken())
    seq = here.probe.seq - 1
    page = words_of(get(here.client(), f"/samples/p-one/1/{seq}").text)
    assert say("sample.unreadable", "vi") in page
    assert "sai quy cách bản ghi" in page
    assert get(here.client(), "/").status_code == 200
    assert get(here.client(), f"/hamlets/{HAMLET}").status_code == 200
    newest = json.loads(get(here.client(), "/api/feed").text)["samples"][0]
    assert (newest["fault"], newest["counted"]) == ("schema", False)


def test_the_record_page_checks_signature_and_hash_itself(here: World) -> None:
    path = "/samples/p-one/1/0"
    page = words_of(get(here.client("auditor"), path).text)
    assert say("sample.signature.ok", "vi", key="dosong.example/probe/p-one") in page
    assert say("sample.leaf.ok", "vi") in page
    assert say("sample.counted.yes", "vi") in page
    assert "−101,0 dBm -1010" in page
    raw = get(here.client("auditor"), f"{path}.note")
    held = here.reader.sample("p-one", 1, 0)
    assert held is not None
    assert raw.data == held.raw
    assert raw.headers["Content-Disposition"] == 'attachment; filename="p-one-1-0.note"'
    stranger = here.probe.signer.generate("dosong.example/probe/p-one")
    here.registry.load({"probes": [{"id": "p-one", "vkey": stranger.verifier.vkey, "site": "s-one"}]})
    assert say("sample.signature.bad", "vi") in words_of(get(here.client("auditor"), path).text)


def test_exact_positions_are_for_logins_only(here: World) -> None:
    visitor = here.client()
    page = get(visitor, "/samples/p-one/1/0").text
    assert "position.lat_e7" not in page
    assert "21,5" not in page
    assert "TN1" not in page
    assert get(visitor, "/samples/p-one/1/0.note").status_code == 403
    rows = json.loads(get(visitor, f"/api/hamlets/{HAMLET}/samples").text)["samples"]
    assert "position_lat_e7" not in rows[0]
    assert "position_source" in rows[0]
    member = get(here.client("official"), "/samples/p-one/1/0").text
    assert "position.lat_e7" in member
    assert "TN1" in member


def test_simulated_records_are_marked_on_every_sheet(tmp_path: Path) -> None:
    with world(tmp_path, demo=True) as here:
        vkey = here.probe.signer.verifier.vkey
        here.registry.load({"probes": [{"id": "p-one", "vkey": vkey, "site": "s-one", "simulated": True}]})
        here.tests(5, simulated=True)
        client = here.client("operator")
        for path in (*PUBLIC, *DOORS):
            if "/live" not in path:
                assert "ô phỏng" in get(client, path).text, path
        assert "position.lat_e7" in get(here.client(), "/samples/p-one/1/0").text
        assert "kythuat" in get(here.client(), "/").text


def test_pages_say_that_the_ledger_is_not_there_yet(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        here.reader.close()
        here.settings.ledger.unlink()
        answer = get(here.client(), "/hamlets")
        assert answer.status_code == 503
        assert say("error.503", "vi") in unescape(answer.text)
        health = words_of(get(here.client("operator"), "/health").text)
        assert say("fault.ledger", "vi") in health
        assert say("fault.empty", "vi") not in health


def test_unknown_things_are_not_found(here: World) -> None:
    for path in ("/hamlets/nowhere", "/samples/p-one/1/999", "/samples/p-none/1/0", "/api/hamlets/nowhere/samples"):
        assert get(here.client(), path).status_code == 404
    assert get(here.client(), "/samples/p-one/1/99999999999999999999").status_code in {404, 503}


def test_the_language_is_kept_in_a_cookie(here: World) -> None:
    client = here.client()
    assert "Hamlets" in get(client, "/hamlets?lang=en").text
    assert "Hamlets" in get(client, "/hamlets").text
    assert "Các xóm" in get(client, "/hamlets?lang=vi").text
    assert "Các xóm" in get(here.client(), "/hamlets?lang=xx").text


def test_both_languages_say_everything_with_the_same_placeholders() -> None:
    for key, (vietnamese, english) in WORDS.items():
        assert vietnamese.strip(), key
        assert english.strip(), key
        assert set(re.findall(r"{(\w+)}", vietnamese)) == set(re.findall(r"{(\w+)}", english)), key


def test_every_word_of_the_contract_has_its_words() -> None:
    for stage in failure.Stage:
        assert f"stage.{stage}" in WORDS
    for cause in failure.Cause:
        assert f"cause.{cause}" in WORDS
    for reason in failure.RefusalReason:
        assert f"reason.{reason}" in WORDS
    for kind in KINDS:
        assert f"kind.{kind}" in WORDS
    for why in Reason:
        assert f"reason.{why}" in WORDS
    assert set(REMEDY.values()) <= set(WORDS)


def test_every_field_of_the_contract_has_a_label(here: World) -> None:
    with here.app.test_request_context("/"):
        g.language = "vi"
        for kind, shape in KINDS.items():
            for dotted in _dotted(shape):
                known = {".".join(m.path): m for m in metrics(kind)}
                label = language._field_label(dotted, known.get(dotted))
                assert label != dotted.rpartition(".")[2] or label in {"modem"}, dotted


def _dotted(shape: Any) -> Iterator[str]:
    def inside(described: Any, prefix: str) -> Iterator[str]:
        for field in described.fields:
            parts = getattr(field.type, "types", (field.type,))
            deeper = next((t for t in parts if isinstance(t, msgspec.inspect.StructType)), None)
            if deeper is None:
                yield prefix + field.name
            else:
                yield from inside(deeper, f"{prefix}{field.name}.")

    yield from inside(msgspec.inspect.type_info(shape), "")


def test_templates_use_only_words_that_exist(here: World) -> None:
    environment = here.app.jinja_env
    for name in environment.list_templates(extensions=["html"]):
        assert environment.loader is not None
        tree = environment.parse(environment.loader.get_source(environment, name)[0])
        for call in tree.find_all(nodes.Call):
            if isinstance(call.node, nodes.Name) and call.node.name == "t" and isinstance(call.args[0], nodes.Const):
                assert call.args[0].value in WORDS, f"{name}: {call.args[0].value}"


def test_a_verdict_that_changes_later_changes_the_page(tmp_path: Path) -> None:
    """Records of a probe without a clock are dated by a later event: figures that were kept are read anew."""
    with world(tmp_path) as here:
        here.tests(5)
        path = f"/hamlets/{HAMLET}"
        assert "n = 5" in words_of(get(here.client(), path).text)
        here.take(here.probe.test(t_ms=None, clock="unsynced", t_src="none"))
        here.tests(1)
        assert "n = 6" in words_of(get(here.client(), path).text)
        here.take(here.probe.event("clock_set", set_mono_ms=0, set_t_ms=T0_MS, set_err_ms=20))
        sample = here.reader.sample("p-one", 1, 5)
        assert sample is not None
        assert sample.t_ms is not None
        assert sample.counted
        assert "n = 7" in words_of(get(here.client(), path).text)


def test_without_the_map_library_the_page_says_so_and_still_draws_a_sketch(here: World) -> None:
    here.app.config["HAS_MAP"] = False
    page = get(here.client(), "/").text
    assert say("map.missing", "vi") in page
    assert "leaflet" not in page.lower().replace("leaflet (bsd-2)", "")
    here.app.config["HAS_MAP"] = True
    assert "vendor/leaflet.js" in get(here.client(), "/").text


@pytest.mark.rates
def test_no_page_is_slow_with_a_month_of_tests(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        here.tests(300)
        begun_s = time.monotonic()
        assert get(here.client(), f"/hamlets/{HAMLET}").status_code == 200
        assert time.monotonic() - begun_s < 2
        assert until(lambda: here.reader.last_n() == 300)


def test_no_word_is_said_twice() -> None:
    """A key in two tables would give one page the other's word."""
    names = sorted(path.stem for path in Path(language.__file__).parent.glob("words_*.py"))
    modules = [importlib.import_module(f"collector.web.{name}") for name in names]
    tables = [table for module in modules for name, table in vars(module).items() if name.endswith("_WORDS")]
    times = Counter(key for table in tables for key in table)
    assert len(times) > 500
    assert {key for key, n in times.items() if n > 1} == set()
