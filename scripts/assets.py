"""Fetch libraries that are not in this repository, pinned by version and SHA-256: Leaflet (`assets.lock`) for the
pages at build time, axe-core (`axe.lock`) for the tests.

    python scripts/assets.py            Leaflet, once; a second run sees that all is in place and does nothing
    python scripts/assets.py --axe      axe-core in the same way, into build/axe: tests look at pages with it
    python scripts/assets.py --check    say whether the files are there, fetch nothing (exit 1 if they are not)

Only the files that are used, and their licence, are taken out (not committed). Without Leaflet the pages work and say
in one sentence that the map is missing. Needs only pip.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "scripts" / "assets.lock"
VENDOR = ROOT / "collector" / "web" / "static" / "vendor"
STAMP = "lock.sha256"
# End of the name inside the package, name in the folder.
WANTED = {
    "/static/js_lib_leaflet/leaflet.js": "leaflet.js",
    "/static/js_lib_leaflet/leaflet.css": "leaflet.css",
    ".dist-info/LICENSE": "leaflet.LICENSE",
}


@dataclass(frozen=True, slots=True)
class Library:
    """One library: what it is called, its lock file, the folder it goes to, and which of its files."""

    name: str
    lock: Path
    folder: Path
    wanted: Mapping[str, str]


AXE = Library(
    "axe-core",
    ROOT / "scripts" / "axe.lock",
    ROOT / "build" / "axe",
    {"axe_playwright_python/axe.min.js": "axe.min.js", ".dist-info/METADATA": "package.METADATA"},
)


def leaflet() -> Library:
    """The map library, where the pages look for it."""
    return Library("map library", LOCK, VENDOR, WANTED)


def lock_digest(lock: Path | None = None) -> str:
    """SHA-256 of the lock file: what the files in place were made from."""
    return hashlib.sha256((lock or LOCK).read_bytes()).hexdigest()


def in_place(vendor: Path, library: Library | None = None) -> bool:
    """Say whether every wanted file is there and belongs to the present lock file."""
    library = library or leaflet()
    stamp = vendor / STAMP
    files = all((vendor / name).is_file() for name in library.wanted.values())
    return files and stamp.is_file() and stamp.read_text().strip() == lock_digest(library.lock)


def download(folder: Path, lock: Path | None = None) -> Path:
    """Let pip fetch the one locked package and check its hash; return the wheel."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--dest", str(folder), "--requirement", str(lock or LOCK)]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def extract(wheel: Path, vendor: Path, library: Library | None = None) -> None:
    """Copy the wanted files out of the wheel; the stamp comes last, so that a broken run is done again."""
    library = library or leaflet()
    vendor.mkdir(parents=True, exist_ok=True)
    (vendor / STAMP).unlink(missing_ok=True)
    with zipfile.ZipFile(wheel) as package:
        for ending, name in library.wanted.items():
            inside = next(entry for entry in package.namelist() if entry.endswith(ending))
            (vendor / name).write_bytes(package.read(inside))
    (vendor / STAMP).write_text(lock_digest(library.lock) + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Fetch if needed. Exit 0: in place; 1: not in place (`--check`) or pip could not fetch it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the files are there")
    parser.add_argument("--axe", action="store_true", help="axe-core for the tests, instead of the map library")
    chosen = parser.parse_args(arguments)
    library = AXE if chosen.axe else leaflet()
    if in_place(library.folder, library):
        print(f"{library.name}: in place")
        return 0
    if chosen.check:
        print(f"{library.name}: missing; run: python scripts/assets.py{' --axe' if chosen.axe else ''}")
        return 1
    with tempfile.TemporaryDirectory(prefix="dosong-assets-") as folder:
        try:
            extract(download(Path(folder), library.lock), library.folder, library)
        except subprocess.CalledProcessError:
            print(f"{library.name}: pip could not fetch it; pages work without it; run again when online")
            return 1
    print(f"{library.name}: {len(library.wanted)} files in {library.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
