"""What to ask which modem: one table for each family, and the words that tell the families apart.

A new family is a row here and its parsers. Order matters: what is answered first counts (`probe.core.radio.merge`),
so registration and the family's own signal come before the coarse 3GPP answers, and what may take long comes last.

Source: facts/05-hardware.md §1.2 (query plan), §1.4 rules 3, 5, 7 and 8.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from probe.core.at import Answer, Final
from probe.core.at_parse import (
    AtParseError,
    bare,
    parse_cesq,
    parse_cops,
    parse_cpin,
    parse_csq,
    parse_registration,
)
from probe.core.at_vendor import (
    parse_cpsi,
    parse_hcsq,
    parse_hfreqinfo,
    parse_monsc,
    parse_qcsq,
    parse_qeng,
    parse_qnwinfo,
    parse_sysinfoex,
    parse_temperature,
)
from probe.core.radio import Observation, RadioReading, accept, mask_raw, merge

Family = Literal["huawei", "quectel", "simcom", "generic"]
Parser = Callable[[str], Observation]

QUERY_TIMEOUT_S = 1.0
RESTART_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question of a poll.

    `before` is sent ahead of it and `after` behind it, each without an answer but OK. `parse_error` reads the error
    that may come in place of an answer. `unless_known`: a field of RadioReading that makes the question needless.
    `may_be_bare`: an OK without a line is an answer ("no cell"), not the sign of a late one; if it was late after all,
    the next question finds out, so two such questions never follow each other.
    """

    command: str
    prefix: str
    parse: Parser
    timeout_s: float = QUERY_TIMEOUT_S
    before: str | None = None
    after: str | None = None
    parse_error: Parser | None = None
    unless_known: str | None = None
    may_be_bare: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How one family is set up, asked and restarted.

    `words`: any of them in manufacturer or model, in capitals, makes a modem one of this family.
    """

    words: tuple[str, ...]
    init: tuple[str, ...]
    queries: tuple[Query, ...]
    restart: str


@dataclass(frozen=True, slots=True)
class ModemIdentity:
    """Who the modem says it is; None for what it does not say. Never its IMEI or serial number."""

    manufacturer: str | None
    model: str | None
    firmware: str | None
    family: Family


def _registration(command: str, unless_known: str | None = None) -> Query:
    return Query(
        command=f"AT+{command}?",
        prefix=f"+{command}:",
        parse=parse_registration,
        before=f"AT+{command}=2",  # area and cell are printed only with this, and URCs with them
        after=f"AT+{command}=0",
        unless_known=unless_known,
    )


# Voice registration says nothing of data; it is asked only of modems that know no other.
_REGISTRATION = (_registration("CEREG"), _registration("CGREG"), _registration("CREG", unless_known="registration"))
_COPS = Query(command="AT+COPS?", prefix="+COPS:", parse=parse_cops, timeout_s=3.0, before="AT+COPS=3,2")
_CESQ = Query(command="AT+CESQ", prefix="+CESQ:", parse=parse_cesq, unless_known="rsrp_dbm_x10")
_CSQ = Query(command="AT+CSQ", prefix="+CSQ:", parse=parse_csq, unless_known="rssi_dbm_x10")
_CPIN = Query(command="AT+CPIN?", prefix="+CPIN:", parse=parse_cpin, timeout_s=10.0, parse_error=parse_cpin)
_PLAIN = (_COPS, _CESQ, _CSQ)


def _own(command: str, prefix: str, parse: Parser) -> Query:
    return Query(command=command, prefix=prefix, parse=parse)


_COMMON_INIT = ("ATE0", "AT+CMEE=1")

DIALECTS: Mapping[Family, Dialect] = {
    "huawei": Dialect(
        words=("HUAWEI",),
        init=(*_COMMON_INIT, "AT^CURC=0"),
        queries=(
            *_REGISTRATION,
            _own("AT^SYSINFOEX", "^SYSINFOEX:", parse_sysinfoex),
            _own("AT^HCSQ?", "^HCSQ:", parse_hcsq),
            Query(command="AT^HFREQINFO?", prefix="^HFREQINFO:", parse=parse_hfreqinfo, may_be_bare=True),
            _own("AT^MONSC", "^MONSC:", parse_monsc),
            *_PLAIN,
            _own("AT^CHIPTEMP?", "^CHIPTEMP:", parse_temperature),
            _CPIN,
        ),
        restart="AT^RESET",  # +CFUN=1,1 says OK and restarts nothing on E3372
    ),
    "quectel": Dialect(
        words=("QUECTEL",),
        init=_COMMON_INIT,
        queries=(
            *_REGISTRATION,
            _own('AT+QENG="servingcell"', "+QENG:", parse_qeng),
            _own("AT+QCSQ", "+QCSQ:", parse_qcsq),
            _own("AT+QNWINFO", "+QNWINFO:", parse_qnwinfo),
            *_PLAIN,
            _own("AT+QTEMP", "+QTEMP:", parse_temperature),
            _CPIN,
        ),
        restart="AT+CFUN=1,1",
    ),
    "simcom": Dialect(
        words=("SIMCOM",),
        init=_COMMON_INIT,
        queries=(
            *_REGISTRATION,
            _own("AT+CPSI?", "+CPSI:", parse_cpsi),
            *_PLAIN,
            _own("AT+CPMUTEMP", "+CPMUTEMP:", parse_temperature),
            _CPIN,
        ),
        restart="AT+CFUN=1,1",
    ),
    "generic": Dialect(
        words=(),
        init=_COMMON_INIT,
        queries=(*_REGISTRATION, *_PLAIN, _CPIN),
        restart="AT+CFUN=1,1",
    ),
}


def identify(lines: Iterable[str]) -> ModemIdentity:
    """Read the lines of ATI, labelled ("Model: E3372") or bare (maker, model, "Revision: ...", as Quectel prints)."""
    labelled: dict[str, str] = {}
    plain: list[str] = []
    for line in lines:
        label, colon, value = line.partition(":")
        if colon:
            labelled[label.strip().lower()] = value.strip()
        else:
            plain.append(line)
    maker = labelled.get("manufacturer") or next(iter(plain), None)
    model = labelled.get("model") or next(iter(plain[1:]), None)
    return ModemIdentity(maker, model, labelled.get("revision") or None, family_of(maker, model))


def family_of(manufacturer: str | None, model: str | None) -> Family:
    """Say which dialect a modem speaks; "generic" if its words are not known."""
    name = f"{manufacturer or ''} {model or ''}".upper()
    return next((family for family, row in DIALECTS.items() if any(word in name for word in row.words)), "generic")


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
