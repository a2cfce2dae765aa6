"""Receipts at the probe: on disk with their record, before it in the same message, gone with it."""

from __future__ import annotations

import base64
import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from probe.core import parcel
from probe.core.engine_terms import EngineResult
from probe.measure import _receipts
from probe.spool import Spool
from probe.spool_files import SCHEMA
from tests.probe.kit import event, make_recorder
from tests.probe.test_spool import opened
from wire import bundle
from wire.codec import leaf_hash, leaf_text
from wire.errors import Unavailable

ONE, TWO = b"receipt one" * 40, b"receipt two" * 40


def test_receipts_are_kept_with_their_record_in_one_commit_and_counted_as_space(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path)
    empty = spool.depth().bytes
    kept = recorder.keep(event(recorder), receipts=(ONE, TWO))
    assert kept.receipts == (ONE, TWO)
    assert spool.depth().bytes - empty >= len(kept.raw) + len(ONE) + len(TWO)
    spool.close()
    spool, recorder = opened(tmp_path)
    recorder.keep(event(recorder))
    assert [k.receipts for k in spool.waiting(10)] == [(ONE, TWO), ()]
    with pytest.raises(Unavailable):
        recorder.keep(event(recorder), {"slot m1": object()}, (ONE,))  # type: ignore[dict-item]
    assert [k.receipts for k in spool.waiting(10)] == [(ONE, TWO), ()], "nothing of a commit that failed"
    spool.close()


def test_a_dropped_or_forgotten_record_takes_its_receipts_along(tmp_path: Path) -> None:
    spool, recorder = opened(tmp_path, 65_536)
    for _ in range(200):
        recorder.keep(event(recorder), receipts=(ONE, TWO))
    assert spool.depth().bytes <= 65_536
    with sqlite3.connect(tmp_path / "spool.db") as db:
        assert db.execute("SELECT count(*) FROM record WHERE raw IS NULL AND receipts IS NOT NULL").fetchone() == (0,)
    gaps = [k for k in spool.waiting(1000) if k.kind == "gap"]
    assert gaps
    assert all(k.receipts == () for k in gaps)
    spool.close()


def test_a_spool_of_before_receipts_is_opened_and_keeps_its_records(tmp_path: Path) -> None:
    old = SCHEMA.replace(", receipts BLOB", "")
    assert old != SCHEMA
    with sqlite3.connect(tmp_path / "spool.db") as db:
        db.executescript(old)
    spool = Spool(tmp_path, 1_000_000)
    recorder = make_recorder(spool)
    recorder.keep(event(recorder), receipts=(ONE,))
    assert [k.receipts for k in spool.waiting(10)] == [(ONE,)]
    spool.close()


def test_groups_stay_in_one_message_whatever_their_sizes() -> None:
    groups = [tuple(bytes([n % 250 + 1]) * size for _ in range(3)) for n, size in enumerate([10, 4096, 900] * 40)]
    payloads = list(parcel.messages(groups))
    assert len(payloads) > 2
    assert all(len(payload) <= bundle.MAX_BYTES for payload in payloads)
    entries = [bundle.decode(payload) for payload in payloads]
    assert [raw for message in entries for raw in message] == [raw for group in groups for raw in group]
    assert all(len(message) % 3 == 0 for message in entries), "no group is parted"
    assert list(parcel.messages([])) == []


def test_what_cannot_be_read_as_receipts_holds_no_record_back() -> None:
    assert parcel.unpack_receipts(None) == parcel.unpack_receipts(b"\xff") == ()
    assert parcel.unpack_receipts(parcel.pack_receipts((ONE, TWO))) == (ONE, TWO)
    assert parcel.pack_receipts(()) is None


def test_only_receipts_that_the_record_names_leave_the_engine() -> None:
    def text(raw: bytes) -> str:
        return base64.b64encode(raw).decode()

    huge = b"x" * 5000
    result = EngineResult(
        "ok",
        downlink_receipt=leaf_text(leaf_hash(ONE)),
        uplink_receipt=leaf_text(leaf_hash(huge)),
        receipts=(text(ONE), text(TWO), text(huge)),
    )
    assert _receipts(result) == (ONE,)
    assert _receipts(replace(result, receipts=())) == ()
