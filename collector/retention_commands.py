"""`dosong-collector retention`: what may be dropped, how much of it is held, and how long it is kept."""

from __future__ import annotations

import json
from dataclasses import asdict

import click

from collector.command import with_config
from collector.core.view import iso
from collector.health import now_ms
from collector.ledger import LedgerReader
from collector.ledger_engine import open_ledger
from collector.retention import look
from collector.settings import Settings


@click.command()
@with_config
@click.option("--apply", "is_applied", is_flag=True, help="Let go what is due now; only while receive is stopped.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def retention(settings: Settings, is_applied: bool, as_json: bool) -> None:
    """What may be dropped: refused bytes and idle deliveries, by [retention]. Records are never dropped.

    A running receive does it by itself every hour. InfluxDB and the boards are made from the ledger and are not
    evidence: drop what you like there, and `rebuild influx` writes it again.
    """
    if is_applied:
        ledger = open_ledger(settings.ledger)
        try:
            while any(ledger.let_go(settings.retention, now_ms()).values()):
                pass
        finally:
            ledger.close()
    for one in look(LedgerReader(settings.ledger), settings.retention, now_ms()):
        if as_json:
            click.echo(json.dumps(asdict(one)))
            continue
        oldest = "none" if one.oldest_ms is None else f"oldest {iso(one.oldest_ms)}"
        click.echo(f"{one.name}: {one.rows} held, {oldest}, kept {one.days} days, {one.due} due")
    if not as_json:
        click.echo("records, receipts, notes, sums, sealed log: kept for ever")


COMMANDS = (retention,)
"""What `dosong-collector` offers of these."""
