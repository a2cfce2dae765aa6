"""Lines for InfluxDB as the collector's forward writes them: two communes, four hamlets, two operators, one month.

One hamlet has two operators, one is silent (registered, never heard), one has too few tests, one bears a name that
breaks naive quoting. All drawn from a fixed seed; every field name is held against `wire.metrics` by a test.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

HOUR_MS, DAY_MS = 3_600_000, 86_400_000
SLOT_MS = 8_640_000
MAIN, HOSTILE, FEW, SILENT = "dt-lang-muoi", "3cu-bm_01", "dt-thinh-khanh", "tx-im-lang"
NAMES = {
    MAIN: ("19", "05755", "Xóm Làng Mười", "Xã Dân Tiến"),
    HOSTILE: ("66", "24001", "Buôn M'lớt \"3.\" (cũ) \\ Ea H'leo, a=b", "Xã Cư M'gar"),
    FEW: ("19", "05755", "Xóm Thịnh Khánh", "Xã Dân Tiến"),
    SILENT: ("19", "05746", "Xóm Im Lặng", "Xã Tràng Xá"),
}
PROVINCES = {"19": "Tỉnh Thái Nguyên", "66": "Tỉnh Đắk Lắk"}


@dataclass(frozen=True, slots=True)
class Source:
    """One modem of one probe; rates in Mbit/s, RSRP in dBm, outages a day."""

    hamlet: str
    probe: str
    modem: str
    plmn: str
    rate_mbps: float
    rsrp_dbm: float
    outages: float
    tests: int | None = None


SOURCES = (
    Source(MAIN, "p-lang-muoi", "m1", "45204", 34.0, -93.0, 0.35),
    Source(MAIN, "p-lang-muoi", "m2", "45202", 13.0, -106.0, 0.9),
    Source(HOSTILE, "p-mlot", "m1", "45204", 21.0, -99.0, 0.4),
    Source(FEW, "p-thinh-khanh", "m1", "45201", 9.0, -110.0, 0.8, tests=3),
)


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _tags(source: Source, measurement: str, **more: str) -> str:
    province, commune, *_ = NAMES[source.hamlet]
    tags = {"province": province, "commune": commune, "hamlet": source.hamlet, "probe": source.probe}
    tags |= {"modem": source.modem, "plmn": source.plmn} | more
    return measurement + "".join(f",{key}={value}" for key, value in tags.items() if value)


def _line(head: str, fields: dict[str, int | str | float], at_ms: int, seq: int) -> str:
    parts = [
        f"{key}={value}i" if isinstance(value, int) else f"{key}={_text(value) if isinstance(value, str) else value}"
        for key, value in fields.items()
    ]
    return f"{head} {','.join(parts)} {at_ms * 1_000_000 + seq % 1_000_000}"


def _load(at_ms: int) -> float:
    """Share of the cell that is left at an hour of Vietnam's day: busy from 19 to 22."""
    hour = (at_ms / HOUR_MS + 7) % 24
    return 1.0 - 0.45 * math.exp(-(((hour - 20.5) / 2.2) ** 2)) - 0.15 * math.exp(-(((hour - 11.5) / 2.0) ** 2))


def _radio(source: Source, rng: Random) -> dict[str, int | str]:
    rsrp = round((source.rsrp_dbm + rng.gauss(0, 3.5)) * 10)
    sinr = round(min(300.0, max(-200.0, (source.rsrp_dbm + 115 + rng.gauss(0, 3)) * 9)))
    return {
        "radio_before_rsrp_dbm_x10": rsrp,
        "radio_before_rsrq_db_x10": -110,
        "radio_before_sinr_db_x10": sinr,
        "radio_during_rsrp_dbm_x10_median": rsrp - 5,
    }


def _verdict(*, ok: bool, outcome: str, path: str) -> dict[str, int | str]:
    counted = int(ok and path == "ok")
    flags: dict[str, int | str] = {"outcome": outcome, "ok": int(ok), "failed": int(not ok), "counted": counted}
    wrong = int(path == "invalid_path")
    return flags | {"skipped": int(outcome == "skipped"), "invalid_path": wrong, "epoch": 1, "simulated": 1}


