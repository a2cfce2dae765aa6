"""Rules that need a probe's other records: clones, drifting clocks, frozen figures, new cells, slots, late arrivals.

All of them take the probe's records of one month and the week before it, in the order of their chain.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import groupby
from statistics import median_low

from collector.core.verdict import Hit
from collector.core.verdict_case import Around, Cell, Seen, cell_of, readings, triple
from collector.core.verdict_rules import RULES
from wire.records import EventRecord
from wire.slots import month_bounds, month_of

Found = Iterator[tuple[int, Hit]]
"""Number of a record, and the rule that applies to it."""


def of_series(records: Sequence[Seen], around: Around) -> Found:
    """Everything that a probe's records say against each other. `records` by epoch and seq."""
    yield from _clones(records)
    yield from _drift(records)
    yield from _slots(records)
    yield from _late(records)
    of_air = [seen for seen in records if seen.is_of_air]
    for modem in sorted({seen.test.modem for seen in of_air if seen.test}):
        tests = [seen for seen in of_air if seen.test is not None and seen.test.modem == modem]
        yield from _absent(tests)
        yield from _still(tests)
        yield from _repeated(tests)
        yield from _copied(tests, around)
        yield from _frozen(tests)
    yield from _flat_coverage(of_air)
    yield from _cells(of_air, around)


def _limit(rule: str, name: str) -> int:
    return RULES[rule].limits[name]


# --- clones and clocks ------------------------------------------------------------------------------------------------


def _clones(records: Sequence[Seen]) -> Found:
    """A start that comes back after another one, and an old chain that goes on behind a new one's first record."""
    for _, group in groupby(records, key=lambda seen: seen.record.epoch if seen.record else -1):
        left: set[str] = set()
        before: str | None = None
        for seen in group:
            boot = seen.record.boot if seen.record else None
            if boot is None:
                continue
            if boot != before and before is not None:
                left.add(before)
            if boot in left:
                yield seen.n, Hit("clone.boots")
            before = boot
    yield from _two_epochs(records)


def _two_epochs(records: Sequence[Seen]) -> Found:
    """While an old chain goes on beside a new one, neither can be told from a copy."""
    spans: dict[int, tuple[int, int]] = {}
    for seen in records:
        if seen.record is not None and seen.t_ms is not None:
            first, last = spans.get(seen.record.epoch, (seen.t_ms, seen.t_ms))
            spans[seen.record.epoch] = min(first, seen.t_ms), max(last, seen.t_ms)
    slack_ms = _limit("clone.epochs", "slack_ms")
    for seen in records:
        if seen.record is None or seen.t_ms is None:
            continue
        for epoch, (first, last) in spans.items():
            is_old = epoch > seen.record.epoch and seen.t_ms > first + slack_ms
            is_new = epoch < seen.record.epoch and seen.t_ms + slack_ms < last
            if is_old or is_new:
                yield seen.n, Hit("clone.epochs")


def _drift(records: Sequence[Seen]) -> Found:
    """Wall clock against the counter since boot: away from the middle of its stretch without a setting of the clock."""
    stretches: dict[tuple[str, str, int], list[Seen]] = defaultdict(list)
    settings = 0
    for seen in records:
        record = seen.record
        if isinstance(record, EventRecord) and record.event == "clock_set":
            settings += 1
        if record is not None and record.t_ms is not None and record.clock == "trusted":
            stretches[record.boot, record.t_src, settings].append(seen)
    for stretch in stretches.values():
        offsets = {seen.n: _offset_ms(seen) for seen in stretch}
        middle = median_low(offsets.values())
        counters = [seen.record.mono_ms for seen in stretch if seen.record]
        spread_ms = (max(counters) - min(counters)) * _limit("clock.drift", "ppm") // 1_000_000
        for seen in stretch:
            error_ms = seen.record.t_err_ms or 0 if seen.record else 0
            off_ms = abs(offsets[seen.n] - middle)
            if off_ms > _limit("clock.drift", "slack_ms") + spread_ms + error_ms:
                yield seen.n, Hit("clock.drift", {"off_ms": off_ms})


def _offset_ms(seen: Seen) -> int:
    return 0 if seen.record is None or seen.record.t_ms is None else seen.record.t_ms - seen.record.mono_ms


# --- slots and late arrivals ------------------------------------------------------------------------------------------


