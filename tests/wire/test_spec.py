"""SPEC.md says what the code does: its tables are current, every word has a meaning, its example is the vector."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.wire import make_golden, test_vectors
from wire import failure, notes, records, spec, spec_words, topics

TEXT = spec.SPEC.read_text(encoding="utf-8")
SHAPES = {
    **records.KINDS,
    **{group.__name__: group for group in spec._GROUPS},
    **{t.name: t.shape for t in notes.NOTE_TYPES.values() if t.shape is not None},
    "ModemConfig": notes.ModemConfig,
}


def test_tables_are_current() -> None:
    assert spec.render(TEXT) == TEXT, "run: python -m wire.spec"
    assert spec.main(["--check"]) == 0


@pytest.mark.parametrize("block", spec.BLOCKS)
def test_a_changed_table_is_noticed(block: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = f"<!-- begin {block} -->\n"
    assert begin in TEXT
    stale = tmp_path / "SPEC.md"
    stale.write_text(TEXT.replace(begin, begin + "| old |\n"), encoding="utf-8")
    monkeypatch.setattr(spec, "SPEC", stale)
    assert spec.main(["--check"]) == 1
    assert spec.main([]) == 0
    assert stale.read_text(encoding="utf-8") == TEXT


def test_every_field_has_a_meaning_and_no_meaning_is_left_over() -> None:
    used = set()
    for owner, shape in SHAPES.items():
        for name in shape.__struct_fields__:
            assert spec.meaning(owner, name)
            used.add(f"{owner}.{name}" if f"{owner}.{name}" in spec_words.FIELDS else name)
    assert set(spec_words.FIELDS) == used


def test_every_word_of_the_vocabularies_has_a_meaning() -> None:
    assert set(spec_words.CAUSES) == set(failure.Cause)
    assert set(spec_words.REFUSALS) == set(failure.RefusalReason)
    assert set(failure.PARTY) == set(failure.Cause)
    assert set(failure.PARTY.values()) == set(failure.Party)


@pytest.mark.parametrize(
    ("name", "unit"),
    [
        ("rsrp_dbm_x10_median", "0.1 dBm"),
        ("rtt_us_p95", "µs"),
        ("t_ms", "ms"),
        ("lat_e7", "10⁻⁷ °"),
        ("downlink_bps", "bit/s"),
        ("bytes", "B"),
        ("rtt_loaded_uplink_us_median", "µs"),
        ("modems", ""),
        ("rtt_sent", ""),
    ],
)
def test_unit_is_read_from_the_name(name: str, unit: str) -> None:
    assert spec.unit(name) == unit


def test_worked_example_is_the_vector() -> None:
    assert test_vectors.RECORDS[0].decode() in TEXT
    assert all(leaf in TEXT for leaf in test_vectors.LEAVES)
    assert test_vectors.PROBE.verifier.vkey in TEXT
    assert test_vectors.LOG.verifier.vkey in TEXT


def test_topics_and_links_are_those_of_the_code() -> None:
    for topic in ("ack", "config", "status"):
        assert f"`dosong/v1/{topic}/<probe>`" in TEXT
        assert getattr(topics, topic)("p-one") == f"dosong/v1/{topic}/p-one"
    assert topics.CHECKPOINT in TEXT
    headings = {re.sub(r"[^a-z0-9 -]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.*)$", TEXT, re.M)}
    assert set(re.findall(r"\]\(#([^)]*)\)", TEXT)) <= headings


def test_folder_of_the_last_line_is_the_golden_one() -> None:
    assert str(make_golden.FOLDER).endswith("tests/data/wire/v1")
    assert "tests/data/wire/v1/records" in TEXT
