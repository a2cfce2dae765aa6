"""The table of roles, walked: every address of the application is asked by every role, and answers as `RULES` says.

A new endpoint needs its rule there, and, if its address names something new, a value in `test_scopes.NAMES`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from collector.web.access import RULES
from collector.web.gate import is_machine
from tests.collector.test_scopes import BASE_FORM, NAMES, limit, make_world, path_of
from tests.collector.test_wall import television
from tests.collector.test_web_world import BASE, World, get, token

ROLES = ("", "technician", "operator", "official", "auditor", "company", "board", "enrolling")
ENDS = {"access.logout"}
"""Asked last of all: it ends the session that asks."""


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path) as made:
        yield made


def client_of(here: World, role: str) -> FlaskClient:
    if role == "board":
        return television(here, "")
    if role == "company":
        limit(here, role, "45204")
    if role == "enrolling":
        here.entrance.accounts.drop_totp("operator")
        return here.client("operator")
    return here.client(role)


def ask(client: FlaskClient, rule: Rule, path: str, csrf: str) -> tuple[int, str]:
    if "GET" in (rule.methods or ()):
        answer = get(client, path)
    else:
        form = {"csrf_token": csrf, **BASE_FORM}
        answer = client.post(path, data=form, base_url=BASE, headers={"Referer": f"{BASE}/"})
    return answer.status_code, answer.headers.get("Location", "")


@pytest.mark.parametrize("role", ROLES)
def test_every_address_answers_every_role_as_the_table_says(here: World, role: str) -> None:
    client = client_of(here, role)
    csrf = token(client, "/login")
    rules = sorted(here.app.url_map.iter_rules(), key=lambda rule: (rule.endpoint in ENDS, rule.endpoint, rule.rule))
    for rule in rules:
        assert rule.endpoint in RULES, f"{rule.endpoint} has no rule: say in access.RULES who may use it"
        status, where = ask(client, rule, path_of(rule, 0), csrf)
        allowed = role in RULES[rule.endpoint]
        refused = status in {401, 403} or where.startswith(("/login", "/account/second-factor"))
        if rule.endpoint in {"access.login", "wall.open", "heads.enter", "v1.note", "pages.raw"} and allowed:
            continue  # doors with their own answer, and bytes with a position: asked in tests of their own
        if rule.endpoint == "account.enrol" and role == "enrolling":
            assert status == 200
            continue
        assert refused != allowed, (role, rule.endpoint, status, where)
        if not allowed:
            turned = 302 if role in {"", "enrolling"} and "GET" in (rule.methods or ()) else 403
            turned = 401 if role == "" and is_machine(rule.endpoint) else turned
            turned = 403 if is_machine(rule.endpoint) and role else turned
            assert status == turned, (role, rule.endpoint, status)


def test_the_table_has_no_rule_for_what_is_not_there(here: World) -> None:
    assert set(RULES) == {rule.endpoint for rule in here.app.url_map.iter_rules()}
    assert NAMES
