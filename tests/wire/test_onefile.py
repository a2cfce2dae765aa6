"""The one-file verifier: alone in a folder, without msgspec, it gives the same verdicts."""

from __future__ import annotations

import ast
import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wire import make_golden
from wire import onefile, tlog
from wire.note import Signer

VKEY = make_golden.signer(f"probe/{make_golden.PROBE}").verifier.vkey
RECORDS = list(make_golden.chain().values())
LOG = Signer.from_seed("dosong.example/log/2026", bytes(32))
ALLOWED = {"cryptography", "wire"} | set(sys.stdlib_module_names)


@pytest.fixture
def alone(tmp_path: Path) -> Path:
    """The file in a folder of its own, and a `msgspec` that must not be asked for."""
    (tmp_path / "dosong-verify.py").write_text(onefile.text())
    (tmp_path / "msgspec.py").write_text("raise AssertionError('the one file must not need msgspec')")
    return tmp_path


def run(folder: Path, *words: str) -> tuple[int, str]:
    """Isolated from this project: no PYTHONPATH, another folder."""
    command = [sys.executable, "-E", "-P", "dosong-verify.py", *words]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def lines(raws: list[bytes], leaves: list[bytes]) -> str:
    note = tlog.sign_checkpoint(tlog.Checkpoint(LOG.name, len(leaves), tlog.root(leaves)), LOG)
    rows = []
    for raw in raws:
        index = leaves.index(tlog.leaf_hash(raw))
        proof = tlog.proof_text(tlog.Proof(index, tlog.inclusion_proof(leaves, index), note)).decode()
        rows.append(json.dumps({"raw": base64.b64encode(raw).decode(), "proof": proof}))
    return "\n".join(rows)


def test_it_imports_nothing_but_the_standard_library_and_cryptography() -> None:
    for name in onefile.MODULES:
        source = Path(onefile.__file__).with_name(f"{name}.py").read_text()
        for node in ast.walk(ast.parse(source)):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            assert {found.partition(".")[0] for found in names} <= ALLOWED, (name, names)
            ours = {found.partition(".")[2] for found in names if found.startswith("wire.")}
            assert ours <= {*onefile.MODULES, "codec"}, (name, ours)


def test_records_with_proofs_are_in_order_and_a_changed_byte_is_not(alone: Path) -> None:
    leaves = [tlog.leaf_hash(raw) for raw in RECORDS]
    (alone / "export.jsonl").write_text(lines(RECORDS, leaves))
    words = ["--vkey", VKEY, "--log-vkey", LOG.verifier.vkey]
    status, out = run(alone, *words, "export.jsonl")
    assert status == 0, out
    assert f"{len(RECORDS)} proved" in out
    assert "(declared)" in out
    forged = bytearray(RECORDS[2])
    forged[forged.index(b'"seq":') + 6] ^= 1
    rows = (alone / "export.jsonl").read_text().splitlines()
    rows[2] = json.dumps({**json.loads(rows[2]), "raw": base64.b64encode(bytes(forged)).decode()})
    (alone / "forged.jsonl").write_text("\n".join(rows))
    status, out = run(alone, *words, "forged.jsonl")
    assert status == 1
    assert "bad_signature" in out


def test_a_record_left_out_is_a_hole_unless_the_probe_declared_it(alone: Path) -> None:
    leaves = [tlog.leaf_hash(raw) for raw in RECORDS]
    (alone / "export.jsonl").write_text(lines([*RECORDS[:3], *RECORDS[4:]], leaves))
    status, out = run(alone, "--vkey", VKEY, "export.jsonl")
    assert status == 1
    assert "seq 3 to 3 missing" in out


def test_a_period_that_the_chain_does_not_reach_over_is_said(alone: Path) -> None:
    (alone / "export.jsonl").write_text(lines(RECORDS, [tlog.leaf_hash(raw) for raw in RECORDS]))
    status, out = run(alone, "--vkey", VKEY, "--since", "2001-01-01T00:00", "export.jsonl")
    assert (status, "begin after the period does" in out) == (1, True)
    status, out = run(alone, "--vkey", VKEY, "--until", "2099-01-01T00:00", "export.jsonl")
    assert (status, "end before the period does" in out) == (1, True)
    assert run(alone, "--vkey", VKEY, "--since", "yesterday", "export.jsonl")[0] == 2


def test_a_log_that_showed_two_histories_is_found(alone: Path) -> None:
    leaves = [tlog.leaf_hash(b"%d" % i) for i in range(9)]
    other = [*leaves[:3], tlog.leaf_hash(b"another"), *leaves[4:]]
    (alone / "record").write_bytes(RECORDS[0])
    for name, tree in (("old", leaves[:6]), ("new", leaves), ("forked", other)):
        raw = tlog.sign_checkpoint(tlog.Checkpoint(LOG.name, len(tree), tlog.root(tree)), LOG)
        (alone / name).write_bytes(raw)
    proof = [base64.b64encode(one).decode() for one in tlog.consistency_proof(leaves, 6)]
    (alone / "proof").write_text("\n".join(proof))
    words = ["--vkey", VKEY, "--log-vkey", LOG.verifier.vkey, "--old-checkpoint", "old", "--consistency", "proof"]
    assert "split_view" not in run(alone, *words, "--checkpoint", "new", "record")[1]
    status, out = run(alone, *words, "--checkpoint", "forked", "record")
    assert (status, "split_view" in out) == (1, True)


def test_help_teaches(alone: Path) -> None:
    status, out = run(alone, "--help")
    assert status == 0
    assert "examples:" in out