def _slots(records: Sequence[Seen]) -> Found:
    """Slots of one modem under one configuration never overlap: a grid is fixed for its month."""
    grids: dict[tuple[str, int | None], list[tuple[int, int, Seen]]] = defaultdict(list)
    for seen in records:
        test = seen.test
        if test is not None and test.slot_ms is not None and test.slot_length_ms:
            grids[test.modem, test.config_rev].append((test.slot_ms, test.slot_length_ms, seen))
    for rows in grids.values():
        # The grid is the one that was used first: whoever changes it later must explain it by a configuration.
        usual = min(rows, key=lambda row: row[2].n)[1]
        starts = sorted({start for start, length, _ in rows if length == usual})
        for start, length, seen in rows:
            if _clashes(start, length, starts, usual):
                yield seen.n, Hit("slot.overlap")


def _clashes(start: int, length: int, starts: Sequence[int], usual: int) -> bool:
    """Whether a slot overlaps a slot of the grid that begins before it, or one behind it that it is not itself."""
    at = bisect_left(starts, start)
    if at > 0 and starts[at - 1] + usual > start and not _is_cut(starts[at - 1], start):
        return True
    return length != usual and at < len(starts) and start + length > starts[at] and not _is_cut(start, starts[at])


def _is_cut(one_ms: int, other_ms: int) -> bool:
    """A slot may be cut short where its month begins or ends."""
    month = month_of(one_ms)
    return month != month_of(other_ms) or one_ms == month_bounds(month)[0]


def _late(records: Sequence[Seen]) -> Found:
    """A success says that the link was there: why then did it come so late, and without a receipt of that time?"""
    for seen in records:
        if seen.t_ms is None or seen.received_ms - seen.t_ms <= _limit("backfill.late", "late_ms"):
            continue
        if seen.test is None or seen.test.outcome in ("failed", "skipped"):
            continue
        if not any(witness.verdict in ("agrees", "differs") for witness in seen.witnesses):
            yield seen.n, Hit("backfill.late", {"late_ms": seen.received_ms - seen.t_ms})


# --- radio ------------------------------------------------------------------------------------------------------------


def _absent(tests: Sequence[Seen]) -> Found:
    """A high rate without any signal, at a modem that mostly sees one."""
    done = [seen for seen in tests if seen.test and seen.test.outcome in ("ok", "partial")]
    shown = {seen.n for seen in done if seen.test and _rsrps(seen)}
    if len(done) < _limit("radio.absent", "of_tests"):
        return
    if len(shown) * 100 < len(done) * _limit("radio.absent", "usual_percent"):
        return
    for seen in done:
        high = seen.test is not None and (seen.test.downlink_bps or 0) >= _limit("radio.absent", "high_bps")
        if high and seen.n not in shown:
            yield seen.n, Hit("radio.absent")


def _rsrps(seen: Seen) -> list[int]:
    found = [] if seen.test is None else [one.rsrp_dbm_x10 for one in readings(seen.test)]
    during = seen.test.radio.during if seen.test and seen.test.radio else None
    return [value for value in (*found, during.rsrp_dbm_x10_median if during else None) if value is not None]


def _triples(tests: Sequence[Seen]) -> list[tuple[int, tuple[int, int, int | None]]]:
    found = ((seen.n, triple(seen.test)) for seen in tests if seen.test is not None)
    return [(n, three) for n, three in found if three is not None]


def _still(tests: Sequence[Seen]) -> Found:
    for _, group in groupby(_triples(tests), key=lambda row: row[1]):
        run = list(group)
        # Two figures repeat by chance more easily than three.
        wanted = _limit("radio.still", "run") * (1 if run[0][1][2] is not None else 2)
        if len(run) >= wanted:
            yield from ((n, Hit("radio.still", {"times": len(run)})) for n, _ in run)


