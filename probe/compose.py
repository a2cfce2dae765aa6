"""Joins the parts of a probe from its settings, for `__main__` only: nothing else imports this module.

Raises Misconfigured for what a person must mend, Unavailable for a disk that cannot be written.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path

from probe import boot, build, calibrate, carried, compose_link, compose_recovery, engines
from probe.backends import Backends
from probe.beacon import Beacon
from probe.broker import Access
from probe.caretaker import Caretaker, Senses
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
from probe.diagnosis import Diagnosis
from probe.measure import Bench, Order
from probe.only_one import only_one
from probe.owner import Owner
from probe.publish import Publisher
from probe.purse import Purse
from probe.recorder import Recorder
from probe.settings import Settings
from probe.settings_modem import Modem
from probe.slate import Slate
from probe.spool import Spool
from probe.steering import Ground, Steering
from probe.terms import ModemTerms, compared, of_modem, overlaid, request, wallet_terms
from probe.whereabouts import Whereabouts, gnss_time, located
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
        self.spool = Spool(state_dir, settings.spool.limit_bytes, may_wait=has_coverage)
        stack.callback(self.spool.close)
        volatile = os.environ.get("RUNTIME_DIRECTORY")  # systemd's, in memory
        self.slate = Slate(state_dir, Path(volatile) if volatile else None)
        stack.callback(self.slate.close)
        identity = Identity(settings.probe, build.firmware(), settings.simulated, settings.site)
        self._boot_id = kernel_clock.boot_id()
        self.gps: GpsReader | None = None
        self.recorder = Recorder(self.spool, signer, settings.origin, identity, self.stamp)
        self.beacon = _beacon(settings, self.recorder)
        if settings.path(settings.key_file).with_name("key.accepted").exists():
            from probe import rotation  # noqa: PLC0415 (X.509 is no part of an idle daemon)

            rotation.settle(settings, self.spool, self.recorder)
        self._caretaker = self._make_caretaker() if has_coverage else None
        is_reduced = self._caretaker is not None and self._caretaker.is_reduced
        self.gps = None if is_reduced else _gps(settings, stack)
        self._backends = Backends(settings)
        self._ladders = compose_recovery.Ladders(settings, self.recorder, self.slate, self.spool)
        self._publisher: Publisher | None = None
        self._terms: dict[str, ModemTerms] = {}
        self.diagnoses: dict[str, Diagnosis] = {}
        self._stack = stack
        self._parts: dict[str, tuple[Owner, Purse, CoverageKeeper]] = {}
        self.actions: dict[Action, Callable[[], str | None]] = {}
        self.stations: dict[str, Station] = {}
        self.steering = Steering(_ground(settings), self.recorder, self.spool, self._enforce, self.actions)
        self._enforce(None)
        self.steering.restore()
        self._backends.listen(*(owner.wake for owner, _, _ in self._parts.values()))
        stack.callback(self._backends.close)

    def stamp(self) -> Stamp:
        """Read the clocks and judge them."""
        reading, trust = kernel_clock.read(self._boot_id), self.settings.clock.trust
        return clock.judge(reading, trust, build.BUILD_MS, gnss_time(self.gps))

    def daemon(self) -> tuple[Daemon, Publisher | None]:
        """Return the loop, and the publisher (None without `[broker]`)."""
        daemon = Daemon(
            *(self.recorder, self.spool, self.stations, self.stop),
            read_clock=self.stamp,
            steer=self._steered,
            caretaker=self._caretaker,
            whereabouts=Whereabouts(self.gps, lambda: next(iter(self._terms.values())).place, self.recorder),
        )
        self.actions |= {"test": daemon.ask_tests, "modem_restart": self._restart_modems}
        self._publisher = _publisher(self, daemon) if self.settings.broker else None
        return daemon, self._publisher

    def _make_caretaker(self) -> Caretaker:
        state_dir = self.settings.path(self.settings.state_dir)
        senses = Senses(partial(host.free_bytes, state_dir), host.throttled_bits)
        return Caretaker(self.recorder, self.spool, self.slate, senses)

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
            purse.retell(wallet_terms(terms, self.interface(modem), compose_link.plan(modem, None, None).ends_ms))
            keeper.retell(terms.plmn, terms.referral)
            self.stations[modem.id] = self._station(modem, terms, owner, purse)

    def interface(self, modem: Modem) -> str:
        """Name of a modem's network interface now; a name that no link has while there is none."""
        return self._backends.interface(modem.id)

    def _restart_modems(self) -> str:
        for owner, _, _ in self._parts.values():
            owner.restart(RESTART_TIMEOUT_S)
        return f"restarted {', '.join(self._parts)}"

    def _station(self, modem: Modem, terms: ModemTerms, owner: Owner, purse: Purse) -> Station:
        other, bench = compared(terms.engine), self._bench(modem, owner, terms.engine.name)
        told = partial(compose_link.told, self.diagnoses[modem.id], bench.engine)
        return Station(
            owner=owner,
            bench=replace(bench, engine=partial(purse.measured, told)),
            compared=None if other is None else self._counted(purse, self._bench(modem, owner, other)),
            short=self._counted(purse, self._bench(modem, owner, terms.engine.name, is_short=True)),
            plan=terms.plan,
            order=Order(modem.id, self.interface(modem), "scheduled", terms.plmn, terms.referral),
            admit=lambda order: purse.admit(replace(order, interface=self.interface(modem))),
            settle=purse.settle,
        )

    @staticmethod
    def _counted(purse: Purse, bench: Bench) -> Bench:
        return replace(bench, engine=partial(purse.measured, bench.engine))

    def has_data(self) -> bool:
        """Whether records may still leave: False once the SIM that they leave by has used up its data."""
        broker, modem = self.settings.broker, compose_link.broker_modem(self.settings)
        interfaces = {one.interface for one in self.settings.modem}
        is_elsewhere = broker is not None and broker.interface is not None and broker.interface not in interfaces
        return is_elsewhere or not self._parts[modem][1].is_closed()

    def _parts_of(self, modem: Modem, terms: ModemTerms) -> tuple[Owner, Purse, CoverageKeeper]:
        """Make what lives as long as the program: the modem's owner, its SIM's purse, its coverage."""
        owner: Owner
        purse = self._purse(modem, terms)
        self.diagnoses[modem.id] = diagnosis = self._diagnosis(modem, purse)
        keeper = CoverageKeeper(
            self._coverage_terms(modem),
            self.recorder,
            echo=lambda: None if owner.is_watched() or purse.is_closed() else self._echo(modem),
            link_bytes=lambda: links.read_bytes(self.interface(modem)),
            saved=self.spool.mark(f"coverage {modem.id}"),
            slate=self.slate,
            diagnosis=diagnosis,
            is_closed=purse.is_closed,
        )
        port = self._backends.modem(modem, lambda: self._terms[modem.id].plmn)
        recover = self._ladders.add(
            modem.id,
            port,
            is_testing=lambda: owner.is_watched(),  # noqa: PLW0108 (it is made below)
            link_cause=lambda: diagnosis.cause,
            usb_path=partial(self._backends.usb_path, modem.id),
        )
        owner = Owner(
            modem.id,
            port,
            poll_s=self.settings.coverage.poll_s,
            fast_s=FAST_POLL_S,
            fault_cause=fault_cause,
            mono_ms=kernel_clock.mono_ms,
            on_poll=compose_recovery.takers(keeper, purse, recover, self._ladders.book(modem.id))
            if self._has_coverage
            else lambda _observed: None,
        )
        return owner, purse, keeper

    def _diagnosis(self, modem: Modem, purse: Purse) -> Diagnosis:
        diagnosis = compose_link.diagnosis(
            self.settings,
            modem,
            self.recorder,
            engine=lambda: self._terms[modem.id].engine,
            interface=lambda: self.interface(modem),
            used_bytes=lambda: purse.update().used_bytes,
            is_free=lambda: not (self.stations[modem.id].owner.is_watched() or purse.is_closed()),
            broker_lost_ms=lambda: self._publisher.lost_ms() if self._publisher else 0,
            saved=self.spool.mark(f"rates {modem.id}"),
        )
        self._stack.callback(diagnosis.stop)
        return diagnosis

    def _echo(self, modem: Modem) -> EchoSeen | None:
        address, coverage = self._terms[modem.id].engine.echo_address, self.settings.coverage
        if address is None or not coverage.degraded_echo:
            return None
        return reach(*address, self.interface(modem), min(ECHO_TIMEOUT_S, coverage.step_s / 2))

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

    def _bench(self, modem: Modem, owner: Owner, name: str, *, is_short: bool = False) -> Bench:
        place = self._terms[modem.id].place
        state_dir = self.settings.path(self.settings.state_dir)
        return Bench(
            watch=owner,
            engine=lambda: engines.ENGINES[name].run(self._request(modem, is_short=is_short)),
            counters=links.read,
            position=lambda: tpv.resolve(place, self.gps.position() if self.gps else None),
            host=partial(_host, state_dir, self.spool),
            mono_ms=kernel_clock.mono_ms,
        )

    def _request(self, modem: Modem, *, is_short: bool) -> EngineRequest:
        """The next test's request: with the epoch that its record will have, and this host's ceiling."""
        ceiling = calibrate.known(self.spool.mark, modem.id)
        return replace(
            self._allowed(modem, is_short=is_short),
            interface=self.interface(modem),
            probe=self.settings.probe,
            epoch=int(self.spool.mark("epoch") or 1),
            ceiling_downlink_bps=ceiling.downlink_bps if ceiling else None,
            ceiling_uplink_bps=ceiling.uplink_bps if ceiling else None,
            tls_ca_file=self.settings.engine_ca_file,
        )

    def _allowed(self, modem: Modem, *, is_short: bool) -> EngineRequest:
        """What the purse gave leave for; a short test, which a person asked for, is no longer than that either."""
        given = self._parts[modem.id][1].request()
        if not is_short:
            return given
        short = request(compose_link.shortened(self._terms[modem.id].engine), given.interface)
        return replace(
            given,
            cap_ms=min(given.cap_ms, short.cap_ms),
            downlink_s=min(given.downlink_s, short.downlink_s),
            uplink_s=min(given.uplink_s, short.uplink_s),
        )

    def _purse(self, modem: Modem, terms: ModemTerms) -> Purse:
        return Purse(
            modem.id,
            self.recorder,
            wallet_terms(terms, self.interface(modem), compose_link.plan(modem, None, None).ends_ms),
            link_bytes=lambda: links.read_bytes(self.interface(modem)),
            saved=self.spool.mark(f"budget {modem.id}") or carried.account(self.settings.path(carried.FILE), modem.id),
            diary=self.spool.mark(f"plan {modem.id}"),
            slate=self.slate,
        )


