"""What the rules are given: a probe's records with what is known beside them, its neighbours, and the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from collector.core.place import Place
from collector.core.witness import Witness
from wire.records import AnyRecord, CoverageRecord, Reading, TestRecord

Cell = tuple[str, int, int]
"""A cell: PLMN, tracking area, cell identity (ECI)."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One record. `t_ms` is when it began (None while undated), `beacon_ms` when the checkpoint that it names was
    signed (None: it names none that we know).

    `reasons` are the words of `collector.core.count`; `witnesses` what the measurement point saw, by direction.
    """

    n: int
    received_ms: int
    t_ms: int | None
    record: AnyRecord | None
    reasons: tuple[str, ...] = ()
    fault: str | None = None
    in_chain: bool = True
    place: Place | None = None
    witnesses: tuple[Witness, ...] = ()
    beacon_ms: int | None = None

    @property
    def test(self) -> TestRecord | None:
        """The record if it is a test."""
        return self.record if isinstance(self.record, TestRecord) else None

    @property
    def coverage(self) -> CoverageRecord | None:
        """The record if it is a window of coverage."""
        return self.record if isinstance(self.record, CoverageRecord) else None

    @property
    def is_of_air(self) -> bool:
        """Whether it says to come from a real network."""
        return self.record is not None and not self.record.simulated


@dataclass(frozen=True, slots=True)
class Network:
    """What the deployment says of its operators and modems: prefixes by PLMN, the modems' LTE category."""

    prefixes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    lte_category: int = 4


@dataclass(frozen=True, slots=True)
class Trouble:
    """A stretch of time without service on `plmn`, or without power (`plmn` None)."""

    begin_ms: int
    end_ms: int
    plmn: str | None


@dataclass(frozen=True, slots=True)
class Around:
    """What other probes say of the same cells, series and times; of itself it says nothing.

    `near_cells`, `near_areas`: seen by others within reach; `far_cells`: seen by others, all of them far away.
    `own_cells`: what the same site had learned in months before. `copied`: series that another probe had first.
    """

    own_cells: frozenset[Cell] = frozenset()
    near_cells: frozenset[Cell] = frozenset()
    near_areas: frozenset[tuple[str, int]] = frozenset()
    far_cells: frozenset[Cell] = frozenset()
    copied: frozenset[str] = frozenset()
    troubles: tuple[Trouble, ...] = ()


def readings(test: TestRecord) -> Iterator[Reading]:
    """The radio readings before and after a test, as far as there are any."""
    if test.radio is not None:
        yield from (one for one in (test.radio.before, test.radio.after) if one is not None)


def cell_of(reading: Reading, plmn: str | None) -> Cell | None:
    """The serving cell of a reading; None unless it names operator, area and identity."""
    named = reading.plmn or plmn
    if named is None or reading.tac is None or reading.eci is None:
        return None
    return named, reading.tac, reading.eci


def triple(test: TestRecord) -> tuple[int, int, int | None] | None:
    """RSRP, RSRQ and SINR before a test; None without the first two."""
    before = test.radio.before if test.radio else None
    if before is None or before.rsrp_dbm_x10 is None or before.rsrq_db_x10 is None:
        return None
    return before.rsrp_dbm_x10, before.rsrq_db_x10, before.sinr_db_x10
