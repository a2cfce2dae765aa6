"""Who gets in and who sees what: every route against every role, the login, and what a form must carry."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import request

from collector.registry_rows import UserEntry
from collector.settings import read_settings
from collector.web import create_app, entrance
from collector.web.access import RULES, safe_path
from collector.web.demo import DEMO_LOGINS
from collector.web.gate import is_machine
from collector.web.words import say
from tests.collector.test_web_world import BASE, HAMLET, PASSWORD, World, get, login, token, world
from wire.errors import Misconfigured

NO_WELCOME = "/welcome/a-link-that-was-never-made"
PATHS = {
    "access.welcome": NO_WELCOME,
    "account.overview": "/account",
    "accounts.overview": "/accounts",
    "wall.overview": "/boards",
    "heads.overview": "/heads",
    "heads.form": "/bao-cao/a-sheet-that-was-never-made",
    "counts.overview": "/counts",
    "counts.template": "/counts/template.csv",
    "wall.door": "/wall",
    "wall.show": "/wall/board",
    "static": "/static/site.css",
    "access.login": "/login",
    "pages.first": "/",
    "pages.first_live": "/live",
    "pages.hamlets": "/hamlets",
    "pages.hamlet": f"/hamlets/{HAMLET}",
    "pages.hamlet_live": f"/hamlets/{HAMLET}/live",
    "coverage.calendar": f"/hamlets/{HAMLET}/coverage",
    "coverage.outages": f"/hamlets/{HAMLET}/coverage.csv",
    "pages.sample": "/samples/p-one/1/0",
    "api.feed": "/api/feed",
    "api.samples": f"/api/hamlets/{HAMLET}/samples",
    "api.places": "/api/places",
    "api.healthz": "/healthz",
    "doors.technician": "/technician",
    "doors.operator": "/operator",
    "doors.official": "/official",
    "campaigns.overview": "/campaigns",
    "packs.pack": "/packs/05755/2026-09.zip",
    "cases.why": "/why/05755",
    "office.today": "/today",
    "office.allotment": "/allotment/05755",
    "office.behind": "/behind/05755/counted",
    "office.indicators": f"/hamlets/{HAMLET}/qcvn",
    "guide.unit": f"/ispeed/{HAMLET}",
    "guide.poster": f"/ispeed/{HAMLET}/poster",
    "cases.overview": "/cases",
    "cases.one": "/cases/1",
    "doors.health": "/health",
    "doors.refusals": "/refusals",
    "claims.overview": "/claims",
    "board.country": "/map",
    "board.unit": "/map/05755",
    "board.live": "/map/19/live",
    "board.boundaries": "/map/boundaries.json",
    "fleet.overview": "/fleet",
    "fleet.since": "/fleet/since",
    "fleet.probe": "/fleet/probes/p-one",
    "registry.search": "/registry",
    "registry.unit": "/registry/units/05755",
    "registry.hamlet": f"/registry/hamlets/{HAMLET}",
    "registry.probe": "/registry/probes/p-one",
    "registry.referral": "/registry/codes/TN1",
    "log.overview": "/log/",
    "verdicts.rules": "/verdicts",
    "log.newest": "/log/checkpoint",
    "log.witnesses": "/log/witnesses",
    "log.vkeys": "/log/vkeys",
    "log.verifier": "/log/dosong-verify.py",
    "log.checkpoint": "/log/2026/checkpoint",
    "log.tile": "/log/2026/tile/0/000",
    "log.entries": "/log/2026/tile/entries/000",
    "log.proof": "/samples/p-one/1/0.tlog-proof",
}
NO_LOG = {
    "cases.one",
    "log.newest",
    "log.witnesses",
    "log.vkeys",
    "log.checkpoint",
    "log.tile",
    "log.entries",
    "log.proof",
    "board.boundaries",
}
"""Files of a log, and a case, that this world does not have: allowed, and not there (`test_web_log`, `test_cases`)."""
# Written out by hand on purpose: the table in the code must agree with what was meant.
MEANT = {
    "accounts.overview": {"operator"},
    "wall.overview": {"operator"},
    "heads.overview": {"operator", "official"},
    "counts.overview": {"operator", "official", "auditor"},
    "counts.template": {"operator", "official", "auditor"},
    "wall.show": set[str](),
    "account.overview": {"technician", "operator", "official", "auditor"},
    "doors.technician": {"technician", "operator"},
    "doors.operator": {"operator"},
    "doors.official": {"official", "operator"},
    "doors.health": {"technician", "operator"},
    "doors.refusals": {"operator"},
    "claims.overview": {"technician", "operator"},
    "fleet.overview": {"technician", "operator"},
    "fleet.since": {"technician", "operator"},
    "fleet.probe": {"technician", "operator"},
    "log.entries": {"operator", "official", "auditor"},
    "campaigns.overview": {"official", "operator", "auditor"},
    "packs.pack": {"official", "operator", "auditor"},
    "cases.why": {"official", "operator", "auditor"},
    "office.today": {"official", "operator", "auditor"},
    "office.allotment": {"official", "operator", "auditor"},
    "office.behind": {"official", "operator", "auditor"},
    "cases.overview": {"official", "operator", "auditor"},
    "cases.one": {"official", "operator", "auditor"},
    "registry.search": {"technician", "operator", "official"},
    "registry.unit": {"technician", "operator", "official"},
    "registry.hamlet": {"technician", "operator", "official"},
    "registry.probe": {"technician", "operator", "official"},
    "registry.referral": {"technician", "operator", "official"},
}
POSTS = {f"registry.{deed}" for deed in ("add_hamlet", "change_hamlet", "merge_hamlet", "move_probe", "remap_code")} | {
    "campaigns.enter",
    "claims.arm",
    *(f"accounts.{deed}" for deed in ("add", "scope", "disable", "enable", "reset", "end")),
    *(f"heads.{deed}" for deed in ("make", "revoke", "enter")),
    *(f"counts.{deed}" for deed in ("enter", "table")),
    *(f"wall.{deed}" for deed in ("make", "revoke", "open")),
    "cases.open_one",
    "office.approve",
    "cases.say",
    "fleet.note",
    "fleet.caretaker",
    *(f"account.{deed}" for deed in ("change_password", "renew_codes", "end_session", "enrol")),
}  # `test_web_fleet`, `test_web_registry`, `test_campaigns`, `test_web_claims` and `test_accounts` ask each role


ELSEWHERE = {
    *(f"accept.{page}" for page in ("accept", "confirm", "page", "paper", "photo", "picture", "sheet")),
    *(f"reports.{page}" for page in ("changed", "enter", "file", "make", "one", "overview", "proof", "silent")),
    *(f"reports.{page}" for page in ("office", "set_office")),
    "claims.file",
}
"""Pages whose roles are asked where they have something to show: `test_web_accept`, `test_report_web`,
`test_web_claims`."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.tests(1)
        yield made


