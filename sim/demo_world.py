"""The demonstration's world: deployment, broker, InfluxDB, collector, point, three sites with a probe each.

Everything is the real program; only modem, antenna and satellites are played (from recordings). In `netns` mode broker
and point stand in the run's core namespace and each probe in its site's; collector, InfluxDB and pages are on the
loopback of this machine. In `loopback` mode there are no namespaces, and every record says `invalid_path`.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from sim import cell, demo_cluster, demo_enrol, site, state
from sim.demo_scene import ORIGIN, PLACES, POINT, Pace, Place
from sim.programs import Programs, free_port, listens, module, program_path, run

Say = Callable[[str], None]
INFLUX_PORT = 18086
# A unix socket's path may have 107 bytes, and mosquitto reads a listener's words up to the next blank.
SCRATCH_PARENT = re.compile(r"[!-~]{1,70}")
UNITS = Path(__file__).parent / "data" / "demo-units.toml"


@dataclass(frozen=True, slots=True)
class Ports:
    """Where things listen on this machine's loopback (broker and point only in loopback mode)."""

    web: int
    influx: int
    influx_rpc: int
    broker: int
    point: int
    enrol: int


@dataclass(slots=True)
class World:
    """A demonstration that is being brought up, or is up."""

    root: Path
    link: str
    pace: Pace
    ports: Ports
    directory: state.RunDir
    programs: Programs
    scratch: Path
    core: state.CoreState | None = None
    broker: str = "mosquitto"

    @property
    def deployment(self) -> Path:
        """The deployment's folder."""
        return self.root / "deployment"

    @property
    def core_pid(self) -> int | None:
        """Process that holds the core's namespaces; None in loopback mode."""
        return None if self.core is None else self.core.pid

    @property
    def server(self) -> str:
        """Address at which probes find broker and point."""
        return "127.0.0.1" if self.core is None else self.core.address

    @property
    def web_url(self) -> str:
        """Address of the pages."""
        return f"http://127.0.0.1:{self.ports.web}"

    @property
    def influx_url(self) -> str:
        """Address of InfluxDB."""
        return f"http://127.0.0.1:{self.ports.influx}"

    @property
    def is_new(self) -> bool:
        """Whether nothing has been kept from an earlier start."""
        return not is_kept(self.root)


def is_kept(root: Path) -> bool:
    """Whether a demonstration was brought up here before, by a version whose authority is built as ours."""
    return (root / "ready").exists() and (root / "deployment/ca/issuing.key").exists()


def make(root: Path, link: str, pace: Pace, run_name: str, web_port: int = 8080, broker: str = "mosquitto") -> World:
    """Prepare a world in `root`; nothing is started yet."""
    root.mkdir(parents=True, exist_ok=True)
    if not is_kept(root):
        (root / "ready").unlink(missing_ok=True)
        shutil.rmtree(root / "deployment", ignore_errors=True)
        shutil.rmtree(root / "influx", ignore_errors=True)
    wanted = (web_port, INFLUX_PORT, 0, 18883, 18080, 18443)
    ports = Ports(*(free_port(port) for port in wanted))
    parent = tempfile.gettempdir()
    scratch = Path(tempfile.mkdtemp(prefix="dosong-demo-", dir=parent if SCRATCH_PARENT.fullmatch(parent) else "/tmp"))  # noqa: S108
    return World(root, link, pace, ports, state.run_dir(run_name), Programs(root / "log"), scratch, broker=broker)


def start_core(world: World) -> None:
    """Bring up the core namespace ("the Internet"): broker and point will stand in it."""
    if world.link == "netns":
        world.core = site.core_up(world.directory, attached=True)


