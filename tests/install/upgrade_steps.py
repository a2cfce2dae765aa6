"""Upgrade, a broken version that goes back by itself, the way back by hand, and upgrades from a signed repository."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.install.machine import Failed, until
from tests.install.site import ROOT, Site, base_version, raised

WITHIN_S, STEADY_S = 40, 8
Steps = Iterator[tuple[str, Callable[[], object]]]
INSTALL = "DEBIAN_FRONTEND=noninteractive apt-get install --yes --no-install-recommends --allow-downgrades"


def steps(site: Site) -> Steps:
    """In this order: each leaves the probe at work."""
    yield "an upgrade with records waiting in the spool: all of them reach the ledger", partial(_upgrade, site)
    yield "the new version proves itself and is kept", partial(_kept, site)
    yield "a broken version goes back by itself, records and settings as they were", partial(_broken, site)
    yield "the way back by hand: the older package over the newer one", partial(_by_hand, site)
    yield "a signed repository on the collector's machine; the probe trusts its key alone", partial(_repository, site)
    yield "apt's phases: at 0 % no probe takes it, at 100 % it does", partial(_phases, site)
    yield "an index that somebody changed is refused", partial(_forged, site)
    yield "removed and purged: units gone, records and keys left", partial(_removed, site)


def _settle(site: Site) -> None:
    (site.probe.root / "etc/default/dosong-probe").write_text(
        f"DOSONG_WELL_WITHIN_S={WITHIN_S}\nDOSONG_STEADY_S={STEADY_S}\n"
    )


def _put(site: Site, deb: Path) -> str:
    site.probe.put(deb, f"/root/{deb.name}")
    return f"./{deb.name}"


def _upgrade(site: Site) -> None:
    _settle(site)
    site.collector.run("systemctl stop mosquitto")
    begun = int(site.status()["next_seq"])
    until(lambda: int(site.status().get("next_seq", 0)) >= begun + 3, 60, "records that wait")
    site.probe.run(f"{INSTALL} {_put(site, site.deb('probe', raised(base_version())))}")
    if site.version() != raised(base_version()):
        raise Failed(f"it is {site.version()}")
    until(lambda: site.active("dosong-probe"), 60, "the daemon of the new version")
    status = site.status()
    if int(status["spool"]["waiting"]) < 3 or int(status["next_seq"]) < begun + 3:
        raise Failed(f"the spool did not survive: {status}")
    made = int(status["next_seq"]) - 1
    site.collector.run("systemctl start mosquitto")
    until(lambda: site.acked() >= made, 120, "everything that waited, acknowledged")


def _kept(site: Site) -> None:
    until(lambda: not (site.probe.root / "var/lib/dosong-upgrade/pending").exists(), WITHIN_S + 60, "its proof")
    if site.version() != raised(base_version()):
        raise Failed(f"it went back to {site.version()} though it is well")


def _broken(site: Site) -> None:
    good, bad = raised(base_version()), raised(base_version(), 2)
    folder = site.work / "broken"
    _dpkg("-R", site.deb("probe", good), folder)
    control = folder / "DEBIAN/control"
    control.write_text(control.read_text().replace(f"Version: {good}", f"Version: {bad}"))
    for main in folder.glob("opt/dosong/probe/lib/python3*/site-packages/probe/__main__.py"):
        main.write_text("raise SystemExit('broken on purpose')\n")
        for compiled in (main.parent / "__pycache__").glob("__main__*"):
            compiled.unlink()
    deb = site.work / f"dosong-probe_{bad}_all.deb"
    _dpkg("--root-owner-group", "-Zgzip", "-z1", "-b", folder, deb)
    acked, settings = site.acked(), (site.probe.root / "etc/dosong/probe.toml").read_bytes()
    site.probe.run(f"{INSTALL} {_put(site, deb)}")
    if site.version() != bad or site.active("dosong-probe"):
        raise Failed("the broken version is not installed, or not broken")
    until(lambda: site.version() == good and site.active("dosong-probe"), WITHIN_S + 120, f"{good} again")
    until(lambda: site.acked() > acked, 90, "records of the version that came back")
    if (site.probe.root / "etc/dosong/probe.toml").read_bytes() != settings:
        raise Failed("the settings changed")
    said = site.probe.run("apt-cache policy dosong-probe", check=False)
    pin = (site.probe.root / "etc/apt/preferences.d/dosong-not-well").read_text()
    if f"Pin: version {bad}" not in pin:
        raise Failed(f"{bad} may come again: {pin} {said}")


def _dpkg(*words: str | Path) -> None:
    done = subprocess.run(["dpkg-deb", *map(str, words)], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise Failed(done.stderr)


def _by_hand(site: Site) -> None:
    acked = site.acked()
    site.probe.run(f"{INSTALL} ./{site.deb('probe').name}")
    if site.version() != base_version():
        raise Failed(f"it is {site.version()}")
    if str(WITHIN_S) not in (site.probe.root / "etc/default/dosong-probe").read_text():
        raise Failed("a setting of the operator's was lost on the way back")
    until(lambda: site.active("dosong-probe") and site.acked() > acked, 120, "the older version at work")


def _publish(site: Site, *words: str) -> None:
    """What an operator does beside the key, and then copies to the collector's machine."""
    repo = site.work / "repo"
    argv = [str(ROOT / "deb/repository.sh"), words[0], str(repo), *words[1:]]
    environment = {"PATH": "/usr/bin:/bin:/usr/sbin", "DOSONG_ARCHIVE_KEY": str(site.work / "key/secret.asc")}
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=environment)
    if done.returncode != 0:
        raise Failed(done.stdout + done.stderr)
    target = site.collector.root / "srv/dosong-apt"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(repo, target)
    site.collector.run("chmod -R a+rX /srv/dosong-apt")


