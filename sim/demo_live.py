"""What a running demonstration tells: new samples, the loss of service that it plays, probes that stay quiet."""

from __future__ import annotations

import json
import time
import urllib.request
from collections.abc import Callable
from typing import Any

from sim import site
from sim.demo_scene import PLACES, Pace
from sim.demo_world import World
from sim.programs import tail

QUIET_S = 60.0


class Cut:
    """The scripted loss of service at the one site that is there to lose it."""

    def __init__(self, world: World, pace: Pace, say: Callable[[str], None]) -> None:
        self._world = world
        self._pace = pace
        self._say = say
        self._next = time.monotonic() + pace.cut_after_s
        self._place = next(place for place in PLACES if place.is_cut)
        self.is_cut = False

    def play(self) -> None:
        """Cut or restore if it is time."""
        if time.monotonic() < self._next:
            return
        self.is_cut = not self.is_cut
        site.control(self._world.directory, self._place.name, "service", on=not self.is_cut)
        self._next = time.monotonic() + (self._pace.cut_s if self.is_cut else self._pace.cut_every_s)
        self._say(f"  *** {self._place.name} {'loses service' if self.is_cut else 'has service again'}")


class Feed:
    """New samples as the first page shows them; `heard` are the probes that sent any since the start."""

    def __init__(self, web_url: str) -> None:
        self._url = web_url
        self._after: int | None = None
        self.heard: set[str] = set()

    def lines(self) -> list[str]:
        """Return a line for each sample since the last call."""
        try:
            after = "" if self._after is None else f"?after={self._after}"
            with urllib.request.urlopen(f"{self._url}/api/feed{after}", timeout=5) as answer:  # noqa: S310 (loopback)
                feed = json.load(answer)
        except OSError:
            return []
        is_first, self._after = self._after is None, feed["last_n"]
        if is_first:
            return []
        self.heard |= {sample["probe"] for sample in feed["samples"]}
        return [_line(sample) for sample in reversed(feed["samples"])]


def _line(sample: dict[str, Any]) -> str:
    if sample["kind"] != "test":
        return f"{sample['probe']:<16} {sample['kind']}"
    if sample.get("outcome") != "ok":
        return f"{sample['probe']:<16} test {sample.get('outcome')}: {sample.get('stage')} / {sample.get('cause')}"
    down, up = (sample.get(key) for key in ("downlink_bps", "uplink_bps"))
    rates = " ".join("-" if rate is None else f"{rate / 1e6:.1f}" for rate in (down, up))
    reasons = ", ".join(sample.get("not_counted") or ())
    verdict = "" if sample.get("counted") else f" (not counted: {reasons})" if reasons else " (not counted)"
    return f"{sample['probe']:<16} test ok: {rates} Mbit/s{verdict}"


class Quiet:
    """Tells once of each probe from which nothing has come a minute after the start, and its own last words."""

    def __init__(self, world: World, say: Callable[[str], None]) -> None:
        self._logs = world.programs.logs
        self._say = say
        self._due = time.monotonic() + QUIET_S
        self._is_told = False

    def tell(self, heard: set[str]) -> None:
        """Say it if it is time; `heard` are the probes that have sent something."""
        if self._is_told or time.monotonic() < self._due:
            return
        self._is_told = True
        for place in PLACES:
            if place.probe not in heard:
                log = self._logs / f"{place.probe}.log"
                self._say(f"  {place.probe}: nothing has come yet; it says: {tail(log, 1).strip()} (log: {log})")
