"""Backups of a ledger in PostgreSQL beside a running collector: proven, put back, gone on with."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import pytest

from collector import backup_pg
from collector.leaves import SOURCES, LedgerLeaves
from collector.ledger_place import Remote
from collector.pg import PgDatabase
from collector.pg_schema import prepare
from collector.seal import Sealer
from collector.seal_store import SealStore
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe
from tests.collector.postgres import OWNER, Cluster
from wire.errors import Misconfigured, Refused
from wire.note import Signer

KEY = Signer.generate(f"{ORIGIN}/log")


@dataclass
class Sealed:
    """A ledger in PostgreSQL with its sealed log."""

    state: Path
    door: Door
    one: FakeProbe
    minutes: Iterator[int] = field(default_factory=count)

    def __post_init__(self) -> None:
        self.store = SealStore(self.state / "seal.db")
        self.leaves = [LedgerLeaves(self.door.path, source) for source in SOURCES]
        self.sealer = Sealer(self.store, self.leaves, self.state / "log", KEY, ORIGIN)

    def more(self, records: int) -> None:
        """Records come and are sealed."""
        self.door.take("p-one", *(self.one.test() for _ in range(records)))
        self.sealer.round(T0_MS + next(self.minutes) * 60_000)

    def close(self) -> None:
        self.store.close()
        for table in self.leaves:
            table.close()
        self.door.close()


@pytest.fixture
def sealed(tmp_path: Path, one: FakeProbe, postgres: Remote) -> Iterator[Sealed]:
    state = tmp_path / "state"
    state.mkdir()
    prepare(as_owner(postgres), "dosong_ledger")
    made = Sealed(state, Door(state, one, place=postgres), one)
    yield made
    made.close()


def as_owner(place: Remote) -> Remote:
    return Remote(place.url.replace("dosong_ledger@", f"{OWNER}@"))


def empty(cluster: Cluster, name: str) -> Remote:
    """A new database with nothing in it."""
    root = PgDatabase(Remote(cluster.url("postgres", "postgres")))
    root.execute(f"DROP DATABASE IF EXISTS {name}")
    root.execute(f"CREATE DATABASE {name} OWNER {OWNER}")
    root.close()
    return Remote(cluster.url(name))


def call(folder: Path, state: str, place: Remote, *words: str) -> subprocess.CompletedProcess[str]:
    """One of our commands, with settings that name this ledger."""
    config = folder / f"{state}.toml"
    config.write_text(
        f'origin = "{ORIGIN}"\nstate_dir = "{state}"\nack_key_file = "ack.key"\n[broker]\nsocket = "c.sock"\n'
        f'[influx]\nurl = "http://127.0.0.1:1"\ndatabase = "dosong"\n[ledger]\nurl = "{place.url}"\n'
    )
    command = [sys.executable, "-m", "collector", *words, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)


def test_a_backup_is_put_back_and_probes_send_the_rest_again(
    sealed: Sealed, tmp_path: Path, one: FakeProbe, cluster: Cluster, postgres: Remote
) -> None:
    sealed.more(30)
    made = call(tmp_path, "state", postgres, "backup", str(tmp_path / "copy"))
    assert (made.returncode, made.stdout.split()[1]) == (0, "30"), made.stderr
    late = [one.test() for _ in range(5)]
    sealed.door.take("p-one", *late)
    place = empty(cluster, "put_back")
    owner = as_owner(place).url
    again = call(tmp_path, "new", place, "restore", str(tmp_path / "copy"), "--owner", owner)
    assert again.returncode == 0, again.stderr
    first = int(again.stdout.split()[1].strip(":"))
    verified = call(tmp_path, "new", place, "postgres", "verify")
    assert (verified.returncode, "30 entries" in verified.stdout) == (0, True), verified
    assert call(tmp_path, "new", place, "check").stdout.split()[1] == "30"
    told = call(tmp_path, "new", place, "postgres", "restored")
    assert told.returncode == 0, told
    second = int(told.stdout.split()[1].strip(";"))
    door = Door(tmp_path / "new", one, place=place)
    head = door.ledger.head_of("p-one")
    assert head is not None
    assert (head.gen, head.upto) == (second, 29)
    assert second > first > 1, "no number that an earlier restore of this backup can have had"
    assert door.take("p-one", *late).accepted == 5
    assert [sample.raw for sample in door.reader.samples(newest_first=False)][-5:] == late
    door.close()
    other = call(tmp_path, "third", place, "restore", str(tmp_path / "copy"), "--owner", owner)
    assert (other.returncode, "holds a ledger already" in other.stderr) == (78, True)


def test_whatever_is_sealed_meanwhile_seal_never_runs_ahead_of_the_dump(
    sealed: Sealed, tmp_path: Path, postgres: Remote
) -> None:
    sealed.more(10)
    lines: list[str] = []

    def tell(line: str) -> None:
        lines.append(line)
        sealed.more(3)

    (found,) = backup_pg.make(sealed.state, postgres, tmp_path / "copy", tell)
    assert 10 <= found.size < 10 + 3 * len(lines)
    assert any("in the dump as in the ledger" in line for line in lines)


def test_a_dump_that_was_changed_is_no_backup(sealed: Sealed, tmp_path: Path, postgres: Remote) -> None:
    sealed.more(10)
    copy = tmp_path / "copy"
    backup_pg.make(sealed.state, postgres, copy, lambda _: None)
    assert call(tmp_path, "state", postgres, "check", str(copy)).returncode == 0
    listed = (copy / "ledger.json").read_text()
    (copy / "ledger.json").write_text(listed.replace('"rows": 10', '"rows": 11'))
    with pytest.raises(Refused, match=r"dosong\.entry"):
        backup_pg.check(copy, lambda _: None)
    (copy / "ledger.json").write_text(listed)
    whole = (copy / "ledger.dump").read_bytes()
    (copy / "ledger.dump").write_bytes(whole[: len(whole) // 2])
    assert call(tmp_path, "state", postgres, "check", str(copy)).returncode == 1
    with pytest.raises(Misconfigured, match="no backup of a ledger in PostgreSQL"):
        backup_pg.check(tmp_path, lambda _: None)


def test_a_ledger_that_is_not_what_was_signed_gives_no_backup(
    sealed: Sealed, tmp_path: Path, postgres: Remote, cluster: Cluster
) -> None:
    sealed.more(10)
    root = PgDatabase(Remote(postgres.url.replace("dosong_ledger@", "postgres@")))
    root.execute("ALTER TABLE entry DISABLE TRIGGER USER")
    root.execute("DELETE FROM entry WHERE n = 4")
    root.close()
    with pytest.raises(Refused, match="row_missing"):
        backup_pg.make(sealed.state, postgres, tmp_path / "copy", lambda _: None)
