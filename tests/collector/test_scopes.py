"""What lies outside a scope is as if it were not there: every address that names a unit, for logins and tokens."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from werkzeug.routing import Rule
from werkzeug.test import TestResponse

from collector.core.dispute import Step, Subject
from collector.disputes import Disputes
from collector.registry_rows import Role
from collector.scopes import Scopes
from collector.tokens import TokenStore
from collector.web.access import RULES
from collector.web.gate import is_machine
from tests.collector.kit import T0_MS, FakeProbe, document
from tests.collector.test_web_world import BASE, HAMLET, World, enrol_totp, get, token, world
from wire import topics

DAY_MS = 86_400_000
MINE, THEIRS = "h-other", HAMLET
BASE_FORM = {"value": "5", "kind": "xóm", "name": "Tên", "line": "x/y", "counter": "people"}
NAMES: dict[str, tuple[str, str]] = {
    "unit": ("07201", "05755"),
    "hamlet": (MINE, THEIRS),
    "code": (MINE, THEIRS),
    "probe": ("p-two", "p-one"),
    "registry.unit/code": ("07201", "05755"),
    "registry.referral/code": ("BN1", "TN1"),
    "registry.remap_code/code": ("BN1", "TN1"),
    "packs.pack/code": ("2026-09", "2026-09"),
    "office.allotment/code": ("07201", "05755"),
    "office.approve/code": ("07201", "05755"),
    "board.unit/code": ("07201", "05755"),
    "board.live/code": ("07201", "05755"),
    "what": ("counted", "counted"),
    "report_id": ("no-report", "no-report"),
    "account": ("in-07201", "in-05755"),
    "identity": ("mine", "theirs"),
    "n": ("1", "2"),
    "digest": ("0" * 64, "0" * 64),
    "number": ("1", "1"),
    "epoch": ("1", "1"),
    "seq": ("0", "0"),
}
"""Values of an address's parts, inside and outside the scope. A new part of an address must be named here."""
NO_UNIT = {"filename", "path", "shard", "token", "month", "session", "form", "name"}
"""Parts that name no unit."""
ABSENT_HERE = {"log.proof", "log.entries", "claims.arm", "claims.file", "packs.pack", "v1.note", "heads.revoke"} | {
    *("accept.picture", "accept.sheet", "accept.paper"),
    *(f"reports.{page}" for page in ("one", "changed", "file", "proof")),
}
"""This world seals nothing, has no claim, photo or report; each has a test of its own."""
WORLD: dict[str, Any] = {
    "provinces": [{"code": "19", "name": "Thái Nguyên"}, {"code": "24", "name": "Bắc Ninh"}],
    "communes": [
        {"code": "05755", "name": "Xã Phú Xuyên", "province": "19"},
        {"code": "07201", "name": "Phường Kinh Bắc", "province": "24"},
    ],
    "hamlets": [
        {"code": HAMLET, "name": "Đồng Chuối", "kind": "xóm", "commune": "05755"},
        {"code": MINE, "name": "Khác", "kind": "xóm", "commune": "07201"},
    ],
    "referrals": [{"code": "TN1", "unit": "05755"}, {"code": "BN1", "unit": "07201"}],
}


@contextmanager
def make_world(folder: Path) -> Iterator[World]:
    """Two provinces, each with a commune, a hamlet, a probe, an account, a board and a case."""
    sites = [*document(FakeProbe("p-one"))["sites"], {"code": "s-two", "hamlet": MINE, "name": "Nhà văn hóa"}]
    with world(folder, **WORLD, sites=sites) as made:
        two = FakeProbe("p-two")
        made.registry.load({"probes": [{"id": "p-two", "vkey": two.signer.verifier.vkey, "site": "s-two"}]})
        held = made.registry.user("operator")
        assert held is not None
        for unit in ("07201", "05755"):
            user = {"name": f"in-{unit}", "argon2": held.argon2, "role": "official", "scope": unit}
            made.registry.load({"users": [user]})
        for name, unit in (("mine", "07201"), ("theirs", "05755")):
            _, board = made.entrance.passes.make_board(name, unit, "operator", T0_MS)
            made.entrance.passes._run("UPDATE wall_board SET id = ? WHERE id = ?", name, board.id)
        with closing(Disputes(made.settings.disputes)) as disputes:
            for province, commune, hamlet in (("24", "07201", MINE), ("19", "05755", THEIRS)):
                opened = Step("opened", "lan", "official", T0_MS, "một lý do đủ dài")
                disputes.open_case(Subject("outage", province, commune, hamlet, "45204", from_ms=1, to_ms=2), opened)
        made.tests(2)
        made.take(two.test(), topic=topics.up("p-two"))
        yield made


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with make_world(tmp_path) as made:
        yield made


