"""What is up in a run: one JSON file for each site and one for the core, in the run's own directory.

A file names its holder by pid and start time. A holder that was killed leaves its file; `sweep` removes those.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim import ns
from sim.air import Air
from wire.errors import Misconfigured

CORE = "core"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


@dataclass(frozen=True, slots=True)
class Spec(Air):
    """How a site is to be: link `netns` or `loopback`, the link's `Air` (rates, delay, loss ...), levels in dBm and dB.

    `shaper` is `tbf` (rates only, no delay) or `relay`; `sim.cell.best_shaper()` chooses. `gps_hz` is fixes a second.
    `card_mb`: size of an SD card of its own (0: none). `attached` ends the site when the *thread* that asked for it
    ends.
    """

    name: str
    link: str = "netns"
    shaper: str = "tbf"
    wifi: bool = False
    modem: str = "quectel-eg25"
    rsrp_dbm: float = -85.0
    rsrq_db: float = -10.0
    sinr_db: float = 15.0
    plmn: str = "45204"
    lat: float = 21.7
    lon: float = 106.0
    gps_hz: float = 1.0
    card_mb: int = 0
    attached: bool = False


@dataclass(frozen=True, slots=True)
class SiteState:
    """A site that is up. Paths are absolute; what the site does not have (gateway in loopback) is None.

    `netns_pid` is the process whose namespaces are the site's; `modem` the stable symlink to the AT port and
    `modem_tty` what it points to now, None while unplugged. `gpsd_host` and `gpsd_port` hold inside the namespace.
    With a relay: `relay_pid`, its idle round trip `rtt_ms`, the path of its ground truth (`sim.truth.read`) and, where
    a trace rules a direction, its name; the rate is the trace's mean then, or what the trace was made around.
    `modem_usb` is the AT port's name on the bus (`ttyUSB2`), whose tree stands below `sysfs` and `dev`; `iccid` the
    SIM's number; `bearer` up, lost or refused; `dns`, `portal`, `drop` what the operator does; `card` the folder of the
    site's own card and `card_state` what ails it, None without one; its clock is `clock_offset_s` ahead.
    """

    name: str
    run: str
    pid: int
    start_ticks: int
    link: str
    netns_pid: int | None
    core_pid: int | None
    index: int | None
    interface: str
    address: str
    gateway: str | None
    wifi: bool
    wifi_address: str | None
    downlink_bps: int | None
    uplink_bps: int | None
    shaper: str | None
    rtt_ms: float | None
    downlink_trace: str | None
    uplink_trace: str | None
    relay_pid: int | None
    truth: str | None
    service: bool
    plugged: bool
    modem_family: str
    modem_state: str
    modem: str
    modem_tty: str | None
    gps: str
    gpsd_host: str
    gpsd_port: int
    lat: float
    lon: float
    plmn: str
    modem_usb: str | None
    sysfs: str
    dev: str
    iccid: str | None
    bearer: str
    dns: str
    portal: str
    drop: str
    card: str | None
    card_state: str | None
    clock_offset_s: int
    clock_synced: bool
    powered: bool


@dataclass(frozen=True, slots=True)
class CoreState:
    """The core of a run: `address` is where servers bind, inside the namespaces of `pid`."""

    run: str
    pid: int
    start_ticks: int
    address: str


@dataclass(frozen=True, slots=True)
class RunDir:
    """The directory of one run."""

    run: str
    path: Path

    def file(self, name: str) -> Path:
        """State file of a site or of the core."""
        return self.path / f"{name}.json"

    def folder(self, name: str) -> Path:
        """What belongs to a site besides its state: modem symlink, control socket, log."""
        return self.path / name


def run_dir(run: str, state_dir: Path | None = None) -> RunDir:
    """The run's directory: `state_dir`, or /run/dosong-sim/RUN for root, or below the temporary folder.

    It is made by the first `locked`. Raises Misconfigured if the run's name is malformed.
    """
    check_name(run)
    uid = os.geteuid()
    parent = Path("/run/dosong-sim") if uid == 0 else Path(tempfile.gettempdir()) / f"dosong-sim-{uid}"
    return RunDir(run, state_dir.absolute() if state_dir else parent / run)


def check_name(name: str) -> None:
    """Raises Misconfigured unless the name is 1 to 32 of a-z, 0-9 and '-', so that it can be a file's."""
    if not _NAME.fullmatch(name):
        raise Misconfigured(f"{name!r} is no name: use 1 to 32 of a-z, 0-9 and '-', like 'ban-lung'")


@contextlib.contextmanager
def locked(directory: RunDir) -> Iterator[None]:
    """Makes the run's directory if needed and holds its lock: two sites started at once get different numbers.

    Raises Misconfigured if the directory cannot be made.
    """
    try:
        directory.path.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise Misconfigured(f"cannot make {directory.path}: {error.strerror}; name another with --state-dir") from error
    # Below /tmp anyone could have made the folder first, and would then hold our sockets' names.
    for path in (directory.path, directory.path.parent):
        if path.stat().st_uid not in {0, os.geteuid()}:
            raise Misconfigured(f"{path} belongs to someone else; name another with --state-dir")
    fd = os.open(directory.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def write(path: Path, state: SiteState | CoreState) -> None:
    """Writes a state file whole: a reader sees the old one or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(asdict(state), indent=1) + "\n", encoding="utf-8")
    fresh.replace(path)


def core(directory: RunDir) -> CoreState | None:
    """The run's core, or None if none is up."""
    fields = _read(directory.file(CORE))
    return CoreState(**fields) if fields else None


def site(directory: RunDir, name: str) -> SiteState | None:
    """One site that is up, or None."""
    fields = None if name == CORE else _read(directory.file(name))
    return SiteState(**fields) if fields else None


def sites(directory: RunDir) -> list[SiteState]:
    """Every site that is up, by name; files of dead holders are removed on the way."""
    found = []
    for path in sorted(directory.path.glob("*.json")):
        if path.stem != CORE and (state := site(directory, path.stem)):
            found.append(state)
    return found


def free_index(directory: RunDir, limit: int) -> int:
    """Lowest site number not in use. Raises Misconfigured when the run is full. Hold the lock."""
    used = {state.index for state in sites(directory)}
    index = next((at for at in range(1, limit + 1) if at not in used), None)
    if index is None:
        raise Misconfigured(f"run {directory.run} has {limit} sites already; start another run")
    return index


def remove(directory: RunDir, name: str) -> None:
    """Removes what a site or the core left in the run's directory; never what is mounted there."""
    directory.file(name).unlink(missing_ok=True)
    _remove_folder(directory.folder(name))


def _remove_folder(folder: Path) -> None:
    if not _is_mounted_below(folder):
        shutil.rmtree(folder, ignore_errors=True)


def _is_mounted_below(folder: Path) -> bool:
    """Whether this mount namespace has anything mounted in a folder."""
    mounts = Path("/proc/self/mounts").read_text(encoding="utf-8").splitlines()
    return any(line.split()[1].startswith(f"{folder}/") for line in mounts)


def tidy(directory: RunDir) -> None:
    """Removes the run's directory if nothing of the run is left in it."""
    with contextlib.suppress(OSError):
        directory.path.rmdir()


def _read(path: Path) -> dict[str, Any] | None:
    """Fields of a live holder's state file; a dead holder's file and folder are removed."""
    try:
        fields: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if ns.start_ticks(fields["pid"]) == fields["start_ticks"]:
        return fields
    path.unlink(missing_ok=True)
    path.with_suffix(".log").unlink(missing_ok=True)
    _remove_folder(path.with_suffix(""))
    return None
