"""Idle resident memory of `dosong-probe run`: started against a folder of its own, no broker and no modem there.

Prints one line for the goal and writes what it saw as JSON under `bench/results/`. Source: design §5 (Footprint), §12.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from wire.keyfile import write_signer
from wire.note import Signer

GOAL_MB = 50
SETTLE_S = 8
ORIGIN = "footprint.example"
_SETTINGS = """
probe = "p-footprint"
origin = "{origin}"
state_dir = "state"
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
[engine]
server = "http://127.0.0.1:9/speedtest/upload.php"
echo = "127.0.0.1:9"
[budget]
limit_bytes = 20000000000
[[modem]]
id = "m1"
port = "{folder}/no-modem"
interface = "lo"
"""


def main(argv: list[str] | None = None) -> int:
    """Measure; exits 0 if it could."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--settle-s", type=float, default=SETTLE_S, help="how long it idles before it is read")
    arguments = parser.parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="dosong-footprint-") as name:
        folder = Path(name)
        _prepare(folder)
        found = _measure(folder, arguments.settle_s)
    results = Path(__file__).parent / "results"
    results.mkdir(exist_ok=True)
    (results / "footprint.json").write_text(json.dumps(found, indent=1) + "\n")
    rss_mb = found["rss_bytes"] / 1e6
    print(
        f"dosong-probe run, idle: RSS {rss_mb:.1f} MB, PSS {found['pss_bytes'] / 1e6:.1f} MB, "
        f"{found['threads']} threads, CPU {found['cpu_ppm'] / 1e4:.2f} % of a core"
    )
    verdict = "met" if rss_mb <= GOAL_MB else "short"
    print(f"goal: idle resident memory of dosong-probe run: {rss_mb:.1f} MB (<= {GOAL_MB} MB): {verdict}")
    return 0


def _prepare(folder: Path) -> None:
    write_signer(folder / "record.key", Signer.generate(f"{ORIGIN}/probe/p-footprint"))
    ack = Signer.generate(f"{ORIGIN}/ack").verifier.vkey
    (folder / "probe.toml").write_text(_SETTINGS.format(origin=ORIGIN, ack=ack, seed="5" * 64, folder=folder))
    openssl = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = ["-subj", "/CN=p-footprint", "-days", "2", "-keyout", "tls.key", "-out", "tls.crt"]
    subprocess.run([*openssl, *names], cwd=folder, check=True, capture_output=True)
    (folder / "ca.crt").write_bytes((folder / "tls.crt").read_bytes())


def _measure(folder: Path, settle_s: float) -> dict[str, Any]:
    """Start the probe, let it idle, read its memory from the kernel, stop it."""
    command = [sys.executable, "-m", "probe", "run", "--config", str(folder / "probe.toml")]
    with (folder / "log").open("w") as log:
        child = subprocess.Popen(command, stderr=log)
    try:
        deadline = time.monotonic() + 30
        while "running" not in (folder / "log").read_text():
            if child.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"dosong-probe did not start:\n{(folder / 'log').read_text()}")
            time.sleep(0.1)
        cpu_s = _cpu_s(child.pid)
        time.sleep(settle_s)
        found = _memory(child.pid) | {"cpu_ppm": round((_cpu_s(child.pid) - cpu_s) / settle_s * 1e6)}
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)
    return found | {"goal_bytes": GOAL_MB * 10**6, "python": platform.python_version(), "machine": platform.machine()}


def _memory(pid: int) -> dict[str, Any]:
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    kilobytes = {line.split(":")[0]: int(line.split()[1]) for line in lines}
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return {"rss_bytes": kilobytes["Rss"] * 1024, "pss_bytes": kilobytes["Pss"] * 1024, "threads": threads}


def _cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    sys.exit(main())
