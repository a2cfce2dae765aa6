"""The table of dialects, how a modem's own words choose one, and the steps of a poll.

Order matters: the first row that fits counts, so a model stands before its maker. What is answered first counts
(`probe.core.radio.merge`), so in each row registration and the family's own signal come before the coarse 3GPP
answers, and what may take long comes last.

Source: facts/05-hardware.md §1.2 (query plan), §1.4 rules 3, 5, 7 and 8.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from probe.core.at import Answer, Final
from probe.core.at_parse import AtParseError, bare, split_fields
from probe.core.dialect import (
    QUERY_TIMEOUT_S,
    RESTART_TIMEOUT_S,
    Dialect,
    ModemIdentity,
    Parser,
    Query,
)
from probe.core.dialect_fibocom import FIBOCOM, FIBOCOM_INTEL
from probe.core.dialect_generic import GENERIC
from probe.core.dialect_huawei import HUAWEI
from probe.core.dialect_quectel import QUECTEL
from probe.core.dialect_simcom import SIMCOM, SIMCOM_A76
from probe.core.dialect_zte import ZTE
from probe.core.radio import RadioReading, accept, mask_raw, merge

__all__ = [
    "DIALECTS",
    "QUERY_TIMEOUT_S",
    "RESTART_TIMEOUT_S",
    "Dialect",
    "ModemIdentity",
    "Query",
    "family_of",
    "identify",
    "next_query",
    "read_answer",
]

_TABLE = (
    HUAWEI,
    QUECTEL,
    SIMCOM_A76,
    SIMCOM,
    FIBOCOM_INTEL,
    FIBOCOM,
    ZTE,
    GENERIC,
)
DIALECTS: Mapping[str, Dialect] = {row.name: row for row in _TABLE}
_PREFIXED = re.compile(r"\+C?(GMI|GMM|GMR):", re.IGNORECASE)
_LABELS = {"GMI": "manufacturer", "GMM": "model", "GMR": "revision"}


def identify(lines: Iterable[str]) -> ModemIdentity:
    """Read the lines of ATI, labelled ("Model: E3372") or bare (maker, model, "Revision: ...", as Quectel prints).

    Lines of +CGMM and its like may stand among them, with or without their prefix.
    """
    labelled: dict[str, str] = {}
    plain: list[str] = []
    for line in lines:
        label, colon, value = line.partition(":")
        if (prefixed := _PREFIXED.match(line)) is not None:
            labelled.setdefault(_LABELS[prefixed[1].upper()], _last_name(line))
        elif colon:
            labelled[label.strip().lower()] = _last_name(value)
        else:
            plain.append(line)
    maker = labelled.get("manufacturer") or next(iter(plain), None)
    model = labelled.get("model") or next(iter(plain[1:]), None)
    return ModemIdentity(maker, model, labelled.get("revision") or None, family_of(maker, model))


def _last_name(text: str) -> str:
    """Return a value without prefix and quotes; of several quoted names ("L850 LTE Module","L850") the last one."""
    value = text.partition(":")[2].strip() if text.strip().startswith("+") else text.strip()
    return bare(split_fields(value, "")[-1]) if value.startswith('"') else value


def family_of(manufacturer: str | None, model: str | None) -> str:
    """Say which dialect a modem speaks; "generic" if its words are not known."""
    name = f"{manufacturer or ''} {model or ''}".upper()
    return next((row.name for row in _TABLE if any(word in name for word in row.words)), GENERIC.name)


def next_query(queries: Sequence[Query], known: RadioReading) -> tuple[Query | None, Sequence[Query]]:
    """Plan the next step of a poll: the first of `queries` that is still worth asking, and those behind it."""
    for index, query in enumerate(queries):
        if query.unless_known is None or getattr(known, query.unless_known) is None:
            return query, queries[index + 1 :]
    return None, ()


def read_answer(query: Query, answer: Answer) -> RadioReading:
    """Make one reading of an answer. Lines that cannot be read or believed end in `raw`; nothing raises."""
    parts = [_read_line(query.parse, line) for line in answer.lines]
    if query.parse_error is not None and answer.final is Final.CME:
        parts.append(_read_line(query.parse_error, answer.final_line))
    return merge(parts)


def _read_line(parse: Parser, line: str) -> RadioReading:
    try:
        return accept(parse(line), line)
    except AtParseError:
        return RadioReading(raw=mask_raw((bare(line),)))
