# ruff: noqa: E501 (fields of a point as a table)
"""What a province has beside its records: how probes feel, quotas, verdicts, missed slots, refusals, the collector.

Points come from the collector's own code wherever it can be asked; how probes felt is drawn, since no record says it.
"""

from __future__ import annotations

import json
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench.province import PROVINCE, SEED, Link, Province
from collector.board_lines import BoardLines
from collector.core.clock import DAY_MS, HOUR_MS, hour_of
from collector.core.measures import measure_line
from collector.core.points import line, series
from collector.core.rollup_view import CommuneTotal
from collector.core.sample import HamletCounts
from collector.forward_store import ForwardStore
from collector.ledger import LedgerReader
from collector.place_lines import site_lines
from collector.registry import Registry
from collector.rollups import Rollups
from collector.unit_lines import UnitLines, every_unit
from collector.verdict_store import VerdictStore

STATE_DAYS, QUOTA_DAYS, JUDGED_DAYS = 31, 62, 38
_WORDS = ("proved", "proved", "proved", "corroborated", "plausible", "claimed", "suspect")


class Until(LedgerReader):
    """The ledger as it stood at a moment: what came later is not there yet."""

    def __init__(self, path: Path, until_ms: int) -> None:
        super().__init__(path)
        self._until_ms = until_ms

    def hamlet_counts(self, since_ms: int | None = None, until_ms: int | None = None) -> dict[str, HamletCounts]:
        """As the ledger's."""
        return super().hamlet_counts(since_ms, min(until_ms or self._until_ms, self._until_ms))

    def commune_totals(self, since_ms: int, until_ms: int) -> list[CommuneTotal]:
        """As the ledger's."""
        return super().commune_totals(since_ms, min(until_ms, self._until_ms))


