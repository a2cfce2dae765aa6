"""The units parse, are hardened, and start commands that exist in this project."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
UNITS = sorted((ROOT / "systemd").glob("*.service"))
DAEMONS = [unit for unit in UNITS if "@" not in unit.stem]
needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")


def _value(unit: Path, key: str) -> str:
    return next(line.partition("=")[2] for line in unit.read_text().splitlines() if line.startswith(f"{key}="))


@pytest.mark.parametrize("unit", DAEMONS, ids=lambda unit: unit.stem)
def test_unit_starts_a_console_command_and_stays_down_when_misconfigured(unit: Path) -> None:
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    assert Path(_value(unit, "ExecStart").split()[0]).name in scripts
    assert _value(unit, "RestartPreventExitStatus") == "78"
    assert _value(unit, "Restart") == "always"
    head = unit.read_text().split("[Service]")[0]
    assert "StartLimitIntervalSec=0" in head, "in [Service] systemd ignores it"


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_has_no_key_that_systemd_does_not_know(unit: Path) -> None:
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, check=False)
    said = [line for line in done.stderr.splitlines() if unit.name in line and "is not executable" not in line]
    assert not said


@needs_systemd
@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)
def test_unit_is_hardened(unit: Path) -> None:
    argv = ["systemd-analyze", "security", "--offline=true", str(unit)]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found, done.stderr
    # The probe needs more than the others: serial ports, netlink, the clock's state, RLIMIT_AS for its child. The
    # rescue service is root, for a second, with one line of input.
    limits = {"dosong-probe": 2.1, "dosong-rescue@": 2.6}
    assert float(found[1]) <= limits.get(unit.stem, 1.6)


def test_probe_may_read_the_kernels_clock_state() -> None:
    text = (ROOT / "systemd" / "dosong-probe.service").read_text()
    assert "SystemCallFilter=adjtimex" in text
    assert "ProtectClock=yes" not in text
