"""Our engine, speedtest-cli and iperf3 (where installed) over the same emulated links in one run.

    sudo python bench/engine.py [--short]

One site of the simulator with a point behind its link; each tool measures each direction in a process of its own, in
turn. Truth is the link's own: its rate less heads, or for variable links (relay only) what it could have carried in the
tool's own window. Prints a table, medians and goal lines, and writes bench/results/engine.json. A run during which the
relay was over 20 ms late is thrown away and repeated. Without a relay the link is tbf: no delay, and no variable links.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import select
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from sim import ns, site, state
from wire import note
from wire.keyfile import write_signer

RESULTS = Path(__file__).parent / "results" / "engine.json"
HERE = Path(__file__).parent
PORT, ORIGIN = 8080, "dosong.example"
DIRECTIONS = ("downlink", "uplink")
HAS_RELAY = "shaper" in {field.name for field in fields(state.Spec)}
SHARE = 1448 / 1500 if HAS_RELAY else 1448 / 1514
CGROUP = Path("/sys/fs/cgroup/cpu")
QUIET_S, TRIES = 0.6, 3


@dataclass(frozen=True)
class Link:
    """One link to measure over."""

    mbit: float
    rtt_ms: int = 50
    trace: str | None = None
    offset_s: float = 0.0
    quota_percent: int | None = None

    def words(self) -> str:
        """How it stands in the table."""
        name = self.trace or f"{self.mbit:g} Mbit/s"
        return f"{name} {self.rtt_ms} ms" + (f" cpu {self.quota_percent} %" if self.quota_percent else "")


@dataclass(frozen=True)
class Row:
    """One tool over one link in one direction; CPU and memory are of its whole process, both directions."""

    tool: str
    link: str
    kind: str
    direction: str
    error_percent: float | None
    link_mb: float
    wall_s: float
    cpu_s: float
    rss_mb: float
    stop: str


@dataclass(frozen=True)
class Ran:
    """What one process said and used."""

    said: dict[str, Any]
    wall_s: float
    cpu_s: float
    rss_mb: float


class Bed:
    """The simulator's site, its point, and what was moved over its link."""

    def __init__(self, folder: Path) -> None:
        self._directory = state.run_dir(f"bench{os.getpid()}", folder / "run")
        self._folder = folder
        self.site: state.SiteState | None = None
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
        given = {"name": "a", "downlink_bps": 20_000_000, "uplink_bps": 20_000_000}
        self.site = site.up(self._directory, state.Spec(**given, **({"shaper": "relay"} if HAS_RELAY else {})))
        self._servers.append(self._start_point())
        if shutil.which("iperf3"):
            self._servers.append(ns.popen(self.site.core_pid, ["iperf3", "-s"], stdout=subprocess.DEVNULL))

    def __exit__(self, *_: object) -> None:
        for server in self._servers:
            server.kill()
            server.wait()
        site.all_down(self._directory)

    def _start_point(self) -> subprocess.Popen[bytes]:
        assert self.site is not None
        signer = note.Signer.generate(f"{ORIGIN}/point/bench")
        write_signer(self._folder / "point.key", signer)
        settings = self._folder / "point.toml"
        settings.write_text(
            f'[point]\norigin = "{ORIGIN}"\npoint = "bench"\nkey_file = "point.key"\ncapacity_bps = 1000000000\n'
        )
        ready = self._folder / "ready.json"
        argv = [sys.executable, "-m", "point", "--config", str(settings), "--bind", "198.18.0.1", "--port", str(PORT)]
        server = ns.popen(self.site.core_pid, [*argv, "--json-ready", str(ready)], stderr=subprocess.DEVNULL)
        deadline_s = time.monotonic() + 10
        while not ready.exists():
            if server.poll() is not None or time.monotonic() > deadline_s:
                raise SystemExit("bench: the point did not start")
            time.sleep(0.05)
        return server

    def shape(self, link: Link) -> None:
        """Make the link so."""
        args: dict[str, Any] = {"downlink_bps": round(link.mbit * 1e6), "uplink_bps": round(link.mbit * 1e6)}
        if HAS_RELAY:
            args |= {"delay_ms": link.rtt_ms / 2, "trace_offset_s": link.offset_s}
            args |= {"downlink_trace": link.trace, "uplink_trace": link.trace}
        self.site = site.control(self._directory, "a", "link", **args)

    def moved(self) -> tuple[int, int]:
        """Bytes of the site's modem interface: received, sent."""
        assert self.site is not None
        shown = ns.popen(self.site.netns_pid, ["cat", "/proc/self/net/dev"], stdout=subprocess.PIPE).communicate()[0]
        line = next(one for one in shown.decode().splitlines() if one.strip().startswith(f"{self.site.interface}:"))
        columns = line.partition(":")[2].split()
        return int(columns[0]), int(columns[8])

    def capacity_bps(self, direction: str, start_ns: int, end_ns: int) -> float:
        """What the link could have carried in a window, bit/s of payload."""
        assert self.site is not None
        from sim import truth  # noqa: PLC0415

        found = truth.wait(str(self.site.truth), start_ns, end_ns)
        total = sum(getattr(one, direction).capacity for one in found.bins)
        return float(total * 8e9 / (len(found.bins) * truth.BIN_NS) * SHARE)

    def in_time(self, start_ns: int) -> bool:
        """Whether the relay was in time since then; always without a relay."""
        if not HAS_RELAY or self.site is None:
            return True
        from sim import truth  # noqa: PLC0415

        return bool(truth.wait(str(self.site.truth), start_ns, time.monotonic_ns()).is_sound)


