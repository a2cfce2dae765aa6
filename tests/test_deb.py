"""The Debian packages' table and scripts; that they install, upgrade and go back is `make install-check`."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
TABLE: dict[str, Any] = tomllib.loads((ROOT / "deb/packages.toml").read_text(encoding="utf-8"))
NAMES = [name for name in TABLE if name != "common"]
UPGRADE = ROOT / "deb/upgrade"
UNIT = re.compile(r"dosong-[a-z-]+@?(probe)?\.(service|socket|timer|path)")


def _packed(name: str) -> list[str]:
    return [Path(source).name for source, _ in TABLE[name]["files"]]


def test_every_file_for_a_machine_is_in_one_package() -> None:
    packed = [name for one in NAMES for name in _packed(one)]
    units = [path.name for path in (ROOT / "systemd").iterdir() if path.suffix != ".md"]
    assert sorted(name for name in packed if name in units) == sorted(units)
    assert all((ROOT / source).is_file() for one in NAMES for source, _ in TABLE[one]["files"])


@pytest.mark.parametrize("name", NAMES)
def test_what_is_enabled_is_packed_and_can_be_enabled(name: str) -> None:
    for unit in (*TABLE[name]["enable"], *TABLE[name]["restart"]):
        assert UNIT.fullmatch(unit)
        file = unit.replace("@probe.", "@.")
        assert file in _packed(name)
        assert "[Install]" in (ROOT / "systemd" / file).read_text()
    targets = [target for _, target in TABLE[name]["files"]]
    for conffile in TABLE[name]["conffiles"]:
        assert any(conffile == target or conffile.startswith(target) for target in targets)
    assert all(not target.startswith("/etc") or TABLE[name]["conffiles"] for target in targets)


@pytest.mark.parametrize("name", NAMES)
def test_a_package_has_its_own_code_and_wire_and_nobody_elses(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    entry = TABLE[name]
    assert set(entry["extra"].split(",")) <= project["optional-dependencies"].keys()
    assert entry["code"][0] == "wire"
    assert {project["scripts"][script].split(".")[0] for script in entry["scripts"]} <= set(entry["code"])
    assert "collector" not in TABLE["probe"]["code"]
    assert not {"flask", "influxdb-client"} & set(
        re.findall(r"[a-z-]+", str(project["optional-dependencies"]["probe"]))
    )


@pytest.mark.parametrize(
    "path", [*sorted((ROOT / "deb").glob("*.in")), UPGRADE, ROOT / "deb/repository.sh", ROOT / "deb/office"]
)
def test_scripts_parse(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("@OWN@\n", "")
    assert subprocess.run(["sh", "-n"], input=text, text=True, check=False).returncode == 0


def test_a_purge_takes_no_records_and_no_keys() -> None:
    text = (ROOT / "deb/postrm.in").read_text(encoding="utf-8")
    assert "rm " not in text


def _watch(folder: Path, active_s: int | None, ack_s: int | None, wants: str) -> subprocess.CompletedProcess[str]:
    """Run `upgrade watch` for five seconds beside programs that play systemd and the probe."""
    state, path = folder / "state", folder / "bin"
    state.mkdir(), path.mkdir()
    up_s = int(float(Path("/proc/uptime").read_text().split()[0]))
    (state / "pending").write_text(f"0.1.0 0.2.0 1000 {wants}\n")
    began_us = 0 if active_s is None else (up_s - active_s) * 1_000_000
    ack = "null" if ack_s is None else f'{{"epoch": 1, "upto": 7, "t_ms": {ack_s * 1000}}}'
    plays = {
        "systemctl": f"case $1 in is-active) exit {int(active_s is None)} ;; show) echo {began_us} ;; esac",
        "dosong-probe": f'echo \'{{"probe": "p-one", "last_ack": {ack}, "last_test": null}}\'',
    }
    for name, body in plays.items():
        (path / name).write_text(f"#!/bin/sh\n{body}\n")
        (path / name).chmod(0o755)
    (folder / "probe.toml").write_text("")
    text = UPGRADE.read_text(encoding="utf-8").replace("/etc/dosong/probe.toml", str(folder / "probe.toml"))
    script = folder / "upgrade"
    script.write_text(text.replace("/opt/dosong/probe/bin/dosong-probe", str(path / "dosong-probe")))
    given = {"PATH": f"{path}:{os.environ['PATH']}", "DOSONG_UPGRADE_STATE": str(state)}
    given |= {"DOSONG_WELL_WITHIN_S": "5", "DOSONG_STEADY_S": "120"}
    return subprocess.run(
        ["sh", str(script), "watch"], capture_output=True, text=True, check=False, env=given, timeout=60
    )


@pytest.mark.parametrize(
    ("active_s", "ack_s", "wants", "is_well"),
    [
        (500, 2000, "yes", True),
        (500, None, "no", True),
        (500, 999, "yes", False),  # the ledger answered before the upgrade only
        (500, None, "yes", False),
        (30, 2000, "yes", False),  # not steady yet
        (None, 2000, "yes", False),  # not running
    ],
)
def test_what_is_well(tmp_path: Path, active_s: int | None, ack_s: int | None, wants: str, is_well: bool) -> None:
    done = _watch(tmp_path, active_s, ack_s, wants)
    assert done.returncode == int(not is_well), done.stdout + done.stderr
    assert ("0.2.0 is well" in done.stdout) == is_well
    assert ("back to 0.1.0" in done.stderr) != is_well
