"""The acceptance page: ten lines, a photo, a position, a signed sheet; by technicians of the scope alone."""

from __future__ import annotations

import io
import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from PIL import Image
from werkzeug.test import TestResponse

from collector import photos
from collector.core import acceptance as judge
from collector.core.acceptance import Facts
from collector.registry_dated import SurveyRow
from collector.registry_identity import ClaimEntry, Identities
from collector.web import words
from collector.web.words import WORDS, say
from collector.web.words_accept import ACCEPT_WORDS
from tests.collector.kit import T0_MS, FakeProbe
from tests.collector.test_web_world import BASE, World, get, token, world
from wire import visit
from wire.codec import leaf_hash, leaf_text
from wire.errors import Refused

PAGE = "/accept/p-one"
GOOD: dict[str, Any] = {
    "budget": {"limit_bytes": 10_000_000_000, "used_bytes": 1},
    "host": {"spool_records": 0},
    "position": {"source": "surveyed", "lat_e7": 215_000_000, "lon_e7": 1_058_000_000, "fix_mode": 3,
                 "surveyed_offset_m": 12},
    "radio": {"before": {"rat": "LTE", "rsrp_dbm_x10": -1010, "plmn": "45204"}},
}  # fmt: skip


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        yield made


def picture(width: int = 300, height: int = 200) -> bytes:
    """A JPEG with a position and an owner in its Exif, and something behind its end."""
    out, exif = io.BytesIO(), Image.Exif()
    exif[0x013B] = "Nguyen Van A"
    exif.get_ifd(0x8825)[1] = "N"
    exif[0x0112] = 6  # lies on its side
    Image.new("RGB", (width, height), (200, 30, 30)).save(out, "JPEG", exif=exif)
    return out.getvalue() + b"<script>alert(1)</script>"


def send(client: FlaskClient, path: str, **form: Any) -> TestResponse:
    """A form of the page."""
    fields = {"csrf_token": token(client, PAGE), **form}
    answer: TestResponse = client.post(
        path, data=fields, base_url=BASE, headers={"Referer": f"{BASE}{PAGE}"}, buffered=True
    )
    answer.request.environ["wsgi.input"].close()  # the test client keeps a large body in a file
    return answer


def photo(client: FlaskClient, raw: bytes | None = None) -> TestResponse:
    """The photo's form."""
    return send(client, f"{PAGE}/photo", photo=(io.BytesIO(picture() if raw is None else raw), "x.jpg"))


def finish(client: FlaskClient, **form: str) -> TestResponse:
    """The last form, with what it always needs."""
    return send(client, f"{PAGE}/accept", **{"side": "indoor", "antenna": "window", "result": "green", **form})


def sheets(here: World) -> list[dict[str, Any]]:
    with closing(Identities(here.registry.path)) as identities:
        return [json.loads(one.body) for one in identities.wishes("p-one") if one.kind == "acceptance"]


def ready(here: World, **changes: Any) -> FlaskClient:
    """A station that measured twice, and a technician who sent a photo."""
    here.tests(2, **{**GOOD, **changes})
    here.now_ms += 20 * 60_000
    client = here.client("technician")
    assert photo(client).status_code == 303
    return client


def test_a_green_station_becomes_a_sheet_that_waits_for_the_key(here: World) -> None:
    client = ready(here)
    page = get(client, PAGE).text
    assert page.count('<li class="ok">') == 10, re.findall(r'<li class="(?:bad|open)">.*?</li>', page, re.DOTALL)
    answer = finish(client)
    assert answer.status_code == 303
    (sheet,) = sheets(here)
    assert (sheet["result"], sheet["side"], sheet["antenna"]) == ("green", "indoor", "window")
    assert (sheet["actor"], sheet["site"], sheet["test"]) == ("technician", "s-one", {"epoch": 1, "seq": 1})
    bare = {key: value for key, value in sheet.items() if key != "code"}
    assert sheet["code"] == judge.sheet_code(judge.sheet_bytes(bare))
    waiting = get(client, answer.headers["Location"])
    assert say("accept.waiting", "vi") in waiting.text
    assert get(client, f"{answer.headers['Location']}.pdf").status_code == 404, "what is not signed is not printed"
    trail = [one for one in here.entrance.trail.read(20) if one.what == "acceptance.sheet"]
    assert re.fullmatch(r"p-one [0-9a-f]{64}", trail[0].target)


