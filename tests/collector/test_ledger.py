"""The ledger file: what is kept, what is derived, one writer, migrations, and a disk that refuses."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from collector import ledger_delivery
from collector.core.clock import HOUR_MS
from collector.core.row import Sums
from collector.ingest import Message
from collector.ledger import LedgerReader
from collector.ledger_write import SqliteLedger
from collector.pack import Packer, make_dictionary
from collector.sqlite import migrate, open_writer, versions
from tests.collector.door import Door
from tests.collector.kit import BOOT, SLOT_MS, T0_MS, FakeProbe, document
from tests.collector.postgres import SQLITE_ONLY
from wire import bundle, topics
from wire.errors import Misconfigured, Unavailable

UNDATED = {"t_ms": None, "clock": "unsynced", "t_src": "none"}


def test_undated_records_wait_for_a_clock_event_of_their_boot(door: Door, one: FakeProbe) -> None:
    early = [one.test(**UNDATED, slot_ms=T0_MS), one.coverage(**UNDATED)]
    door.take("p-one", *early)
    held = door.reader.sample("p-one", 1, 0)
    assert held is not None
    assert (held.t_ms, held.counted, held.not_counted) == (None, False, ("undated",))
    assert door.reader.hamlet_counts() == {}
    assert door.reader.probe_states()[0].last_t_ms is None
    door.take("p-one", one.event("clock_set", set_mono_ms=5000, set_t_ms=T0_MS + 5000, set_err_ms=10, **UNDATED))
    assert door.reader.probe_states()[0].last_t_ms == T0_MS + 2000
    dated = [door.reader.sample("p-one", 1, seq) for seq in (0, 1)]
    assert [s and s.t_ms for s in dated] == [T0_MS, T0_MS + 1000]
    assert dated[0] is not None
    assert dated[0].counted
    counts = door.reader.hamlet_counts()["h-dong-chuoi"]
    assert (counts.tests, counts.counted, counts.covered) == (1, 1, 2)
    assert [sample.seq for _, sample in door.reader.redone(0, 10)] == [0, 1]


def test_an_undated_record_that_comes_after_its_clock_event_is_dated_at_once(door: Door, one: FakeProbe) -> None:
    late = one.test(**UNDATED, slot_ms=T0_MS)
    event = one.event("clock_set", set_mono_ms=5000, set_t_ms=T0_MS + 5000)
    other = one.test(**UNDATED, boot="f" * 32)
    door.take("p-one", event, late, other)
    held = [door.reader.sample("p-one", 1, seq) for seq in (0, 2)]
    assert [s and s.t_ms for s in held] == [T0_MS, None]


def test_the_first_word_about_a_boots_clock_holds(door: Door, one: FakeProbe) -> None:
    door.take("p-one", one.test(**UNDATED, slot_ms=T0_MS))
    for shift in (0, 7_000_000):
        door.take("p-one", one.event("clock_set", set_mono_ms=0, set_t_ms=T0_MS + shift))
    held = door.reader.sample("p-one", 1, 0)
    assert held is not None
    assert held.t_ms == T0_MS


def test_one_counted_sample_a_slot_and_modem(door: Door, one: FakeProbe) -> None:
    door.take("p-one", one.test(slot_ms=T0_MS), one.test(slot_ms=T0_MS), one.test(slot_ms=T0_MS, modem="m2"))
    held = door.reader.samples(newest_first=False)
    assert [s.not_counted for s in held] == [(), ("same_slot",), ()]


def test_hourly_sums_equal_the_records(door: Door, one: FakeProbe, two: FakeProbe) -> None:
    failed = {"outcome": "failed", "stage": "registration", "cause": "searching", "slot_ms": None}
    for probe in (one, two):
        raws = [probe.test() for _ in range(9)]
        raws += [probe.test(**failed), probe.coverage("CCDNU", "..nsz", plmn=None)]
        raws.append(probe.test(path={**PATH, "verdict": "invalid_path"}))
        door.take(probe.probe, *raws)
    names = [f.name for f in fields(Sums)]
    hours = door.sql(f"SELECT {', '.join(f'sum({n})' for n in names)} FROM rollup_day")[0]  # noqa: S608
    counts = door.reader.hamlet_counts()["h-dong-chuoi"]
    assert hours == tuple(getattr(counts, n) for n in names)
    # Any span gives the same as counting the records one by one, whole hours or not.
    for since, until in (
        (0, T0_MS),
        (T0_MS, T0_MS + HOUR_MS),
        (T0_MS + 1, T0_MS + 2 * HOUR_MS + 1),
        (T0_MS, T0_MS + 1),
    ):
        found = door.reader.hamlet_counts(since, until).get("h-dong-chuoi")
        raw = door.sql(
            "SELECT count(*), sum(counted), sum(invalid_path) FROM record"  # noqa: S608
            f" WHERE kind = 'test' AND t_ms >= {since} AND t_ms < {until}"
        )[0]
        assert (found.tests, found.counted, found.invalid_path) == raw if found else raw[0] == 0


PATH = {
    "verdict": "ok",
    "iface": "cell0",
    "rx_bytes": 1,
    "tx_bytes": 1,
    "other_rx_bytes": 0,
    "other_tx_bytes": 0,
    "ifindex_changed": False,
}


def test_samples_are_found_by_every_filter(door: Door, one: FakeProbe, two: FakeProbe) -> None:
    door.take("p-one", one.test(), one.coverage())
    door.take("p-two", two.test())
    read = door.reader.samples
    assert [s.n for s in read()] == [3, 2, 1]
    assert [s.n for s in read(newest_first=False, after_n=1)] == [2, 3]
    assert [s.n for s in read(probe="p-two")] == [3]
    assert [s.n for s in read(kind="coverage")] == [2]
    assert [s.n for s in read(hamlet="h-dong-chuoi", limit=1)] == [3]
    assert read(commune="nowhere") == []
    assert [s.n for s in read(since_ms=T0_MS + 1, until_ms=T0_MS + SLOT_MS + 1)] == [2]
    assert door.reader.last_n() == 3


@SQLITE_ONLY
def test_a_group_that_the_disk_refuses_leaves_nothing(door: Door, one: FakeProbe) -> None:
    door.take("p-one", one.test())
    door.ledger._db.execute("VACUUM")
    pages = door.sql("PRAGMA page_count")[0][0]
    door.ledger._db.execute(f"PRAGMA max_page_count={pages}")
    raws = [one.test() for _ in range(240)]
    group = [Message(topics.up("p-one"), bundle.encode(raws[at : at + 20])) for at in range(0, 240, 20)]
    for _ in range(2):
        with pytest.raises(Unavailable, match="full"):
            door.ingest.take(group, T0_MS)
        assert door.reader.last_n() == 1
    door.ledger._db.execute("PRAGMA max_page_count=1000000")
    assert door.ingest.take(group, T0_MS).heads["p-one"].upto == 240
    assert [sample.raw for sample in door.reader.samples(newest_first=False, after_n=1, limit=300)] == raws


@SQLITE_ONLY
def test_only_one_process_writes(door: Door) -> None:
    with pytest.raises(Misconfigured, match="another process"):
        SqliteLedger(door.path)


def test_opened_twice_changes_nothing(tmp_path: Path) -> None:
    for _ in range(2):
        SqliteLedger(tmp_path / "ledger.db").close()
    connection = sqlite3.connect(tmp_path / "ledger.db")
    newest = versions("ledger")[-1][0]
    assert connection.execute("PRAGMA user_version").fetchone()[0] == newest
    assert connection.execute("SELECT count(*) FROM meta").fetchone()[0] == 3
    connection.execute(f"PRAGMA user_version={newest + 1}")
    with pytest.raises(Misconfigured, match="install the newer program"):
        migrate(connection, "ledger", tmp_path / "ledger.db")
    connection.close()


def test_several_may_open_a_new_file_at_once(tmp_path: Path) -> None:
    code = (
        f"from pathlib import Path; from collector.registry import Registry; Registry(Path({str(tmp_path)!r}, 'r.db'))"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE) for _ in range(4)]
    assert [(process.communicate(timeout=20)[1], process.returncode) for process in processes] == [(b"", 0)] * 4


@SQLITE_ONLY
def test_what_is_committed_is_synced_in_full(door: Door) -> None:
    assert door.ledger._db.execute("PRAGMA synchronous").fetchone()[0] == 2
    assert door.ledger._db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"


def test_a_ledger_that_is_not_there_yet_is_unavailable(tmp_path: Path) -> None:
    reader = LedgerReader(tmp_path / "ledger.db")
    with pytest.raises(Unavailable):
        reader.last_n()
    SqliteLedger(tmp_path / "ledger.db").close()
    assert reader.last_n() == 0
    reader.close()


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match="folder"):
        open_writer(tmp_path / "no" / "such.db", "ledger")


def test_raw_bytes_come_back_bit_for_bit_and_small(one: FakeProbe) -> None:
    packer = Packer(make_dictionary())
    raw = one.test()
    assert packer.unpack(packer.pack(raw)) == raw
    assert len(packer.pack(raw)) < 0.55 * len(raw)


def test_status_is_liveness_of_known_probes_only(door: Door) -> None:
    for topic, word in (("p-one", b"online"), ("p-one", b"offline"), ("p-no", b"online"), ("p-two", b"\xff nonsense")):
        door.take_bytes(f"dosong/v1/status/{topic}", word)
    states = {s.probe: s.status for s in door.reader.probe_states()}
    assert states == {"p-one": "offline"}
    assert door.reader.deliveries().refused == 0


def test_a_flood_of_refused_bytes_is_bounded_oldest_first_and_counted(
    door: Door, one: FakeProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_delivery, "KEEP_REFUSALS", 10)
    monkeypatch.setattr(ledger_delivery, "KEEP_REFUSED_BYTES", 4)
    monkeypatch.setattr(ledger_delivery, "KEEP_IDLE_DELIVERIES", 6)
    good = one.test()
    door.take("p-one", good)
    for _ in range(9):
        door.take("p-one", b"junk", b"rubbish")
        door.take("p-one", good)
    deliveries = door.reader.deliveries()
    assert (deliveries.accepted, deliveries.duplicate, deliveries.refused, deliveries.let_go) == (1, 9, 18, 8)
    kept = door.reader.refusals(100)
    assert [refusal.n for refusal in kept] == list(range(18, 8, -1))
    assert [door.reader.refused_bytes(refusal.n) is None for refusal in kept] == [False] * 4 + [True] * 6
    assert door.sql("SELECT count(*), sum(accepted) FROM delivery") == [(7, 1)]
    assert door.sql("SELECT min(n) FROM delivery WHERE accepted = 0")[0][0] == 14


def test_only_what_leads_to_a_placed_record_is_looked_at(door: Door, one: FakeProbe) -> None:
    """Records without a readable place may be many: each look must not read all of them."""
    for _ in range(40):
        door.take("p-one", one.odd(f'no JSON, but "prev":"{one.head}"'.encode()))
    held_back = one.odd(f'nor this: "prev":"{one.head}"'.encode())
    one.seq += 100  # as if a hundred more were lost on the way
    door.take("p-one", one.test())
    with door.ledger.transaction():
        assert door.ledger.look("p-one", 1, 0).loose == {}
    door.take("p-one", held_back)
    with door.ledger.transaction():
        found = door.ledger.look("p-one", 1, 0)
        assert found.loose is not None
        assert len(found.loose) == 41
        assert len(door.ledger.look("p-one", 1, found.link.seq - 3 if found.link else 0).loose or ()) == 3


def test_a_record_judged_again_stays_where_it_was_placed(door: Door, one: FakeProbe) -> None:
    """Its point and its sums are already under that hamlet: moving the record alone would count it twice."""
    first = one.test()
    one.head = "A" * 43 + "="  # the record behind it names another one before it
    door.take("p-one", one.test())
    counts = door.reader.hamlet_counts()["h-dong-chuoi"]
    assert (counts.tests, counts.counted) == (1, 1)
    door.registry.load(
        {
            "hamlets": [{"code": "h-two", "name": "Hai", "kind": "xóm", "commune": "05755"}],
            "sites": [{"code": "s-two", "hamlet": "h-two", "name": "Nhà văn hóa"}],
            "probes": [{**document(one)["probes"][0], "site": "s-two"}],
        }
    )
    door.take("p-one", first)
    held = door.reader.sample("p-one", 1, 1)
    assert held is not None
    assert (held.fault, held.counted, held.hamlet) == ("broken_chain", False, "h-dong-chuoi")
    counts = door.reader.hamlet_counts()["h-dong-chuoi"]
    assert (counts.tests, counts.counted) == (1, 0)


def test_a_file_that_is_no_database_is_never_to_be_deleted(tmp_path: Path) -> None:
    (tmp_path / "ledger.db").write_bytes(b"not a database " * 400)
    with pytest.raises(Misconfigured, match="put back its backup; it is the evidence, so never delete it"):
        SqliteLedger(tmp_path / "ledger.db")


def test_the_place_is_where_the_probe_stood_then(door: Door, one: FakeProbe) -> None:
    more = {
        "hamlets": [{"code": "h-two", "name": "Hai", "kind": "xóm", "commune": "05755"}],
        "sites": [{"code": "s-two", "hamlet": "h-two", "name": "Nhà văn hóa"}],
        "probes": [{**document(one)["probes"][0], "site": "s-two", "valid_from_ms": T0_MS + SLOT_MS}],
    }
    door.registry.load(more)
    door.take("p-one", one.test(), one.test())
    assert [s.hamlet for s in door.reader.samples(newest_first=False)] == ["h-dong-chuoi", "h-two"]
    assert BOOT in door.sql("SELECT boot FROM record")[0]