def provision(world: World) -> None:
    """Make keys, settings and the registry at the first start; write the settings anew at a later one."""
    where = ["--dir", str(world.deployment)]
    plan = [
        "--origin", ORIGIN, "--host", world.server, "--bind", world.server, "--port", str(_broker_port(world)),
        "--web-bind", f"127.0.0.1:{world.ports.web}", "--influx-url", world.influx_url,
        "--broker-user", "root", "--socket", str(world.scratch / "collector.sock"), "--demo",
        "--enrol-bind", f"{world.server}:{_enrol_port(world)}", "--ca-socket", str(world.scratch / "ca.sock"),
        "--enrol-url", f"https://{world.server}:{_enrol_port(world)}",
    ]  # fmt: skip
    # The broker, if root starts it, stays root: it must read keys in this folder. Started by others it is theirs.
    run(*module("provisioning", "init" if world.is_new else "configure", *where, *plan))
    if demo_cluster.settle(world):
        run(*module("provisioning", "configure", *where, *plan))
    if world.is_new:
        run(*module("provisioning", "import", *where, str(UNITS)))
    demo_enrol.start(world.programs, world.deployment, world.scratch / "ca.sock", world.core_pid)
    if world.is_new:
        for place in PLACES:
            demo_enrol.enrol(world.deployment, place.probe, place.site, world.core_pid)
    if not point_settings(world).exists():
        run(*module("provisioning", "add-point", *where, POINT))
    for place in PLACES:
        _write_probe_settings(world, place)


def _broker_port(world: World) -> int:
    return world.ports.broker if world.core is None else 8883


def _enrol_port(world: World) -> int:
    return world.ports.enrol if world.core is None else 8443


def point_settings(world: World) -> Path:
    """Settings file of the measurement point, its key beside it."""
    return world.deployment / "points" / POINT / "point.toml"


def identity(world: World, place: Place) -> Path:
    """Folder of a probe's keys and settings."""
    return world.deployment / "probes" / place.probe


def _write_probe_settings(world: World, place: Place) -> None:
    folder = identity(world, place)
    head = (folder / "identity.toml").read_text()
    point_port = world.ports.point if world.core is None else 8080
    interface = "lo" if world.core is None else "cell0"
    found = state.site(world.directory, place.name)
    modem = found.modem if found else str(world.directory.folder(place.name) / "modem")
    gps_port = found.gpsd_port if found else 2947
    pace = world.pace
    (folder / "probe.toml").write_text(
        f"""{head}
state_dir = "{folder / "state"}"
simulated = true
site = "{place.site}"
referral = "{place.referral}"

[position]
lat_e7 = {place.lat_e7}
lon_e7 = {place.lon_e7}

[clock]
trust = "always"

[broker]
host = "{world.server}"
port = {_broker_port(world)}
{demo_cluster.probe_lines(world)}ca_file = "ca.crt"
cert_file = "tls.crt"
tls_key_file = "tls.key"
interface = "{interface}"
retry_low_s = 1
retry_high_s = 10
resend_low_s = 3
resend_high_s = 30

[schedule]
slot_s = {pace.slot_s}
seed = "{"5eed" * 16}"

[coverage]
step_s = {pace.step_s}
steps = {pace.steps}
poll_s = {max(1, pace.step_s)}

[reachability]
others = []

[gps]
host = "127.0.0.1"
port = {gps_port}

[engine]
name = "{place.engine}"
compare = {str(place.has_both_engines).lower()}
server = "http://{world.server}:{point_port}/speedtest/upload.php"
echo = "{world.server}:{point_port}"
downlink_s = {pace.test_s}
uplink_s = {pace.test_s}
time_limit_s = 60

[[modem]]
id = "m1"
port = "{modem}"
interface = "{interface}"
plmn = "{place.plmn}"
"""
    )


def start_servers(world: World) -> None:
    """Start broker, InfluxDB, point and collector, each ready before the next needs it."""
    core = None if world.core is None else world.core.pid
    programs = world.programs
    _start_broker(world)
    programs.start("influxd", [program_path("influxd"), "-config", str(_influx_config(world))])
    port = str(world.ports.point if world.core is None else 8080)
    ready = world.scratch / "point.json"
    where = ["--config", str(point_settings(world)), "--bind", world.server, "--port", port]
    programs.start("point", module("point", *where, "--json-ready", str(ready)), core)
    programs.wait_ready("influxd", lambda: listens(world.ports.influx))
    programs.wait_ready("point", ready.exists)
    if world.broker == "nats":
        demo_cluster.start_collector(world, collector_settings(world))
        programs.wait_ready("web", lambda: web_answers(world.web_url))
    else:
        programs.start("collector", module("collector", "run", "--config", str(collector_settings(world))))
        programs.wait_ready("collector", lambda: web_answers(world.web_url))


def _start_broker(world: World) -> None:
    if world.broker == "nats":
        demo_cluster.start_nodes(world)
        return
    run(*module("provisioning", "broker", "check", "--dir", str(world.deployment)))
    argv = [program_path("mosquitto"), "-c", str(world.deployment / "broker/mosquitto.conf")]
    world.programs.start("mosquitto", argv, world.core_pid)
    world.programs.wait_ready("mosquitto", (world.scratch / "collector.sock").exists)