def test_a_signed_sheet_is_printed_in_both_languages_and_the_operator_sees_it(here: World, tmp_path: Path) -> None:
    client = ready(here)
    where = finish(client).headers["Location"]
    with closing(Identities(here.registry.path)) as identities, identities.transaction():
        identities.settle(identities.wishes()[0].n, here.now_ms, leaf_text(leaf_hash(b"note")))
    for lang in ("vi", "en"):
        answer = get(client, f"{where}.pdf?lang={lang}")
        assert answer.mimetype == "application/pdf"
        (tmp_path / "sheet.pdf").write_bytes(answer.data)
        text = subprocess.run(
            ["pdftotext", "-layout", str(tmp_path / "sheet.pdf"), "-"], capture_output=True, check=True
        )
        assert say("accept.result.green", lang) in text.stdout.decode()  # type: ignore[arg-type]
        assert "p-one" in text.stdout.decode()
    operator = here.client("operator")
    for path in ("/operator", "/registry/probes/p-one"):
        assert say("accept.state.green", "vi") in get(operator, path).text, path


def test_what_is_missing_is_said_and_nothing_is_signed(here: World) -> None:
    here.tests(2, **GOOD)
    client = here.client("technician")
    for form, word in (({}, "photo"), ({"side": "up"}, "mounting"), ({"antenna": ""}, "mounting")):
        if word == "mounting":
            photo(client)
        answer = finish(client, **form)
        assert answer.status_code == 422
        assert say(f"accept.wrong.{word}", "vi") in answer.text
    assert sheets(here) == []


def test_without_a_fix_the_telephone_or_the_hand_says_where_and_the_sheet_says_so(here: World) -> None:
    client = ready(here, position={"source": "surveyed", "lat_e7": 215_000_000, "lon_e7": 1_058_000_000})
    for form, word in (
        ({}, "position"),
        ({"lat": "21.5", "lon": "105.8"}, "degrees"),
        ({"lat": "10,76262", "lon": "106,66017"}, "far"),
        ({"lat": "<b>", "lon": "1"}, "degrees"),
    ):
        answer = finish(client, **form)
        assert answer.status_code == 422
        assert say(f"accept.wrong.{word}", "vi", value="|").split("|")[0] in answer.text, word
        assert "<b>" not in answer.text.split('role="alert"')[1].split("</p>")[0]
    assert finish(client, lat="21,50010", lon="105,80010").status_code == 303
    assert finish(client, lat="21.500200", lon="105.800200", accuracy="14").status_code == 303
    newest, older = sheets(here)
    assert (older["position"]["how"], newest["position"]["how"]) == ("typed", "phone")
    assert newest["position"]["accuracy_m"] == 14
    held = here.registry.dated.history(SurveyRow, site="s-one")
    assert {"typed", "phone"} <= {row.how for row in held}


def test_for_ten_minutes_the_receiver_has_its_chance() -> None:
    base: dict[str, Any] = {"state": "active", "since_ms": T0_MS, "near_e7": (215_000_000, 1_058_000_000)}
    early, late = (Facts(**base, now_ms=T0_MS + after) for after in (judge.GPS_WAIT_MS - 1, judge.GPS_WAIT_MS))
    assert (judge.gps(early).verdict, judge.gps(early).word) == ("open", "waiting")
    assert (judge.gps(late).verdict, judge.gps(late).word) == ("bad", "no_fix")


