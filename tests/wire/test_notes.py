"""Notes that are no records: each opens only as what it is, from the key whose purpose it is."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from tests.wire import make_golden
from tests.wire.hostile import HOSTILE, UNAUTHENTIC
from wire import note, notes
from wire.errors import Refused

ORIGIN = make_golden.ORIGIN
STATEMENTS = make_golden.statements()


def _sealed(name: str) -> tuple[bytes, type[notes.Statement], note.Signer]:
    key_name, obj = STATEMENTS[name]
    key = make_golden.signer(key_name)
    return notes.seal(obj, ORIGIN, key), type(obj), key


@pytest.mark.parametrize("name", STATEMENTS)
def test_note_opens_only_as_its_own_type(name: str) -> None:
    raw, shape, key = _sealed(name)
    assert notes.open_note(raw, shape, ORIGIN, key.verifier) == STATEMENTS[name][1]
    for row in notes.NOTE_TYPES.values():
        if row.shape not in {None, shape}:
            with pytest.raises(Refused, match="wrong_domain"):
                notes.open_note(raw, row.shape or notes.Ack, ORIGIN, key.verifier)
    with pytest.raises(Refused, match="wrong_domain"):
        notes.open_note(raw, shape, "other.example", key.verifier)
    with pytest.raises(Refused, match="unknown_key"):
        notes.open_note(raw, shape, ORIGIN, make_golden.signer("someone").verifier)


@pytest.mark.parametrize("name", STATEMENTS)
def test_signer_is_the_one_of_the_table(name: str) -> None:
    key_name, obj = STATEMENTS[name]
    row = next(row for row in notes.NOTE_TYPES.values() if row.shape is type(obj))
    assert key_name.split("/")[0] == row.signer.split("/")[0]


@given(st.sampled_from(sorted(STATEMENTS)), st.data())
@settings(max_examples=150, deadline=None)
def test_any_flipped_bit_is_refused(name: str, choice: st.DataObject) -> None:
    raw, shape, key = _sealed(name)
    bit = choice.draw(st.integers(0, len(raw) * 8 - 1))
    altered = bytearray(raw)
    altered[bit // 8] ^= 1 << bit % 8
    with pytest.raises(Refused):
        notes.open_note(bytes(altered), shape, ORIGIN, key.verifier)


@pytest.mark.parametrize("name", [*HOSTILE, *UNAUTHENTIC])
def test_hostile_json_is_refused_even_if_signed(name: str) -> None:
    body = HOSTILE[name][0] if name in HOSTILE else UNAUTHENTIC[name]
    key = make_golden.signer("ack")
    with pytest.raises(Refused):
        notes.open_note(note.sign(f"{ORIGIN}/ack/v1\n".encode() + body + b"\n", key), notes.Ack, ORIGIN, key.verifier)
    with pytest.raises(Refused):
        notes.open_note(body, notes.Ack, ORIGIN, key.verifier)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("ack", {"head": None}),
        ("ack", {"upto": None}),
        ("ack", {"epoch": 0}),
        ("config", {"action": None}),
        ("config", {"action_id": None}),
        ("config", {"lon_e7": None}),
        ("config", {"expires_ms": 1}),
        ("config", {"modems": {"m5": notes.ModemConfig(slots=1)}}),
        ("config", {"seeds": {"2026_13": "0" * 64}}),
        ("assignment", {"valid_until_ms": 1}),
        ("review", {"second_actor": "nguyen-van-a"}),
        ("review", {"reason": "a\u202eb"}),
        ("acceptance", {"code": "7k3m9qxa"}),
        ("statement", {"month": "2026-11\n"}),
    ],
)
def test_rules_of_notes(name: str, changes: dict[str, Any]) -> None:
    key_name, obj = STATEMENTS[name]
    with pytest.raises(Refused) as caught:
        notes.seal(replace(obj, **changes), ORIGIN, make_golden.signer(key_name))
    assert caught.value.reason in {"schema", "not_canonical"}


def test_second_signature_is_refused() -> None:
    raw, shape, key = _sealed("ack")
    other = note.sign(raw.split(b"\n\n")[0] + b"\n", make_golden.signer("someone")).split(b"\n\n")[1]
    with pytest.raises(Refused, match="exactly one"):
        notes.open_note(raw + other, shape, ORIGIN, key.verifier)


def test_note_that_is_too_big_is_not_signed() -> None:
    key_name, obj = STATEMENTS["config"]
    seeds = {f"{year}_{month:02d}": "0" * 64 for year in range(2026, 2046) for month in range(1, 13)}
    with pytest.raises(Refused) as caught:
        notes.seal(replace(obj, seeds=seeds), ORIGIN, make_golden.signer(key_name))
    assert caught.value.reason == "too_big"
