"""Where `bench/engine.py` measures: sites of the simulator with one point behind them, and one run of one tool there.

Truth is the link's own: a constant rate less heads, or for a variable link what it could have carried in the tool's own
window. Over a variable link each direction is a run of its own that begins at the same place of the trace, so that all
tools meet the same link. A run during which the relay was over 20 ms late is thrown away and repeated.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sim import cell, ns, site, state, truth
from wire import note
from wire.keyfile import write_signer

HERE = Path(__file__).parent
PORT, ORIGIN = 8080, "dosong.example"
DIRECTIONS = ("downlink", "uplink")
HAS_RELAY = cell.best_shaper() == "relay"
SHARE = 1448 / 1500 if HAS_RELAY else 1448 / 1514
CGROUP = Path("/sys/fs/cgroup/cpu")
QUIET_S, TRIES, LONGEST_S = 0.5, 3, 90.0
BEGIN_AFTER_NS = 2_500_000_000
FULL_CAP_MS, SAVER_CAP_MS = 5000, 3000


@dataclass(frozen=True)
class Link:
    """One link to measure over. A trace rules both directions; `place` names the set of links that it belongs to."""

    mbit: float
    rtt_ms: int = 50
    trace: str | None = None
    offset_s: float = 0.0
    quota_percent: int | None = None
    place: str | None = None

    def words(self) -> str:
        """How it stands in the table."""
        name = self.place or f"{self.mbit:g} Mbit/s"
        return f"{name} {self.rtt_ms} ms" + (f" cpu {self.quota_percent} %" if self.quota_percent else "")


@dataclass(frozen=True)
class Row:
    """One tool over one link in one direction; CPU, memory and `whole_s` are of its whole process, both directions."""

    tool: str
    link: str
    mbit: float
    kind: str
    direction: str
    window: str
    error_percent: float | None
    link_mb: float
    wall_s: float
    whole_s: float
    cpu_s: float
    rss_mb: float
    stop: str


def window_of(link: Link) -> str:
    """The name of a window of a variable link; empty for a constant one. The same in every run."""
    return f"{Path(link.trace).name}+{link.offset_s:g}" if link.trace else ""


@dataclass(frozen=True)
class Ran:
    """What one process said and used."""

    said: dict[str, Any]
    wall_s: float
    cpu_s: float
    rss_mb: float


class Bed:
    """The sites (one for each lane), the point behind them, and iperf3 where it is installed."""

    def __init__(self, folder: Path, lanes: int = 1, record: Path | None = None) -> None:
        self.folder, self._record = folder, record
        self._directory = state.run_dir(f"bench{os.getpid()}", folder / "run")
        self._names = [f"lane-{number}" for number in range(lanes)]
        self._servers: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Bed:
        """Bring it up; nothing is left behind if that fails."""
        try:
            self._up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _up(self) -> None:
        for name in self._names:
            shaper = {"shaper": "relay"} if HAS_RELAY else {}
            site.up(self._directory, state.Spec(name, downlink_bps=20_000_000, uplink_bps=20_000_000, **shaper))
        core_pid = site.find(self._directory, self._names[0]).core_pid
        self._servers.append(self._start_point(core_pid))
        if shutil.which("iperf3"):
            self._servers.append(ns.popen(core_pid, ["iperf3", "-s"], stdout=subprocess.DEVNULL))

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.kill()
            server.wait()
        site.all_down(self._directory)

    def lanes(self) -> list[Lane]:
        """One way to measure for each site."""
        return [Lane(self._directory, name, self._record) for name in self._names]

    def _start_point(self, core_pid: int | None) -> subprocess.Popen[bytes]:
        write_signer(self.folder / "point.key", note.Signer.generate(f"{ORIGIN}/point/bench"))
        settings, ready = self.folder / "point.toml", self.folder / "ready.json"
        settings.write_text(
            f'[point]\norigin = "{ORIGIN}"\npoint = "bench"\nkey_file = "point.key"\ncapacity_bps = 1000000000\n'
        )
        argv = [sys.executable, "-m", "point", "--config", str(settings), "--bind", "198.18.0.1", "--port", str(PORT)]
        server = ns.popen(core_pid, [*argv, "--json-ready", str(ready)], stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 10
        while not ready.exists():
            if server.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit("bench: the point did not start")
            time.sleep(0.05)
        return server


class Lane:
    """One site: makes its link so, runs a tool over it, and says how far the tool was from the truth."""

    def __init__(self, directory: state.RunDir, name: str, record: Path | None = None) -> None:
        self._directory, self._name, self._record = directory, name, record
        self.site = site.find(directory, name)

    def measure(self, tool: str, link: Link, kind: str) -> list[Row]:
        """Run one tool; a row for each direction. Over a variable link each direction is a run of its own."""
        if link.trace:
            return [self._again(tool, link, kind, (place,))[0] for place in (0, 1)]
        return self._again(tool, link, kind, (0, 1))

    def _again(self, tool: str, link: Link, kind: str, places: tuple[int, ...]) -> list[Row]:
        """One run, again while the relay was late."""
        for left in range(TRIES - 1, -1, -1):
            self._shape(link)
            began_ns, before = time.monotonic_ns(), self._moved()
            ran = self._run(tool, link, _timing(places, began_ns) if link.trace else [])
            self._quiet()
            after = self._moved()
            if self._in_time(began_ns) or not left:
                break
        if self._record is not None and link.trace:
            window = window_of(link).replace(":", "-")
            name = f"{kind}-{tool.replace(' ', '-')}-{window}-{DIRECTIONS[places[0]]}.json"
            self._keep(self._record / name, link, ran)
        return [self._row(tool, link, kind, place, ran, (after[place] - before[place]) / 1e6) for place in places]

    def _keep(self, path: Path, link: Link, ran: Ran) -> None:
        """Samples, link and truth of one run in a file."""
        spans = [(said.get("zero_ns", said["start_ns"]), said["end_ns"]) for said in ran.said.values()]
        if not spans:
            return
        path.parent.mkdir(parents=True, exist_ok=True)
        since_ns, until_ns = min(spans)[0] - 5 * truth.BIN_NS, max(spans)[1] + 40 * truth.BIN_NS
        bins = [asdict(one) for one in truth.wait(str(self.site.truth), since_ns, until_ns).bins]
        path.write_text(json.dumps({"link": asdict(link), "said": ran.said, "bins": bins}))

    def _row(self, tool: str, link: Link, kind: str, place: int, ran: Ran, moved_mb: float) -> Row:
        direction = DIRECTIONS[place]
        said = ran.said.get(direction, {})
        bps, error = said.get("bps"), None
        if bps is not None:
            truth_bps = link.mbit * 1e6 * SHARE
            if link.trace:
                truth_bps = self._capacity_bps(direction, said["start_ns"], said["end_ns"], link.rtt_ms)
            error = (bps / truth_bps - 1) * 100
        wall_s = said.get("wall_s") or (said.get("end_ns", 0) - said.get("start_ns", 0)) / 1e9
        window = window_of(link)
        stop = str(said.get("stop") or "")
        return Row(
            tool,
            link.words(),
            link.mbit,
            kind,
            direction,
            window,
            error,
            moved_mb,
            wall_s,
            ran.wall_s,
            ran.cpu_s,
            ran.rss_mb,
            stop,
        )

    def _shape(self, link: Link) -> None:
        args: dict[str, Any] = {"downlink_bps": round(link.mbit * 1e6), "uplink_bps": round(link.mbit * 1e6)}
        if HAS_RELAY:
            args |= {"delay_ms": link.rtt_ms / 2, "trace_offset_s": link.offset_s}
            args |= {"downlink_trace": link.trace, "uplink_trace": link.trace}
        self.site = site.control(self._directory, self._name, "link", **args)

    def _moved(self) -> tuple[int, int]:
        """Bytes of the site's modem interface: received, sent."""
        shown = ns.popen(self.site.netns_pid, ["cat", "/proc/self/net/dev"], stdout=subprocess.PIPE).communicate()[0]
        line = next(one for one in shown.decode().splitlines() if one.strip().startswith(f"{self.site.interface}:"))
        columns = line.partition(":")[2].split()
        return int(columns[0]), int(columns[8])

    def _capacity_bps(self, direction: str, start_ns: int, end_ns: int, rtt_ms: int) -> float:
        """What the link could have carried in a window, bit/s of payload; of bins that it cuts, the share inside.

        Capacity counts at the far end of the link. In the uplink we see it when the acknowledgement has come back.
        """
        shift_ns = rtt_ms * 500_000 if direction == "uplink" else 0
        start_ns, end_ns = start_ns - shift_ns, end_ns - shift_ns
        found = truth.wait(str(self.site.truth), start_ns - truth.BIN_NS, end_ns + truth.BIN_NS)
        total = 0.0
        for one in found.bins:
            inside_ns = min(end_ns, one.t_ns + truth.BIN_NS) - max(start_ns, one.t_ns)
            total += getattr(one, direction).capacity * max(0, inside_ns) / truth.BIN_NS
        return total * 8e9 / (end_ns - start_ns) * SHARE

    def _in_time(self, start_ns: int) -> bool:
        """Whether the relay was in time since then; always without a relay."""
        return not HAS_RELAY or truth.wait(str(self.site.truth), start_ns, time.monotonic_ns()).is_sound

    def _quiet(self) -> None:
        """Wait until the tail has passed."""
        before = 0
        for _ in range(20):
            now = sum(self._moved())
            if now - before < 3000:
                return
            before = now
            time.sleep(QUIET_S)

    def _run(self, tool: str, link: Link, timing: list[str]) -> Ran:
        rest, given = _command(tool, self.site.interface, link)
        argv = [sys.executable, *rest, *timing]
        environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
        with _quota(link.quota_percent) as group:
            started_s = time.monotonic()
            pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
            child = ns.popen(self.site.netns_pid, argv, env=environment, **pipes)
            if group is not None:
                _bind(child.pid, group)
            assert child.stdin is not None
            child.stdin.write(given)
            child.stdin.flush()
            out, rss_mb = _follow(child, started_s + LONGEST_S)
            _pid, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            wall_s = time.monotonic() - started_s
            child.stdin.close()
        return Ran(_said(out), wall_s, usage.ru_utime + usage.ru_stime, rss_mb)


