"""What the collector derives of the seeded month: rollup points by its own code, and what boards need else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from random import Random
from typing import Any

from collector.core.clock import DAY_MS, HOUR_MS, day_of, hour_of, month_of
from collector.core.measures import measure_line
from collector.core.points import line, series
from collector.core.rollup import COUNTS, METRICS, DayKey, Hour
from collector.core.rollup_points import rollup_lines
from collector.core.unit_points import UNIT_DAY, UNIT_MONTH, Unit, gather, unit_lines
from tests.grafana import seed
from wire.failure import COVERAGE_CAUSES

_LETTERS = {str(cause): letter for letter, cause in COVERAGE_CAUSES.items() if cause}
_FIELDS = ("downlink_bps", "uplink_bps", "rtt_us_median", "loss_ppm", "radio_before_rsrp_dbm_x10")
_EMPTY = dict.fromkeys(COUNTS, 0)


def _hours(now_ms: int, days: int) -> dict[DayKey, dict[int, Any]]:
    """Counts, words and values of every hamlet, operator, day and hour."""
    found: dict[DayKey, dict[int, Any]] = defaultdict(dict)
    for place, source in enumerate(seed.SOURCES):
        rng = Random(place)
        province, commune, *_ = seed.NAMES[source.hamlet]
        points = [*seed.tests(source, now_ms, days, rng), *seed.coverage(source, now_ms, days, rng)]
        for head, fields, at_ms, _ in points:
            day_ms = day_of(at_ms)[0]
            plmn = source.plmn if ",plmn=" in head else ""
            key = DayKey(day_ms, province, commune, source.hamlet, plmn)
            number = (at_ms - day_ms) // HOUR_MS
            held = found[key].setdefault(number, (dict(_EMPTY), {}, {}, {}, [[] for _ in METRICS]))
            (_add_test if head.startswith("test") else _add_step)(held, fields)
    return found


def _add_test(held: Any, fields: seed.Fields) -> None:
    counts, failures, _, reasons, values = held
    counts["tests"] += 1
    counts[str(fields["outcome"])] += 1
    counts["invalid_path"] += int(fields["invalid_path"])
    if "cause" in fields:
        key = f"{fields['stage']}/{fields['cause']}"
        failures[key] = failures.get(key, 0) + 1
    if fields["counted"]:
        counts["counted"] += 1
        for own, name in zip(values, _FIELDS, strict=True):
            if name in fields:
                own.append(int(fields[name]))
    else:
        reason = "outcome" if fields["outcome"] != "ok" else "invalid_path"
        reasons[reason] = reasons.get(reason, 0) + 1


def _add_step(held: Any, fields: seed.Fields) -> None:
    counts, _, steps, _, _ = held
    counts["coverages"] = 1
    counts[seed._STATES[int(fields["state"])]] += 1
    letter = _LETTERS.get(str(fields["cause"]))
    if letter:
        steps[letter] = steps.get(letter, 0) + 1


def days_of(now_ms: int, days: int = 30) -> list[tuple[DayKey, dict[int, Hour]]]:
    """The month as the ledger's rollups would hold it."""
    return [
        (key, {number: _hour(*held) for number, held in sorted(hours.items())})
        for key, hours in _hours(now_ms, days).items()
    ]


def _hour(counts: Any, failures: Any, steps: Any, reasons: Any, values: Any) -> Hour:
    return Hour(list(counts.values()), 0, 0, failures, steps, reasons, [sorted(own) for own in values])


def _known(unit: Unit) -> dict[str, Any]:
    province, commune, hamlet, _ = unit
    if hamlet:
        return {"name": seed.NAMES[hamlet][2], "lat": 21.6835, "lon": 106.151}
    names = {one[1]: one[3] for one in seed.NAMES.values()}
    return {"name": names[commune], "registered": 2} if commune else {"name": seed.PROVINCES[province]}


def lines(now_ms: int, days: int = 30) -> Iterator[str]:
    """Every line that the collector derives."""
    held = days_of(now_ms, days)
    months: dict[int, Any] = defaultdict(list)
    by_day: dict[int, Any] = defaultdict(list)
    for key, hours in held:
        yield from rollup_lines(key, hours, 2**24 - 1)
        by_day[key.day_ms].append((key, hours))
        months[month_of(key.day_ms)[0]].append((key, hours))
    for day_ms, rows in by_day.items():
        yield from unit_lines(UNIT_DAY, gather(rows, hamlets=False), day_ms, _known)
    for month_ms, rows in months.items():
        yield from unit_lines(UNIT_MONTH, gather(rows, hamlets=True), month_ms, _known)
    yield from fleet(now_ms, days)
    yield from quality(now_ms, days)


