"""Every answer of the pages, whatever its kind or status, carries the headers that keep a browser safe."""

from __future__ import annotations

from pathlib import Path

import pytest

from collector.web.headers import HEADERS
from tests.collector.test_web_world import BASE, World, get, world

ASKED = ("/", "/login", "/hamlets", "/health", "/nowhere", "/operator", "/api/v1/hamlets", "/api/v1/records?x=1",
         "/static/icon.svg", "/log/checkpoint", "/accounts")  # fmt: skip


@pytest.mark.parametrize("role", ["", "operator"])
def test_every_answer_carries_the_headers(tmp_path: Path, role: str) -> None:
    with world(tmp_path) as here:
        client = here.client(role)
        kinds = set()
        for path in ASKED:
            answer = get(client, path)
            kinds.add(answer.status_code)
            for name, value in HEADERS.items():
                assert answer.headers.get(name) == value, (path, name)
            assert answer.headers.get("Cache-Control"), path
            assert "Strict-Transport-Security" in answer.headers, path
            assert not {"Server", "X-Powered-By"} & set(answer.headers), path
        assert len(kinds) > 1, "answers of several kinds were looked at"


def test_nothing_inline_is_allowed_and_cookies_stay_with_us(tmp_path: Path) -> None:
    with world(tmp_path) as here:
        policy = HEADERS["Content-Security-Policy"]
        assert "unsafe" not in policy
        for part in ("default-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "object-src 'none'"):
            assert part in policy
        for cookie in _cookies(here):
            assert {"Secure", "HttpOnly"} <= {word.strip() for word in cookie.split(";")}, cookie
            assert "SameSite=Lax" in cookie or "SameSite=Strict" in cookie, cookie


def _cookies(here: World) -> list[str]:
    answer = here.app.test_client().get("/login", base_url=BASE)
    found = answer.headers.getlist("Set-Cookie")
    assert found, "a form's token needs a cookie"
    return found
