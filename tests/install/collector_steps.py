"""The collector: docs/install-collector.md as printed, and what must hold of it afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

from tests.install.machine import Failed, as_user, until
from tests.install.site import Site, blocks

UNITS = "mosquitto influxdb nginx dosong-ca dosong-enrol dosong-collector dosong-clones dosong-broker-reload.path"
Steps = Iterator[tuple[str, Callable[[], object]]]


def steps(site: Site) -> Steps:
    """Every block of the page, then looks from outside."""
    yield (
        "the package lies beside the page",
        partial(site.collector.put, site.deb("collector"), "/root/" + site.deb("collector").name),
    )
    for head, text in blocks():
        words = f"install-collector.md, {head}: {len(text.splitlines())} lines as printed"
        yield words, partial(site.collector.run, text, environment="export DOSONG_ROOTS=/root/roots.pem")
    yield "no unit failed", partial(_none_failed, site)
    yield "each program runs as its own user, the issuing key is for one of them", partial(_users, site)
    yield "TLS 1.1 and another name are refused, TLS 1.2 is served", partial(_tls, site)
    yield "a list written anew by the authority reaches the broker by the path unit", partial(_reload, site)
    yield "a measurement point is installed and registered", partial(_point, site)


def _none_failed(site: Site) -> None:
    said = site.collector.run(
        "systemctl list-units --failed --no-legend 'dosong*' mosquitto.service nginx.service"
    ).strip()
    if said:
        raise Failed(said)


def _users(site: Site) -> None:
    run = site.collector.run
    for unit, user in (
        ("dosong-ca", "dosong-ca"),
        ("dosong-enrol", "dosong-enrol"),
        ("dosong-collector", "dosong-collector"),
    ):
        if run(f"ps -o user:20= -p $(systemctl show -p MainPID --value {unit})").strip() != user:
            raise Failed(f"{unit} does not run as {user}")
    for user in ("dosong-collector", "dosong-enrol", "www-data", "mosquitto"):
        run(as_user(user, "cat /srv/dosong/deployment.toml"))
        site.collector.refuses(as_user(user, "cat /srv/dosong/ca/issuing.key"))
    ask = "curl -sS --unix-socket /run/dosong-collector/web.sock http://x/healthz"
    run(as_user("www-data", ask))
    site.collector.refuses(as_user("nobody", ask))
    site.collector.refuses(as_user("dosong-enrol", "cat /srv/dosong/collector/log.key"))


def _tls(site: Site) -> None:
    run = site.collector.run
    run(f"curl -sSf -o /dev/null --tls-max 1.2 https://{site.PAGES}/login")
    site.collector.refuses(
        f"curl -sS -o /dev/null --ciphers DEFAULT@SECLEVEL=0 --tls-max 1.1 https://{site.PAGES}/login"
    )
    site.collector.refuses(f"curl -sSk -o /dev/null https://{site.collector.address}/login")
    # Our own root, which no browser knows.
    site.collector.refuses(f"curl -sS -o /dev/null https://{site.PAGES}:8443/enrol/v1/claim")


def _reload(site: Site) -> None:
    """`revoke` changes the access list; it warns of one line each time it reads the list."""
    run = site.collector.run
    run("dosong-provision claim --dir /srv/dosong p-nobody --site nvh-dong-dong")
    begun = run("date +%s").strip()
    run("install -o dosong-ca -g mosquitto -m 0640 /dev/null /srv/dosong/broker/acl")
    until(lambda: "pattern write" in run("cat /srv/dosong/broker/acl"), 60, "the access list, written anew")
    asked = f"journalctl -u mosquitto --since=@{begun} -o cat"
    until(lambda: "does not contain" in run(asked), 30, "the broker, told by the path unit")


def _point(site: Site) -> None:
    run, name = site.collector.run, site.deb("point").name
    site.collector.put(site.deb("point"), f"/root/{name}")
    run(f"apt-get install --yes --no-install-recommends ./{name}")
    run("dosong-provision add-point --dir /srv/dosong here && dosong-provision own --dir /srv/dosong")
    run("install -o dosong-point -g dosong-point -m 0600 /srv/dosong/points/here/point.key /etc/dosong/point.key")
    run("install -m 0644 /srv/dosong/points/here/point.toml /etc/dosong/point.toml && systemctl restart dosong-point")
    until(lambda: site.probe.good(f"timeout 2 bash -c '</dev/tcp/{site.collector.address}/7480'"), 30, "the point")