def collector_settings(world: World) -> Path:
    """Settings file of the collector."""
    return world.deployment / "collector" / "collector.toml"


def web_answers(url: str) -> bool:
    """Say whether the pages answer at all."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=5):  # noqa: S310 (our own loopback address)
            return True
    except urllib.error.HTTPError:
        return True
    except OSError:
        return False


def _influx_config(world: World) -> Path:
    folder = world.root / "influx"
    folder.mkdir(exist_ok=True)
    config = world.scratch / "influxdb.conf"
    config.write_text(
        f"""reporting-disabled = true
bind-address = "127.0.0.1:{world.ports.influx_rpc}"
[meta]
  dir = "{folder / "meta"}"
[data]
  dir = "{folder / "data"}"
  wal-dir = "{folder / "wal"}"
  index-version = "tsi1"
[monitor]
  store-enabled = false
[http]
  bind-address = "127.0.0.1:{world.ports.influx}"
  log-enabled = false
  pprof-enabled = false
"""
    )
    return config


def send_history(world: World, place: Place, ack_vkey: str) -> str:
    """Send one simulated month of one probe; returns what was said about it."""
    argv = module(
        "sim", "history", "--identity", str(identity(world, place)), "--ack-vkey", ack_vkey, "--host", world.server,
        "--port", str(_broker_port(world)), "--site", place.site, "--referral", place.referral, "--plmn", place.plmn,
        "--lat-e7", str(place.lat_e7), "--lon-e7", str(place.lon_e7), "--down", str(place.downlink_bps),
        "--up", str(place.uplink_bps), "--rsrp", str(int(place.rsrp_dbm * 10)), "--outages", str(place.outages_a_day),
        "--days", str(world.pace.history_days), "--iface", "lo" if world.core is None else "cell0",
    )  # fmt: skip
    from sim import ns  # noqa: PLC0415 (only here: the rest starts long-lived programs)

    core = None if world.core is None else world.core.pid
    return run(*ns.enter(core, argv)).strip()


def ack_vkey(world: World) -> str:
    """The collector's public ACK key, as the probes know it."""
    text = (identity(world, PLACES[0]) / "identity.toml").read_text()
    return next(line.split('"')[1] for line in text.splitlines() if line.startswith("ack_vkey"))


def start_site(world: World, place: Place, shaper: str | None = None) -> state.SiteState:
    """Bring up one site: namespace, link, modem, GPS. `shaper` None: with a radio's delay where this machine can."""
    spec = state.Spec(
        name=place.name, link=world.link, downlink_bps=place.downlink_bps, uplink_bps=place.uplink_bps,
        modem=place.modem, rsrp_dbm=place.rsrp_dbm, rsrq_db=place.rsrq_db, sinr_db=place.sinr_db, plmn=place.plmn,
        lat=place.lat_e7 / 1e7, lon=place.lon_e7 / 1e7, shaper=shaper or cell.best_shaper(), attached=True,
    )  # fmt: skip
    return site.up(world.directory, spec)


def start_probe(world: World, place: Place) -> None:
    """Start one probe's program in its site.

    The simulated month was signed with the probe's key as epoch 1; the note beside the spool says so, and the
    probe begins epoch 2.
    """
    found = state.site(world.directory, place.name)
    epoch = identity(world, place) / "state" / "epoch"
    if not epoch.exists():
        epoch.parent.mkdir(exist_ok=True)
        epoch.write_text("1\n")
    _write_probe_settings(world, place)
    settings = identity(world, place) / "probe.toml"
    inside = None if found is None else found.netns_pid
    world.programs.start(place.probe, module("probe", "run", "--config", str(settings)), inside)


def stop(world: World) -> None:
    """End all programs, sites and the core; the kept data stays in `root`."""
    # The probes first: what they have just measured still gets its receipt.
    for group in ([place.probe for place in PLACES], ["collector", "receive"]):
        world.programs.stop(group)
    world.programs.stop_all()
    for found in state.sites(world.directory):
        site.down(world.directory, found.name)
    if world.core is not None:
        site.core_down(world.directory)
    shutil.rmtree(world.scratch, ignore_errors=True)
    with contextlib.suppress(OSError):
        world.directory.path.parent.rmdir()
