"""What a dialect is: the questions of a poll, their readers, set-up and restart; and what all dialects share.

A new family is one file `dialect_<family>.py` with a `Dialect`, and one line in the table of `probe.core.dialects`.
Source: facts/05-hardware.md §1.2 (query plan), §1.4 rules 3, 5, 7 and 8.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from probe.core.at_parse import (
    parse_cesq,
    parse_cgact,
    parse_cgpaddr,
    parse_cops,
    parse_cpin,
    parse_csq,
    parse_registration,
)
from probe.core.radio import Observation

Parser = Callable[[str], Observation]

QUERY_TIMEOUT_S = 1.0
RESTART_TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """One question of a poll.

    `prefix`: the beginning of the lines that answer; None for an answer whose lines have none. `before` is sent ahead
    of it and `after` behind it, each without an answer but OK. `parse_error` reads the error that may come in place of
    an answer. `unless_known`: a field of RadioReading that makes the question needless. `may_be_bare`: an OK without a
    line is an answer ("no cell"), not the sign of a late one; if it was late after all, the next question finds out,
    so two such questions never follow each other.
    """

    command: str
    prefix: str | None
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

    `name`: what settings call it. `words`: any of them in manufacturer or model, in capitals, makes a modem one of
    this family; a row without words fits nothing by itself. `iccid`: the question for the SIM's number and the
    beginning of its answer; asked once a SIM, compared and forgotten (`probe.core.sim_card`).
    """

    name: str
    words: tuple[str, ...]
    init: tuple[str, ...]
    queries: tuple[Query, ...]
    restart: str
    iccid: tuple[str, str | None] = ("AT+CCID", None)


@dataclass(frozen=True, slots=True)
class ModemIdentity:
    """Who the modem says it is; None for what it does not say. Never its IMEI or serial number."""

    manufacturer: str | None
    model: str | None
    firmware: str | None
    family: str


def own(command: str, prefix: str | None, parse: Parser) -> Query:
    """Make a question of one command and its reader, with nothing before, after or instead."""
    return Query(command=command, prefix=prefix, parse=parse)


def bare_or(command: str, prefix: str, parse: Parser) -> Query:
    """Make a question that OK alone may answer."""
    return Query(command=command, prefix=prefix, parse=parse, may_be_bare=True)


def _registration(command: str, unless_known: str | None = None) -> Query:
    return Query(
        command=f"AT+{command}?",
        prefix=f"+{command}:",
        parse=parse_registration,
        before=f"AT+{command}=2",  # area and cell are printed only with this, and URCs with them
        after=f"AT+{command}=0",
        unless_known=unless_known,
    )


COMMON_INIT = ("ATE0", "AT+CMEE=1")
# Voice registration says nothing of data; it is asked only of modems that know no other.
REGISTRATION = (_registration("CEREG"), _registration("CGREG"), _registration("CREG", unless_known="registration"))
COPS = Query(command="AT+COPS?", prefix="+COPS:", parse=parse_cops, timeout_s=3.0, before="AT+COPS=3,2")
CESQ = Query(command="AT+CESQ", prefix="+CESQ:", parse=parse_cesq, unless_known="rsrp_dbm_x10")
CSQ = Query(command="AT+CSQ", prefix="+CSQ:", parse=parse_csq, unless_known="rssi_dbm_x10")
CPIN = Query(command="AT+CPIN?", prefix="+CPIN:", parse=parse_cpin, timeout_s=10.0, parse_error=parse_cpin)
BEARER = (bare_or("AT+CGACT?", "+CGACT:", parse_cgact), COPS, bare_or("AT+CGPADDR=1", "+CGPADDR:", parse_cgpaddr))
"""The bearer's two questions may be answered by OK alone, so one that may not stands between them."""
PLAIN = (*BEARER, CESQ, CSQ)
