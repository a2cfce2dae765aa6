"""`dosong-verify`: what it accepts, what it names, and what it exits with."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.wire import make_golden
from tests.wire.hostile import HOSTILE
from wire import audit, bundle, note, tlog, verify

FOLDER = make_golden.FOLDER
VKEY = make_golden.signer(f"probe/{make_golden.PROBE}").verifier.vkey
LOG = make_golden.signer("log")
CHAIN = make_golden.chain()
RECORDS = list(CHAIN.values())


def _run(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, str]:
    status = verify.main([str(arg) for arg in args])
    captured = capsys.readouterr()
    return status, captured.out + captured.err


def _json(capsys: pytest.CaptureFixture[str], *args: str | Path) -> tuple[int, dict[str, Any]]:
    status, out = _run(capsys, "--json", *args)
    return status, json.loads(out)


def _reasons(found: dict[str, Any]) -> list[str]:
    return [finding["reason"] for finding in found["findings"]]


def test_golden_folder_is_in_order(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = _run(capsys, "--vkey", VKEY, FOLDER / "records")
    assert status == 0
    assert "9-11 (declared)" in out
    assert f"OK: {len(RECORDS)} records, {len(RECORDS)} authentic, {len(RECORDS)} valid" in out


@pytest.mark.parametrize("form", ["note", "bundle", "jsonl"])
def test_every_form_of_file_is_read(form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / f"records.{form}"
    lines = [json.dumps({"raw": base64.b64encode(raw).decode()}) for raw in RECORDS]
    forms = {"note": RECORDS[0], "bundle": bundle.encode(RECORDS), "jsonl": "\n".join(lines).encode() + b"\n"}
    path.write_bytes(forms[form])
    status, found = _json(capsys, "--vkey", VKEY, path)
    assert status == 0
    assert found["valid"] == (1 if form == "note" else len(RECORDS))


def test_export_of_a_later_stretch_is_in_order(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "part.bundle"
    path.write_bytes(bundle.encode(RECORDS[3:7] + RECORDS[3:5]))
    status, found = _json(capsys, "--vkey", VKEY, path)
    assert status == 0
    assert found["duplicates"] == 2
    assert (found["chains"][0]["first_seq"], found["chains"][0]["last_seq"]) == (3, 6)


def test_missing_record_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(FOLDER / "records", tmp_path / "r")
    (tmp_path / "r" / "test-partial.note").unlink()
    status, out = _run(capsys, "--vkey", VKEY, tmp_path / "r")
    assert status == 1
    assert "epoch 1: seq 4 to 4 missing" in out


def test_hole_without_its_gap_record_is_a_finding(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shutil.copytree(FOLDER / "records", tmp_path / "r")
    (tmp_path / "r" / "gap.note").unlink()
    status, out = _run(capsys, "--vkey", VKEY, tmp_path / "r")
    assert status == 1
    assert "seq 9 to 11 missing" in out


def _signed(body: bytes) -> bytes:
    signer = make_golden.signer(f"probe/{make_golden.PROBE}")
    return note.sign(f"{make_golden.ORIGIN}/sample/v1\n".encode() + body + b"\n", signer)


def test_altered_foreign_broken_and_forked_records_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stranger = note.Signer.generate(f"{make_golden.ORIGIN}/probe/p-stranger")
    body = RECORDS[1].split(b"\n")[1]
    rows = {
        "bad_signature": RECORDS[2].replace(b'"fw":"0.1.0"', b'"fw":"0.1.1"'),
        "unknown_key": note.sign(b"x\n", stranger),
        "schema": _signed(HOSTILE["unknown key"][0]),
        "fork": _signed(body.replace(b'"fw":"0.1.0"', b'"fw":"9.9.9"')),
        "not_a_note": b"hello",
        "too_big": b"x" * 5_000_000,
    }
    path = tmp_path / "mixed.jsonl"
    every = [*rows.values(), *RECORDS]
    path.write_text("\n".join(json.dumps({"raw": base64.b64encode(raw).decode()}) for raw in every))
    status, found = _json(capsys, "--vkey", VKEY, path)
    assert status == 1
    assert set(rows) <= set(_reasons(found))
    assert found["authentic"] == len(RECORDS) + 2


def test_broken_link_is_named() -> None:
    body = RECORDS[3].split(b"\n")[1]
    prev = json.loads(body)["prev"].encode()
    other = _signed(body.replace(prev, b"A" * 43 + b"="))
    found = audit.audit(
        [audit.Entry(str(i), raw) for i, raw in enumerate((RECORDS[2], other))], audit.read_keys([VKEY])
    )
    assert [finding.reason for finding in found.findings] == ["broken_chain"]


def test_record_whose_place_cannot_be_read_takes_it_from_the_next() -> None:
    loose = _signed(b'{"broken":')
    after = RECORDS[1].split(b"\n")[1]
    prev = json.loads(after)["prev"].encode()
    linked = _signed(after.replace(prev, base64.b64encode(tlog.leaf_hash(loose))))
    found = audit.audit([audit.Entry("a", loose), audit.Entry("b", linked)], audit.read_keys([VKEY]))
    assert [finding.reason for finding in found.findings] == ["not_json"]
    assert found.chains[0].kinds == {"broken": 1, "event": 1}
    assert (found.chains[0].first_seq, found.chains[0].last_seq) == (0, 1)
    alone = audit.audit([audit.Entry("a", loose)], audit.read_keys([VKEY]))
    assert [finding.reason for finding in alone.findings] == ["not_json", "no_head"]


def test_holes_are_cut_at_what_gaps_declare() -> None:
    holes = [
        (h.first, h.last, h.declared) for h in audit._holes(5, 20, [(0, 6), (9, 12), (11, 13), (19, 40), (50, 60)])
    ]
    assert holes == [(5, 6, True), (7, 8, False), (9, 12, True), (13, 13, True), (14, 18, False), (19, 20, True)]
    assert list(audit._holes(5, 4, [])) == []


def test_whole_log_is_proved_by_its_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "entries"
    path.write_bytes(bundle.encode(RECORDS))
    log = ("--log-vkey", LOG.verifier.vkey, "--checkpoint", FOLDER / "notes/checkpoint.note")
    status, out = _run(capsys, "--vkey", VKEY, *log, path)
    assert status == 0
    assert f"{len(RECORDS)} proved in dosong.example/log at size {len(RECORDS)}" in out
    path.write_bytes(bundle.encode([*RECORDS[1:], RECORDS[0]]))
    status, found = _json(capsys, "--vkey", VKEY, *log, path)
    assert status == 1
    assert _reasons(found) == ["not_in_log"] * len(RECORDS)


def test_proof_beside_a_record_is_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("--vkeys", FOLDER / "log/vkeys", "--log-vkey", LOG.verifier.vkey)
    status, found = _json(capsys, *args, FOLDER / "log/test-ok.note")
    assert (status, found["included"]) == (0, 1)
    shutil.copy(FOLDER / "log/test-ok.note", tmp_path / "a.note")
    status, found = _json(capsys, *args, tmp_path / "a.note")
    assert (status, _reasons(found)) == (1, ["not_in_log"])
    proof = (FOLDER / "log/test-ok.note.tlog-proof").read_bytes()
    (tmp_path / "a.note.tlog-proof").write_bytes(proof.replace(b"index 2", b"index 3"))
    status, found = _json(capsys, *args, tmp_path / "a.note")
    assert _reasons(found) == ["bad_proof", "not_in_log"]
    (tmp_path / "a.note.tlog-proof").write_bytes(b"nonsense")
    status, found = _json(capsys, *args, tmp_path / "a.note")
    assert _reasons(found) == ["not_a_note", "not_in_log"]


def test_two_roots_for_one_size_are_a_split_view() -> None:
    def proof(leaves: list[bytes]) -> bytes:
        checkpoint = tlog.Checkpoint(LOG.name, len(leaves), tlog.root(leaves))
        return tlog.proof_text(tlog.Proof(0, tlog.inclusion_proof(leaves, 0), tlog.sign_checkpoint(checkpoint, LOG)))

    leaves = [tlog.leaf_hash(raw) for raw in RECORDS[:2]]
    entries = [
        audit.Entry("one", RECORDS[0], proof(leaves)),
        audit.Entry("two", RECORDS[1], proof([leaves[1], leaves[0]])),
    ]
    found = audit.audit(entries, audit.read_keys([VKEY]), {LOG.name: LOG.verifier})
    assert [finding.reason for finding in found.findings] == ["split_view", "not_in_log"]


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["nowhere.note", "--vkey", VKEY], "No such file"),
        ([str(FOLDER / "records")], "--vkey"),
        ([str(FOLDER / "records"), "--vkey", "nonsense"], "name+keyid+base64"),
        ([str(FOLDER / "records"), "--vkey", LOG.verifier.vkey], "no record key"),
        ([str(FOLDER / "records"), "--vkey", VKEY, "--log-vkey", "nonsense"], "name+keyid+base64"),
        ([str(FOLDER / "records"), "--vkey", VKEY, "--checkpoint", str(FOLDER / "log/vkeys")], "--log-vkey"),
        ([str(FOLDER / "expected/ack.json"), "--vkey", VKEY], "base64"),
    ],
)
def test_command_that_cannot_be_carried_out_exits_2(
    args: list[str], sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, out = _run(capsys, *args)
    assert status == 2
    assert sentence in out


def test_empty_folder_is_nothing_to_verify(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out = _run(capsys, "--vkey", VKEY, tmp_path)
    assert (status, "no record found" in out) == (2, True)


def test_bad_checkpoint_is_a_finding(capsys: pytest.CaptureFixture[str]) -> None:
    log = ("--log-vkey", LOG.verifier.vkey, "--checkpoint", FOLDER / "notes/ack.note")
    status, found = _json(capsys, "--vkey", VKEY, *log, FOLDER / "records/boot.note")
    assert (status, _reasons(found)) == (1, ["unknown_key", "not_in_log"])


def test_help_teaches_with_examples() -> None:
    ran = subprocess.run([sys.executable, "-m", "wire.verify", "--help"], capture_output=True, text=True, check=True)
    assert "examples:" in ran.stdout
    assert "exit status" in ran.stdout


def test_note_and_tlog_need_only_the_standard_library_and_cryptography() -> None:
    program = (
        "import sys; sys.modules['msgspec'] = None\n"
        "import wire.note, wire.tlog\n"
        "print(sorted(m for m in sys.modules if m.split('.')[0] == 'wire'))\n"
        "print(sorted({m.split('.')[0] for m in sys.modules} & {'paho', 'flask', 'serial', 'influxdb_client'}))"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout.splitlines() == ["['wire', 'wire.errors', 'wire.note', 'wire.tlog']", "[]"]