def dosong(bed: Bed, link: Link) -> tuple[list[str], bytes]:
    """The engine's child as the daemon starts it; over variable links the part that knows its windows."""
    assert bed.site is not None
    if link.trace:
        return [str(HERE / "engine_window.py"), bed.site.interface, "198.18.0.1", str(PORT), "5000"], b""
    request = {
        "interface": bed.site.interface, "server_host": "198.18.0.1", "server_port": PORT, "server_id": "bench",
        "probe": "p-bench",
    }  # fmt: skip
    return ["-S", "-W", "ignore", "-m", "probe.engine_dosong"], json.dumps(request).encode() + b"\n"


def speedtest_cli(_bed: Bed, _link: Link) -> tuple[list[str], bytes]:
    """The library as it is."""
    return ["-W", "ignore", str(HERE / "engine_speedtest_cli.py"), "198.18.0.1", str(PORT)], b""


def iperf3(_bed: Bed, _link: Link) -> tuple[list[str], bytes]:
    """Four streams, ten seconds; downlink first, then uplink, by a small script."""
    return [str(HERE / "engine_iperf3.py"), "198.18.0.1"], b""


TOOLS = {"dosong": dosong, "speedtest-cli": speedtest_cli, "iperf3": iperf3}


def measure(bed: Bed, tool: str, link: Link, kind: str) -> list[Row]:
    """Run one tool, again while the relay was late; a row for each direction."""
    for left in range(TRIES - 1, -1, -1):
        bed.shape(link)
        began_ns, before = time.monotonic_ns(), bed.moved()
        ran = _run(bed, tool, link)
        _quiet(bed)
        after = bed.moved()
        if bed.in_time(began_ns) or not left:
            break
    rows = []
    for place, direction in enumerate(DIRECTIONS):
        said = ran.said.get(direction, {})
        bps, error = said.get("bps"), None
        if bps is not None:
            truth_bps = link.mbit * 1e6 * SHARE
            if link.trace:
                truth_bps = bed.capacity_bps(direction, said["start_ns"], said["end_ns"])
            error = (bps / truth_bps - 1) * 100
        wall_s = said.get("wall_s") or (said.get("end_ns", 0) - said.get("start_ns", 0)) / 1e9
        moved = (after[place] - before[place]) / 1e6
        stop = said.get("stop", "")
        rows.append(Row(tool, link.words(), kind, direction, error, moved, wall_s, ran.cpu_s, ran.rss_mb, stop))
    return rows


def _run(bed: Bed, tool: str, link: Link) -> Ran:
    assert bed.site is not None
    rest, given = TOOLS[tool](bed, link)
    argv = [sys.executable, *rest]
    environment = {**os.environ, "PYTHONPATH": str(HERE.parent)}
    with _quota(link.quota_percent) as group:
        if group is not None:
            argv = ["sh", "-c", f'echo $$ > {group}/tasks; exec "$@"', "sh", *argv]
        started_s = time.monotonic()
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        child = ns.popen(bed.site.netns_pid, argv, env=environment, **pipes)
        assert child.stdin is not None
        child.stdin.write(given)
        child.stdin.flush()
        out, rss_mb = _follow(child)
        _pid, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        wall_s = time.monotonic() - started_s
        child.stdin.close()
    return Ran(_said(out), wall_s, usage.ru_utime + usage.ru_stime, rss_mb)


def _follow(child: subprocess.Popen[bytes]) -> tuple[bytes, float]:
    """All that a child says, and its greatest resident memory.

    Read while it lives: rusage would count the memory of this program too, from which it was forked.
    """
    assert child.stdout is not None
    out, most_kb = b"", 0
    while True:
        ready = select.select([child.stdout], [], [], 0.1)[0]
        with contextlib.suppress(OSError, StopIteration, IndexError):
            status = Path(f"/proc/{child.pid}/status").read_text().splitlines()
            most_kb = max(most_kb, int(next(line for line in status if line.startswith("VmHWM")).split()[1]))
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


