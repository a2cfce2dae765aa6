"""`dosong-provision claim, arm, confirm, revoke, alarms` and `ca ...`: identities on the command line."""

from __future__ import annotations

import getpass
import json
import logging
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from collector.registry import Registry
from collector.registry_identity import CertificateEntry, Identities
from provisioning import authority, deployment, identity, replacement, reviews
from provisioning.ca_service import Service
from provisioning.identity import Desk
from provisioning.issuer import Issuer
from provisioning.upkeep import Upkeep
from provisioning.wishes import Clerk
from wire.errors import Refused

CA_EXAMPLES = """\b
Examples:
  dosong-provision ca init --dir /srv/dosong --root-key /media/usb/root.key
  dosong-provision ca serve --dir /srv/dosong
  dosong-provision ca issue --dir /srv/dosong --host web.sokhcn.example --out /srv/dosong/web
  dosong-provision ca renew --dir /srv/dosong broker
  dosong-provision ca renew --dir /srv/dosong issuing --root-key /media/usb/root.key
  dosong-provision ca list --dir /srv/dosong"""

dir_option = click.option(
    "--dir", "root", type=click.Path(path_type=Path, file_okay=False), required=True, help="The deployment's folder."
)


def _login() -> str:
    """Who acts, if nobody says: this account's name, as a code."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = ""
    return re.sub(r"[^A-Za-z0-9_-]", "-", name)[:32] or "office"


actor_option = click.option("--actor", default=_login, help="Who does this, for the log (this account's name).")


@contextmanager
def desk_at(root: Path, actor: str) -> Iterator[Desk]:
    """Open a deployment's registry for one visit to the office."""
    where = deployment.load(root)
    if re.fullmatch(r"[A-Za-z0-9_-]{1,32}", actor) is None:
        raise Refused("schema", f"--actor {actor!r}: letters, digits, _ and - only, at most 32 of them")
    registry, identities = Registry(where.registry), Identities(where.registry)
    try:
        yield Desk(where, registry, identities, actor, datetime.now(UTC))
    finally:
        registry.close()
        identities.close()


def refresh_broker(desk: Desk) -> bool:
    """Bring the broker's lists up to date at once, if this account may; `ca serve` does it within seconds anyway."""
    try:
        ca = authority.load(desk.where.ca)
        return Upkeep(desk.where.broker, ca, desk.identities, lambda: desk.now).turn()
    except OSError:
        return False


@click.command()
@dir_option
@click.argument("probe")
@click.option("--site", required=True, help="Code of the site it goes to (must be imported).")
@click.option("--simulated", is_flag=True, help="The simulator plays this probe; every record will say so.")
@click.option("--arm/--no-arm", "is_armed", default=False, help="Arm it at once, for 72 hours.")
@actor_option
def claim(root: Path, probe: str, site: str, simulated: bool, is_armed: bool, actor: str) -> None:
    """Make a probe's claim file: put it on its card, or run dosong-probe enrol with it on the bench."""
    with desk_at(root, actor) as desk:
        path = identity.make_claim(desk, probe, site, simulated=simulated)
        if is_armed:
            identity.arm(desk, probe)
    click.echo(f"{path}")


@click.command()
@dir_option
@click.argument("probe")
@actor_option
def arm(root: Path, probe: str, actor: str) -> None:
    """Let a probe's claim be used, for 72 hours from now."""
    with desk_at(root, actor) as desk:
        found = identity.arm(desk, probe)
    until = datetime.fromtimestamp((found.armed_until_ms or 0) / 1000, UTC)
    click.echo(f"{probe} may enrol until {until:%Y-%m-%d %H:%M} UTC")


@click.command()
@dir_option
@click.argument("probe")
@click.argument("fingerprint")
@actor_option
def confirm(root: Path, probe: str, fingerprint: str, actor: str) -> None:
    """Take a probe out of quarantine: FINGERPRINT is the six digits that the technician reads on the probe."""
    with desk_at(root, actor) as desk:
        identity.confirm(desk, probe, fingerprint)
    click.echo(f"{probe} is confirmed; its samples count from now on")