def _repeated(tests: Sequence[Seen]) -> Found:
    rows = _triples(tests)
    wide, times = _limit("radio.repeated", "of_readings"), _limit("radio.repeated", "times")
    hit: dict[int, int] = {}
    for at in range(max(1, len(rows) - wide + 1)):
        window = rows[at : at + wide]
        often = {three for three, count in Counter(three for _, three in window).items() if count >= times}
        hit |= {n: times for n, three in window if three in often and three[2] is not None}
        # Without a third figure two come back by chance; a handful in turns does not.
        distinct = {three for _, three in window}
        if len(distinct) <= _limit("radio.repeated", "few") and len(window) >= _limit("radio.repeated", "of_few"):
            hit |= {n: len(window) // len(distinct) for n, _ in window}
    yield from ((n, Hit("radio.repeated", {"times": count})) for n, count in hit.items())


def series(tests: Sequence[Seen]) -> list[tuple[str, tuple[int, ...]]]:
    """Each run of readings that varies, as a digest, with the numbers of its records: what a copy would repeat."""
    rows, length = _triples(tests), _limit("radio.copied", "series")
    found = []
    for at in range(len(rows) - length + 1):
        window = rows[at : at + length]
        if len({three for _, three in window}) > length // 2:
            text = repr([three for _, three in window])
            found.append((sha256(text.encode()).hexdigest()[:24], tuple(n for n, _ in window)))
    return found


def _copied(tests: Sequence[Seen], around: Around) -> Found:
    first: dict[str, tuple[int, ...]] = {}
    for digest, numbers in series(tests):
        own = first.setdefault(digest, numbers)
        if own != numbers or digest in around.copied:
            yield from ((n, Hit("radio.copied", {"of": "self" if own != numbers else "other"})) for n in numbers)


def _flat_coverage(records: Sequence[Seen]) -> Found:
    """Hours on end in which the least, the middle and every sixth of RSRP were one and the same."""
    windows = [seen for seen in records if seen.coverage is not None]
    for key, group in groupby(windows, key=_flat):
        run = list(group)
        if key is not None and len(run) >= _limit("radio.still", "coverage_run"):
            yield from ((seen.n, Hit("radio.still", {"hours": len(run)})) for seen in run)


def _flat(seen: Seen) -> tuple[str, int] | None:
    window = seen.coverage
    if window is None or window.rsrp_dbm_x10_median is None:
        return None
    values = {v for v in (*window.rsrp_dbm_x10_median, *(window.rsrp_dbm_x10_min or ())) if v is not None}
    return (window.modem, values.pop()) if len(values) == 1 else None


def _frozen(tests: Sequence[Seen]) -> Found:
    often = Counter(fix for fix in map(_fix, tests) if fix is not None)
    for seen in tests:
        fix = _fix(seen)
        if fix is not None and often[fix] >= _limit("gps.frozen", "fixes"):
            yield seen.n, Hit("gps.frozen", {"fixes": often[fix]})


def _fix(seen: Seen) -> tuple[object, ...] | None:
    p = seen.test.position if seen.test else None
    if p is None or p.fix_mode is None or p.eph_mm is None or p.sats_used is None:
        return None
    return p.lat_e7, p.lon_e7, p.alt_mm, p.eph_mm, p.hdop_x100, p.sats_used, p.surveyed_offset_m


# --- cells ------------------------------------------------------------------------------------------------------------


def _cells(records: Sequence[Seen], around: Around) -> Found:
    """What a site's first week on a network showed, and its neighbours see, is learned; the rest is new."""
    by_site: dict[tuple[str, str | None], list[Seen]] = defaultdict(list)
    for seen in records:
        if seen.test is not None and seen.t_ms is not None and seen.place is not None:
            by_site[seen.place.site, seen.test.plmn].append(seen)
    for tests in by_site.values():
        tests.sort(key=lambda seen: (seen.t_ms or 0, seen.n))
        yield from _site_cells(tests, around)


def _site_cells(tests: Sequence[Seen], around: Around) -> Found:
    learned, is_learned = _learned(tests, around)
    areas = {(plmn, area) for plmn, area, _ in learned} | around.near_areas
    for seen in tests:
        for cell in dict.fromkeys(_cells_of(seen)):
            if cell in around.far_cells and cell not in learned:
                yield seen.n, Hit("cell.far", _figures(cell))
            elif is_learned and cell not in learned and cell not in around.near_cells:
                yield seen.n, Hit("cell.new" if cell[:2] in areas else "cell.unknown", _figures(cell))


def _learned(tests: Sequence[Seen], around: Around) -> tuple[set[Cell], bool]:
    """Cells that belong to a site, and whether enough was seen to say so."""
    known = {cell for cell in around.own_cells if cell[0] == (tests[0].test.plmn if tests[0].test else None)}
    if known:
        return known, True
    until_ms = (tests[0].t_ms or 0) + _limit("cell.unknown", "learned_ms")
    early = [cell for seen in tests if (seen.t_ms or 0) <= until_ms for cell in _cells_of(seen)]
    kept = {cell for cell in early if cell not in around.far_cells}
    return kept, len(early) >= _limit("cell.unknown", "learned_readings")


def _cells_of(seen: Seen) -> list[Cell]:
    if seen.test is None:
        return []
    found = (cell_of(reading, seen.test.plmn) for reading in readings(seen.test))
    return [cell for cell in found if cell is not None]


def _figures(cell: Cell) -> Mapping[str, int | str]:
    return {"plmn": cell[0], "tac": cell[1], "eci": cell[2]}