def _good(source: Source, at_ms: int, rng: Random) -> dict[str, int | str]:
    radio = _radio(source, rng)
    signal = 1.0 + (int(radio["radio_before_rsrp_dbm_x10"]) / 10 - source.rsrp_dbm) * 0.045
    rate = max(0.4, source.rate_mbps * _load(at_ms) * signal * rng.uniform(0.8, 1.15))
    path = "invalid_path" if rng.random() < 0.02 else "ok"
    rtt = round(1e6 / (rate + 12) + rng.uniform(8_000, 24_000))
    return {
        **_verdict(ok=True, outcome="ok", path=path),
        **radio,
        "downlink_bps": round(rate * 1e6),
        "uplink_bps": round(rate * 0.38e6 * rng.uniform(0.8, 1.2)),
        "rtt_us_median": rtt,
        "rtt_sent": 50,
        "rtt_received": 50,
        "loss_ppm": 20_000 if rng.random() < 0.12 else 0,
        "path_verdict": path,
        "duration_ms": 24_000,
        "position_lat_e7": 216_835_000,
        "position_lon_e7": 1_061_510_000,
        "position_surveyed_offset_m": 3,
    }


_FAILURES = (
    ("failed", "registration", "searching"),
    ("failed", "downlink", "cut_off"),
    ("failed", "connect", "server_unreachable"),
    ("failed", "modem", "modem_mute"),
    ("partial", "uplink", "timeout"),
    ("skipped", "schedule", "budget_spent"),
)


def _bad(rng: Random) -> dict[str, int | str]:
    outcome, stage, cause = rng.choice(_FAILURES)
    return {**_verdict(ok=False, outcome=outcome, path="ok"), "stage": stage, "cause": cause, "path_verdict": "ok"}


Fields = dict[str, int | str | float]
Point = tuple[str, Fields, int, int]
"""Measurement with tags, fields, UTC ms, sequence number."""


def tests(source: Source, now_ms: int, days: int, rng: Random) -> Iterator[Point]:
    """One point a slot; a failed one has stage and cause, and no rates."""
    begin = now_ms - days * DAY_MS
    slots = range(begin, now_ms - SLOT_MS, SLOT_MS)
    chosen = slots if source.tests is None else slots[-source.tests :]
    for seq, slot in enumerate(chosen):
        at = slot + rng.randrange(SLOT_MS - 60_000)
        # A failed test may not even know its operator: the tag is then left out.
        fails = rng.random() < 0.06 and source.tests is None
        fields = _bad(rng) if fails else _good(source, at, rng)
        mute = fields.get("cause") == "modem_mute"
        head = _tags(source, "test", rat="" if mute else "LTE", engine="dosong", referral="TN05755A")
        yield head.replace(f",plmn={source.plmn}", "") if mute else head, {**fields, "seq": seq}, at, seq


_TROUBLE = ((1, "searching"), (1, "not_registered"), (2, "echo_lost"), (2, "not_lte"), (0, "power"), (0, "probe_off"))
_STATES = ("unknown", "no_service", "degraded", "covered")


def _steps(now_ms: int, days: int) -> Iterator[tuple[int, int]]:
    """(time, length) of every step: minutes on the last two days, as in the field; five minutes before, to be quick."""
    turn = now_ms - 2 * DAY_MS
    yield from ((at, 300_000) for at in range(now_ms - days * DAY_MS, turn, 300_000))
    yield from ((at, 60_000) for at in range(turn, now_ms, 60_000))


def coverage(source: Source, now_ms: int, days: int, rng: Random) -> Iterator[Point]:
    """One point a step; troubles last up to five hours each and have a cause."""
    until, state, cause = 0, 3, "none"
    for seq, (at, step_ms) in enumerate(_steps(now_ms, days)):
        if at >= until:
            state, cause = 3, "none"
            if rng.random() < source.outages * step_ms / DAY_MS:
                until, (state, cause) = at + rng.randrange(20, 300) * 60_000, rng.choice(_TROUBLE)
        flags: dict[str, int | str | float] = {word: int(state == value) for value, word in enumerate(_STATES)}
        fields = flags | {"state": state, "step_ms": step_ms, "cause": cause}
        yield _tags(source, "coverage"), fields, at, seq


def sites(now_ms: int) -> Iterator[str]:
    """The register: names, places and how many probes, at UTC midnight."""
    day = now_ms - now_ms % DAY_MS
    for hamlet, (province, commune, name, commune_name) in NAMES.items():
        head = f"site,province={province},commune={commune},hamlet={hamlet}"
        probes = len({s.probe for s in SOURCES if s.hamlet == hamlet})
        fields: dict[str, int | str | float] = {
            "hamlet_name": name, "commune_name": commune_name, "province_name": PROVINCES[province],
            "lat": 21.6835, "lon": 106.151, "probes": probes, "simulated": 1,
        }  # fmt: skip
        yield _line(head, fields, day, 0)


def lines(now_ms: int, days: int = 30) -> Iterator[str]:
    """Everything that is seeded, ending at `now_ms`."""
    yield from sites(now_ms)
    for place, source in enumerate(SOURCES):
        rng = Random(place)
        points = [*tests(source, now_ms, days, rng), *coverage(source, now_ms, days, rng)]
        yield from (_line(*point) for point in points)
