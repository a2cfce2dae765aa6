"""The probe: its package on a fresh Debian, first boot with a claim, and its units under a real systemd.

The modem is the simulator's, on a pty of that machine. Clock: the container's, which another system keeps ("always").
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from functools import partial

from tests.install.machine import Failed, as_user, until
from tests.install.site import ROOT, Site

PARTS_OF_OTHERS = (
    "flask",
    "gunicorn",
    "influxdb_client",
    "argon2",
    "click",
    "openpyxl",
    "collector",
    "provisioning",
    "sim",
)
STATION = """\
state_dir = "/var/lib/dosong-probe"
referral = "TN05755A"
[engine]
server = "http://{address}:7480"
echo = "{address}:7480"
downlink_s = 1
uplink_s = 1
saver = true
[schedule]
slot_s = 15
seed = "{seed}"
[coverage]
step_s = 2
steps = 3
poll_s = 1
[reachability]
looks = false
[position]
lat_e7 = 215000000
lon_e7 = 1058000000
[clock]
trust = "always"
[recovery]
rescue = "/run/dosong-rescue.sock"
[[modem]]
id = "m1"
port = "/dev/dosong-modem"
interface = "host0"
backend = "at"
"""
MODEM = """\
import asyncio, os, shutil, sys
from pathlib import Path
from sim.modem import Modem
async def main() -> None:
    modem = Modem("huawei-e3372", None, link=Path("/dev/dosong-modem"))
    modem.plug()
    shutil.chown(modem.tty, "root", "dialout")
    os.chmod(modem.tty, 0o660)
    await asyncio.Event().wait()
