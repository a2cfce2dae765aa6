"""`dosong-collector report`: make, list, show, draw again and compare reports; an office's letterhead; reminders.

What draws reports is loaded by the command that needs it: `receive` is the same program, and must be back fast.
"""

from __future__ import annotations

import json
import signal
import sys
import threading
import tomllib
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from collector.command import with_config
from collector.core.report_heads import Office
from collector.core.report_model import FORMAT_NAMES, KINDS, Kind, shown
from collector.core.report_page import laid_out
from collector.core.view import Language, minute
from collector.health import now_ms
from collector.settings import Settings
from wire.errors import EXIT_FAILED, Misconfigured, Refused

if TYPE_CHECKING:
    from collector.reports.desk import Desk
    from collector.reports.store import Kept

_EXAMPLES = """\b
Examples:
  dosong-collector report make --config collector.toml --kind month --unit 05755 --period 2026-09 --out reports
  dosong-collector report make --config collector.toml --kind quarter --unit 19 --period 2026-Q3 --lang en
  dosong-collector report list --config collector.toml --unit 05755
  dosong-collector report again --config collector.toml 3f0c1d2e4b5a6978 --format pdf --out again.pdf
  dosong-collector report diff --config collector.toml 3f0c1d2e4b5a6978
  dosong-collector report office --config collector.toml --unit 05755 office.toml
\b
Kinds: month, to_date, day, quarter, year (communes and provinces), dossier (hamlets), weak (weak spots).
"""


@click.group(epilog=_EXAMPLES)
def report() -> None:
    """Reports in the form of an office: kept as they were made."""


def _desk(settings: Settings) -> Desk:
    from collector.ledger import LedgerReader  # noqa: PLC0415 (see above, here and below)
    from collector.registry import Registry  # noqa: PLC0415
    from collector.reports.desk import open_desk  # noqa: PLC0415

    return open_desk(settings, LedgerReader(settings.ledger), Registry(settings.registry))


def _kept(desk: Desk, report_id: str) -> Kept:
    found = desk.store.one(report_id)
    if found is None:
        raise Refused("report", f"there is no report {report_id}; see dosong-collector report list")
    return found


def _line(one: Kept) -> str:
    changed = f", {one.changed} cells changed since {one.follows}" if one.follows else ""
    return f"{one.id} {one.kind} {one.unit} {one.subject} (record {one.ledger_n}{changed})"


@report.command()
@with_config
@click.option("--kind", required=True, type=click.Choice(KINDS))
@click.option("--unit", required=True, help="Code of a commune, province or hamlet.")
@click.option("--period", default="", help="2026-09, 2026-Q3, 2026 or 2026-09-21; without it the period of now.")
@click.option("--lang", "language", default="vi", show_default=True, type=click.Choice(["vi", "en"]))
@click.option("--format", "formats", multiple=True, type=click.Choice(FORMAT_NAMES), help="Only these forms.")
@click.option("--out", type=click.Path(path_type=Path, file_okay=False), help="Folder to write the files to.")
def make(
    settings: Settings, kind: Kind, unit: str, period: str, language: Language, formats: tuple[str, ...],
    out: Path | None,
) -> None:  # fmt: skip
    """Make a report of the figures as they stand, keep it, and write its files."""
    from collector.reports.make import parse_period  # noqa: PLC0415

    desk, at_ms = _desk(settings), now_ms()
    one = desk.make(kind, unit, parse_period(kind, period, at_ms), at_ms, language, "command line")
    click.echo(_line(one))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        for drawing in desk.store.drawings(one.id):
            if not formats or drawing.format in formats:
                path = out / f"{one.kind}-{one.unit}-{one.id}.{drawing.format}"
                path.write_bytes(desk.store.bytes_of(drawing.sha256))
                click.echo(str(path))


