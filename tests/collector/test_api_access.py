"""Who may ask `/api/v1` what: every route against every role, tokens from birth to end, scopes, and how often."""

from __future__ import annotations

import contextlib
import itertools
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
from werkzeug.test import TestResponse

from collector.api.problems import Wrong
from collector.api.routes import ROUTES
from collector.core.rate import Bucket
from collector.registry_rows import Role
from collector.tokens import DAY_MS, USED_EVERY_MS, TokenStore
from collector.web.access import RULES
from tests.collector.kit import FakeProbe, document
from tests.collector.test_web_world import HAMLET, World, get, world
from wire import topics
from wire.errors import Refused

PATHS = {
    "index": "/api/v1/",
    "openapi": "/api/v1/openapi.json",
    "hamlets": "/api/v1/hamlets",
    "hamlet": f"/api/v1/hamlets/{HAMLET}",
    "probes": "/api/v1/probes",
    "probe": "/api/v1/probes/p-one",
    "records": "/api/v1/records",
    "record": "/api/v1/records/p-one/1/0",
    "note": "/api/v1/records/p-one/1/0/note",
    "coverage": "/api/v1/coverage",
    "quota": "/api/v1/quota",
    "log": "/api/v1/log",
    "records_csv": "/api/v1/bulk/records.csv",
    "records_ndjson": "/api/v1/bulk/records.ndjson",
    "coverage_csv": "/api/v1/bulk/coverage.csv",
    "coverage_ndjson": "/api/v1/bulk/coverage.ndjson",
    "rollups_csv": "/api/v1/bulk/rollups.csv",
    "rollups_ndjson": "/api/v1/bulk/rollups.ndjson",
}
# Written out by hand on purpose: the table in the code must agree with what was meant.
ALL = {"technician", "operator", "official", "auditor"}
MEANT = {
    "probes": {"technician", "operator"},
    "probe": {"technician", "operator"},
    "quota": {"official", "operator"},
    "note": ALL,
    **{name: ALL for name in PATHS if name.endswith(("_csv", "_ndjson"))},
}
EXACT = ("position_lat_e7", "position_lon_e7")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.tests(1)
        yield made


@pytest.fixture
def store(here: World) -> Iterator[TokenStore]:
    made = TokenStore(here.settings.registry)
    yield made
    made.close()


def bearer(here: World, token: str, path: str) -> TestResponse:
    return get(here.client(), path, Authorization=f"Bearer {token}")


def make(store: TokenStore, here: World, role: Role = "operator", scope: str = "", days: int = 1) -> str:
    return store.create("thử", role, scope, days, here.now_ms)[0]


def test_the_table_names_every_route(here: World) -> None:
    assert set(PATHS) == {route.name for route in ROUTES}
    assert RULES["machine.metrics"] == {"technician", "operator"}
    assert {name for name in RULES if name.startswith("v1.")} == {route.endpoint for route in ROUTES}


def test_every_route_against_every_role(here: World, store: TokenStore) -> None:
    tokens = {role: make(store, here, role) for role in get_args(Role)}
    logins = {role: here.client(role) for role in get_args(Role)}
    for name, role in itertools.product(PATHS, get_args(Role)):
        path = PATHS[name]
        answer = bearer(here, tokens[role], path)
        if role in MEANT.get(name, ALL):
            assert answer.status_code == 200, (role, name, answer.text)
        else:
            assert (answer.status_code, answer.json["word"]) == (403, "forbidden"), (role, name)
        assert get(logins[role], path).status_code == answer.status_code, "a login may what a token may"


def test_every_route_without_a_token(here: World) -> None:
    for name, path in PATHS.items():
        answer = get(here.client(), path)
        if name == "note":
            assert answer.status_code == 403  # the record is not simulated
        elif name in MEANT:
            assert (answer.status_code, answer.json["word"]) == (401, "token_missing"), name
            assert answer.headers["WWW-Authenticate"].startswith("Bearer")
        else:
            assert answer.status_code == 200, name


