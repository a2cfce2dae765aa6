"""DNS bytes: our questions, and answers that are right, foreign, broken or hostile."""

from __future__ import annotations

import struct

import pytest

from probe.core.dns import TYPE_A, TYPE_AAAA, BadAnswer, addresses, question

ASKED = question("point.example", TYPE_A, 0x1234)
QUESTION = ASKED[12:]


def _answer(*records: bytes, flags: int = 0x8180, query_id: int = 0x1234, asked: bytes = QUESTION) -> bytes:
    return struct.pack(">HHHHHH", query_id, flags, 1, len(records), 0, 0) + asked + b"".join(records)


def _record(kind: int, value: bytes, name: bytes = b"\xc0\x0c") -> bytes:
    return name + struct.pack(">HHIH", kind, 1, 60, len(value)) + value


A_RECORD = _record(1, bytes([198, 18, 0, 1]))


def test_a_question_is_the_bytes_of_rfc_1035() -> None:
    assert ASKED == b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x05point\x07example\x00\x00\x01\x00\x01"
    assert question("point.example.", TYPE_AAAA, 1)[-4:] == b"\x00\x1c\x00\x01"


@pytest.mark.parametrize("name", ["", "a..b", "x" * 64 + ".example", ".".join(["abcdefgh"] * 40)])
def test_a_name_that_cannot_be_asked_is_refused(name: str) -> None:
    with pytest.raises(BadAnswer):
        question(name, TYPE_A, 1)


def test_addresses_are_found_behind_an_alias() -> None:
    alias = _record(5, b"\x04edge\xc0\x12")
    v6 = _record(28, bytes(15) + b"\x01", name=b"\x04edge\xc0\x12")
    assert addresses(_answer(alias, A_RECORD, v6), ASKED) == ("198.18.0.1", "::1")
    assert addresses(_answer(), ASKED) == ()


@pytest.mark.parametrize(
    "answer",
    [
        _answer(A_RECORD, query_id=0x1235),
        _answer(A_RECORD, flags=0x0180),
        _answer(flags=0x8183),
        _answer(A_RECORD, asked=QUESTION.replace(b"point", b"other")),
        _answer(_record(1, b"\x01\x02\x03")),
        _answer(A_RECORD, A_RECORD)[:-3],
        _answer(b"\x3f" + bytes(62)),
        b"",
        b"\x12\x34",
    ],
)
def test_a_wrong_answer_is_refused(answer: bytes) -> None:
    with pytest.raises(BadAnswer):
        addresses(answer, ASKED)


def test_every_truncation_is_refused_or_empty_but_never_crashes() -> None:
    whole = _answer(A_RECORD, A_RECORD)
    for length in range(len(whole)):
        with pytest.raises(BadAnswer):
            addresses(whole[:length], ASKED)
