"""The desk where reports are made, kept, made again and compared: what web, command line and reminders share."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from collector.core.period import Period
from collector.core.report_changes import Changed, changes, with_changes
from collector.core.report_model import Kind
from collector.core.view import Language
from collector.ledger import LedgerReader
from collector.registry import Registry
from collector.reports.formats import FORMATS, draw_all
from collector.reports.gather import Asked
from collector.reports.make import Maker
from collector.reports.store import Kept, ReportStore
from collector.seal_store import SealReader
from collector.settings import Settings
from wire.errors import Refused


@dataclass(frozen=True, slots=True)
class Again:
    """One form drawn again from the kept model: whether it has the same bytes as when it was given out."""

    format: str
    raw: bytes
    is_same: bool


class Desk:
    """Makes and keeps reports. `photos` is the folder of mounting photos, named by their SHA-256."""

    def __init__(self, maker: Maker, store: ReportStore, photos: Path) -> None:
        self.maker, self.store, self._photos = maker, store, photos

    def make(self, kind: Kind, unit: str, whole: Period, now_ms: int, language: Language = "vi", by: str = "-") -> Kept:
        """Make a report of now, with the page of changes since the one before, and keep it in every form."""
        asked = Asked(kind, unit, whole, now_ms, language)
        office = self.store.office(unit)
        report = self.maker.make(asked, None if office is None else office.head)
        held = self.store.one(report.id)
        if held is not None:
            return held
        before = self.store.before(kind, unit, whole, language)
        found: list[Changed] = []
        if before is not None:
            found = self.changed(before, now_ms)
            report = with_changes(report, self.store.report(before), found, self._late(before, asked))
        drawn = draw_all(report, self._photo)
        follows = None if before is None else before.id
        return self.store.keep(report, whole, drawn, now_ms, by, follows, len(found))

    def changed(self, kept: Kept, now_ms: int) -> list[Changed]:
        """What is otherwise by now in the figures of a snapshot, over the very span that it was about.

        What a running period has gained since is growth, not a change: it is looked at only up to the snapshot's own
        moment, while a period that was over is looked at with all that was entered since.
        """
        as_of_ms = now_ms if kept.as_of_ms >= kept.ends_ms else kept.as_of_ms
        asked = Asked(kept.kind, kept.unit, kept.whole, as_of_ms, kept.language)
        return changes(self.store.report(kept), self.maker.make(asked))

    def again(self, kept: Kept, name: str) -> Again:
        """Draw one form of a snapshot again. Raises Refused for a form that it does not have."""
        held = self.store.drawn(kept.id, name)
        if held is None:
            raise Refused("format", f"report {kept.id} has no {name}; its forms are {', '.join(FORMATS)}")
        raw = FORMATS[name].draw(self.store.report(kept), self._photo)
        return Again(name, raw, raw == held)

    def _late(self, before: Kept, asked: Asked) -> int | None:
        span = asked if before.as_of_ms >= before.ends_ms else replace(asked, as_of_ms=before.as_of_ms)
        return self.maker.late(before.ledger_n, span)

    def _photo(self, sha256: str) -> bytes | None:
        path = self._photos / sha256
        found = path if path.is_file() else next(iter(self._photos.glob(f"{sha256}.*")), None)
        if found is None:
            return None
        raw = found.read_bytes()
        return raw if hashlib.sha256(raw).hexdigest() == sha256 else None


def open_desk(
    settings: Settings, reader: LedgerReader, registry: Registry, store: Callable[[Path], ReportStore] = ReportStore
) -> Desk:
    """The desk of a collector."""
    kept = store(settings.state)
    seals = SealReader(settings.seal) if settings.seal.exists() else None
    public_url = settings.reports.public_url or f"https://{settings.origin}"
    maker = Maker(reader, registry, seals, public_url, kept.remarks, settings.verdict.lte_category)
    return Desk(maker, kept, settings.state / "photos")
