"""The sealer over a real ledger: one root for one size whatever happens, and nothing signed over what was changed."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import backup
from collector.core import sealing, tiles
from collector.leaves import SOURCES, LedgerLeaves
from collector.ledger_port import NoteRow
from collector.seal import Round, Sealer
from collector.seal_audit import Broken
from collector.seal_store import SealStore, Shard
from collector.tile_files import TileFiles
from probe.core import beacon
from tests.collector.door import Door
from tests.collector.harm import rewrite
from tests.collector.kit import ORIGIN, FakeProbe
from wire import tlog
from wire.errors import Unavailable
from wire.note import Signer, sign

KEY = Signer.from_seed(f"{ORIGIN}/log", bytes(range(32)))
YEAR_MS = 365 * 86_400_000
NOW_MS = 1_790_000_500_000  # 2026
STEPS = ["assigned", "tiled", "signed", "persisted", "published"]


class Stopped(Exception):
    """The power went, here."""


class Log:
    """A ledger with its sealer; `stop_at` names the step after which the sealer is gone."""

    def __init__(self, folder: Path, probe: FakeProbe) -> None:
        self.folder, self.probe = folder, probe
        self.door = Door(folder, probe)
        self.stop_at: str | None = None
        self.open()

    def open(self, **changes: int) -> None:
        self.store = SealStore(self.folder / "seal.db")
        self.leaves = LedgerLeaves(self.folder / "ledger.db")
        sources = [self.leaves, *(LedgerLeaves(self.folder / "ledger.db", name) for name in SOURCES[1:])]
        self.sealer = Sealer(self.store, sources, self.folder / "log", KEY, ORIGIN, step=self.step, **changes)

    def close(self) -> None:
        self.store.close()
        self.leaves.close()

    def again(self, **changes: int) -> None:
        """The sealer's process ends and starts anew."""
        self.close()
        self.open(**changes)

    def step(self, name: str) -> None:
        if name == self.stop_at:
            raise Stopped(name)

    def tests(self, count: int) -> None:
        for at in range(0, count, 10):
            self.door.take(self.probe.probe, *(self.probe.test() for _ in range(min(10, count - at))))

    def round(self) -> Round:
        return self.sealer.round(NOW_MS)

    def shard(self) -> Shard:
        return self.store.shards()[-1]

    def seen(self, shard: Shard | None = None) -> tlog.Checkpoint:
        """What the public sees, verified with the public key alone."""
        shard = shard or self.shard()
        raw = TileFiles(self.sealer.folder(shard)).published()
        assert raw is not None
        return tlog.open_checkpoint(raw, Signer.from_seed(shard.name, KEY.seed).verifier)

    def raws(self) -> list[bytes]:
        return [leaf.raw for leaf in self.leaves.rows(0, 10_000)]

    def rewrite(self, changes: dict[int, bytes]) -> None:
        """Put other bytes in the place of records' own."""
        rewrite(self.folder / "ledger.db", changes)

    def sql(self, text: str) -> None:
        with sqlite3.connect(self.folder / "ledger.db") as db:
            db.execute(text)


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    made = Log(tmp_path, FakeProbe("p-one"))
    yield made
    made.close()
    made.door.close()


def test_the_checkpoint_is_over_the_records_in_the_order_of_the_ledger(log: Log) -> None:
    log.tests(300)
    assert log.round().sealed == 300
    seen = log.seen()
    assert (seen.origin, seen.size) == (f"{ORIGIN}/log/2026", 300)
    assert seen.root == tlog.root([tlog.leaf_hash(raw) for raw in log.raws()])
    assert log.round().signed is None, "nothing new, nothing signed"


def test_every_record_can_be_proved_and_every_checkpoint_follows_from_the_one_before(log: Log) -> None:
    seen = []
    for count in (3, 250, 4, 300):
        log.tests(count)
        log.round()
        seen.append(log.seen())
    tree = tiles.Tree(557, TileFiles(log.sealer.folder(log.shard())).read)
    for old in seen:
        assert tlog.verify_consistency(old.size, 557, old.root, seen[-1].root, tree.consistency(old.size))
    for n in (1, 3, 254, 557):
        place = log.store.place("record", n)
        assert place is not None
        index = place[1]
        leaf = tlog.leaf_hash(log.raws()[n - 1])
        assert tlog.verify_inclusion(leaf, index, 557, tree.inclusion(index), seen[-1].root)