def limit(here: World, role: str, scope: str) -> None:
    held = here.registry.user("operator")
    assert held is not None
    here.registry.load({"users": [{"name": role, "argon2": held.argon2, "role": role, "scope": scope}]})
    enrol_totp(here.entrance, role)


def path_of(rule: Rule, which: int) -> str:
    """A rule's address with the values of inside (0) or outside (1)."""
    path = rule.rule
    for name in rule.arguments - set(rule.defaults or ()):
        values = NAMES.get(f"{rule.endpoint}/{name}") or NAMES.get(name) or (("x", "x") if name in NO_UNIT else None)
        assert values is not None, f"{rule.endpoint}: say in NAMES or NO_UNIT what <{name}> means"
        path = re.sub(rf"<(?:[^<>]+:)?{name}>", values[which], path)
    assert "<" not in path, path
    return path


def addresses(here: World, which: int) -> list[tuple[Rule, str]]:
    """Every address that names a unit, with the values of inside (0) or outside (1)."""
    rules = (rule for rule in here.app.url_map.iter_rules() if set(rule.arguments) - NO_UNIT - set(rule.defaults or ()))
    return [(rule, path_of(rule, which)) for rule in rules]


def ask(here: World, client: Any, rule: Rule, path: str) -> TestResponse:
    if "GET" in (rule.methods or ()):
        return get(client, path)
    form = {"csrf_token": token(client, "/account"), **BASE_FORM}
    answer: TestResponse = client.post(path, data=form, base_url=BASE, headers={"Referer": f"{BASE}/"})
    return answer


@pytest.mark.parametrize("role", ["official", "operator", "technician", "auditor"])
def test_two_communes_see_nothing_of_each_other(here: World, role: Role) -> None:
    limit(here, role, "07201")
    client = here.client(role)
    seen = 0
    for rule, path in addresses(here, 1):
        if role in RULES[rule.endpoint]:
            seen += 1
            assert ask(here, client, rule, path).status_code == 404, (rule.endpoint, path)
    for rule, path in addresses(here, 0):
        if role in RULES[rule.endpoint] and rule.endpoint not in ABSENT_HERE:
            assert ask(here, client, rule, path).status_code not in {403, 404}, (rule.endpoint, path)
    assert seen > 10


def test_a_token_of_the_same_scope_gets_the_same_answers(here: World) -> None:
    limit(here, "operator", "07201")
    client, store = here.client("operator"), TokenStore(here.settings.registry)
    text, _ = store.create("thử", "operator", "07201", 1, here.now_ms)
    store.close()
    for which in (0, 1):
        for rule, path in addresses(here, which):
            if is_machine(rule.endpoint):
                by_token = get(here.client(), path, Authorization=f"Bearer {text}")
                assert by_token.status_code == get(client, path).status_code, path
                assert (by_token.status_code == 404) == (which == 1), path


@pytest.mark.parametrize("role", ["official", "operator", "technician"])
def test_lists_and_feeds_hold_nothing_from_outside(here: World, role: str) -> None:
    limit(here, role, "07201")
    client = here.client(role)
    pages = ["/", "/live", "/hamlets", "/api/places", "/api/feed", "/technician", "/operator", "/official", "/refusals",
             "/claims", "/fleet", "/cases", "/campaigns",
             "/registry?q=dong", "/api/v1/hamlets", "/api/v1/records", "/api/v1/quota"]  # fmt: skip
    for path in pages:
        text = get(client, path).text
        assert not any(word in text for word in ("p-one", HAMLET, "Đồng Chuối", "05755")), path
    assert "p-two" in get(client, "/api/feed").text
    assert get(client, "/metrics").status_code == 403
    assert get(client, "/log/2026/tile/entries/000").status_code in {403, 404}


