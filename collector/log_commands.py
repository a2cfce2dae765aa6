"""Commands over the sealed log and the backups that it proves."""

from __future__ import annotations

import base64
from pathlib import Path

import click

from collector import backup as backups
from collector.command import first_line, with_config
from collector.health import now_ms
from collector.ledger import LedgerReader
from collector.ledger_engine import open_ledger
from collector.ledger_place import Remote
from collector.proofs import Prover
from collector.seal_store import SealReader
from collector.settings import Settings
from collector.verdict_commands import COMMANDS as VERDICT_COMMANDS
from collector.verdict_commands import rebuild_verdicts
from wire.errors import Misconfigured, Refused, Unavailable


def _tell(line: str) -> None:
    click.echo(line, err=True)


@click.command()
@with_config
@click.argument("folder", type=click.Path(path_type=Path))
def backup(settings: Settings, folder: Path) -> None:
    """Copy ledger, log, registry and cursors into a new FOLDER, beside running processes, and verify the copy.

    A ledger in PostgreSQL goes in as one snapshot, by pg_dump. Run it on the sealer's machine, which has seal.db.
    Keys are not in it: keep the folder that dosong-provision made in a safe of its own.
    """
    place = settings.ledger
    if isinstance(place, Remote):
        from collector import backup_pg  # noqa: PLC0415 (only who uses PostgreSQL has its driver)

        done = backup_pg.make(settings.state, place, folder, _tell)
    else:
        done = backups.make(settings.state, folder, _tell)
    for one in done:
        click.echo(f"{one.name} {one.size} {one.root.hex()}")


@click.command()
@with_config
@click.argument("folder", type=click.Path(path_type=Path, exists=True))
@click.option("--owner", metavar="URL", help="A ledger in PostgreSQL: the new, empty database, as its owner.")
@click.option("--password-file", type=click.Path(path_type=Path), help="The owner's password (else libpq's own ways).")
def restore(settings: Settings, folder: Path, owner: str | None, password_file: Path | None) -> None:
    """Put the backup in FOLDER into an empty state_dir. Probes then send again what the backup does not hold.

    \b
    dosong-collector restore --config collector.toml /backup/2026-11-22
    dosong-collector restore --config collector.toml /backup/2026-11-22 --owner postgresql://dosong_owner@db1/dosong
    """
    place = settings.ledger
    if isinstance(place, Remote):
        from collector import backup_pg  # noqa: PLC0415 (as above)

        if owner is None:
            raise Misconfigured("the ledger lies in PostgreSQL; make an empty database and name it as its --owner")
        made = Remote(owner, first_line(password_file))
        number = backup_pg.restore(folder, settings.state, place, made, _tell)
    else:
        number = backups.restore(folder, settings.state, _tell)
    click.echo(f"generation {number}: start the collector now")


@click.command()
@with_config
@click.argument("folder", type=click.Path(path_type=Path, exists=True), required=False)
def check(settings: Settings, folder: Path | None) -> None:
    """Compute the log's roots again from the ledger's bytes, here or in a backup. Exit 1 if one differs.

    Of a backup of PostgreSQL, whose roots were computed when it was made, every row is compared with what it was then.
    """
    if folder is not None and not (folder / "ledger.db").exists() and isinstance(settings.ledger, Remote):
        from collector import backup_pg  # noqa: PLC0415 (as above)

        backup_pg.check(folder, _tell)
        return
    place = settings.ledger if folder is None else None
    for one in backups.verify(folder or settings.state, _tell, place):
        click.echo(f"{one.name} {one.size} {one.root.hex()}")


@click.command()
@with_config
def restored(settings: Settings) -> None:
    """Say that ledger.db was put back from a backup. Stop receive and seal first, start them afterwards.

    Probes then send again what they still hold; the log opens a new shard that names the lost checkpoint.
    """
    ledger = open_ledger(settings.ledger)
    try:
        backups.hold_checkpoint(settings.log_folder)
        click.echo(f"generation {ledger.raise_generation(now_ms())}: probes send again what the backup does not hold")
    finally:
        ledger.close()


@click.command()
@with_config
@click.argument("probe")
@click.argument("epoch", type=int)
@click.argument("seq", type=int)
def proof(settings: Settings, probe: str, epoch: int, seq: int) -> None:
    """Print the .tlog-proof of one record. Exit 1 if no checkpoint holds it yet."""
    found = LedgerReader(settings.ledger).sample(probe, epoch, seq)
    if found is None:
        raise Refused("not_found", f"the ledger holds no record {probe}/{epoch}/{seq}")
    text = Prover(SealReader(settings.seal), settings.log_folder).proof(found.n)
    if text is None:
        raise Unavailable("no checkpoint holds it yet; one is signed every minute while dosong-collector seal runs")
    click.echo(text.decode(), nl=False)


@click.command()
@with_config
@click.argument("old", type=click.IntRange(min=0))
def consistency(settings: Settings, old: int) -> None:
    """Print the proof that the newest checkpoint follows from the log's first OLD entries: base64, a hash a line."""
    found = Prover(SealReader(settings.seal), settings.log_folder).consistency(old)
    if found is None:
        raise Refused("not_found", f"the log has no checkpoint over {old} or more entries yet")
    for one in found:
        click.echo(base64.b64encode(one).decode())


COMMANDS = (backup, restore, check, restored, proof, consistency, *VERDICT_COMMANDS)
"""What `dosong-collector` offers of these."""
REBUILDS = (rebuild_verdicts,)
"""What `dosong-collector rebuild` offers of these."""
