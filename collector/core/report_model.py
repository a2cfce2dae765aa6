"""A report as values: what it says, block after block, so that every format is drawn from one and the same numbers.

A figure keeps its integer in the unit of the record and is written in words only where it is drawn; its row and its
table have names of their own, so that two reports can be laid beside each other. None is "không có số liệu", never 0.
Source: facts note 01 §5, §6 (Nghị định 30/2020/NĐ-CP, numbers and dates); design §8.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from collector.core.period import Period
from collector.core.view import Language, decimal
from collector.core.view_figures import N_MIN, Stat

Kind = Literal["month", "to_date", "day", "quarter", "year", "dossier", "weak"]
KINDS: tuple[Kind, ...] = ("month", "to_date", "day", "quarter", "year", "dossier", "weak")
FORMAT_NAMES = ("pdf", "docx", "xlsx", "csv", "json", "tsv", "txt")
"""Every form that a report is given out in."""
Form = Literal["count", "mbps", "ms", "percent", "percent2", "minutes", "dbm", "seconds", "signed"]
Source = Literal["ours", "portal", "people", "log", "registry"]
_SCALE: dict[Form, tuple[float, int]] = {
    "count": (1, 0),
    "signed": (1, 0),
    "minutes": (1, 0),
    "mbps": (1e6, 1),
    "ms": (1e3, 1),
    "seconds": (1e6, 2),
    "percent": (1e4, 1),
    "percent2": (1e4, 2),
    "dbm": (10, 1),
}
"""By what a figure's integer (bit/s, µs, ppm, tenths of dBm) is divided for reading, and its decimals."""
NO_FIGURE = {"vi": "không có số liệu", "en": "no figure"}
TOO_FEW = {"vi": "không đủ số mẫu", "en": "too few samples"}


@dataclass(frozen=True, slots=True)
class Figure:
    """One number. `value`: integer in the record's unit; None: not known. `n`: of how many values it is a statistic,
    None for a count. `as_of_ms`: when it was read, for a figure from elsewhere."""

    value: int | None
    form: Form = "count"
    n: int | None = None
    source: Source = "ours"
    as_of_ms: int | None = None

    @property
    def is_assessed(self) -> bool:
        """Whether there is a value, of enough samples."""
        return self.value is not None and (self.n is None or self.n >= N_MIN)

    @property
    def number(self) -> float | int | None:
        """The value in its reading unit, for spreadsheets; None where it must not be read as one."""
        if self.value is None or not self.is_assessed:
            return None
        scale, digits = _SCALE[self.form]
        return self.value if digits == 0 and scale == 1 else round(self.value / scale, digits)

    def shown(self, language: Language) -> str:
        """As it is printed: decimal comma in Vietnamese."""
        if self.value is None:
            return NO_FIGURE[language]
        if not self.is_assessed:
            return f"{TOO_FEW[language]} (n = {decimal(self.n, 0, language)})"
        scale, digits = _SCALE[self.form]
        text = decimal(self.value / scale, digits, language)
        return f"+{text}" if self.form == "signed" and self.value > 0 else text

    @property
    def digits(self) -> int:
        """Decimals that are printed."""
        return _SCALE[self.form][1]


def median(found: Stat, form: Form) -> Figure:
    """A median with its n."""
    return Figure(None if found.median is None else round(found.median), form, found.n)


def mean(found: Stat, form: Form) -> Figure:
    """A mean with its n."""
    return Figure(None if found.mean is None else round(found.mean), form, found.n)


Cell = str | Figure


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name for machines, its heading, its share of the width, and how it is set."""

    key: str
    title: str
    weight: int
    align: Literal["left", "center", "right"] = "right"


@dataclass(frozen=True, slots=True)
class Row:
    """One row; `key` names it from report to report. `is_total`: set in bold."""

    key: str
    cells: tuple[Cell, ...]
    is_total: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table. `is_wide`: on pages across. `note` stands below it."""

    key: str
    title: str
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    is_wide: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Hour:
    """One hour of a calendar: the state that colours it, and the covered share of its known minutes in percent."""

    state: Literal["covered", "degraded", "no_service", "unknown", "outside"]
    percent: int | None


@dataclass(frozen=True, slots=True)
class CalendarDay:
    """One day: its date as written, and 24 hours."""

    label: str
    hours: tuple[Hour, ...]


@dataclass(frozen=True, slots=True)
class Calendar:
    """A month by day and hour; `legend` names the states in the order covered, degraded, no_service, unknown."""

    key: str
    title: str
    days: tuple[CalendarDay, ...]
    legend: tuple[str, str, str, str]
    day_title: str


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a report. `what` says which of the other fields hold it; `level` is a heading's, or "photo" a file
    named by the SHA-256 of its bytes."""

    what: Literal["heading", "text", "item", "note", "table", "calendar", "photo", "annex"]
    text: str = ""
    level: int = 1
    table: Table | None = None
    calendar: Calendar | None = None
    photo: str = ""


@dataclass(frozen=True, slots=True)
class Letterhead:
    """What stands around a report's body; what an office keeps blank (number, name, signature) is not here.

    `issuer`: lines in capitals; `issuer_name`: the same inside a sentence."""

    superior: str = ""
    issuer: tuple[str, ...] = ()
    issuer_name: str = ""
    place: str = ""
    symbol: str = "BC-UBND"
    addressed: tuple[str, ...] = ()
    recipients: tuple[str, ...] = ()
    authority: str = "TM. ỦY BAN NHÂN DÂN"
    signer: str = "CHỦ TỊCH"


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the numbers come from. `ledger_n`, `redo_n`, `registry_n`: the last row of the ledger, of its list of
    changed rows, and of the registry's change list that were read. The log's fields are None while none is sealed."""

    rules: tuple[str, ...]
    ledger_n: int
    redo_n: int
    registry_n: int
    proof_url: str
    log_name: str | None = None
    log_size: int | None = None
    log_root: str | None = None
    log_signed_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """A whole report. `paragraph` is what goes into another report, `sheet` the one row for a shared sheet."""

    id: str
    kind: Kind
    language: Language
    unit: str
    unit_name: str
    period: Period
    as_of_ms: int
    head: Letterhead
    title: str
    subject: str
    blocks: tuple[Block, ...]
    provenance: Provenance
    paragraph: str = ""
    sheet: Table | None = None
    is_simulated: bool = False


def tables(report: Report) -> Iterator[Table]:
    """Every table of the body, in order; the sheet's row last."""
    yield from (block.table for block in report.blocks if block.table is not None)
    if report.sheet is not None:
        yield report.sheet


def shown(cell: Cell, language: Language) -> str:
    """A cell as it is printed."""
    return cell.shown(language) if isinstance(cell, Figure) else cell
