"""One cell to one value: nothing guessed, everything that could deceive refused, and back again."""

from __future__ import annotations

from datetime import date, datetime, time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.core.cells import KINDS, Cell, Formula, Mark, Wrong
from provisioning.core.problems import WORDS, Problem, shortened
from provisioning.core.sheets import SHEETS

JULY_MS = 1_751_302_800_000  # 2025-07-01 00:00 in Vietnam

GOOD: list[tuple[str, Cell, Mark | None, Any]] = [
    ("unit", "05755", None, "05755"),
    ("unit", 26116, None, "26116"),
    ("unit", 26116.0, None, "26116"),
    ("code", " TN1 ", None, "TN1"),
    ("codes", "a-1, a-2; a-3", None, "a-1 a-2 a-3"),
    ("plmn", 45204, None, "45204"),
    ("plmn", "452-04", None, "45204"),
    ("name", "Đồng Chuối", None, "Đồng Chuối"),
    ("name", 5, None, "5"),
    ("name", "<b>Hai</b> & 'Ba'", None, "<b>Hai</b> & 'Ba'"),
    ("name", "=1+1", None, "=1+1"),
    ("lat", "21,6767", "comma", 216_767_000),
    ("lat", "21.6767", "dot", 216_767_000),
    ("lat", 21.6767, None, 216_767_000),
    ("lat", "21", None, 210_000_000),
    ("count", "1.300", "comma", 1300),
    ("count", "64,595", "dot", 64_595),
    ("gb", "7,5", "comma", 7_500_000_000),
    ("day", "01/07/2025", None, JULY_MS),
    ("day", "1/7/2025", None, JULY_MS),
    ("day", "2025-07-01", None, JULY_MS),
    ("day", datetime(2025, 7, 1), None, JULY_MS),  # noqa: DTZ001 (as a workbook gives it)
    ("day", date(2025, 7, 1), None, JULY_MS),
    ("day", "từ đầu", None, 0),
    ("day", "2025-07-01T00:00:00.005+07:00", None, JULY_MS + 5),
    ("last_day", "30/06/2025", None, JULY_MS),
    ("minute", "17:00", None, 1020),
    ("minute", "17 giờ 00 phút", None, 1020),
    ("minute", time(17, 0), None, 1020),
    ("minute", "24:00", None, 1440),
    ("iccid", "8984 0480 0001 2345 678", None, "8984048000012345678"),
    ("iccid", "****5678", None, "****5678"),
]


@pytest.mark.parametrize(("kind", "cell", "mark", "value"), GOOD)
def test_what_is_meant_is_read(kind: str, cell: Cell, mark: Mark | None, value: Any) -> None:
    assert KINDS[kind].read(cell, mark) == value


BAD: list[tuple[str, Cell, Mark | None, str, str]] = [
    ("unit", 5755, None, "lost_zero", "05755"),
    ("unit", "5755", None, "lost_zero", "05755"),
    ("unit", 1, None, "lost_zero", "01"),
    ("code", 123, None, "number_code", "123"),
    ("code", "có dấu", None, "code", ""),
    ("code", "../x", None, "code", ""),
    ("codes", " ".join(["a"] * 21), None, "range", "1 – 20"),
    ("name", "Ba\u202eX", None, "hidden", "U+202E"),
    ("name", "Ba\u200bX", None, "hidden", "U+200B"),
    ("name", "Ba\x00X", None, "control", "U+0000"),
    ("name", "Ba\nX", None, "control", "U+000A"),
    ("name", Formula("=HYPERLINK()"), None, "formula", ""),
    ("name", True, None, "not_text", ""),
    ("name", "x" * 81, None, "long", "80"),
    ("lat", "21,6767", None, "undeclared", ""),
    ("lat", "21.6767", None, "undeclared", ""),
    ("lat", "21,6767", "dot", "number", ""),
    ("lat", "121", None, "range", "8 – 24"),
    ("lat", "106.163", "comma", "range", "8 – 24"),
    ("lon", "NaN", None, "number", ""),
    ("lon", "Infinity", None, "number", ""),
    ("lon", "1e99999", None, "range", "102 – 118"),
    ("count", "64,595", "comma", "not_whole", ""),
    ("count", "1.30", "comma", "number", ""),
    ("count", 0, None, "range", "1 – 1000000"),
    ("count", "²", None, "number", ""),
    ("day", "12/31/2026", None, "day", ""),
    ("day", "31/02/2026", None, "day", ""),
    ("day", "01-07-2025", None, "day", ""),
    ("day", "1/7/25", None, "day", ""),
    ("day", "2025-07-01T00:00:00", None, "day", ""),
    ("day", 45839, None, "day_number", ""),
    ("minute", "25:00", None, "minute", ""),
    ("minute", "24:01", None, "minute", ""),
    ("iccid", 8.984e18, None, "number_iccid", ""),
    ("iccid", "123", None, "iccid", ""),
    ("plmn", "4520", None, "plmn", ""),
    ("probe", "P One", None, "probe", ""),
]


