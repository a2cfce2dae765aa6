"""What a look at a modem's link needs, drawn from the settings."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path

from probe.core.budget import VIETNAM
from probe.core.findings import LookRequest, Plan
from probe.settings import Modem, Settings


def look_request(settings: Settings, modem: Modem, path: Callable[[str], Path]) -> LookRequest:
    """The look at one modem's link; `path` finds the settings' files."""
    engine, broker = settings.engine, settings.broker
    files = (broker.ca_file, broker.cert_file, broker.tls_key_file) if broker else ()
    ca_file, cert_file, key_file = (str(path(name)) for name in files) if files else ("", "", "")
    return LookRequest(
        interface=modem.interface,
        echo=engine.echo_address if settings.coverage.degraded_echo else None,
        web=engine.server_address if engine.portal_check else None,
        dns=engine.dns,
        others=settings.reachability.addresses,
        broker=(broker.host, broker.port) if broker else None,
        broker_files=(ca_file, cert_file, key_file),
    )


def plan(modem: Modem, now_ms: int | None, used_bytes: int | None) -> Plan:
    """What is known of a SIM's plan at `now_ms` (None: the clock is not trusted)."""
    ends_ms = None
    if modem.plan.ends is not None:
        next_day = modem.plan.ends + datetime.timedelta(days=1)
        ends_ms = round(datetime.datetime.combine(next_day, datetime.time(), VIETNAM).timestamp() * 1000)
    return Plan(now_ms, ends_ms, modem.plan.limit_bytes, used_bytes)


def broker_modem(settings: Settings) -> str:
    """Which modem's link records leave by: the one that the broker's interface names, else the first."""
    interface = settings.broker.interface if settings.broker else None
    return next((modem.id for modem in settings.modem if modem.interface == interface), settings.modem[0].id)
