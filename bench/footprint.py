"""What `dosong-probe run` costs the Pi that it runs on: memory, processor, wake-ups, and wear of the card.

Three runs, each with a simulated modem that answers as a recorded one does. Idle: the settings' own pace for a minute.
A test: `dosong-probe once` against a measurement point on loopback, the largest process of it. Card: the state folder
on an ext4 file system in an image of its own, everything with a pace 60 times as fast (a step of 1 s for a minute, a
window of a minute for an hour, the slate every 5 s for 5 min), sectors by the kernel's count of the loop device. The
broker is not there, so nothing is acknowledged: an acknowledgement adds one commit. Source: design §5, §12.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from wire.keyfile import write_signer
from wire.note import Signer

ORIGIN = "footprint.example"
FASTER = 60
GOAL_IDLE_MB, GOAL_SECTORS, GOAL_CPU_PPM = 50, 250, 10_000
DAY_S, HOUR_S = 86_400, 3_600
SECTOR_BYTES = 512
FAST = (
    "import sys, probe.slate as s; s.Slate.__init__.__defaults__ = (None, s.SYNC_EVERY_S / {faster}); "
    "from probe.__main__ import main; sys.exit(main())"
)
_SETTINGS = """
probe = "p-footprint"
origin = "{origin}"
state_dir = "{state}"
key_file = "record.key"
ack_vkey = "{ack}"
site = "nowhere"
[broker]
host = "127.0.0.1"
port = 9
ca_file = "ca.crt"
cert_file = "tls.crt"
tls_key_file = "tls.key"
[schedule]
slot_s = 86400
seed = "{seed}"
[gps]
port = 9
[clock]
trust = "always"
[coverage]
step_s = {step_s}
poll_s = {poll_s}
[engine]
name = "{engine}"
server = "http://127.0.0.1:{point}{path}"
echo = "127.0.0.1:{point}"
downlink_s = 4
uplink_s = 4
[budget]
limit_bytes = 20000000000
[[modem]]
id = "m1"
port = "{modem}"
interface = "lo"
plmn = "45204"
"""


def main(argv: list[str] | None = None) -> int:
    """Measure; exits 0 if it could."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--idle-s", type=float, default=60, help="how long it idles (60)")
    parser.add_argument("--hours", type=int, default=3, help="how many hours' writes, a minute each (3)")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-footprint-") as name, surroundings(Path(name)) as around:
        found = idle(around, arguments.idle_s) | in_a_test(around) | card(around, arguments.hours)
    found |= {"python": platform.python_version(), "machine": platform.machine()}
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / "footprint.json").write_text(json.dumps(found, indent=1) + "\n")
    report(found)
    return 0


def report(found: dict[str, Any]) -> None:
    """Print the table, and a line for each goal."""
    rows = [
        ("memory, idle", f"{found['rss_bytes'] / 1e6:.1f} MB resident, {found['pss_bytes'] / 1e6:.1f} MB proportional"),
        *(
            (f"memory, largest process, {name}", f"{size / 1e6:.1f} MB resident")
            for name, size in found["test_rss_bytes"].items()
        ),
        ("processor, idle", f"{found['cpu_ppm'] / 1e4:.2f} % of a core, {found['cpu_day_s']:.0f} s a day"),
        ("wake-ups, idle", f"{found['wakes_s']:.1f} a second, {found['threads']} threads"),
    ]
    if found["sectors_hour"] is not None:
        day_mb = found["sectors_hour"] * 24 * SECTOR_BYTES / 1e6
        rows.append(("card", f"{found['sectors_hour']:.0f} sectors an hour, {day_mb:.1f} MB a day"))
    print("\n".join(f"{name:<36}{text}" for name, text in rows))
    _goal("idle resident memory of dosong-probe run", found["rss_bytes"] / 1e6, GOAL_IDLE_MB, "MB")
    _goal("processor of dosong-probe run, idle", found["cpu_ppm"] / 1e4, GOAL_CPU_PPM / 1e4, "% of a core")
    if found["sectors_hour"] is None:
        print(f"goal: sectors written an hour, idle: not measured, mounting needs root (<= {GOAL_SECTORS}): short")
    else:
        _goal("sectors written an hour, idle", found["sectors_hour"], GOAL_SECTORS, "of 512 bytes")


def _goal(name: str, figure: float, limit: float, unit: str) -> None:
    verdict = "met" if figure <= limit else "short"
    print(f"goal: {name}: {figure:.4g} {unit} (<= {limit:g} {unit}): {verdict}")


@contextmanager
def surroundings(folder: Path) -> Iterator[dict[str, Any]]:
    """Keys and certificates, a simulated modem, a measurement point."""
    write_signer(folder / "record.key", Signer.generate(f"{ORIGIN}/probe/p-footprint"))
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=p-footprint", "-days", "2", "-keyout", "tls.key", "-out", "tls.crt"]
    subprocess.run([*openssl, *names], cwd=folder, check=True, capture_output=True)
    (folder / "ca.crt").write_bytes((folder / "tls.crt").read_bytes())
    sim = [sys.executable, "-m", "sim"]
    where = ["--run", f"foot{os.getpid()}", "--state-dir", str(folder / "sim")]
    ready = folder / "point.json"
    point = subprocess.Popen(
        [sys.executable, "-m", "point", "--bind", "127.0.0.1", "--port", "0", "--json-ready", str(ready)],
        stderr=subprocess.DEVNULL,
    )
    try:
        up = [*sim, "site", "up", *where, "s1", "--link", "loopback"]
        subprocess.run(up, check=True, capture_output=True)
        _wait(ready.exists, "the point")
        port = json.loads(ready.read_text())["port"]
        ack = Signer.generate(f"{ORIGIN}/ack").verifier.vkey
        yield {"folder": folder, "modem": folder / "sim" / "s1" / "modem", "point": port, "ack": ack}
    finally:
        subprocess.run([*sim, "core", "down", *where, "--all"], check=False, capture_output=True)
        point.terminate()
        point.wait(10)


