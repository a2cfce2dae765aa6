"""A collector that is put back from a backup, as its probes see it: nobody is accused, nothing is kept back."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector import backup
from collector.tile_files import TileFiles
from probe.core import beacon, chain
from tests.collector.kit import FakeProbe
from tests.collector.test_seal import KEY, NOW_MS, Log
from wire import notes

HOUR_MS = 3_600_000


@pytest.fixture
def probe() -> FakeProbe:
    return FakeProbe("p-one")


@pytest.fixture
def office(tmp_path: Path, probe: FakeProbe) -> Iterator[list[Log]]:
    """The collector, and each one that takes its place."""
    (tmp_path / "state").mkdir()
    made = [Log(tmp_path / "state", probe)]
    yield made
    for one in made:
        one.close()
        one.door.close()


def put_back(office: list[Log], folder: Path, at_ms: int) -> Log:
    """The backup in a new state folder, and its programs over it."""
    state = folder / f"state-{len(office)}"
    backup.restore(folder / "copy", state, lambda _line: None, at_ms)
    office.append(Log(state, office[0].probe))
    return office[-1]


def told(log: Log) -> bytes | None:
    """What `receive` tells all probes."""
    return TileFiles(log.sealer.folder(log.shard()).parent).published()


def hear(state: beacon.State, note: bytes) -> tuple[beacon.State, list[beacon.Effect]]:
    """What a probe makes of a checkpoint that stands for an hour."""
    done: list[beacon.Effect] = []
    came = beacon.Came(10**8, beacon.read(note, KEY.verifier))
    for event in (beacon.Turn(10**8, may_ask=True), came, beacon.Turn(10**8 + HOUR_MS, may_ask=True)):
        state, effects = beacon.step(state, event, beacon.Policy())
        done += effects
    return beacon.step(state, beacon.Disconnected(), beacon.Policy())[0], done


def ack(log: Log) -> notes.Ack:
    head = log.door.ledger.head_of("p-one")
    assert head is not None
    return notes.Ack(
        v=1, signed_ms=NOW_MS, probe="p-one", epoch=1, gen=head.gen, size=head.size, upto=head.upto, head="A" * 43 + "="
    )


@pytest.mark.parametrize("more", [3, 6])
def test_a_backup_that_is_put_back_twice_is_another_ledger_and_another_log_each_time(
    office: list[Log], tmp_path: Path, more: int
) -> None:
    office[0].tests(20)
    office[0].round()
    backup.make(office[0].folder, tmp_path / "copy", lambda _line: None)
    goes_on = (office[0].probe.seq, office[0].probe.head)
    knows, heard_of = beacon.State(), chain.State(1, 20, connected=True)
    for number, count in enumerate((6, more)):
        log = put_back(office, tmp_path, NOW_MS + number * HOUR_MS)
        head = ack(log)
        heard_of, effects = chain.step(heard_of, chain.Acknowledged(head, head.head), chain.Policy(1, 2))
        assert chain.Reinstate(1, 19, head.gen) in effects, "what the backup does not hold is sent again"
        for _ in range(count):
            log.door.take("p-one", log.probe.test(downlink_bps=20_000_000 + number))
        knows, done = hear(knows, _newest(log))
        assert [effect for effect in done if isinstance(effect, beacon.Conflict)] == []
        assert any(isinstance(effect, beacon.Keep) for effect in done)
        log.probe.seq, log.probe.head = goes_on  # what each ledger gets is another story


def test_until_the_new_log_speaks_no_probe_is_told_an_older_checkpoint(office: list[Log], tmp_path: Path) -> None:
    log = office[0]
    log.tests(20)
    TileFiles(log.folder / "log").publish(_newest(log))
    backup.make(log.folder, tmp_path / "copy", lambda _line: None)
    assert TileFiles(tmp_path / "copy" / "log").published() is not None
    log.tests(6)
    knows, _ = hear(beacon.State(), _newest(log))
    again = put_back(office, tmp_path, NOW_MS)
    assert told(again) is None
    assert any(isinstance(effect, beacon.Keep) for effect in hear(knows, _newest(again))[1])


def _newest(log: Log) -> bytes:
    log.round()
    note = TileFiles(log.sealer.folder(log.shard())).published()
    assert note is not None
    return note


def test_a_machine_that_was_set_back_tells_no_older_checkpoint_once_it_is_said(
    office: list[Log], tmp_path: Path
) -> None:
    """A snapshot of the virtual machine: ledger, log and `seal.db` are all older, and agree with each other."""
    log = office[0]
    log.tests(20)
    TileFiles(log.folder / "log").publish(_newest(log))
    shutil.copytree(log.folder, tmp_path / "snapshot", ignore=shutil.ignore_patterns("*-shm"))
    log.tests(6)
    knows, _ = hear(beacon.State(), _newest(log))
    (tmp_path / "collector.toml").write_text(
        'origin = "dosong.example"\nstate_dir = "snapshot"\nack_key_file = "ack.key"\n[broker]\nsocket = "c.sock"\n'
        '[influx]\nurl = "http://127.0.0.1:1"\ndatabase = "dosong"\n'
    )
    words = ["restored", "--config", str(tmp_path / "collector.toml")]
    done = subprocess.run(
        [sys.executable, "-m", "collector", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    office.append(Log(tmp_path / "snapshot", log.probe))
    again = office[-1]
    assert told(again) is None
    assert ack(again).gen > 1, "a number that is not counted up from the snapshot's"
    assert any(isinstance(effect, beacon.Keep) for effect in hear(knows, _newest(again))[1])
