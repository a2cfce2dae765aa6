"""Commands over the series in InfluxDB, which hold nothing that the ledger has not: make anew, compare."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING

import click

from collector.command import with_config
from collector.health import now_ms
from collector.ledger import LedgerReader
from collector.ledger_engine import open_ledger
from collector.published import forward_target
from collector.reconcile import PointCounter, hour_text, hours_found, reconcile_counts
from collector.settings import Settings
from wire.errors import EXIT_FAILED

if TYPE_CHECKING:
    from collector.influx import Influx

COUNT_ATTEMPTS = 4
COUNT_AGAIN_S = 1.0
EVERY_DAY = 10_000_000


def influx_of(settings: Settings) -> Influx:
    """The InfluxDB of the settings. Its library is heavy, and `receive` must be back fast after a kill."""
    from collector.influx import Influx  # noqa: PLC0415

    return Influx(settings)


@click.command("influx")
@with_config
@click.option("--jobs", default=1, show_default=True, type=click.IntRange(1, 64), help="Processes side by side.")
def rebuild_influx(settings: Settings, jobs: int) -> None:
    """Drop every point and write all of them again. Safe beside a running forward; if interrupted, run it again.

    With --jobs each process has its partitions and days: as many as there are cores that nobody else needs.
    """
    from collector.rebuild import rebuild_beside  # noqa: PLC0415 (its library is heavy)

    writer = forward_target(settings, influx_of)
    writer.prepare()
    writer.drop()
    written, refused = rebuild_beside(settings, now_ms(), jobs)
    click.echo(f"lines written: {written}, refused by InfluxDB: {refused}")
    if not _counts_equal(LedgerReader(settings.ledger), writer, EVERY_DAY):
        sys.exit(EXIT_FAILED)


@click.command("rollups")
@with_config
def rebuild_rollups(settings: Settings) -> None:
    """Make the sums by hamlet, operator and hour again from the records. Stop `receive` first: it alone writes them."""
    ledger = open_ledger(settings.ledger)
    try:
        click.echo(f"records in the rollups: {ledger.rebuild_rollups()}")
    finally:
        ledger.close()


@click.command()
@with_config
@click.option(
    "--days",
    default=31,
    show_default=True,
    type=click.IntRange(1, 10_000),
    help="Compare hours until so many days in a row are equal.",
)
def reconcile(settings: Settings, days: int) -> None:
    """Compare counts in ledger and InfluxDB: by probe, and by hamlet, hour and operator. Exit 1 if they differ.

    `forward` does the same every night and after every outage, and writes again what differs.
    """
    if not _counts_equal(LedgerReader(settings.ledger), influx_of(settings), days):
        sys.exit(EXIT_FAILED)


def _counts_equal(reader: LedgerReader, counter: PointCounter, days: int) -> bool:
    """Print one line a probe and measurement, and each hour that differs; say whether all are equal.

    What arrives while we count makes a difference that is none: only one that lasts is told.
    """
    for _ in range(COUNT_ATTEMPTS):
        rows = reconcile_counts(reader, counter)
        found, hours = hours_found(reader, counter, now_ms(), days)
        if found.differed == 0 and all(row.ledger == row.influx for row in rows):
            break
        time.sleep(COUNT_AGAIN_S)
    for row in rows:
        mark = "equal" if row.ledger == row.influx else "DIFFERENT"
        click.echo(f"{row.measurement} {row.probe}: ledger {row.ledger}, InfluxDB {row.influx}: {mark}")
    for one in hours:
        named = f"{one.measurement} {one.hamlet or '-'} {one.plmn or '-'} {hour_text(one.hour_ms)}"
        click.echo(f"{named}: ledger {one.ledger}, InfluxDB {one.influx}: DIFFERENT")
    click.echo(f"hours by hamlet and operator: {found.hours} compared, {found.differed} differ")
    return found.differed == 0 and all(row.ledger == row.influx for row in rows)


REBUILDS = (rebuild_influx, rebuild_rollups)
"""What `dosong-collector rebuild` offers of these."""