def _beacon(settings: Settings, recorder: Recorder) -> Beacon:
    """What follows the log: records name what it knew."""
    key = None if settings.log_vkey is None else read_verifier(settings.log_vkey, "log_vkey")
    beacon = Beacon(settings.path(settings.state_dir), key, kernel_clock.boot_id(), kernel_clock.mono_ms)
    recorder.named_log = beacon.named
    return beacon


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


def fault_cause(error: Unavailable) -> Cause:
    """Say why a modem did not answer."""
    if isinstance(error, ModemGone):
        return Cause.NO_MODEM
    return Cause.MODEM_MUTE if isinstance(error, ModemMute) else Cause.MODEM_ERROR


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
        others=broker.places[1:],
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
        may_send=lambda: not daemon.is_testing() and probe.has_data(),
        begin_epoch=partial(boot.new_epoch, probe.recorder),
        reinstate=probe.recorder.reinstate,
        ways_out=broker.ways,
        on_config=probe.steering.receive,
        beacon=probe.beacon,
    )


@contextmanager
def opened(settings: Settings, *, has_coverage: bool = True) -> Iterator[Probe]:
    """Join the parts; everything is given back at the end. Without coverage only tests leave records."""
    with ExitStack() as stack:
        yield Probe(located(settings), stack, has_coverage=has_coverage)