def _timing(places: tuple[int, ...], shaped_ns: int) -> list[str]:
    """The direction, and when its transfer begins: when the slowest tool has started."""
    return [DIRECTIONS[places[0]], str(shaped_ns + BEGIN_AFTER_NS)]


def _command(tool: str, interface: str, link: Link) -> tuple[list[str], bytes]:
    """Arguments for Python and standard input. Over variable links our engine's part that knows its windows."""
    if tool == "speedtest-cli":
        return ["-W", "ignore", str(HERE / "engine_speedtest_cli.py"), "198.18.0.1", str(PORT)], b""
    if tool == "iperf3":
        return [str(HERE / "engine_iperf3.py"), "198.18.0.1"], b""
    if link.trace:
        cap_ms = SAVER_CAP_MS if tool == "dosong saver" else FULL_CAP_MS
        return [str(HERE / "engine_window.py"), interface, "198.18.0.1", str(PORT), str(cap_ms)], b""
    request = {
        "interface": interface, "server_host": "198.18.0.1", "server_port": PORT, "server_id": "bench",
        "udp_port": PORT, "echo_count": 40, "probe": f"p-bench-{os.getpid()}",
    }  # fmt: skip
    return ["-S", "-W", "ignore", "-m", "probe.engine_dosong"], json.dumps(request).encode() + b"\n"


