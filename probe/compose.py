"""Joins the parts of a probe from its settings, for `__main__` only: nothing else imports this module.

Raises Misconfigured for what a person must mend, Unavailable for a disk that cannot be written.
"""

from __future__ import annotations

import fcntl
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from probe import backends, boot, build, calibrate, engines
from probe.broker import Access
from probe.core import chain, clock, tpv
from probe.core.coverage import EchoSeen
from probe.core.draft import Identity, Stamp
from probe.core.orders import Action
from probe.coverage import CoverageKeeper, Terms
from probe.daemon import Daemon, Station
from probe.devices import clock as kernel_clock
from probe.devices import host, links
from probe.devices.gps import GpsReader
from probe.devices.modem import ModemGone, ModemMute
from probe.devices.reach import reach
from probe.devices.throughput import EngineRequest
from probe.measure import Bench, Order
from probe.owner import Observed, Owner
from probe.publish import Publisher
from probe.purse import Purse
from probe.recorder import Recorder
from probe.settings import Engine, Modem, Settings
from probe.spool import Spool
from probe.steering import Ground, Steering
from probe.terms import ModemTerms, compared, of_modem, overlaid
from wire import notes
from wire.codec import probe_key_name
from wire.errors import Misconfigured, Unavailable
from wire.failure import Cause
from wire.keyfile import read_signer, read_verifier
from wire.records import Host

log = logging.getLogger(__name__)
FAST_POLL_S = 2.0
ECHO_TIMEOUT_S = 2.0
RESTART_TIMEOUT_S = 90.0
SPEEDTEST_ECHOES, DOSONG_ECHOES = 20, 40
FULL_CAP_MS, SAVER_CAP_MS, DOSONG_HARD_S = 5_000, 3_000, 8
FULL_GOAL_PPM, SAVER_GOAL_PPM = 20_000, 50_000
_OVERHEAD_BYTES = 200_000
"""Allowed beside a test's payload: headers, requests, echoes."""


class _Clocks:
    """The publisher's clocks."""

    def mono_ms(self) -> int:
        """Milliseconds since boot."""
        return kernel_clock.mono_ms()

    def wall_ms(self) -> int:
        """UTC in milliseconds, right or wrong."""
        return time.time_ns() // 1_000_000


