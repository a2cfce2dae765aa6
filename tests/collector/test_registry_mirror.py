"""One registry for several machines: rows go from the source to the copies, and nobody judges by an older one."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from collector.ledger import LedgerReader
from collector.ledger_pg import PostgresLedger
from collector.ledger_place import Remote
from collector.ledger_port import Fenced
from collector.pg import PgDatabase
from collector.pg_schema import prepare
from collector.registry import Registry
from collector.registry_identity import Identities
from collector.registry_mirror import TABLES, Copy, Source
from tests.collector.door import Door
from tests.collector.kit import Deployment, FakeProbe, Field, Mosquitto, document, running, until
from tests.collector.postgres import OWNER
from wire import topics
from wire.errors import Misconfigured, Unavailable


@pytest.fixture
def place(postgres: Remote) -> Remote:
    prepare(Remote(postgres.url.replace("dosong_ledger@", f"{OWNER}@")), "dosong_ledger")
    return postgres


@pytest.fixture
def office(tmp_path: Path, one: FakeProbe) -> Iterator[Registry]:
    """The registry of the machine where it is changed."""
    made = Registry(tmp_path / "source.db")
    made.load(document(one))
    yield made
    made.close()


def rows(path: Path) -> dict[str, list[tuple[object, ...]]]:
    with closing(sqlite3.connect(path)) as db:
        return {table: sorted(db.execute(f"SELECT * FROM {table}").fetchall(), key=str) for table in TABLES}  # noqa: S608


def revoke(path: Path, probe: str) -> None:
    with closing(Identities(path)) as identities, identities.transaction():
        identities.set_state(probe, "revoked", 1)


def test_every_row_reaches_a_copy_whoever_wrote_it(
    tmp_path: Path, office: Registry, one: FakeProbe, two: FakeProbe, place: Remote
) -> None:
    source = Source(office.path, place)
    source.refresh()
    copy = Copy(tmp_path / "copy.db", place)
    copy.refresh()
    assert rows(copy.path) == rows(office.path)
    follower = Registry(copy.path)
    assert follower.probe("p-two") is None
    office.load(document(one, two))
    revoke(office.path, "p-one")
    with closing(sqlite3.connect(office.path)) as db:
        db.execute("DELETE FROM quota")
        db.commit()
    source.refresh()
    copy.refresh()
    assert rows(copy.path) == rows(office.path)
    assert follower.probe("p-two") is not None
    assert follower.probe("p-one").state == "revoked"  # type: ignore[union-attr]
    assert follower.place("p-two") == office.place("p-two")
    assert source.line == copy.line > 0
    late = Copy(tmp_path / "late.db", place)
    late.refresh()
    assert rows(late.path) == rows(office.path), "one that comes later has all of it"
    for end in (source, copy, late, follower):
        end.close()


def test_a_copy_is_changed_by_nobody_else(tmp_path: Path, office: Registry, one: FakeProbe, place: Remote) -> None:
    with closing(Source(office.path, place)) as source:
        source.refresh()
    (tmp_path / "b").mkdir()
    other = Registry(tmp_path / "b" / "registry.db")
    other.load(document(FakeProbe("p-old")))
    with closing(Copy(other.path, place)) as copy:
        copy.refresh()
    assert (other.probe("p-old"), other.probe("p-one") is not None) == (None, True)
    with pytest.raises(Misconfigured, match="is a copy"):
        other.load(document(one))
    with pytest.raises(Misconfigured, match="is a copy"):
        revoke(other.path, "p-one")
    with closing(sqlite3.connect(other.path)) as db, pytest.raises(sqlite3.IntegrityError, match="is a copy"):
        db.execute("UPDATE probe SET state = 'revoked'")
    other.close()


def test_one_source_at_a_time_and_what_was_missed_is_found(
    tmp_path: Path, office: Registry, one: FakeProbe, two: FakeProbe, place: Remote
) -> None:
    with closing(Source(office.path, place)) as source:
        source.refresh()
    copy = Copy(tmp_path / "copy.db", place)
    copy.refresh()
    copy.close()
    with closing(Source(tmp_path / "copy.db", place)) as second:
        with pytest.raises(Misconfigured, match="registry-source"):
            second.refresh()
        second.take_over()
        second.refresh()
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:  # no program of ours is there to see it
        db.executescript("DROP TRIGGER mirror_probe_insert; DELETE FROM mirror_due")
    taken = Registry(tmp_path / "copy.db")
    taken.load(document(one, two))
    taken.close()
    with closing(Source(tmp_path / "copy.db", place)) as second:
        second.refresh()
    late = Copy(tmp_path / "late.db", place)
    late.refresh()
    assert rows(late.path) == rows(tmp_path / "copy.db")
    late.close()
    with closing(Source(office.path, place)) as source, pytest.raises(Misconfigured, match="another registry"):
        source.refresh()
    with closing(PgDatabase(place)) as db, pytest.raises(sqlite3.Error, match=r"permission denied|is evidence"):
        db.execute("UPDATE registry_line SET body = ''")


def test_a_registry_that_somebody_holds_is_waited_for(office: Registry, one: FakeProbe, place: Remote) -> None:
    with closing(Source(office.path, place)) as source, closing(sqlite3.connect(office.path)) as other:
        source.refresh()
        source._db.execute("PRAGMA busy_timeout=50")
        office.load(document(one, FakeProbe("p-late")))
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Unavailable):
            source.look_again()
        other.rollback()
        before = source.line
        source.refresh()
        assert source.line > before


def test_what_was_judged_by_an_older_registry_is_not_committed(
    tmp_path: Path, office: Registry, one: FakeProbe, place: Remote
) -> None:
    source = Source(office.path, place)
    source.refresh()
    copy = Copy(tmp_path / "registry.db", place)
    copy.refresh()
    door = Door(tmp_path, place=place, load=False)
    assert isinstance(door.ledger, PostgresLedger)
    door.ledger.registry = copy.hold
    assert door.take("p-one", one.test()).accepted == 1
    revoke(office.path, "p-one")
    source.refresh()
    raw = one.test()
    with pytest.raises(Fenced):
        door.take("p-one", raw)
    assert door.reader.last_n() == 1
    assert door.take("p-one", raw).accepted == 0
    door.close()
    copy.close()
    source.close()


@pytest.mark.services
def test_a_probe_enrolled_and_revoked_at_one_machine_is_known_at_the_other(tmp_path: Path, place: Remote) -> None:
    new = FakeProbe("p-new")
    broker = Mosquitto(tmp_path)
    broker.start()
    machines = []
    for name, role in (("a", "source"), ("b", "copy")):
        (tmp_path / name).mkdir()
        made = Deployment(tmp_path / name, f'socket = "{broker.socket}"')
        with made.config.open("a") as file:
            file.write(f'[ledger]\nurl = "{place.url}"\nworker = "{name}"\nregistry = "{role}"\n')
        machines.append(made)
    first, second = machines
    shutil.copy(first.folder / "ack.key", second.folder / "ack.key")
    programs = [first.program("receive"), first.program("forward"), second.program("receive")]
    air = Field(broker.port, first.ack_signer.verifier, new)
    reader = LedgerReader(place)
    try:
        programs[1].start()  # publishes, though nothing is received there yet
        until(lambda: _published(place), 60, "the source has published")
        with running(programs[2]):  # the only worker is the copy's: the new probe's partition is its own
            until(lambda: topics.part("p-new") in _owned(place), 60, "it has the partition")
            first.load(new)
            raw = new.test()
            until(lambda: (air.send("p-new", raw), air.upto("p-new") == 0)[1], 60, "accepted at the other machine")
            revoke(first.state / "registry.db", "p-new")
            until(lambda: (air.send("p-new", new.test()), _revoked(reader))[1], 60, "refused at the other machine")
            with running(programs[0]):
                until(lambda: len(set(_owned(place).values())) == 2, 60, "both receive")
    finally:
        programs[1].stop()
        air.close()
        broker.stop()
        reader.close()


def _published(place: Remote) -> bool:
    with closing(PgDatabase(place)) as db:
        found = db.execute("SELECT line FROM registry_source").fetchone()
    return found is not None and found[0] > 0


def _owned(place: Remote) -> dict[int, str]:
    with closing(PgDatabase(place)) as db:
        return dict(db.execute("SELECT part, worker FROM lease WHERE worker <> ''").fetchall())


def _revoked(reader: LedgerReader) -> bool:
    return any(one.reason == "revoked_key" for one in reader.refusals())
