"""`dosong-collector pack`: the evidence pack of a unit and a period, as one zip."""

from __future__ import annotations

import re
from datetime import date, timedelta
from pathlib import Path

import click

from collector.command import with_config
from collector.core.period import Period, window
from collector.evidence_pack import Packer, Wanted
from collector.ledger import LedgerReader
from collector.pack_reports import kept_reports
from collector.registry import Registry
from collector.settings import Settings
from wire.errors import Refused

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
EPILOG = """\b
Examples:
  dosong-collector pack --config collector.toml --unit 05755 --month 2026-09 goi.zip
  dosong-collector pack --config collector.toml --unit dt-lang-muoi --from 2026-09-01 --to 2026-09-07 tuan.zip
  dosong-collector pack --config collector.toml --unit 05755 --month 2026-09 --report bao-cao.pdf goi.zip
  dosong-collector pack --config collector.toml --unit 05755 --month 2026-09 --at 184467 goi.zip   the same again
  python3 dosong-verify.py goi.zip
"""


@click.command(epilog=EPILOG)
@with_config
@click.option("--unit", required=True, help="Code of a hamlet, commune or province.")
@click.option("--month", help="A month of Vietnam, as 2026-09.")
@click.option("--from", "first", help="First day, as 2026-09-01.")
@click.option("--to", "last", help="Last day, which counts whole.")
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file that goes along; may be repeated.",
)
@click.option("--at", type=click.IntRange(min=1), help="Prove to the log's checkpoint over so many entries (newest).")
@click.argument("out", type=click.Path(path_type=Path, dir_okay=False))
def pack(
    settings: Settings, unit: str, month: str | None, first: str | None, last: str | None,
    reports: tuple[Path, ...], at: int | None, out: Path,
) -> None:  # fmt: skip
    """Write the evidence pack of a unit: records, proofs, keys, tables, verifier. The same state gives the same bytes.

    Kept reports over the same unit and period go along, and files that you name. It is checked with its own verifier
    before it is written.
    """
    period = period_of(month, first, last)
    given = tuple((path.name, path.read_bytes()) for path in reports)
    files = tuple(dict((*kept_reports(settings.state, unit, period), *given)).items())
    registry = Registry(settings.registry)
    try:
        made = Packer(settings, LedgerReader(settings.ledger), registry, at).make(Wanted(unit, period, files))
    finally:
        registry.close()
    out.write_bytes(made.raw)
    shown = ", ".join(f"{name} {value}" for name, value in made.headline.items())
    click.echo(f"{out}: {len(made.raw)} bytes, {made.records} records; {shown}")


def period_of(month: str | None, first: str | None, last: str | None) -> Period:
    """What the options ask for. Raises Refused in a sentence."""
    if month is not None and first is None and last is None:
        match = _MONTH.fullmatch(month)
        if match is None:
            raise Refused("usage", f"--month {month}: write a month as 2026-09")
        begin = date(int(match[1]), int(match[2]), 1)
        return window(begin, (begin + timedelta(days=31)).replace(day=1) - timedelta(days=1))
    if month is not None or first is None or last is None:
        raise Refused("usage", "give either --month, or --from and --to")
    try:
        return window(date.fromisoformat(first), date.fromisoformat(last))
    except ValueError as error:
        raise Refused("usage", f"--from {first} --to {last}: {error}") from error
