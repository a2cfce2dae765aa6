"""The technician's page: the real process on a real socket beside a real daemon, and whatever a stranger may try."""

from __future__ import annotations

import http.client
import re
import socket
import string
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode

import pytest

from probe.core import doctor_words, gate, page_place
from probe.core.doctor import Finding, Verdict
from probe.page import view, words
from probe.page.session import Closed, Porter, read_key
from probe.page.view import Level, Picture
from tests.probe.kit import wait_until
from tests.probe.test_doctor_core import RED, examine
from tests.probe.visit_kit import Station, station
from wire import visit
from wire.errors import EXIT_MISCONFIGURED, Misconfigured

pytestmark = pytest.mark.services
KEY = bytes(range(32))


@dataclass(slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    text: str


@dataclass(slots=True)
class Phone:
    """A browser as far as these tests need one."""

    port: int
    cookie: str = ""
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, method: str, path: str, form: dict[str, str] | None = None, **headers: str) -> Answer:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=15)
        sent = dict(self.headers) | {name.replace("_", "-"): text for name, text in headers.items()}
        if self.cookie:
            sent["Cookie"] = self.cookie
        body = None if form is None else urlencode(form)
        try:
            connection.request(method, path, body, sent)
            reply = connection.getresponse()
            answer = Answer(reply.status, {n.lower(): v for n, v in reply.getheaders()}, reply.read().decode())
        finally:
            connection.close()
        if "set-cookie" in answer.headers:
            self.cookie = answer.headers["set-cookie"].partition(";")[0]
        return answer

    def get(self, path: str, **headers: str) -> Answer:
        return self.ask("GET", path, **headers)

    def post(self, path: str, form: dict[str, str], **headers: str) -> Answer:
        return self.ask("POST", path, form, **headers)

    def token(self) -> str:
        found = re.search(r'name="token" value="([^"]+)"', self.get("/vi").text)
        assert found is not None
        return found[1]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    with station(tmp_path_factory.mktemp("station")) as found, found.daemon():
        yield found