@click.command()
@dir_option
@click.argument("probe")
@click.option("--reason", default="revoked by the office", show_default=True, help="Why, for the log.")
@actor_option
def revoke(root: Path, probe: str, reason: str, actor: str) -> None:
    """Accept nothing more from a probe: effective for whatever is received from now on."""
    with desk_at(root, actor) as desk:
        identity.revoke(desk, probe, reason)
        refresh_broker(desk)
    click.echo(f"{probe} is revoked; its history stays valid")


@click.command("replace")
@dir_option
@click.argument("old")
@click.argument("new")
@click.option("--cause", required=True, help="Why, for the log and the gap: stolen, broken, lightning ...")
@click.option("--new-sim", is_flag=True, help="Another SIM goes into the new probe: its data begins anew.")
@actor_option
def replace_(root: Path, old: str, new: str, cause: str, new_sim: bool, actor: str) -> None:
    """Put probe NEW in the place of OLD: revoke, new claim (armed), plan, used data, label, and whom to call."""
    with desk_at(root, actor) as desk:
        done = replacement.take_over(desk, old, new, cause, keeps_sim=not new_sim)
        refresh_broker(desk)
    click.echo(f"{old} is revoked ({cause}); its history stays valid, its site and quota go to {new}")
    if new_sim:
        click.echo("Have the old SIM suspended now; its number stands on the SIM's card:")
        for network, numbers in done.hotlines.items():
            click.echo(f"  {network}: {' or '.join(numbers)}")
    for modem, one in done.carried.items():
        click.echo(f"used data carried over, {modem}: {one.used_bytes / 1e6:.1f} MB of the period")
    click.echo("plan carried over" if done.has_plan else f"{old} had no signed plan; make one after enrolment")
    click.echo(f"claim (armed, for the card): {done.claim}")
    click.echo(f"label: {done.label}")


@click.command()
@dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 10_000))
def alarms(root: Path, as_json: bool, limit: int) -> None:
    """Refused attempts at an identity and signs of a copied card, newest first. Exit 1 if there are any."""
    with desk_at(root, "office") as desk:
        found = desk.identities.alarms(limit)
    for one in found:
        at = datetime.fromtimestamp(one.last_ms / 1000, UTC)
        text = f"{at:%Y-%m-%d %H:%M:%S} {one.kind} {one.probe or '-'} from {one.address or '-'} x{one.times}"
        # Address and detail may come from whoever knocked: quoted, so that no control character reaches a terminal.
        click.echo(json.dumps(asdict(one)) if as_json else f"{text} {json.dumps(one.detail)}")
    if found:
        sys.exit(1)


@click.group(epilog=CA_EXAMPLES)
def ca() -> None:
    """The certificate authority: root (offline), issuing authority, servers."""


@ca.command("init")
@dir_option
@click.option("--root-key", type=click.Path(path_type=Path, dir_okay=False), help="Where to write the root's key.")
def ca_init(root: Path, root_key: Path | None) -> None:
    """Make root, issuing authority and the servers' certificates for a deployment that has none."""
    where, now = deployment.load(root), datetime.now(UTC)
    made = authority.create(where.ca, where.origin, root_key, now)
    with desk_at(root, _login()) as desk:
        for name in ("broker", "enrol"):
            _keep(desk, authority.put_server(made, root / name, where.server_hosts, now))
        refresh_broker(desk)
    click.echo(f"made; keep {root_key or where.ca / 'root.key'} in a safe, not on this machine")


@ca.command("issue")
@dir_option
@click.option("--host", "hosts", multiple=True, required=True, help="Name or address; may be given several times.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder for the pair.")
@actor_option
def ca_issue(root: Path, hosts: tuple[str, ...], out: Path, actor: str) -> None:
    """Make key and certificate of another server that probes speak to, such as a measurement point."""
    with desk_at(root, actor) as desk:
        entry = authority.put_server(authority.load(desk.where.ca), out, hosts, desk.now)
        _keep(desk, entry)
    click.echo(f"{out / 'server.key'} and {out / 'server.crt'}, good until {_day(entry.not_after_ms)}")


