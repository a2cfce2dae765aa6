"""Whether a probe lives, and if it does not do its work: what kind of fault, which word, since when.

One judgement for the series `probe_state`, the fleet's pages, the API and the Monday list. `State` numbers are written
to InfluxDB and never change their meaning. A silent collector says nothing of its probes: they are UNHEARD, not silent.
Source: design §1, §4 (status is liveness, never evidence); facts note 05 §4 (outages of the site); docs/pages.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from collector.core.sample import ProbeState
from collector.core.view_service import silent_after_ms
from collector.core.vitals import ModemVitals, Vitals
from wire.failure import PARTY, Cause, Party

FAR_M = 200
SPOOL_HIGH = 100
OFFLINE_GRACE_MS = 30_000
"""A session that is renewed within this was a hand-over, not an outage."""
LATE_SHARE = 2
"""A probe is late at half of the silence after which it is silent."""
UNDERVOLTAGE_MS = 15 * 60_000
"""Low supply within this before the last word: the power went, not the network."""


class State(IntEnum):
    """What kind of thing is wrong, by who must act. `OK` and `LATE` need nobody."""

    OK = 0
    LATE = 1
    SILENT = 2
    DARK = 3
    MODEM = 4
    SIM = 5
    CLOCK = 6
    DISK = 7
    NETWORK = 8
    SERVER = 9
    PATH = 10
    MOVED = 11
    BACKLOG = 12
    NEVER = 13
    QUARANTINE = 14
    REVOKED = 15
    UNHEARD = 16
    HOST = 17

    @property
    def word(self) -> str:
        """As series, addresses and the catalogue of words name it."""
        return self.name.lower()


STILL = frozenset({State.SILENT, State.DARK, State.UNHEARD, State.NEVER})
"""States in which nothing comes from the probe."""


@dataclass(frozen=True, slots=True)
class Illness:
    """What is wrong, since when (None: not known), and the stage of a failed test.

    `word`: never, revoked, quarantine, offline, silent, unheard, hole, invalid_path, invalid_isolation, clock, moved,
    undervoltage, backlog, late, or a cause of `wire.failure`.
    """

    word: str
    since_ms: int | None
    stage: str | None = None

    @property
    def state(self) -> State:
        """The kind of fault."""
        return state_of(self.word)


_STATES = {
    "late": State.LATE,
    "silent": State.SILENT,
    "offline": State.SILENT,
    "stopped": State.SILENT,
    "power": State.DARK,
    "probe_off": State.DARK,
    "clock": State.CLOCK,
    "disk_error": State.DISK,
    "low_disk": State.DISK,
    "invalid_path": State.PATH,
    "invalid_isolation": State.PATH,
    "moved": State.MOVED,
    "backlog": State.BACKLOG,
    "hole": State.BACKLOG,
    "never": State.NEVER,
    "quarantine": State.QUARANTINE,
    "revoked": State.REVOKED,
    "unheard": State.UNHEARD,
    "no_modem": State.MODEM,
    "modem_mute": State.MODEM,
    "modem_error": State.MODEM,
    "no_interface": State.MODEM,
    "budget_spent": State.SIM,
    "denied": State.SIM,
}
_PARTIES = {Party.SIM: State.SIM, Party.OPERATOR: State.NETWORK, Party.SERVER: State.SERVER}


def state_of(word: str) -> State:
    """The kind of fault that an illness or a cause is; HOST for what belongs to nobody else."""
    if word in _STATES:
        return _STATES[word]
    return _PARTIES.get(PARTY[Cause(word)], State.HOST) if word in set(Cause) else State.HOST


@dataclass(frozen=True, slots=True)
class Ears:
    """Whether the collector hears its probes; `deaf_since_ms` None: it does, or it is not known since when not."""

    hears: bool = True
    deaf_since_ms: int | None = None


def illness(
    registered: str, state: ProbeState | None, vitals: Vitals, now_ms: int, ears: Ears | None = None
) -> Illness | None:
    """The first reason for which a probe does not do its work; None: it does. `late` comes last."""
    ears = ears or Ears()
    if registered != "active":
        return Illness(registered, None)
    if state is None or (not state.records and state.status is None):
        return Illness("never", None)
    return next(_reasons(state, vitals, now_ms, ears), None)


def _reasons(state: ProbeState, vitals: Vitals, now_ms: int, ears: Ears) -> Iterator[Illness]:
    found = _still(state, vitals, now_ms)
    if found is not None and found.word != "late":
        yield found if ears.hears else Illness("unheard", ears.deaf_since_ms)
    missing = missing_records(state)
    if missing:
        yield Illness("hole", state.last_received_ms)
    if not state.records:
        yield Illness("never", None)
    yield from _of_modems(vitals.modems)
    yield from _of_host(vitals)
    if found is not None and ears.hears:
        yield found


def missing_records(state: ProbeState) -> int:
    """Records that are missing in between: the highest held, less the head that is held without a hole."""
    top = state.max_seq if state.max_seq is not None else -1
    return max(0, top - (state.upto if state.upto is not None else -1))


def _still(state: ProbeState, vitals: Vitals, now_ms: int) -> Illness | None:
    """Silence: by the last will within minutes, by records that do not come otherwise; `late` before that."""
    last_ms = state.last_received_ms
    # The retained word may be older than the newest record: the record is the better witness.
    gone = state.status == "offline" and (state.status_ms or 0) > (last_ms or 0)
    if gone and now_ms - (state.status_ms or 0) > OFFLINE_GRACE_MS:
        return Illness(_silence(vitals, state.status_ms or 0, "offline"), state.status_ms)
    limit_ms = silent_after_ms(vitals.received_ms)
    if limit_ms is None or last_ms is None or now_ms - last_ms <= limit_ms // LATE_SHARE:
        return None
    if now_ms - last_ms > limit_ms:
        return Illness(_silence(vitals, last_ms, "silent"), last_ms)
    return Illness("late", last_ms)


def _silence(vitals: Vitals, since_ms: int, otherwise: str) -> str:
    """Why it went silent, if its own last records say so."""
    if vitals.undervoltage_ms is not None and abs(since_ms - vitals.undervoltage_ms) < UNDERVOLTAGE_MS:
        return Cause.POWER.value
    if vitals.stopping_ms is not None and vitals.last is not None and vitals.last.event == "stopping":
        return Cause.STOPPED.value
    return otherwise


def _of_modems(modems: tuple[ModemVitals, ...]) -> Iterator[Illness]:
    """A modem that is out, then a failed test; the modem that has been ill longest first."""
    out = [m for m in modems if m.out_since_ms is not None]
    for modem in sorted(out, key=lambda m: m.out_since_ms or 0):
        yield Illness(modem.out_cause or "unknown", modem.out_since_ms)
    failing = [m for m in modems if m.outcome == "failed"]
    for modem in sorted(failing, key=lambda m: m.failing_since_ms or 0):
        yield Illness(modem.cause or "unknown", modem.failing_since_ms, modem.stage)
    for modem in modems:
        if modem.path != "ok":
            yield Illness(modem.path, modem.test_ms)


def _of_host(vitals: Vitals) -> Iterator[Illness]:
    if vitals.disk_fault is not None:
        yield Illness(vitals.disk_fault, vitals.disk_fault_ms)
    if vitals.clock is not None and vitals.clock != "trusted":
        yield Illness("clock", vitals.clock_ms)
    if (vitals.offset_m or 0) > FAR_M:
        yield Illness("moved", vitals.offset_ms)
    if vitals.undervoltage_ms is not None:
        yield Illness("undervoltage", vitals.undervoltage_ms)
    if (vitals.spool_records or 0) > SPOOL_HIGH:
        yield Illness("backlog", vitals.clock_ms)
