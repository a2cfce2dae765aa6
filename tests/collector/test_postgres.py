"""What is PostgreSQL's own: evidence that its role cannot change, lost connections, readers, refusals to start.

What every engine must do stands in test_ledger_contract.py; `make test-postgres` runs the other suites on it too.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import ledger_transfer
from collector.backup import verify
from collector.leaves import SOURCES, LedgerLeaves
from collector.ledger_pg import PostgresLedger, kept, unkept
from collector.ledger_place import Remote
from collector.ledger_port import NoteRow
from collector.ledger_rows import FOLLOWS
from collector.ledger_transfer import move
from collector.pg import PgDatabase
from collector.pg_schema import prepare, statements
from collector.seal import Sealer
from collector.seal_derived import DerivedCheck
from collector.seal_store import SealStore
from collector.seal_watch import TableWatch
from collector.settings import read_settings
from collector.sqlite import versions
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe
from tests.collector.postgres import OWNER, Cluster
from wire import codec, topics
from wire.errors import Misconfigured, Unavailable
from wire.note import Signer


@pytest.fixture
def inside(tmp_path: Path, one: FakeProbe, two: FakeProbe, postgres: Remote) -> Iterator[Door]:
    made = Door(tmp_path, one, two, place=postgres)
    yield made
    made.close()


def test_a_record_goes_in_and_comes_out_with_its_sums(inside: Door, one: FakeProbe) -> None:
    raws = [one.test(), one.coverage(), one.odd(b"no json"), one.test()]
    assert inside.take("p-one", *raws).accepted == 4
    assert inside.take("p-one", *raws).duplicate == 4
    held = inside.reader.samples(newest_first=False)
    assert [sample.raw for sample in held] == raws
    assert [sample.leaf for sample in held] == [codec.leaf_hash(raw) for raw in raws]
    counts = inside.reader.hamlet_counts(T0_MS - 10**9, T0_MS + 10**9)["h-dong-chuoi"]
    assert (counts.tests, counts.counted) == (2, 2)
    assert inside.reader.probe_states()[0].records == 4
    inside.take_bytes(topics.up("p-one"), b"junk")
    assert len(inside.refusals()) == 1


@pytest.mark.parametrize("role", ["ledger", "owner"])
@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE block SET packed = ''",
        "DELETE FROM block",
        "DELETE FROM entry",
        "TRUNCATE entry",
        "UPDATE entry SET leaf = ''",
        "UPDATE entry SET seq = 9",
        "UPDATE word SET text = 'x'",
        "DELETE FROM receipt",
        "UPDATE note SET raw = ''",
    ],
)
def test_evidence_stays_whoever_asks(cluster: Cluster, evidence: Remote, statement: str, role: str) -> None:
    place = evidence if role == "ledger" else Remote(evidence.url.replace("dosong_ledger@", f"{OWNER}@"))
    db = PgDatabase(place)
    try:
        with pytest.raises(sqlite3.Error, match=r"permission denied|is evidence"):
            db.execute(statement)
    finally:
        db.close()


@pytest.fixture(scope="module")
def evidence(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Remote:
    """A ledger with a row of every kind of evidence."""
    place = cluster.copy()
    one = FakeProbe("p-one")
    door = Door(tmp_path_factory.mktemp("evidence"), one, place=place)
    door.take("p-one", one.test())
    door.close()
    owner = PgDatabase(Remote(place.url.replace("dosong_ledger@", f"{OWNER}@")))
    owner.execute("INSERT INTO receipt VALUES (1, 'a', 'p', 'x', 't', 'downlink', 1, 1, 'r')")
    owner.execute("INSERT INTO note VALUES (1, 'a', 't', 's', 'p', 1, 1, 'r')")
    owner.close()
    return place


def test_a_lost_connection_loses_its_group_and_the_next_one_goes_in(
    inside: Door, one: FakeProbe, cluster: Cluster
) -> None:
    first, second = one.test(), one.test()
    inside.take("p-one", first)
    assert inside.reader.last_n() == 1
    root = PgDatabase(Remote(cluster.url("postgres", "postgres")))
    root.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'dosong_ledger'")
    root.close()
    with pytest.raises(Unavailable):
        inside.take("p-one", second)
    assert inside.take("p-one", second).accepted == 1
    with pytest.raises(Unavailable):
        inside.reader.last_n()
    assert inside.reader.last_n() == 2


def test_two_writers_number_in_the_order_of_their_commits(
    inside: Door, tmp_path: Path, one: FakeProbe, two: FakeProbe
) -> None:
    (tmp_path / "b").mkdir()
    other = Door(tmp_path / "b", one, two, place=inside.path)
    try:
        for _ in range(3):
            inside.take("p-one", one.test())
            other.take("p-two", two.test(), two.coverage())
        held = inside.reader.samples(newest_first=False)
        assert [(sample.n, sample.probe) for sample in held] == [
            *((1, "p-one"), (2, "p-two"), (3, "p-two"), (4, "p-one"), (5, "p-two")),
            *((6, "p-two"), (7, "p-one"), (8, "p-two"), (9, "p-two")),
        ]
        assert (inside.upto("p-one"), other.upto("p-two")) == (2, 5)
    finally:
        other.close()


@pytest.mark.usefixtures("postgres")  # makes the role
def test_a_database_that_was_not_prepared_is_refused_with_what_to_do(cluster: Cluster) -> None:
    with pytest.raises(Misconfigured, match="postgres prepare"):
        PostgresLedger(Remote(cluster.url("postgres", "dosong_ledger")))
    with pytest.raises(Unavailable, match="start PostgreSQL"):
        PostgresLedger(Remote(f"postgresql://nobody@/x?host={cluster.folder}&port=1"))


def test_a_database_that_does_not_hold_utf_8_is_refused(cluster: Cluster, postgres: Remote) -> None:
    """So is what `createdb` makes on a machine without a language."""
    root = PgDatabase(Remote(cluster.url("postgres", "postgres")))
    root.execute(f"CREATE DATABASE plain OWNER {OWNER} TEMPLATE template0 ENCODING 'SQL_ASCII' LOCALE 'C'")
    root.close()
    with pytest.raises(Misconfigured, match="UTF-8"):
        prepare(Remote(cluster.url("plain", OWNER)), "dosong_ledger")


def test_to_prepare_twice_does_nothing_and_a_newer_database_is_refused(cluster: Cluster, postgres: Remote) -> None:
    owner = Remote(postgres.url.replace("dosong_ledger@", f"{OWNER}@"))
    assert prepare(owner, "dosong_ledger") == versions("postgres")[-1][0]
    db = PgDatabase(owner)
    db.execute("INSERT INTO version VALUES (999)")
    db.close()
    for again in (lambda: prepare(owner, "dosong_ledger"), lambda: PostgresLedger(postgres).close()):
        with pytest.raises(Misconfigured, match="newer program"):
            again()


@pytest.mark.parametrize("prev", [None, FOLLOWS, b"\7" * 32, "", "no leaf", "\u0111" * 20])
def test_prev_comes_back_as_it_was(prev: int | bytes | str | None) -> None:
    assert unkept(kept(prev)) == prev


def test_every_statement_of_the_schema_is_found() -> None:
    text = versions("postgres")[0][1]
    found = statements(text)
    assert sum(one.startswith("CREATE TABLE") for one in found) == text.count("CREATE TABLE")
    assert all(one.endswith(";") for one in found)


def test_the_settings_name_a_ledger_in_postgres_without_its_password(tmp_path: Path) -> None:
    path = tmp_path / "collector.toml"
    (tmp_path / "pg.secret").write_text("s3cret\n")
    text = (
        'origin = "dosong.example"\nstate_dir = "."\nack_key_file = "k"\n[broker]\nsocket = "s"\n'
        '[influx]\nurl = "http://127.0.0.1:1"\ndatabase = "d"\n'
    )
    path.write_text(f'{text}[ledger]\nurl = "postgresql://dosong@db/dosong"\npassword_file = "pg.secret"\n')
    place = read_settings(path).ledger
    assert place == Remote("postgresql://dosong@db/dosong", "s3cret")
    for beside in (
        place,
        Remote("postgresql://dosong:s3cret@db/dosong"),
        Remote("postgresql:///d?password=s3cret&x=1"),
    ):
        assert "s3cret" not in f"{beside} {beside!r}"
        assert str(beside).startswith("postgresql://")
    path.write_text(f'{text}[ledger]\nurl = "mysql://x"\n')
    with pytest.raises(Misconfigured, match=r"ledger\.url"):
        read_settings(path)


def test_notes_are_numbered_without_a_hole_whatever_was_rolled_back_or_held(postgres: Remote) -> None:
    def row(number: int) -> NoteRow:
        return NoteRow(bytes([number]) * 32, "place", "s", "p", T0_MS, T0_MS, b"raw")

    ledger = PostgresLedger(postgres)
    with contextlib.suppress(ZeroDivisionError), ledger.transaction():
        ledger.keep_note(row(1))
        raise ZeroDivisionError
    with ledger.transaction():
        assert [ledger.keep_note(row(number)) for number in (1, 1, 2, 1, 3)] == [True, False, True, False, True]
    ledger.close()
    leaves = LedgerLeaves(postgres, "signed_note")
    assert [(leaf.n, leaf.leaf[0]) for leaf in leaves.rows(0, 10)] == [(1, 1), (2, 2), (3, 3)]
    leaves.close()


def test_a_ledger_moves_and_goes_on_there(
    tmp_path: Path, one: FakeProbe, two: FakeProbe, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = Door(tmp_path, one, two)
    raws = [one.test(), one.coverage(), one.odd(b"no json"), one.test(t_ms=None, clock="unsynced", t_src="none")]
    old.take("p-one", *raws)
    old.take("p-two", *(two.test() for _ in range(5)))
    old.take_bytes("nowhere", b"junk")
    before = old.reader.samples(newest_first=False), old.reader.hamlet_counts(0, 2**50), old.reader.deliveries()
    owner = Remote(cluster.copy().url.replace("dosong_ledger@", f"{OWNER}@"))
    with pytest.raises(Misconfigured, match="being written by another process"):
        move(tmp_path, owner, "dosong_ledger", lambda _: None)
    old.close()
    place = Remote(owner.url.replace(f"{OWNER}@", "dosong_ledger@"))
    _ended_half_way(tmp_path, owner, monkeypatch)
    with pytest.raises(Misconfigured, match="being moved"):
        PostgresLedger(place)
    moved = move(tmp_path, owner, "dosong_ledger", lambda _: None)
    assert (moved.rows["entry"], moved.leaves) == (9, 9)
    with pytest.raises(Misconfigured, match="already"):
        move(tmp_path, owner, "dosong_ledger", lambda _: None)
    new = Door(tmp_path, one, two, place=place)
    assert (
        new.reader.samples(newest_first=False),
        new.reader.hamlet_counts(0, 2**50),
        new.reader.deliveries(),
    ) == before
    assert new.take("p-one", *raws, one.test()).accepted == 1
    assert (new.upto("p-one"), new.reader.last_n()) == (4, 10)
    assert new.ledger.rebuild_rollups() == 8
    new.close()


def _ended_half_way(folder: Path, owner: Remote, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(line: str) -> None:
        if line.startswith("entry"):
            raise KeyboardInterrupt

    monkeypatch.setattr(ledger_transfer, "BATCH", 2)
    with pytest.raises(KeyboardInterrupt):
        move(folder, owner, "dosong_ledger", end)


def test_the_log_is_sealed_over_it_and_its_checks_find_nothing(inside: Door, tmp_path: Path, one: FakeProbe) -> None:
    inside.take("p-one", one.test(), one.coverage(), one.odd(b"no json"))
    inside.take_bytes("nowhere", b"junk")
    store = SealStore(tmp_path / "seal.db")
    leaves = [LedgerLeaves(inside.path, source) for source in SOURCES]
    checks = (DerivedCheck(inside.path), TableWatch(store, inside.path))
    signer = Signer.generate(f"{ORIGIN}/log")
    sealer = Sealer(store, leaves, tmp_path / "log", signer, ORIGIN, checks=checks)
    signed = sealer.round(T0_MS).signed
    assert signed is not None
    assert signed.size == 3
    inside.take("p-one", one.test())
    again = sealer.round(T0_MS + 60_000).signed
    assert again is not None
    assert again.size == 4
    assert [(found.size, found.lost) for found in verify(tmp_path, lambda _: None, inside.path)] == [(4, 0)]
    store.close()