def settings(around: dict[str, Any], state: Path, *, step_s: int, poll_s: int, engine: str = "dosong") -> Path:
    """Write a settings file; returns its path."""
    path = "/speedtest/upload.php" if engine == "speedtest-cli" else ""
    text = _SETTINGS.format(
        origin=ORIGIN, seed="5" * 64, state=state, step_s=step_s, poll_s=poll_s, engine=engine, path=path, **around
    )
    file: Path = around["folder"] / f"{state.name}.toml"
    file.write_text(text)
    return file


@contextmanager
def running(config: Path, program: list[str], runtime: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The daemon, with a folder in memory as systemd gives it one."""
    runtime.mkdir(exist_ok=True)
    log = config.with_suffix(".log")
    with log.open("w") as file:
        environment = os.environ | {"RUNTIME_DIRECTORY": str(runtime)}
        command = [*program, "run", "--config", str(config)]
        child = subprocess.Popen(command, stderr=file, env=environment)
    try:
        _wait(lambda: "running" in log.read_text() or child.poll() is not None, "dosong-probe")
        if child.poll() is not None:
            raise SystemExit(f"dosong-probe did not start:\n{log.read_text()}")
        yield child
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def idle(around: dict[str, Any], seconds: float) -> dict[str, Any]:
    """A minute at the settings' own pace: memory, processor time, and how often any thread was woken."""
    config = settings(around, around["folder"] / "idle", step_s=60, poll_s=10)
    with running(config, [sys.executable, "-m", "probe"], around["folder"] / "run-idle") as child:
        time.sleep(15)  # the modem is found and asked who it is
        cpu_s, wakes = _cpu_s(child.pid), _wakes(child.pid)
        time.sleep(seconds)
        cpu_s, wakes = _cpu_s(child.pid) - cpu_s, _wakes(child.pid) - wakes
        found = _memory(child.pid)
    return found | {
        "cpu_ppm": round(cpu_s / seconds * 1e6),
        "cpu_day_s": cpu_s / seconds * DAY_S,
        "wakes_s": wakes / seconds,
    }


def in_a_test(around: dict[str, Any]) -> dict[str, Any]:
    """The largest process of one test, the engine's child included, by the kernel's high-water mark."""
    found = {}
    for engine in ("dosong", "speedtest-cli"):
        config = settings(around, around["folder"] / f"test-{engine}", step_s=60, poll_s=10, engine=engine)
        command = [sys.executable, "-m", "probe", "once", "--config", str(config)]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        found[engine] = used.ru_maxrss * 1024
    return {"test_rss_bytes": found}


def card(around: dict[str, Any], hours: int) -> dict[str, Any]:
    """Sectors that reach an ext4 file system of the probe's own, 60 times as fast as in the field."""
    if os.geteuid() != 0 or shutil.which("mkfs.ext4") is None:
        return {"sectors_hour": None}
    with _disk(around["folder"]) as (disk, device):
        config = settings(around, disk / "state", step_s=60 // FASTER, poll_s=1)
        with running(config, [sys.executable, "-c", FAST.format(faster=FASTER)], around["folder"] / "run-card"):
            time.sleep(HOUR_S / FASTER)  # the first hour makes the files
            subprocess.run(["sync", "-f", str(disk)], check=True)
            before = _sectors(device)
            time.sleep(hours * HOUR_S / FASTER)
            subprocess.run(["sync", "-f", str(disk)], check=True)
            sectors = _sectors(device) - before
    return {"sectors_hour": sectors / hours, "hours": hours}


@contextmanager
def _disk(folder: Path) -> Iterator[tuple[Path, str]]:
    image, at = folder / "card.img", folder / "card"
    with image.open("wb") as file:
        file.truncate(64 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=0", str(image)], check=True, capture_output=True)
    at.mkdir()
    subprocess.run(["mount", "-o", "loop,noatime", str(image), str(at)], check=True, capture_output=True)
    source = next(line.split()[0] for line in Path("/proc/mounts").read_text().splitlines() if f" {at} " in line)
    try:
        yield at, Path(source).name
    finally:
        subprocess.run(["umount", str(at)], check=True, capture_output=True)


def _sectors(device: str) -> int:
    return int(Path(f"/sys/block/{device}/stat").read_text().split()[6])


def _wait(done: Any, what: str) -> None:
    deadline_s = time.monotonic() + 30
    while not done():
        if time.monotonic() > deadline_s:
            raise SystemExit(f"{what} did not start within 30 s")
        time.sleep(0.1)


def _memory(pid: int) -> dict[str, Any]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return {"rss_bytes": kilobytes["Rss"] * 1024, "pss_bytes": kilobytes["Pss"] * 1024, "threads": threads}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _wakes(pid: int) -> int:
    """Voluntary context switches of all threads: each is one wake-up later."""
    total = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        line = next(line for line in status.read_text().splitlines() if line.startswith("voluntary_ctxt_switches"))
        total += int(line.split()[1])
    return total


if __name__ == "__main__":
    sys.exit(main())
