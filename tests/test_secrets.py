"""No key, IMSI, ICCID or telephone number stands in the tree, and the scan finds them where they do."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SCRIPT = ROOT / "scripts" / "secrets_scan.py"
DIGITS = "1234567890"
PLANTED = {
    "private key of ours": "PRIVATE+KEY+x.example/probe/p-1+0a1b2c3d+" + "A" * 43 + "=",
    "private key in PEM": "-----BEGIN " + "PRIVATE KEY-----\n" + "M" * 64,
    "IMSI": "imsi=45204" + DIGITS,
    "ICCID": "iccid 8984" + "0" * 5 + DIGITS,
    "telephone number": 'call "09' + "12345678" + '" now',
    "cloud or forge token": "AKIA" + "A" * 16,
    "password in an address": "http://admin:" + "hunter22@db",
}


def _scan(*words: str | Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, SCRIPT, *words], capture_output=True, text=True, check=False, cwd=ROOT)
    return done.returncode, done.stdout + done.stderr


def test_nothing_secret_stands_in_the_tree() -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("not a clone: git says which files are ours")
    code, said = _scan()
    assert code == 0, said


@pytest.mark.parametrize("kind", PLANTED)
def test_what_may_not_stand_anywhere_is_found(tmp_path: Path, kind: str) -> None:
    (tmp_path / "demo.log").write_text(f"fine\n{PLANTED[kind]}\n")
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("inside.csv", f"a;b\nc;{PLANTED[kind]}\n")
    (tmp_path / "pack.zip").write_bytes(packed.getvalue())
    code, said = _scan(tmp_path)
    assert code == 1
    assert f"demo.log:2: {kind}" in said
    assert f"pack.zip!inside.csv:2: {kind}" in said
    assert PLANTED[kind].splitlines()[-1] not in said, "what was found is never printed"


def test_ordinary_lines_of_logs_and_exports_are_no_findings(tmp_path: Path) -> None:
    (tmp_path / "x.log").write_text(
        "2026-11-22T03:04:05Z t_ms=1790000400000 eci=27440068 plmn=45204 seq=123456789012345678\n"
        "head=fdoZmf6MUg+3hysHrRLFwememwb7ssY2GayovKzZWsc= 8b1a9953c4611296a827abf8c47804d7 0.0912345678\n"
    )
    assert _scan(tmp_path)[0] == 0
