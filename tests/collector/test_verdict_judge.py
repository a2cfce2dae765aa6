"""The judging process over a real ledger: verdicts by themselves, the counting behind them, and all of it again."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from collector.core.verdict import Verdict
from collector.core.verdict_case import Network
from collector.export import rows
from collector.seal_store import SealReader, SealStore, Signed
from collector.verdict_service import MOST_STRANGE, Judge
from collector.verdict_settings import read_network
from collector.verdict_store import VerdictStore
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, SLOT_MS, T0_MS, FakeProbe
from tests.collector.test_receipts import POINT, down_up, points, test_of
from tests.collector.test_receipts import receipt as signed
from wire import notes
from wire.codec import leaf_hash, leaf_text
from wire.errors import Misconfigured

__all__ = ["down_up"]
VIETTEL = Network({"45204": ("198.51.100.0/24",)})
BIG = {"path": {
    "verdict": "ok", "iface": "wwan0", "rx_bytes": 9_000_000, "tx_bytes": 9_000_000, "other_rx_bytes": 0,
    "other_tx_bytes": 0, "ifindex_changed": False,
}}  # fmt: skip
FIGURES = {"downlink_bps": 30_000_000, "uplink_bps": 35_000_000, **BIG}


class Steady(FakeProbe):
    """A probe whose counter runs with its clock."""

    def common(self, **changes: Any) -> dict[str, Any]:
        found = super().common(**changes)
        return {**found, "mono_ms": found["t_ms"] - T0_MS + 1_000}

    def test(self, **changes: Any) -> bytes:
        if changes.get("t_ms") is not None:
            changes = {"mono_ms": changes["t_ms"] - T0_MS + 1_000, **changes}
        return super().test(**changes)


@pytest.fixture
def one() -> FakeProbe:
    return Steady()


class Bench:
    """A ledger, and a judge that marks it directly."""

    def __init__(self, door: Door, folder: Path) -> None:
        self.door, self.path = door, folder / "verdict.db"
        door.now_ms += 5 * SLOT_MS
        self.store = VerdictStore(self.path)
        self.marked: list[tuple[int, bool]] = []
        self.judge = Judge(door.reader, door.registry, self.store, VIETTEL, self.mark)

    def mark(self, marks: object) -> int:
        self.marked += marks  # type: ignore[operator]
        return self.door.ingest.mark(marks)  # type: ignore[arg-type]

    def run(self) -> dict[int, Verdict]:
        self.judge.all(self.door.now_ms)
        numbers = range(1, self.door.reader.last_n() + 1)
        return {n: judged.verdict for n, judged in self.store.of(list(numbers)).items()}

    def counted(self) -> int:
        """Counted samples by rows and by sums: they are the same."""
        by_row = self.door.sql("SELECT sum(counted) FROM record")[0][0]
        by_hamlet = sum(one.counted for one in self.door.reader.hamlet_counts().values())
        assert by_row == by_hamlet
        return int(by_row)


@pytest.fixture
def here(door: Door, tmp_path: Path) -> Iterator[Bench]:
    door.registry.load(points())
    bench = Bench(door, tmp_path)
    yield bench
    bench.store.close()


def test_a_proved_test_counts_and_one_that_shows_its_receipts_again_falls_out_of_every_sum(
    here: Bench, one: FakeProbe, down_up: tuple[bytes, bytes]
) -> None:
    here.door.take("p-one", *down_up, test_of(one, *down_up, **FIGURES))
    here.door.take("p-one", test_of(one, *down_up, **FIGURES))
    assert here.counted() == 2
    assert here.run() == {1: Verdict.PROVED, 2: Verdict.SUSPECT}
    assert here.counted() == 1
    assert here.marked == [(2, True)]
    sample = here.door.reader.sample("p-one", 1, 1)
    assert sample is not None
    assert sample.not_counted == ("suspect",)
    exported = list(rows(here.door.reader, verdicts=here.path))
    assert [row["verdict"] for row in exported] == ["proved", "suspect"]
    assert exported[0]["rules"] == []
    assert "receipt.replayed" in exported[1]["rules"]


def test_judging_again_changes_nothing_and_from_nothing_gives_the_same(
    here: Bench, one: FakeProbe, down_up: tuple[bytes, bytes]
) -> None:
    here.door.take("p-one", *down_up, test_of(one, *down_up, **FIGURES), one.test(), one.coverage())
    here.door.take("p-one", test_of(one, *down_up, **FIGURES))
    first = here.run()
    assert here.run() == first
    here.store.clear()
    assert here.run() == first
    assert here.marked == [(4, True)]


def test_a_checkpoint_that_is_not_in_the_log_yet_is_looked_for_again(
    here: Bench, one: FakeProbe, tmp_path: Path
) -> None:
    """A log that does not exist, then one that is behind, then one that has it: only what was found is remembered."""
    path, root = tmp_path / "seal.db", leaf_hash(b"any leaf")
    seals = SealReader(path)
    here.judge = Judge(here.door.reader, here.door.registry, here.store, VIETTEL, here.mark, seals)
    here.door.take("p-one", one.test(beacon_size=7, beacon_root=leaf_text(root)))
    assert here.run() == {1: Verdict.PLAUSIBLE}
    log = SealStore(path)
    try:
        shard = log.open_shard(f"{ORIGIN}/log/2026", 2026, 0, b"", {})
        here.store.clear()
        assert here.run() == {1: Verdict.PLAUSIBLE}
        log.keep(shard.n, Signed(7, root, T0_MS + 3_600_000, b"note"))
        here.store.clear()
        assert here.run() == {1: Verdict.SUSPECT}
    finally:
        log.close()
        seals.close()


def test_a_root_that_was_never_signed_for_a_signed_size_is_told_once(
    here: Bench, one: FakeProbe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seals, log = SealReader(tmp_path / "seal.db"), SealStore(tmp_path / "seal.db")
    here.judge = Judge(here.door.reader, here.door.registry, here.store, VIETTEL, here.mark, seals)
    root, other = leaf_hash(b"any leaf"), leaf_text(leaf_hash(b"another"))
    log.keep(log.open_shard(f"{ORIGIN}/log/2026", 2026, 0, b"", {}).n, Signed(7, root, T0_MS, b"note"))
    try:
        names = [(7, leaf_text(root)), (7, other), (7, other), (8, other)]
        here.door.take("p-one", *(one.test(beacon_size=size, beacon_root=text) for size, text in names))
        here.run()
        here.store.clear()
        here.run()
        told = [line for line in caplog.messages if "log=other_root" in line]
        assert [line.partition(":")[0] for line in told] == [
            f"log=other_root probe=p-one epoch=1 seq=1 size=7 root={other}"
        ]
    finally:
        log.close()
        seals.close()


def test_who_invents_roots_does_not_hide_what_another_probe_saw(
    tmp_path: Path, one: FakeProbe, caplog: pytest.LogCaptureFixture
) -> None:
    other, seals, log = FakeProbe("p-two"), SealReader(tmp_path / "seal.db"), SealStore(tmp_path / "seal.db")
    (tmp_path / "here").mkdir()
    door = Door(tmp_path / "here", one, other)
    here = Bench(door, tmp_path)
    here.judge = Judge(here.door.reader, here.door.registry, here.store, VIETTEL, here.mark, seals)
    signed_root, shard = leaf_hash(b"any leaf"), log.open_shard(f"{ORIGIN}/log/2026", 2026, 0, b"", {})
    log.keep(shard.n, Signed(7, signed_root, T0_MS, b"note"))
    try:
        invented = [leaf_text(leaf_hash(f"{number}".encode())) for number in range(MOST_STRANGE + 5)]
        for root in invented:
            here.door.take("p-one", one.event(beacon_size=7, beacon_root=root))
        here.run()
        here.door.take("p-two", other.event(beacon_size=7, beacon_root=leaf_text(leaf_hash(b"another history"))))
        here.run()
        told = [line.split()[1] for line in caplog.messages if "log=other_root" in line]
        assert (told.count("probe=p-one"), told.count("probe=p-two")) == (MOST_STRANGE, 1)
    finally:
        here.store.close()
        door.close()
        log.close()
        seals.close()


def test_a_root_that_a_restore_lost_is_no_lie_of_who_heard_it(
    here: Bench, one: FakeProbe, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    seals, log = SealReader(tmp_path / "seal.db"), SealStore(tmp_path / "seal.db")
    here.judge = Judge(here.door.reader, here.door.registry, here.store, VIETTEL, here.mark, seals)
    kept, after = leaf_hash(b"in the backup"), leaf_hash(b"since the restore")
    lost, other = leaf_text(leaf_hash(b"signed behind the backup")), leaf_text(leaf_hash(b"never signed"))
    log.keep(log.open_shard(f"{ORIGIN}/log/2026", 2026, 0, b"", {}).n, Signed(5, kept, T0_MS, b"note"))
    new = log.open_shard(f"{ORIGIN}/log/2026-9", 2026, 9, b"note", {})
    for size in (1, 7):
        log.keep(new.n, Signed(size, after, T0_MS + 3_600_000, b"note"))
    try:
        names = [(7, lost, 0), (5, other, 1), (7, other, 8 * 86_400_000)]
        drafts = (one.test(beacon_size=size, beacon_root=text, t_ms=T0_MS + ms) for size, text, ms in names)
        here.door.take("p-one", *drafts)
        here.run()
        told = [line.split()[3:5] for line in caplog.messages if "log=other_root" in line]
        assert told == [["seq=1", "size=5"], ["seq=2", "size=7"]]
    finally:
        log.close()
        seals.close()


def test_what_is_no_longer_suspect_counts_again(here: Bench, one: FakeProbe) -> None:
    here.door.take("p-one", one.test(rtt_us_min=2_000))
    assert here.run() == {1: Verdict.SUSPECT}
    assert here.counted() == 0
    here.door.ingest.mark([(1, False)])
    assert here.counted() == 1
    assert here.run() == {1: Verdict.SUSPECT}, "the judge finds that the ledger says otherwise, and says it again"
    assert here.counted() == 0


def test_when_a_slots_sample_falls_out_its_other_test_counts(here: Bench, one: FakeProbe) -> None:
    here.door.take("p-one", one.test(rtt_us_min=2_000))
    here.door.take("p-one", one.test(slot_ms=T0_MS, t_ms=T0_MS + 60_000, trigger="manual"))
    assert here.counted() == 1
    assert here.run() == {1: Verdict.SUSPECT, 2: Verdict.PLAUSIBLE}
    assert here.counted() == 1
    sample = here.door.reader.sample("p-one", 1, 1)
    assert sample is not None
    assert sample.counted


def test_a_record_is_judged_again_when_its_clock_was_set(here: Bench, one: FakeProbe) -> None:
    here.door.take("p-one", one.test(t_ms=None, clock="unsynced", mono_ms=1_000))
    assert here.run() == {1: Verdict.CLAIMED}
    here.door.take("p-one", one.event("clock_set", set_mono_ms=61_000, set_t_ms=T0_MS + 60_000, set_err_ms=20))
    assert here.run()[1] is Verdict.PLAUSIBLE
    assert here.counted() == 1


def test_slots_that_were_passed_in_silence_are_told(here: Bench, one: FakeProbe) -> None:
    here.door.now_ms += 5 * SLOT_MS
    for slot in (0, 1, 4):
        here.door.take("p-one", one.test(slot_ms=T0_MS + slot * SLOT_MS, t_ms=T0_MS + slot * SLOT_MS))
    here.door.take("p-one", one.event(t_ms=T0_MS + 6 * SLOT_MS))
    here.run()
    found = [(probe, (one.slot_ms - T0_MS) // SLOT_MS) for probe, one in here.store.empty_slots()]
    assert found == [("p-one", 2), ("p-one", 3), ("p-one", 5)]


TICKETS = [
    ("its receipts were signed 121 s after the run", {"signed_ms": T0_MS + 9_000 + 121_000}, "receipt.stale"),
    ("its ticket was given to another probe", {"probe": "p-two"}, "receipt.foreign"),
    ("it came from an address that is not the operator's", {"source": "203.0.113.5"}, "source.foreign"),
]


@pytest.mark.parametrize(("what", "changes", "rule"), TICKETS, ids=[row[2] for row in TICKETS])
def test_a_ticket_that_proves_nothing_is_told_by_its_rule(
    here: Bench, one: FakeProbe, what: str, changes: dict[str, object], rule: str
) -> None:
    both = signed("downlink", **changes), signed("uplink", **changes)
    here.door.take("p-one", *both, test_of(one, *both, **FIGURES))
    assert here.run() == {1: Verdict.SUSPECT}, what
    assert rule in {hit.rule for hit in here.store.of([1])[1].hits}
    assert notes.NOTE_TYPES["receipt"].leaf
    assert POINT.name


def test_a_file_of_prefixes_is_read_strictly(tmp_path: Path) -> None:
    file = tmp_path / "prefixes.toml"
    file.write_text('[prefixes]\n45204 = ["27.64.0.0/12", "2402:800::/32"]\n')
    assert read_network(file, 6).prefixes["45204"] == ("27.64.0.0/12", "2402:800::/32")
    for text in ("x", '[prefixes]\n45204 = "27.64.0.0/12"\n', '[prefixes]\n45204 = ["27.64.0.1/12"]\n', "a = 1\n"):
        file.write_text(text)
        with pytest.raises(Misconfigured, match="write"):
            read_network(file, 4)
    with pytest.raises(Misconfigured, match="write one of"):
        read_network(None, 5)
