"""The document and the server agree: a short form of `make fuzz-api`, and what the document says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from collector.api import openapi, page
from collector.api.routes import ROUTES
from tests.collector.api_fuzz import fuzz, served


@pytest.mark.services
def test_no_answer_of_the_running_server_breaks_its_document(tmp_path: Path) -> None:
    with served(tmp_path) as (url, token):
        done = fuzz(tmp_path, url, token, "coverage", 1, 110)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]
    cases = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert cases is not None, done.stdout[-3000:]
    assert int(cases[1]) > 500


def test_the_page_about_it_is_current() -> None:
    assert page.DOCUMENT.read_text(encoding="utf-8") == page.text(), "run: python -m collector.api.page"


def test_the_document_names_every_route_and_only_known_parts() -> None:
    document = openapi.document()
    assert set(document["paths"]) == {route.path for route in ROUTES}
    named = set(re.findall(r"#/components/schemas/(\w+)", str(document)))
    assert named <= set(document["components"]["schemas"])
    for route in ROUTES:
        operation = document["paths"][route.path]["get"]
        assert operation["security"][0] == ({} if "" in route.roles else {"token": []})
        assert {p["name"] for p in operation["parameters"]} == {p.name for p in route.params}
        assert set(re.findall(r"\{(\w+)}", route.path)) == {p.name for p in route.params if p.where == "path"}
