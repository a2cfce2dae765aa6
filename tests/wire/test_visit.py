"""Codes that are read aloud: golden values, slips of tongue and finger, and finding a result again."""

from __future__ import annotations

import itertools

import pytest

from wire import visit

LEAF = "XNhQ8r9bq3lKdsyWq9rCDLAzq0SnhnVdEDI9Ut1BJpQ="
RECORD = visit.Named(2, 17, LEAF)
KEY = bytes(range(32))


def test_codes_are_frozen() -> None:
    assert visit.result_code("p-test", RECORD, ()) == "AM6K3FDD"
    assert visit.result_code("p-test", RECORD, ("sim", "ack")) == "C9CXF4FX"
    assert [visit.pass_code(KEY, n) for n in (1, 2)] == ["XMA4KVJ4", "J4HMVHAR"]


def test_alphabet_has_no_letters_that_look_alike() -> None:
    assert len(visit.ALPHABET) == len(set(visit.ALPHABET)) == 31
    assert not set("01OIL") & set(visit.ALPHABET)


def test_every_single_slip_and_every_exchange_is_told_apart_from_a_code() -> None:
    code = visit.result_code("p-test", RECORD, ())
    slips = {
        code[:place] + letter + code[place + 1 :]
        for place in range(8)
        for letter in visit.ALPHABET
        if letter != code[place]
    }
    for a, b in itertools.combinations(range(8), 2):
        letters = list(code)
        letters[a], letters[b] = letters[b], letters[a]
        slips.add("".join(letters))
    slips.discard(code)
    assert [slip for slip in slips if visit.normal(slip) is not None] == []


@pytest.mark.parametrize("typed", ["{}", " {} ", "{}".lower(), "{h}"])
def test_code_is_read_as_people_type_it(typed: str) -> None:
    code = visit.result_code("p-test", RECORD, ())
    assert visit.normal(typed.format(code, h=visit.shown(code).lower())) == code


def test_office_finds_record_and_result_from_the_code_alone() -> None:
    other = visit.Named(2, 16, LEAF[::-1])
    code = visit.result_code("p-test", RECORD, ("signal", "gps"))
    assert list(visit.find_result("p-test", [other, RECORD], code)) == [(RECORD, ("signal", "gps"))]
    assert list(visit.find_result("p-other", [other, RECORD], code)) == []


def test_result_names_checks_in_their_order() -> None:
    assert visit.result_text(("ack", "sim", "power")) == "power,sim,ack"
    assert visit.result_text(()) == "green"


def test_pass_code_opens_once_and_only_ahead() -> None:
    third = visit.pass_code(KEY, 3)
    assert visit.pass_number(KEY, 0, visit.shown(third)) == 3
    assert visit.pass_number(KEY, 3, third) is None
    assert visit.pass_number(KEY, 0, visit.pass_code(KEY, visit.PASS_WINDOW + 1)) is None
    assert visit.pass_number(KEY[::-1], 0, third) is None
    assert visit.pass_number(KEY, 0, "not a code") is None
