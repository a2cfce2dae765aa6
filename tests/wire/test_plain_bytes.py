"""A record whose bytes are plain needs no second look at its values: the schema says the rest. Here is why."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import inspect

from wire import canon
from wire.errors import Refused
from wire.records import KINDS


def _leaves(kind: Any, name: str, depth: int) -> Any:
    if isinstance(kind, inspect.StructType):
        assert depth <= canon.MAX_DEPTH, name
        for field in kind.fields:
            assert re.fullmatch(r"[a-z0-9_]{1,48}", field.encode_name)
            yield from _leaves(field.type, f"{name}.{field.encode_name}", depth + 1)
    elif isinstance(kind, inspect.UnionType):
        for one in kind.types:
            yield from _leaves(one, name, depth)
    elif isinstance(kind, inspect.VarTupleType):
        assert kind.max_length is not None, name
        assert kind.max_length <= canon.MAX_ARRAY, name
        items = kind.item_type.types if isinstance(kind.item_type, inspect.UnionType) else (kind.item_type,)
        assert all(isinstance(one, inspect.IntType | inspect.NoneType) for one in items), name
        yield from _leaves(kind.item_type, name, depth)
    else:
        yield name, kind


@pytest.mark.parametrize("word", KINDS)
def test_the_schema_bounds_every_value(word: str) -> None:
    """Integers within 2^53-1, arrays of at most 100 integers, depth 3, strings of at most 512 characters."""
    for name, kind in _leaves(inspect.type_info(KINDS[word]), word, 1):
        if isinstance(kind, inspect.IntType):
            assert kind.ge is not None, name
            assert kind.le is not None, name
            assert -canon.MAX_INT <= kind.ge <= kind.le <= canon.MAX_INT, name
        elif isinstance(kind, inspect.StrType):
            widest = kind.max_length or _widest(kind.pattern or "")
            assert 0 < widest <= canon.MAX_STRING, name
        else:
            assert isinstance(kind, inspect.BoolType | inspect.LiteralType | inspect.NoneType), name


def _widest(pattern: str) -> int:
    parsed = re._parser.parse(pattern)  # type: ignore[attr-defined]  # the only place that knows a pattern's width
    return int(parsed.getwidth()[1])


@given(st.lists(st.text(max_size=20), max_size=4))
def test_a_plain_text_holds_only_strings_that_pass(words: list[str]) -> None:
    body = msgspec.json.encode(words).decode()
    if "\\" not in body and canon.is_plain(body):
        for word in words:
            canon.check_string(word)


@pytest.mark.parametrize("bad", ["a\x7fb", "a\u200bb", "e\u0301", "a\u202eb", "\u2028", "\ue000"])
def test_what_may_not_stand_in_a_string_is_not_plain(bad: str) -> None:
    assert not canon.is_plain(f'{{"now":"{bad}"}}')
    with pytest.raises(Refused):
        canon.check_string(bad)
