"""The modem's side of an AT dialogue: `answer(family, session, line, cell)` gives the next session and what to print.

Pure: no port, no clock. With `cell=None` the recordings are played as they are, in order, the last one repeating;
with a cell the recorded lines carry that cell's figures.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sim import at_bearer
from sim.at_fields import Context, registration, substitute
from sim.at_table import Family, Mode, Recorded, canonical
from sim.lte import Cell

OK = "\r\nOK\r\n"
# README of the recordings: the textbook number, Luhn-valid, that stands for every masked IMEI.
TEXTBOOK_IMEI = "490154203237518"
_CME_TEXT = {
    10: "SIM not inserted",
    11: "SIM PIN required",
    12: "SIM PUK required",
    14: "SIM busy",
    16: "incorrect password",
    100: "unknown",
    at_bearer.REFUSED: "unspecified GPRS error",
}
_SIM_ERROR = {Mode.NO_SIM: 10, Mode.SIM_PIN: 11, Mode.SIM_PUK: 12, Mode.BOOTING: 14}
_LOCKED = frozenset({Mode.SIM_PIN, Mode.SIM_PUK})
_ICCID = {"AT+CCID": "+CCID", "AT+QCCID": "+QCCID", "AT+ICCID": "+ICCID", "AT+CICCID": "+ICCID", "AT^ICCID?": "^ICCID"}
_NEEDS_SIM = re.compile(r"AT(\+CPIN\?|\+CIMI|\+Q?CCID|\+C?ICCID|\^ICCID\?|\+CPIN=.*)$")
_REGISTRATION = re.compile(r"AT\+(CREG|CGREG|CEREG)\?$")
_ACCEPTED = re.compile(
    r"AT($|\+CGDCONT=\d|\^SYSCFGEX=|\+QCFG=\"[a-z]+\",|\+CNMP=\d|\+COPS=0|\+QURCCFG=|\+CGATT=1|\+CTZU=|Z$|&F)"
)
_SETTINGS = (
    ("echo", r"ATE([01])"),
    ("cmee", r"AT\+CMEE=([012])"),
    ("creg", r"AT\+CREG=([012])"),
    ("cgreg", r"AT\+CGREG=([012])"),
    ("cereg", r"AT\+CEREG=([012])"),
    ("cops_format", r"AT\+COPS=3,([02])"),
    ("curc", r"AT\^CURC=([01])"),
)
# Questions without an answer while there is no cell: the line is left out, the OK stays.
_SILENT_WITHOUT_CELL = frozenset({"AT^HFREQINFO?", "AT+QCAINFO", "AT+QSPN", 'AT+QENG="neighbourcell"'})
_UNSERVED = frozenset({"AT+CPSI?", "AT+QNWINFO", "AT+COPS?"})
_IDENTITY = {"AT+CGMI": "Manufacturer", "AT+CGMM": "Model", "AT+CGMR": "Revision", "AT+CGSN": "IMEI"}
_SAME_AS = {"AT+GMI": "AT+CGMI", "AT+GMM": "AT+CGMM", "AT+GMR": "AT+CGMR", "AT+GSN": "AT+CGSN"}


@dataclass(frozen=True, slots=True)
class Session:
    """What the modem remembers between commands. `resume` is the state that a restart or CFUN=1 leads back to.

    `registration_n` holds (CREG, CGREG, CEREG); `played` counts the answers given per command since boot; `iccid` None
    is the recordings' own, masked one.
    """

    mode: Mode = Mode.NORMAL
    resume: Mode = Mode.NORMAL
    echo: bool = True
    cmee: int | None = None
    creg: int = 0
    cgreg: int = 0
    cereg: int = 0
    cops_format: int = 0
    curc: bool = True
    played: Mapping[str, int] = field(default_factory=dict)
    bearer: at_bearer.Bearer = field(default_factory=at_bearer.Bearer)
    iccid: str | None = None

    @property
    def has_bearer(self) -> bool:
        """Whether data may flow: there is a connection, and a network that serves it. A mute modem carries data on."""
        return self.bearer.up and self.mode in {Mode.NORMAL, Mode.MUTE}


@dataclass(frozen=True, slots=True)
class Reply:
    """What goes out of the port now; `restart` says that the modem then leaves the bus and boots."""

    text: str
    restart: bool = False


def booted(session: Session) -> Session:
    """The session after power-on: settings at their defaults, state `booting` until `settled`."""
    bearer = replace(session.bearer, up=session.bearer.granted)
    return Session(mode=Mode.BOOTING, resume=session.resume, bearer=bearer, iccid=session.iccid)


def settled(session: Session) -> Session:
    """The session once booting is over."""
    return replace(session, mode=session.resume)


def set_mode(session: Session, mode: Mode) -> Session:
    """The session in another state, as if the SIM, the network or the firmware had changed."""
    return replace(session, mode=mode, resume=mode)


def answer(family: Family, session: Session, line: str, cell: Cell | None) -> tuple[Session, Reply]:
    """One command line (without its CR) in, the session after it and the reply out. Mute modems print nothing."""
    if session.mode is Mode.MUTE or not line.strip():
        return session, Reply("")
    echo = line + "\r" if session.echo else ""
    if not line.strip().upper().startswith("AT"):
        return session, Reply(echo)
    parts = _parts(canonical(line))
    bodies: list[str] = []
    for command in parts:
        session, reply = _one(family, session, command, cell)
        if reply.restart or not _succeeded(reply.text):
            return session, replace(reply, text=echo + "".join(bodies) + reply.text)
        bodies.append(reply.text if command is parts[-1] else reply.text.removesuffix(OK))
    return session, Reply(echo + "".join(bodies))


def registration_urcs(family: Family, session: Session, cell: Cell | None) -> str:
    """The lines that a change of registration prints by itself, for each +CxREG that the client switched on."""
    text = ""
    for name, n in (("CREG", session.creg), ("CGREG", session.cgreg), ("CEREG", session.cereg)):
        if n:
            text += f"\r\n+{name}: {registration(_context(family, session, cell, n), urc=True)}\r\n"
    return text


def stream_line(family: Family, session: Session, index: int, cell: Cell | None) -> str:
    """The index-th line of what the family prints unasked (Huawei until AT^CURC=0); '' where it prints nothing."""
    if not family.stream_urcs or not session.curc or session.mode in {Mode.MUTE, Mode.UNPLUGGED}:
        return ""
    first_round = index < len(family.stream_urcs)
    line = family.stream_urcs[index % len(family.stream_urcs)]
    if cell is None:
        return f"\r\n{line}\r\n"
    if not line.startswith(("^RSSI:", "^HCSQ:")):
        return f"\r\n{line}\r\n" if first_round and line.startswith(("^EONS", "^XLEMA")) else ""
    return f"\r\n{substitute(line, _context(family, session, cell, 0))}\r\n"


def _parts(command: str) -> list[str]:
    pieces = re.findall(r'(?:[^;"]|"[^"]*"?)+', command)
    return [pieces[0]] + ["AT" + piece.strip() for piece in pieces[1:]]


def _succeeded(text: str) -> bool:
    return text.rstrip().endswith("OK") or "\r\nOK\r\n" in text


def _one(family: Family, session: Session, command: str, cell: Cell | None) -> tuple[Session, Reply]:
    command = _SAME_AS.get(command, command) if command not in family.answers else command
    refused = _refused(family, session, command)
    if refused:
        return session, Reply(refused)
    if command in family.restart_commands:
        return session, Reply(OK, restart=True)
    changed = _setting(family, session, command)
    bearer = at_bearer.step(session.bearer, command)
    if bearer is not None:
        changed = replace(changed or session, bearer=bearer)
    recorded = _choose(family, session, command, cell)
    if recorded is None:
        text = OK if changed is not None or _ACCEPTED.match(command) else _derived(family, session, command, cell)
        return changed or session, Reply(text)
    session = changed or session
    count = session.played.get(command, 0)
    session = replace(session, played={**session.played, command: count + 1})
    # The recorded tails are boot lines ("+CPIN: READY"): once, and only where there is a SIM to be ready.
    tail = recorded.tail if cell is None or (count == 0 and session.mode is Mode.NORMAL) else ""
    return session, Reply(_render(family, session, command, recorded, cell) + tail)


def _refused(family: Family, session: Session, command: str) -> str:
    """The error that the modem's state makes of this command; '' where it answers."""
    code = _SIM_ERROR.get(session.mode)
    if at_bearer.is_refused(session.bearer, command):
        return _error(family, session, at_bearer.REFUSED)
    if code and _NEEDS_SIM.match(command) and not (session.mode in _LOCKED and command == "AT+CPIN?"):
        return _error(family, session, 16 if command.startswith("AT+CPIN=") else code)
    stuck = next((row for row in family.answers.get("AT+CFUN=1", ()) if row.mode is Mode.OFFLINE), None)
    # E3372, measured in the field: after CFUN=0 or 4 every write is refused until ^RESET.
    if session.mode is Mode.OFFLINE and stuck and re.match(r"AT[+^][A-Z]+=[^?]", command):
        return stuck.body
    return ""