def test_no_service_is_accepted_by_the_code_of_the_stations_own_page(here: World) -> None:
    here.take(here.probe.event())
    raw = here.probe.test(outcome="failed", stage="modem", cause="not_registered", downlink_bps=None, uplink_bps=None)
    here.take(raw)
    here.now_ms += 20 * 60_000
    client = here.client("technician")
    photo(client)
    place = {"lat": "21,50010", "lon": "105,80010", "result": "no_service"}
    record = visit.Named(1, 1, leaf_text(leaf_hash(raw)))
    code = visit.result_code("p-one", record, ("registration", "test", "ack"))
    wrong_letter = ("2" if code[0] != "2" else "3") + code[1:]
    green = visit.result_code("p-one", record, ())
    for typed, word in (("", "code"), (wrong_letter, "slip"), (green, "code_green")):
        answer = finish(client, **place, code=typed)
        assert answer.status_code == 422
        assert say(f"accept.wrong.{word}", "vi", value=typed) in answer.text, word
    assert finish(client, **place, code="").status_code == 422
    assert finish(client, lat="21,50010", lon="105,80010").status_code == 422, "and it is not green"
    assert finish(client, **place, code=visit.shown(code).lower()).status_code == 303
    unknown = visit.result_code("p-one", visit.Named(1, 77, record.leaf), ("registration",))
    assert finish(client, **place, code=unknown).status_code == 303, "its record is still on a stick"
    newest, older = sheets(here)
    assert (older["result"], older["code"], older["visit_code"]) == ("no_service", code, code)
    shown = get(client, f"{PAGE}/sheet/1").text
    assert say("accept.code.found", "vi", number="1/1") in shown
    assert say("accept.code.later", "vi") in get(client, f"{PAGE}/sheet/2").text
    assert newest["code"] == unknown


def test_a_photo_keeps_its_picture_and_nothing_else(here: World) -> None:
    client = here.client("technician")
    assert photo(client).status_code == 303
    (path,) = (here.settings.state / "photos").glob("*.jpg")
    raw = path.read_bytes()
    with Image.open(io.BytesIO(raw)) as kept:
        assert kept.size == (200, 300), "turned upright"
        assert not kept.getexif()
    assert b"Nguyen" not in raw
    assert b"script" not in raw
    assert get(client, f"{PAGE}/photo/{path.stem}").data == raw
    for no in ("0" * 64, "..%2f..%2fcollector.toml", "x"):
        assert get(client, f"{PAGE}/photo/{no}").status_code == 404
    for bad in (b"", b"GIF89a", picture()[:400], b"\xff\xd8" + b"\0" * 100, b"<svg onload=alert(1)>"):
        assert photo(client, bad).status_code == 422
    with pytest.raises(Refused):
        photos.upright(b"\0" * (photos.MOST_BYTES + 1))
    large = io.BytesIO()
    Image.effect_noise((2600, 1900), 90).convert("RGB").save(large, "JPEG", quality=95)
    assert 64 * 1024 < len(large.getvalue()) < photos.MOST_BYTES
    assert photo(client, large.getvalue()).status_code == 303, "as a telephone takes them"
    assert client.post("/login", data=b"x" * 100_000, base_url=BASE).status_code == 413, "all other forms stay small"


def test_a_bomb_of_pixels_is_no_photo() -> None:
    out = io.BytesIO()
    Image.new("1", (9_000, 9_000)).save(out, "PNG")
    with pytest.raises(Refused):
        photos.upright(out.getvalue())


def test_who_may(here: World) -> None:
    here.registry.load({"users": [{**_user(here), "scope": "06709"}]})
    assert get(here.client("technician"), PAGE).status_code == 404
    here.registry.load({"users": [{**_user(here), "scope": ""}]})
    for role, status in (("technician", 200), ("operator", 200), ("official", 403), ("auditor", 403), ("", 302)):
        assert get(here.client(role), PAGE).status_code == status
    assert get(here.client(), PAGE).headers["Location"].endswith("/login?next=/accept/p-one")
    for path in ("/accept/p-none", "/accept/P-ONE", "/accept/p-one/sheet/9", "/accept/p-one/sheet/9.pdf"):
        assert get(here.client("technician"), path).status_code == 404
    assert "geolocation=(self)" in get(here.client("technician"), PAGE).headers["Permissions-Policy"]
    assert "geolocation=()" in get(here.client("technician"), "/technician").headers["Permissions-Policy"]


def _user(here: World) -> dict[str, str]:
    found = here.registry.user("technician")
    assert found is not None
    return {"name": "technician", "argon2": found.argon2, "role": "technician"}