def fleet(now_ms: int, days: int) -> Iterator[str]:
    """Probes each hour and minute, one of them silent; and the collector's own state."""
    for number, (hamlet, probe) in enumerate(sorted({(s.hamlet, s.probe) for s in seed.SOURCES})):
        province, commune, *_ = seed.NAMES[hamlet]
        tags = (("province", province), ("commune", commune), ("hamlet", hamlet), ("probe", probe))
        silent = int(hamlet == seed.FEW)
        fields: dict[str, Any] = {
            "here": 1, "online": 1 - silent, "age_s": 50_000 if silent else 900, "upto": 90, "state": 2 * silent,
            "word": "silent" if silent else "ok", "cause": "offline" if silent else "none", "ill": silent,
            "silent": silent, "since_s": 49_000 if silent else None, "missing": 0, "cert_days": 20 + 200 * number,
            "simulated": 1, "spool_records": 3, "clock_trusted": 1 - silent, "cpu_temp_c_x10": 512 + 60 * number,
            "undervoltage": number % 2, "data_used_bytes": 18_500_000_000, "data_limit_bytes": 20_000_000_000,
            "data_used_ppm": 925_000, "recoveries": number, "rung": "modem_restart" if number else None, "fw": "0.2.0",
        }  # fmt: skip
        for at_ms in range(hour_of(now_ms) - days * DAY_MS, now_ms, HOUR_MS):
            most = {name: fields[name] for name in ("spool_records", "cpu_temp_c_x10")}
            yield measure_line("fleet_1h", (("province", province), ("commune", commune)), most, at_ms)
        for at_ms in (*range(now_ms - days * DAY_MS, now_ms, HOUR_MS), *range(now_ms - HOUR_MS, now_ms, 30_000)):
            yield line(series("probe_state", tags), fields, at_ms * 1_000_000)
        head = "probe_state" + "".join(f",{key}={value}" for key, value in tags)
        yield f'{head} event="boot" {(now_ms - 2 * HOUR_MS) * 1_000_000}'
    system = {
        "lag": 0, "parked": 0, "receiving": 1, "commit_age_s": 4, "sealing": 1, "seal_age_s": 40, "seal_size": 99_000,
        "silent": 1, "probes": 3,
    }  # fmt: skip
    for at_ms in range(now_ms - DAY_MS, now_ms, 60_000):
        yield measure_line("system", (("part", "collector"),), system, at_ms)


def quality(now_ms: int, days: int) -> Iterator[str]:
    """Quotas, missed slots, verdicts, refusals."""
    for at_ms in range(day_of(now_ms - days * DAY_MS)[0], now_ms, DAY_MS):
        for province, commune, name in sorted({(v[0], v[1], v[3]) for v in seed.NAMES.values()}):
            tags = (("province", province), ("commune", commune), ("campaign", "c1"), ("line", "communes"))
            counted = (at_ms - (now_ms - days * DAY_MS)) // DAY_MS * 9
            fields = {
                "name": name,
                "minimum": 300,
                "counted": counted,
                "missing": 300 - counted,
                "due_by_now": counted + 4,
            }
            fields |= {"ahead": -4, "behind": 1, "low": 250, "middle": 290, "high": 320, "outlook": "open"}
            yield measure_line("quota", tags, fields, at_ms)
            if at_ms > now_ms - DAY_MS:  # the newest hour too, at whatever time of day this runs
                yield measure_line("quota", tags, fields, max(at_ms, hour_of(now_ms)))
            code = (("province", province), ("commune", commune), ("referral", "TN05755A"))
            yield measure_line("referral_1d", code, {"tests": 9, "counted": 8, "failed": 1}, at_ms)
        for hamlet, (province, commune, *_) in seed.NAMES.items():
            place = (("province", province), ("commune", commune), ("hamlet", hamlet))
            yield measure_line("slot_1d", place, {"missed": 2, "power": 1}, at_ms)
            for what, word, n in (("verdict", "proved", 8), ("verdict", "suspect", 1), ("rule", "path-other", 1)):
                yield measure_line("verdict_1d", (*place, ("what", what), ("word", word)), {"n": n}, at_ms)
        yield measure_line("refusal_1d", (("reason", "bad_signature"),), {"n": 2}, at_ms)
