"""`dosong-collector postgres ...`: the ledger's tables in PostgreSQL, and a ledger moved there."""

from __future__ import annotations

from pathlib import Path

import click

from collector.backup import hold_checkpoint, verify
from collector.command import first_line, sentence, with_config
from collector.health import now_ms
from collector.ledger_engine import open_ledger
from collector.ledger_place import Remote
from collector.settings import Settings
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
    createuser -P dosong_owner; createuser -P dosong_ledger
    createdb -O dosong_owner -E UTF8 -T template0 --locale=C dosong
    dosong-collector postgres prepare --owner postgresql://dosong_owner@db/dosong --role dosong_ledger
    """
    from collector.pg_schema import prepare as make  # noqa: PLC0415 (only who uses PostgreSQL has its driver)

    version = make(Remote(owner, first_line(password_file)), role)
    click.echo(f"the ledger's tables are of version {version}; {role} may read and append")


@postgres.command()
@with_config
@click.option("--owner", required=True, metavar="URL", help="The new database, as its owner.")
@click.option("--role", required=True, help="The role that the collector's programs log in as.")
@click.option("--password-file", type=click.Path(path_type=Path), help="The owner's password (else libpq's own ways).")
def move(settings: Settings, owner: str, role: str, password_file: Path | None) -> None:
    """Move this collector's ledger.db into an empty database. Stop the collector first; ended anywhere, run it again.

    Counts of every table are compared, every record's bytes are read again and their leaf computed, and the roots of
    the sealed log. Then write [ledger] url = "postgresql://ROLE@..." into the settings, and start the collector.

    \b
    dosong-collector postgres move --config collector.toml --owner postgresql://dosong_owner@db/dosong \\
      --role dosong_ledger
    """
    from collector.ledger_transfer import move as carry  # noqa: PLC0415 (as above)

    done = carry(settings.state, Remote(owner, first_line(password_file)), role, click.echo)
    for table, rows in done.rows.items():
        click.echo(f"{table}: {rows} rows on both sides")
    click.echo(f"leaves read again there, each with its own hash: {done.leaves}")
    click.echo("now set [ledger] url in the settings and start the collector; keep ledger.db as a backup, unused")


@postgres.command()
@with_config
def restored(settings: Settings) -> None:
    """Say that the database was put back to an earlier moment: probes then send again what they still hold.

    Once, before the collector is started on it. Not after a promotion of a synchronous standby: that lost nothing.
    """
    ledger = open_ledger(settings.ledger)
    try:
        hold_checkpoint(settings.log_folder)
        click.echo(f"generation {ledger.raise_generation(now_ms())}; the log goes on in a new shard")
    finally:
        ledger.close()


@postgres.command("registry-source")
@with_config
def registry_source(settings: Settings) -> None:
    """Make this machine's registry the one that all others follow, for good: its settings say registry = "source".

    When the machine that was it before is lost. Stop what runs there first; a copy here becomes the source as it is.
    """
    from collector.registry_mirror import Source  # noqa: PLC0415 (as above)

    at, place = settings.ledger_at, settings.ledger
    if at is None or at.registry != "source" or not isinstance(place, Remote):
        raise Misconfigured('write registry = "source" into [ledger] of these settings first')
    mirror = Source(settings.registry, place)
    mirror.take_over()
    mirror.refresh()
    mirror.close()
    click.echo(f"{settings.registry} is the source now; restart receive and forward on the other machines")


@postgres.command("verify")
@with_config
def verify_roots(settings: Settings) -> None:
    """Compute every root of the sealed log again from the bytes in PostgreSQL. Exit 1 if one differs."""
    verify(settings.state, click.echo, settings.ledger)


COMMANDS = (postgres,)
