"""Reports on the web: made without JavaScript, read, downloaded, compared, and proved to anybody by the QR code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from collector.core.office_form import read_office
from tests.collector.kit import T0_MS
from tests.collector.test_campaigns import CAMPAIGNS
from tests.collector.test_web_world import BASE, World, enrol_totp, get, login, token, world
from wire.errors import Refused


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.registry.load(CAMPAIGNS, T0_MS)
        made.registry.load({"communes": [{"code": "05756", "name": "Xã Khác", "province": "19"}]}, T0_MS)
        held = made.registry.user("official")
        assert held is not None
        users = [{"name": "canbo", "argon2": held.argon2, "role": "official", "scope": "05756"}]
        made.registry.load({"users": users}, T0_MS)
        enrol_totp(made.entrance, "canbo")
        made.tests(6)
        made.now_ms += 60_000
        yield made


def post(client: FlaskClient, path: str, **form: str) -> TestResponse:
    whole = {"csrf_token": token(client, "/reports"), **form}
    return client.post(path, data=whole, base_url=BASE, headers={"Referer": f"{BASE}/reports"})


def make(client: FlaskClient, kind: str = "month", unit: str = "05755", period: str = "", language: str = "vi") -> str:
    answer = post(client, "/reports", kind=kind, unit=unit, period=period, language=language)
    assert answer.status_code == 302, answer.text
    return str(answer.headers["Location"])


def test_an_official_makes_reads_downloads_and_anybody_can_check(here: World) -> None:
    client = here.client("official")
    assert "Chưa có báo cáo nào" in get(client, "/reports?lang=vi").text
    where = make(client)
    page = get(client, f"{where}?lang=vi").text
    for wanted in ("CỘNG HÒA XÃ HỘI CHỦ NGHĨA VIỆT NAM", "Xóm Đồng Chuối", "20,0", "không có số liệu", "<script"):
        assert (wanted in page) == (wanted != "<script"), wanted
    report_id = where.rsplit("/", 1)[1]
    for name in ("pdf", "docx", "xlsx", "csv", "json", "tsv", "txt"):
        answer = get(client, f"{where}.{name}")
        assert answer.status_code == 200
        digest = hashlib.sha256(answer.data).hexdigest()
        assert digest in get(here.client(), f"/proofs/{report_id}?lang=vi").text, name
    assert get(client, f"{where}.exe").status_code == 404
    assert report_id in get(client, "/reports").text
    assert "Không có số liệu nào thay đổi" in get(client, f"{where}/changes?lang=vi").text


def test_a_late_record_shows_on_the_page_of_changes(here: World) -> None:
    client = here.client("official")
    where = make(client)
    here.take(here.probe.test(t_ms=here.now_ms - 3_000_000, slot_ms=here.now_ms - 3_000_000))
    page = get(client, f"{where}/changes?lang=vi").text
    assert re.search(r"<td>Mẫu trạm đo</td><td class=\"num\">6</td><td class=\"num\">7</td>", page)
    here.now_ms += 60_000
    make(client)
    assert "Có báo cáo lập sau" in get(here.client(), f"/proofs/{where.rsplit('/', 1)[1]}?lang=vi").text


def test_texts_are_entered_and_stand_in_the_next_report(here: World) -> None:
    client = here.client("official")
    done = post(
        client, "/reports/texts", unit="05755", period="", topic="difficulties", said="Mưa lớn\n<b>mất điện</b>"
    )
    assert "done=1" in done.headers["Location"]
    page = get(client, make(client)).text
    assert "Mưa lớn" in page
    assert "&lt;b&gt;mất điện&lt;/b&gt; (official," in page
    long = post(client, "/reports/texts", unit="05755", period="", topic="outreach", said="x" * 2_000)
    assert "wrong=remark" in long.headers["Location"]
    assert post(client, "/reports/texts", unit="05755", period="", topic="gossip", said="x").status_code == 400


def test_what_cannot_be_made_is_said(here: World) -> None:
    client = here.client("official")
    assert "wrong=unit" in make(client, unit="99999")
    assert "wrong=unit" in make(client, kind="dossier", unit="05755")
    assert "wrong=period" in make(client, period="2027-01")
    assert "wrong=period" in make(client, period="gestern")
    assert "2026-Q3" in get(client, "/reports?wrong=period&lang=en").text
    assert post(client, "/reports", kind="gossip", unit="05755", period="", language="vi").status_code == 400


def test_other_kinds_can_be_made_on_the_page(here: World) -> None:
    client = here.client("operator")
    for kind in ("day", "weak"):
        assert get(client, make(client, kind=kind)).status_code == 200, kind
    assert get(client, make(client, kind="dossier", unit="h-dong-chuoi", language="en")).status_code == 200


def test_roles_and_scopes_hold(here: World) -> None:
    where = make(here.client("official"))
    assert get(here.client("technician"), "/reports").status_code == 403
    assert get(here.client(), where).status_code == 302
    assert get(here.client("auditor"), where).status_code == 200
    assert "make" not in re.findall(r'action="[^"]*/reports"', get(here.client("auditor"), "/reports").text)
    other = here.app.test_client()
    assert login(other, "canbo").status_code == 302
    assert get(other, where).status_code == 404
    assert get(other, f"{where}.pdf").status_code == 404
    assert where.rsplit("/", 1)[1] not in get(other, "/reports").text
    assert "wrong=unit" in make(other, unit="05755")
    assert get(other, make(other, unit="05756")).status_code == 200
    form = {"kind": "month", "unit": "05755", "period": "", "language": "vi"}
    assert here.client("official").post("/reports", data=form, base_url=BASE).status_code == 400
    assert get(here.client(), "/proofs/0000000000000000").status_code == 404


def set_office(client: FlaskClient, **changes: str) -> TestResponse:
    form = {
        "unit": "05755", "superior": "",
        "issuer": "ỦY BAN NHÂN DÂN\nXÃ ĐỒNG CHUỐI", "issuer_name": "UBND xã Đồng Chuối",
        "place": "Đồng Chuối", "symbol": "BC-UBND", "addressed": "Sở Khoa học và Công nghệ", "recipients": "Như trên;",
        "authority": "KT. CHỦ TỊCH", "signer": "PHÓ CHỦ TỊCH", "emails": "vp@xa.example\n lan@xa.example ", **changes,
    }  # fmt: skip
    return post(client, "/reports/office", **form)


def test_an_official_enters_the_letterhead_and_the_next_report_bears_it(here: World) -> None:
    client = here.client("official")
    assert "/reports/office" in get(client, "/reports").text
    page = get(client, "/reports/office?unit=05755&lang=vi").text
    assert "tiêu đề mặc định" in page
    assert "ỦY BAN NHÂN DÂN" in page, "what would stand there is shown"
    assert "webhook" not in page, "only an operator says where the server sends to"
    assert "PHÓ CHỦ TỊCH" not in get(client, f"{make(client)}.json").text
    done = set_office(client, webhook="http://127.0.0.1/")
    assert "done=1" in done.headers["Location"]
    page = get(client, "/reports/office?unit=05755&lang=vi").text
    for wanted in ("XÃ ĐỒNG CHUỐI", "vp@xa.example\nlan@xa.example", "PHÓ CHỦ TỊCH", ": official"):
        assert wanted in page, wanted
    here.now_ms += 60_000
    assert "PHÓ CHỦ TỊCH" in get(client, f"{make(client)}.json").text
    operator = here.client("operator")
    page = get(operator, "/reports/office?unit=05755").text
    assert 'name="webhook"' in page
    assert "127.0.0.1" not in page
    assert "done=1" in set_office(operator, webhook="https://hook.example/a").headers["Location"]
    wrong = set_office(client, signer="NGƯỜI KÝ", emails="x")
    assert (wrong.status_code, "aria-invalid" in wrong.text, "NGƯỜI KÝ" in wrong.text) == (200, True, True)
    assert "NGƯỜI KÝ" not in get(client, "/reports/office?unit=05755").text, "what has a mistake is not kept"
    set_office(client, signer="CHỦ TỊCH")
    assert "https://hook.example/a" in get(operator, "/reports/office?unit=05755").text, "an official keeps it"


@pytest.mark.parametrize(
    ("field", "typed"),
    [
        ("issuer", ""), ("issuer_name", " "), ("emails", "not an address"), ("emails", "a@b.vn\nBcc: x"),
        ("recipients", "a\n" * 13), ("place", "x" * 161), ("webhook", "file:///etc/passwd"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_letterhead_names_its_field(field: str, typed: str) -> None:
    good = {
        "issuer": "A\r\n B\x00 \n",
        "issuer_name": "a",
        "place": "b",
        "emails": "x@y.vn; z@y.vn",
        "webhook": "http://h.vn",
    }
    held = read_office(good, None, may_hook=True)
    assert (held.head.issuer, held.emails, held.webhook) == (("A", "B"), ("x@y.vn", "z@y.vn"), "http://h.vn")
    assert read_office({**good, "webhook": "http://other"}, held, may_hook=False) == held
    with pytest.raises(Refused) as refused:
        read_office({**good, field: typed}, None, may_hook=True)
    assert refused.value.reason == field


def test_a_letterhead_of_another_unit_is_nobodys_to_write(here: World) -> None:
    stranger = here.client("canbo")
    assert "XÃ ĐỒNG CHUỐI" not in get(stranger, "/reports/office?unit=05755").text
    assert "done=1" not in set_office(stranger).headers["Location"]
    assert "done=1" not in set_office(here.client("official"), unit="h-dong-chuoi").headers["Location"]
    for role in ("technician", "auditor"):
        assert get(here.client(role), "/reports/office?unit=05755").status_code == 403
    assert get(here.client(), "/reports/office").status_code in {302, 303}