class Probe:
    """All parts of one probe, joined. Close it by leaving `opened`."""

    def __init__(self, settings: Settings, stack: ExitStack, *, has_coverage: bool) -> None:
        self.settings = settings
        self._has_coverage = has_coverage
        self.stop = threading.Event()
        signer = read_signer(settings.path(settings.key_file))
        name = probe_key_name(settings.origin, settings.probe)
        if signer.name != name:
            raise Misconfigured(f"{settings.path(settings.key_file)} is the key of {signer.name}; put that of {name}")
        state_dir = settings.path(settings.state_dir)
        stack.enter_context(only_one(state_dir))
        self.spool = Spool(state_dir, settings.spool.limit_bytes)
        stack.callback(self.spool.close)
        identity = Identity(settings.probe, build.firmware(), settings.simulated, settings.site)
        self._boot_id = kernel_clock.boot_id()
        self.recorder = Recorder(self.spool, signer, settings.origin, identity, self.stamp)
        self._gps = _gps(settings, stack)
        self._terms: dict[str, ModemTerms] = {}
        self._parts: dict[str, tuple[Owner, Purse, CoverageKeeper]] = {}
        self._actions: dict[Action, Callable[[], str | None]] = {}
        self.stations: dict[str, Station] = {}
        self.steering = Steering(_ground(settings), self.recorder, self.spool, self._enforce, self._actions)
        self._enforce(None)
        self.steering.restore()

    def stamp(self) -> Stamp:
        """Read the clocks and judge them."""
        return clock.judge(kernel_clock.read(self._boot_id), self.settings.clock.trust, build.BUILD_MS)

    def daemon(self) -> tuple[Daemon, Publisher | None]:
        """Return the loop, and the publisher (None without `[broker]`)."""
        daemon = Daemon(self.recorder, self.spool, self.stations, self.stop, read_clock=self.stamp, steer=self._steered)
        self._actions |= {"test": daemon.ask_tests, "modem_restart": self._restart_modems}
        return daemon, _publisher(self, daemon) if self.settings.broker else None

    def _steered(self, stamp: Stamp) -> dict[str, Station] | None:
        """Take up what came by a signed configuration; the new stations if it changed them."""
        return self.stations if self.steering.turn(stamp) else None

    def _enforce(self, config: notes.Config | None) -> None:
        """Have every part obey a configuration (None: the settings file alone). Threads and devices stay."""
        settings = overlaid(self.settings, config)
        self.recorder.become(site=settings.site, config_rev=None if config is None else config.rev)
        for modem in settings.modem:
            terms = self._terms[modem.id] = of_modem(settings, config, modem)
            if modem.id not in self._parts:
                self._parts[modem.id] = self._parts_of(modem, terms)
            owner, purse, keeper = self._parts[modem.id]
            purse.retell(terms.limit_bytes, terms.billing_day, _test_limit(terms))
            keeper.retell(terms.plmn, terms.referral)
            self.stations[modem.id] = self._station(modem, terms, owner, purse)

    def _restart_modems(self) -> str:
        for owner, _, _ in self._parts.values():
            owner.restart(RESTART_TIMEOUT_S)
        return f"restarted {', '.join(self._parts)}"

    def _station(self, modem: Modem, terms: ModemTerms, owner: Owner, purse: Purse) -> Station:
        other = compared(terms.engine)
        return Station(
            owner=owner,
            bench=self._bench(modem, owner, terms.engine.name),
            compared=None if other is None else self._bench(modem, owner, other),
            plan=terms.plan,
            order=Order(modem.id, modem.interface, "scheduled", terms.plmn, terms.referral),
            admit=purse.admit,
            settle=purse.update,
        )

    def _parts_of(self, modem: Modem, terms: ModemTerms) -> tuple[Owner, Purse, CoverageKeeper]:
        """Make what lives as long as the program: the modem's owner, its SIM's purse, its coverage."""
        owner: Owner
        purse = self._purse(modem, terms)
        keeper = CoverageKeeper(
            self._coverage_terms(modem),
            self.recorder,
            echo=lambda: None if owner.is_watched() else _echo(self.settings, self._terms[modem.id].engine, modem),
            link_bytes=partial(links.read_bytes, modem.interface),
            saved=self.spool.mark(f"coverage {modem.id}"),
        )
        owner = Owner(
            modem.id,
            backends.make(modem, self.settings),
            poll_s=self.settings.coverage.poll_s,
            fast_s=FAST_POLL_S,
            fault_cause=fault_cause,
            mono_ms=kernel_clock.mono_ms,
            on_poll=partial(_on_poll, keeper, purse) if self._has_coverage else lambda _observed: None,
        )
        return owner, purse, keeper

    def _coverage_terms(self, modem: Modem) -> Terms:
        settings, coverage = self.settings, self.settings.coverage
        return Terms(
            probe=settings.probe,
            modem=modem.id,
            step_ms=coverage.step_s * 1000,
            steps=coverage.steps,
            poll_ms=coverage.poll_s * 1000,
            plmn=modem.plmn,
            referral=settings.referral,
        )

    def _bench(self, modem: Modem, owner: Owner, name: str) -> Bench:
        place = self._terms[modem.id].place
        state_dir = self.settings.path(self.settings.state_dir)
        return Bench(
            watch=owner,
            engine=lambda: engines.ENGINES[name].run(self._request(modem)),
            counters=links.read,
            position=lambda: tpv.resolve(place, self._gps.position() if self._gps else None),
            host=partial(_host, state_dir, self.spool),
            mono_ms=kernel_clock.mono_ms,
        )

    def _request(self, modem: Modem) -> EngineRequest:
        """The next test's request: with the epoch that its record will have, and this host's ceiling."""
        marks = (calibrate.link_mark(modem.id), calibrate.MARK)
        ceiling = next((found for mark in marks if (found := calibrate.read(self.spool.mark(mark)))), None)
        return replace(
            request(self._terms[modem.id].engine, modem.interface),
            probe=self.settings.probe,
            epoch=int(self.spool.mark("epoch") or 1),
            ceiling_downlink_bps=ceiling.downlink_bps if ceiling else None,
            ceiling_uplink_bps=ceiling.uplink_bps if ceiling else None,
        )

    def _purse(self, modem: Modem, terms: ModemTerms) -> Purse:
        return Purse(
            modem.id,
            self.recorder,
            limit_bytes=terms.limit_bytes,
            billing_day=terms.billing_day,
            test_limit_bytes=_test_limit(terms),
            link_bytes=partial(links.read_bytes, modem.interface),
            saved=self.spool.mark(f"budget {modem.id}"),
        )


