"""Pictures of the pages for the documents: real pages of a small province, desktop and phone, vi and en.

python -m tests.web.pictures [FOLDER]      (make pictures) writes docs/pictures/page-*.png
"""

from __future__ import annotations

import logging
import sys
import tempfile
from pathlib import Path

from grafana.png import shrink
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
}
SIZES = {"desktop": DESKTOP, "phone": PHONE}


def take(made: Scene, address: str, folder: Path, only: str = "") -> list[Path]:
    """Every page at both sizes and in both languages; `only` names one page. Returns the files."""
    taken: list[Path] = []
    with Browser() as browser:
        for name, (role, path) in PAGES.items():
            for language in ("vi", "en") if only in ("", name) else ():
                for size, pixels in SIZES.items():
                    file = folder / f"page-{name}-{size}-{language}.png"
                    with browser.page(pixels, cookies=made.cookies(role, language)) as page:
                        page.go(address + path)
                        page.run("new Promise(done => setTimeout(done, 700))")
                        page.picture(file)
                    file.write_bytes(shrink(file.read_bytes()))
                    taken.append(file)
    return taken


def main(arguments: list[str]) -> int:
    """Write the pictures and name them."""
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    folder = Path(arguments[0]) if arguments else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as place, scene(Path(place), days=14) as made, served(made) as address:
        made.silence("p-four", made.now_ms + 1000)
        for file in take(made, address, folder, arguments[1] if len(arguments) > 1 else ""):
            print(f"{file} {file.stat().st_size // 1000} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
