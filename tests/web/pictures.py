"""Pictures of the pages for the documents: real pages of a small province, desktop and phone, vi and en.

python -m tests.web.pictures [FOLDER [PAGE]]      (make pictures) writes docs/pictures/page-*.png

With all pages in their own folder it also writes the list of them in docs/boards.md, with the titles that they have.
"""

from __future__ import annotations

import logging
import re
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from grafana.png import shrink
from scripts import assets
from tests.web.browser import DESKTOP, PHONE, Browser
from tests.web.scene import Scene, scene, served

FOLDER = Path("docs/pictures")
PAGES = {
    "map": ("", "/map"),
    "map-province": ("", "/map/19"),
    "map-commune": ("", "/map/05755"),
    "hamlet": ("", "/hamlets/h-dong-chuoi"),
    "fleet": ("operator", "/fleet"),
    "fleet-probe": ("operator", "/fleet/probes/p-three"),
    "monday": ("operator", "/fleet/since"),
    "hamlets": ("", "/hamlets"),
    "coverage": ("", "/hamlets/h-dong-chuoi/coverage"),
    "sample": ("", "/samples/p-one/1/0"),
    "verdicts": ("", "/verdicts"),
    "log": ("", "/log/"),
    "wall": ("", "/wall"),
    "operator": ("operator", "/operator"),
    "refusals": ("operator", "/refusals"),
    "registry-probe": ("operator", "/registry/probes/p-one"),
    "reports": ("operator", "/reports"),
    "health": ("technician", "/health"),
    "today": ("official", "/today"),
    "official": ("official", "/official"),
    "campaigns": ("official", "/campaigns"),
    "cases": ("official", "/cases"),
}
LISTED = Path("docs/boards.md")
BEGIN, END = "<!-- pages: begin -->", "<!-- pages: end -->"
SIZES = {"desktop": DESKTOP, "phone": PHONE}


def take(made: Scene, address: str, folder: Path, only: str = "") -> dict[Path, str]:
    """Every page at both sizes and in both languages; `only` names one page. Returns the files with their titles."""
    taken: dict[Path, str] = {}
    with Browser() as browser:
        for name, (role, path) in PAGES.items():
            for language in ("vi", "en") if only in ("", name) else ():
                for size, pixels in SIZES.items():
                    file = folder / f"page-{name}-{size}-{language}.png"
                    with browser.page(pixels, cookies=made.cookies(role, language)) as page:
                        page.go(address + path)
                        page.run("new Promise(done => setTimeout(done, 700))")
                        page.picture(file)
                        taken[file] = str(page.run("document.title"))
                    file.write_bytes(shrink(file.read_bytes()))
    return taken


def listed(taken: Mapping[Path, str]) -> str:
    """The list of pages for the document: one row a page, with its title and its four pictures."""
    rows = ["| trang · page | vi | en |", "|---|---|---|"]
    for name, (_, path) in PAGES.items():
        title = taken[FOLDER / f"page-{name}-desktop-vi.png"].partition(" · ")[0].replace("|", "/")
        title = re.sub(r"^\(\d+\) ", "", title)  # what is urgent just now is no part of a name
        cells = (
            " · ".join(f"[{size}](pictures/page-{name}-{size}-{language}.png)" for size in SIZES)
            for language in ("vi", "en")
        )
        rows.append(f"| {title} `{path}` | {' | '.join(cells)} |")
    return "\n".join(rows)


def main(arguments: list[str]) -> int:
    """Write the pictures and name them."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    if assets.main([]):
        return 1  # a map without its library is no picture of the page
    folder = Path(arguments[0]) if arguments else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, scene(Path(place), days=14) as made, served(made) as address:
        made.silence("p-four", made.now_ms + 1000)
        taken = take(made, address, folder, arguments[1] if len(arguments) > 1 else "")
    for file in taken:
        print(f"{file} {file.stat().st_size // 1000} kB")
    if folder == FOLDER and len(taken) == 4 * len(PAGES):
        head, _, rest = LISTED.read_text(encoding="utf-8").partition(BEGIN)
        tail = rest.partition(END)[2]
        LISTED.write_text(f"{head}{BEGIN}\n{listed(taken)}\n{END}{tail}", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
