"""`rebuild influx`: every point again from the ledger, by one process or by several side by side.

Side by side each has the records of some partitions and the sums of some days, its own connections, and no word for the
others: points have keys, so the order in which they arrive does not matter. Source: design §7, forward; issue 10.
"""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from itertools import chain

from collector.core.clock import DAY_MS
from collector.day_lines import every_day
from collector.forward import MAX_RECORDS, lines_of
from collector.forward_rollups import rollup_points
from collector.forward_send import MAX_LINES, PointWriter, write_all
from collector.influx import Influx
from collector.ledger import LedgerReader
from collector.place_lines import site_lines
from collector.published import forward_target
from collector.registry import Registry
from collector.rollups import Rollups
from collector.settings import Settings
from collector.unit_lines import every_unit
from wire import topics

AHEAD_MS = 400 * DAY_MS
"""A record's clock may be ahead; no sum lies later."""
Park = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Job:
    """One of `jobs` that share a rebuild, by number from 0."""

    number: int = 0
    jobs: int = 1

    @property
    def parts(self) -> frozenset[int] | None:
        """Its partitions; None: all."""
        return None if self.jobs == 1 else frozenset(range(self.number, topics.PARTS, self.jobs))

    def has(self, start_ms: int) -> bool:
        """Whether the sums of a day or month that begins then are its own."""
        return start_ms // DAY_MS % self.jobs == self.number


ALL = Job()


def rebuild(
    reader: LedgerReader, registry: Registry, writer: PointWriter, park: Park, at_ms: int, job: Job = ALL
) -> int:
    """Write every sample of a job's share of the ledger, oldest first, and the places; return how many lines.

    Safe beside a running forward: both write the same lines, and what changes between our reading and our writing
    is written once more. Raises Unavailable: then run it again.
    """
    redone = reader.last_redo()
    written = 0
    if job.number == 0:
        written = write_all(writer, list(site_lines(registry, at_ms // DAY_MS * DAY_MS)), park)
    position = 0
    while samples := reader.samples(after_n=position, parts=job.parts, limit=MAX_RECORDS, newest_first=False):
        written += write_all(writer, lines_of(samples), park)
        position = samples[-1].n
    while changed := reader.redone(redone, MAX_RECORDS, job.parts):
        written += write_all(writer, lines_of(sample for _, sample in changed), park)
        redone = changed[-1][0]
    units = every_unit(Rollups(reader), registry, at_ms, job.has)
    for lines in chain(_rollups(reader, at_ms, job), units, every_day(reader, at_ms, job.has)):
        written += write_all(writer, lines, park)
    return written


def _rollups(reader: LedgerReader, at_ms: int, job: Job) -> Iterator[list[str]]:
    """Rollup points of the days of a job, newest first, a request at a time."""
    rollups, waiting = Rollups(reader), list[str]()
    day_ms = rollups.day_before(at_ms + AHEAD_MS)
    while day_ms is not None:
        if job.has(day_ms):
            for day in rollups.days(day_ms, day_ms + DAY_MS):
                waiting += rollup_points([day])
                if len(waiting) >= MAX_LINES:
                    yield waiting
                    waiting = []
        day_ms = rollups.day_before(day_ms)
    yield waiting


def rebuild_beside(settings: Settings, at_ms: int, jobs: int) -> tuple[int, int]:
    """The whole by so many processes; return how many lines were written and how many refused. Raises Unavailable."""
    if jobs == 1:
        return _one(settings, at_ms, ALL)
    # Started anew, not forked: nothing of our threads and connections is in them.
    with ProcessPoolExecutor(jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        found = [pool.submit(_one, settings, at_ms, Job(number, jobs)) for number in range(jobs)]
        done = [one.result() for one in found]
    return sum(written for written, _ in done), sum(refused for _, refused in done)


def _one(settings: Settings, at_ms: int, job: Job) -> tuple[int, int]:
    reader, registry = LedgerReader(settings.ledger), Registry(settings.registry)
    writer, parked = forward_target(settings, Influx), list[str]()
    try:
        written = rebuild(reader, registry, writer, lambda _line, reason: parked.append(reason), at_ms, job)
    finally:
        writer.close()
        registry.close()
        reader.close()
    return written, len(parked)