def _test_limit(terms: ModemTerms) -> int:
    """The most that one slot may move: what is configured, or what the engine's limits allow, the lower one."""
    most = test_limit_bytes(terms.engine)
    return most if terms.test_limit_bytes is None else min(most, terms.test_limit_bytes)


def _ground(settings: Settings) -> Ground:
    vkey = settings.config_vkey
    return Ground(
        settings.probe,
        settings.origin,
        None if vkey is None else read_verifier(vkey, "config_vkey"),
        tuple(modem.id for modem in settings.modem),
        bool(settings.engine.dns),
        build.BUILD_MS,
    )


def _host(state_dir: Path, spool: Spool, cpu_ppm: int | None) -> Host | None:
    """Read the host; None if its disk does not answer, which must not cost a test its figures."""
    try:
        return host.read(state_dir, spool.depth().waiting, cpu_ppm)
    except (OSError, Unavailable):
        return None


def _on_poll(keeper: CoverageKeeper, purse: Purse, observed: Observed) -> None:
    keeper.on_poll(observed)
    if observed.number % 6 == 0:
        purse.update()


def fault_cause(error: Unavailable) -> Cause:
    """Say why a modem did not answer."""
    if isinstance(error, ModemGone):
        return Cause.NO_MODEM
    return Cause.MODEM_MUTE if isinstance(error, ModemMute) else Cause.MODEM_ERROR


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


def test_limit_bytes(engine: Engine) -> int:
    """Return the most that one slot may move; without byte limits, what 300 Mbit/s would move in its seconds."""
    fastest = 300_000_000 // 8
    names = {engine.name} | ({engines.other(engine.name)} if engine.compare else set())
    total = 0
    for name in names:
        longest_s = DOSONG_HARD_S if name == "dosong" else engine.downlink_s + engine.uplink_s
        down = engine.max_downlink_bytes or min(engine.downlink_s, longest_s) * fastest
        up = engine.max_uplink_bytes or min(engine.uplink_s, longest_s) * fastest
        total += down + up + _OVERHEAD_BYTES
    return total


def _echo(settings: Settings, engine: Engine, modem: Modem) -> EchoSeen | None:
    address = engine.echo_address
    if address is None or not settings.coverage.degraded_echo:
        return None
    return reach(*address, modem.interface, min(ECHO_TIMEOUT_S, settings.coverage.step_s / 2))


def _gps(settings: Settings, stack: ExitStack) -> GpsReader | None:
    if settings.gps is None:
        return None
    reader = GpsReader(settings.gps.host, settings.gps.port)
    stack.callback(reader.close)
    return reader


def _publisher(probe: Probe, daemon: Daemon) -> Publisher:
    settings = probe.settings
    broker = settings.broker
    if broker is None:
        raise Misconfigured("[broker] is missing in the settings; add it")
    access = Access(
        host=broker.host,
        port=broker.port,
        client_id=settings.probe,
        keepalive_s=broker.keepalive_s,
        interface=broker.interface,
        ca_file=settings.path(broker.ca_file),
        cert_file=settings.path(broker.cert_file),
        key_file=settings.path(broker.tls_key_file),
    )
    return Publisher(
        access,
        probe.spool,
        origin=settings.origin,
        ack_verifier=read_verifier(settings.ack_vkey, "ack_vkey"),
        policy=chain.Policy(broker.resend_low_s, broker.resend_high_s),
        retry_s=(broker.retry_low_s, broker.retry_high_s),
        keep_acked_days=settings.spool.keep_acked_days,
        clocks=_Clocks(),
        may_send=lambda: not daemon.is_testing(),
        begin_epoch=partial(boot.new_epoch, probe.recorder),
        on_config=probe.steering.receive,
    )


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Hold the lock of a state folder. Raises Unavailable if another program of ours has it."""
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        lock = (state_dir / "lock").open("w")
    except OSError as error:
        raise Misconfigured(
            f"state_dir {state_dir} cannot be written ({error.strerror}); create it and give it to this user"
        ) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Unavailable(f"dosong-probe already runs with {state_dir}; stop it first") from error
        yield


@contextmanager
def opened(settings: Settings, *, has_coverage: bool = True) -> Iterator[Probe]:
    """Join the parts; everything is given back at the end. Without coverage only tests leave records."""
    with ExitStack() as stack:
        yield Probe(settings, stack, has_coverage=has_coverage)
