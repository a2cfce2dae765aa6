"""Every page as axe-core sees it on a phone, and the widest ones on a desk: no violation of WCAG 2.2 AA.

    python -m tests.web.test_axe        (make axe) every page, both languages, both widths

Whoever adds a page adds its address to `PAGES`.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts import assets
from tests.web.axe import SIZES, Violation, look, violations
from tests.web.browser import DESKTOP, PHONE, Browser
from tests.web.scene import Scene, scene, served

PAGES = {
    "": (
        *("/map", "/map/19", "/map/24400"),
        *("/", "/hamlets", "/hamlets/h-dong-chuoi", "/hamlets/h-3", "/hamlets/h-dong-chuoi/coverage", "/login"),
        *("/log/", "/samples/p-one/1/0", "/samples/p-three/1/36", "/verdicts", "/nowhere"),
        *("/hamlets/h-dong-chuoi/qcvn", "/ispeed/h-dong-chuoi", "/ispeed/h-dong-chuoi/poster"),
    ),
    "technician": ("/technician", "/health", "/claims", "/registry", "/accept/p-one", "/accept/p-three"),
    "operator": (
        "/operator",
        "/refusals",
        "/registry/units/24400",
        "/registry/probes/p-one",
        "/fleet",
        "/fleet/since",
        "/fleet/probes/p-three",
    ),
    "official": (
        "/today",
        "/why/05755",
        "/cases",
        "/behind/05755/counted",
        "/allotment/05755",
        "/official",
        "/campaigns",
    ),
}
WIDE = {"": ("/", "/map/66", "/hamlets/h-dong-chuoi"), "operator": ("/operator",)}
MORE = {
    "": ("/wall",),
    "operator": ("/account", "/accounts", "/boards", "/reports", "/reports/silent", "/reports/office?unit=05755"),
}
"""Pages that only `make axe` looks at: the tests have minutes, not hours."""
LANGUAGES = {"": "vi", "technician": "en", "operator": "vi", "official": "en"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scene, str]]:
    if assets.main(["--axe"]):
        pytest.skip("axe-core is not here: run python scripts/assets.py --axe when online")
    with scene(tmp_path_factory.mktemp("pages"), days=1) as made, served(made) as address:
        yield made, address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with Browser() as made:
        yield made


def found_by(made: Scene, address: str, browser: Browser, role: str, language: str, wide: bool) -> list[Violation]:
    """What is found on a role's pages: on a phone, and on a desk those of `WIDE`, or all of them."""
    cookies = made.cookies(role, language)
    pages = (*PAGES[role], *MORE.get(role, ())) if wide else PAGES[role]
    found = violations([address + path for path in pages], cookies=cookies, sizes=(PHONE,), browser=browser)
    desk = pages if wide else WIDE.get(role, ())
    return found + violations([address + path for path in desk], cookies=cookies, sizes=(DESKTOP,), browser=browser)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("role", PAGES)
def test_axe_finds_nothing(place: tuple[Scene, str], browser: Browser, role: str) -> None:
    found = found_by(*place, browser, role, LANGUAGES[role], wide=False)
    assert not found, "\n".join(str(one) for one in found)


def test_axe_sees_what_is_wrong(browser: Browser) -> None:
    words = "<p style='color:%23ccc;background:%23fff'>Some words</p>"
    page = f"data:text/html,<html lang=vi><title>a</title><main><h1>b</h1><img src=c>{words}</main>"
    with browser.page(PHONE) as tab:
        tab.go(page)
        assert {one.rule for one in look(tab, "data:", 360)} == {"image-alt", "color-contrast"}


def main() -> int:
    """Every page, both languages, both widths. Exit 1 if anything is found, or axe-core is not here."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if assets.main(["--axe"]):
        return 1
    with (
        tempfile.TemporaryDirectory() as folder,
        scene(Path(folder), days=1) as made,
        served(made) as address,
        Browser() as browser,
    ):
        rounds = [(role, language) for role in PAGES for language in ("vi", "en")]
        found = [v for role, language in rounds for v in found_by(made, address, browser, role, language, wide=True)]
    for one in found:
        print(one)
    number = sum(len(paths) for paths in (*PAGES.values(), *MORE.values()))
    print(
        f"goal: accessibility: {len(found)} violations on {number} pages, 2 languages, {len(SIZES)} widths (0): "
        f"{'short' if found else 'met'}"
    )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