def _error(family: Family, session: Session, code: int) -> str:
    cmee = family.default_cmee if session.cmee is None else session.cmee
    if cmee == 0:
        return "\r\nERROR\r\n"
    return f"\r\n+CME ERROR: {_CME_TEXT[code] if cmee == 2 else code}\r\n"


def _setting(family: Family, session: Session, command: str) -> Session | None:
    """The session that a settings command leads to, or None if this is none."""
    for name, pattern in _SETTINGS:
        found = re.fullmatch(pattern, command)
        if found and (name != "curc" or family.stream_urcs):
            value: Any = bool(int(found.group(1))) if name in {"echo", "curc"} else int(found.group(1))
            return replace(session, **{name: value})
    found = re.fullmatch(r"AT\+CFUN=([014])(,[01])?", command)
    if found is None:
        return None
    return replace(session, mode=session.resume if found.group(1) == "1" else Mode.OFFLINE)


def _choose(family: Family, session: Session, command: str, cell: Cell | None) -> Recorded | None:
    """The recording that answers: of this state if there is one, else the nearest state's as a template."""
    rows = family.answers.get(command, ())
    for mode in _nearest(session.mode, command):
        fitting = [row for row in rows if row.mode is mode]
        if fitting and cell is not None:
            return max(fitting, key=lambda row: row.body.count(",") if row.mode is Mode.NORMAL else 0)
        if fitting:
            return _next_played(fitting, session, command)
    return rows[0] if rows else None