@report.command("list")
@with_config
@click.option("--unit", help="Only this unit's.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def listed(settings: Settings, unit: str | None, as_json: bool) -> None:
    """Every report that was made, newest first."""
    for one in _desk(settings).store.newest(10_000, unit=unit):
        click.echo(json.dumps(asdict(one), ensure_ascii=False) if as_json else _line(one))


@report.command()
@with_config
@click.argument("report_id")
def show(settings: Settings, report_id: str) -> None:
    """What a report says, as text, and the SHA-256 of each of its files."""
    desk = _desk(settings)
    one = _kept(desk, report_id)
    held = desk.store.report(one)
    page = laid_out(held)
    click.echo(f"{page.title}: {page.subject}")
    for block in held.blocks:
        if block.table is None:
            click.echo(block.text)
            continue
        click.echo(block.table.title)
        click.echo("\t".join(column.title for column in block.table.columns))
        for row in block.table.rows:
            click.echo("\t".join(shown(cell, held.language) for cell in row.cells))
    for line in page.sources:
        click.echo(line)
    for drawing in desk.store.drawings(one.id):
        click.echo(f"{drawing.sha256} {drawing.format} {drawing.size} B")


@report.command()
@with_config
@click.argument("report_id")
@click.option("--format", "name", default="pdf", show_default=True, type=click.Choice(FORMAT_NAMES))
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), help="File to write.")
def again(settings: Settings, report_id: str, name: str, out: Path | None) -> None:
    """Draw a report again from its kept model, and compare its bytes with those given out. Exit 1 if they differ."""
    desk = _desk(settings)
    done = desk.again(_kept(desk, report_id), name)
    if out is not None:
        out.write_bytes(done.raw)
    click.echo("the same, byte for byte" if done.is_same else "DIFFERENT: other versions of typst, font or libraries")
    if not done.is_same:
        sys.exit(EXIT_FAILED)


@report.command()
@with_config
@click.argument("report_id")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def diff(settings: Settings, report_id: str, as_json: bool) -> None:
    """Which of a report's figures are otherwise by now. Exit 1 if any is."""
    desk = _desk(settings)
    one = _kept(desk, report_id)
    found = desk.changed(one, now_ms())
    for change in found:
        if as_json:
            click.echo(json.dumps(asdict(change), ensure_ascii=False))
        else:
            was, now = ("none" if cell is None else shown(cell, one.language) for cell in (change.before, change.after))
            click.echo(f"{change.table} {change.row} {change.column_title}: {was} -> {now}")
    click.echo(f"figures that changed: {len(found)}")
    if found:
        sys.exit(EXIT_FAILED)


@report.command()
@with_config
@click.option("--unit", required=True, help="Code of a commune, province or hamlet.")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False))
def office(settings: Settings, unit: str, file: Path | None) -> None:
    """Enter an office's letterhead and reminders from a TOML file ([head], emails, webhook), or show what holds."""
    desk = _desk(settings)
    if file is not None:
        try:
            wanted = msgspec.convert(tomllib.loads(file.read_text(encoding="utf-8")), Office)
        except (ValueError, RecursionError) as error:
            raise Misconfigured(f"{file}: {error}; keys are emails, webhook and those of [head]") from error
        desk.store.set_office(unit, wanted, "command line", now_ms())
    held = desk.store.office(unit)
    click.echo(json.dumps(None if held is None else asdict(held), ensure_ascii=False, indent=1))


@report.command()
@with_config
@click.option("--unit", required=True, help="Code of a commune or province.")
def silent(settings: Settings, unit: str) -> None:
    """Who has not reported today in campaigns with a daily report: Vietnamese text, ready to paste into Zalo."""
    from collector.reports.service import silent_today  # noqa: PLC0415

    texts = silent_today(_desk(settings), unit, now_ms())
    click.echo("\n\n".join(texts) or "no campaign has a daily report today")


@report.command()
@with_config
def messages(settings: Settings) -> None:
    """Reminders that went out, that wait, or that were given up."""
    from collector.reports.outbox import Outbox  # noqa: PLC0415

    for key, address, subject, tries, sent_ms, gave_up, fault in Outbox(_desk(settings).store).listed():
        state = "given up" if gave_up else "waits" if sent_ms is None else f"sent {minute(sent_ms)}"
        click.echo(f"{state}, {tries} tries: {address}: {subject} [{key}]" + (f": {fault}" if fault else ""))


@click.command()
@with_config
def remind(settings: Settings) -> None:
    """Drafts and reminders before each deadline, and who has not reported, each once. Part of `run`."""
    from collector.reports.service import serve  # noqa: PLC0415

    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=stop.set, daemon=True).start())
    serve(settings, stop)


COMMANDS = (report, remind)
"""What `dosong-collector` offers of these."""
