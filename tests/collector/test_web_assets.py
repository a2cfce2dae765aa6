"""The map library is taken once, from a pinned package, and only the files that the pages load."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import pytest

from scripts import assets


def _wheel(folder: Path) -> Path:
    wheel = folder / "package.whl"
    with zipfile.ZipFile(wheel, "w") as package:
        for ending in assets.WANTED:
            package.writestr(f"js_lib_leaflet{ending}", ending)
        package.writestr("js_lib_leaflet/static/js_lib_leaflet/leaflet-src.js", "not wanted")
    return wheel


def test_only_the_wanted_files_are_taken_and_the_second_run_sees_them(tmp_path: Path) -> None:
    vendor = tmp_path / "vendor"
    assert not assets.in_place(vendor)
    assets.extract(_wheel(tmp_path), vendor)
    assert {path.name for path in vendor.iterdir()} == {*assets.WANTED.values(), assets.STAMP}
    assert assets.in_place(vendor)


def test_a_new_lock_or_a_lost_file_means_fetching_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vendor = tmp_path / "vendor"
    assets.extract(_wheel(tmp_path), vendor)
    (vendor / "leaflet.css").unlink()
    assert not assets.in_place(vendor)
    assets.extract(_wheel(tmp_path), vendor)
    other = tmp_path / "assets.lock"
    other.write_text("other==1 --hash=sha256:00\n")
    monkeypatch.setattr(assets, "LOCK", other)
    assert not assets.in_place(vendor)


def test_the_lock_pins_one_package_by_version_and_hash() -> None:
    lines = [line for line in assets.LOCK.read_text().splitlines() if not line.startswith("#")]
    assert len(lines) == 1
    assert re.fullmatch(r"[a-z-]+==[0-9.]+ --hash=sha256:[0-9a-f]{64}", lines[0])


def test_check_fetches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "VENDOR", tmp_path / "vendor")
    assert assets.main(["--check"]) == 1
    assert not (tmp_path / "vendor").exists()
