"""`make install-check`: from a fresh Debian 12 to a running collector by the page as printed, then to a probe.

python -m tests.install.check            some ten minutes, as root; each step is said, the last line is `ok`
python -m tests.install.check --debs DIR  with packages that were built before (probe in two versions, collector, point)

Two machines with systemd as process 1 (tests/install/machine.py). On the first every block of the page is run in order.
On the second the package of the probe is installed, its first boot enrols with a claim at the first, its units run
against the simulator's modem, it is upgraded, broken and rolled back, and takes an upgrade from a signed repository.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from provisioning import pki
from tests.install import collector_steps, probe_steps, upgrade_steps
from tests.install.machine import Failed, Machine, Wire, booted, check_needs
from tests.install.site import Site, base_version, raised

ROOT = Path(__file__).resolve().parents[2]


LOOK = (
    "systemctl --failed --no-legend; ls -la /var/lib/dosong-upgrade 2>/dev/null; journalctl -n 400 --no-pager"
    " | grep -v 'ack=taken' | tail -60"
)


def say(text: str) -> None:
    """A line of the run's own."""
    print(text, flush=True)


def build(folder: Path) -> None:
    """All packages, and the probe's once more as the next version."""
    next_version = raised(base_version())
    for words in ((), ("probe", "--version", next_version)):
        argv = [sys.executable, str(ROOT / "deb/build.py"), *words, "--fast", "--out", str(folder)]
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise Failed(done.stdout + done.stderr)
        say(done.stdout.strip())


def certify(collector: Machine, machines: tuple[Machine, ...]) -> None:
    """A certificate for the pages by an authority that stands for a public one; both machines trust it."""
    now = datetime.now(UTC)
    root = pki.make_root("an authority that stands for a public one", now)
    issuing = pki.make_issuing(root, "public", now)
    leaf = pki.make_server(issuing, (Site.PAGES,), now)
    pki.save(leaf, collector.root / "root/privkey.pem", collector.root / "root/fullchain.pem", issuing.certificate)
    for machine in machines:
        (machine.root / "root/roots.pem").write_bytes(pki.pem_of(root.certificate))
        (machine.root / "usr/local/share/ca-certificates").mkdir(parents=True, exist_ok=True)
        shutil.copy2(machine.root / "root/roots.pem", machine.root / "usr/local/share/ca-certificates/public.crt")
        machine.run("update-ca-certificates")


def steps(site: Site) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every step in order: its words, and what it does."""
    yield from collector_steps.steps(site)
    yield from probe_steps.steps(site)
    yield from upgrade_steps.steps(site)


def run(debs: Path, folder: Path, number: int) -> int:
    """Do every step; returns how many there were. Raises Failed."""
    count = 0
    with Wire(number) as wire, booted(folder, wire, 2) as collector, booted(folder, wire, 3) as probe:
        for machine in (collector, probe):
            with (machine.root / "etc/hosts").open("a") as hosts:
                hosts.write(f"{collector.address} {Site.PAGES} {Site.BROKER}\n")
        certify(collector, (collector, probe))
        site = Site(collector, probe, debs, folder)
        for words, step in steps(site):
            began_s = time.monotonic()
            try:
                step()
            except Failed:
                say(f"FAILED: {words}")
                for machine in (collector, probe):
                    lines = machine.run(LOOK, check=False)
                    say(re.sub(r"(?m)^", f"  {machine.name} | ", lines[-9000:]))
                raise
            count += 1
            say(f"{time.monotonic() - began_s:6.1f} s  {words}")
    return count


def main() -> None:
    """Build, boot, check."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--debs", type=Path, help="packages that were built before")
    parser.add_argument("--number", type=int, default=77, help="place of the run's network, 198.19.NUMBER.0/24 (77)")
    asked = parser.parse_args()
    check_needs()
    with tempfile.TemporaryDirectory(prefix="dosong-install-", dir="/var/tmp") as folder:
        debs = asked.debs or Path(folder) / "deb"
        try:
            if asked.debs is None:
                build(debs)
            count = run(debs, Path(folder), asked.number)
        except Failed as error:
            sys.exit(f"install-check: {error}")
    say(f"goal: install-check: {count} steps (all): met")
    say("ok")


if __name__ == "__main__":
    main()
