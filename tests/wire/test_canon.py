"""The canonical form against another implementation of RFC 8785, and the edges of the profile."""

from __future__ import annotations

import unicodedata
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from wire import canon
from wire.errors import Refused

KEYS = st.from_regex(r"^[a-z0-9_]{1,48}\Z")
INTS = st.integers(-canon.MAX_INT, canon.MAX_INT)
TEXTS = st.text(st.characters(categories=("L", "N", "P", "S", "M")), max_size=60).map(
    lambda text: unicodedata.normalize("NFC", text)
)
LEAVES = INTS | st.booleans() | TEXTS | st.lists(INTS | st.none(), max_size=20)
OBJECTS = st.dictionaries(KEYS, LEAVES | st.dictionaries(KEYS, LEAVES | st.dictionaries(KEYS, LEAVES, max_size=3)))


@given(OBJECTS)
@settings(max_examples=200, deadline=None)
def test_form_is_that_of_rfc_8785_and_reads_back(obj: dict[str, Any]) -> None:
    raw = canon.encode(obj)
    assert raw == rfc8785.dumps(obj)
    assert canon.decode(raw) == obj
    assert canon.encode(canon.decode(raw)) == raw


@given(st.binary(max_size=200) | st.text().map(lambda t: t.encode("utf-8", "surrogatepass")))
@settings(max_examples=300, deadline=None)
def test_any_accepted_bytes_encode_to_themselves(raw: bytes) -> None:
    try:
        obj = canon.decode(raw)
    except Refused:
        return
    assert canon.encode(obj) == raw == rfc8785.dumps(obj)


@pytest.mark.parametrize(
    "obj",
    [
        {"A": 1},
        {"": 1},
        {"a" * 49: 1},
        {"a-b": 1},
        {"a": None},
        {"a": 1.0},
        {"a": float("nan")},
        {"a": 2**53},
        {"a": -(2**53)},
        {"a": [True]},
        {"a": ["x"]},
        {"a": [[1]]},
        {"a": [2**53]},
        {"a": [1] * 101},
        {"a": {"b": {"c": {"d": 1}}}},
        {"a": "x" * 513},
        {"a": "tab\t"},
        {"a": "\x7f"},
        {"a": "\x85"},
        {"a": "\ud800"},
        {"a": "e\u0301"},
        {"a": "\u2028"},
        {"a": "\u202e"},
        {"a": "\u200b"},
        {"a": "\ufeff"},
        {"a": "\ue000"},
        {"a": "\uffff"},
        {"a": "\u0378"},
        {"a": b"bytes"},
        {1: 1},
    ],
)
def test_outside_the_profile_is_refused(obj: dict[Any, Any]) -> None:
    with pytest.raises(Refused) as caught:
        canon.encode(obj)
    assert caught.value.reason == "not_canonical"


@pytest.mark.parametrize("text", ["xóm Đồng Chuối", "Ê Đê: ơ\u0306 ư\u0306", "50 000 ₫ – 4G", "📶", '"\\/'])
def test_what_people_write_is_accepted(text: str) -> None:
    raw = canon.encode({"a": unicodedata.normalize("NFC", text)})
    assert raw == rfc8785.dumps(canon.decode(raw))


@pytest.mark.parametrize("digits", [17, 18, 4_299, 5_000, 1_000_000])
def test_integer_of_any_length_is_refused_for_its_size(digits: int) -> None:
    with pytest.raises(Refused) as caught:
        canon.decode(b'{"a":' + b"9" * digits + b"}")
    assert caught.value.reason == "not_canonical"


def test_vietnamese_is_accepted_only_composed() -> None:
    text = "Ủy ban nhân dân xã Phú Xuyên, thôn Đồng Chuối"
    assert canon.decode(canon.encode({"a": text})) == {"a": text}
    with pytest.raises(Refused, match="NFC"):
        canon.encode({"a": unicodedata.normalize("NFD", text)})
