"""The ledger's records as JSON lines, signed bytes included: for third parties that check, and for demo-check."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from collector.core.sample import Sample
from collector.core.verdict import Judgement
from collector.ledger import LedgerReader
from collector.verdict_store import VerdictReader
from wire.errors import Unavailable

BATCH = 500


def rows(
    reader: LedgerReader,
    *,
    epoch: int | None = None,
    probe: str | None = None,
    hamlet: str | None = None,
    verdicts: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield records in the order of their commit. `raw` is base64 of the bytes as signed.

    `receipts` are the notes that a measurement point signed of the test, as far as the record names them.
    `verdict` and `rules` are what `judge` derived, in the file `verdicts`; None and [] for a record not judged yet.

    Raises Unavailable while the ledger cannot be read.
    """
    after, known = 0, None if verdicts is None else VerdictReader(verdicts)
    while batch := reader.samples(probe=probe, hamlet=hamlet, after_n=after, limit=BATCH, newest_first=False):
        after = batch[-1].n
        judged = _judged(known, batch)
        wanted = (sample for sample in batch if epoch is None or sample.epoch == epoch)
        yield from (_row(sample, reader.receipt_bytes(sample), judged.get(sample.n)) for sample in wanted)


def _judged(verdicts: VerdictReader | None, batch: Sequence[Sample]) -> dict[int, Judgement]:
    try:
        return {} if verdicts is None else verdicts.of([sample.n for sample in batch])
    except Unavailable:
        return {}


def _row(sample: Sample, receipts: list[bytes], judged: Judgement | None) -> dict[str, Any]:
    return {
        "n": sample.n,
        "probe": sample.probe,
        "epoch": sample.epoch,
        "seq": sample.seq,
        "kind": sample.kind,
        "received_ms": sample.received_ms,
        "commune": sample.commune,
        "hamlet": sample.hamlet,
        "counted": sample.counted,
        "not_counted": list(sample.not_counted),
        "verdict": None if judged is None else judged.verdict.value,
        "rules": [] if judged is None else [hit.rule for hit in judged.hits],
        "fault": sample.fault,
        "raw": base64.b64encode(sample.raw).decode(),
        "receipts": [base64.b64encode(raw).decode() for raw in receipts],
    }
