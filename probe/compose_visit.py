"""Joins the parts of a visit from a probe's own, for `__main__` and `probe.doctor` only."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from probe import beacon, compose
from probe.control import Control
from probe.core import tpv
from probe.core.doctor import Verdict
from probe.core.doctor_facts import BrokerFacts, GpsFacts
from probe.daemon import Daemon
from probe.devices import host
from probe.devices.gps import GpsReader
from probe.devices.link_walk import Way
from probe.page.door import Door
from probe.page.session import read_key
from probe.publish import Publisher
from probe.settings import Settings
from probe.settings_modem import Modem
from probe.visit import Visit, Watched
from wire.errors import Unavailable
from wire.records import Host

DOCTOR_S = 60.0
"""A check that was asked for from afar is told after so long, settled or not."""


@contextmanager
def serving(
    probe: compose.Probe, daemon: Daemon, publisher: Publisher | None, *, has_page: bool = False
) -> Iterator[None]:
    """Answer at the control socket, and at the page's door if there is one, while the block runs.

    Raises Unavailable if the socket cannot be made, Misconfigured if the page's key is none.
    """
    settings = probe.settings
    desk = Visit(
        probe=settings.probe,
        site=settings.site,
        modems={modem.id: _watched(probe, modem) for modem in settings.modem},
        spool=probe.spool,
        asked=daemon.asked,
        stamp=probe.stamp,
        host=partial(_host, settings),
        gps=partial(_gps, settings, probe.gps),
        broker=partial(_broker, settings, publisher),
        hasten=publisher.hasten if publisher else lambda _seconds: None,
    )
    control = Control(settings.path(settings.state_dir), desk)
    door = None
    if has_page and settings.page is not None:
        read_key(settings.path(settings.page.key_file))  # raises Misconfigured now rather than at the first knock
        door = Door(settings, settings.page, lambda: [probe.interface(modem) for modem in settings.modem])
        door.start()
    control.start()
    probe.actions["doctor"] = partial(_doctor, settings, desk)
    if door is not None:
        probe.actions["open_door"] = partial(_open_door, settings)
    try:
        yield
    finally:
        if door is not None:
            door.close()
        control.close()


def _doctor(settings: Settings, desk: Visit) -> str:
    """The check of `dosong-probe doctor` without a test, asked for from afar; returns how many are red, and which."""
    from probe.examination import Examination  # noqa: PLC0415 (its walks are no part of an idle daemon)

    examination = Examination(lambda request: desk.look(near=request.near), way_of(settings), wants_test=False)
    until_s = time.monotonic() + DOCTOR_S
    try:
        while not (seen := examination.look()).is_settled and time.monotonic() < until_s:
            time.sleep(1.0)
    finally:
        examination.close()
    green = sum(found.verdict is Verdict.OK for found in seen.findings)
    red = [found.check for found in seen.findings if found.verdict is Verdict.BAD]
    still = [found.check for found in seen.findings if found.verdict is Verdict.WAIT]
    said = [f"{green} of {len(seen.findings)} green", *(f"red: {', '.join(red)}" for _ in red[:1])]
    return "; ".join([*said, *(f"open: {', '.join(still)}" for _ in still[:1])])


def _open_door(settings: Settings) -> str:
    """The page listens as long as the daemon runs: say where."""
    page = settings.page
    return "no page is configured" if page is None else f"the page listens on {page.address}:{page.port}"


def _watched(probe: compose.Probe, modem: Modem) -> Watched:
    diagnosis = probe.diagnoses[modem.id]
    return Watched(probe.stations[modem.id].owner, modem.plmn, lambda: probe.interface(modem), lambda: diagnosis.cause)


def way_of(settings: Settings) -> Way:
    """What each modem's link must reach for its tests to run."""
    engine = settings.engine
    name, port = engine.server_address
    return Way("", name, port, engine.dns, engine.portal_check)


def _host(settings: Settings) -> Host | None:
    try:
        return host.read(settings.path(settings.state_dir), 0)
    except (OSError, Unavailable):
        return None


def _gps(settings: Settings, reader: GpsReader | None) -> GpsFacts:
    surveyed = settings.position
    place = None if surveyed is None else (surveyed.lat_e7, surveyed.lon_e7)
    located = tpv.resolve(place, reader.position() if reader else None)
    return GpsFacts(
        is_configured=reader is not None,
        is_heard=reader is not None and reader.is_heard,
        is_surveyed=surveyed is not None,
        fix_mode=located.fix.fix_mode if located.fix else None,
        sats_used=located.fix.sats_used if located.fix else None,
        offset_m=located.surveyed_offset_m,
    )


def _broker(settings: Settings, publisher: Publisher | None) -> BrokerFacts:
    if publisher is None:
        return BrokerFacts()
    is_connected = publisher.lost_ms() == 0
    log = beacon.standing(settings.path(settings.state_dir), settings.log_vkey)
    return BrokerFacts(
        is_configured=True,
        is_connected=is_connected,
        trouble=None if is_connected else publisher.trouble,
        log=log.word,
        log_size=log.size,
        log_folder=log.folder,
    )
