"""Words of the catalogue's tags that are the collector's own: rules of verdicts, as boards print them.

A rule's word is its explanation up to the first colon or semicolon; the page of rules has the whole.
"""

from __future__ import annotations

import re

from collector.core.verdict_rules import RULES

_FIRST = re.compile(r"[:;.]\s|\.$")


def _first(text: str) -> str:
    return _FIRST.split(text)[0]


RULE_WORDS: dict[str, tuple[str, str]] = {
    rule.id.replace(".", "-"): (_first(rule.vi), _first(rule.en)) for rule in RULES.values()
}
"""A rule's code as a tag's value (`verdict_1d`), to its words (vi, en)."""
