"""Joins the diagnosis of a modem's link from the settings, for `compose` only."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import replace

from msgspec import structs

from probe.core.budget import VIETNAM
from probe.core.findings import LookRequest, Plan, explained, is_open
from probe.devices.link_check import LinkCheck
from probe.devices.throughput import EngineResult
from probe.diagnosis import Diagnosis, Watched
from probe.recorder import Recorder
from probe.settings import Engine, Settings
from probe.settings_modem import Modem
from wire.failure import Cause, Stage

SHORT_S = 5
"""Each direction of a test that a person asked for takes at most this long, whatever the schedule's tests take."""
BROKER_LOST_MS = 120_000
"""A broker that is out of reach for less is a reconnection."""


def diagnosis(
    settings: Settings,
    modem: Modem,
    recorder: Recorder,
    *,
    engine: Callable[[], Engine],
    interface: Callable[[], str],
    used_bytes: Callable[[], int],
    is_free: Callable[[], bool],
    broker_lost_ms: Callable[[], int],
    saved: str | None,
) -> Diagnosis:
    """The diagnosis of one modem's link. The broker's loss is looked into by the modem that records leave by.

    `engine`: what measures now; `interface`: the modem's link now; `used_bytes`: of the SIM's data in this period;
    `is_free`: False while a test runs; `broker_lost_ms`: how long there has been no session; `saved`: the rates of
    earlier tests, None if there are none.
    """
    has_broker = modem.id == broker_modem(settings)
    watched = Watched(
        plan=lambda: plan(modem, recorder.stamp().t_ms, used_bytes()),
        is_free=is_free,
        is_broker_lost=lambda: has_broker and broker_lost_ms() >= BROKER_LOST_MS,
        throttle_bps=modem.plan.throttle_bps,
    )
    if not settings.reachability.looks:
        return Diagnosis(modem.id, None, watched, recorder, saved)
    own, second = (LinkCheck(lambda: look_request(settings, engine(), interface())) for _ in range(2))
    return Diagnosis(modem.id, own, watched, recorder, saved, second)


def told(diagnosis: Diagnosis, run: Callable[[], EngineResult]) -> EngineResult:
    """Run a test, and let the link's diagnosis know how it went; what it knows of the link explains a failure.

    A rate that a throttled plan left is kept, and is no sample of the network: such a test is partial.
    """
    result = run()
    if diagnosis.on_test(result.downlink_bps, result.cause) and result.outcome == "ok":
        return replace(result, outcome="partial", stage=Stage.DOWNLINK, cause=Cause.PLAN_THROTTLED)
    if result.outcome != "failed" or not is_open(result.cause):
        return result
    return replace(result, cause=explained(result.cause, diagnosis.look_now() or diagnosis.cause))


def look_request(settings: Settings, engine: Engine, interface: str) -> LookRequest:
    """The look at one modem's link."""
    broker = settings.broker
    files = [broker.ca_file, broker.cert_file, broker.tls_key_file] if broker else ["", "", ""]
    ca_file, cert_file, key_file = (str(settings.path(name)) for name in files)
    return LookRequest(
        interface=interface,
        echo=engine.echo_address if settings.coverage.degraded_echo else None,
        web=engine.server_address if engine.portal_check else None,
        dns=engine.dns,
        others=settings.reachability.addresses,
        broker=(broker.host, broker.port) if broker else None,
        broker_files=(ca_file, cert_file, key_file),
    )


def shortened(engine: Engine) -> Engine:
    """The same engine in its saving form, for a test that a person asked for."""
    seconds = {"downlink_s": min(SHORT_S, engine.downlink_s), "uplink_s": min(SHORT_S, engine.uplink_s)}
    return structs.replace(engine, saver=True, **seconds)


def plan(modem: Modem, now_ms: int | None, used_bytes: int | None) -> Plan:
    """What is known of a SIM's plan at `now_ms` (None: the clock is not trusted)."""
    ends_ms = None
    if modem.plan.ends is not None:
        next_day = modem.plan.ends + datetime.timedelta(days=1)
        ends_ms = round(datetime.datetime.combine(next_day, datetime.time(), VIETNAM).timestamp() * 1000)
    return Plan(now_ms, ends_ms, modem.plan.limit_bytes, used_bytes)


def broker_modem(settings: Settings) -> str:
    """Which modem's link records leave by: the one that the broker's interface names, else the first."""
    broker = settings.broker
    names = {broker.interface, *broker.ways} - {None} if broker else set()
    return next((modem.id for modem in settings.modem if modem.interface in names), settings.modem[0].id)
