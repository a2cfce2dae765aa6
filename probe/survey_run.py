"""`dosong-probe survey`: five minutes of fixes become the site's position, kept beside the spool."""

from __future__ import annotations

import json
import sys
import time
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from probe.core import survey
from probe.core.tpv import Fix
from probe.devices.clock import mono_ms
from probe.devices.gps import GpsReader
from probe.settings import Settings
from probe.whereabouts import write_survey
from wire.errors import EXIT_FAILED, EXIT_OK, Misconfigured

LOOK_S = 1.0
TELL_S = 10.0


def run(settings: Settings, *, wait_s: float, as_json: bool) -> int:
    """Collect until there is enough; print the position. 1 if there is not enough within `wait_s`.

    Raises Misconfigured without `[gps]`. A running daemon takes the position up at its next start.
    """
    if settings.gps is None:
        raise Misconfigured("[gps] is missing in the settings; add it, with the host and port of gpsd")
    state_dir = settings.path(settings.state_dir)
    with closing(GpsReader(settings.gps.host, settings.gps.port)) as reader:
        found = _collect(reader, wait_s)
    if found is None:
        sys.stderr.write(
            "dosong-probe: too few good fixes; put the antenna under the open sky, see `cgps`, and try again\n"
        )
        return EXIT_FAILED
    _keep(state_dir, found)
    print(json.dumps(asdict(found)) if as_json else _text(found, state_dir))
    return EXIT_OK


def _keep(state_dir: Path, found: survey.Surveyed) -> None:
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        write_survey(state_dir, found)
    except OSError as error:
        raise Misconfigured(f"cannot write into state_dir {state_dir} ({error.strerror}); run it as root") from error


def _collect(reader: GpsReader, wait_s: float) -> survey.Surveyed | None:
    """Collect fixes, telling how far it is every ten seconds. None if it took too long."""
    state = survey.Survey()
    deadline_s, told_s = time.monotonic() + wait_s, 0.0
    while time.monotonic() < deadline_s:
        fix = reader.position()
        state = survey.after(state, fix, mono_ms())
        if (found := survey.result(state)) is not None:
            return found
        if time.monotonic() - told_s >= TELL_S:
            told_s = time.monotonic()
            sys.stderr.write(f"{_progress(state, fix)}\n")
        time.sleep(LOOK_S)
    return None


def _progress(state: survey.Survey, fix: Fix | None) -> str:
    if fix is None:
        return "no fix yet: the receiver needs the open sky, minutes after a cold start"
    word = survey.why_not(fix)
    told = f"{survey.share(state) * 100:3.0f} %  fixes {len(state.fixes)}, left out {state.refused}"
    return f"{told}, satellites {fix.sats_used}" + (f" (this one is left out: {word})" if word else "")


def _text(found: survey.Surveyed, state_dir: Path) -> str:
    return (
        f"position {found.lat_e7 / 1e7:.6f}, {found.lon_e7 / 1e7:.6f}  within {found.radius_mm / 1000:.0f} m"
        f"  ({found.fixes} fixes, {found.cut} cut, {found.window_ms / 60_000:.0f} min)\n"
        f"kept in {state_dir}; for the registry and [position]:\n"
        f"lat_e7 = {found.lat_e7}\nlon_e7 = {found.lon_e7}"
    )