@pytest.mark.parametrize("step", STEPS)
def test_a_stop_at_any_step_never_gives_one_size_two_roots(log: Log, step: str) -> None:
    log.tests(20)
    log.round()
    log.tests(17)
    log.stop_at = step
    with pytest.raises(Stopped):
        log.round()
    log.stop_at = None
    log.tests(5)  # the ledger goes on while the sealer is gone
    log.again()
    log.round()
    log.round()
    assert log.seen().size == 42
    assert log.seen().root == tlog.root([tlog.leaf_hash(raw) for raw in log.raws()])
    notes = {}
    with sqlite3.connect(log.folder / "seal.db") as db:
        for size, root in db.execute("SELECT size, root FROM checkpoint"):
            assert notes.setdefault(size, root) == root == tlog.root([tlog.leaf_hash(r) for r in log.raws()[:size]])
    assert {20, 42} <= set(notes)


def test_a_second_root_for_a_size_cannot_be_kept(log: Log) -> None:
    log.tests(5)
    signed = log.round().signed
    assert signed is not None
    with pytest.raises(Unavailable):
        log.store.keep(log.shard().n, signed)


@pytest.mark.parametrize(
    "harm",
    [
        "",
        "UPDATE entry SET leaf = (SELECT leaf FROM entry WHERE n = 8) WHERE n = 7",
        "DELETE FROM entry WHERE n = 7",
    ],
)
@pytest.mark.parametrize("restarts", [False, True])
def test_a_changed_or_deleted_row_is_found_before_the_next_signature(log: Log, harm: str, restarts: bool) -> None:
    log.tests(30)
    log.round()
    if "DELETE" not in harm:
        log.rewrite({7: log.raws()[7]})
    if harm:
        log.sql(harm)
    log.tests(3)
    if restarts:
        log.again()
    with pytest.raises(Broken, match="record 7 of the ledger"):
        log.round()
    assert log.seen().size == 30
    with pytest.raises(Broken):
        log.round()


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE block SET packed = zeroblob(40) WHERE first_n = 11",
        "UPDATE block SET packed = CAST(substr(packed, 1, 30) || x'55' || substr(packed, 32) AS BLOB)"
        " WHERE first_n = 11",
        "UPDATE block SET signatures = (SELECT signatures FROM block WHERE first_n = 1) WHERE first_n = 11",
        "UPDATE block SET (packed, signatures) = (SELECT packed, signatures FROM block WHERE first_n = 1)"
        " WHERE first_n = 11",
        "DELETE FROM block WHERE first_n = 11",
        "UPDATE block SET first_n = 12 WHERE first_n = 11",
    ],
)
def test_a_changed_or_deleted_block_is_found_before_the_next_signature(log: Log, harm: str) -> None:
    log.tests(30)
    log.round()
    with pytest.raises(sqlite3.IntegrityError, match="records are evidence"):
        log.sql(harm)
    log.sql("DROP TRIGGER block_stays")
    log.sql("DROP TRIGGER block_is_final")
    log.sql(harm)
    log.tests(3)
    with pytest.raises(Broken, match=r"record 1[1-9] of the ledger"):
        log.round()
    assert log.seen().size == 30


def test_a_row_that_changes_before_it_was_ever_sealed_is_found(log: Log) -> None:
    log.tests(5)
    log.rewrite({3: log.raws()[3]})
    with pytest.raises(Broken, match="record 3"):
        log.round()


def test_a_large_ledger_is_audited_round_by_round(log: Log) -> None:
    log.tests(100)
    log.round()
    log.again(audited_rows=30)
    log.rewrite({95: bytes(9)})
    for _ in range(3):
        log.tests(1)
        log.round()
    log.tests(1)
    with pytest.raises(Broken, match="record 95"):
        log.round()


