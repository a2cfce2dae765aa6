"""`dosong-provision own` and `check-chain`: the server's own files, and the certificate that telephones see."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from provisioning import chain, ownership
from provisioning.identity_commands import dir_option
from wire.errors import EXIT_FAILED

CHAIN_EXAMPLES = """\b
Examples:
  dosong-provision check-chain --name dosong.sokhcn.example --key /etc/dosong/web.key /etc/dosong/web.pem
  dosong-provision check-chain --name dosong.sokhcn.example /etc/letsencrypt/live/dosong.sokhcn.example/fullchain.pem"""


@click.command("own")
@dir_option
def own(root: Path) -> None:
    """Give every file of a deployment to the account that needs it (as root; after init and after a restore)."""
    changed = ownership.put_in_force(root.resolve())
    for path in changed[:20]:
        click.echo(f"  {path}")
    click.echo(f"{len(changed)} changed" if changed else "everything is as it should be")


@click.command("check-chain", epilog=CHAIN_EXAMPLES)
@click.option("--name", required=True, help="Public name of the pages.")
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False, exists=True), help="Its key: does it fit?")
@click.option(
    "--roots",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    envvar="DOSONG_ROOTS",
    help="PEM of roots that were put on your telephones by hand.",
)
@click.argument("certificate", type=click.Path(path_type=Path, dir_okay=False, exists=True))
def check_chain(name: str, key: Path | None, roots: Path | None, certificate: Path) -> None:
    """Would a telephone with Android 7 trust this certificate and its chain? Exit 1 if not."""
    found = chain.check(
        certificate.read_bytes(),
        name,
        datetime.now(UTC),
        key=key.read_bytes() if key else None,
        own_roots=roots.read_bytes() if roots else b"",
    )
    for line in found.faults:
        click.echo(f"error: {line}", err=True)
    for line in found.notes:
        click.echo(line)
    if found.faults:
        sys.exit(EXIT_FAILED)


COMMANDS: tuple[Any, ...] = (own, check_chain)
