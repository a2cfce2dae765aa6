"""Signed notes and keys: one accepted spelling each, and no key that is none."""

from __future__ import annotations

import base64

import pytest

from wire import note
from wire.errors import Refused

KEY = note.Signer.from_seed("dosong.example/probe/p-one", bytes(32))
OTHER = note.Signer.from_seed("witness.example/w1", b"\x01" * 32)
NOTE = note.sign(b"text\nmore\n", KEY)


def _reason(raw: bytes) -> str:
    with pytest.raises(Refused) as caught:
        note.verify(note.split(raw), KEY.verifier)
    return caught.value.reason


def test_text_comes_back() -> None:
    assert note.verify(note.split(NOTE), KEY.verifier) == b"text\nmore\n"


def test_other_signers_are_passed_over_whatever_their_names() -> None:
    raw = note.sign(b"text\n", OTHER, KEY) + "— wítness~2:x AAAAAAE=\n".encode()
    assert note.verify(note.split(raw), KEY.verifier) == b"text\n"


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "not_a_note"),
        (b"text\n", "not_a_note"),
        (b"text\n\n", "not_a_note"),
        (NOTE[:-1], "not_a_note"),
        (NOTE + b"\n", "not_a_note"),
        (NOTE.replace(b"\n\n", b"\n\r\n"), "not_a_note"),
        (NOTE.replace(b"text", b"te\x00t"), "not_a_note"),
        (NOTE.replace(b"text", b"te\tt"), "not_a_note"),
        (NOTE.replace(b"text", b"\xff\xfet"), "not_a_note"),
        (NOTE.replace("— ".encode(), b"- "), "not_a_note"),
        (NOTE.replace(b"p-one ", b"p-one  "), "not_a_note"),
        (NOTE.replace(b"=\n", b"\n"), "not_a_note"),
        (NOTE.replace(b"p-one", b"p-two"), "unknown_key"),
        (NOTE.replace(b"text", b"texT"), "bad_signature"),
        (b"more\n" + NOTE, "bad_signature"),
        (NOTE + NOTE.split(b"\n\n")[1], "bad_signature"),
        (NOTE.split(b"\n\n")[0] + b"\n\n" + NOTE.split(b"\n\n")[1] * 101, "not_a_note"),
    ],
)
def test_anything_else_is_refused(raw: bytes, reason: str) -> None:
    assert _reason(raw) == reason


def test_stray_bits_of_base64_are_seen() -> None:
    assert NOTE.endswith(b"=\n")
    last = NOTE[-3:-2]
    alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    twin = alphabet[alphabet.index(last) + 1 : alphabet.index(last) + 2]
    assert base64.b64decode(NOTE[-5:-3] + twin + b"=") == base64.b64decode(NOTE[-5:-1])
    assert _reason(NOTE[:-3] + twin + b"=\n") == "not_a_note"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "name",
        "name+00000000+AQ==",
        "na me+00000000+" + base64.b64encode(b"\x01" + bytes(32)).decode(),
        KEY.verifier.vkey.replace("+", "+f", 1),
        KEY.verifier.vkey[:-1],
        KEY.verifier.vkey.replace("p-one", "p-two"),
        "n+00000000+" + base64.b64encode(b"\x02" + bytes(32)).decode(),
        KEY.verifier.vkey.upper(),
    ],
)
def test_malformed_vkey_is_refused(text: str) -> None:
    with pytest.raises(Refused) as caught:
        note.parse_vkey(text)
    assert caught.value.reason == "bad_key"


P = 2**255 - 19
D = -121665 * pow(121666, P - 2, P) % P


def _times_8_is_zero(encoded: bytes) -> bool:
    """Decode y, find x, double three times on edwards25519: is the result the neutral point (0, 1)?"""
    y = int.from_bytes(encoded, "little") % P
    xx = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(xx, (P + 3) // 8, P)
    x = x if x * x % P == xx else x * pow(2, (P - 1) // 4, P) % P
    assert x * x % P == xx, "not on the curve"
    for _ in range(3):
        denominator = D * x * x * y * y
        x, y = (
            2 * x * y * pow(1 + denominator, P - 2, P) % P,
            (y * y + x * x) * pow(1 - denominator, P - 2, P) % P,
        )
    return (x, y) == (0, 1)


@pytest.mark.parametrize("weak", sorted(note._WEAK_KEYS))
@pytest.mark.parametrize("sign", [0, 0x80])
def test_key_of_small_order_is_refused(weak: bytes, sign: int) -> None:
    assert _times_8_is_zero(weak)
    public = weak[:31] + bytes([weak[31] | sign])
    with pytest.raises(Refused, match="small order"):
        note.parse_vkey(note.Verifier("dosong.example/probe/p-bad", public).vkey)


def test_honest_key_has_not_small_order() -> None:
    assert not _times_8_is_zero(bytes.fromhex("5866666666666666666666666666666666666666666666666666666666666666"))


def test_signer_is_never_printed() -> None:
    assert "seed" not in repr(KEY)
    assert repr(KEY) == "Signer('dosong.example/probe/p-one')"
    with pytest.raises(ValueError, match="newline"):
        note.sign(b"no newline", KEY)
    with pytest.raises(ValueError, match="key name"):
        note.Signer.generate("name with space")