@contextmanager
def serving(place: Station, folder: Path) -> Iterator[Phone]:
    """The page's process beside the daemon, as the door starts it, with a key and a count of its own."""
    sock = socket.create_server(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    (folder / "page.key").write_text(KEY.hex())
    (place.state / "page.last").unlink(missing_ok=True)
    table = f'[page]\naddress = "127.0.0.1"\ninterface = "ap0"\nport = {port}\nkey_file = "{folder}/page.key"\n'
    settings = place.folder / "page.toml"
    settings.write_text(place.settings.read_text() + table)
    command = [sys.executable, "-m", "probe.page", str(settings), str(sock.fileno())]
    child = subprocess.Popen(command, stdin=subprocess.PIPE, pass_fds=(sock.fileno(),))
    sock.close()
    try:
        yield Phone(port)
    finally:
        assert child.stdin is not None
        child.stdin.close()
        assert child.wait(20) == 0, "it leaves with its parent"


@pytest.fixture
def phone(place: Station, tmp_path: Path) -> Iterator[Phone]:
    with serving(place, tmp_path) as found:
        yield found


def enter(phone: Phone, number: int = 1) -> Answer:
    return phone.post("/vi/open", {"code": visit.shown(visit.pass_code(KEY, number)).lower()})


def test_stranger_sees_the_door_and_nothing_else(phone: Phone, place: Station) -> None:
    assert phone.get("/").headers["location"] == "/vi"
    shown = phone.get("/vi")
    assert shown.status == 200
    assert "Nhập mã" in shown.text
    assert "RSRP" not in shown.text
    assert phone.get("/vi/live").status == 401
    assert phone.post("/vi/test", {"token": ""}).status == 403
    for path in ("/vi/open", "/../probe.toml", "/page.css/../../x", "/vi/live?x", "/xx", "/vi/a/b"):
        assert phone.get(path).status == 404, path
    assert phone.ask("PUT", "/vi").status == 501
    assert phone.get("/page.css").headers["content-type"].startswith("text/css")


def test_code_opens_once_and_the_cookie_is_for_this_page_only(phone: Phone) -> None:
    opened = enter(phone)
    assert (opened.status, opened.headers["location"]) == (303, "/vi")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(opened.headers["set-cookie"].split("; "))
    assert "Các mục kiểm tra" in phone.get("/vi").text
    other = Phone(phone.port)
    assert enter(other).status == 403, "used up"
    assert "đã dùng" in enter(other).text
    assert enter(other, 2).status == 303
    assert phone.get("/vi/live").status == 200, "two phones may look"


def test_spent_code_stays_spent_when_the_process_starts_anew(place: Station, tmp_path: Path) -> None:
    (tmp_path / "page.key").write_text(KEY.hex())
    for number, is_open in ((3, True), (3, False), (2, False), (4, True)):
        porter = Porter(read_key(tmp_path / "page.key"), tmp_path, lambda: 0.0)
        assert (porter.open(visit.pass_code(KEY, number), "a") is not None) is is_open


def test_every_page_carries_the_strictest_policy_and_nothing_inline(phone: Phone) -> None:
    enter(phone)
    for path in ("/", "/vi", "/en", "/vi/live", "/page.js", "/nothing"):
        headers = phone.get(path).headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none';")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["cache-control"] == "no-store"
    text = phone.get("/vi").text
    assert not re.search(r"<style|style=|<script(?! src=)| on[a-z]+=|https?://", text)
    assert '<noscript><meta http-equiv="refresh"' in text, "without a script it still moves"


def test_other_host_names_and_other_origins_get_nothing(phone: Phone) -> None:
    assert phone.get("/vi", Host="evil.example").status == 421
    assert phone.get("/vi", Host=f"localhost:{phone.port}").status == 421
    code = {"code": visit.pass_code(KEY, 1)}
    assert phone.post("/vi/open", code, Origin="http://evil.example").status == 403
    assert phone.post("/vi/open", code, Sec_Fetch_Site="cross-site").status == 403
    assert phone.post("/vi/open", code, Origin=f"http://127.0.0.1:{phone.port}").status == 303


def test_form_without_the_sessions_token_starts_no_test(phone: Phone) -> None:
    enter(phone)
    for token in ("", "x" * 43):
        assert phone.post("/vi/test", {"token": token}).status == 403
    assert "chưa đo" in phone.get("/vi").text


def test_guessing_is_locked_out_and_the_right_code_waits_too(phone: Phone) -> None:
    statuses = [phone.post("/vi/open", {"code": visit.pass_code(KEY[::-1], n)}).status for n in range(8)]
    assert statuses == [403] * gate.TRIES_EACH + [429] * (8 - gate.TRIES_EACH)
    closed = enter(phone)
    assert closed.status == 429
    assert "15 phút" in closed.text


def test_oversized_and_broken_requests_are_refused_and_the_next_is_served(phone: Phone) -> None:
    assert phone.post("/vi/open", {"code": "x" * 2000}).status == 404
    for junk in (b"\x00" * 100, b"GET\r\n\r\n", b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 500 + b"\r\n", b"G" * 70_000):
        with socket.create_connection(("127.0.0.1", phone.port), 10) as sock:
            sock.sendall(junk)
            sock.shutdown(socket.SHUT_WR)
            with sock.makefile("rb") as stream:
                assert b"Traceback" not in _rest(stream)
    assert phone.get("/vi").status == 200


def _rest(stream: object) -> bytes:
    try:
        found: bytes = stream.read()  # type: ignore[attr-defined]
    except ConnectionError:
        return b""
    return found


def test_slow_callers_hold_no_place_for_ever(phone: Phone) -> None:
    slow = [socket.create_connection(("127.0.0.1", phone.port), 10) for _ in range(12)]
    try:
        for sock in slow[:4]:
            sock.sendall(b"GET /vi HTTP/1.1\r\n")

        def is_served() -> bool:
            try:
                return phone.get("/vi").status == 200
            except OSError:
                return False

        wait_until(is_served, 40, "the slow ones are cut off")
    finally:
        for sock in slow:
            sock.close()


def test_one_button_runs_one_short_test_to_its_receipt_and_the_code_is_large(phone: Phone) -> None:
    enter(phone)
    wait_until(lambda: "ĐO THỬ</button>" in phone.get("/vi/live").text, 60, "all that the test needs is green")
    assert phone.post("/vi/test", {"token": phone.token()}).status == 303
    wait_until(lambda: 'class="code"' in phone.get("/vi/live").text, 60, "test and receipt")
    text = phone.get("/en").text
    assert "not by 4G alone" in text, "loopback is no modem's link"
    assert "the server has signed for number" in text
    assert re.search(r'class="code">[2-9A-Z]{4}-[2-9A-Z]{4}<', text)
    assert "TEST AGAIN" in text
    left = phone.post("/vi/leave", {"token": phone.token()})
    assert left.status == 303
    assert phone.get("/vi/live").status == 401


@pytest.mark.parametrize("name", words.WORDS)
def test_languages_of_the_page_are_at_par(name: str) -> None:
    vi, en = words.WORDS[name]
    names = [{part for _, part, _, _ in string.Formatter().parse(text)} for text in (vi, en)]
    assert names[0] == names[1]
    assert vi != en


@pytest.mark.parametrize("name", RED)
@pytest.mark.parametrize("language", doctor_words.LANGUAGES)
def test_every_red_check_is_shown_with_its_remedy(name: str, language: doctor_words.Language) -> None:
    facts, check, word = RED[name]
    seen = view.Seen("p-test", "s", examine(facts), "AM6K3FDD", {"m1": -880})
    text = view.whole(
        Picture(language=language, site="s", seen=seen, levels={"m1": Level(-880, -850, (-900, None, -880))})
    )
    remedy = doctor_words.remedy(next(f for f in seen.findings if (f.check, f.word) == (check, word)), language)
    assert remedy is not None
    assert view.escape(remedy) in text
    assert 'class="state bad"' in text


def test_what_modems_and_servers_say_is_text_and_never_markup() -> None:
    said = '<script>alert(1)</script>" onload="x'
    finding = Finding("registration", Verdict.OK, "ok", {"plmn": said, "rat": said}, "m1")
    text = view.whole(Picture(language="en", site=said, seen=view.Seen("p", said, (finding,), None, {"m1": None})))
    assert "<script>alert" not in text
    assert '" onload' not in text


def test_gate_closes_to_one_address_then_to_all_and_opens_again() -> None:
    state = gate.Gate()
    for n in range(gate.TRIES_ALL):
        source = f"10.0.0.{n // gate.TRIES_EACH}"
        assert gate.wait_s(state, source, n) == 0
        state = gate.failed(state, source, n)
    assert gate.wait_s(state, "10.0.0.0", 30) > 0
    assert gate.wait_s(state, "10.0.0.99", 30) > 0
    assert gate.wait_s(state, "10.0.0.99", gate.WINDOW_S) == 0
    assert gate.wait_s(gate.opened(state, "10.0.0.3"), "10.0.0.99", 30) == 0


def test_porter_says_how_long_and_ends_idle_sessions(tmp_path: Path) -> None:
    now = [0.0]
    porter = Porter(KEY, tmp_path, lambda: now[0])
    cookie = porter.open(visit.pass_code(KEY, 1), "a")
    assert porter.session(cookie) is not None
    for _ in range(gate.TRIES_EACH):
        assert porter.open("ABCD", "a") is None
    with pytest.raises(Closed):
        porter.open(visit.pass_code(KEY, 2), "a")
    now[0] = 1_799
    assert porter.session(cookie) is not None
    now[0] = 3_700
    assert porter.session(cookie) is None


@pytest.mark.parametrize(
    ("address", "interface"),
    [("0.0.0.0", "ap0"), ("8.8.8.8", "ap0"), ("224.0.0.1", "ap0"), ("::", "ap0"), ("x", "ap0"), ("192.168.50.1", "lo")],
)
def test_page_that_would_face_the_modem_or_the_world_is_refused_at_the_start(
    place: Station, address: str, interface: str
) -> None:
    assert page_place.problem(address, interface, ["lo"])
    settings = place.folder / "bad-page.toml"
    settings.write_text(place.settings.read_text() + f'[page]\naddress = "{address}"\ninterface = "{interface}"\n')
    done = subprocess.run(
        [sys.executable, "-m", "probe", "status", "--config", str(settings)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == EXIT_MISCONFIGURED
    assert "page." in done.stderr


def test_key_that_is_none_is_a_misconfiguration(tmp_path: Path) -> None:
    for text in ("", "zz" * 32, "00" * 31):
        (tmp_path / "page.key").write_text(text)
        with pytest.raises(Misconfigured):
            read_key(tmp_path / "page.key")


def test_colours_of_text_are_seven_to_one_against_white_for_the_sun() -> None:
    style = (Path(view.__file__).parent / "static" / "page.css").read_text()
    named = dict(re.findall(r"--([a-z]+): (#[0-9a-f]{3,6});", style))
    used = {*re.findall(r"[{; ]color: (#[0-9a-f]{3,6}|var\(--[a-z]+\))", style), "#00356b"}
    texts = {named.get(one[6:-1], one) for one in used} - {"#fff"}
    assert len(texts) >= 5
    assert {colour: contrast(colour) for colour in texts if contrast(colour) < 7} == {}
    for ground in ("ok", "bad", "none", "wait"):
        assert contrast(named[ground]) >= 7, f"white text on {ground}"


def contrast(colour: str) -> float:
    """Against white; WCAG 2.2, relative luminance."""
    digits = colour[1:] if len(colour) == 7 else "".join(2 * digit for digit in colour[1:])
    shares = [int(digits[at : at + 2], 16) / 255 for at in (0, 2, 4)]
    linear = [share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 1.05 / (0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] + 0.05)