asyncio.run(main())
"""
SCHEDULED_S = 120
RATE = "40mbit"
"""Of the link from the first boot on; without it a test ends at its cap of bytes."""
Steps = Iterator[tuple[str, Callable[[], object]]]


def steps(site: Site) -> Steps:
    """From the package to a probe that is at work."""
    yield (
        "the probe's package is installed on a fresh Debian; nothing of the collector is in it",
        partial(_install, site),
    )
    yield "the simulator's modem is plugged in", partial(_modem, site)
    yield (
        "first boot: enrolled with the claim on the card, which is wiped; the daemon is READY",
        partial(_first_boot, site),
    )
    yield "the office confirms the six digits that the unit's journal shows", partial(_confirm, site)
    yield "records are acknowledged by the ledger, and sealed", partial(_acknowledged, site)
    yield "a scheduled test is measured by the unit's child, at full hardening", partial(_tested, site)
    yield "the rescue socket answers the probe, refuses strange words, and nobody else may ask", partial(_rescue, site)
    yield "a hung daemon is killed by the watchdog and started again, nothing is lost", partial(_watchdog, site)
    yield "the renewal's unit runs", partial(_renew, site)
    yield "after a reboot it is at work by itself, and first boot does not run again", partial(_reboot, site)


def _install(site: Site) -> None:
    name = site.deb("probe").name
    site.probe.put(site.deb("probe"), f"/root/{name}")
    site.probe.run(f"apt-get update && apt-get install --yes --no-install-recommends ./{name}")
    packages = "/opt/dosong/probe/lib/python3*/site-packages"
    found = [part for part in PARTS_OF_OTHERS if site.probe.good(f"ls -d {packages}/{part}")]
    if found:
        raise Failed(f"the probe's package holds {found}")
    if site.active("dosong-probe") or not site.active("dosong-rescue.socket"):
        raise Failed("before a claim the daemon must wait, and the rescue socket listen")
    site.probe.run("getent passwd dosong-probe | grep -q nologin && id -nG dosong-probe | grep -qw dialout")


def _modem(site: Site) -> None:
    target = site.probe.root / "root/modem"
    shutil.copytree(ROOT / "sim", target / "sim", ignore=shutil.ignore_patterns("__pycache__"))
    (target / "play.py").write_text(MODEM)
    (site.probe.root / "etc/systemd/system/modem.service").write_text(
        "[Service]\nEnvironment=PYTHONPATH=/root/modem\nExecStart=/opt/dosong/probe/bin/python /root/modem/play.py\n"
        "[Install]\nWantedBy=multi-user.target\n"
    )
    site.probe.rate = RATE
    site.probe.run("systemctl daemon-reload && systemctl enable --now modem")
    until(lambda: site.probe.good("test -e /dev/dosong-modem"), 30, "the modem's port")


def _first_boot(site: Site) -> None:
    card = site.probe.root / "boot/firmware"
    card.mkdir(parents=True)
    claim = site.collector.root / f"srv/dosong/claims/{site.NAME}.toml"
    shutil.copy2(claim, card / "dosong-claim.toml")
    text = STATION.format(address=site.collector.address, seed="5eed" * 16)
    (card / "dosong-station.toml").write_text(text)
    token = re.search(r'token = "([^"]+)"', claim.read_text())
    assert token is not None
    site.probe.reboot()
    until(lambda: site.active("dosong-probe"), 120, "the daemon, READY")
    if (card / "dosong-claim.toml").exists():
        raise Failed("the claim is still on the card")
    left = site.probe.run(f"grep -rlF '{token[1]}' /boot /etc /var /run 2>/dev/null || true").strip()
    if left:
        raise Failed(f"the claim's token can still be found in {left}")
    site.probe.run("stat -c '%U %a' /etc/dosong/record.key | grep -qx 'dosong-probe 600'")


def _digits(site: Site) -> str:
    said = site.probe.run("journalctl -u dosong-firstboot -o cat")
    found = re.search(r"Read these digits to the office: (\d{3}) (\d{3})", said)
    if found is None:
        raise Failed(f"no digits in {said}")
    return found[1] + found[2]


def _confirm(site: Site) -> None:
    site.collector.run(f"dosong-provision confirm --dir /srv/dosong {site.NAME} {_digits(site)}")


def _acknowledged(site: Site) -> None:
    until(lambda: site.acked() >= 3, 120, "three records acknowledged")
    sealed = f"curl -sSf https://{site.PAGES}/log/checkpoint"
    until(lambda: site.collector.good(sealed), 180, "a signed checkpoint of the log")


def _tested(site: Site) -> None:
    def outcome() -> str:
        test = site.status().get("last_test") or {}
        return str(test.get("outcome"))

    until(lambda: outcome() == "ok", SCHEDULED_S, f"a scheduled test; the last one: {site.status().get('last_test')}")


def _rescue(site: Site) -> None:
    ask = (
        "/opt/dosong/probe/bin/python -c 'import socket,sys; s=socket.socket(socket.AF_UNIX);"
        's.connect("/run/dosong-rescue.sock"); s.sendall(sys.argv[1].encode()+b"\\n"); print(s.recv(999).decode())\''
    )
    said = site.probe.run(as_user("dosong-probe", f"{ask} nonsense"))
    if "no such word" not in said:
        raise Failed(said)
    said = site.probe.run(as_user("dosong-probe", f"{ask} reboot"))
    if "reboot is not permitted here" not in said:
        raise Failed(said)
    said = site.probe.run(as_user("dosong-probe", f"{ask} 'usb_power 1-1.2'"))
    if not said.startswith(("impossible", "refused")):
        raise Failed(f"there is no USB in this machine, but the service says {said}")
    site.probe.refuses(as_user("nobody", f"{ask} reboot"))


def _watchdog(site: Site) -> None:
    run = site.probe.run
    run("mkdir -p /run/systemd/system/dosong-probe.service.d")
    # The unit's 120 s would only make the run longer.
    run(
        "printf '[Service]\\nWatchdogSec=8\\nTimeoutAbortSec=3\\n'"
        " > /run/systemd/system/dosong-probe.service.d/short.conf"
    )
    run("systemctl daemon-reload && systemctl restart dosong-probe")
    before = int(site.status()["next_seq"])
    pid = run("systemctl show -p MainPID --value dosong-probe").strip()
    run(f"kill -STOP {pid}")

    def is_anew() -> bool:
        now = run("systemctl show -p MainPID --value dosong-probe").strip()
        return now not in {"0", pid} and site.active("dosong-probe")

    until(is_anew, 90, "another process after the watchdog")
    if "watchdog" not in run("journalctl -u dosong-probe -o cat -n 60").lower():
        raise Failed("it was not the watchdog")
    status = site.status()
    if int(status["next_seq"]) < before:
        raise Failed(f"the chain went back: {json.dumps(status)}")
    run("rm -r /run/systemd/system/dosong-probe.service.d && systemctl daemon-reload && systemctl restart dosong-probe")


def _renew(site: Site) -> None:
    site.probe.run("systemctl start dosong-renew@probe.service && systemctl is-active dosong-renew@probe.timer")
    said = site.probe.run("journalctl -u dosong-renew@probe -o cat")
    if "not due yet" not in said:
        raise Failed(said)


def _reboot(site: Site) -> None:
    acked = site.acked()
    site.probe.reboot()
    until(lambda: site.active("dosong-probe"), 90, "the daemon after a reboot")
    until(lambda: site.acked() > acked, 90, "another record acknowledged")
    said = site.probe.run("systemctl show -p ConditionResult --value dosong-firstboot").strip()
    if said != "no":
        raise Failed("first boot ran again")
