"""A NATS cluster on disk: one folder a node, to be copied to its machine; the list of users the same in each.

<dir>/nats/cluster.toml  the nodes; secret, and where things lie on their machines
<dir>/nats/route-ca/     the authority of routes between nodes, which signs nothing else
<dir>/nats/<node>/       nats.conf, users.conf, ca.crt, server.*, route.*: all that a node needs
<dir>/nats/collector/    tls.key, tls.crt, ca.crt: what `receive` shows
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import tomllib
from collections.abc import Iterable
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

from collector.registry_identity import CertificateEntry
from provisioning import authority, nats, pki
from provisioning.authority import Authority
from provisioning.broker import put
from provisioning.nats import Cluster, Node
from wire.errors import Misconfigured


def write(root: Path, cluster: Cluster, ca: Authority, probes: Iterable[str], now: datetime) -> list[CertificateEntry]:
    """Write every node's folder and the collector's certificate anew; return the certificates for the registry.

    The authority of the routes stays once it is made, and so does the secret: nodes may be renewed one by one.
    Raises Misconfigured for a cluster that could not stand.
    """
    _check(cluster)
    root.mkdir(parents=True, exist_ok=True)
    root.chmod(0o700)
    secret = _secret(root)
    routes = _route_authority(root / "route-ca", now)
    users = nats.users_text(probes).encode()
    entries = []
    for node in cluster.nodes:
        folder = root / node.name
        names = tuple(dict.fromkeys((*(one.host for one in cluster.nodes), "localhost")))
        entries.append(authority.put_server(ca, folder, names, now))
        _put_route(routes, folder, node.host, now)
        put(folder / "ca.crt", ca.trusted)
        put(folder / nats.USERS, users)
        put(folder / "nats.conf", nats.node_text(cluster, node, secret).encode())
    entries.append(_collector(root / "collector", ca, now))
    put(root / "cluster.toml", _toml(cluster, secret).encode())
    return entries


def load(root: Path) -> Cluster:
    """Read a cluster back. Raises Misconfigured if there is none."""
    try:
        table = tomllib.loads((root / "cluster.toml").read_text())
        nodes = tuple(Node(**one) for one in table["node"])
        return Cluster(nodes, Path(table["folder"]), Path(table["store"]))
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise Misconfigured(f"{root} holds no cluster; run: dosong-provision broker nats --node NAME=HOST") from error


def refresh(root: Path, probes: Iterable[str], trusted: bytes) -> bool:
    """Write the lists that changed and tell nodes that run on this machine; say whether any did. No cluster: False."""
    if not (root / "cluster.toml").exists():
        return False
    users, is_new = nats.users_text(probes).encode(), False
    for node in load(root).nodes:
        changed = [_renew(root / node.name / nats.USERS, users), _renew(root / node.name / "ca.crt", trusted)]
        if any(changed):
            is_new = True
            reload(root / node.name)
    return is_new


def reload(folder: Path) -> bool:
    """Have a node of this machine read its list again (SIGHUP); False if none runs here from this folder."""
    with contextlib.suppress(OSError, ValueError):
        pid = int((folder / "nats.pid").read_text())
        if Path(f"/proc/{pid}/comm").read_text().strip() == "nats-server":
            os.kill(pid, signal.SIGHUP)
            return True
    return False


def broker_table(root: Path) -> str:
    """The `[broker]` table of collector.toml for this cluster. Raises Misconfigured."""
    first, *others = [f"{_bracketed(one.host)}:{one.mqtt_port}" for one in load(root).nodes]
    host, _, port = first.rpartition(":")
    here = root.resolve() / "collector"
    return (
        f'[broker]\nhost = "{host.strip("[]")}"\nport = {port}\nothers = {_list(others)}\nrecords_qos = 0\n'
        f'ca_file = "{here / "ca.crt"}"\ncert_file = "{here / "tls.crt"}"\ntls_key_file = "{here / "tls.key"}"\n'
    )


def probe_lines(root: Path) -> str:
    """What the `[broker]` table of a probe says of this cluster. Raises Misconfigured."""
    nodes = load(root).nodes
    others = [f"{_bracketed(one.host)}:{one.mqtt_port}" for one in nodes[1:]]
    return f'host = "{nodes[0].host}"\nport = {nodes[0].mqtt_port}\nothers = {_list(others)}\n'


def _check(cluster: Cluster) -> None:
    names = [one.name for one in cluster.nodes]
    if len(set(names)) != len(names) or len(names) not in {1, 3, 5}:
        raise Misconfigured(f"--node: {len(names)} nodes ({', '.join(names)}); give 3 or 5, each with its own name")
    for name in names:
        if not name.replace("-", "").isalnum() or name in {"collector", "route-ca"}:
            raise Misconfigured(f"--node {name}: letters, digits and - only, such as mq1; choose such a name")


def _secret(root: Path) -> str:
    with contextlib.suppress(OSError, KeyError, tomllib.TOMLDecodeError):
        return str(tomllib.loads((root / "cluster.toml").read_text())["secret"])
    return secrets.token_hex(24)


def _route_authority(folder: Path, now: datetime) -> pki.Issued:
    folder.mkdir(exist_ok=True)
    key, certificate = folder / "ca.key", folder / "ca.crt"
    if not key.exists():
        pki.save(pki.make_root("routes", now), key, certificate)
    return pki.load(key, certificate)


def _put_route(routes: pki.Issued, folder: Path, host: str, now: datetime) -> None:
    for name in ("route.key", "route.crt"):
        (folder / name).unlink(missing_ok=True)
    pki.save(pki.make_peer(routes, host, now), folder / "route.key", folder / "route.crt")
    put(folder / "route-ca.crt", pki.pem_of(routes.certificate))


def _collector(folder: Path, ca: Authority, now: datetime) -> CertificateEntry:
    folder.mkdir(exist_ok=True)
    made = pki.make_client(ca.issuing, nats.COLLECTOR, now)
    for name in ("tls.key", "tls.crt"):
        (folder / name).unlink(missing_ok=True)
    pki.save(made, folder / "tls.key", folder / "tls.crt", ca.issuing.certificate)
    put(folder / "ca.crt", ca.root)
    return authority.entry_of((folder / "tls.crt").read_bytes(), "server", now)


def _renew(path: Path, content: bytes) -> bool:
    with contextlib.suppress(OSError):
        if path.read_bytes() == content:
            return False
    put(path, content)
    return True


def _toml(cluster: Cluster, secret: str) -> str:
    head = f'folder = "{cluster.folder}"\nstore = "{cluster.store}"\nsecret = "{secret}"\n'
    return head + "".join(_node(one) for one in cluster.nodes)


def _node(node: Node) -> str:
    pairs = [(key, f'"{value}"' if isinstance(value, str) else value) for key, value in asdict(node).items()]
    return "\n[[node]]\n" + "".join(f"{key} = {value}\n" for key, value in pairs)


def _list(texts: list[str]) -> str:
    return "[" + ", ".join(f'"{one}"' for one in texts) + "]"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
