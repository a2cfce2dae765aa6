"""`dosong-provision broker check, sync, watch` and `proxy`: what stands between the network and us."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from provisioning import authority, broker_check, deployment, nats_cluster, proxy
from provisioning.clone_watch import watch
from provisioning.identity_commands import desk_at, dir_option
from provisioning.nats import Cluster, Node
from provisioning.upkeep import Upkeep
from wire.errors import EXIT_FAILED, Misconfigured

BROKER_EXAMPLES = """\b
Examples:
  dosong-provision broker check --dir /srv/dosong && mosquitto -c /srv/dosong/broker/mosquitto.conf
  dosong-provision broker sync --dir /srv/dosong
  journalctl -fu mosquitto -o cat | dosong-provision broker watch --dir /srv/dosong"""
NATS_EXAMPLES = """\b
Examples:
  dosong-provision broker nats --dir /srv/dosong --folder /etc/dosong-nats \\
      --node mq1=mq1.sokhcn.example --node mq2=mq2.sokhcn.example --node mq3=mq3.sokhcn.example
  rsync -a /srv/dosong/nats/mq1/ root@mq1.sokhcn.example:/etc/dosong-nats/mq1/   # each node gets its own folder
  nats-server -c /etc/dosong-nats/mq1/nats.conf
  dosong-provision broker sync --dir /srv/dosong      # later: lists anew; copy them and send the server SIGHUP"""
PROXY_EXAMPLES = """\b
Examples:
  dosong-provision proxy --dir /srv/dosong --name dosong.sokhcn.example --certificate /etc/dosong/web.pem \\
      --key /etc/dosong/web.key > /etc/nginx/conf.d/dosong.conf
  certbot certonly --webroot -w /var/www/acme -d dosong.sokhcn.example   # then the same with its two files"""
_path = click.Path(path_type=Path, dir_okay=False)


@click.group(epilog=BROKER_EXAMPLES)
def broker() -> None:
    """The broker: is it safe to start, are its lists fresh, do two speak as one."""


@broker.command("check")
@dir_option
def broker_check_(root: Path) -> None:
    """Say what is wrong with the broker's configuration and files. Exit 1 if it must not start."""
    faults = broker_check.check(deployment.load(root).broker.config, datetime.now(UTC))
    for fault in faults:
        click.echo(f"{'error' if fault.is_fatal else 'warning'}: {fault.text}", err=True)
    if any(fault.is_fatal for fault in faults):
        sys.exit(EXIT_FAILED)
    click.echo("the broker may start")


@broker.command("sync")
@dir_option
def broker_sync(root: Path) -> None:
    """Bring access list and revocation list up to date now; `ca serve` does it by itself within seconds."""
    with desk_at(root, "office") as desk:
        ca = authority.load(desk.where.ca)
        changed = Upkeep(desk.where.broker, ca, desk.identities, lambda: desk.now).turn()
    click.echo("written, the broker was told" if changed else "nothing changed")


@broker.command("watch")
@dir_option
@click.option("--log", type=_path, help="The broker's log file (standard input).")
def broker_watch(root: Path, log: Path | None) -> None:
    """Read the broker's log as it grows, and raise an alarm when two machines speak as one probe."""
    with desk_at(root, "office") as desk:
        for sign in watch(log):
            desk.identities.raise_alarm(
                "cloned", sign.probe, sign.address, sign.detail, int(datetime.now(UTC).timestamp() * 1000)
            )
            click.echo(f"cloned? {sign.probe}: {sign.detail}")


@broker.command("nats", epilog=NATS_EXAMPLES)
@dir_option
@click.option("--node", "nodes", multiple=True, required=True, help="NAME=HOST[:MQTT[:ROUTE[:CLIENT[:MONITOR]]]].")
@click.option("--folder", type=click.Path(path_type=Path), help="Where NAME/ lies on its machine (as here).")
@click.option("--store", type=click.Path(path_type=Path), default=Path("/var/lib/dosong-nats"), show_default=True)
@click.option("--bind", default="0.0.0.0", show_default=True, help="Address that every node listens on.")
def broker_nats(root: Path, nodes: tuple[str, ...], folder: Path | None, store: Path, bind: str) -> None:
    """Write a NATS cluster: a folder for each node, the collector's certificate, what settings must say."""
    where = root.resolve() / "nats"
    cluster = Cluster(tuple(_node(one, bind) for one in nodes), folder or where, store)
    with desk_at(root, "office") as desk:
        ca = authority.load(desk.where.ca)
        entries = nats_cluster.write(where, cluster, ca, desk.identities.live_probes(), desk.now)
        with desk.identities.transaction():
            for entry in entries:
                desk.identities.add_certificate(entry)
    click.echo(f"# collector.toml\n{nats_cluster.broker_table(where)}\n# probe.toml, in [broker]")
    click.echo(nats_cluster.probe_lines(where), nl=False)


def _node(text: str, bind: str) -> Node:
    name, _, place = text.partition("=")
    host, *ports = place.split(":") if "[" not in place else [place.strip("[]")]
    names = ("mqtt_port", "route_port", "client_port", "monitor_port")
    if len(ports) > len(names):
        raise Misconfigured(f"--node {text}: at most {len(names)} ports; an IPv6 address stands in brackets")
    numbers = dict(zip(names, map(_port, ports), strict=False))
    if not name or not host:
        raise Misconfigured(f"--node {text}: give NAME=HOST, such as mq1=mq1.sokhcn.example")
    return Node(name, host, **numbers, bind=bind)


def _port(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 65_535:
        raise Misconfigured(f"--node: {text!r} is no port; give 1 to 65535")
    return int(text)


@click.command("proxy", epilog=PROXY_EXAMPLES)
@dir_option
@click.option("--name", required=True, help="Public name of the pages.")
@click.option("--certificate", type=_path, required=True, help="Its certificate with chain, PEM: supplied or by ACME.")
@click.option("--key", type=_path, required=True, help="The key of that certificate.")
@click.option("--web-socket", type=_path, default=Path("/run/dosong-collector/web.sock"), show_default=True)
@click.option("--enrol-socket", type=_path, default=Path("/run/dosong-enrol/enrol.sock"), show_default=True)
@click.option("--acme", type=click.Path(path_type=Path), default=Path("/var/www/acme"), show_default=True)
@click.option("--http", default="80", show_default=True, help="Port, or ADDRESS:PORT.")
@click.option("--https", default="443", show_default=True, help="Port, or ADDRESS:PORT.")
@click.option("--enrol", default="8443", show_default=True, help="Port, or ADDRESS:PORT.")
def proxy_(root: Path, name: str, certificate: Path, key: Path, **options: Any) -> None:
    """Print nginx's configuration for pages, API, public log and enrolment."""
    where = deployment.load(root)
    folder = root.resolve() / "enrol"
    made = proxy.Proxy(
        name=name,
        certificate=certificate,
        key=key,
        enrol_name=where.server_hosts[1] if len(where.server_hosts) > 2 else where.server_hosts[0],
        enrol_certificate=folder / "server.crt",
        enrol_key=folder / "server.key",
        **options,
    )
    click.echo(proxy.text(made), nl=False)


COMMANDS: tuple[Any, ...] = (broker, proxy_)
