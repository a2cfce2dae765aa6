"""A report laid out for paper, as plain values that a renderer only has to draw: letterhead, body, signature, sources.

Both paper formats (PDF, DOCX) and the preview draw from this, so what stands where is decided once.
Source: facts note 01 §5 (Nghị định 30/2020/NĐ-CP, Phụ lục I).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from collector.core.report_model import Block, Calendar, Figure, Report, Table, shown
from collector.core.report_words import minute_text, place_date, say
from collector.core.view import Language, decimal


@dataclass(frozen=True, slots=True)
class PrintedCell:
    """A cell as text. `value`: its number for a spreadsheet, None for words and for what is not known."""

    text: str
    bold: bool
    value: float | None = None
    digits: int = 0


@dataclass(frozen=True, slots=True)
class PrintedTable:
    """A table as text."""

    title: str
    heads: tuple[str, ...]
    weights: tuple[int, ...]
    aligns: tuple[str, ...]
    rows: tuple[tuple[PrintedCell, ...], ...]
    note: str
    wide: bool


@dataclass(frozen=True, slots=True)
class PrintedHour:
    """One hour of a calendar."""

    state: str
    text: str


@dataclass(frozen=True, slots=True)
class PrintedDay:
    """One day of a calendar."""

    label: str
    hours: tuple[PrintedHour, ...]


@dataclass(frozen=True, slots=True)
class PrintedCalendar:
    """A calendar as text."""

    title: str
    day_title: str
    days: tuple[PrintedDay, ...]
    legend: tuple[str, str, str, str]


@dataclass(frozen=True, slots=True)
class PrintedBlock:
    """One block of the body or of an annex."""

    what: str
    text: str = ""
    table: PrintedTable | None = None
    calendar: PrintedCalendar | None = None
    photo: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """The whole sheet. Number, name and signature are blank by design."""

    language: Language
    superior: str
    issuer_lines: tuple[str, ...]
    issuer_name: str
    nation: str
    motto: str
    number: str
    place_date: str
    title: str
    subject: str
    simulated: str
    addressed_word: str
    addressed: tuple[str, ...]
    body: tuple[PrintedBlock, ...]
    recipients_word: str
    recipients: tuple[str, ...]
    signing: tuple[str, ...]
    sources: tuple[str, ...]
    draft: str
    annexes: tuple[tuple[PrintedBlock, ...], ...]


def laid_out(report: Report) -> Page:
    """Lay a report out."""
    head, language = report.head, report.language
    cut = next((at for at, block in enumerate(report.blocks) if block.what == "annex"), len(report.blocks))
    blocks = tuple(_block(block, language) for block in report.blocks)
    return Page(
        language=language, superior=head.superior, issuer_lines=head.issuer, issuer_name=head.issuer_name,
        nation=say("nation", language), motto=say("motto", language),
        number=say("number", language, symbol=head.symbol),
        place_date=place_date(head.place, report.as_of_ms, language), title=report.title, subject=report.subject,
        simulated=say("simulated", language) if report.is_simulated else "",
        addressed_word=say("addressed", language), addressed=head.addressed, body=_ended(blocks[:cut]),
        recipients_word=say("recipients", language), recipients=(*head.recipients, say("filed", language)),
        signing=tuple(line for line in (head.authority, head.signer) if line), sources=sources(report),
        draft=say("draft", language), annexes=tuple(_annexes(blocks[cut:])),
    )  # fmt: skip


def _ended(body: tuple[PrintedBlock, ...]) -> tuple[PrintedBlock, ...]:
    """A paper's text ends with "./."; one that ends with a table has none."""
    if not body or body[-1].what not in ("text", "item", "note"):
        return body
    return (*body[:-1], replace(body[-1], text=f"{body[-1].text.rstrip('. ')}./."))


def _annexes(blocks: Sequence[PrintedBlock]) -> Iterator[tuple[PrintedBlock, ...]]:
    starts = [at for at, block in enumerate(blocks) if block.what == "annex"]
    yield from (tuple(blocks[at:end]) for at, end in zip(starts, [*starts[1:], len(blocks)], strict=False))


def sources(report: Report) -> tuple[str, ...]:
    """The sentences that say where the numbers come from and how to check them."""
    proof, language = report.provenance, report.language
    figures = say(
        "sources.figures", language, ledger_n=decimal(proof.ledger_n, 0, language),
        redo_n=decimal(proof.redo_n, 0, language), registry_n=decimal(proof.registry_n, 0, language),
        rules=", ".join(proof.rules),
    )  # fmt: skip
    if proof.log_size is None or proof.log_signed_ms is None:
        log = say("sources.log.none", language)
    else:
        log = say(
            "sources.log", language, name=proof.log_name, size=decimal(proof.log_size, 0, language),
            root=proof.log_root, signed=minute_text(proof.log_signed_ms, language),
        )  # fmt: skip
    return figures, log, say("sources.page", language, url=proof.proof_url, id=report.id)


def printed(table: Table, language: Language) -> PrintedTable:
    """A table as text."""
    rows = tuple(
        tuple(
            PrintedCell(
                shown(cell, language), row.is_total,
                cell.number if isinstance(cell, Figure) else None, cell.digits if isinstance(cell, Figure) else 0,
            )
            for cell in row.cells
        )
        for row in table.rows
    )  # fmt: skip
    return PrintedTable(
        table.title, tuple(column.title for column in table.columns), tuple(column.weight for column in table.columns),
        tuple(column.align for column in table.columns), rows, table.note, table.is_wide,
    )  # fmt: skip


def _block(block: Block, language: Language) -> PrintedBlock:
    return PrintedBlock(
        block.what, block.text, None if block.table is None else printed(block.table, language),
        None if block.calendar is None else _calendar(block.calendar), block.photo,
    )  # fmt: skip


def _calendar(one: Calendar) -> PrintedCalendar:
    days = tuple(
        PrintedDay(
            day.label, tuple(PrintedHour(h.state, "" if h.percent is None else str(h.percent)) for h in day.hours)
        )
        for day in one.days
    )
    return PrintedCalendar(one.title, one.day_title, days, one.legend)
