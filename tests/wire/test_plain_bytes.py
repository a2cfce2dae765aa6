"""A record whose bytes are plain needs no second look at its values: the schema says the rest. Here is why."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import inspect

from wire import canon, codec
from wire.errors import Refused
from wire.failure import COVERAGE_CAUSES
from wire.records import KINDS, AnyRecord

DATA = Path(__file__).parents[1] / "data" / "wire" / "v1"


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


GOLDEN = [codec.body_of(path.read_bytes()) for path in sorted((DATA / "records").glob("*.note"))]
ODD = st.text(st.sampled_from('a"\\\\\n\t/:,{}[]\x7f\x00\x1f\u200b\u0301e\u1ebf\u2028 '), min_size=1, max_size=12)


def _words(value: Any, draw: Any) -> Any:
    """The same object with some of its strings drawn anew."""
    if isinstance(value, dict):
        return {key: _words(one, draw) for key, one in value.items()}
    return draw(st.one_of(st.just(value), ODD)) if isinstance(value, str) else value


@settings(max_examples=120)
@given(st.data())
def test_the_short_look_says_what_the_whole_one_says(data: st.DataObject) -> None:
    obj = msgspec.json.decode(data.draw(st.sampled_from(GOLDEN)))
    kept = {"kind", "probe", "prev", "boot"}
    odd = {key: one if key in kept else _words(one, data.draw) for key, one in obj.items()}
    body = msgspec.json.encode(odd, order="sorted")
    try:
        record = msgspec.json.decode(body, type=AnyRecord)
    except msgspec.ValidationError:
        return
    if codec._ENCODER.encode(record) != body:
        return

    def said(check: Callable[[], object]) -> str | None:
        try:
            check()
        except Refused as refused:
            return refused.reason if refused.reason != "schema" else None
        return None

    assert said(lambda: codec.decode_body(body)) == said(lambda: canon.check(msgspec.to_builtins(record)))


@given(st.text("CDNU", max_size=5), st.text("".join(COVERAGE_CAUSES) + "xC\x01\x02", max_size=5))
def test_steps_and_causes_fit_letter_by_letter(states: str, causes: str) -> None:
    pairs = list(zip(states, causes, strict=False))
    fit = len(states) == len(causes) and all(c in COVERAGE_CAUSES and (s == "C") == (c == ".") for s, c in pairs)
    assert (states.translate(codec._COVERED) == causes.translate(codec._CAUSED)) == fit
