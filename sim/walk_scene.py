"""The walk's world: a deployment, broker, collector and point in the core, and for each lane a site with its probe.

Everything is the real program. The pace is quick: a slot of 10 s, coverage steps of 2 s, a poll each second.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from sim import clocks, link, ns, site, state
from sim.demo_world import UNITS
from sim.programs import Programs, module, program_path, run

ORIGIN = "walk.dosong.example"
POINT_PORT, OTHER_PORT = 80, 443
TEMPLATE = Path(__file__).parent / "data/walk-probe.toml"
CARD_MB = 32
SITE_CODE, REFERRAL = "nvh-lang-muoi", "MP05755"
LAT_E7, LON_E7 = 216838000, 1061515000
PLMN, SECOND_PLMN = "45204", "45202"


@dataclass(slots=True)
class World:
    """A walk that is being brought up, or is up. `programs` are those that all lanes share."""

    root: Path
    directory: state.RunDir
    programs: Programs
    scratch: Path
    core: state.CoreState
    began_s: float = field(default_factory=time.monotonic)

    @property
    def deployment(self) -> Path:
        """The deployment's folder."""
        return self.root / "deployment"

    def now_s(self) -> float:
        """Seconds since the walk began."""
        return time.monotonic() - self.began_s


def bring_up(root: Path, run_name: str, probes: list[str]) -> World:
    """Core, deployment, broker, collector's receive, point and an independent target. Called by the main thread."""
    directory = state.run_dir(run_name)
    scratch = Path(tempfile.mkdtemp(prefix="dosong-walk-", dir="/tmp"))
    world = World(root, directory, Programs(root / "log"), scratch, site.core_up(directory, attached=True))
    where = ["--dir", str(world.deployment)]
    host = world.core.address
    run(
        *module("provisioning", "init", *where, "--origin", ORIGIN, "--host", host, "--bind", host, "--port", "8883"),
        *("--broker-user", "root", "--socket", str(scratch / "collector.sock"), "--demo"),
    )
    run(*module("provisioning", "import", *where, str(UNITS)))
    for probe in probes:
        run(*module("provisioning", "add-probe", *where, probe, "--site", SITE_CODE, "--simulated"))
    run(*module("provisioning", "add-point", *where, "pt-walk"))
    _start_servers(world)
    return world


def _start_servers(world: World) -> None:
    core, programs = world.core.pid, world.programs
    config = str(world.deployment / "broker/mosquitto.conf")
    programs.start("mosquitto", [program_path("mosquitto"), "-c", config], core)
    ready = world.scratch / "point.json"
    settings = str(world.deployment / "points/pt-walk/point.toml")
    where = ["--bind", link.CORE_ADDRESS, "--port", str(POINT_PORT), "--json-ready", str(ready)]
    programs.start("point", module("point", "--config", settings, *where), core)
    other = world.scratch / "other.json"
    where = ["--bind", link.OTHER_ADDRESS, "--port", str(OTHER_PORT), "--json-ready", str(other)]
    programs.start("other", module("point", *where), core)
    programs.wait_ready("mosquitto", (world.scratch / "collector.sock").exists)
    programs.wait_ready("point", ready.exists)
    programs.wait_ready("other", other.exists)
    programs.start("receive", module("collector", "receive", "--config", str(collector_settings(world))))


def collector_settings(world: World) -> Path:
    """Settings file of the collector."""
    return world.deployment / "collector/collector.toml"


def stop(world: World) -> None:
    """End everything of the walk; its folder stays."""
    world.programs.stop_all()
    for found in state.sites(world.directory):
        site.down(world.directory, found.name)
    site.core_down(world.directory)
    shutil.rmtree(world.scratch, ignore_errors=True)
    state.tidy(world.directory)


@dataclass(frozen=True, slots=True)
class Setting:
    """How a lane's probe and site differ from the plain ones.

    `broker_interface` None: records may leave by any link. `slot_s` 30 leaves time between tests to look at the link.
    `modem`, `plan`: lines of its `[[modem]]` table, and behind it. `spec`: fields of `state.Spec`.
    """

    broker_interface: str | None = "cell0"
    trust: str = "always"
    slot_s: int = 10
    modem: str = 'usb = "auto"\n'
    plan: str = ""
    spec: Mapping[str, Any] = field(default_factory=dict)


def write_settings(world: World, probe: str, up: state.SiteState, setting: Setting) -> Path:
    """The probe's settings beside its keys; its state lies on the site's card."""
    folder = world.deployment / "probes" / probe
    words = {
        "card": up.card, "site": SITE_CODE, "referral": REFERRAL, "lat_e7": LAT_E7, "lon_e7": LON_E7,
        "trust": setting.trust, "slot_s": setting.slot_s, "core": link.CORE_ADDRESS,
        "other": f"{link.OTHER_ADDRESS}:{OTHER_PORT}", "gateway": up.gateway, "gps_port": up.gpsd_port,
        "bound": f'interface = "{setting.broker_interface}"' if setting.broker_interface else "",
        "plmn": PLMN, "modem": setting.modem + setting.plan,
    }  # fmt: skip
    identity = (folder / "identity.toml").read_text(encoding="utf-8")
    text = identity + Template(TEMPLATE.read_text(encoding="utf-8")).substitute(words)
    settings = folder / "probe.toml"
    settings.write_text(text, encoding="utf-8")
    return settings


def second_modem(port: str) -> str:
    """The table of a second modem."""
    return f'[[modem]]\nid = "m2"\nport = "{port}"\ninterface = "cell1"\nplmn = "{SECOND_PLMN}"\n'


def site_of(world: World, name: str, setting: Setting) -> state.SiteState:
    """Bring a lane's site up; the calling thread is its life."""
    spec: dict[str, Any] = {
        "downlink_bps": 5_000_000, "uplink_bps": 2_000_000, "plmn": PLMN, "lat": LAT_E7 / 1e7, "lon": LON_E7 / 1e7,
        "card_mb": CARD_MB, "attached": True, **setting.spec,
    }  # fmt: skip
    return site.up(world.directory, state.Spec(name, **spec))


def command(world: World, settings: Path, up: state.SiteState) -> list[str]:
    """The probe's command line, under the site's clock."""
    words = clocks.environment(world.directory.folder(up.name))
    return ["env", *words, *module("probe", "run", "--config", str(settings))]


def popen(world: World, up: state.SiteState, settings: Path, log: Path) -> subprocess.Popen[bytes]:
    """Start the probe's program in its site."""
    with log.open("ab") as out:
        return ns.popen(up.netns_pid, command(world, settings, up), stdout=out, stderr=out, stdin=subprocess.DEVNULL)