def test_the_last_rows_deleted_are_missed_at_once(log: Log) -> None:
    log.tests(9)
    log.round()
    log.sql("DELETE FROM entry WHERE n > 7")
    with pytest.raises(Broken, match="rows were deleted or an older file was put back"):
        log.round()


def test_an_older_ledger_is_found_and_a_restore_opens_a_log_that_names_the_lost_one(log: Log) -> None:
    log.tests(20)
    log.round()
    log.sql(f"VACUUM INTO '{log.folder / 'backup.db'}'")
    late = [log.probe.test() for _ in range(10)]
    log.door.take("p-one", *late)
    log.round()
    lost = log.seen()
    log.close()
    log.door.close()
    for rest in ("", "-wal", "-shm"):
        (log.folder / f"ledger.db{rest}").unlink(missing_ok=True)
    shutil.copy(log.folder / "backup.db", log.folder / "ledger.db")
    log.door = Door(log.folder, log.probe)
    log.open()
    with pytest.raises(Broken, match="dosong-collector restored"):
        log.round()
    assert log.door.ledger.raise_generation() == 1
    log.door.take("p-one", *late[1:4], log.probe.test(), late[0])
    log.round()
    assert [shard.name for shard in log.store.shards()] == [f"{ORIGIN}/log/2026", f"{ORIGIN}/log/2026-1"]
    first = log.shard().first_leaf
    assert tlog.open_checkpoint(first, Signer.from_seed(lost.origin, KEY.seed).verifier) == lost
    fresh = [tlog.leaf_hash(raw) for raw in (first, *log.raws()[20:])]
    assert log.seen() == tlog.Checkpoint(f"{ORIGIN}/log/2026-1", 6, tlog.root(fresh))
    assert log.store.place("record", 20) == (log.store.shards()[0], 19)
    assert log.store.place("record", 21) == (log.shard(), 1)
    log.tests(3)
    log.rewrite({12: bytes(9)})
    with pytest.raises(Broken, match="record 12"):
        log.round()


def test_an_older_seal_db_is_found_by_what_was_published(log: Log) -> None:
    log.tests(5)
    log.round()
    log.close()
    shutil.copy(log.folder / "seal.db", log.folder / "old.db")
    log.open()
    log.tests(5)
    log.round()
    log.close()
    for rest in ("", "-wal", "-shm"):
        (log.folder / f"seal.db{rest}").unlink(missing_ok=True)
    shutil.copy(log.folder / "old.db", log.folder / "seal.db")
    log.open()
    with pytest.raises(Broken, match=r"seal\.db does not know it"):
        log.round()


def test_another_ones_checkpoint_in_our_place_is_found(log: Log) -> None:
    log.tests(5)
    log.round()
    other = Signer.from_seed(log.shard().name, b"\x07" * 32)
    files = TileFiles(log.sealer.folder(log.shard()))
    files.publish(tlog.sign_checkpoint(tlog.Checkpoint(other.name, 5, b"\0" * 32), other))
    with pytest.raises(Broken, match="not ours"):
        log.round()


def test_a_damaged_tile_is_never_signed_over(log: Log) -> None:
    log.tests(300)
    log.round()
    path = log.sealer.folder(log.shard()) / "tile/0/000"
    raw = bytearray(path.read_bytes())
    raw[5] ^= 1
    path.write_bytes(raw)
    log.tests(1)
    with pytest.raises(Broken):
        log.round()


def test_every_year_has_its_log_and_they_are_a_chain(log: Log) -> None:
    log.tests(4)
    log.round()
    log.door.now_ms += YEAR_MS
    log.tests(3)
    for _ in range(3):
        log.round()
    assert [shard.name for shard in log.store.shards()] == [f"{ORIGIN}/log/2026", f"{ORIGIN}/log/2027"]
    old, new = log.store.shards()
    assert tlog.open_checkpoint(new.first_leaf, Signer.from_seed(old.name, KEY.seed).verifier) == log.seen(old)
    assert (log.seen(old).size, log.seen().size) == (4, 4)
    assert log.store.place("record", 5) == (new, 1)
    assert log.round() == Round(0, None)


