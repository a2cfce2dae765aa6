"""The units parse, are hardened, and start commands that exist in this project."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNITS = sorted((ROOT / "systemd").glob("*.service"))
EVERY = sorted(path for kind in ("service", "socket", "timer", "path") for path in (ROOT / "systemd").glob(f"*.{kind}"))
DAEMONS = [unit for unit in UNITS if "@" not in unit.stem and "Type=oneshot" not in unit.read_text()]
SHELLED = {"dosong-clones"}
"""Units whose program stands behind a pipe of the shell."""
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def _value(unit: Path, key: str) -> str:
    return next(line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith(f"{key}="))


@pytest.mark.parametrize("unit", DAEMONS, ids=lambda unit: unit.stem)
def test_unit_starts_a_console_command_and_stays_down_when_misconfigured(unit: Path) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    named = {Path(word).name for word in _value(unit, "ExecStart").split()}
    assert named & scripts.keys()
    assert unit.stem in SHELLED or Path(_value(unit, "ExecStart").split()[0]).name in scripts
    assert _value(unit, "RestartPreventExitStatus") == "78"
    assert _value(unit, "Restart") == "always"
    head = unit.read_text().split("[Service]")[0]
    assert "StartLimitIntervalSec=0" in head, "in [Service] systemd ignores it"


@needs_systemd
@pytest.mark.parametrize("unit", EVERY, ids=lambda unit: unit.name)
def test_unit_has_no_key_that_systemd_does_not_know(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if "dosong" in line and "is not executable" not in line]
    assert not said


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_is_hardened(unit: Path) -> None:
    """2.0 for each; `--threshold` counts in tenths. The figure stands in systemd/README.md's words."""
    argv = ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert "Overall exposure level" in done.stdout, done.stderr
    assert done.returncode == 0, done.stdout[-200:]


def test_every_program_that_stays_has_a_unit() -> None:
    started = {" ".join(words[:2]) for unit in UNITS if (words := _words(unit))}
    for wanted in (
        "dosong-probe run", "dosong-probe rescue", "dosong-probe firstboot", "dosong-probe renew",
        "dosong-point --config", "dosong-collector run", "dosong-collector enrol", "dosong-provision ca",
    ):  # fmt: skip
        assert wanted in started
    readme = (ROOT / "systemd" / "README.md").read_text()
    assert not [path.name for path in (ROOT / "systemd").iterdir() if path.name not in readme and path.suffix != ".md"]


def _words(unit: Path) -> list[str]:
    path, *words = _value(unit, "ExecStart").split()
    return [Path(path).name, *words]


def test_first_boot_wipes_the_claim_only_when_the_identity_is_on_disk() -> None:
    text = (ROOT / "systemd" / "dosong-firstboot.service").read_text()
    assert "ExecStartPost=+/bin/sh -c 'f=/boot/firmware/dosong-claim.toml; [ ! -e $f ] || shred" in text
    assert "User=dosong-probe" in text
    assert "OnSuccess=dosong-probe.service" in text


def test_probe_may_read_the_kernels_clock_state() -> None:
    text = (ROOT / "systemd" / "dosong-probe.service").read_text()
    assert "SystemCallFilter=adjtimex" in text
    assert "ProtectClock=yes" not in text
