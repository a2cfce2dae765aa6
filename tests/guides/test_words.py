"""Guides name only what is there: each bold word stands on a page in that language, each picture and link exists.

`make guides` does each step on a real demonstration; this is what a change of the pages' words breaks at once.
"""

from __future__ import annotations

import re

import pytest

from collector.web.words import WORDS
from tests.guides.steps import DOCS, NAMES, bold_words, path, steps

GUIDES = [(language, name) for language, names in NAMES.items() for name in names]
FILES = {"DOCX", "PDF", "XLSX", "CSV", "Chữ đậm", "Bold"}
LONGER = 50
"""A label may go on behind the words that a guide names, in letters; a sentence that begins so is no label."""
INDEX = [(language, "README") for language in NAMES]
_LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def on_pages(language: str) -> list[re.Pattern[str]]:
    """What can stand on a page in a language: each of the pages' words, its gaps filled with anything."""
    side = 0 if language == "vi" else 1
    texts = {" ".join(pair[side].split()) for pair in WORDS.values()}
    gap = re.compile(r"\\\{[a-z_]+\\\}")
    # What is nearly all gap, such as "{low} to {high}", would fit anything.
    told = [text for text in texts if len(re.sub(r"\{[a-z_]+\}|\W", "", text)) > 3 or "{" not in text]
    return [re.compile(gap.sub(".+", re.escape(text)), re.IGNORECASE) for text in told]


@pytest.mark.parametrize(("language", "name"), GUIDES)
def test_what_is_bold_stands_on_a_page(language: str, name: str) -> None:
    known = on_pages(language)
    elsewhere = {deed.words for step in steps(language, name) for deed in step.deeds if deed.verb == "skip"} | FILES
    for words in bold_words(path(language, name).read_text(encoding="utf-8")):
        is_there = any(one.fullmatch(words) or (len(words) > 3 and one.match(words)) for one in known)
        assert is_there or words in elsewhere or begins(words, language), f"{path(language, name)}: {words!r}"


def begins(words: str, language: str) -> bool:
    """Whether one of the pages' texts begins with or holds these words as they are: a part of a longer sentence."""
    side = 0 if language == "vi" else 1
    return any(words.lower() in " ".join(pair[side].split()).lower() for pair in WORDS.values())


@pytest.mark.parametrize(("language", "name"), GUIDES)
def test_what_is_pressed_or_filled_in_is_a_button_or_a_label_of_that_language(language: str, name: str) -> None:
    known = on_pages(language)
    side = 0 if language == "vi" else 1
    short = [" ".join(pair[side].split()) for pair in WORDS.values()]
    for step in steps(language, name):
        for deed in step.deeds:
            if deed.verb not in ("press", "fill") or deed.words in FILES:
                continue
            words = deed.words
            fits = any(text.startswith(words) and len(text) < len(words) + LONGER for text in short)
            assert fits or any(one.fullmatch(words) for one in known), f"{step.where}: {words!r}"


@pytest.mark.parametrize(("language", "name"), GUIDES)
def test_each_step_is_marked_and_each_picture_and_link_is_there(language: str, name: str) -> None:
    text = path(language, name).read_text(encoding="utf-8")
    found = steps(language, name)
    assert found, f"{name} has no steps"
    assert [one.where for one in found if one.bold and not one.is_marked] == []
    for target in _LINK.findall(text):
        if "://" not in target:
            assert (path(language, name).parent / target).exists(), f"{name}: {target}"
    for step in found:
        assert all(one.endswith(f"-{language}") for one in step.pictures), step.where


@pytest.mark.parametrize(("language", "name"), INDEX)
def test_the_index_names_every_guide(language: str, name: str) -> None:
    text = path(language, name).read_text(encoding="utf-8")
    for one in NAMES[language]:
        assert f"({one}.md)" in text
    for target in _LINK.findall(text):
        assert "://" in target or (path(language, name).parent / target).exists(), target


def test_both_languages_do_the_same() -> None:
    for vi, en in zip(NAMES["vi"], NAMES["en"], strict=True):
        ours = [[one.verb for one in step.deeds] for step in steps("vi", vi)]
        theirs = [[one.verb for one in step.deeds] for step in steps("en", en)]
        assert ours == theirs, (vi, en)


def test_no_picture_is_left_over() -> None:
    used = set(re.findall(r"guide/([a-z0-9-]+)\.png", "".join(p.read_text() for p in DOCS.rglob("*.md"))))
    kept = {one.stem for one in (DOCS / "pictures" / "guide").glob("*.png")}
    assert kept - used == set()
    assert sum(one.stat().st_size for one in (DOCS / "pictures" / "guide").glob("*.png")) < 6_000_000