@ca.command("renew")
@dir_option
@click.argument("part", type=click.Choice(["broker", "enrol", "issuing", "crl"]))
@click.option("--root-key", type=click.Path(path_type=Path, dir_okay=False), help="The root's key, for issuing.")
@actor_option
def ca_renew(root: Path, part: str, root_key: Path | None, actor: str) -> None:
    """Make a server's certificate, the issuing authority, or the revocation list anew."""
    with desk_at(root, actor) as desk:
        where = desk.where
        if part == "issuing":
            held = authority.renew_issuing(where.ca, where.origin, root_key or where.ca / "root.key", desk.now)
            _keep(desk, authority.entry_of(held.above, "issuing", desk.now))
        elif part != "crl":
            made = authority.put_server(authority.load(where.ca), root / part, where.server_hosts, desk.now)
            _keep(desk, made)
        else:
            where.broker.crl.unlink(missing_ok=True)
        refresh_broker(desk)
    click.echo(f"{part} renewed; " + ("restart the broker" if part in {"broker", "issuing"} else "it is in use"))


@ca.command("list")
@dir_option
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def ca_list(root: Path, as_json: bool) -> None:
    """List the certificates that were issued, newest first."""
    with desk_at(root, "office") as desk:
        found = desk.identities.certificates()
    for one in found:
        row = asdict(one)
        row.pop("pem")
        state = "revoked" if one.revoked_ms is not None else f"until {_day(one.not_after_ms)}"
        text = f"{one.serial[:16]:16} {one.purpose:8} {one.subject:40} {state}"
        click.echo(json.dumps(row) if as_json else text)


@ca.command("serve")
@dir_option
@click.option("--socket", "path", type=click.Path(path_type=Path), help="Where to listen (DIR/ca/ca.sock).")
def ca_serve(root: Path, path: Path | None) -> None:
    """Answer the enrolment door, and keep the broker's lists fresh, until SIGTERM."""
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(levelname)s %(name)s: %(message)s")
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    where = deployment.load(root)
    made = authority.load(where.ca)
    registry, identities = Registry(where.registry), Identities(where.registry)
    issuer = Issuer(where.origin, made, identities, registry, lambda: int(datetime.now(UTC).timestamp() * 1000))
    upkeep = Upkeep(where.broker, made, identities, lambda: datetime.now(UTC))
    clerk = Clerk(where, registry, identities, lambda: datetime.now(UTC))
    try:
        Service(path or where.ca / "ca.sock", issuer, lambda: _kept(upkeep), stop, clerk.turn).run()
    finally:
        registry.close()
        identities.close()


@click.command("sign-reviews")
@dir_option
@actor_option
def sign_reviews(root: Path, actor: str) -> None:
    """Sign what two people decided on the pages about a sample, once each, for the log. Run it daily, or by hand."""
    with desk_at(root, actor) as desk:
        done = reviews.sign_due(desk)
    for one in done:
        click.echo(f"case {one.case}: {one.probe} {one.epoch} {one.seq} {one.verdict}")
    if not done:
        click.echo("nothing to sign")


@click.command("log-key")
@dir_option
def log_key(root: Path) -> None:
    """Print the line that gives a probe the log's public key: for the probe.toml of one that was enrolled without it.

    \b
    Example, the line goes below config_vkey:
      dosong-provision log-key --dir /srv/dosong
    """
    line = deployment.load(root).log_line()
    if not line:
        raise Refused("unknown_key", f"{root}/collector/log.key is not here; ask on the machine that seals the log")
    click.echo(line, nl=False)


def _kept(upkeep: Upkeep) -> None:
    upkeep.turn()


def _keep(desk: Desk, entry: CertificateEntry) -> None:
    with desk.identities.transaction():
        desk.identities.add_certificate(entry)


def _day(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d}"


COMMANDS: tuple[Any, ...] = (claim, arm, confirm, revoke, replace_, alarms, ca, sign_reviews, log_key)
