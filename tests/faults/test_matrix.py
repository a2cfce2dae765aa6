"""The table of faults names tests and programs that are there, and mutants change what is there."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tests.faults.mutants import MUTANTS, Mutant
from tests.faults.rows import ROWS, Row

ROOT = Path(__file__).parents[2]


def is_there(test: str) -> bool:
    file, _, name = test.partition("::")
    path = ROOT / file
    return path.is_file() and (not name or f"def {name}(" in path.read_text())


def test_there_are_twenty_five_rows_and_twelve_kinds_of_mutants() -> None:
    assert [row.number for row in ROWS] == list(range(1, 26))
    assert len({mutant.name for mutant in MUTANTS}) == len(MUTANTS) >= 12


@pytest.mark.parametrize("row", ROWS, ids=lambda row: str(row.number))
def test_a_row_names_tests_and_programs_that_are_there(row: Row) -> None:
    assert row.tests
    assert [test for test in row.tests if not is_there(test)] == []
    assert [one for one in row.programs if importlib.util.find_spec(one.split()[0]) is None] == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_mutant_changes_what_is_there(mutant: Mutant) -> None:
    assert [test for test in mutant.tests if not is_there(test)] == []
    for edit in mutant.edits:
        assert (ROOT / edit.file).read_text().count(edit.old) == 1, f"{edit.file}: bring the mutant up to date"
