"""What a technician's check of a station finds: facts in, a list of findings out, always in the same order.

Nothing is asked here. `examine` judges what was gathered so far, so it can be called again each second while facts
come in: what is not known yet is `wait`, what cannot be judged because an earlier check is red is `skipped`.
The words of a finding are in `probe.core.doctor_words`.
Source: design §5 (doctor); facts note 05 §4 and §6.3.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal

from probe.core.doctor_facts import BrokerFacts, Facts, GpsFacts, ModemFacts, ShortTest, Step
from wire import visit
from wire.failure import Cause

GOOD_RSRP_X10 = -950
USABLE_RSRP_X10 = -1100
"""Tenths of dBm. Bands of the bar only, no figure of a record: engineers' custom for LTE, see docs/technician.md."""
LEAST_FREE_BYTES = 100_000_000
HOT_C_X10 = 800
MOVED_M = 200
ACK_PATIENCE_S = 60
_UNDERVOLTAGE, _THROTTLED = 1 << 0, 1 << 2 | 1 << 3
_UNDERVOLTAGE_SEEN = 1 << 16
_WAITING_SIM = ("busy",)
_SIM_CAUSES = (Cause.NO_SIM, Cause.SIM_LOCKED, Cause.SIM_PUK, Cause.WRONG_SIM)
_MODEM_CAUSES = (Cause.NO_MODEM, Cause.MODEM_MUTE, Cause.MODEM_ERROR)


