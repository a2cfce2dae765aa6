"""A site's photo: the picture stays, what the phone told of itself and its place does not."""

from __future__ import annotations

import struct
from hashlib import sha256
from pathlib import Path

import pytest
from click.testing import CliRunner

from collector.registry import Registry
from collector.registry_dated import PhotoRow
from provisioning import photo
from provisioning.__main__ import cli
from tests.collector.kit import FakeProbe, document
from wire.errors import Refused


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


HEAD = segment(0xE0, b"JFIF\x00\x01\x02") + segment(0xDB, bytes(65))
SCAN = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\xff\x00\x34\xff\xd0\x56"
SECOND = segment(0xC4, b"a table with an end in it \xff\xd9") + SCAN
PICTURE = b"\xff\xd8" + HEAD + SCAN + SECOND + b"\xff\xd9"
TELLING = (
    b"\xff\xd8" + segment(0xE1, b"Exif\x00\x00 GPS 21.5 105.8 Owner: A") + HEAD + segment(0xFE, b"comment of a phone")
    + b"\xff" + segment(0xED, b"maker") + SCAN + SECOND + b"\xff\xd9" + b"trailer with a video\xff\xd9"
)  # fmt: skip


def test_only_the_picture_stays() -> None:
    assert photo.bare(TELLING) == PICTURE
    assert photo.bare(PICTURE) == PICTURE


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x89PNG\r\n",
        PICTURE[:-2],
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe1\x00\x01\xff\xd9",
        PICTURE[:30] + b"\xff\xd9",
    ],
)
def test_what_is_no_whole_jpeg_is_refused(raw: bytes) -> None:
    with pytest.raises(Refused, match="JPEG"):
        photo.bare(raw)


def test_a_photo_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(photo, "MOST_BYTES", 10)
    with pytest.raises(Refused, match="larger"):
        photo.bare(PICTURE)


def test_the_command_keeps_it_beside_the_registry(tmp_path: Path) -> None:
    run, root = CliRunner().invoke, tmp_path / "d"
    run(cli, ["init", "--dir", str(root), "--origin", "dosong.example", "--host", "localhost"])
    registry = Registry(root / "collector" / "state" / "registry.db")
    registry.load(document(FakeProbe("p-one")))
    file = tmp_path / "site.jpg"
    file.write_bytes(TELLING)
    digest = sha256(PICTURE).hexdigest()
    done = run(cli, ["site-photo", "--dir", str(root), "s-one", str(file), "--source", "biên bản 7"])
    assert done.exit_code == 0, done.output
    assert (root / "collector" / "state" / "photos" / f"{digest}.jpg").read_bytes() == PICTURE
    row = registry.dated.holding(PhotoRow)[0]
    assert (row.site, row.sha256, row.size_bytes, row.source) == ("s-one", digest, len(PICTURE), "biên bản 7")
    registry.close()
    assert run(cli, ["site-photo", "--dir", str(root), "s-no", str(file)]).exit_code == 1
