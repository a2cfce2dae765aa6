"""The registry's pages: found without tone marks, entered as dated appends, by operators inside their scope only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from collector.registry_dated import AssignmentRow
from collector.web.words import say
from tests.collector.kit import T0_MS
from tests.collector.test_web_world import BASE, HAMLET, World, get, token, world

OTHER = {
    "provinces": [{"code": "22", "name": "Quảng Ninh"}],
    "communes": [
        {"code": "05758", "name": "Xã Thần Sa", "province": "19"},
        {"code": "06709", "name": "Phường Móng Cái 2", "province": "22"},
    ],
    "hamlets": [
        {"code": "h-two", "name": "Đồng Mới", "kind": "bản", "commune": "05755"},
        {"code": "h-far", "name": "Hải Yên", "kind": "khu", "commune": "06709"},
    ],
    "sites": [
        {"code": "s-two", "hamlet": "h-two", "name": "Nhà văn hóa"},
        {"code": "s-far", "hamlet": "h-far", "name": "Nhà văn hóa khu"},
    ],
    "assignments": [{"probe": "p-far", "site": "s-far"}],
    "referrals": [{"code": "QN1", "unit": "06709"}],
    "old_units": [{"code": "06721", "name": "Phường Trà Cổ"}],
    "old_successors": [{"old": "06721", "new": "06709"}],
}
HOSTILE = "<script>alert(1)</script>"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[World]:
    with world(tmp_path) as made:
        made.now_ms = T0_MS + 40 * 86_400_000
        made.registry.load(OTHER, T0_MS)
        yield made


def post(client: Any, path: str, page: str, **form: str) -> TestResponse:
    """Send a form as the page `page` would."""
    fields = {"csrf_token": token(client, page), **form}
    answer: TestResponse = client.post(path, data=fields, base_url=BASE, headers={"Referer": f"{BASE}{page}"})
    return answer


def test_a_search_ignores_tone_marks_and_knows_old_names(here: World) -> None:
    client = here.client("official")
    assert "Xóm Đồng Chuối".lower() in get(client, "/registry?q=DONG+CHUOI").text.lower()
    found = get(client, "/registry?q=tra co").text
    assert "Phường Trà Cổ" in found
    assert "/registry/units/06709" in found
    assert "/registry/probes/p-far" in get(client, "/registry?q=p-fa").text
    assert say("registry.none", "vi") in get(client, "/registry?q=nowhere").text
    assert say("registry.none", "en") in get(client, "/registry?q=nowhere&lang=en").text


def test_every_page_reads_in_both_languages(here: World) -> None:
    client = here.client("operator")
    for path in ("/registry", "/registry/units/19", "/registry/units/05755", f"/registry/hamlets/{HAMLET}",
                 "/registry/probes/p-one", "/registry/probes/p-far", "/registry/codes/TN1"):  # fmt: skip
        for lang in ("vi", "en"):
            answer = get(client, f"{path}?lang={lang}")
            assert answer.status_code == 200, path
            assert f'lang="{lang}"' in answer.text
    for path in ("/registry/units/99", "/registry/hamlets/no", "/registry/probes/p-no", "/registry/codes/NO"):
        assert get(client, path).status_code == 404


DEEDS: list[tuple[str, str, dict[str, str]]] = [
    ("/registry/hamlets", "/registry/units/05755",
     {"commune": "05755", "code": "h-new", "kind": "thôn", "name": "Mới", "day": "2026-09-30", "source": "NQ 1"}),
    (f"/registry/hamlets/{HAMLET}/change", f"/registry/hamlets/{HAMLET}", {"kind": "thôn", "name": "Đồng Chuối"}),
    (f"/registry/hamlets/{HAMLET}/merge", f"/registry/hamlets/{HAMLET}", {"into": "h-two", "day": "2026-09-30"}),
    ("/registry/probes/p-one/move", "/registry/probes/p-one", {"site": "s-two", "day": "2026-09-30", "clock": "09:30"}),
    ("/registry/codes/TN1/remap", "/registry/codes/TN1", {"unit": HAMLET}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "page", "form"), DEEDS, ids=[path for path, _, _ in DEEDS])
def test_each_deed_is_one_dated_append_by_an_operator_alone(
    here: World, path: str, page: str, form: dict[str, str]
) -> None:
    before = {
        name: len(here.registry.dated.dump(name)) for name in ("hamlets", "hamlet_ends", "assignments", "referrals")
    }
    for role in ("technician", "official"):
        assert post(here.client(role), path, "/registry", **form).status_code == 403
    assert post(here.client("auditor"), path, "/", **form).status_code == 403
    operator = here.client("operator")
    assert operator.post(path, data=form, base_url=BASE).status_code == 400  # no token
    assert {name: len(here.registry.dated.dump(name)) for name in before} == before
    answer = post(operator, path, page, **form)
    assert answer.status_code == 303
    shown = get(operator, answer.headers["Location"])
    assert shown.status_code == 200
    assert 'role="status"' in shown.text
    after = {name: here.registry.dated.dump(name) for name in before}
    assert sum(len(rows) for rows in after.values()) > sum(before.values())
    newest = [row for rows in after.values() for row in rows if str(row.get("source", "")).startswith("operator")]
    assert newest


def test_a_move_holds_from_its_minute_on(here: World) -> None:
    post(here.client("operator"), "/registry/probes/p-one/move", "/registry/probes/p-one",
         site="s-two", day="2026-09-30", clock="09:30", source="biên bản 7")  # fmt: skip
    row = here.registry.dated.holding(AssignmentRow, probe="p-one")[0]
    assert (row.site, row.valid_from_ms, row.source) == ("s-two", 1_790_735_400_000, "operator: biên bản 7")
    assert here.registry.dated.changes(0)[-1].is_back_dated


WRONG: list[tuple[str, str, dict[str, str], str]] = [
    ("/registry/hamlets", "/registry/units/05755",
     {"commune": "05755", "code": HAMLET, "kind": "x", "name": "y"}, "exists"),
    ("/registry/hamlets", "/registry/units/05755",
     {"commune": "05755", "code": "a b", "kind": "x", "name": "y"}, "code"),
    ("/registry/hamlets", "/registry/units/05755",
     {"commune": "05755", "code": "h-x", "kind": "x", "name": ""}, "empty"),
    ("/registry/hamlets", "/registry/units/05755",
     {"commune": "05755", "code": "h-x", "kind": "x", "name": "a\u202eb"}, "text"),
    ("/registry/probes/p-one/move", "/registry/probes/p-one", {"site": "s-no"}, "unknown"),
    ("/registry/probes/p-one/move", "/registry/probes/p-one", {"site": "s-two", "day": "2030-01-01"}, "future"),
    ("/registry/probes/p-one/move", "/registry/probes/p-one", {"site": "s-two", "day": "1/1/2026"}, "day"),
    (f"/registry/hamlets/{HAMLET}/merge", f"/registry/hamlets/{HAMLET}", {"into": HAMLET}, "own_successor"),
    ("/registry/codes/TN1/remap", "/registry/codes/TN1", {"unit": "nowhere"}, "unknown"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "page", "form", "word"), WRONG, ids=[f"{p} {w}" for p, _, _, w in WRONG])
def test_a_mistake_is_told_and_nothing_is_written(
    here: World, path: str, page: str, form: dict[str, str], word: str
) -> None:
    version = here.registry.dated.last_change()
    answer = post(here.client("operator"), path, page, **form)
    assert answer.status_code == 422
    assert say(f"registry.wrong.{word}", "vi", value="|").split("|")[-1].strip() in answer.text
    assert here.registry.dated.last_change() == version


def test_a_scope_is_a_fence_for_reading_and_writing(here: World) -> None:
    mine = here.registry.user("operator")
    assert mine is not None
    for scope in ("06709", "22", "h-far"):
        here.registry.load({"users": [{"name": "operator", "argon2": mine.argon2, "role": "operator", "scope": scope}]})
        client = here.client("operator")
        assert get(client, "/registry/hamlets/h-far").status_code == 200
        for path in (
            "/registry/units/05755",
            f"/registry/hamlets/{HAMLET}",
            "/registry/probes/p-one",
            "/registry/codes/TN1",
        ):
            assert get(client, path).status_code == 404, (scope, path)
        assert HAMLET not in get(client, "/registry?q=dong").text
        for path, _, form in DEEDS:
            assert post(client, path, "/registry", **form).status_code == 404, (scope, path)
        taken = {"site": "s-one"}
        assert post(client, "/registry/probes/p-far/move", "/registry", **taken).status_code == 404
        stolen = post(client, "/registry/codes/TN1/remap", "/registry", unit="h-far")
        assert stolen.status_code == 404
        assert (
            post(
                client, "/registry/hamlets/h-far/change", "/registry/hamlets/h-far", kind="khu", name="Mới"
            ).status_code
            == 303
        )


def test_hostile_names_are_text(here: World) -> None:
    operator = here.client("operator")
    answer = post(operator, "/registry/hamlets", "/registry/units/05755",
                  commune="05755", code="h-evil", kind="xóm", name=HOSTILE)  # fmt: skip
    assert answer.status_code == 303
    for path in (
        "/registry?q=script",
        "/registry/units/05755",
        "/registry/hamlets/h-evil",
        f"/registry/hamlets/{HAMLET}",
    ):
        text = get(operator, path).text
        assert HOSTILE not in text
        assert "&lt;script&gt;" in text, path
    assert HOSTILE not in get(operator, f"/registry?q={HOSTILE}").text
