"""The answers of each modem family, built from the recordings; change a recording and the modem changes.

Pure: JSON in, table out. A recording is what a device printed (`data/at-transcripts.json`); where it is marked
`exact_bytes` its body is kept byte for byte, otherwise the lines are kept and the framing that the exact dumps show
(CR LF line CR LF, CR LF final CR LF) is put back round them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Mode(StrEnum):
    """State of the modem. `offline` follows CFUN=0 or 4, `booting` a restart; the rest an operator of the sim sets.

    `denied`: the network refuses this SIM; `limited`: it camps on a cell that gives emergency calls only.
    """

    NORMAL = "normal"
    SEARCHING = "searching"
    NO_SIM = "no_sim"
    SIM_PIN = "sim_pin"
    SIM_PUK = "sim_puk"
    DENIED = "denied"
    LIMITED = "limited"
    MUTE = "mute"
    UNPLUGGED = "unplugged"
    OFFLINE = "offline"
    BOOTING = "booting"


@dataclass(frozen=True, slots=True)
class Recorded:
    """One recorded answer: `body` follows the echo and ends with the final code; `tail` are URCs read after it."""

    transcript: str
    mode: Mode
    body: str
    tail: str
    exact: bool


@dataclass(frozen=True, slots=True)
class Family:
    """One modem family: its answers by command, what it says by itself, and its habits."""

    name: str
    answers: Mapping[str, tuple[Recorded, ...]]
    boot_urcs: tuple[str, ...]
    stream_urcs: tuple[str, ...]
    unknown: str
    restart_commands: tuple[str, ...]
    registration_has_act: bool
    ci_digits: int
    default_cmee: int


@dataclass(frozen=True, slots=True)
class _Habits:
    """What a family does that is no answer: which transcripts speak for it, in order of preference, and so on."""

    transcripts: tuple[str, ...]
    restart_commands: tuple[str, ...]
    registration_has_act: bool
    ci_digits: int
    default_cmee: int = 1
    unknown_from: str | None = None
    stream_from: str | None = None


_GENERIC = ("3gpp-cpin-lines", "3gpp-cpin-puk")
_HABITS: dict[str, _Habits] = {
    "huawei-e3372": _Habits(
        transcripts=(
            "huawei-e3372-session-noecho",
            "huawei-e3372-ati-version",
            "huawei-e3372-ident",
            "huawei-e3372-hcsq-lte",
            "huawei-sysinfoex-ndis-syscfgex",
            "huawei-hcsq-variants",
            "huawei-e3372-field-behaviour",
            "frame-echo-huawei-e3531",
            *_GENERIC,
        ),
        restart_commands=("AT^RESET",),
        registration_has_act=False,
        ci_digits=8,
        unknown_from="frame-command-not-support-huawei-e1752",
        stream_from="huawei-e3372-urc-stream",
    ),
    "quectel-eg25": _Habits(
        transcripts=(
            "urc-desync-quectel-eg25-pinephone",
            "quectel-eg25-ident",
            "quectel-ep06-exact",
            "quectel-no-service-lines",
            "quectel-ec200a-limited-service",
            "quectel-ec20-lte-gsm",
            "chained-out-of-order-ec200a",
            "quectel-qeng-endc",
            "quectel-qtemp-documented",
            *_GENERIC,
        ),
        restart_commands=("AT+CFUN=1,1",),
        registration_has_act=True,
        ci_digits=0,
    ),
    "simcom-sim7600": _Habits(
        transcripts=(
            "urc-after-ok-sim7600a",
            "boot-sim-busy-sim7600g",
            "simcom-cpsi-variants",
            "simcom-sim7600e-2g",
            "3gpp-cesq-lines",
            *_GENERIC,
        ),
        restart_commands=("AT+CFUN=1,1", "AT+CRESET"),
        registration_has_act=True,
        ci_digits=8,
        default_cmee=2,
    ),
}
FAMILIES = tuple(_HABITS)

# A final result code stands alone on its line: an operator called "OKLAHOMA" must not end an answer.
_FINAL = re.compile(r"(?:^|(?<=\n))(OK|ERROR|\+CM[ES] ERROR: ?[^\r\n]*|COMMAND NOT SUPPORT|NO CARRIER)(?=\r|\n|$)")
_ECHO = re.compile(r"AT[^\r\n]*(?=\r|\n)")
# Other radio systems, index dialects and cells in transition: real, but not what a 4G stick of this family says.
_FOREIGN = re.compile(
    r"WCDMA|(?<!C)GSM|NR5G|4294967295|,12,36,42,5|SIM PUK2|PH-NET|SFR|\+CESQ: ?(99,99,95|10,6)"
    r'|\+QENG: ("LTE"|"servingcell","NOCONN"$)'
)
_MODES: tuple[tuple[Mode, re.Pattern[str]], ...] = (
    (Mode.NO_SIM, re.compile(r"SIM not inserted|\+CME ERROR: 10\b")),
    (Mode.BOOTING, re.compile(r"SIM busy|\+CME ERROR: 14\b|\+CSQ: ,")),
    (Mode.OFFLINE, re.compile(r"\+CME ERROR: (13|100|50)\b|Powering Off")),
    (Mode.SIM_PIN, re.compile(r"\+CPIN: \"?SIM PIN\"?(?!\d)")),
    (Mode.SIM_PUK, re.compile(r"\+CPIN: \"?SIM PUK\"?(?!\d)")),
    (Mode.DENIED, re.compile(r"LIMSRV|\+C(E|G)?REG: \d,3")),
    (Mode.SEARCHING, re.compile(r"\+C(E|G)?REG: \d,2\b|\+CSQ: 99|NOSERVICE|No Service|NO SERVICE|\"SEARCH\"")),
)


def build(transcripts: Iterable[Mapping[str, Any]]) -> dict[str, Family]:
    """Family name -> its table. `transcripts` are the entries of the recordings' JSON arrays.

    Raises KeyError if a transcript that a family relies on is missing.
    """
    by_id = {entry["id"]: entry for entry in transcripts}
    return {name: _family(name, habits, by_id) for name, habits in _HABITS.items()}


def _family(name: str, habits: _Habits, by_id: Mapping[str, Mapping[str, Any]]) -> Family:
    answers: dict[str, list[Recorded]] = {}
    boot: list[str] = []
    for transcript_id in habits.transcripts:
        rows, urcs = _rows(by_id[transcript_id])
        boot += urcs
        for command, recorded in rows:
            answers.setdefault(command, []).append(recorded)
    unknown = "ERROR"
    if habits.unknown_from:
        rx = by_id[habits.unknown_from]["exchanges"][0]["rx"]
        unknown = rx.strip().splitlines()[-1]
    return Family(
        name=name,
        answers={command: tuple(rows) for command, rows in answers.items()},
        boot_urcs=tuple(boot),
        stream_urcs=_lines(by_id[habits.stream_from]["exchanges"][0]["rx"]) if habits.stream_from else (),
        unknown=unknown,
        restart_commands=habits.restart_commands,
        registration_has_act=habits.registration_has_act,
        ci_digits=habits.ci_digits,
        default_cmee=habits.default_cmee,
    )


def _rows(entry: Mapping[str, Any]) -> tuple[list[tuple[str, Recorded]], list[str]]:
    """(command, answer) pairs of one transcript, and the URCs that it shows before the first answer."""
    rows: list[tuple[str, Recorded]] = []
    boot: list[str] = []
    pending = ""
    for exchange in entry["exchanges"]:
        command, rx = exchange["cmd"].rstrip("\r"), exchange["rx"]
        if pending:  # an answer split over two reads: its echo came with the read before
            command, rx, pending = pending.rstrip("\r"), pending + rx, ""
        if command == "URC" and rx.startswith("^HCSQ"):
            command = "AT^HCSQ?"  # the same line answers the query, ModemManager's tests say
        if not command.upper().startswith("AT"):
            continue
        echo = _ECHO.match(rx)
        if echo is None and _is_boot_urc(rx):
            boot.append(rx)
        elif echo is not None and rx == echo.group() + "\r":
            pending = rx
        elif _FOREIGN.search(rx) is None or ";" in command:
            rows += _answers(entry, echo.group() if echo else command, rx)
    return rows, boot


def _is_boot_urc(rx: str) -> bool:
    return rx.strip() in {"RDY", "+CFUN: 1"}


def _answers(entry: Mapping[str, Any], command: str, rx: str) -> list[tuple[str, Recorded]]:
    """One exchange as rows; a chained query becomes one row for each part that printed a line."""
    text = rx[len(command) :] if rx.startswith(command) else rx
    if not entry["exact_bytes"]:
        text = re.sub(r" OK$", "\nOK", text).replace("\r\n", "\n")
    parts = command[2:].split(";")
    if len(parts) == 1:
        return [(canonical(command), _recorded(entry, text))]
    rows = [(canonical(command), _recorded(entry, "OK"))] if _lines(text) == ("OK",) else []
    for part in (part for part in parts if not re.search(r"=\d", part)):
        prefix = re.split(r"[?=]", part)[0] + ":"
        rows += [
            (canonical("AT" + part), _recorded(entry, line))
            for line in _lines(text)
            if line.startswith(prefix) and not _FOREIGN.search(line)
        ]
    return rows


def _recorded(entry: Mapping[str, Any], text: str) -> Recorded:
    final = _FINAL.search(text)
    if entry["exact_bytes"] and final:
        end = text.find("\n", final.end()) + 1 or len(text)
        body, tail = text[:end], text[end:]
        # The echo ends with its own CR; what is left of it is not part of the answer.
        body = body.removeprefix("\r") if body.startswith("\r\r\n") else body
    else:
        body, tail = _framed(text, final), ""
    return Recorded(entry["id"], _mode_of(body), body, tail, bool(entry["exact_bytes"] and final))


def _framed(text: str, final: re.Match[str] | None) -> str:
    """Lines of a log put back into the frame of a port: CR LF before, blank lines inside as recorded."""
    code = final.group(1) if final else "OK"
    before = text[: final.start()] if final else text
    lines = before.replace("\r\n", "\n").strip("\n")
    blanks = max(2, len(before) - len(before.rstrip("\n"))) if final else 2
    head = "\r\n" + lines.replace("\n", "\r\n") + "\r\n" * (blanks - 1) if lines else ""
    return f"{head}\r\n{code}\r\n"


def _mode_of(body: str) -> Mode:
    return next((mode for mode, pattern in _MODES if pattern.search(body)), Mode.NORMAL)


def _lines(text: str) -> tuple[str, ...]:
    return tuple(line for line in re.split(r"[\r\n]+", text) if line)


def canonical(command: str) -> str:
    """A command as the tables know it: upper case outside quotation marks, no blanks round it."""
    pieces = command.strip().split('"')
    cased = [piece.upper() if at % 2 == 0 else piece.lower() for at, piece in enumerate(pieces)]
    return '"'.join(cased)