def test_every_route_is_in_the_table_and_the_table_has_no_others(here: World) -> None:
    assert {rule.endpoint for rule in here.app.url_map.iter_rules()} == set(RULES)
    pages = {endpoint for endpoint in RULES if not is_machine(endpoint)}  # the others: test_api_access
    assert set(PATHS) | POSTS | ELSEWHERE <= pages  # test_roles walks every address there is


@pytest.mark.parametrize("role", ["", "technician", "operator", "official", "auditor"])
def test_every_route_against_every_role(here: World, role: str) -> None:
    client = here.client(role)
    for endpoint, path in PATHS.items():
        allowed = role in MEANT[endpoint] if endpoint in MEANT else True
        answer = get(client, path)
        if allowed:
            assert answer.status_code == (404 if endpoint in NO_LOG | {"access.welcome", "heads.form"} else 200), (
                role,
                endpoint,
            )
        elif role == "":
            assert answer.status_code == 302, endpoint
            assert answer.headers["Location"] == f"/login?next={path}"
        else:
            assert answer.status_code == 403, (role, endpoint)
            assert say("error.403", "vi") in answer.text


def test_a_route_outside_the_table_is_closed(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(RULES, "pages.hamlets")
    assert get(here.client("operator"), "/hamlets").status_code == 403


@pytest.mark.parametrize("role", ["technician", "operator", "official"])
def test_the_login_leads_to_the_role_s_door(here: World, role: str) -> None:
    client = here.client()
    answer = login(client, role)
    assert answer.headers["Location"] == f"/{role}"
    assert get(client, f"/{role}").status_code == 200
    assert client.post("/logout", data={"csrf_token": token(client, "/")}, base_url=BASE,
                       headers={"Referer": BASE}).status_code == 302  # fmt: skip
    assert get(client, f"/{role}").status_code == 302


def test_a_wrong_password_and_an_unknown_user_get_the_same_answer_in_the_same_time(here: World) -> None:
    client = here.client()
    answers = []
    for name in ("operator", "nobody-here"):
        begun_s = time.monotonic()
        answer = login(client, name, "wrong")
        answers.append((answer.status_code, answer.text.replace(name, ""), time.monotonic() - begun_s))
        assert say("login.wrong", "vi") in answer.text
    assert answers[0][0] == answers[1][0] == 401
    assert get(client, "/operator").status_code == 302


def test_an_unknown_user_costs_a_whole_hash(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []
    hasher = entrance.PasswordHasher

    class Counting(hasher):  # type: ignore[misc, valid-type]
        def verify(self, hash: str, password: str) -> bool:  # type: ignore[override]
            hashed.append(hash)
            return bool(super().verify(hash, password))

    here.entrance.hasher = Counting()
    assert here.entrance.check("nobody-here", "x") is None
    assert here.entrance.check("technician", "x") is None
    assert here.entrance.check("technician", PASSWORD) is not None
    assert len(hashed) == 3
    assert hashed[0].startswith("$argon2id$")


def test_after_five_wrong_tries_the_account_waits_and_then_may_again(here: World) -> None:
    client = here.client()
    for _ in range(5):
        assert login(client, "operator", "wrong").status_code == 401
    answer = login(client, "operator")
    assert answer.status_code == 429
    assert "300 giây" in answer.text
    assert login(here.client(), "official").status_code == 302
    here.now_ms += 301_000
    assert login(client, "operator").status_code == 302


@pytest.mark.parametrize(("bind", "seen"), [("unix:/run/w.sock", "198.18.0.7"), ("127.0.0.1:8080", "127.0.0.1")])
def test_a_visitors_address_is_the_proxys_word_only_behind_a_unix_socket(here: World, bind: str, seen: str) -> None:
    config = here.settings.path("collector.toml")
    config.write_text(config.read_text() + f'bind = "{bind}"\n')
    app = create_app(read_settings(config), here.reader, here.registry)
    addresses: list[str | None] = []
    app.before_request(lambda: addresses.append(request.remote_addr))
    app.test_client().get("/healthz", headers={"X-Forwarded-For": "203.0.113.1, 198.18.0.7"})
    assert addresses == [seen]


def test_a_post_without_its_token_is_refused(here: World) -> None:
    client = here.client()
    answer = client.post("/login", data={"name": "operator", "password": PASSWORD}, base_url=BASE)
    assert answer.status_code == 400
    assert say("error.400", "vi") in answer.text
    logged_in = here.client("operator")
    assert logged_in.post("/logout", base_url=BASE).status_code == 400
    assert get(logged_in, "/operator").status_code == 200


def test_a_login_leads_nowhere_outside(here: World) -> None:
    outside = ("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/a\nb", "")
    assert [safe_path(path) for path in outside] == [""] * len(outside)
    assert login(here.client(), "operator", onward="//evil.example").headers["Location"] == "/operator"
    assert login(here.client(), "operator", onward="/refusals").headers["Location"] == "/refusals"


def test_a_removed_account_loses_its_session(here: World, monkeypatch: pytest.MonkeyPatch) -> None:
    client = here.client("operator")
    monkeypatch.setattr(here.registry, "user", lambda name: None)
    assert get(client, "/operator").status_code == 302


def test_a_role_change_holds_at_the_next_request(here: World) -> None:
    client = here.client("operator")
    found = here.registry.user("operator")
    assert isinstance(found, UserEntry)
    here.registry.load({"users": [{"name": "operator", "argon2": found.argon2, "role": "official"}]})
    assert get(client, "/refusals").status_code == 403


def test_a_scope_limits_what_a_role_sees(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        here.tests(1)
        mine = here.registry.user("official")
        assert mine is not None
        users = [{"name": "official", "argon2": mine.argon2, "role": "official", "scope": "99"}]
        here.registry.load({"users": users})
        assert say("official.none", "vi") in get(here.client("official"), "/official").text
        here.registry.load({"users": [{**users[0], "scope": "05755"}]})
        assert "Xã Phú Xuyên" in get(here.client("official"), "/official").text
        here.registry.load({"users": [{**users[0], "role": "technician", "scope": "elsewhere"}]})
        assert "p-one" not in get(here.client("official"), "/technician").text


def test_a_big_request_is_refused(here: World) -> None:
    answer = here.client().post("/login", data={"name": "x" * 100_000}, base_url=BASE)
    assert answer.status_code in {400, 413}


def test_demo_logins_exist_only_in_a_demo(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    (tmp_path / "plain").mkdir()
    with world(tmp_path / "plain") as plain:
        for demo in DEMO_LOGINS:
            assert login(plain.client(), demo.name, demo.password).status_code == 401
        assert DEMO_LOGINS[0].password not in get(plain.client(), "/").text
        assert DEMO_LOGINS[0].password not in get(plain.client(), "/login").text
    with world(tmp_path / "demo", demo=True) as shown:
        for demo in DEMO_LOGINS:
            assert login(shown.client(), demo.name, demo.password).status_code == 302
        assert DEMO_LOGINS[0].password in get(shown.client(), "/").text


def test_a_missing_or_short_secret_is_one_sentence(tmp_path: Path, here: World) -> None:
    config = here.settings.path("collector.toml")
    here.settings.path("web.secret").write_text("short")
    with pytest.raises(Misconfigured, match="openssl rand"):
        create_app(read_settings(config), here.reader, here.registry)
    here.settings.path("web.secret").unlink()
    with pytest.raises(Misconfigured, match=r"web\.secret_file"):
        create_app(read_settings(config), here.reader, here.registry)
