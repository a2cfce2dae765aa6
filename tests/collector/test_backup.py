"""Backups: one moment of everything, verified by the log; restored beside probes that still hold what came later."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest

from collector import backup
from collector.seal import Sealer
from collector.seal_store import SealStore
from tests.collector.door import Door
from tests.collector.harm import rewrite
from tests.collector.kit import FakeProbe
from tests.collector.test_seal import KEY, NOW_MS, ORIGIN, Log
from wire.errors import Misconfigured, Refused


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    state = tmp_path / "state"
    state.mkdir()
    made = Log(state, FakeProbe("p-one"))
    yield made
    made.close()
    made.door.close()


def silent(_line: str) -> None:
    return


def test_a_backup_beside_the_running_processes_holds_all_that_is_sealed(log: Log, tmp_path: Path) -> None:
    log.tests(40)
    log.round()
    log.tests(5)  # committed, not sealed yet
    lines: list[str] = []
    (found,) = backup.make(log.folder, tmp_path / "copy", lines.append)
    assert (found.size, found.root) == (40, log.seen().root)
    assert any("as signed" in line for line in lines)
    with sqlite3.connect(tmp_path / "copy" / "ledger.db") as db:
        assert db.execute("SELECT count(*), max(n) FROM record").fetchone() == (45, 45)
    log.tests(5)
    log.round()
    assert log.seen().size == 50, "the original goes on"


@pytest.mark.parametrize(
    ("harm", "reason"),
    [
        ("", "root_differs"),
        ("DELETE FROM entry WHERE n = 3", "row_missing"),
        ("DELETE FROM entry WHERE n > 30", "row_missing"),
    ],
)
def test_a_changed_backup_is_no_backup(log: Log, tmp_path: Path, harm: str, reason: str) -> None:
    log.tests(40)
    log.round()
    backup.make(log.folder, tmp_path / "copy", silent)
    with sqlite3.connect(tmp_path / "copy" / "ledger.db") as db:
        db.execute(harm or "SELECT 1")
    if not harm:
        rewrite(tmp_path / "copy" / "ledger.db", {3: log.raws()[3]})
    with pytest.raises(Refused, match=reason):
        backup.verify(tmp_path / "copy", silent)
    with pytest.raises(Refused, match=reason):
        backup.restore(tmp_path / "copy", tmp_path / "new", silent)
    assert not (tmp_path / "new" / "ledger.db").exists()


def test_after_a_restore_probes_send_again_and_the_old_log_still_stands(log: Log, tmp_path: Path) -> None:
    log.tests(20)
    log.round()
    backup.make(log.folder, tmp_path / "copy", silent)
    late = [log.probe.test() for _ in range(6)]
    log.door.take("p-one", *late)
    log.round()
    assert log.door.ledger.head_of("p-one").gen == 0  # type: ignore[union-attr]
    state = tmp_path / "new"
    assert backup.restore(tmp_path / "copy", state, silent, at_ms=0) == 1
    again = Door(state, log.probe)
    head = again.ledger.head_of("p-one")
    assert head is not None
    assert (head.gen, head.upto) == (1, 19), "a higher generation may say less"
    again.take("p-one", *late)
    store = SealStore(state / "seal.db")
    sealer = Sealer(store, log.sealer._sources.values(), state / "log", KEY, ORIGIN)  # type: ignore[arg-type]
    sealer._sources = {"record": type(log.leaves)(state / "ledger.db")}
    sealer.round(NOW_MS)
    assert [shard.name for shard in store.shards()] == [f"{ORIGIN}/log/2026", f"{ORIGIN}/log/2026-1"]
    store.close()
    sealer._sources["record"].close()  # type: ignore[attr-defined]
    found = backup.verify(state, silent)
    assert [(one.name.rpartition("/")[2], one.size, one.lost) for one in found] == [("2026", 20, 0), ("2026-1", 7, 0)]
    again.close()


def test_a_restore_never_writes_over_anything(log: Log, tmp_path: Path) -> None:
    log.tests(3)
    log.round()
    backup.make(log.folder, tmp_path / "copy", silent)
    with pytest.raises(Misconfigured, match="move them to another place"):
        backup.restore(tmp_path / "copy", log.folder, silent)
    with pytest.raises(Misconfigured, match="not empty"):
        backup.make(log.folder, tmp_path / "copy", silent)
    with pytest.raises(Misconfigured, match=r"no ledger\.db"):
        backup.verify(tmp_path, silent)


def test_entries_that_a_restore_lost_are_counted_and_not_hidden(log: Log, tmp_path: Path) -> None:
    log.tests(20)
    log.round()
    backup.make(log.folder, tmp_path / "copy", silent)
    log.tests(6)
    log.round()
    log.close()
    log.door.close()
    for name in ("ledger.db", "ledger.db-wal", "ledger.db-shm"):
        (log.folder / name).unlink(missing_ok=True)
    shutil.copy(tmp_path / "copy" / "ledger.db", log.folder / "ledger.db")  # seal.db and log folder survived
    log.door = Door(log.folder, log.probe)
    log.open()
    log.door.ledger.raise_generation()
    log.round()
    found = {one.name.rpartition("/")[2]: (one.size, one.lost) for one in backup.verify(log.folder, silent)}
    assert found["2026"] == (26, 6)


def test_the_commands_say_what_they_did(log: Log, tmp_path: Path) -> None:
    log.tests(4)
    log.round()
    config = tmp_path / "collector.toml"
    config.write_text(
        f'origin = "{ORIGIN}"\nstate_dir = "state"\nack_key_file = "ack.key"\n[broker]\nsocket = "c.sock"\n'
        '[influx]\nurl = "http://127.0.0.1:1"\ndatabase = "dosong"\n'
    )

    def call(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "collector", *words, "--config", str(config)]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)

    root = log.seen().root.hex()
    made = call("backup", str(tmp_path / "copy"))
    assert (made.returncode, made.stdout.split()) == (0, [f"{ORIGIN}/log/2026", "4", root])
    assert call("check").stdout == call("check", str(tmp_path / "copy")).stdout == made.stdout
    refused = call("restore", str(tmp_path / "copy"))
    assert (refused.returncode, "never delete them" in refused.stderr) == (78, True)
    with sqlite3.connect(tmp_path / "copy" / "ledger.db") as db:
        db.execute("DELETE FROM entry WHERE n = 2")
    assert call("check", str(tmp_path / "copy")).returncode == 1


def test_photos_and_the_secret_of_sim_numbers_go_with_it(log: Log, tmp_path: Path) -> None:
    log.tests(3)
    (log.folder / "iccid.secret").write_text("ab" * 32 + "\n")
    (log.folder / "iccid.secret").chmod(0o600)
    (log.folder / "photos").mkdir()
    name = f"{sha256(b'a mast').hexdigest()}.jpg"
    (log.folder / "photos" / name).write_bytes(b"a mast")
    (log.folder / "photos" / f".{name}.77").write_bytes(b"a m")  # one that is being written
    backup.make(log.folder, tmp_path / "copy", silent)
    backup.restore(tmp_path / "copy", tmp_path / "new", silent)
    assert [path.name for path in (tmp_path / "new" / "photos").iterdir()] == [name]
    assert (tmp_path / "new" / "photos" / name).read_bytes() == b"a mast"
    assert (tmp_path / "new" / "iccid.secret").read_text() == "ab" * 32 + "\n"
    assert (tmp_path / "new" / "iccid.secret").stat().st_mode & 0o777 == 0o600
    (tmp_path / "copy" / "photos" / name).write_bytes(b"another mast")
    with pytest.raises(Refused, match="file_differs"):
        backup.restore(tmp_path / "copy", tmp_path / "third", silent)
