"""Wall boards: a code opens one television, which looks and does no deed, until it ends; and the list of accounts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner
from flask.testing import FlaskClient

from collector.__main__ import main
from collector.sessions import BOARD_MS
from collector.web.access import BOARD, RULES
from tests.collector.test_accounts import PASSPHRASE, post
from tests.collector.test_web_world import BASE, World, code_of, enrol_totp, get, login, token, world


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.tests(1)
        yield made


def make(here: World, unit: str = "05755") -> str:
    page = post(here.client("operator"), "/boards", "/boards", label="Phòng họp UBND", unit=unit)
    found = re.search(r"<code>([A-Z2-9]{4}-[A-Z2-9]{4}-[A-Z2-9]{4})</code>", page.text)
    assert found is not None
    return found[1]


def television(here: World, unit: str = "05755") -> FlaskClient:
    client = here.client()
    assert post(client, "/wall", "/wall", code=make(here, unit).lower()).headers["Location"] == "/wall/board"
    return client


def test_a_code_opens_one_television_once(here: World) -> None:
    code = make(here)
    first, second = here.client(), here.client()
    assert code in get(first, f"/wall?code={code}").text
    assert post(first, "/wall", "/wall", code=code).status_code == 303
    assert "Xã Phú Xuyên" in get(first, "/wall/board").text
    assert post(second, "/wall", "/wall", code=code).status_code == 401
    assert get(second, "/wall/board").status_code == 302
    late = make(here)
    here.now_ms += 24 * 3_600_000
    assert post(second, "/wall", "/wall", code=late).status_code == 401


def test_codes_are_not_guessed(here: World) -> None:
    client = here.client()
    answers = [post(client, "/wall", "/wall", code=f"AAAA-AAAA-AAA{i}").status_code for i in range(7)]
    assert answers == [401] * 5 + [429] * 2


def test_a_television_looks_for_thirty_days_and_ends_at_once_when_told(here: World) -> None:
    client = television(here)
    for _ in range(9):
        here.now_ms += BOARD_MS // 10  # a board has no idle end
        assert get(client, "/wall/board").status_code == 200
    board = here.entrance.passes.boards()[0]
    operator = here.client("operator")
    assert post(operator, f"/boards/{board.id}/revoke", "/boards").status_code == 303
    assert get(client, "/wall/board").status_code == 302
    other = television(here)
    here.now_ms += BOARD_MS
    assert get(other, "/wall/board").status_code == 302


def test_a_stolen_board_cookie_does_no_deed_and_opens_no_other_page(here: World) -> None:
    client = television(here)
    csrf = token(client, "/wall")
    for rule in here.app.url_map.iter_rules():
        path = re.sub(r"<[^>]+>", "1", rule.rule)
        is_door = rule.endpoint in {"access.login", "access.welcome", "wall.open"}
        if "POST" in (rule.methods or ()) and not is_door:
            answer = client.post(path, data={"csrf_token": csrf}, base_url=BASE, headers={"Referer": f"{BASE}/wall"})
            assert answer.status_code == 403, rule.endpoint
    assert {name for name, roles in RULES.items() if roles & BOARD and "" not in roles} >= {
        "wall.show",
        "doors.official",
    }
    for path in ("/operator", "/account", "/accounts", "/boards", "/health", "/api/v1/probes", "/metrics"):
        assert get(client, path).status_code == 403, path
    record = get(client, "/samples/p-one/1/0")
    assert record.status_code == 200
    assert get(client, "/samples/p-one/1/0.note").status_code == 403, "no exact position for a wall"
    assert "p-one" not in json.dumps([one for one in deeds_of(here) if one[1] != "wall.open"])


def deeds_of(here: World) -> list[tuple[str, str]]:
    return [(one.actor, one.what) for one in here.entrance.trail.read(100)]


def test_a_board_shows_its_own_unit_alone(here: World) -> None:
    here.registry.load({"communes": [{"code": "07201", "name": "Phường Kinh Bắc", "province": "19"}]})
    here.registry.load({"hamlets": [{"code": "h-k", "name": "Khu 1", "kind": "khu", "commune": "07201"}]})
    client = television(here, "07201")
    page = get(client, "/wall/board").text
    assert "Phường Kinh Bắc" in page
    assert "Phú Xuyên" not in page
    assert get(client, "/hamlets/h-dong-chuoi").status_code == 404
    assert post(here.client("operator"), "/boards", "/boards", label="x", unit="nowhere").status_code == 422


# --- the list of accounts ---------------------------------------------------------------------------------------------


def test_an_operator_makes_limits_closes_and_lets_in_anew(here: World) -> None:
    client = here.client("operator")
    page = post(client, "/accounts", "/accounts", account="phuxuyen", role="official", scope="05755")
    link = re.search(r"https://dosong\.example(/welcome/[A-Za-z0-9_-]+)", page.text)
    assert link is not None
    owner = here.client()
    assert post(owner, link[1], link[1], password=PASSPHRASE, again=PASSPHRASE).status_code == 302
    assert get(owner, "/official").headers["Location"] == "/account/second-factor"
    enrol_totp(here.entrance, "phuxuyen")
    assert "Xã Phú Xuyên" in get(owner, "/official").text
    assert post(client, "/accounts/phuxuyen/scope", "/accounts", scope="19").status_code == 303
    assert here.registry.user("phuxuyen").scope == "19"  # type: ignore[union-attr]
    assert post(client, "/accounts/phuxuyen/disable", "/accounts").status_code == 303
    assert get(owner, "/official").status_code == 302
    assert login(owner, "phuxuyen", PASSPHRASE).status_code == 401
    assert post(client, "/accounts/phuxuyen/enable", "/accounts").status_code == 303
    assert login(owner, "phuxuyen", PASSPHRASE, otp=code_of(owner, "phuxuyen")).status_code == 302
    assert "/welcome/" in post(client, "/accounts/phuxuyen/reset", "/accounts").text
    assert get(owner, "/official").status_code == 302
    assert login(owner, "phuxuyen", PASSPHRASE).status_code == 401


def test_mistakes_on_the_list_are_told(here: World) -> None:
    client = here.client("operator")
    wrong = [("A B", "official", ""), ("0912345678", "official", ""), ("operator", "official", ""),
             ("x1", "boss", ""), ("x1", "board", ""), ("x1", "official", "nowhere")]  # fmt: skip
    for name, role, unit in wrong:
        answer = post(client, "/accounts", "/accounts", account=name, role=role, scope=unit)
        assert answer.status_code == 422, name
    for deed in ("disable", "scope", "reset"):
        assert post(client, f"/accounts/operator/{deed}", "/accounts", scope="05755").status_code == 422


def test_an_operator_of_a_unit_gives_nobody_more_than_that(here: World) -> None:
    mine = here.registry.user("operator")
    assert mine is not None
    row = {"name": "xa", "argon2": mine.argon2, "role": "operator", "scope": "05755"}
    here.registry.load({"users": [row]})
    enrol_totp(here.entrance, "xa")
    client = here.client("xa")
    assert "official" not in re.findall(r'scope="row">([a-z]+)<', get(client, "/accounts").text)
    for unit in ("", "19"):
        wider = post(client, "/accounts", "/accounts", account="neu", role="operator", scope=unit)
        assert wider.status_code == 422
    assert post(client, "/accounts", "/accounts", account="neu", role="official", scope="05755").status_code == 200
    assert post(client, "/accounts/neu/scope", "/accounts", scope="").status_code == 422
    for deed in ("disable", "scope", "reset", "end"):
        assert post(client, f"/accounts/operator/{deed}", "/accounts").status_code == 404


def test_the_commands_do_the_same_and_write_it_down(here: World) -> None:
    def run(*words: str, fails: bool = False) -> str:
        done = CliRunner().invoke(main, ["account", *words, "--config", str(here.settings.path("collector.toml"))])
        assert (done.exit_code != 0) == fails, done.output
        return done.output

    link = run("add", "xa1", "--role", "technician", "--scope", "05755").splitlines()[0]
    assert link.startswith("https://dosong.example/welcome/")
    run("add", "xa1", "--role", "technician", fails=True)
    run("add", "x2", "--role", "technician", "--scope", "nowhere", fails=True)
    row = next(json.loads(line) for line in run("list", "--json").splitlines() if '"xa1"' in line)
    assert row == {"name": "xa1", "role": "technician", "scope": "05755", "state": "invited", "second_factor": False,
                   "sessions": 0}  # fmt: skip
    owner, path = here.client(), link.removeprefix("https://dosong.example")
    here.now_ms = here.entrance.accounts.all()["xa1"].made_ms  # commands go by the real clock
    assert post(owner, path, path, password=PASSPHRASE, again=PASSPHRASE).status_code == 302
    assert "127.0.0.1" in run("sessions", "xa1")
    run("scope", "xa1", "19")
    run("sessions", "xa1", "--end")
    assert get(owner, "/technician").status_code == 302
    run("disable", "xa1")
    assert login(here.client(), "xa1", PASSPHRASE).status_code == 401
    run("enable", "xa1")
    assert "/welcome/" in run("reset", "xa1", "--url", "http://127.0.0.1:8080")
    trail = run("audit")
    for word in ("account.add xa1", "account.scope xa1", "account.disable xa1", "account.reset xa1"):
        assert word in trail