@pytest.mark.parametrize(("kind", "cell", "mark", "word", "hint"), BAD)
def test_what_could_be_something_else_is_refused(
    kind: str, cell: Cell, mark: Mark | None, word: str, hint: str
) -> None:
    with pytest.raises(Wrong) as wrong:
        KINDS[kind].read(cell, mark)
    assert (wrong.value.word, wrong.value.hint) == (word, hint)
    for language in ("vi", "en"):
        assert Problem("Thôn xóm", 2, "Tên", "x", word, hint).said(language)


def test_a_decomposed_name_is_composed() -> None:
    assert KINDS["name"].read("Đo\u0302\u0300ng", None) == "Đồng"


@given(st.text(max_size=40))
def test_any_text_is_taken_or_refused_with_a_known_word(text: str) -> None:
    for kind in KINDS.values():
        for mark in (None, "comma", "dot"):
            try:
                kind.read(text, mark)  # type: ignore[arg-type]
            except Wrong as wrong:
                assert wrong.word in WORDS  # noqa: PT017


@given(
    st.sampled_from(["lat", "lon", "gb", "scaled", "count"]), st.integers(0, 10**9), st.sampled_from(["comma", "dot"])
)
def test_what_is_written_is_read_again(kind: str, value: int, mark: Mark) -> None:
    low = {"lat": 8 * 10**7, "lon": 102 * 10**7, "gb": 1, "scaled": -(10**9), "count": 1}[kind]
    value = low + value % (16 * 10**7 if kind in ("lat", "lon") else 10**6)
    assert KINDS[kind].read(KINDS[kind].write(value, mark), mark) == value


@given(st.integers(0, 4_000_000_000_000))
def test_every_moment_is_written_exactly(moment_ms: int) -> None:
    for kind in ("day", "last_day"):
        assert KINDS[kind].read(KINDS[kind].write(moment_ms, "comma"), "comma") == moment_ms


def test_every_choice_is_understood_in_both_languages_and_written_in_vietnamese() -> None:
    for sheet in SHEETS:
        for column in sheet.columns:
            for word in column.kind.choices:
                value = column.kind.read(word, None)
                assert column.kind.write(value, "comma") == word
                assert column.kind.read(value, None) == value


def test_sheets_have_words_in_both_languages_and_no_heading_twice() -> None:
    assert len({sheet.vi for sheet in SHEETS}) == len({sheet.en for sheet in SHEETS}) == len(SHEETS)
    for sheet in SHEETS:
        for headings in ([c.vi for c in sheet.columns], [c.en for c in sheet.columns]):
            assert len(set(headings)) == len(headings)
            assert all(headings)
        assert len(sheet.vi) <= 31


def test_a_value_is_printed_harmlessly() -> None:
    assert shortened("a\x1b[31m\u202eb") == "a\\u001b[31m\\u202eb"
    assert len(shortened("x" * 500)) == 60
