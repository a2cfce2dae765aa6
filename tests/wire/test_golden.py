"""Golden files of version 1: made again byte for byte, and read by nothing but their bytes and keys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.wire import make_golden
from wire import codec, note, notes, records, tlog

FOLDER = make_golden.FOLDER
EXPECTED = sorted(FOLDER.glob("expected/*.json"))


def _load(path: Path) -> tuple[dict[str, Any], bytes]:
    folder = "records" if json.loads(path.read_text())["type"] == "sample" else "notes"
    return json.loads(path.read_text()), (FOLDER / folder / f"{path.stem}.note").read_bytes()


def test_files_are_made_again_byte_for_byte() -> None:
    made = dict(make_golden.files())
    held = {str(p.relative_to(FOLDER)): p.read_bytes() for p in FOLDER.rglob("*") if p.is_file()}
    assert held == made


@pytest.mark.parametrize("path", EXPECTED, ids=lambda p: p.stem)
def test_note_opens_to_what_its_json_says(path: Path) -> None:
    expected, raw = _load(path)
    assert len(raw) == expected["bytes"]
    assert codec.leaf_text(codec.leaf_hash(raw)) == expected["leaf"]
    assert _open(expected["type"], raw, note.parse_vkey(expected["vkey"])) == expected["object"]


def _open(kind: str, raw: bytes, key: note.Verifier) -> Any:
    if kind == "sample":
        opened = codec.open_record(raw, make_golden.ORIGIN, make_golden.PROBE, key)
        assert opened.fault is None
        return json.loads(msgspec.json.encode(opened.record))
    if kind == "checkpoint":
        found = tlog.open_checkpoint(raw, key)
        return {"origin": found.origin, "size": found.size, "root": codec.leaf_text(found.root)}
    shape = notes.NOTE_TYPES[kind].shape
    assert shape is not None
    return json.loads(msgspec.json.encode(notes.open_note(raw, shape, make_golden.ORIGIN, key)))


def test_every_kind_and_note_type_and_outcome_has_a_file() -> None:
    rows = [_load(path)[0] for path in EXPECTED]
    assert {row["type"] for row in rows} == set(notes.NOTE_TYPES)
    samples = [row["object"] for row in rows if row["type"] == "sample"]
    assert {row["kind"] for row in samples} == set(records.KINDS)
    assert {row["outcome"] for row in samples if row["kind"] == "test"} == {"ok", "partial", "failed", "skipped"}


def test_proof_file_leads_to_the_checkpoint() -> None:
    raw = (FOLDER / "log/test-ok.note").read_bytes()
    proof = tlog.parse_proof((FOLDER / "log/test-ok.note.tlog-proof").read_bytes())
    assert tlog.check_proof(raw, proof, make_golden.signer("log").verifier) is not None


def test_script_refuses_to_rewrite_a_released_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(make_golden, "FOLDER", tmp_path)
    make_golden.main()
    make_golden.main()
    (tmp_path / "records/boot.note").write_bytes(b"other")
    with pytest.raises(SystemExit):
        make_golden.main()
