"""systemd's watchdog is fed only while scheduler, spool, MQTT and modems move: each is stalled in turn."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from probe import daemon as daemon_module
from probe.broker import Access
from probe.compose import fault_cause
from probe.core import chain, schedule
from probe.core.draft import Identity, Stamp
from probe.daemon import Daemon, Station
from probe.devices import clock, links
from probe.devices.modem import AtModem
from probe.measure import Bench, Order
from probe.owner import Observed, Owner
from probe.publish import Publisher
from probe.recorder import Recorder
from probe.spool import Spool
from tests.probe.kit import ACK_KEY, KEY, ORIGIN, PROBE, make_certificates, wait_until
from wire.errors import Unavailable
from wire.failure import Cause

BOOT = clock.boot_id()
STALL_MS = 1_500


class Stall:
    """Something that a part passes through again and again, and that can be held up."""

    def __init__(self) -> None:
        self.is_open = threading.Event()
        self.is_open.set()

    def passes(self) -> int:
        self.is_open.wait(60)
        return clock.mono_ms()


class Clocks:
    """The publisher's clocks, which stall it."""

    def __init__(self, stall: Stall) -> None:
        self.mono_ms = stall.passes

    def wall_ms(self) -> int:
        return time.time_ns() // 1_000_000


class Fed:
    """A real daemon with a publisher whose broker is away, and systemd's end of the socket."""

    def __init__(self, folder: Path, notify: Path) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(notify))
        self.scheduler, self.mqtt, self.modem = Stall(), Stall(), Stall()
        self.spool = Spool(folder / "state", 1_000_000)
        self.stop = threading.Event()
        self.thread = threading.Thread(target=self._run)
        recorder = Recorder(self.spool, KEY, ORIGIN, Identity(PROBE, "1.0", True, "s"), self.stamp)
        owner = Owner(
            *("m1", AtModem(str(folder / "no-modem"))),
            poll_s=0.2,
            fast_s=0.2,
            fault_cause=fault_cause,
            mono_ms=clock.mono_ms,
            on_poll=self.polled,
        )
        bench = Bench(owner, self.none, links.read, self.none, lambda _ppm: None, clock.mono_ms)
        plan = schedule.Plan(PROBE, "m1", bytes(32), 86_400_000, 500)
        station = Station(owner, bench, plan, Order("m1", "c", "scheduled"), lambda o: (o, Cause.BUDGET_SPENT))
        self.daemon = Daemon(recorder, self.spool, {"m1": station}, self.stop, read_clock=self.stamp)
        make_certificates(folder, PROBE)
        self.publisher = Publisher(
            Access("127.0.0.1", 9, PROBE, 60, None, folder / "ca.crt", folder / "tls.crt", folder / "tls.key"),
            self.spool,
            origin=ORIGIN,
            ack_verifier=ACK_KEY.verifier,
            policy=chain.Policy(),
            retry_s=(0.1, 0.2),
            keep_acked_days=7,
            clocks=Clocks(self.mqtt),
            may_send=lambda: True,
            begin_epoch=lambda _effect: None,
            reinstate=lambda *_place: 0,
            on_config=lambda _payload: None,
        )

    @staticmethod
    def none() -> object:
        raise AssertionError("nothing is to be measured")

    def polled(self, _seen: Observed) -> None:
        self.modem.passes()

    def stamp(self) -> Stamp:
        if threading.current_thread() is self.thread:
            self.scheduler.passes()
        return Stamp(BOOT, clock.mono_ms(), "unsynced", "none", None, None)

    def _run(self) -> None:
        with suppress(Unavailable):
            self.daemon.run(self.publisher)

    def feeds(self, for_s: float) -> int:
        """How often it is fed in the next seconds."""
        count, until_s = 0, time.monotonic() + for_s
        while (left_s := until_s - time.monotonic()) > 0:
            self.socket.settimeout(left_s)
            with suppress(TimeoutError):
                count += self.socket.recv(100) == b"WATCHDOG=1"
        return count


@pytest.fixture
def fed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fed]:
    monkeypatch.setattr(daemon_module, "STALLED_MS", STALL_MS)
    monkeypatch.setattr(daemon_module, "TICK_S", 0.1)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    running = Fed(tmp_path, tmp_path / "notify")
    running.thread.start()
    yield running
    running.stop.set()
    running.thread.join(30)
    running.socket.close()
    running.spool.close()


@contextmanager
def held(stall: Stall) -> Iterator[None]:
    stall.is_open.clear()
    try:
        yield
    finally:
        stall.is_open.set()


STALLS: dict[str, Callable[[Fed], object]] = {
    "scheduler": lambda fed: held(fed.scheduler),
    "mqtt": lambda fed: held(fed.mqtt),
    "modem": lambda fed: held(fed.modem),
    "spool": lambda fed: fed.spool._lock,
}


@pytest.mark.parametrize("part", STALLS)
def test_part_that_stalls_keeps_the_watchdog_from_being_fed(fed: Fed, part: str) -> None:
    wait_until(lambda: fed.feeds(0.5) >= 1, 40, "it is fed while all is well")
    with STALLS[part](fed):  # type: ignore[attr-defined]
        wait_until(lambda: fed.feeds(1.0) == 0, 40, "the feed ends")
        assert fed.feeds(1.0) == 0
    wait_until(lambda: fed.feeds(0.5) >= 1, 40, "it is fed again")
