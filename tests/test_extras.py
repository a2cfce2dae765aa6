"""What each program installs: a probe carries none of the collector's packages."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def _names(extra: str) -> set[str]:
    lines = PROJECT["dependencies"] + PROJECT["optional-dependencies"][extra]
    return {re.split(r"[<>=!~\[ ]", line)[0].lower() for line in lines}


def test_probe_needs_nothing_of_the_collector() -> None:
    wanted = {"msgspec", "cryptography", "paho-mqtt", "pyserial", "speedtest-cli", "gpsd-py3", "huawei-lte-api"}
    wanted |= {"requests"}
    assert _names("probe") == wanted


def test_point_needs_only_the_contract() -> None:
    assert _names("point") == {"msgspec", "cryptography"}


def test_customers_packages_are_all_used() -> None:
    wanted = {"paho-mqtt", "pyserial", "speedtest-cli", "gpsd-py3", "flask", "influxdb-client"}
    assert wanted <= _names("probe") | _names("collector")
    assert "pytest" in _names("dev")


def test_every_pinned_version_is_one_that_the_project_allows() -> None:
    pins = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    known = {name.lower().replace("_", "-") for name in pins}
    for extra in PROJECT["optional-dependencies"]:
        missing = {name for name in _names(extra) if name not in known and name != "dosong"}
        assert not missing, f"not pinned in constraints.txt: {missing}"
