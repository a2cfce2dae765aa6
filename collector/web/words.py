"""The catalogue of words: key -> (Vietnamese, English). Whatever a visitor reads stands here or in `wire.metrics`.

Eight tables, named for what they are about (`words_...`). A test checks that both languages are there, that
placeholders agree and that templates use only keys that exist.
"""

from __future__ import annotations

from collector.core.view import Language
from collector.web.words_accept import ACCEPT_WORDS
from collector.web.words_accounts import ACCOUNT_WORDS
from collector.web.words_alarms import ALARM_WORDS
from collector.web.words_board import BOARD_WORDS
from collector.web.words_campaigns import CAMPAIGN_WORDS
from collector.web.words_cases import CASE_WORDS
from collector.web.words_coverage import COVERAGE_WORDS
from collector.web.words_evidence import EVIDENCE_WORDS
from collector.web.words_fleet import FLEET_WORDS
from collector.web.words_office import OFFICE_WORDS
from collector.web.words_pages import PAGE_WORDS
from collector.web.words_people import PEOPLE_WORDS
from collector.web.words_record import RECORD_WORDS
from collector.web.words_registry import REGISTRY_WORDS
from collector.web.words_remedies import REMEDY_WORDS
from collector.web.words_reports import REPORT_WORDS
from collector.web.words_verdict import VERDICT_WORDS
from collector.web.words_witness import WITNESS_WORDS

WORDS: dict[str, tuple[str, str]] = (
    PAGE_WORDS
    | RECORD_WORDS
    | REMEDY_WORDS
    | WITNESS_WORDS
    | COVERAGE_WORDS
    | CAMPAIGN_WORDS
    | REGISTRY_WORDS
    | ALARM_WORDS
)
WORDS |= REPORT_WORDS
WORDS |= VERDICT_WORDS
WORDS |= ACCEPT_WORDS
WORDS |= ACCOUNT_WORDS
WORDS |= PEOPLE_WORDS
WORDS |= EVIDENCE_WORDS | CASE_WORDS
WORDS |= EVIDENCE_WORDS | CASE_WORDS | OFFICE_WORDS
WORDS |= FLEET_WORDS
WORDS |= BOARD_WORDS


def say(key: str, language: Language, /, **parts: object) -> str:
    """The word of `key`, its placeholders filled. Raises KeyError for a key that does not exist."""
    text = WORDS[key][0 if language == "vi" else 1]
    return text.format(**parts) if parts else text


def say_or(key: str, other: str, language: Language) -> str:
    """The word of `key`, or `other` for a word that a newer record brought and this catalogue does not know."""
    return say(key, language) if key in WORDS else other