def _follow(child: subprocess.Popen[bytes], until_s: float) -> tuple[bytes, float]:
    """All that a child says, and its greatest resident memory; a child that never ends is ended.

    Read while it lives: rusage would count the memory of this program too, from which it was forked.
    """
    assert child.stdout is not None
    out, most_kb = b"", 0
    while True:
        ready = select.select([child.stdout], [], [], 0.1)[0]
        with contextlib.suppress(OSError, StopIteration, IndexError):
            status = Path(f"/proc/{child.pid}/status").read_text().splitlines()
            most_kb = max(most_kb, int(next(line for line in status if line.startswith("VmHWM")).split()[1]))
        if time.monotonic() > until_s:
            child.kill()
        if ready:
            part = os.read(child.stdout.fileno(), 65536)
            if not part:
                return out, most_kb / 1024
            out += part


def _said(out: bytes) -> dict[str, Any]:
    """A tool's last word: bps, stop, window or wall time of each direction; empty if it failed."""
    try:
        found: dict[str, Any] = json.loads(out.splitlines()[-1])
    except (ValueError, IndexError):
        return {}
    if "outcome" not in found:
        return found
    return {
        name: {
            "bps": found[f"{name}_bps"],
            "stop": found[f"{name}_stop"] or found["cause"],
            "wall_s": (found[f"{name}_wall_us"] or 0) / 1e6,
        }
        for name in DIRECTIONS
    }


def _bind(pid: int, group: Path) -> None:
    """Put a process into a group, from here: its own namespace shows no groups. One of real-time priority is let into
    none that has a quota.
    """
    os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))
    (group / "tasks").write_text(str(pid))


@contextlib.contextmanager
def _quota(percent: int | None) -> Iterator[Path | None]:
    """A CPU quota for what joins the group; None without one."""
    if percent is None:
        yield None
        return
    group = CGROUP / f"dosong-bench-{os.getpid()}"
    group.mkdir()
    try:
        (group / "cpu.cfs_period_us").write_text("100000")
        (group / "cpu.cfs_quota_us").write_text(str(percent * 1000))
        yield group
    finally:
        with contextlib.suppress(OSError):
            group.rmdir()