def beside(whole: Province, folder: Path, reader: LedgerReader, registry: Registry, days: int) -> Iterator[list[str]]:
    """All points beside records, in batches."""
    end_ms = whole.day_ms(days)
    yield list(site_lines(registry, whole.now_ms // DAY_MS * DAY_MS))
    yield from every_unit(Rollups(reader), registry, end_ms)
    yield list(states(whole, days))
    yield list(referrals(whole, days))
    _judge(whole, folder, days)
    _refuse(folder / "ledger.db", end_ms)
    store = ForwardStore(folder / "forward.db")
    units = UnitLines(reader, registry, store, lambda *_: None)
    for back in range(QUOTA_DAYS):
        boards = BoardLines(folder, Until(folder / "ledger.db", end_ms - back * DAY_MS), registry, units, list)
        at_ms = end_ms - back * DAY_MS - HOUR_MS
        wanted = (boards._quotas, boards._refusals) if back else (boards._quotas, boards._refusals, boards._judged)
        yield [text for source in wanted for text in source(at_ms) if text]
    store.close()


def states(whole: Province, days: int) -> Iterator[str]:
    """`probe_state` each hour of a month and twice a minute at the end; events; the collector each ten minutes."""
    rng, end_ms = random.Random(SEED), whole.day_ms(days)  # noqa: S311
    worst: dict[tuple[str, int], dict[str, int]] = {}
    probes = {link.probe: link for link in whole.links}
    for number, (probe, link) in enumerate(probes.items()):
        tags = (("province", PROVINCE), ("commune", link.commune), ("hamlet", link.hamlet), ("probe", probe))
        recent = (*range(end_ms - STATE_DAYS * DAY_MS, end_ms, HOUR_MS), *range(end_ms - 600_000, end_ms, 30_000))
        for at_ms in recent:
            fields = felt(whole, link, number, at_ms, days, rng)
            yield line(series("probe_state", tags), fields, at_ms * 10**6)
            held = worst.setdefault((link.commune, hour_of(at_ms)), {})
            held |= {name: max(held.get(name, 0), fields[name]) for name in ("spool_records", "cpu_temp_c_x10")}
        for event in rng.sample(("boot", "recovery", "clock_set", "outage_begin", "outage_end", "undervoltage"), 2):
            at_ms = end_ms - rng.randrange(20 * HOUR_MS)
            yield line(series("probe_state", tags), {"event": event}, at_ms * 10**6 + number)
    for (commune, hour_ms), most in worst.items():
        yield measure_line("fleet_1h", (("province", PROVINCE), ("commune", commune)), most, hour_ms)
    for at_ms in range(end_ms - STATE_DAYS * DAY_MS, end_ms, 600_000):
        yield measure_line("system", (("part", "collector"),), _system(whole, at_ms, days), at_ms)


def referrals(whole: Province, days: int) -> Iterator[str]:
    """`referral_1d` of every commune's code and day: tests, counted ones, those that were not ok."""
    for day in range(days):
        found: dict[str, Counter[str]] = {}
        for link in whole.links:
            made = whole.made(link, day)
            for test in made.tests if made else ():
                counts = found.setdefault(link.commune, Counter(tests=0, counted=0, failed=0))
                counts.update(tests=1, counted=test.counted, failed="ok=0i" in test.fields)
        for commune, counts in found.items():
            tags = (("province", PROVINCE), ("commune", commune), ("referral", f"TN{commune}A"))
            yield measure_line("referral_1d", tags, dict(counts), whole.day_ms(day))


def silent_at(whole: Province, link: Link, at_ms: int, days: int) -> bool:
    """Whether a link's probe had fallen silent."""
    return link.last_day < days - 1 and at_ms >= whole.day_ms(link.last_day + 1)


def felt(whole: Province, link: Link, number: int, at_ms: int, days: int, rng: random.Random) -> dict[str, Any]:
    """How a probe felt at a moment, as `collector.probe_watch` writes it."""
    silent = int(silent_at(whole, link, at_ms, days))
    since_s = (at_ms - whole.day_ms(link.last_day + 1)) // 1000 if silent else None
    ppm = min(1_000_000, 250_000 + number * 7_919 % 720_000)
    clock = int(number % 53 != 7)
    return {
        "here": 1, "online": 1 - silent, "age_s": since_s if silent else rng.randrange(10, 3_000), "upto": 40 * days,
        "state": 2 * silent, "word": "silent" if silent else "clock" if not clock else "ok",
        "cause": ("offline", "power")[number % 2] if silent else "none" if clock else "clock",
        "ill": int(silent or not clock), "silent": silent, "since_s": since_s, "missing": 0,
        "cert_days": 12 + number * 37 % 340, "simulated": 1, "spool_records": rng.choice((0, 0, 1, 3)) + 40 * (number % 41 == 3 and at_ms // HOUR_MS % 67 < 9),
        "clock_trusted": clock, "cpu_temp_c_x10": int(rng.gauss(520 + number % 150, 20)), "undervoltage": int(number % 47 == 11),
        "data_used_bytes": ppm * 20_000, "data_limit_bytes": 20_000_000_000, "data_used_ppm": ppm,
        "recoveries": int(number % 17 == 4) * 2, "rung": "modem_restart" if number % 17 == 4 else None,
        "fw": ("0.2.0", "0.2.0", "0.1.9")[number % 3],
    }  # fmt: skip


def _system(whole: Province, at_ms: int, days: int) -> dict[str, Any]:
    probes = {link.probe: link for link in whole.links}
    return {
        "lag": 0, "parked": 0, "receiving": 1, "commit_age_s": 3, "sealing": 1, "seal_age_s": 41,
        "seal_size": 1_400_000 + (at_ms - whole.first_ms) // 60_000, "probes": len(probes),
        "silent": sum(silent_at(whole, link, at_ms, days) for link in probes.values()),
    }  # fmt: skip


def _judge(whole: Province, folder: Path, days: int) -> None:
    """A verdict on each test of the last weeks, some suspect by rules, and slots without a record."""
    rng, rows, empty = random.Random(SEED), [], []  # noqa: S311
    for link in whole.links:
        for day in range(days - JUDGED_DAYS, days):
            made = whole.made(link, day)
            if made is None:
                continue
            for test in made.tests:
                word = rng.choice(_WORDS) if test.counted else "claimed"
                hits = [[rng.choice(("path.other", "receipt.fewer", "chain.broken")), {}]] if word == "suspect" else []
                rows.append(
                    (len(rows) + 1, link.probe, "m", whole.day_ms(day) + test.offset_ms, word, json.dumps(hits))
                )
            if rng.random() < 0.2:
                slot_ms = whole.day_ms(day) + rng.randrange(9) * 8_640_000
                empty.append((link.probe, "m", link.modem, slot_ms, 8_640_000, rng.choice(("power", "none"))))
    VerdictStore(folder / "verdict.db").close()
    with sqlite3.connect(folder / "verdict.db") as db:
        db.executemany("INSERT INTO record VALUES (?, ?, ?, ?, ?, ?)", rows)
        db.executemany("INSERT OR REPLACE INTO empty_slot VALUES (?, ?, ?, ?, ?, ?)", empty)
    db.close()


def _refuse(path: Path, end_ms: int) -> None:
    rng = random.Random(SEED)  # noqa: S311
    reasons = ("bad_signature", "unknown_probe", "wrong_topic", "schema")
    rows = [
        (
            n,
            0,
            end_ms - rng.randrange(QUOTA_DAYS * DAY_MS),
            "dosong/x",
            None,
            rng.choice(reasons),
            "simulated",
            10,
            None,
        )
        for n in range(1, 240)
    ]
    with sqlite3.connect(path) as db:
        db.executemany("INSERT INTO refusal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    db.close()
