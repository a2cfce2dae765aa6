"""Brings tables into the registry and out of it: files read, rows checked in one pass, then all of it or nothing."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from collector.registry import Registry
from collector.registry_rows import Report, Trouble
from provisioning import csvfile, workbook
from provisioning.core.cells import Mark, Wrong
from provisioning.core.problems import Problem
from provisioning.core.sheets import SHEETS
from provisioning.core.tables import IccidReader, Row, Table, Taken, fill, take
from provisioning.deployment import Deployment
from wire.errors import Refused


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an import changed or, dry, would change; with problems it changed nothing."""

    report: Report
    problems: tuple[Problem, ...]
    was_written: bool


def read_document(path: Path) -> dict[str, Any] | None:
    """Read a TOML or JSON document; None if the file is a table. Raises Refused."""
    try:
        if path.suffix == ".toml":
            return tomllib.loads(path.read_text(encoding="utf-8"))
        if path.suffix == ".json":
            found = json.loads(path.read_text(encoding="utf-8"))
            return found if isinstance(found, dict) else {}
    except (ValueError, RecursionError) as error:
        kind = path.suffix[1:].upper()
        raise Refused("bad_file", f"{path} is not {kind}: {error}; correct that line") from error
    return None


def read_tables(path: Path, title: str | None) -> tuple[list[Table], Mark | None]:
    """Read an XLSX workbook, a CSV file, or a folder of CSV files. Raises Refused."""
    if path.is_dir():
        names = sorted(path.glob("*.csv"))
        if not names:
            raise Refused("bad_file", f"{path} holds no .csv file; name them as the lists: hamlets.csv, sites.csv")
        return [csvfile.read(name) for name in names], None
    if path.suffix.lower() == ".csv":
        return [csvfile.read(path, title)], None
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        return workbook.read(path)
    raise Refused("bad_file", f"{path}: give a .toml, .json, .csv or .xlsx file, or a folder of .csv files")


def enter(
    registry: Registry, tables: Iterable[Table], mark: Mark | None, iccid: IccidReader, now_ms: int, *, is_dry: bool
) -> Outcome:
    """Check every row, and write all of them if nothing is wrong and it is not a dry run."""
    taken = take(tables, mark, iccid)
    report, troubles = registry.check(taken.document, now_ms, taken.promised)
    problems = [*taken.problems, *(_placed(registry, taken, trouble) for trouble in troubles)]
    if problems or is_dry:
        order = {sheet.vi: number for number, sheet in enumerate(SHEETS)}
        problems.sort(key=lambda problem: (order.get(problem.sheet, -1), problem.row))
        return Outcome(report, tuple(problems), was_written=False)
    return Outcome(registry.load(taken.document, now_ms), (), was_written=True)


def _placed(registry: Registry, taken: Taken, trouble: Trouble) -> Problem:
    """A mistake that the registry found, at its cell; for a code of before July 2025, what it became."""
    where = taken.places[trouble.listed][trouble.row - 1]
    column = next((c.vi for c in where.sheet.columns if c.key == trouble.column), trouble.column)
    value = "****" if trouble.column == "iccid" else where.shown.get(trouble.column, trouble.value)
    hint = f" ({trouble.value})" if trouble.word == "unknown" and trouble.value != value else ""
    if trouble.word == "unknown" and trouble.column in ("commune", "unit"):
        hint += "".join(f" ({trouble.value} → {code} {name})" for code, name in registry.dated.became(trouble.value))
    return Problem(where.sheet.vi, where.row, column, value, trouble.word, hint)


def iccid_reader(registry: Registry, secret: bytes) -> IccidReader:
    """Keep of an ICCID its HMAC and last four digits; a masked one must be that of the SIM as it is registered."""
    held = {row["code"]: row.get("iccid_last4") for row in registry.dated.dump("sims")}

    def read(code: str, given: str) -> Row:
        if given.startswith("*"):
            if held.get(code) != given[-4:]:
                raise Wrong("masked")
            return {}
        return {"iccid_hmac": hmac.new(secret, given.encode(), sha256).hexdigest(), "iccid_last4": given[-4:]}

    return read


def iccid_secret(where: Deployment) -> bytes:
    """The key of the ICCIDs' hashes, made at the first call; it stays in the deployment."""
    path = where.collector / "iccid.secret"
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        pass
    else:
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_hex(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
    return bytes.fromhex(path.read_text().strip())


def leave(registry: Registry, path: Path, mark: Mark) -> list[str]:
    """Write what tables can hold: a workbook (.xlsx), else a folder of CSV files. Returns the files' names."""
    filled = {sheet.listed: fill(sheet.listed, registry.dated.dump(sheet.listed), mark) for sheet in SHEETS}
    if path.suffix.lower() == ".xlsx":
        workbook.write(path, filled, mark)
        return [str(path)]
    path.mkdir(parents=True, exist_ok=True)
    written = []
    for sheet in SHEETS:
        if filled[sheet.listed]:
            name = path / f"{sheet.listed}.csv"
            csvfile.write(name, [column.vi for column in sheet.columns], filled[sheet.listed], mark)
            written.append(str(name))
    return written
