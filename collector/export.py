"""The ledger's records as JSON lines, signed bytes included: for third parties that check, and for demo-check."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

from collector.core.sample import Sample
from collector.ledger import LedgerReader

BATCH = 500


def rows(
    reader: LedgerReader, *, epoch: int | None = None, probe: str | None = None, hamlet: str | None = None
) -> Iterator[dict[str, Any]]:
    """Yield records in the order of their commit. `raw` is base64 of the bytes as signed.

    `receipts` are the notes that a measurement point signed of the test, as far as the record names them.

    Raises Unavailable while the ledger cannot be read.
    """
    after = 0
    while batch := reader.samples(probe=probe, hamlet=hamlet, after_n=after, limit=BATCH, newest_first=False):
        after = batch[-1].n
        wanted = (sample for sample in batch if epoch is None or sample.epoch == epoch)
        yield from (_row(sample, reader.receipt_bytes(sample)) for sample in wanted)


def _row(sample: Sample, receipts: list[bytes]) -> dict[str, Any]:
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
        "fault": sample.fault,
        "raw": base64.b64encode(sample.raw).decode(),
        "receipts": [base64.b64encode(raw).decode() for raw in receipts],
    }
