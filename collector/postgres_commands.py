"""`dosong-collector postgres ...`: the ledger's tables in PostgreSQL, and a ledger moved there."""

from __future__ import annotations

from pathlib import Path

import click

from collector.command import sentence
from collector.ledger_place import Remote
from wire.errors import Misconfigured


@click.group()
def postgres() -> None:
    """The ledger in PostgreSQL: make or upgrade its tables, move a ledger there."""


@postgres.command()
@click.option("--owner", required=True, metavar="URL", help="The database, as its owner: postgresql://OWNER@HOST/DB.")
@click.option("--role", required=True, help="The role that the collector's programs log in as.")
@click.option("--password-file", type=click.Path(path_type=Path), help="The owner's password (else libpq's own ways).")
@sentence
def prepare(owner: str, role: str, password_file: Path | None) -> None:
    """Make the ledger's tables, or bring them up to date, and give ROLE what it needs; twice does nothing.

    \b
    createuser dosong_owner; createuser dosong_ledger; createdb -O dosong_owner dosong
    dosong-collector postgres prepare --owner postgresql://dosong_owner@db/dosong --role dosong_ledger
    """
    from collector.pg_schema import prepare as make  # noqa: PLC0415 (only who uses PostgreSQL has its driver)

    version = make(Remote(owner, _secret(password_file)), role)
    click.echo(f"the ledger's tables are of version {version}; {role} may read and append")


def _secret(path: Path | None) -> str | None:
    """The first line of a file; None if there is none. Raises Misconfigured."""
    try:
        return None if path is None else path.read_text(encoding="utf-8").splitlines()[0]
    except (OSError, IndexError) as error:
        raise Misconfigured(f"cannot read a password in {path}; write it on its first line") from error


COMMANDS = (postgres,)
