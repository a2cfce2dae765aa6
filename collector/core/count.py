"""Which record is a counted sample, and if not, why not. Rule set `count`, version 2.

Counted: a `test` record, outcome ok, valid path, known referral code of that unit on that day, position surveyed
or confirmed, clock not suspect, verdict not suspect (`collector.core.verdict`), at most one a slot and modem.
Reasons are kept beside the record, all that apply.
Source: design §8.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache

from collector.core.place import Place, distance_m
from collector.core.row import is_test
from wire.records import AnyRecord, Position, TestRecord

RULE_VERSION = 2
CONFIRM_WITHIN_M = 200


class Reason(StrEnum):
    """Why a record is not a counted sample."""

    NOT_A_TEST = "not_a_test"
    FAULT = "fault"
    FORK = "fork"
    BROKEN_CHAIN = "broken_chain"
    QUARANTINE = "quarantine"
    SIMULATED = "simulated"
    OUTCOME = "outcome"
    INVALID_PATH = "invalid_path"
    UNDATED = "undated"
    CLOCK = "clock"
    NO_PLACE = "no_place"
    REFERRAL = "referral"
    POSITION = "position"
    NO_SLOT = "no_slot"
    SAME_SLOT = "same_slot"
    SUSPECT = "suspect"


# Made for every record: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Standing:
    """What the collector knows of a record beside its bytes.

    `t_ms` is when it began, None while undated; `place` is None for a probe that stands nowhere; `unit` is the
    commune or hamlet of its referral code at that time, None if the code is unknown; `slot_taken` says that
    another counted sample of this slot and modem is held; `registered_simulated`: the registry says simulator;
    `suspect`: its verdict is suspect, as far as it was judged.
    """

    fault: str | None
    in_chain: bool
    fork: bool
    quarantine: bool
    registered_simulated: bool
    t_ms: int | None
    place: Place | None
    unit: str | None
    slot_taken: bool
    suspect: bool = False

    @property
    def has_trouble(self) -> bool:
        """Whether anything but its kind may keep a record from counting that is in its place."""
        return self.fault is not None or self.fork or self.quarantine


NO_TEST = (Reason.NOT_A_TEST,)
"""Why a record of any other kind does not count that is in its place."""


def reasons(record: AnyRecord | None, standing: Standing) -> tuple[Reason, ...]:
    """Return every reason why this record does not count; empty for a counted sample."""
    if record is not None and not is_test(record) and standing.in_chain and not standing.has_trouble:
        return NO_TEST
    found = [] if standing.in_chain and not standing.has_trouble else list(_of_chain(standing))
    if record is None:
        found.append(Reason.FAULT)
    elif not is_test(record):
        found.append(Reason.NOT_A_TEST)
    else:
        found += of_sound_test(
            record,
            *(standing.registered_simulated, standing.t_ms, standing.place, standing.unit, standing.slot_taken),
        )
        found += [Reason.SUSPECT] if standing.suspect else []
    return tuple(dict.fromkeys(found))


def _of_chain(standing: Standing) -> Iterable[Reason]:
    if standing.fork:
        yield Reason.FORK
    if standing.fault == Reason.BROKEN_CHAIN:
        yield Reason.BROKEN_CHAIN
    elif standing.fault == Reason.FORK:
        yield Reason.FORK
    elif standing.fault is not None or not standing.in_chain:
        yield Reason.FAULT
    if standing.quarantine:
        yield Reason.QUARANTINE


def of_sound_test(
    record: TestRecord, registered_simulated: bool, t_ms: int | None, place: Place | None, unit: str | None, taken: bool
) -> tuple[Reason, ...]:
    """The same of a test that is in its place, without a fault, of a probe that is not in quarantine.

    What follows the record is of `Standing`.
    """
    found: list[Reason] = []
    if record.outcome != "ok":
        found.append(Reason.OUTCOME)
    if record.path is None or record.path.verdict != "ok":
        found.append(Reason.INVALID_PATH)
    if record.simulated != registered_simulated:
        found.append(Reason.SIMULATED)
    if t_ms is None:
        found.append(Reason.UNDATED)
    elif record.t_ms is not None and record.clock != "trusted":
        found.append(Reason.CLOCK)
    if place is None:
        found.append(Reason.NO_PLACE)
    elif unit not in (place.commune, place.hamlet):
        found.append(Reason.REFERRAL)
    if not _position_holds(record.position, place):
        found.append(Reason.POSITION)
    if record.slot_ms is None:
        found.append(Reason.NO_SLOT)
    elif taken:
        found.append(Reason.SAME_SLOT)
    return tuple(found)


_metres = lru_cache(maxsize=20_000)(distance_m)
"""A probe that stands still says the same surveyed position again and again."""


def _position_holds(position: Position | None, place: Place | None) -> bool:
    """Surveyed or confirmed: the position is where the site is, as far as the registry knows the site."""
    if position is None or position.source == "none" or position.lat_e7 is None or position.lon_e7 is None:
        return False
    if position.surveyed_offset_m is not None and position.surveyed_offset_m > CONFIRM_WITHIN_M:
        return False
    if place is None or place.lat_e7 is None or place.lon_e7 is None:
        return position.source == "surveyed"
    return _metres(position.lat_e7, position.lon_e7, place.lat_e7, place.lon_e7) <= CONFIRM_WITHIN_M