def test_a_clock_that_was_set_back_never_opens_an_older_log(log: Log) -> None:
    log.tests(2)
    log.round()
    log.door.now_ms -= 2 * YEAR_MS
    log.tests(2)
    log.round()
    assert len(log.store.shards()) == 1
    assert log.seen().size == 4


@pytest.mark.parametrize(
    ("held", "at_ms", "next_"),
    [
        (0, NOW_MS, 22_774_900),  # seconds since 2026
        (22_774_900, NOW_MS, 22_774_901),
        (7, 0, 8),  # a clock that was never set
        (7, 4_000_000_000_000, 8),  # one that stands in 2096: a name that probes do not know as a log's, and for ever
    ],
)
def test_a_restore_is_numbered_by_its_moment_if_that_can_be_true(held: int, at_ms: int, next_: int) -> None:
    assert sealing.next_generation(held, at_ms) == next_
    heard = tlog.sign_checkpoint(
        tlog.Checkpoint(name := sealing.shard_name(ORIGIN, 2026, next_), 1, bytes(32)), Signer.from_seed(name, KEY.seed)
    )
    assert beacon.read(heard, KEY.verifier).shard == (next_, 2026)


def test_indices_of_rows_with_holes_between_them() -> None:
    rows = [sealing.Row("record", n, b"", 0) for n in (1, 2, 5)] + [sealing.Row("receipt", 1, b"", 0)]
    assert sealing.stretches(rows, 7) == [
        sealing.Stretch(7, 2, "record", 1),
        sealing.Stretch(9, 1, "record", 5),
        sealing.Stretch(10, 1, "receipt", 1),
    ]


def test_receipts_are_leaves_too(log: Log) -> None:
    log.tests(2)
    raw = b"what a point signed"
    packed = log.door.ledger._packer.pack(raw)
    with sqlite3.connect(log.folder / "ledger.db") as db:
        db.execute(
            "INSERT INTO receipt (leaf, probe, point, ticket, direction, signed_ms, received_ms, raw)"
            " VALUES (?, 'p-one', 'd', 't', 'downlink', ?, ?, ?)",
            (tlog.leaf_hash(raw), NOW_MS, NOW_MS, packed),
        )
    log.sealer._sources["receipt"] = LedgerLeaves(log.folder / "ledger.db", "receipt")
    log.round()
    assert log.seen().root == tlog.root([tlog.leaf_hash(one) for one in (*log.raws(), raw)])
    assert log.store.place("receipt", 1) == (log.shard(), 2)


def test_a_log_that_ended_before_it_was_signed_does_not_hide_the_one_before(log: Log) -> None:
    log.tests(5)
    log.round()
    before = log.seen()
    log.door.ledger.raise_generation()
    log.stop_at = "opened"
    with pytest.raises(Stopped):
        log.round()
    log.stop_at = None
    log.door.ledger.raise_generation()
    log.again()
    log.tests(1)
    log.round()
    first = log.shard().first_leaf
    assert log.shard().name.endswith("/2026-2")
    assert tlog.open_checkpoint(first, Signer.from_seed(before.origin, KEY.seed).verifier) == before


def _keep_notes(log: Log, count: int) -> list[bytes]:
    raws = [sign(f"{ORIGIN}/statement/v1\nnote {at} of {count}\n".encode(), KEY) for at in range(count)]
    with log.door.ledger.transaction():
        for raw in raws:
            log.door.ledger.keep_note(NoteRow(tlog.leaf_hash(raw), "statement", KEY.name, "x", NOW_MS, NOW_MS, raw))
    return raws


def test_notes_of_the_ledger_are_leaves_and_never_taken_for_a_logs_first_entry(log: Log) -> None:
    log.tests(3)
    notes = _keep_notes(log, 2)
    log.round()
    assert log.seen().root == tlog.root([tlog.leaf_hash(raw) for raw in (*log.raws(), *notes)])
    log.door.ledger.raise_generation()
    log.round()
    more = _keep_notes(log, 3)
    log.tests(2)
    log.round()
    fresh = [log.shard().first_leaf, *log.raws()[3:], *more]
    assert log.seen().root == tlog.root([tlog.leaf_hash(raw) for raw in fresh])
    assert [one.size for one in backup.verify(log.folder, lambda _text: None)] == [5, 6]


