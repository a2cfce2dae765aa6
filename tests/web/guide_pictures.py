"""Pictures of the user guides, from real pages: `python -m tests.web.guide_pictures` (into docs/pictures/guide).

Each picture is the page at which a step of docs/vi and docs/en ends, on the small province of `tests.web.scene`. The
steps are carried out by the pages' own forms while the pictures are taken, so a guide whose step no longer works fails
here.
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

from flask.testing import FlaskClient

from grafana.png import shrink
from tests.collector.kit import T0_MS
from tests.collector.test_web_world import BASE, HAMLET, PASSWORD, login, token
from tests.web.browser import PHONE, Browser
from tests.web.scene import Scene, scene, served

FOLDER = Path(__file__).parents[2] / "docs" / "pictures" / "guide"
MONTH = "2026-09"
CAMPAIGN = {
    "campaigns": [{"code": "kh-81", "name": "i-Speed hằng tháng", "document": "81/KH-UBND", "counter": "portal",
                   "starts_ms": T0_MS - 10**9}],
    "campaign_quotas": [{"campaign": "kh-81", "line": "xa", "level": "commune", "what": "samples", "minimum": 300,
                         "period": "month"}],
    "campaign_reports": [{"campaign": "kh-81", "line": "so", "level": "commune", "period": "month_to_date",
                          "due_day": 20, "recipients": "Sở Khoa học và Công nghệ"}],
    "limits": [{"code": "qcvn81-2-1-2", "name": "Truy nhập", "nature": "regulation", "relation": "<=",
                "value_x1000": 5000, "unit": "%", "source": "QCVN 81:2019/BTTTT"}],
}  # fmt: skip
SHOTS: tuple[tuple[str, str, str], ...] = (
    ("today", "official", "/today"),
    ("campaigns", "official", "/campaigns"),
    ("sheet", "official", "/official"),
    ("behind", "official", f"/behind/{HAMLET}/failed"),
    ("why", "official", "/why/05755"),
    ("case", "official", "/cases/1"),
    ("cases", "official", "/cases"),
    ("calendar", "official", f"/hamlets/{HAMLET}/coverage"),
    ("qcvn", "official", f"/hamlets/{HAMLET}/qcvn"),
    ("allotment", "operator", "/allotment/05755"),
    ("record", "official", "/samples/p-three/1/90"),
    ("company", "viettel", "/cases/3"),
)
DESK = (1200, 900)
VISITORS = (("guide", f"/ispeed/{HAMLET}", PHONE), ("poster", f"/ispeed/{HAMLET}/poster", (800, 1130)))


def post(client: FlaskClient, path: str, **form: object) -> None:
    """Fill in a form of ours. Raises AssertionError if it was not taken."""
    given = {"csrf_token": token(client, "/hamlets"), **form}
    answer = client.post(path, data=given, base_url=BASE, headers={"Referer": BASE})
    assert answer.status_code == 302, (path, answer.status_code)
    assert "wrong" not in answer.headers["Location"], path


def person(made: Scene, name: str) -> FlaskClient:
    """Somebody who logged in."""
    client = made.app.test_client()
    assert login(client, name, PASSWORD).status_code == 302
    return client


def tell(made: Scene) -> None:
    """What the guides tell to do: an objection with its answer, and a weak spot with the company's promise."""
    held = made.registry.user("auditor")
    assert held is not None
    made.registry.load({"users": [{"name": "viettel", "argon2": held.argon2, "role": "company", "scope": "45204"}]})
    made.registry.load(CAMPAIGN, T0_MS)
    official, operator, viettel = person(made, "official"), person(made, "operator"), person(made, "viettel")
    missed = next(s for s in made.reader.samples(probe="p-three", kind="test", limit=200) if not s.counted)
    post(official, "/cases/open", kind="sample", probe="p-three", epoch=missed.epoch, seq=missed.seq,
         text="Hôm đó mất điện cả xóm, đề nghị xem lại lần đo này.")  # fmt: skip
    post(operator, "/cases/1/say", what="answered", text="Trạm có điện dự phòng; modem báo không có dữ liệu.")
    post(official, "/cases/open", kind="spot", hamlet=HAMLET, plmn="45204",
         text="Buổi tối tốc độ tải xuống dưới 10 Mbit/s ở nhà văn hóa.")  # fmt: skip
    post(viettel, "/cases/3/say", what="replied", promised="2026-10-15",
         text="Sẽ thêm băng tần 700 MHz ở trạm TNN0324.")  # fmt: skip


def cookies(made: Scene, name: str, language: str) -> dict[str, str]:
    """What somebody's browser carries."""
    if not name:
        return {"lang": language}
    held = person(made, name).get_cookie("dosong", domain="dosong.example")
    assert held is not None
    return {"lang": language, "dosong": held.value}


def main() -> int:
    """Take all pictures, in both languages."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    FOLDER.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, scene(Path(folder)) as made, served(made) as address:
        tell(made)
        with Browser() as browser:
            for language in ("vi", "en"):
                for name, role, path in SHOTS:
                    take(browser, address + path, cookies(made, role, language), DESK, f"{name}-{language}")
                for name, path, size in VISITORS:
                    take(browser, address + path, {"lang": language}, size, f"{name}-{language}")
    print(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER}")
    return 0


def take(browser: Browser, url: str, carried: dict[str, str], size: tuple[int, int], name: str) -> None:
    """What a page's window shows, as a small PNG."""
    with browser.page(size, cookies=carried) as page:
        page.go(url)
        assert page.run("document.querySelector('h1') !== null"), url
        page.picture(FOLDER / f"{name}.png", whole=False)
    (FOLDER / f"{name}.png").write_bytes(shrink((FOLDER / f"{name}.png").read_bytes()))


if __name__ == "__main__":
    sys.exit(main())
