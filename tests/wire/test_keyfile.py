"""Key files: written once, read only if nobody else can, and every mistake said in one sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from wire import keyfile, note
from wire.errors import Misconfigured

KEY = note.Signer.from_seed("dosong.example/probe/p-one", bytes(range(32)))


def test_key_comes_back(tmp_path: Path) -> None:
    path = tmp_path / "record.key"
    keyfile.write_signer(path, KEY)
    assert path.stat().st_mode & 0o777 == 0o600
    assert keyfile.read_signer(path).verifier == KEY.verifier
    with pytest.raises(FileExistsError):
        keyfile.write_signer(path, KEY)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\xff\xfe\x00",
        b"PRIVATE+KEY+a+b",
        b"PUBLIC+KEY+a+00000000+AQ==",
        f"PRIVATE+KEY+{KEY.name}+00000000+AQAA".encode(),
        f"PRIVATE+KEY+{KEY.name}+00000000+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f".encode(),
        f"PRIVATE+KEY+bad name+{KEY.verifier.key_id.hex()}+AQABAgMEBQYHCAkKCwwNDg8QERITFBUWFxgZGhscHR4f".encode(),
        "PRIVATE+KEY+é+00000000+AQAA".encode(),
    ],
)
def test_malformed_file_is_misconfigured(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "record.key"
    path.write_bytes(content)
    path.chmod(0o600)
    with pytest.raises(Misconfigured, match=r"record\.key"):
        keyfile.read_signer(path)


def test_missing_and_open_files_are_misconfigured(tmp_path: Path) -> None:
    path = tmp_path / "record.key"
    with pytest.raises(Misconfigured, match="dosong-provision"):
        keyfile.read_signer(path)
    with pytest.raises(Misconfigured, match=r"cannot read|others"):
        keyfile.read_signer(tmp_path)
    keyfile.write_signer(path, KEY)
    path.chmod(0o640)
    with pytest.raises(Misconfigured, match="chmod 600"):
        keyfile.read_signer(path)


def test_public_key_in_settings_names_the_setting() -> None:
    assert keyfile.read_verifier(KEY.verifier.vkey + "\n", "ack_vkey") == KEY.verifier
    with pytest.raises(Misconfigured, match="ack_vkey"):
        keyfile.read_verifier("nonsense", "ack_vkey")
