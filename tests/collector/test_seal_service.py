"""The sealing process: killed at any step it signs one history; a third party follows it with files alone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from collector.health import now_ms, read_health
from collector.leaves import LedgerLeaves
from tests.collector.conftest import Bench
from tests.collector.kit import ORIGIN, FakeProbe, until
from wire import tlog, topics
from wire.keyfile import write_signer
from wire.note import Signer, Verifier, parse_vkey

STEPS = ["assigned", "tiled", "signed", "persisted", "published"]


@pytest.fixture
def sealing(bench: Bench) -> Iterator[Bench]:
    """A collector with a log that is signed every second."""
    write_signer(bench.deployment.folder / "log.key", Signer.generate(f"{ORIGIN}/log"))
    with bench.deployment.config.open("a") as file:
        file.write('[log]\nkey_file = "log.key"\nevery_s = 1\n')
    yield bench
    sealer = getattr(bench, "seal", None)
    if sealer is not None:
        sealer.stop()


def said(bench: Bench) -> Any:
    return read_health(bench.deployment.state, now_ms()).seal


def roots(bench: Bench) -> dict[int, bytes]:
    with sqlite3.connect(bench.deployment.state / "seal.db") as db:
        return dict(db.execute("SELECT size, root FROM checkpoint"))


def true_root(bench: Bench, size: int) -> bytes:
    leaves = LedgerLeaves(bench.deployment.state / "ledger.db")
    try:
        return tlog.root([tlog.leaf_hash(leaf.raw) for leaf in leaves.rows(0, size)])
    finally:
        leaves.close()


@pytest.mark.services
def test_killed_at_every_step_it_signs_one_history(sealing: Bench, one: FakeProbe) -> None:
    sealing.receiving()
    sealing.field.send("p-one", one.test())
    until(lambda: sealing.field.upto("p-one") == 0)
    for at, step in enumerate(STEPS * 2):
        program = sealing.deployment.program("seal", name=f"seal-{at}")
        program._env = {**(program._env or {}), "DOSONG_KILL_AT": f"seal.{step}"}
        program.start()
        sealing.field.send("p-one", *(one.test() for _ in range(5)))
        until(lambda p=program: p.process.poll() is not None, 30, f"killed at {step}")
        assert program.process.returncode == -9
    last = sealing.deployment.program("seal")
    last.start()
    try:
        until(lambda: max(roots(sealing), default=0) == 51, 30)
        until(lambda: said(sealing) is not None and said(sealing).pid == last.process.pid)
    finally:
        assert last.stop() == 0
    for size, root in roots(sealing).items():
        assert root == true_root(sealing, size)


@pytest.mark.services
def test_the_newest_checkpoint_is_told_to_everybody_retained(sealing: Bench, one: FakeProbe) -> None:
    sealing.receiving()
    program = sealing.deployment.program("seal")
    program.start()
    seen: list[bytes] = []
    client = Client(CallbackAPIVersion.VERSION2, client_id="everybody.else")
    client.on_message = lambda _c, _u, message: seen.append(message.payload)
    try:
        sealing.field.send("p-one", one.test(), one.test())
        until(lambda: said(sealing) is not None and said(sealing).size == 2, 30)
        client.connect("127.0.0.1", sealing.broker.port)
        client.loop_start()
        client.subscribe(topics.CHECKPOINT, 1)
        until(lambda: bool(seen))
    finally:
        client.loop_stop()
        client.disconnect()
        program.stop()
    (vkey,) = (sealing.deployment.state / "log" / "vkeys").read_text().splitlines()
    assert tlog.open_checkpoint(seen[-1], parse_vkey(vkey)) == tlog.Checkpoint(
        parse_vkey(vkey).name, 2, true_root(sealing, 2)
    )


@pytest.mark.services
def test_a_third_party_checks_an_export_with_its_proofs_offline(
    sealing: Bench, one: FakeProbe, two: FakeProbe, tmp_path: Path
) -> None:
    sealing.receiving()
    program = sealing.deployment.program("seal")
    program.start()
    sealing.field.send("p-one", *(one.test() for _ in range(7)))
    sealing.field.send("p-two", *(two.test() for _ in range(3)))
    until(lambda: max(roots_or_none(sealing), default=0) == 10, 30)
    assert program.stop() == 0
    export = tmp_path / "export.jsonl"
    export.write_text(sealing.deployment.call("export", "--proofs").stdout)
    keys = tmp_path / "probes.vkeys"
    keys.write_text(f"{one.signer.verifier.vkey}\n{two.signer.verifier.vkey}\n")
    logs = sealing.deployment.state / "log" / "vkeys"

    def verdict(file: Path) -> subprocess.CompletedProcess[str]:
        words = ["--vkeys", str(keys), "--log-vkeys", str(logs), str(file)]
        return subprocess.run(
            [sys.executable, "-m", "wire.verify", *words], capture_output=True, text=True, check=False
        )

    good = verdict(export)
    assert good.returncode == 0, good.stdout + good.stderr
    assert "10 proved" in good.stdout
    lines = export.read_text().splitlines()
    (tmp_path / "forged.jsonl").write_text("\n".join([lines[0].replace("index 0", "index 1"), *lines[1:]]))
    assert "bad_proof" in verdict(tmp_path / "forged.jsonl").stdout
    wrong = Signer.generate(f"{ORIGIN}/log/2026").verifier
    logs.write_text(Verifier(parse_vkey(logs.read_text()).name, wrong.public).vkey)
    refused = verdict(export)
    assert refused.returncode == 1
    assert "unknown_key" in refused.stdout
    one_proof = sealing.deployment.call("proof", "p-one", "1", "3")
    assert one_proof.stdout.startswith("c2sp.org/tlog-proof@v1\nindex ")
    assert sealing.deployment.call("proof", "p-one", "1", "99").returncode == 1


def roots_or_none(bench: Bench) -> dict[int, bytes]:
    try:
        return roots(bench)
    except sqlite3.Error:
        return {}


@pytest.mark.services
def test_what_was_changed_stops_the_signing_and_stands_on_the_health_page(sealing: Bench, one: FakeProbe) -> None:
    sealing.receiving()
    program = sealing.deployment.program("seal")
    program.start()
    try:
        sealing.field.send("p-one", *(one.test() for _ in range(4)))
        until(lambda: said(sealing) is not None and said(sealing).size == 4, 30)
        with sqlite3.connect(sealing.deployment.state / "ledger.db", timeout=20) as db:
            db.execute("UPDATE entry SET leaf = zeroblob(32) WHERE n = 2")
        sealing.field.send("p-one", one.test())
        until(lambda: said(sealing).error is not None, 30)
        assert "record 2 of the ledger" in said(sealing).error
        assert said(sealing).size == 4
        until(lambda: sealing.field.upto("p-one") == 4, what="records go on being stored")
    finally:
        program.stop()
    assert program.text().count("log=broken") == 1


def test_a_wrong_log_key_is_one_sentence(bench: Bench) -> None:
    write_signer(bench.deployment.folder / "log.key", Signer.generate(f"{ORIGIN}/ack"))
    assert bench.deployment.call("seal").returncode == 78
    with bench.deployment.config.open("a") as file:
        file.write('[log]\nkey_file = "log.key"\n')
    found = bench.deployment.call("seal")
    assert found.returncode == 78
    assert f"{ORIGIN}/log is needed" in found.stderr
