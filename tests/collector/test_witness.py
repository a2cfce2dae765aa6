"""Witnesses: a real one as a process of its own, asked by the sealer, checked by `dosong-verify` and its one file."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from collector.leaves import LedgerLeaves
from collector.proofs import Prover
from collector.seal import Sealer
from collector.seal_store import SealStore
from collector.settings import LogSettings, Settings, WitnessSettings, read_settings
from collector.tile_files import TileFiles
from collector.witness_client import post, request
from collector.witnessing import Witnessing, witnesses_of
from tests.collector.door import Door
from tests.collector.kit import ORIGIN, T0_MS, FakeProbe, until
from wire import cosign, note, onefile, tlog, verify
from wire.errors import Misconfigured, Unavailable
from wire.note import Signer

KEY = Signer.from_seed(f"{ORIGIN}/log", bytes(range(32)))
LOG = Signer.from_seed(f"{ORIGIN}/log/2026", bytes(range(32)))


@contextmanager
def witness(folder: Path, port: int = 0, name: str = "witness.example/w1") -> Iterator[WitnessSettings]:
    """A witness as a process; it remembers in `folder`."""
    (folder / "logs.vkeys").write_text(LOG.verifier.vkey + "\n")
    argv = [sys.executable, "-m", "sim", "witness", "--key", str(folder / "w.key"), "--name", name]
    argv += ["--logs", str(folder / "logs.vkeys"), "--state", str(folder / "w.json"), "--port", str(port)]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        vkey, url = process.stdout.readline().strip(), process.stdout.readline().strip()
        yield WitnessSettings(url=url, vkey=vkey)
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()


class Log:
    """A ledger with a sealer and its witnesses."""

    def __init__(self, folder: Path, door: Door, *witnesses: WitnessSettings) -> None:
        self.settings = _settings(folder, witnesses)
        self.settings.state.mkdir(exist_ok=True)
        self.store = SealStore(self.settings.seal)
        self.leaves = LedgerLeaves(door.path)
        self.folder = self.settings.log_folder
        self.sealer = Sealer(self.store, [self.leaves], self.folder, KEY, ORIGIN)
        self.witnessing = Witnessing(self.settings, self.store, TileFiles(self.folder))

    def seal(self) -> None:
        """One round as the service does it."""
        self.sealer.round(T0_MS)
        self.witnessing.leave()

    def wait(self, count: int) -> None:
        def come() -> bool:
            self.witnessing.fetch()
            return self.witnessing.count == count

        until(come, 30)

    def published(self) -> bytes:
        return (self.folder / "checkpoint").read_bytes()

    def close(self) -> None:
        self.witnessing.stop()
        self.store.close()
        self.leaves.close()


def _settings(folder: Path, witnesses: tuple[WitnessSettings, ...]) -> Settings:
    config = folder / "collector.toml"
    config.write_text(
        f'origin = "{ORIGIN}"\nstate_dir = "state"\nack_key_file = "ack.key"\n[broker]\nsocket = "c.sock"\n'
        '[influx]\nurl = "http://127.0.0.1:1"\ndatabase = "dosong"\n'
    )
    log = LogSettings(key_file="log.key", witnesses=witnesses)
    return msgspec.structs.replace(read_settings(config), log=log)


@contextmanager
def log(folder: Path, door: Door, *witnesses: WitnessSettings) -> Iterator[Log]:
    made = Log(folder, door, *witnesses)
    try:
        yield made
    finally:
        made.close()


def test_a_witness_cosigns_and_a_third_party_sees_it_with_one_file(
    tmp_path: Path, door: Door, one: FakeProbe, capsys: pytest.CaptureFixture[str]
) -> None:
    with witness(tmp_path) as known, log(tmp_path, door, known) as here:
        for count in (3, 2):
            door.take("p-one", *(one.test() for _ in range(count)))
            here.seal()
            here.wait(1)
        key = cosign.parse_witness(known.vkey)
        (found,) = cosign.verify(here.published(), [key])
        assert abs(found.time_s - time.time()) < 600
        assert tlog.open_checkpoint(here.published(), LOG.verifier).size == 5
        assert (here.folder / "2026" / "checkpoint").read_bytes() == here.published()
        proof = Prover(here.store, here.folder).proof(2)
        assert proof is not None
    raw = door.reader.numbered(2)
    assert raw is not None
    lines = tmp_path / "records.jsonl"
    lines.write_text(json.dumps({"raw": base64.b64encode(raw.raw).decode(), "proof": proof.decode()}) + "\n")
    argv = ["--vkey", one.signer.verifier.vkey, "--log-vkey", LOG.verifier.vkey, str(lines)]
    assert verify.main([*argv, "--witness-vkey", known.vkey]) == 0
    stranger = Signer.from_seed("witness.example/w2", bytes([9]) * 32)
    other = cosign.Witness(stranger.name, stranger.verifier.public).vkey
    capsys.readouterr()
    assert verify.main([*argv, "--witness-vkey", known.vkey, "--witness-vkey", other]) == 1
    assert "not_witnessed: 1 of 2 witnesses" in capsys.readouterr().out
    assert verify.main([*argv, "--witness-vkey", known.vkey, "--witness-vkey", other, "--quorum", "1"]) == 0
    single = tmp_path / "dosong-verify.py"
    single.write_text(onefile.text())
    for keys, status in (([known.vkey], 0), ([other], 1)):
        words = [word for vkey in keys for word in ("--witness-vkey", vkey)]
        done = subprocess.run([sys.executable, "-I", str(single), *argv, *words], capture_output=True, check=False)
        assert done.returncode == status, done.stdout


def test_a_witness_that_is_down_holds_nobody_up_and_gets_the_newest_when_it_is_back(
    tmp_path: Path, door: Door, one: FakeProbe
) -> None:
    with witness(tmp_path) as known:
        port = int(known.url.rpartition(":")[2])
    with log(tmp_path, door, known) as here:
        for size in range(1, 4):
            door.take("p-one", one.test())
            here.seal()
            assert tlog.open_checkpoint((here.folder / "2026" / "checkpoint").read_bytes(), LOG.verifier).size == size
        until(lambda: here.witnessing.fetch() is None and here.witnessing.error is not None, 30)
        assert "does not answer" in str(here.witnessing.error)
        with witness(tmp_path, port):
            door.take("p-one", one.test())
            here.seal()
            here.wait(1)
        assert here.witnessing.error is None
        assert cosign.verify(here.published(), [cosign.parse_witness(known.vkey)])


def test_a_log_that_went_back_is_told_by_its_witness(tmp_path: Path, door: Door, one: FakeProbe) -> None:
    with witness(tmp_path) as known:
        root = tlog.root([tlog.leaf_hash(b"x")] * 9)
        larger = tlog.sign_checkpoint(tlog.Checkpoint(LOG.name, 9, root), LOG)
        assert post(known.url, request(0, (), larger)).status == 200
        with log(tmp_path, door, known) as here:
            door.take("p-one", one.test())
            here.seal()
            until(lambda: here.witnessing.fetch() is None and here.witnessing.error is not None, 30)
            assert "our log went back" in str(here.witnessing.error)


def test_a_log_with_two_histories_is_told_by_its_witness(tmp_path: Path, door: Door, one: FakeProbe) -> None:
    with witness(tmp_path) as known:
        other = tlog.sign_checkpoint(tlog.Checkpoint(LOG.name, 1, tlog.root([tlog.leaf_hash(b"x")])), LOG)
        assert post(known.url, request(0, (), other)).status == 200
        with log(tmp_path, door, known) as here:
            door.take("p-one", one.test())
            here.seal()
            until(lambda: here.witnessing.fetch() is None and here.witnessing.error is not None, 30)
            assert "two histories" in str(here.witnessing.error)


def test_the_witness_keeps_the_protocol(tmp_path: Path) -> None:
    leaves = [tlog.leaf_hash(bytes([n])) for n in range(8)]

    def signed(size: int, signer: Signer = LOG) -> bytes:
        return tlog.sign_checkpoint(tlog.Checkpoint(signer.name, size, tlog.root(leaves[:size])), signer)

    stranger = Signer.generate(LOG.name)
    with witness(tmp_path) as known:
        key = cosign.parse_witness(known.vkey)
        answer = post(known.url, request(0, (), signed(3)))
        assert answer.status == 200
        assert cosign.verify(note.split(signed(3)).text + b"\n" + answer.body, [key])
        proof = tlog.consistency_proof(leaves[:6], 3)
        cases = [
            (request(0, (), signed(6)), 409),
            (request(3, proof[:-1], signed(6)), 422),
            (request(7, (), signed(6)), 400),
            (b"old 03\n\n" + signed(6), 400),
            (request(3, proof, signed(6, stranger)), 403),
            (request(3, proof, signed(6, Signer.generate("other.example/log"))), 404),
        ]
        for body, status in cases:
            assert post(known.url, body).status == status
        told = post(known.url, cases[0][0])
        assert (told.kind, told.body) == ("text/x.tlog.size", b"3\n")
    with witness(tmp_path) as known:
        assert post(known.url, request(3, proof, signed(6))).status == 200, "it remembers over a restart"
        assert post(known.url, request(3, proof, signed(6))).status == 409
        assert post(known.url, request(6, (), signed(6))).status == 200


def test_settings_of_witnesses_are_judged_before_anything_starts(tmp_path: Path) -> None:
    bad = WitnessSettings(url="http://127.0.0.1:1", vkey=LOG.verifier.vkey)
    with pytest.raises(Misconfigured, match="witness's keeper"):
        witnesses_of(_settings(tmp_path, (bad,)))
    good = msgspec.structs.replace(bad, vkey=cosign.Witness("w.example", LOG.verifier.public).vkey)
    with pytest.raises(Misconfigured, match="one name"):
        witnesses_of(_settings(tmp_path, (good, good)))
    with pytest.raises(Unavailable, match="does not answer"):
        post("http://127.0.0.1:1", b"")
