"""A claim is armed by whoever logged in as technician or operator within scope, by nobody else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from collector.registry_identity import ClaimEntry, Identities
from tests.collector.kit import T0_MS
from tests.collector.test_web_world import BASE, World, get, token, world
from wire.enrolment import token_sha256

DAY_MS = 86_400_000


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        with closing(Identities(made.registry.path)) as identities:
            for probe, expires_ms in (("p-new", T0_MS + 90_000 * DAY_MS), ("p-old", 1)):
                identities.add_claim(ClaimEntry(probe, probe, "s-one", False, T0_MS, expires_ms, "office"))
        yield made


def _armed(here: World) -> dict[str, str | None]:
    with closing(Identities(here.registry.path)) as identities:
        return {one.probe: one.armed_by for one in identities.claims()}


def _arm(client: FlaskClient, probe: str, csrf: str | None) -> int:
    form = {} if csrf is None else {"csrf_token": csrf}
    path = f"/claims/{probe}/arm"
    return client.post(path, data=form, base_url=BASE, headers={"Referer": f"{BASE}/claims"}).status_code


@pytest.mark.parametrize(("role", "status"), [("technician", 302), ("operator", 302), ("official", 403), ("", 400)])
def test_a_claim_is_armed_by_the_roles_that_may(here: World, role: str, status: int) -> None:
    client = here.client(role)
    assert _arm(client, "p-new", token(client, "/claims" if status == 302 else "/") if role else None) == status
    assert (_armed(here)["p-new"] is not None) == (status == 302)


def test_only_open_claims_are_shown_and_armed(here: World) -> None:
    client = here.client("technician")
    page = get(client, "/claims").text
    assert "p-new" in page
    assert "p-old" not in page
    csrf = token(client, "/claims")
    assert [_arm(client, probe, csrf) for probe in ("p-old", "p-none")] == [404, 404]
    assert _arm(client, "p-new", None) == 400, "no token, no deed"
    assert _arm(client, "p-new", csrf) == 302
    assert _armed(here) == {"p-new": _armed(here)["p-new"], "p-old": None}


def _file(client: FlaskClient, probe: str = "p-new") -> TestResponse:
    form = {"csrf_token": token(client, "/claims")}
    path = f"/claims/{probe}/file"
    answer: TestResponse = client.post(path, data=form, base_url=BASE, headers={"Referer": f"{BASE}/claims"})
    return answer


def test_an_operator_takes_the_file_for_a_card_once(here: World) -> None:
    operator = here.client("operator")
    assert _file(operator).status_code == 404, "the office has laid no head here"
    heads = here.settings.path("claims")
    heads.mkdir()
    (heads / "p-new.head").write_text('probe = "p-new"\ntoken = "@token@"\n')
    assert _file(here.client("technician")).status_code == 403
    _arm(operator, "p-new", token(operator, "/claims"))
    answer = _file(operator)
    assert answer.status_code == 200
    assert 'filename="dosong-claim.toml"' in answer.headers["Content-Disposition"]
    assert answer.headers["Cache-Control"] == "no-store"
    given = answer.text.split('token = "')[1].split('"')[0]
    with closing(Identities(here.registry.path)) as identities:
        held = identities.claim(token_sha256(given))
        assert held is not None
        assert (held.probe, held.actor, held.void_ms) == ("p-new", "operator (web)", None)
        assert held.armed_until_ms is not None, "it stays armed"
        old = identities.claim("p-new")
        assert old is not None
        assert old.void_ms is not None, "the file of before is void"
    assert _file(operator).status_code == 404, "once"
    assert given not in get(operator, "/claims").text
    assert next(one.target for one in here.entrance.trail.read(50) if one.what == "claims.file") == "p-new"
