"""Hypothesis strategies and greatest values, both read from the schema itself."""

from __future__ import annotations

import unicodedata
from typing import Any

import msgspec
from hypothesis import strategies as st
from msgspec import inspect as mi
from msgspec.structs import replace

from wire.failure import COVERAGE_CAUSES, Cause, Stage
from wire.records import KINDS, AnyRecord, CoverageRecord, EventRecord, GapRecord, TestRecord

VISIBLE = st.characters(categories=("L", "N", "P", "S"), include_characters=" ")


def _text(shape: mi.StrType) -> st.SearchStrategy[str]:
    if shape.pattern is not None:
        return st.from_regex(shape.pattern)
    return st.text(VISIBLE, min_size=shape.min_length or 0, max_size=shape.max_length).map(_nfc).filter(bool)


def _nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)[:128]


def of(shape: mi.Type) -> st.SearchStrategy[Any]:  # noqa: PLR0911 (one case a type)
    """Return builtins that fit one msgspec type; None where a union allows it."""
    match shape:
        case mi.UnionType():
            return st.one_of(*(of(t) for t in shape.types))
        case mi.NoneType():
            return st.none()
        case mi.IntType():
            return st.integers(shape.ge, shape.le)
        case mi.BoolType():
            return st.booleans()
        case mi.LiteralType():
            return st.sampled_from(shape.values)
        case mi.StrType():
            return _text(shape)
        case mi.VarTupleType():
            return st.lists(of(shape.item_type), min_size=shape.min_length or 0, max_size=shape.max_length)
        case mi.StructType():
            return st.fixed_dictionaries({f.encode_name: of(f.type) for f in shape.fields})
        case _:
            raise NotImplementedError(shape)


def _lawful(record: AnyRecord) -> AnyRecord:
    """Bend a record that fits field by field so that it also keeps the rules between fields."""
    changes: dict[str, Any] = {"t_ms": 1 if record.clock == "trusted" and record.t_ms is None else record.t_ms}
    changes["prev"] = "" if record.seq == 0 else record.prev or "A" * 43 + "="
    if record.beacon_size is None or record.beacon_root is None:
        changes |= {"beacon_size": None, "beacon_root": None}
    return _lawful_kind(replace(record, **changes))


def _lawful_kind(record: AnyRecord) -> AnyRecord:
    if isinstance(record, TestRecord):
        place = record.position
        if place is not None and None in (place.lat_e7, place.lon_e7):
            place = replace(place, lat_e7=None, lon_e7=None)
        words = (None, None) if record.outcome == "ok" else (Stage.UPLINK.value, Cause.RESET.value)
        return replace(record, stage=words[0], cause=words[1], position=place)
    if isinstance(record, CoverageRecord):
        letters = [c for c in COVERAGE_CAUSES if c != "."]
        causes = "".join("." if s == "C" else letters[i % len(letters)] for i, s in enumerate(record.states))
        return replace(record, causes=causes)
    if isinstance(record, EventRecord):
        times = {"set_mono_ms": record.set_mono_ms or 0, "set_t_ms": record.set_t_ms or 0}
        return replace(record, stage=None, cause=Cause.POWER.value, **(times if record.event == "clock_set" else {}))
    low, high = sorted((record.from_seq, record.to_seq)) if isinstance(record, GapRecord) else (0, 0)
    return replace(record, from_seq=low, to_seq=high) if isinstance(record, GapRecord) else record


def _build(kind: str, fields: dict[str, Any]) -> AnyRecord:
    record: AnyRecord = msgspec.convert(fields, AnyRecord)
    return _lawful(record)


def records(kind: str) -> st.SearchStrategy[AnyRecord]:
    """Return valid records of one kind, over the whole range of every field."""
    shape = mi.type_info(KINDS[kind])
    assert isinstance(shape, mi.StructType)
    fields = {f.encode_name: of(f.type) for f in shape.fields}
    return st.fixed_dictionaries({**fields, "kind": st.just(kind)}).map(lambda made: _build(kind, made))


def greatest(shape: mi.Type) -> Any:  # noqa: PLR0911 (one case a type)
    """Return the builtins with the longest spelling that one msgspec type allows."""
    match shape:
        case mi.UnionType():
            return max((greatest(t) for t in shape.types), key=_size)
        case mi.NoneType():
            return None
        case mi.IntType():
            return max(shape.ge, shape.le, key=_size)
        case mi.BoolType():
            return False
        case mi.LiteralType():
            return max(shape.values, key=_size)
        case mi.StrType():
            return _longest(shape)
        case mi.VarTupleType():
            return [greatest(shape.item_type)] * (shape.max_length or 0)
        case mi.StructType():
            tag = {} if shape.tag_field is None else {shape.tag_field: shape.tag}
            return {f.encode_name: greatest(f.type) for f in shape.fields} | tag
        case _:
            raise NotImplementedError(shape)


def _size(value: Any) -> int:
    return len(msgspec.json.encode(value))


_LONGEST: dict[str, str] = {
    r"^[a-z0-9][a-z0-9-]{2,31}\Z": "p" * 32,
    r"^[A-Za-z0-9_-]{1,32}\Z": "c" * 32,
    r"^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=\Z": "A" * 43 + "=",
    r"^([A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=)?\Z": "A" * 43 + "=",
    r"^[0-9a-f]{32}\Z": "0" * 32,
    r"^m[1-4]\Z": "m4",
    r"^[0-9]{5,6}\Z": "452040",
    r"^[A-Za-z0-9_-]{8,64}\Z": "t" * 64,
    r"^[!#-\[\]-~]{1,128}\Z": "s" * 128,
    r"^[0-9a-f:.\[\]]{2,53}\Z": "f" * 53,
    r"^[ !#-\[\]-~]{1,32}\Z": "f" * 32,
    r"^[a-z0-9_.-]{1,48}\Z": "w" * 48,
    r"^[ -~]{1,512}\Z": '"' * 512,
    r"^[CDNU]{1,60}\Z": "U" * 60,
    r"^[.a-z]{1,60}\Z": "z" * 60,
}


def _longest(shape: mi.StrType) -> str:
    if shape.pattern is not None:
        return _LONGEST[shape.pattern]
    assert shape.max_length is not None
    return "\U0001f4f6" * shape.max_length  # four bytes each