def _repository(site: Site) -> None:
    made = subprocess.run([str(ROOT / "deb/repository.sh"), "key", str(site.work / "key")], check=False)
    if made.returncode != 0:
        raise Failed("no key")
    _publish(site, "publish", "100", str(site.deb("probe")))
    site.probe.put(site.work / "key/dosong-archive.gpg", "/usr/share/keyrings/dosong-archive.gpg")
    (site.probe.root / "etc/apt/sources.list.d/dosong.sources").write_text(
        f"Types: deb\nURIs: https://{site.PAGES}/apt\nSuites: stable\nComponents: main\n"
        "Signed-By: /usr/share/keyrings/dosong-archive.gpg\n"
    )
    (site.probe.root / "etc/apt/apt.conf.d/02direct").write_text('Acquire::https::Proxy "DIRECT";\n')
    site.probe.run("apt-get update 2>&1 | tee /dev/stderr | (! grep -E '^(E|W):')")
    site.probe.run(f"apt-cache policy dosong-probe | grep -F {site.PAGES}")


def _phases(site: Site) -> None:
    newer = raised(base_version())
    _publish(site, "publish", "0", str(site.deb("probe", newer)))
    site.probe.run("apt-get update && apt-get upgrade --yes")
    if site.version() != base_version():
        raise Failed("a probe took what no probe should take yet")
    _publish(site, "phase", "100")
    site.probe.run("apt-get update && DEBIAN_FRONTEND=noninteractive apt-get upgrade --yes")
    if site.version() != newer:
        raise Failed(f"it is {site.version()}, not {newer}")
    until(lambda: site.active("dosong-probe"), 60, "the daemon after the upgrade over the air")
    _kept(site)


def _forged(site: Site) -> None:
    index = site.collector.root / "srv/dosong-apt/dists/stable/InRelease"
    index.write_text(index.read_text().replace("Origin: dosong", "Origin: dosonk"))
    said = site.probe.run("apt-get update 2>&1 || true")
    if "BADSIG" not in said and "not signed" not in said and "invalid" not in said.lower():
        raise Failed(f"a changed index was taken: {said}")


def _removed(site: Site) -> None:
    site.probe.run("DEBIAN_FRONTEND=noninteractive apt-get purge --yes dosong-probe")
    site.probe.refuses("systemctl is-active dosong-probe")
    site.probe.run("ls /var/lib/dosong-probe/* > /dev/null && test -e /etc/dosong/record.key")
    for path in ("/usr/lib/systemd/system/dosong-probe.service", "/usr/bin/dosong-probe", "/usr/lib/dosong/upgrade"):
        site.probe.refuses(f"test -e {path}")
