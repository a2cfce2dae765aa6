"""The probes of a demonstration enrol as those in the field do: claim, arming, keys made by the probe, digits compared.

The authority and the enrolment door are the real programs; the "office bench" is the core namespace, where the door
stands.
"""

from __future__ import annotations

import socket
from contextlib import closing, suppress
from pathlib import Path

from sim import ns
from sim.programs import Programs, module, run

AUTHORITY, DOOR = "authority", "enrolment"


def start(programs: Programs, deployment: Path, ca_socket: Path, core: int | None) -> None:
    """Start the authority, and the enrolment door where probes find it."""
    programs.start(
        AUTHORITY, module("provisioning", "ca", "serve", "--dir", str(deployment), "--socket", str(ca_socket))
    )
    programs.wait_ready(AUTHORITY, lambda: _listens(ca_socket))
    settings = deployment / "collector" / "collector.toml"
    programs.start(DOOR, module("collector", "enrol", "--config", str(settings)), core)


def _listens(path: Path) -> bool:
    with suppress(OSError), closing(socket.socket(socket.AF_UNIX)) as one:
        one.connect(str(path))
        return True
    return False


def enrol(deployment: Path, probe: str, site: str, core: int | None) -> None:
    """Make a claim, have the probe make its keys and enrol, compare the six digits. Raises Unavailable."""
    where = ["--dir", str(deployment)]
    said = run(*module("provisioning", "claim", *where, probe, "--site", site, "--simulated", "--arm"))
    claim, folder = said.strip(), deployment / "probes" / probe
    run(*ns.enter(core, module("probe", "enrol", claim, "--folder", str(folder), "--wait", "60")))
    digits = run(*module("probe", "fingerprint", "--folder", str(folder))).strip().partition(" ")[2]
    run(*module("provisioning", "confirm", *where, probe, digits))
