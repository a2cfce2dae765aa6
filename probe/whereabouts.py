"""What the receiver says beside tests: the time for a clock that nobody set, and whether the probe was carried off."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from probe.core import moved, tpv
from probe.core.clock import GnssTime
from probe.core.draft import Stamp
from probe.core.survey import Surveyed
from probe.devices.clock import mono_ms
from probe.devices.gps import GpsReader
from probe.recorder import Recorder
from probe.settings import Settings
from probe.settings import Surveyed as SurveyedPlace
from wire.records import EventRecord

log = logging.getLogger(__name__)
SURVEY = "survey.json"
LOOK_MS = 60_000
Place = Callable[[], tuple[int, int] | None]


class Whereabouts:
    """Watches one receiver (None: there is none). `place` is the surveyed position, None while there is none."""

    def __init__(self, gps: GpsReader | None, place: Place, recorder: Recorder, *, look_ms: int = LOOK_MS) -> None:
        self._gps, self._place, self._recorder, self._look_ms = gps, place, recorder, look_ms
        self._watch = moved.Watch()
        self._looked_ms: int | None = None

    def tend(self, stamp: Stamp) -> None:
        """Look, if it is time."""
        if self._gps is None or (self._looked_ms is not None and stamp.mono_ms - self._looked_ms < self._look_ms):
            return
        self._looked_ms = stamp.mono_ms
        offset_m = tpv.resolve(self._place(), self._gps.position()).surveyed_offset_m
        self._watch, told = moved.step(self._watch, offset_m, stamp.mono_ms)
        if told is None:
            return
        was, now = ("site", "away") if told.is_away else ("away", "site")
        log.warning("moved=%s distance_m=%d", now, told.distance_m)
        event = EventRecord(**self._recorder.head(), event="probe_moved", was=was, now=now, distance_m=told.distance_m)
        self._recorder.keep_later(event)


def gnss_time(gps: GpsReader | None) -> GnssTime | None:
    """Return the receiver's time on the clock that stamps use; None without a fresh fix."""
    told = None if gps is None else gps.time()
    if told is None:
        return None
    t_ms, at_s = told
    return GnssTime(t_ms, mono_ms() - round((time.monotonic() - at_s) * 1000))


def located(settings: Settings) -> Settings:
    """Return the settings with the position of the last survey, if they name none themselves."""
    found = None if settings.position is not None else read_survey(settings.path(settings.state_dir))
    if found is None:
        return settings
    return msgspec.structs.replace(settings, position=SurveyedPlace(lat_e7=found.lat_e7, lon_e7=found.lon_e7))


def write_survey(state_dir: Path, found: Surveyed) -> None:
    """Keep a survey beside the spool, where the daemon finds it at its next start."""
    beside = state_dir / f".{SURVEY}.new"
    beside.write_bytes(msgspec.json.format(msgspec.json.encode(found)) + b"\n")
    beside.replace(state_dir / SURVEY)


def read_survey(state_dir: Path) -> Surveyed | None:
    """Read the last survey; None if there was none, or the file cannot be read."""
    try:
        return msgspec.json.decode((state_dir / SURVEY).read_bytes(), type=Surveyed)
    except (OSError, msgspec.DecodeError):
        return None
