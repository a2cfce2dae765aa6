"""`dosong-provision`: make a deployment, fill its registry, give probes their identity."""

from __future__ import annotations

import json
import re
import shutil
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Never

import click
import msgspec
from argon2 import PasswordHasher

from collector.registry import Registry
from collector.registry_rows import Report
from provisioning import (
    broker_commands,
    card_command,
    config,
    deployment,
    host_commands,
    identity,
    label_commands,
    plan_command,
    registry_commands,
    visit,
)
from provisioning.deployment import Deployment, Plan
from provisioning.identity_commands import COMMANDS, desk_at
from wire.errors import EXIT_FAILED, EXIT_MISCONFIGURED, Misconfigured, Refused, Unavailable
from wire.visit import shown

EXAMPLES = """\b
Examples:
  dosong-provision init --dir /srv/dosong --origin dosong.sokhcn.example --host mqtt.sokhcn.example
  dosong-provision units load --dir /srv/dosong
  dosong-provision template --xlsx registry.xlsx
  dosong-provision import --dir /srv/dosong registry.xlsx --dry-run
  dosong-provision claim --dir /srv/dosong p-dong-dong --site nvh-dong-dong
  dosong-provision arm --dir /srv/dosong p-dong-dong
  dosong-provision card --claim /srv/dosong/claims/p-dong-dong.toml /media/office/bootfs
  dosong-provision confirm --dir /srv/dosong p-dong-dong 123456
  dosong-provision add-point --dir /srv/dosong hn-1
  dosong-provision config --dir /srv/dosong p-dong-dong --limit-gb 10 --billing-day 17
  dosong-provision label --dir /srv/dosong --web https://dosong.sokhcn.example --out labels.pdf p-dong-dong
  dosong-provision visit-code --dir /srv/dosong p-dong-dong
  dosong-provision revoke --dir /srv/dosong p-dong-dong
  dosong-provision replace --dir /srv/dosong p-dong-dong p-dong-dong-2 --cause stolen --new-sim

\b
Exit codes: 0 ok, 1 refused, 2 usage, 78 misconfigured."""
CONFIG_EXAMPLES = """\b
Examples:
  dosong-provision config --dir /srv/dosong p-dong-dong --limit-gb 10 --billing-day 17
  dosong-provision config --dir /srv/dosong p-dong-dong --quota 300 --success 90 --stations 2
  dosong-provision config --dir /srv/dosong p-dong-dong --modem m2 --slots 100 --plmn 45204
  dosong-provision config --dir /srv/dosong p-dong-dong --action modem_restart"""

_dir = click.option(
    "--dir", "root", type=click.Path(path_type=Path, file_okay=False), required=True, help="The deployment's folder."
)


