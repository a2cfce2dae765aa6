"""What the steps of the installation share: the two machines, the packages, and the names that the page prints."""

from __future__ import annotations

import json
import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from tests.install.machine import Failed, Machine, as_user

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/install-collector.md"
_BLOCK = re.compile(r"^## (?P<head>[^\n]+)$|^```sh\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(slots=True)
class Site:
    """One run."""

    collector: Machine
    probe: Machine
    debs: Path
    work: Path

    PAGES = "dosong.sokhcn.example"
    BROKER = "mqtt.sokhcn.example"
    NAME = "p-dong-dong"

    def deb(self, name: str, version: str | None = None) -> Path:
        """A package that was built. Raises Failed."""
        found = sorted(self.debs.glob(f"dosong-{name}_{version or base_version()}_*.deb"))
        if not found:
            raise Failed(f"no package dosong-{name} {version or base_version()} in {self.debs}")
        return found[0]

    def status(self) -> dict[str, Any]:
        """What the probe says of itself; empty while it cannot."""
        said = self.probe.run(
            as_user("dosong-probe", "dosong-probe status --json"),
            check=False,
        )
        try:
            return dict(json.loads(said.strip().splitlines()[-1]))
        except (ValueError, IndexError):
            return {}

    def acked(self) -> int:
        """Number of the last record that the ledger acknowledged; 0: none."""
        ack = self.status().get("last_ack")
        return int(ack["upto"]) if ack else 0

    def version(self) -> str:
        """The version of the probe's package that is installed."""
        return self.probe.run("dpkg-query --show --showformat='${Version}' dosong-probe").strip()

    def active(self, unit: str) -> bool:
        """Whether a unit of the probe runs."""
        return self.probe.run(f"systemctl is-active {unit}", check=False).strip() == "active"


def blocks() -> list[tuple[str, str]]:
    """The sh blocks of the page in order, each with the heading it stands under."""
    head, found = "", []
    for match in _BLOCK.finditer(PAGE.read_text(encoding="utf-8")):
        head = match["head"] or head
        if match["text"] is not None:
            found.append((head, match["text"]))
    return found


@cache
def base_version() -> str:
    """The version that pyproject.toml says."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def raised(version: str, by: int = 1) -> str:
    """The version after this one."""
    head, _, last = version.rpartition(".")
    return f"{head}.{int(last) + by}"