def test_a_route_outside_the_table_is_closed(here: World, store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    token = make(store, here)
    monkeypatch.delitem(RULES, "v1.hamlets")
    assert bearer(here, token, "/api/v1/hamlets").status_code == 403


def test_exact_positions_are_for_roles_only(here: World, store: TokenStore) -> None:
    record = PATHS["record"]
    assert not set(EXACT) & set(get(here.client(), record).json["metrics"])
    for role in ("technician", "operator", "official", "auditor"):
        metrics = bearer(here, make(store, here, role), record).json["metrics"]
        assert metrics["position_lat_e7"] == 215_000_000


def test_a_token_is_hashed_shown_once_and_notes_its_use(here: World, store: TokenStore) -> None:
    text, made = store.create("UBND xã", "official", "05755", 30, here.now_ms)
    with sqlite3.connect(here.settings.registry) as db:
        dump = "\n".join(db.iterdump())
    db.close()
    secret = text.split("_", 2)[2]
    assert secret not in dump
    assert store.tokens() == [made]
    assert bearer(here, text, "/api/v1/").json["scope"] == "05755"
    assert store.tokens()[0].last_used_ms == here.now_ms
    here.now_ms += USED_EVERY_MS - 1
    bearer(here, text, "/api/v1/")
    assert store.tokens()[0].last_used_ms == here.now_ms - USED_EVERY_MS + 1
    here.now_ms += 1
    bearer(here, text, "/api/v1/")
    assert store.tokens()[0].last_used_ms == here.now_ms


def test_a_token_ends_by_time_and_by_hand(here: World, store: TokenStore) -> None:
    text, made = store.create("a", "operator", "", 1, here.now_ms)
    here.now_ms = made.expires_ms - 1
    assert bearer(here, text, "/api/v1/probes").status_code == 200
    here.now_ms = made.expires_ms
    ended = bearer(here, text, "/api/v1/probes")
    assert (ended.status_code, ended.json["word"]) == (401, "token_expired")
    other = make(store, here)
    assert store.revoke(other.split("_")[1], here.now_ms)
    assert not store.revoke(other.split("_")[1], here.now_ms)
    assert bearer(here, other, "/api/v1/hamlets").json["word"] == "token_revoked"


def test_no_other_text_opens_anything(here: World, store: TokenStore) -> None:
    good = make(store, here)
    wrong = [good[:-1] + ("A" if good[-1] != "A" else "B"), good.upper(), good + "x", "", "dsg_aaaaaaaa_", "é"]
    for text in wrong:
        answer = bearer(here, text, "/api/v1/hamlets")
        assert (answer.status_code, answer.json["word"]) == (401, "token_unknown"), text
    assert get(here.client(), "/api/v1/hamlets", Authorization=f"Basic {good}").status_code == 401
    # A login does not help a request that carries a token that is none.
    assert get(here.client("operator"), "/api/v1/probes", Authorization="Bearer x").status_code == 401


def test_a_token_opens_no_page_of_people(here: World, store: TokenStore) -> None:
    assert bearer(here, make(store, here), "/operator").status_code == 302


@pytest.mark.parametrize("bad", [{"label": "a\nb"}, {"label": ""}, {"days": 0}, {"days": 1096}, {"scope": "nowhere"}])
def test_a_token_that_cannot_be_is_refused_with_what_to_do(tmp_path: Path, bad: Any) -> None:
    store = TokenStore(tmp_path / "registry.db")
    with contextlib.closing(store), pytest.raises(Refused, match=":"):
        store.create(**{"label": "a", "role": "operator", "scope": "", "days": 1, "now_ms": 0, **bad})


TWO = {
    "provinces": [{"code": "19", "name": "Thái Nguyên"}, {"code": "24", "name": "Bắc Ninh"}],
    "communes": [
        {"code": "05755", "name": "Xã Phú Xuyên", "province": "19"},
        {"code": "07201", "name": "Phường Kinh Bắc", "province": "24"},
    ],
    "hamlets": [
        {"code": HAMLET, "name": "Đồng Chuối", "kind": "xóm", "commune": "05755"},
        {"code": "h-other", "name": "Khác", "kind": "xóm", "commune": "07201"},
    ],
}


@pytest.mark.parametrize("scope", ["24", "07201", "h-other"])
def test_a_scope_hides_everything_outside_it(tmp_path: Path, scope: str) -> None:
    two = FakeProbe("p-two")
    first = document(FakeProbe("p-one"))
    sites = [*first["sites"], {"code": "s-two", "hamlet": "h-other", "name": "Nhà văn hóa"}]
    with world(tmp_path, **TWO, sites=sites) as here:
        here.registry.load({"probes": [{"id": "p-two", "vkey": two.signer.verifier.vkey, "site": "s-two"}]})
        here.tests(2)
        here.take(two.test(), topic=topics.up("p-two"))
        store = TokenStore(here.settings.registry)
        token = make(store, here, "operator", scope)
        store.close()

        def seen(path: str, key: str) -> set[Any]:
            answer = bearer(here, token, f"/api/v1/{path}")
            assert answer.status_code == 200, answer.text
            return {item[key] for item in answer.json["items"]}

        assert seen("hamlets", "code") == {"h-other"}
        assert seen("probes", "id") == {"p-two"}
        assert seen("records", "probe") == {"p-two"}
        assert seen("records?order=asc", "probe") == {"p-two"}
        assert seen("quota", "commune") == {"07201"}
        outside = (
            *(f"hamlets/{HAMLET}", "probes/p-one", "records/p-one/1/0", "records/p-one/1/0/note"),
            *(f"records?hamlet={HAMLET}", f"coverage?hamlet={HAMLET}", f"bulk/rollups.csv?hamlet={HAMLET}"),
        )
        for path in outside:
            answer = bearer(here, token, f"/api/v1/{path}")
            assert (answer.status_code, answer.json["word"]) == (404, "not_found"), path
        for form in ("records", "rollups"):
            lines = bearer(here, token, f"/api/v1/bulk/{form}.ndjson").text.splitlines()
            assert {json.loads(one)["hamlet"] for one in lines} == {"h-other"}
        commune = bearer(here, token, "/api/v1/records?commune=05755")
        assert commune.status_code == 404 or commune.json["items"] == []


def test_the_gate_says_how_long_to_wait(here: World, store: TokenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = here.app.extensions["gate"]
    monkeypatch.setattr(gate, "_now_s", lambda: 1000.0)
    limit = here.settings.api.anonymous_per_minute
    assert [get(here.client(), "/api/v1/log").status_code for _ in range(limit)] == [200] * limit
    refused = get(here.client(), "/api/v1/log")
    assert (refused.status_code, refused.json["word"]) == (429, "rate")
    assert int(refused.headers["Retry-After"]) == 1
    monkeypatch.setattr(gate, "_now_s", lambda: 1001.0)
    assert get(here.client(), "/api/v1/log").status_code == 200
    one, two = make(store, here), make(store, here)
    rate = here.settings.api.requests_per_minute
    gate._buckets[f"token {one.split('_')[1]}"] = Bucket(1.0, 1001.0)
    assert [bearer(here, one, "/api/v1/log").status_code for _ in range(2)] == [200, 429]
    assert bearer(here, two, "/api/v1/log").status_code == 200
    assert rate > limit
    # Guessing tokens empties the same bucket.
    codes = {bearer(here, "dsg_x", "/api/v1/log").status_code for _ in range(3)}
    assert 429 in codes


def test_bulk_streams_at_once_are_few_and_places_come_back(here: World, store: TokenStore) -> None:
    gate = here.app.extensions["gate"]
    token = make(store, here)
    path = "/api/v1/bulk/records.csv"
    with gate.bulk(), gate.bulk():
        busy = bearer(here, token, path)
        assert (busy.status_code, busy.json["word"]) == (503, "busy")
        assert int(busy.headers["Retry-After"]) > 0
    for _ in range(5):  # each gives its place back, a bad one and one that nobody reads too
        assert bearer(here, token, path).status_code == 200
        assert bearer(here, token, f"{path}?hamlet=nowhere").status_code == 404
        client = here.app.test_client()
        left = client.get(path, headers={"Authorization": f"Bearer {token}"}, base_url="https://dosong.example")
        left.close()
    with gate.bulk(), gate.bulk(), pytest.raises(Wrong), gate.bulk():
        pass


def test_a_token_lives_at_least_a_day() -> None:
    assert DAY_MS == 24 * 60 * 60 * 1000