def _quiet(bed: Bed) -> None:
    """Wait until the tail has passed."""
    before = 0
    for _ in range(20):
        now = sum(bed.moved())
        if now - before < 3000:
            return
        before = now
        time.sleep(QUIET_S)


def links(*, short: bool) -> list[tuple[str, Link, tuple[str, ...]]]:
    """What is measured: kind, link, tools."""
    pair = ("dosong", "speedtest-cli", *(("iperf3",) if shutil.which("iperf3") and not short else ()))
    rates = (5, 50) if short else (1, 5, 20, 50, 100, 150)
    plan: list[tuple[str, Link, tuple[str, ...]]] = [("constant", Link(mbit), pair) for mbit in rates]
    if CGROUP.exists():
        quotas = ((20, 3),) if short else ((20, 3), (50, 3), (100, 3), (20, 10), (100, 10))
        plan += [
            ("starved", Link(mbit, quota_percent=quota), ("dosong",) if short else pair[:2]) for mbit, quota in quotas
        ]
    if HAS_RELAY and not short:
        plan += [("rtt", Link(50, rtt_ms=rtt), ("dosong",)) for rtt in (30, 80)]
        for window in range(60):
            link = Link(25, trace=f"cellular:{window // 3 + 1}", offset_s=20.0 * (window % 3))
            plan.append(("variable", link, pair[:2] if window % 10 == 0 else ("dosong",)))
    return plan


def main() -> int:
    """Measure, print, write; 0 if it could measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--short", action="store_true", help="about a minute: two rates, one starved")
    parser.add_argument("--only", choices=["constant", "starved", "rtt", "variable"], help="this kind of link alone")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.stderr.write("bench: needs root and network namespaces\n")
        return 1
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder, Bed(Path(folder)) as bed:
        for kind, link, tools in links(short=options.short):
            if options.only not in {None, kind}:
                continue
            for tool in tools:
                found = measure(bed, tool, link, kind)
                rows += found
                for row in found:
                    show(row)
    report(rows)
    return 0


def show(row: Row) -> None:
    """One line of the table."""
    error = "   failed" if row.error_percent is None else f"{row.error_percent:+8.2f}%"
    print(
        f"{row.link:28} {row.direction:8} {row.tool:13} {error} {row.link_mb:7.2f} MB {row.wall_s:6.2f} s "
        f"cpu {row.cpu_s:5.2f} s rss {row.rss_mb:5.0f} MB {row.stop}",
        flush=True,
    )


def report(rows: list[Row]) -> None:
    """Medians, ratios, goals; the file."""
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version()}
    shaper = "relay" if HAS_RELAY else "tbf"
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({**machine, "shaper": shaper, "rows": [vars(row) for row in rows]}, indent=1) + "\n")
    constant = [row for row in rows if row.kind == "constant"]
    ours, theirs = (_of(constant, tool) for tool in ("dosong", "speedtest-cli"))
    if ours and theirs:
        worst = max(abs(row.error_percent) if row.error_percent is not None else 100.0 for row in ours)
        goal("engine worst error on constant links %", worst, worst <= 0.5, "<= 0.5")
        mine = statistics.mean(abs(row.error_percent or 100) for row in ours)
        yours = statistics.mean(abs(row.error_percent or 100) for row in theirs)
        goal("engine error, times smaller", yours / max(mine, 1e-9), yours >= 8 * mine, ">= 8")
        for what, least in (("link_mb", 5.5), ("wall_s", 6.0), ("cpu_s", 10.0), ("rss_mb", 8.0)):
            ratios = [getattr(b, what) / max(getattr(a, what), 1e-9) for a, b in zip(ours, theirs, strict=True)]
            found = statistics.median(ratios)
            goal(f"engine {what}, times less (median)", found, found >= least, f">= {least:g}")
    starved = [abs(row.error_percent or 100) for row in _of([r for r in rows if r.kind == "starved"], "dosong")]
    if starved:
        goal("engine worst error at a starved CPU %", max(starved), max(starved) <= 1, "<= 1")
    variable = [row.error_percent for row in _of([r for r in rows if r.kind == "variable"], "dosong")]
    known = [error for error in variable if error is not None]
    if known:
        goal(
            "engine mean error on variable links %",
            statistics.mean(map(abs, known)),
            statistics.mean(map(abs, known)) <= 2,
            "<= 2",
        )
        goal("engine bias on variable links %", statistics.mean(known), abs(statistics.mean(known)) <= 2, "within 2")


def _of(rows: list[Row], tool: str) -> list[Row]:
    return [row for row in rows if row.tool == tool]


def goal(what: str, found: float, is_met: bool, limit: str) -> None:
    """One goal line."""
    print(f"goal: {what}: {found:.2f} ({limit}): {'met' if is_met else 'short'}")


if __name__ == "__main__":
    sys.exit(main())