@pytest.mark.parametrize("width", [256, 44, 1])
def test_a_tile_that_was_replaced_is_found(log: Log, width: int) -> None:
    log.tests(300)
    log.round()
    index = {256: 0, 44: 1, 1: 0}[width]
    path = log.sealer.folder(log.shard()) / tiles.tile_path(1 if width == 1 else 0, index, width)
    raw = bytearray(path.read_bytes())
    raw[7] ^= 1
    path.write_bytes(bytes(raw))
    log.tests(1)
    log.again()
    with pytest.raises(Broken):
        log.round()
    assert log.seen().size == 300


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE checkpoint SET root = zeroblob(32) WHERE size = 20",
        "UPDATE checkpoint SET root = zeroblob(32) WHERE size = 40",
        "UPDATE checkpoint SET note = CAST(substr(note, 1, 150) || 'AAAA' || x'0a' AS BLOB) WHERE size = 20",
        "UPDATE run SET first_n = first_n + 1, count = count - 1 WHERE first_index = 20",
        "DELETE FROM run WHERE first_index = 20",
        "UPDATE shard SET name = name || '0'",
        "UPDATE shard SET gen = 7",
        "INSERT INTO base VALUES (1, 'record', 41)",
    ],
)
def test_a_changed_seal_db_is_found(log: Log, harm: str) -> None:
    for _ in range(2):
        log.tests(20)
        log.round()
    log.close()
    with sqlite3.connect(log.folder / "seal.db") as db:
        db.execute(harm)
    log.open()
    log.tests(3)
    with pytest.raises((Broken, Unavailable)):
        log.round()
    raw = TileFiles(log.folder / "log" / "2026").published()
    assert raw is not None
    assert tlog.open_checkpoint(raw, Signer.from_seed(f"{ORIGIN}/log/2026", KEY.seed).verifier).size == 40


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE run SET first_n = first_n + 1 WHERE first_index = 20",
        "UPDATE run SET first_n = first_n - 1 WHERE first_index = 20",
        "UPDATE run SET first_n = 1 WHERE first_index = 20",
        "UPDATE run SET count = count - 1 WHERE first_index = 20",
        "UPDATE run SET count = count + 1 WHERE first_index = 20",
        "UPDATE run SET first_index = 21 WHERE first_index = 20",
        "UPDATE run SET source = 'note' WHERE first_index = 20",
    ],
)
def test_an_index_that_was_given_and_is_changed_before_it_is_signed_is_found(log: Log, harm: str) -> None:
    log.tests(20)
    log.round()
    log.tests(20)
    log.stop_at = "assigned"
    with pytest.raises(Stopped):
        log.round()
    log.stop_at = None
    log.tests(5)
    log.close()
    with sqlite3.connect(log.folder / "seal.db") as db:
        db.execute(harm)
    log.open()
    try:
        log.round()
    except (Broken, Unavailable):
        assert log.seen().size == 20
    else:
        # The same rows in the same order, each once: only where one stretch ends and the next begins was changed.
        places = [(run.first_n, run.count) for run in log.store.runs(log.shard().n)]
        assert [n for first, count in places for n in range(first, first + count)] == list(range(1, 46))


def test_a_row_whose_head_claims_gigabytes_reads_as_changed_and_asks_for_no_memory(log: Log) -> None:
    log.tests(9)
    log.round()
    packed = log.door.sql("SELECT packed FROM block WHERE first_n = 1")[0][0]
    claims = packed[:4] + bytes([packed[4] | 0xC0]) + packed[5:]
    log.sql("DROP TRIGGER block_is_final")
    log.sql(f"UPDATE block SET packed = x'{claims.hex()}' WHERE first_n = 1")  # noqa: S608
    log.tests(1)
    with pytest.raises(Broken, match="record 1"):
        log.round()