def test_a_visitor_without_a_login_still_sees_what_is_public(here: World) -> None:
    assert get(here.client(), f"/hamlets/{HAMLET}").status_code == 200
    assert len(json.loads(get(here.client(), "/api/feed").text)["samples"]) == 3


def test_a_deed_by_a_unit_in_the_form_is_refused_like_one_in_the_address(here: World) -> None:
    limit(here, "operator", "07201")
    client = here.client("operator")
    given = {"csrf_token": token(client, "/account"), "commune": "05755", "code": "h-new", "name": "Mới", "kind": "xóm"}
    answer = client.post("/registry/hamlets", data=given, base_url=BASE, headers={"Referer": f"{BASE}/"})
    assert answer.status_code == 404
    assert here.registry.hamlet("h-new") is None
    moved = {"csrf_token": token(client, "/account"), "site": "s-one"}
    answer = client.post("/registry/probes/p-two/move", data=moved, base_url=BASE, headers={"Referer": f"{BASE}/"})
    assert answer.status_code == 404
    place = here.registry.place("p-two")
    assert place is not None
    assert place.hamlet == MINE


# --- the dated registry -----------------------------------------------------------------------------------------------


def test_a_scope_follows_its_land_through_mergers_and_splits(here: World) -> None:
    rows = [{"code": f"h-{c}", "name": c.upper(), "kind": "xóm", "commune": "07201"} for c in "abcde"]
    here.registry.load({"hamlets": rows}, T0_MS)
    here.registry.load({"hamlet_ends": [
        {"hamlet": "h-a", "how": "merged", "successors": "h-b", "valid_from_ms": T0_MS - DAY_MS},
        {"hamlet": "h-c", "how": "split", "successors": "h-d h-e", "valid_from_ms": T0_MS - DAY_MS},
    ]}, T0_MS)  # fmt: skip
    scopes = Scopes(here.registry)
    covered = {scope: {h for h in ("h-a", "h-b", "h-c", "h-d", "h-e") if scopes.covers(scope, h)}
               for scope in ("h-a", "h-b", "h-c", "h-d", "07201", "24", "05755", "")}  # fmt: skip
    everything = {"h-a", "h-b", "h-c", "h-d", "h-e"}
    assert covered == {
        "h-a": {"h-a"},  # a scope does not grow by a merger
        "h-b": {"h-a", "h-b"},  # its land includes what was merged into it
        "h-c": {"h-c", "h-d", "h-e"},  # the parts are its land
        "h-d": {"h-c", "h-d"},  # its past, when both parts were one
        "07201": everything, "24": everything, "05755": set(), "": everything,
    }  # fmt: skip
    for scope, inside in covered.items():
        assert {h.code for h in scopes.hamlets(scope)} & everything == inside, scope


def test_a_hamlet_that_changed_its_commune_is_each_ones_in_its_time(here: World) -> None:
    row = {"code": MINE, "name": "Khác", "kind": "xóm", "commune": "05755", "valid_from_ms": T0_MS - DAY_MS}
    here.registry.load({"hamlets": [row]}, T0_MS)
    scopes = Scopes(here.registry)
    assert scopes.covers("05755", MINE)
    assert not scopes.covers("07201", MINE)
    assert scopes.covers("07201", MINE, T0_MS - 2 * DAY_MS)
    assert not scopes.covers("05755", MINE, T0_MS - 2 * DAY_MS)
    assert scopes.covers_record("07201", (MINE, "07201", "24")), "a record stays with the commune that it was taken in"


def test_nothing_outside_the_registry_is_inside_a_scope(here: World) -> None:
    scopes = Scopes(here.registry)
    assert not scopes.covers("07201", None)
    assert not scopes.covers("07201", "nowhere")
    assert not scopes.covers_site("07201", "s-none")
    assert not scopes.covers_probe("07201", "p-none")
    assert scopes.covers("", None)
