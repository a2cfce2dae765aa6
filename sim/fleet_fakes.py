"""The twelve ways to fake a month, each as what a cheat would do to an honest probe's drafts from a moment on.

A cheat here knows the product and holds the station with its key; none of this knows the rules that look for it. What
is faked is marked with its class, so that whoever judges the month can be judged. Source: facts note 08 §3.5.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sim.fleet_life import DAY_MS, HOUR_MS, MIN_MS, Draft, Home, Life
from sim.fleet_world import Region, Spot, beside, fixed_source
from wire import records

Drafts = list[Draft]
Fake = Callable[[Life, Drafts, int, int], Drafts]
"""Life, its drafts, from when on (UTC ms), and which variation."""


def _tests(drafts: Drafts, since_ms: int, outcome: str = "ok") -> Drafts:
    return [
        d for d in drafts if d.shape is records.TestRecord and d.at_ms >= since_ms and d.fields["outcome"] == outcome
    ]


def _set(part: Any, **changes: Any) -> Any:
    return msgspec.structs.replace(part, **changes)


def edited(_life: Life, drafts: Drafts, since_ms: int, _kind: int) -> Drafts:
    """Somebody between probe and ledger changes digits of what was signed (`sim.fleet` breaks the bytes)."""
    for draft in _tests(drafts, since_ms)[::3]:
        draft.fake = "edited"
    return drafts


def replay(_life: Life, drafts: Drafts, since_ms: int, _kind: int) -> Drafts:
    """Receipts of good tests are shown again by later ones (`sim.fleet` also sends old bytes once more)."""
    tests = _tests(drafts, since_ms)
    shown = [d for d in _tests(drafts, 0) if d.at_ms < since_ms and d.receipts]
    for at, draft in enumerate(tests):
        before = shown[at % len(shown)]
        draft.receipts = {way: {"again": before} for way in ("downlink", "uplink")}
        draft.fake = "replay"
    return drafts


def dropped(life: Life, drafts: Drafts, since_ms: int, kind: int) -> Drafts:
    """Bad results are thrown away before they are signed: the slots stay empty. Kind 1 pulls the plug for them."""
    bad = [d for d in drafts if d.shape is records.TestRecord and d.at_ms >= since_ms and _is_bad(d)]
    kept = [d for d in drafts if d not in bad]
    for draft in bad:
        draft.fake = "dropped"
        if kind == 1:
            boot = life._boot_draft(draft.at_ms + 8 * MIN_MS, "power", 16 * MIN_MS)
            kept.append(boot)
    return [*kept, *bad]  # `sim.fleet` signs none of the dropped ones


def _is_bad(draft: Draft) -> bool:
    return draft.fields["outcome"] != "ok" or bool(draft.fields["downlink_bps"] < 12_000_000)


def clone(life: Life, drafts: Drafts, since_ms: int, kind: int) -> Drafts:
    """The card is copied and both machines go on. Kind 1: the copy has lost its spool and begins another epoch."""
    twin = Life(life.home, life.region, "2026_10", 0, 77)
    twin.end_ms, twin._boot_ms = life.end_ms, since_ms
    copies = [twin.test(d.at_ms + 20 * MIN_MS, d.fields["slot_ms"]) for d in _tests(drafts, since_ms)]
    for draft in copies:
        draft.fake = "clone"
        draft.fields["branch"] = 1 + kind
    for draft in drafts:
        if draft.at_ms >= since_ms + 2 * HOUR_MS:
            draft.fake = "clone"
    return [*drafts, *copies]


def stuffing(life: Life, drafts: Drafts, since_ms: int, kind: int) -> Drafts:
    """More samples than slots: again in the same slot; good hours labelled as other slots; or a finer grid."""
    more: Drafts = []
    for draft in _tests(drafts, since_ms)[::2]:
        for step in range(1, 4):
            slot_ms = draft.fields["slot_ms"]
            extra = life.test(draft.at_ms + step * 6 * MIN_MS, slot_ms)
            if kind == 1:
                extra.fields["slot_ms"] = slot_ms + (step + 1) * life.slot_length_ms
            elif kind == 2:
                extra.fields |= {"slot_ms": slot_ms + step * 20 * MIN_MS, "slot_length_ms": 20 * MIN_MS}
            extra.fake = "stuffing"
            more.append(extra)
    return [*drafts, *more]


def speed(_life: Life, drafts: Drafts, since_ms: int, _kind: int) -> Drafts:
    """Rates are multiplied, and bytes and counters with them, so that the record agrees with itself."""
    dice = random.Random(since_ms)  # noqa: S311 (a simulation)
    for draft in _tests(drafts, since_ms):
        times = dice.uniform(2.5, 6.0) if draft.receipts else max(4.0, 170e6 / draft.fields["downlink_bps"])
        for name in ("downlink_bps", "uplink_bps", "downlink_bytes", "uplink_bytes"):
            draft.fields[name] = int(draft.fields[name] * times)
        path = draft.fields["path"]
        draft.fields["path"] = _set(path, rx_bytes=int(path.rx_bytes * times), tx_bytes=int(path.tx_bytes * times))
        draft.fake = "speed"
    return drafts


def wifi(_life: Life, drafts: Drafts, since_ms: int, _kind: int) -> Drafts:
    """The hall's fibre instead of 4G: quick and steady, from a fixed line; the link's name is forged."""
    dice = random.Random(since_ms + 1)  # noqa: S311 (a simulation)
    for draft in _tests(drafts, since_ms):
        rtt_us = dice.randrange(2_200, 9_000)
        rate = int(dice.uniform(60e6, 95e6))
        draft.fields |= {"rtt_us_min": rtt_us, "rtt_us_median": rtt_us + 1_500, "downlink_bps": rate}
        draft.fields["downlink_bytes"] = rate * draft.fields["downlink_us"] // 8_000_000
        path = draft.fields["path"]
        draft.fields["path"] = _set(path, rx_bytes=draft.fields["downlink_bytes"] * 3 // 2)
        for way, receipt in draft.receipts.items():
            held = draft.fields[f"{way}_bytes"]
            receipt |= {"source": fixed_source(dice), "rtt_us_min": rtt_us, "bytes": held * 6 // 5}
            receipt["rate_bps"] = receipt["bytes"] * 8_000_000 // receipt["duration_us"]
        draft.fake = "wifi"
    return drafts


def tunnel(life: Life, drafts: Drafts, since_ms: int, _kind: int) -> Drafts:
    """The station was carried to where the network is good, 40 to 100 km away; position and site stay as they were."""
    dice = random.Random(f"{since_ms}/{life.home.probe}")  # noqa: S311 (a simulation)
    cells = life.region.heard(_good_spot(life.region, life.home, dice), life.home.plmn)
    there = {id(d): life._done(d.fields["t_ms"], dict(d.fields), cells) for d in _tests(drafts, since_ms)}
    for draft in there.values():
        draft.fake = "tunnel"
    return [there.get(id(draft), draft) for draft in drafts]


def _good_spot(region: Region, home: Home, dice: random.Random) -> Spot:
    spots = [beside(home.spot, dice.uniform(40_000, 100_000), dice) for _ in range(12)]
    return max(spots, key=lambda spot: region.heard(spot, home.plmn)[0].rsrp_dbm)


def gps(_life: Life, drafts: Drafts, since_ms: int, kind: int) -> Drafts:
    """A receiver that is played: the same digits for ever, a place 900 m off, or a time 30 s off."""
    tests = _tests(drafts, since_ms)
    frozen = tests[0].fields["position"]
    for draft in tests:
        if kind == 0:
            draft.fields["position"] = frozen
        elif kind == 1:
            draft.fields["position"] = _set(draft.fields["position"], surveyed_offset_m=900, eph_mm=4_000)
        else:
            draft.fields |= {"t_src": "gnss", "t_ms": draft.fields["t_ms"] + 30_000}
            draft.fields["mono_ms"] += 30_000
        if kind < 2 or draft.receipts:
            draft.fake = "gps"
    return drafts


def radio(_life: Life, drafts: Drafts, since_ms: int, kind: int) -> Drafts:
    """Made-up signal: one reading for ever, a handful by turns, an earlier week again, or impossible figures."""
    dice = random.Random(since_ms + 3)  # noqa: S311 (a simulation)
    tests, before = _tests(drafts, since_ms), [d for d in _tests(drafts, 0) if d.at_ms < since_ms]
    few = [before[at].fields["radio"] for at in range(3)]
    for at, draft in enumerate(tests):
        if kind == 0:
            draft.fields["radio"] = few[0]
        elif kind == 1:
            draft.fields["radio"] = dice.choice(few[:2])
        elif kind == 2:
            draft.fields["radio"] = before[at % len(before)].fields["radio"]
        else:
            held = draft.fields["radio"].before
            draft.fields["radio"] = records.Radio(before=_set(held, pci=dice.randrange(504, 1000)))
        draft.fake = "radio"
    return drafts


def clock(_life: Life, drafts: Drafts, since_ms: int, kind: int) -> Drafts:
    """Good tests are moved into bad hours: the wall clock says so, the counter forgets to; or they are of tomorrow."""
    dice = random.Random(since_ms + 4)  # noqa: S311 (a simulation)
    for draft in _tests(drafts, since_ms):
        shift_ms = -dice.randrange(2, 9) * HOUR_MS if kind == 0 else dice.randrange(1, 6) * HOUR_MS
        draft.fields["t_ms"] += shift_ms
        draft.fake = "clock"
    return drafts


def backfilled(_life: Life, drafts: Drafts, since_ms: int, kind: int) -> Drafts:
    """The station was off for days and its month is made up afterwards: without receipts, or with older ones."""
    end_ms = since_ms + 5 * DAY_MS
    shown = [d for d in _tests(drafts, 0) if d.at_ms < since_ms and d.receipts]
    for at, draft in enumerate(d for d in drafts if since_ms <= d.at_ms < end_ms):
        if draft.shape is not records.TestRecord or draft.fields["outcome"] != "ok":
            draft.sent_ms = max(draft.sent_ms, end_ms + at * 1_000)
            continue
        old = {way: {"again": shown[at % len(shown)]} for way in ("downlink", "uplink")}
        draft.receipts = old if kind == 1 and shown else {}
        draft.sent_ms, draft.fake = end_ms + at * 1_000, "backfilled"
    return drafts


FAKES: Mapping[str, tuple[Fake, int]] = {
    "edited": (edited, 1), "replay": (replay, 1), "dropped": (dropped, 2), "clone": (clone, 2),
    "stuffing": (stuffing, 3), "speed": (speed, 2), "wifi": (wifi, 2), "tunnel": (tunnel, 1), "gps": (gps, 3),
    "radio": (radio, 4), "clock": (clock, 2), "backfilled": (backfilled, 2),
}  # fmt: skip
"""The twelve classes, each with its number of variations. Of `speed` and `wifi` the second has no receipts."""
WITHOUT_RECEIPTS = {("speed", 1), ("wifi", 1)}
