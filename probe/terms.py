"""What holds for each modem now: the settings file, and over it what a signed configuration says.

Keys, broker, devices, links and cadences are the settings file's alone. A modem that the configuration does not name
keeps the settings file's plan.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

import msgspec

from probe import engines
from probe.core import orders, wallet
from probe.core.engine_terms import EngineRequest
from probe.core.schedule import Plan
from probe.settings import Engine, Settings, Surveyed
from probe.settings_modem import Modem
from wire.notes import Config

SPEEDTEST_ECHOES, DOSONG_ECHOES = 20, 40
FULL_CAP_MS, SAVER_CAP_MS = 5_000, 3_000
FULL_GOAL_PPM, SAVER_GOAL_PPM = 20_000, 50_000


@dataclass(frozen=True, slots=True)
class ModemTerms:
    """The terms of one modem. `limit_bytes` None: no budget; `test_limit_bytes` None: what the engine's limits allow.

    `referral`, `plmn` and `place` (surveyed latitude and longitude, degrees * 10^7) None: not known.
    """

    plan: Plan
    engine: Engine
    referral: str | None
    plmn: str | None
    place: tuple[int, int] | None
    limit_bytes: int | None
    billing_day: int
    test_limit_bytes: int | None


def overlaid(settings: Settings, config: Config | None) -> Settings:
    """Return the settings with what a configuration says of the whole probe: site, code, position, server."""
    if config is None:
        return settings
    position = settings.position
    if config.lat_e7 is not None and config.lon_e7 is not None:
        position = Surveyed(lat_e7=config.lat_e7, lon_e7=config.lon_e7)
    return msgspec.structs.replace(
        settings,
        site=config.site,
        referral=config.referral,
        position=position,
        engine=_with_server(settings.engine, config.server),
    )


def of_modem(settings: Settings, config: Config | None, modem: Modem) -> ModemTerms:
    """Return one modem's terms; `settings` are already overlaid."""
    plan = config.modems.get(modem.id) if config is not None else None
    engine, budget, place = settings.engine, settings.budget, settings.position
    if plan is not None and plan.engine is not None:
        engine = msgspec.structs.replace(engine, name=plan.engine)
    limit_bytes = budget.limit_bytes if budget is not None else None
    billing_day = budget.billing_day if budget is not None else 1
    return ModemTerms(
        plan=Plan(
            settings.probe,
            modem.id,
            bytes.fromhex(settings.schedule.seed),
            settings.schedule.slot_s * 1000,
            engine.time_limit_s * 1000 * (2 if engine.compare else 1),
            settings.schedule.catch_up,
            orders.months(config, plan) if config is not None and plan is not None else (),
        ),
        engine=engine,
        referral=settings.referral,
        plmn=plan.plmn if plan is not None and plan.plmn is not None else modem.plmn,
        place=None if place is None else (place.lat_e7, place.lon_e7),
        limit_bytes=plan.limit_bytes if plan is not None and plan.limit_bytes is not None else limit_bytes,
        billing_day=plan.billing_day if plan is not None and plan.billing_day is not None else billing_day,
        test_limit_bytes=plan.test_limit_bytes if plan is not None else None,
    )


def compared(engine: Engine) -> str | None:
    """Return the engine that runs beside the configured one; None unless engines are compared."""
    return engines.other(engine.name) if engine.compare else None


def request(engine: Engine, interface: str) -> EngineRequest:
    """Return the engine's request for tests over `interface`."""
    address, port = engine.server_address
    return EngineRequest(
        interface=interface,
        server_host=address,
        server_port=port,
        server_id=f"{address}:{port}",
        udp_port=engine.echo_address[1] if engine.echo_address else None,
        dns_servers=engine.dns,
        portal_check=engine.portal_check,
        downlink_s=engine.downlink_s,
        uplink_s=engine.uplink_s,
        max_downlink_bytes=engine.max_downlink_bytes,
        max_uplink_bytes=engine.max_uplink_bytes,
        time_limit_s=engine.time_limit_s,
        echo_count=DOSONG_ECHOES if engine.name == "dosong" else SPEEDTEST_ECHOES,
        cap_ms=SAVER_CAP_MS if engine.saver else FULL_CAP_MS,
        error_goal_ppm=SAVER_GOAL_PPM if engine.saver else FULL_GOAL_PPM,
        busy_wait_s=engine.busy_wait_s,
        quiet_wait_s=engine.quiet_wait_s,
    )


def wallet_terms(terms: ModemTerms, interface: str, ends_ms: int | None) -> wallet.Terms:
    """Return what the SIM's purse must know. `ends_ms`: when the SIM's plan ends, None if that is not known."""
    return wallet.Terms(
        limit_bytes=terms.limit_bytes,
        billing_day=terms.billing_day,
        test_limit_bytes=terms.test_limit_bytes,
        engine=terms.engine.name,
        request=request(terms.engine, interface),
        plan=terms.plan,
        runs=2 if terms.engine.compare else 1,
        ends_ms=ends_ms,
    )


def _with_server(engine: Engine, server: str | None) -> Engine:
    """Measure against another server. Its echo is asked there too, if it is an address: a point has one port number."""
    if server is None:
        return engine
    host, port = orders.server_address(server)
    shown = f"[{host}]" if ":" in host else host
    url = server if "://" in server else f"http://{shown}:{port}"
    echo = f"{shown}:{port}" if engine.echo is not None and _is_address(host) else engine.echo
    return msgspec.structs.replace(engine, server=url, echo=echo)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