def _next_played(rows: list[Recorded], session: Session, command: str) -> Recorded:
    """Exact dumps of one transcript are played in their order, the last one for ever; of logs, the first."""
    if command == "AT+COPS?":
        wanted = [row for row in rows if f',{session.cops_format},"' in row.body]
        rows = wanted if wanted and wanted[0].transcript == rows[0].transcript else rows
    if not rows[0].exact:
        return rows[0]
    sequence = [row for row in rows if row.transcript == rows[0].transcript]
    return sequence[min(session.played.get(command, 0), len(sequence) - 1)]


def _nearest(mode: Mode, command: str) -> tuple[Mode, ...]:
    if mode is Mode.NORMAL:
        return (Mode.NORMAL,)
    if mode in {Mode.DENIED, Mode.LIMITED}:
        unserved = (Mode.SEARCHING,) if command in _UNSERVED else ()
        return (Mode.DENIED, *unserved, Mode.NORMAL)
    return (mode, Mode.SEARCHING, Mode.NORMAL)


def _render(family: Family, session: Session, command: str, recorded: Recorded, cell: Cell | None) -> str:
    if cell is None and recorded.mode is session.mode:
        return recorded.body
    if session.mode is not Mode.NORMAL and command in _SILENT_WITHOUT_CELL:
        return OK
    context = _context(family, session, cell, _registration_n(session, command))
    return "\r\n".join(substitute(line, context) for line in recorded.body.split("\r\n"))


def _registration_n(session: Session, command: str) -> int:
    found = _REGISTRATION.match(command)
    return {"CREG": session.creg, "CGREG": session.cgreg, "CEREG": session.cereg}[found.group(1)] if found else 0


def _context(family: Family, session: Session, cell: Cell | None, registration_n: int) -> Context:
    return Context(
        cell=cell or Cell(),
        mode=session.mode,
        registration_n=registration_n,
        cops_format=session.cops_format,
        has_act=family.registration_has_act,
        ci_digits=family.ci_digits,
        iccid=session.iccid,
        has_bearer=session.has_bearer,
    )


def _derived(family: Family, session: Session, command: str, cell: Cell | None) -> str:
    """Answers that no one recorded for this family but that its other answers imply; else its unknown-command line."""
    registration_query = _REGISTRATION.match(command)
    context = _context(family, session, cell, _registration_n(session, command))
    line = None
    if registration_query:
        line = f"+{registration_query.group(1)}: {registration(context)}"
    elif command in _IDENTITY:
        line = _identity(family, _IDENTITY[command])
    elif command == "AT+CIMI":
        line = context.cell.plmn.ljust(15, "0")
    elif command == "AT+CSQ":
        line = substitute("+CSQ: 99,99", context)
    elif command in _ICCID and session.iccid:
        line = f"{_ICCID[command]}: {session.iccid}"
    else:
        line = at_bearer.line(up=session.has_bearer, command=command)
        if line == "":
            return OK
    return f"\r\n{line}\r\n{OK}" if line else f"\r\n{family.unknown}\r\n"


def _identity(family: Family, label: str) -> str:
    """A part of ATI's answer: labelled lines as most modems print, or Quectel's first and second line."""
    lines = [line for line in family.answers["ATI"][0].body.split("\r\n") if line]
    labelled = [line.split(": ", 1)[1] for line in lines if line.startswith(label + ": ")]
    if labelled:
        return labelled[0]
    if label == "IMEI":
        return TEXTBOOK_IMEI
    return lines[0 if label == "Manufacturer" else 1]