class Verdict(StrEnum):
    """How one check ended, or that it has not yet."""

    OK = "ok"
    BAD = "bad"
    WAIT = "wait"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the list. `word` names its words; `values` are put into them. `modem` None: of the whole station."""

    check: str
    verdict: Verdict
    word: str
    values: Mapping[str, str] = field(default_factory=dict)
    modem: str | None = None


def examine(facts: Facts) -> tuple[Finding, ...]:
    """Judge the facts: the station's power and card, each modem's way to the internet, then what the station shares."""
    return tuple(_examine(facts))


def _examine(facts: Facts) -> Iterator[Finding]:
    yield _power(facts)
    yield _card(facts)
    for modem in facts.modems:
        yield from _modem_checks(modem)
    yield _clock(facts)
    yield _gps(facts.gps)
    broker = _broker(facts)
    yield broker
    tests = [(modem.test, _test(modem)) for modem in facts.modems]
    yield from (finding for _, finding in tests)
    is_open = any(finding.verdict is Verdict.WAIT for _, finding in tests)
    made = [test.record for test, _ in tests if test.record is not None]
    yield _ack(facts, broker, made, _no_way_out(facts), is_open=is_open)


def is_green(findings: Sequence[Finding]) -> bool:
    """True if nothing is red and nothing is open; a check that this station has no need of is no fault."""
    return all(finding.verdict in (Verdict.OK, Verdict.SKIPPED) for finding in findings)


def is_settled(findings: Sequence[Finding]) -> bool:
    """True once nothing is waited for any more."""
    return all(finding.verdict is not Verdict.WAIT for finding in findings)


def may_test(findings: Sequence[Finding], modem: str) -> bool:
    """Whether a test by this modem is worth its data: all that it needs is green."""
    needed = ("modem", "sim", "registration", "apn", "dns", "portal")
    own = [finding for finding in findings if finding.modem == modem and finding.check in needed]
    return bool(own) and all(finding.verdict in (Verdict.OK, Verdict.SKIPPED) for finding in own)


def not_green(findings: Sequence[Finding]) -> tuple[str, ...]:
    """The checks that a result code names. A visit without its test or its receipt is never green."""
    bad = {finding.check for finding in findings if finding.verdict in (Verdict.BAD, Verdict.WAIT)}
    bad |= {f.check for f in findings if f.check in ("test", "ack") and f.verdict is not Verdict.OK}
    return tuple(check for check in visit.CHECKS if check in bad)


def code(probe: str, findings: Sequence[Finding], record: visit.Named | None) -> str | None:
    """The code to read to the office; None while something is waited for, or if no record was ever made."""
    if record is None or not is_settled(findings):
        return None
    return visit.result_code(probe, record, not_green(findings))


def _power(facts: Facts) -> Finding:
    bits, temp = facts.throttled_bits, facts.cpu_temp_c_x10
    if not facts.is_host_read:
        return Finding("power", Verdict.WAIT, "reading")
    if bits is not None and bits & _UNDERVOLTAGE:
        return Finding("power", Verdict.BAD, "undervoltage")
    if (temp is not None and temp >= HOT_C_X10) or (bits is not None and bits & _THROTTLED):
        return Finding("power", Verdict.BAD, "overheated", {"temp": "?" if temp is None else f"{temp / 10:.0f}"})
    if bits is not None and bits & _UNDERVOLTAGE_SEEN:
        return Finding("power", Verdict.BAD, "undervoltage_seen")
    return Finding("power", Verdict.SKIPPED, "untold") if bits is None else Finding("power", Verdict.OK, "ok")


def _card(facts: Facts) -> Finding:
    if facts.spool_said is not None:
        return Finding("card", Verdict.BAD, "disk_error", {"said": facts.spool_said})
    if not facts.is_host_read:
        return Finding("card", Verdict.WAIT, "reading")
    free = facts.disk_free_bytes
    if free is None:
        return Finding("card", Verdict.BAD, "unreadable")
    if free < LEAST_FREE_BYTES:
        return Finding("card", Verdict.BAD, "low_disk", {"free": f"{free / 1e6:.0f} MB"})
    return Finding("card", Verdict.OK, "ok", {"free": f"{free / 1e9:.1f} GB"})


def _modem_checks(modem: ModemFacts) -> Iterator[Finding]:
    """From the modem outwards; the first that is not green holds back those that stand on it."""
    held: Finding | None = None
    for check, judge in _MODEM_CHECKS:
        found = judge(modem) if held is None else _held_back(check, held)
        yield Finding(found.check, found.verdict, found.word, found.values, modem.id)
        if held is None and check != "signal" and found.verdict in (Verdict.BAD, Verdict.WAIT):
            held = found


def _held_back(check: str, by: Finding) -> Finding:
    verdict = Verdict.WAIT if by.verdict is Verdict.WAIT else Verdict.SKIPPED
    return Finding(check, verdict, "first", {"check": by.check})


def _modem(modem: ModemFacts) -> Finding:
    if not modem.is_polled:
        return Finding("modem", Verdict.WAIT, "reading")
    if modem.cause in _MODEM_CAUSES:
        return Finding("modem", Verdict.BAD, modem.cause)
    return Finding("modem", Verdict.OK, "ok", {"modem": modem.id})


def _sim(modem: ModemFacts) -> Finding:
    if modem.cause in _SIM_CAUSES:
        return Finding("sim", Verdict.BAD, modem.cause)
    sim = modem.reading.sim if modem.reading else None
    if sim in _WAITING_SIM:
        return Finding("sim", Verdict.WAIT, "busy")
    is_served = modem.reading is not None and modem.reading.is_registered
    return (
        Finding("sim", Verdict.OK, "ok") if is_served or sim == "ready" else Finding("sim", Verdict.SKIPPED, "untold")
    )


def _registration(modem: ModemFacts) -> Finding:
    reading = modem.reading
    if reading is None or not reading.is_registered:
        cause = modem.cause or Cause.NOT_REGISTERED
        return Finding("registration", Verdict.WAIT if cause is Cause.SEARCHING else Verdict.BAD, cause)
    if modem.plmn is not None and reading.plmn is not None and reading.plmn != modem.plmn:
        return Finding("registration", Verdict.BAD, "wrong_sim", {"plmn": reading.plmn, "wanted": modem.plmn})
    if reading.rat in ("UMTS", "GSM") or modem.cause is Cause.NOT_LTE:
        return Finding("registration", Verdict.BAD, "not_lte", {"rat": reading.rat or "?"})
    band = "" if reading.band is None else f" B{reading.band}"
    return Finding(
        "registration", Verdict.OK, "ok", {"plmn": reading.plmn or "?", "rat": f"{reading.rat or '4G'}{band}"}
    )


def signal_word(rsrp_dbm_x10: int) -> Literal["good", "usable", "poor"]:
    """Which part of the bar a level is in."""
    if rsrp_dbm_x10 >= GOOD_RSRP_X10:
        return "good"
    return "usable" if rsrp_dbm_x10 >= USABLE_RSRP_X10 else "poor"


def _signal(modem: ModemFacts) -> Finding:
    rsrp = modem.reading.rsrp_dbm_x10 if modem.reading else None
    if rsrp is None:
        return Finding("signal", Verdict.SKIPPED, "untold")
    word = signal_word(rsrp)
    verdict = Verdict.BAD if word == "poor" else Verdict.OK
    return Finding("signal", verdict, word, {"rsrp": f"{rsrp / 10:.0f}"})


def _step(check: str, step: Step | None) -> Finding:
    if step is None:
        return Finding(check, Verdict.WAIT, "reading")
    if step.cause is not None:
        return Finding(check, Verdict.BAD, step.cause, {"said": step.said})
    if not step.said:
        return Finding(check, Verdict.SKIPPED, "unused")
    return Finding(check, Verdict.OK, "ok", {"said": step.said})


_MODEM_CHECKS = (
    ("modem", _modem),
    ("sim", _sim),
    ("registration", _registration),
    ("signal", _signal),
    ("apn", lambda modem: _step("apn", Step(modem.cause) if modem.cause is Cause.NO_PDP else modem.apn)),
    ("dns", lambda modem: _step("dns", modem.dns)),
    ("portal", lambda modem: _step("portal", modem.portal if modem.plan is None else Step(modem.plan))),
)


def _clock(facts: Facts) -> Finding:
    if facts.clock is None:
        return Finding("clock", Verdict.WAIT, "reading")
    if facts.clock == "trusted":
        return Finding("clock", Verdict.OK, "ok")
    return Finding("clock", Verdict.BAD, "suspect" if facts.clock == "suspect" else "unsynced")


def _gps(gps: GpsFacts | None) -> Finding:
    if gps is None:
        return Finding("gps", Verdict.WAIT, "reading")
    if not gps.is_configured:
        return Finding("gps", Verdict.SKIPPED, "unused") if gps.is_surveyed else Finding("gps", Verdict.BAD, "nowhere")
    if not gps.is_heard:
        return Finding("gps", Verdict.BAD, "no_receiver")
    if gps.fix_mode is None:
        return Finding("gps", *((Verdict.OK, "surveyed") if gps.is_surveyed else (Verdict.BAD, "no_fix")))
    if gps.offset_m is not None and gps.offset_m > MOVED_M:
        return Finding("gps", Verdict.BAD, "moved", {"metres": str(gps.offset_m)})
    return Finding("gps", Verdict.OK, "ok", {"sats": "?" if gps.sats_used is None else str(gps.sats_used)})


def _broker(facts: Facts) -> Finding:
    broker = facts.broker
    if broker is None:
        return Finding("broker", Verdict.WAIT, "reading")
    if not broker.is_configured:
        return Finding("broker", Verdict.BAD, "not_configured")
    if broker.is_connected:
        return _connected(broker)
    if broker.trouble is None:
        return Finding("broker", Verdict.WAIT, "reading")
    if facts.clock is not None and facts.clock != "trusted":
        return Finding("broker", Verdict.BAD, "clock", {"said": broker.trouble})
    word = "refused" if "refused this probe" in broker.trouble or "certificate" in broker.trouble else "unreachable"
    return Finding("broker", Verdict.BAD, word, {"said": broker.trouble})


def _connected(broker: BrokerFacts) -> Finding:
    """What the log says of itself is no fault of the station: it is told, and the station is green."""
    if broker.log is None or broker.log == "none":
        return Finding("broker", Verdict.OK, "ok")
    values = {"size": str(broker.log_size), "folder": broker.log_folder or "?"}
    return Finding("broker", Verdict.OK, f"log_{broker.log}", values)


def _test(modem: ModemFacts) -> Finding:
    test = modem.test
    match test.word:
        case "not_wanted":
            return Finding("test", Verdict.SKIPPED, "not_wanted", modem=modem.id)
        case "running":
            return Finding("test", Verdict.WAIT, "running", {"seconds": str(test.elapsed_s)}, modem.id)
        case "asked":
            return Finding("test", Verdict.WAIT, "asked", modem=modem.id)
        case "none":
            return _test_to_come(modem)
    return _tested(modem.id, test)


def _tested(modem: str, test: ShortTest) -> Finding:
    if test.outcome != "ok":
        return Finding("test", Verdict.BAD, test.cause or Cause.UNKNOWN, modem=modem)
    if test.path != "ok":
        return Finding("test", Verdict.BAD, "path", {"path": test.path or "?"}, modem)
    return Finding("test", Verdict.OK, "ok", {"down": _mbit(test.downlink_bps), "up": _mbit(test.uplink_bps)}, modem)


def _test_to_come(modem: ModemFacts) -> Finding:
    needed = [found for found in _modem_checks(modem) if found.check != "signal"]
    red = next((found for found in needed if found.verdict is Verdict.BAD), None)
    if red is not None:
        return Finding("test", Verdict.SKIPPED, "first", {"check": red.check}, modem.id)
    return Finding("test", Verdict.WAIT, "asked", modem=modem.id)


def _mbit(bps: int | None) -> str:
    return "–" if bps is None else f"{bps / 1e6:.1f}"


def _no_way_out(facts: Facts) -> Finding | None:
    """The first red check of a station none of whose modems gets out; None if one does."""
    reds = [
        next((f for f in _modem_checks(m) if f.check != "signal" and f.verdict is Verdict.BAD), None)
        for m in facts.modems
    ]
    return reds[0] if reds and None not in reds else None


def _ack(
    facts: Facts, broker: Finding, made: Sequence[visit.Named], no_way_out: Finding | None, *, is_open: bool
) -> Finding:
    """Whether the ledger has the visit's tests; without a test, whether it has all that waited."""
    ack = facts.ack
    if broker.verdict is Verdict.BAD:
        return Finding("ack", Verdict.SKIPPED, "first", {"check": "broker"})
    if ack is None or broker.verdict is Verdict.WAIT or is_open:
        return Finding("ack", Verdict.WAIT, "reading")
    has_all = ack.epoch is not None and all((one.epoch, one.seq) <= (ack.epoch, ack.seq or 0) for one in made)
    if has_all and (made or ack.waiting == 0):
        return Finding("ack", Verdict.OK, "ok", {"seq": str(ack.seq)})
    if no_way_out is not None:  # the session with the broker may look alive for a while yet
        return Finding("ack", Verdict.SKIPPED, "first", {"check": no_way_out.check})
    late = ack.waited_s >= ACK_PATIENCE_S
    return Finding("ack", Verdict.BAD if late else Verdict.WAIT, "late" if late else "waiting", {"n": str(ack.waiting)})
