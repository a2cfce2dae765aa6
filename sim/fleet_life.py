"""One honest month of one probe: what it would sign, when, and when it would arrive.

Signal follows a slow random walk with noise, quality and rate follow the signal (correlation about 0.46, facts note 03
§6), receipts contain the ramp that the probe leaves out, the receiver wanders by metres and now and then by a hundred,
power fails for a village at once, the network for a mast at once, clocks start unset after a long cut.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sim.fleet_world import Heard, Region, Spot, source
from wire import records
from wire.slots import instant_ms, month_bounds

HOUR_MS, MIN_MS, DAY_MS = 3_600_000, 60_000, 86_400_000
SLOTS = 300
SEED = bytes(range(32))
Fields = dict[str, Any]


@dataclass(slots=True)
class Draft:
    """A record before it is signed. `at_ms`: when it was signed; `sent_ms`: when the collector gets it.

    `receipts`: by direction what the point signs. `fake`: the class of the fake that it belongs to, "" for honest.
    """

    shape: type[records.Record]
    at_ms: int
    sent_ms: int
    fields: Fields
    receipts: dict[str, Fields] = field(default_factory=dict)
    fake: str = ""


@dataclass(frozen=True, slots=True)
class Home:
    """A probe and its site. `tenths`: its modem prints tenths of a decibel, others whole ones."""

    probe: str
    village: str
    spot: Spot
    plmn: str
    engine: str = "dosong"
    tenths: bool = True
    has_sinr: bool = True

    @property
    def site(self) -> str:
        """Code of its site."""
        return f"s-{self.probe[2:]}"


@dataclass(frozen=True, slots=True)
class Weather:
    """What befalls a village in a month: hours without power, and by operator without network (UTC ms, pairs)."""

    dark: tuple[tuple[int, int], ...]
    mute: dict[str, tuple[tuple[int, int], ...]]


def weather(seed: int, village: str, begin_ms: int, end_ms: int) -> Weather:
    """Draw a village's cuts: about five of power and four of each network a month."""
    dice = random.Random(f"{seed}/{village}/weather")  # noqa: S311 (a simulation, not a secret)
    mute = {plmn: _spells(dice, begin_ms, end_ms, 4) for plmn in ("45204", "45202", "45201")}
    return Weather(_spells(dice, begin_ms, end_ms, 5), mute)