def test_digits_are_checked_before_anything_is_asked(here: World) -> None:
    signer = FakeProbe("p-two").signer
    with closing(Identities(here.registry.path)) as identities:
        claim = ClaimEntry("t", "p-two", "s-one", False, T0_MS, T0_MS + 1, "office", used_ms=T0_MS,
                           record_key=signer.verifier.vkey, tls_key_sha256="k")  # fmt: skip
        identities.add_claim(claim)
        row = {"id": "p-two", "vkey": signer.verifier.vkey, "site": "s-one", "state": "quarantine"}
        here.registry.load({"probes": [row]})
        client = here.client("technician")
        answer = send(client, "/accept/p-two/confirm", digits="000 000")
        assert answer.status_code == 422
        assert say("accept.wrong.digits", "vi") in answer.text
        assert [one.kind for one in identities.alarms()] == ["wrong_fingerprint"]
        from wire.enrolment import fingerprint  # noqa: PLC0415

        right = fingerprint("dosong.example", "p-two", signer.verifier.vkey, "k")
        for _ in range(2):
            assert send(client, "/accept/p-two/confirm", digits=f"{right[:3]} {right[3:]}").status_code == 303
        assert [(one.kind, one.actor) for one in identities.wishes("p-two")] == [("confirm", "technician")]
    assert send(client, f"{PAGE}/confirm", digits="1").status_code == 422, "p-one is confirmed"


def test_what_is_not_known_yet_is_not_green(here: World) -> None:
    signer, page = FakeProbe("p-two").signer, "/accept/p-two"
    with closing(Identities(here.registry.path)) as identities:
        identities.add_claim(ClaimEntry("t", "p-two", "s-one", False, T0_MS, T0_MS + 1, "office", used_ms=T0_MS,
                                        record_key=signer.verifier.vkey, tls_key_sha256="k"))  # fmt: skip
    here.registry.load({"probes": [{"id": "p-two", "vkey": signer.verifier.vkey, "site": "s-one"}]})
    client = here.client("technician")
    here.now_ms = T0_MS + 60_000
    assert send(client, f"{page}/photo", photo=(io.BytesIO(picture()), "x.jpg")).status_code == 303
    form = {"side": "indoor", "antenna": "window", "lat": "21,50010", "lon": "105,80010", "result": "green"}
    early = send(client, f"{page}/accept", **form)
    assert early.status_code == 422
    assert say("accept.wrong.early", "vi", value="9") in early.text
    here.now_ms = T0_MS + 20 * 60_000
    late = send(client, f"{page}/accept", **form)
    assert late.status_code == 422
    said = late.text.split('role="alert"')[1].split("</p>")[0]
    for check in ("sim", "rsrp", "clock", "path", "test", "budget", "ack"):
        assert say(f"accept.check.{check}", "vi") in said, check
    assert late.text.count('<li class="ok">') == 2, "enrolled and confirmed, nothing else is known"


def test_every_word_of_a_line_has_its_sentence_and_every_red_one_its_remedy() -> None:
    source = Path(judge.__file__).read_text()
    named = re.findall(r'Line\(\s*"(\w+)",\s*"?(\w+)"?[^"\n]*,\s*"(\w+)"', source)
    assert {check for check, _, _ in named} >= set(judge.CHECKS) - {"path", "rsrp"}
    for check, verdict, word in named:
        assert f"accept.{check}.{word}" in WORDS
        assert verdict == "ok" or f"accept.do.{check}.{word}" in ACCEPT_WORDS or word == "ok", (check, word)


def test_no_word_of_the_catalogue_hides_another() -> None:
    """Tables are joined by their keys: the later of two equal ones would silently win."""
    tables = [import_module(f"collector.web.{one.stem}") for one in Path(words.__file__).parent.glob("words_*.py")]
    held = [table for module in tables for name, table in vars(module).items() if name.endswith("_WORDS")]
    keys = [key for table in {id(table): table for table in held}.values() for key in table]
    assert sorted({key for key in keys if keys.count(key) > 1}) == []