@click.group(epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Make a deployment of dosong, fill its registry, give probes their identity."""


for _command in (
    *COMMANDS,
    *broker_commands.COMMANDS,
    *host_commands.COMMANDS,
    *registry_commands.COMMANDS,
    *card_command.COMMANDS,
    *label_commands.COMMANDS,
    plan_command.plan,
):
    cli.add_command(_command)


def _plan_options(command: Callable[..., None]) -> Callable[..., None]:
    """The options that `init` and `configure` share."""
    options = (
        click.option("--origin", required=True, help="Name of this deployment in every signature; never changes."),
        click.option("--host", required=True, help="Name or address at which probes find the broker."),
        click.option(
            "--port", type=click.IntRange(1, 65535), default=8883, show_default=True, help="TLS port of the broker."
        ),
        click.option("--bind", default="0.0.0.0", show_default=True, help="Address the broker listens on."),
        click.option("--web-bind", default="127.0.0.1:8080", show_default=True, help="Address of the pages."),
        click.option("--influx-url", default="http://127.0.0.1:8086", show_default=True, help="InfluxDB."),
        click.option("--influx-database", default="dosong", show_default=True, help="Database or bucket."),
        click.option("--influx-user", help="Login at InfluxDB, if it asks for one."),
        click.option("--influx-password-file", help="File with that login's password."),
        click.option("--broker-user", default="mosquitto", show_default=True, help="User the broker runs as."),
        click.option("--socket", type=click.Path(path_type=Path), help="The collector's socket (at most 100 letters)."),
        click.option("--enrol-bind", help="Where probes enrol: HOST:PORT, or unix:PATH behind nginx (0.0.0.0:8443)."),
        click.option("--enrol-url", help="How probes find that (https://HOST:8443)."),
        click.option("--ca-socket", type=click.Path(path_type=Path), help="Socket of ca serve (DIR/ca/ca.sock)."),
        click.option("--demo", is_flag=True, help="Mark the deployment as a demonstration."),
    )
    for option in reversed(options):
        command = option(command)
    return command


@cli.command()
@_dir
@_plan_options
@click.option(
    "--root-key", type=click.Path(path_type=Path, dir_okay=False), help="Where the root's key goes (a stick)."
)
def init(root: Path, **options: Any) -> None:
    """Make keys, certificates and settings of a new deployment."""
    made = deployment.init(root, Plan(**options), datetime.now(UTC))
    click.echo(f"made {made.origin} in {root}")
    click.echo(f"next: dosong-provision import --dir {root} units.toml")


@cli.command()
@_dir
@_plan_options
def configure(root: Path, **options: Any) -> None:
    """Write the settings of broker and collector anew; keys and state stay as they are."""
    deployment.configure(root, Plan(**options))
    click.echo(f"settings in {root} are written anew; restart broker and collector")


@cli.command("add-probe")
@_dir
@click.argument("probe")
@click.option("--site", required=True, help="Code of the site it goes to (must be imported).")
@click.option("--simulated", is_flag=True, help="The simulator plays this probe; every record will say so.")
def add_probe(root: Path, probe: str, site: str, simulated: bool) -> None:
    """Make one probe's keys here in the office, and enter it in the registry: for probes that the simulator plays.

    A probe in the field makes its own keys: see claim.
    """
    where = deployment.load(root)
    with closing(_registry(where)) as registry:
        if registry.site(site) is None:
            raise Refused(
                "unknown_site", f"site {site} is not in the registry; import it first: dosong-provision import"
            )
        directory = deployment.add_probe(where, probe, datetime.now(UTC))
        entry = {"id": probe, "vkey": deployment.probe_vkey(where, probe), "site": site, "simulated": simulated}
        try:
            registry.load({"probes": [entry]})
            with desk_at(root, "office") as desk:
                identity.keep_made_here(desk, probe)
        except BaseException:
            shutil.rmtree(directory)  # nobody has these keys yet; half a probe would block its own name
            raise
    click.echo(f"{directory}")


@cli.command("add-point")
@_dir
@click.argument("point")
def add_point(root: Path, point: str) -> None:
    """Make one measurement point's key and settings, and enter it in the registry, so that its receipts count."""
    where = deployment.load(root)
    with closing(_registry(where)) as registry:
        directory = deployment.add_point(where, point)
        try:
            registry.load({"points": [{"code": point, "vkey": deployment.point_vkey(where, point)}]})
        except BaseException:
            shutil.rmtree(directory)  # nobody has this key yet; half a point would block its own name
            raise
    click.echo(f"{directory}")


@cli.command("visit-code")
@_dir
@click.argument("probe")
def visit_code(root: Path, probe: str) -> None:
    """Give out the next code that opens a station's page, once. Read it to the technician."""
    number, code = visit.next_code(deployment.load(root).probe(probe))
    click.echo(f"{shown(code)}  (number {number} of {probe}, works once)")


@cli.command("config", epilog=CONFIG_EXAMPLES)
@_dir
@click.argument("probe")
@click.option("--modem", "modems", multiple=True, type=click.Choice(["m1", "m2", "m3", "m4"]), help="Whose plan (m1).")
@click.option("--slots", type=click.IntRange(1, 240_000), help="Slots a month; else by the commune's quota.")
@click.option("--quota", type=click.IntRange(1, 10_000), help="Samples a month of the commune (its registry entry).")
@click.option("--success", "success_percent", type=click.FloatRange(1, 100), help="Percent of tests that succeed (95).")
@click.option("--stations", type=click.IntRange(1, 1000), help="Modems that share the quota (the commune's probes).")
@click.option("--referral", help="Code of the hamlet (its newest one in the registry).")
@click.option("--plmn", help="Network of the SIM, such as 45204.")
@click.option("--limit-gb", type=click.FloatRange(0, 10_000), help="Data of the SIM in a billing period, 10^9 bytes.")
@click.option("--test-limit-mb", type=click.FloatRange(0.1, 10_000), help="Most that one test may use, 10^6 bytes.")
@click.option("--billing-day", type=click.IntRange(1, 28), help="Day of the month on which the SIM's period begins.")
@click.option("--engine", type=click.Choice(["dosong", "speedtest-cli"]))
@click.option("--server", help="Measurement point, host:port.")
@click.option(
    "--action", type=click.Choice(["doctor", "test", "modem_restart", "open_door"]), help="Do this once, now."
)
@click.option("--vnd-per-gb", type=click.IntRange(0), help="Price of data, to show what the limit costs.")
@click.option("--json", "as_json", is_flag=True, help="Print what was signed as JSON.")
def config_(root: Path, probe: str, vnd_per_gb: int | None, as_json: bool, **options: Any) -> None:
    """Sign a probe's plan for this month and the next three, and have the collector send it to the probe.

    What is not given stays as it was in its last configuration.
    """
    for name, unit, field in (("limit_gb", 1e9, "limit_bytes"), ("test_limit_mb", 1e6, "test_limit_bytes")):
        value = options.pop(name)
        options[field] = None if value is None else round(value * unit)
    where = deployment.load(root)
    with closing(_registry(where)) as registry:
        signed = config.make(where, registry, probe, config.from_options(options), datetime.now(UTC))
    click.echo(msgspec.json.encode(signed).decode() if as_json else "\n".join(config.text(signed, vnd_per_gb)))


@cli.command("seed")
@_dir
@click.argument("month")
def seed_(root: Path, month: str) -> None:
    """Print the seed of a month that is over (such as 2026_10), to be published: anyone may then check its instants."""
    if re.fullmatch(r"20[0-9]{2}_(0[1-9]|1[0-2])", month) is None:
        raise Refused("bad_month", f"{month!r} is no month; write it as 2026_10")
    click.echo(config.published_seed(deployment.load(root), month, datetime.now(UTC)))


@cli.command("add-user")
@_dir
@click.argument("name")
@click.option("--role", type=click.Choice(["technician", "operator", "official", "auditor", "company"]), required=True)
@click.option("--scope", default="", help="Unit code that the login is limited to; all units if left out.")
@click.password_option("--password", help="Asked for if left out; only its argon2id hash is kept.")
def add_user(root: Path, name: str, role: str, scope: str, password: str) -> None:
    """Add a login for the pages, or change one."""
    row = {"name": name, "argon2": PasswordHasher().hash(password), "role": role, "scope": scope}
    with closing(_registry(deployment.load(root))) as registry:
        registry.load({"users": [row]})
    click.echo(f"{name}: {role}")


@cli.command("list")
@_dir
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def list_(root: Path, as_json: bool) -> None:
    """List the probes of the registry."""
    with closing(_registry(deployment.load(root))) as registry:
        for entry in registry.probes():
            row = {"probe": entry.id, "site": entry.site, "state": entry.state, "simulated": entry.simulated}
            click.echo(json.dumps(row) if as_json else f"{entry.id:32} {entry.site or '-':32} {entry.state}")


def _registry(where: Deployment) -> Registry:
    return Registry(where.collector / "state" / "registry.db")


def _counts(report: Report) -> dict[str, Any]:
    return asdict(report)


def main() -> Never:
    """Run the command and turn our errors into one sentence and an exit status."""
    try:
        cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(EXIT_FAILED)
    except Misconfigured as error:
        click.echo(f"dosong-provision: {error}", err=True)
        sys.exit(EXIT_MISCONFIGURED)
    except Refused as error:
        click.echo(f"dosong-provision: {error.detail or error.reason}", err=True)
        sys.exit(EXIT_FAILED)
    except Unavailable as error:
        click.echo(f"dosong-provision: {error}", err=True)
        sys.exit(EXIT_FAILED)
    except OSError as error:
        where = error.filename or "a file of the deployment"
        click.echo(
            f"dosong-provision: cannot write {where} ({error.strerror}); choose a --dir that this account may write,"
            " or free the disk",
            err=True,
        )
        sys.exit(EXIT_FAILED)
    sys.exit(0)


if __name__ == "__main__":
    main()