def _spells(dice: random.Random, begin_ms: int, end_ms: int, count: int) -> tuple[tuple[int, int], ...]:
    found = []
    for _ in range(round(count * (end_ms - begin_ms) / (30 * DAY_MS) + 0.5)):
        at = dice.randrange(begin_ms + DAY_MS // 2, end_ms)
        found.append((at, at + int(min(dice.lognormvariate(math.log(50 * MIN_MS), 0.9), 9 * HOUR_MS))))
    apart: list[tuple[int, int]] = []
    for begin, end in sorted(found):
        if not apart or begin > apart[-1][1] + HOUR_MS:
            apart.append((begin, end))
    return tuple(apart)


class Life:
    """Draws the drafts of one probe, in the order in which it signs them."""

    def __init__(self, home: Home, region: Region, month: str, days: int, seed: int) -> None:
        self.home, self.region = home, region
        self.begin_ms, month_end_ms = month_bounds(month)
        self.slot_length_ms = (month_end_ms - self.begin_ms) // SLOTS
        self.end_ms = min(month_end_ms, self.begin_ms + days * DAY_MS)
        self.dice = random.Random(f"{seed}/{home.probe}/life")  # noqa: S311 (a simulation, not a secret)
        self.weather = weather(seed, home.village, self.begin_ms, self.end_ms)
        self.cells = region.heard(home.spot, home.plmn)
        self.base_rtt_us = self.dice.randrange(22_000, 42_000)
        self._walk_db = 0.0
        self._boot, self._boot_ms = self._new_boot(self.begin_ms - 3 * HOUR_MS)
        self._t_src = "ntp"
        self._ppm = self.dice.uniform(-15, 15)

    def _new_boot(self, at_ms: int) -> tuple[str, int]:
        return f"{self.dice.getrandbits(128):032x}", at_ms

    def drafts(self) -> Iterator[Draft]:
        """Everything that the probe signs in the month."""
        yield self._boot_draft(self.begin_ms, "install", 0)
        dark = list(self.weather.dark)
        for at_ms, what, slot_ms in self._times():
            while dark and dark[0][1] <= at_ms:
                yield from self._after_dark(*dark.pop(0))
            if any(begin <= at_ms < end for begin, end in self.weather.dark):
                continue
            yield self.test(at_ms, slot_ms) if what == "test" else self.coverage(at_ms)

    def _times(self) -> list[tuple[int, str, int]]:
        found = []
        for slot in range(self.begin_ms, self.end_ms - self.slot_length_ms, self.slot_length_ms):
            found.append((instant_ms(SEED, self.home.probe, "m1", slot, self.slot_length_ms), "test", slot))
        hours = range(self.begin_ms + HOUR_MS, self.end_ms, HOUR_MS)
        return sorted([*found, *((at + 2_000, "coverage", 0) for at in hours)])

    def _after_dark(self, begin_ms: int, end_ms: int) -> Iterator[Draft]:
        """The program starts again, another boot; sometimes the clock is set only minutes later."""
        self._boot, self._boot_ms = self._new_boot(end_ms - 40_000)
        self._t_src = self.dice.choice(("ntp", "ntp", "gnss", "nitz"))
        undated = self.dice.random() < 0.3
        draft = self._boot_draft(end_ms, "power", end_ms - begin_ms)
        if undated:
            draft.fields |= {"t_ms": None, "clock": "unsynced", "t_src": "none", "t_err_ms": None}
        yield draft
        if undated:
            at_ms = end_ms + 3 * MIN_MS
            fields = self.head(at_ms) | {
                "event": "clock_set", "set_mono_ms": self._mono(at_ms), "set_t_ms": at_ms, "set_err_ms": 40,
            }  # fmt: skip
            yield Draft(records.EventRecord, at_ms, self.arrival(at_ms), fields)

    def _boot_draft(self, at_ms: int, reason: str, down_ms: int) -> Draft:
        fields = self.head(at_ms) | {"reason": reason, "spool": "new" if reason == "install" else "ok", "modems": 1}
        if down_ms:
            fields["downtime_ms"] = down_ms
        return Draft(records.BootRecord, at_ms, self.arrival(at_ms), fields)

    def _mono(self, at_ms: int) -> int:
        """The counter since boot, with a crystal that is some ppm off."""
        return max(0, int((at_ms - self._boot_ms) * (1 + self._ppm / 1e6)))

    def head(self, at_ms: int) -> Fields:
        """What every record begins with; the wall clock wanders a little about the truth."""
        return {
            "v": 1, "probe": self.home.probe, "boot": self._boot, "mono_ms": self._mono(at_ms), "clock": "trusted",
            "t_src": self._t_src, "t_ms": at_ms + int(self.dice.gauss(0, 12)), "t_err_ms": self.dice.randrange(2, 60),
            "fw": "1.0.0", "simulated": False, "site": self.home.site, "config_rev": 1,
        }  # fmt: skip

    def is_mute(self, at_ms: int) -> bool:
        """Whether the probe's network is out."""
        return any(begin <= at_ms < end for begin, end in self.weather.mute[self.home.plmn])

    def arrival(self, at_ms: int) -> int:
        """When a record signed at `at_ms` reaches the collector: after the outage, in seconds or minutes."""
        sent_ms = at_ms
        for begin, end in self.weather.mute[self.home.plmn]:
            if begin <= sent_ms < end:
                sent_ms = end
        return sent_ms + int(self.dice.expovariate(1 / 8_000)) + 1_000

    # --- radio ------------------------------------------------------------------------------------------------------

    def reading(self, cells: list[Heard] | None = None) -> records.Reading:
        """The serving cell now: mostly the strongest, sometimes a neighbour; rounded as the modem prints it."""
        dice, heard = self.dice, cells or self.cells
        self._walk_db = 0.93 * self._walk_db + dice.gauss(0, 0.8)
        cell = heard[min(int(dice.expovariate(1 / 0.45)), len(heard) - 1)]
        rsrp = max(-139.0, min(-45.0, cell.rsrp_dbm + self._walk_db + dice.gauss(0, 1.8)))
        load = dice.betavariate(2, 4)
        rsrq = max(-19.5, min(-3.5, -6.0 - 6.5 * load + (rsrp + 95) * 0.06 + dice.gauss(0, 0.7)))
        sinr = max(-15.0, min(29.0, 14 + (rsrp + 95) * 0.45 - 9 * load + dice.gauss(0, 2.2)))
        wide = 20_000 if cell.eci % 3 else 10_000
        return records.Reading(
            rat="LTE", registration="home", plmn=cell.plmn, tac=cell.tac, eci=cell.eci, pci=cell.pci,
            earfcn=1650 if cell.eci % 2 else 275, band=3 if cell.eci % 2 else 1, bandwidth_khz=wide,
            rsrp_dbm_x10=self._printed(rsrp), rsrq_db_x10=self._printed(rsrq),
            sinr_db_x10=self._printed(sinr) if self.home.has_sinr else None,
        )  # fmt: skip

    def _printed(self, level: float) -> int:
        return round(level * 10) if self.home.tenths else round(level) * 10

    def position(self) -> records.Position:
        """The surveyed site, confirmed by a fix that wanders; one in a hundred is off by a reflection."""
        dice = self.dice
        eph_mm = int(dice.lognormvariate(math.log(5_500), 0.35))
        off_m = int(abs(dice.gauss(0, 3.5)) + (dice.uniform(20, 160) if dice.random() < 0.01 else 0))
        return records.Position(
            source="surveyed", lat_e7=self.home.spot.lat_e7, lon_e7=self.home.spot.lon_e7, fix_mode=3,
            alt_mm=int(dice.gauss(180_000, 4_000)), eph_mm=eph_mm, sats_used=dice.randrange(6, 13),
            hdop_x100=dice.randrange(70, 190), fix_age_ms=dice.randrange(100, 1_200), surveyed_offset_m=off_m,
        )  # fmt: skip

    # --- records ----------------------------------------------------------------------------------------------------

    def test(self, at_ms: int, slot_ms: int, cells: list[Heard] | None = None) -> Draft:
        """One scheduled test, as its slot asks for it."""
        home, dice = self.home, self.dice
        late_ms = 0 if dice.random() < 0.97 else dice.randrange(1_000, 240_000)
        fields = self.head(at_ms + late_ms) | {
            "modem": "m1", "trigger": "scheduled", "referral": home.village, "plmn": home.plmn, "slot_ms": slot_ms,
            "slot_length_ms": self.slot_length_ms, "due_ms": at_ms, "attempt": 1, "position": self.position(),
        }  # fmt: skip
        at_ms += late_ms
        if self.is_mute(at_ms):
            radio = records.Radio(before=records.Reading(registration="searching"))
            fields |= {"outcome": "failed", "stage": "registration", "cause": "searching", "radio": radio}
            return Draft(records.TestRecord, at_ms + 30_000, self.arrival(at_ms + 30_000), fields)
        if dice.random() < 0.012:
            fields |= {"outcome": "failed", "stage": "connect", "cause": "server_unreachable"}
            fields["radio"] = records.Radio(before=self.reading(cells))
            return Draft(records.TestRecord, at_ms + 30_000, self.arrival(at_ms + 30_000), fields)
        return self._done(at_ms, fields, cells)

    def _done(self, at_ms: int, fields: Fields, cells: list[Heard] | None) -> Draft:
        dice, home = self.dice, self.home
        before, after = self.reading(cells), self.reading(cells)
        rtt = int(self.base_rtt_us * dice.lognormvariate(0, 0.1))
        fields |= {
            "outcome": "ok", "engine": home.engine, "server": "point.example:7480", "rtt_us_min": max(rtt, 15_000),
            "rtt_us_median": int(max(rtt, 15_000) * 1.25), "rtt_sent": 20, "rtt_received": 20 - dice.randrange(2),
            "radio": records.Radio(before=before, after=after), "duration_ms": dice.randrange(7_000, 13_000),
        }  # fmt: skip
        receipts: dict[str, Fields] = {}
        moved = {}
        address = (
            source(home.plmn, dice) if dice.random() < 0.97 else f"{source(home.plmn, dice)},{source(home.plmn, dice)}"
        )
        signed_ms = at_ms
        for way, share in (("downlink", 0.55), ("uplink", 0.2)):
            figures, receipt = self._way(before, share)
            fields |= {f"{way}_{name}": value for name, value in figures.items()}
            moved[way] = receipt["bytes"]
            signed_ms += receipt["duration_us"] // 1000 + 900
            receipts[way] = receipt | {
                "source": address,
                "signed_ms": signed_ms,
                "rtt_us_min": max(rtt - 1_500, 14_000),
            }
        fields["path"] = records.Path(
            verdict="ok", iface="wwan0", rx_bytes=int(moved["downlink"] * 1.05) + 30_000,
            tx_bytes=int(moved["uplink"] * 1.05) + 30_000, other_rx_bytes=0, other_tx_bytes=0, ifindex_changed=False,
        )  # fmt: skip
        fields["duration_ms"] = max(fields["duration_ms"], signed_ms - at_ms + 500)
        if home.engine != "dosong" or dice.random() < 0.02:  # the point was the limit: it signs nothing
            receipts = {}
        end_ms = at_ms + int(fields["duration_ms"])
        return Draft(records.TestRecord, end_ms, self.arrival(end_ms), fields, receipts)

    def _way(self, reading: records.Reading, share: float) -> tuple[Fields, Fields]:
        """One direction: what the probe measured after the ramp, and what the point saw of all of it."""
        dice = self.dice
        sinr_db = ((reading.sinr_db_x10 or 0) / 10) if reading.sinr_db_x10 is not None else 8.0
        most = (reading.bandwidth_khz or 10_000) * 1000 * math.log2(1 + 10 ** (sinr_db / 10)) * share
        bps = int(
            min(most * dice.betavariate(3, 3) * dice.lognormvariate(0, 0.25) + 200_000, 140e6 if share > 0.3 else 48e6)
        )
        us = dice.randrange(1_800_000, 3_400_000)
        ramp_us = dice.randrange(250_000, 1_100_000)
        held = bps * us // 8_000_000
        whole = held + int(bps * ramp_us / 8e6 * dice.uniform(0.3, 0.7))
        duration_us = us + ramp_us + dice.randrange(20_000, 120_000)
        figures = {"bps": bps, "bytes": held, "us": us, "flows": 2, "stop": "precise"}
        return figures, {"bytes": whole, "duration_us": duration_us, "rate_bps": whole * 8_000_000 // duration_us}

    def coverage(self, at_ms: int) -> Draft:
        """The hour before `at_ms`, minute by minute, as far as the program ran in it."""
        begin_ms = max(at_ms - HOUR_MS, self._boot_ms)
        letters, causes = [], []
        for step in range(max(1, (at_ms - begin_ms) // MIN_MS)):
            minute = begin_ms + step * MIN_MS
            dark = any(begin <= minute < end for begin, end in self.weather.dark)
            letter = "U" if dark else "N" if self.is_mute(minute) else "D" if self.dice.random() < 0.01 else "C"
            letters.append(letter)
            causes.append({"U": "z", "N": "s", "D": "e", "C": "."}[letter])
        means = [round(sum(self.reading().rsrp_dbm_x10 or 0 for _ in range(6)) / 6) for _ in range(6)]
        fields = self.head(begin_ms) | {
            "modem": "m1", "step_ms": MIN_MS, "states": "".join(letters), "causes": "".join(causes),
            "referral": self.home.village, "plmn": self.home.plmn, "rsrp_dbm_x10_median": tuple(means),
            "rsrp_dbm_x10_min": tuple(m - self.dice.randrange(15, 60) for m in means), "polls": (60,) * 6,
            "act": (7,) * 6,
        }  # fmt: skip
        return Draft(records.CoverageRecord, at_ms, self.arrival(at_ms), fields)
