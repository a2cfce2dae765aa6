"""The byte-level vectors of facts note 08 §3.1: whoever agrees with these agrees with us."""

from __future__ import annotations

import base64
import json

from wire import canon, note, tlog

NAME = "mesure.example/probe/p0001"
PROBE = note.Signer.from_seed(NAME, bytes(range(32)))
LOG = note.Signer.from_seed("mesure.example/log1", bytes(range(0x20, 0x40)))
LINE = "OH6omqGEu0tuO72ZbYZZ/jk+gMitC3gFe8jMsxC7QvW3TK7GTWDlq+HzMVm90GiECL68AyZMq1HBj3s0Mko7+yM2UQY="
LEAVES = ("mSSAR6XRaXxQ/4z4jOUE21X5sDwv7shJVomDTL8Jj0E=", "chedhtrUFbUkEHtQ5186jUE0X/MhHBvAwS36aNgb2bI=")


def _record(down_kbps: int, prev: str, seq: int, t_ms: int) -> bytes:
    obj = {"down_kbps": down_kbps, "net": "lte", "prev": prev, "probe": "p0001", "seq": seq, "t": t_ms, "v": 1}
    return note.sign(b"mesure.example/sample/v1\n" + canon.encode(obj) + b"\n", PROBE)


RECORDS = (_record(5400, "", 0, 1_767_225_600_000), _record(5100, LEAVES[0], 1, 1_767_229_200_000))


def test_vkeys_are_the_published_ones() -> None:
    assert PROBE.verifier.vkey == f"{NAME}+387ea89a+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4"
    assert LOG.verifier.vkey == "mesure.example/log1+f3dc09dc+ASmsuuFBvMrwsi4alNNNC8c2HlJtC/4SyJeUvJMilm3X"
    assert note.parse_vkey(PROBE.verifier.vkey) == PROBE.verifier


def test_record_0_has_the_published_bytes() -> None:
    expected = (
        "mesure.example/sample/v1\n"
        '{"down_kbps":5400,"net":"lte","prev":"","probe":"p0001","seq":0,"t":1767225600000,"v":1}\n'
        f"\n— {NAME} {LINE}\n"
    )
    assert RECORDS[0] == expected.encode()
    assert note.verify(note.split(RECORDS[0]), PROBE.verifier) == expected.split("\n\n", maxsplit=1)[0].encode() + b"\n"
    assert len(RECORDS[0]) == 239


def test_leaf_hashes_are_the_published_ones() -> None:
    assert tuple(base64.b64encode(tlog.leaf_hash(raw)).decode() for raw in RECORDS) == LEAVES


def test_checkpoint_of_size_2_has_the_published_root() -> None:
    root = tlog.root([tlog.leaf_hash(raw) for raw in RECORDS])
    assert base64.b64encode(root).decode() == "fdoZmf6MUg+3hysHrRLFwememwb7ssY2GayovKzZWsc="
    checkpoint = tlog.Checkpoint("mesure.example/log1", 2, root)
    assert tlog.open_checkpoint(tlog.sign_checkpoint(checkpoint, LOG), LOG.verifier) == checkpoint


def test_c2sp_example_note_verifies() -> None:
    """The example of the signed-note specification (key and note as published there)."""
    vkey = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    text = (
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
        "\n— PeterNeumann "
        "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    assert note.verify(note.split(text.encode()), note.parse_vkey(vkey)).startswith(b"If you think")


def test_profile_is_what_the_standard_library_writes() -> None:
    obj = {"b": 1, "a": {"x_1": [1, None, -2]}, "c": "xóm Đông"}
    assert canon.encode(obj) == json.dumps(obj, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
