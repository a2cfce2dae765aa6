"""Why a registered modem reaches nothing, live: `probe.core.reachability` carried out by a look in a child process.

Also where the rates of tests are watched for a throttled plan. Called by the modem's owner, but for `on_test` and
`look_now`, which a test's thread calls.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import msgspec

from probe.core import reachability, throttle
from probe.core.coverage import EchoSeen
from probe.core.findings import Findings, Plan, cause_of
from probe.core.reachability import State
from probe.core.throttle import Rates
from probe.owner import Observed
from probe.recorder import Recorder
from wire.errors import Unavailable
from wire.failure import Cause

log = logging.getLogger(__name__)
LOOK_WAIT_S = 16.0


class Look(Protocol):
    """The look at the link: `probe.devices.link_check.LinkCheck`."""

    def start(self, *, stops_early: bool) -> None:
        """Begin."""
        ...

    def found(self, wait_s: float = 0.0) -> Findings | None:
        """What it found, once; waits for it at most so long."""
        ...

    def stop(self) -> None:
        """Give up."""
        ...


@dataclass(frozen=True, slots=True)
class Watched:
    """What a diagnosis asks of the rest of the probe.

    `plan`: what is known of the SIM's plan now. `is_free`: False while a test has the link. `is_broker_lost`: whether
    the broker has been out of reach for a while by every way. `throttle_bps`: the plan's known rate once its data is
    used, None if it is not known.
    """

    plan: Callable[[], Plan]
    is_free: Callable[[], bool]
    is_broker_lost: Callable[[], bool]
    throttle_bps: int | None = None


class _NoLook:
    """Finds nothing: a lost echo is then all that is known."""

    def start(self, *, stops_early: bool) -> None:
        """Begin nothing."""

    def found(self, wait_s: float = 0.0) -> Findings | None:  # noqa: ARG002 (it need not wait)
        """Nothing."""
        return None

    def stop(self) -> None:
        """Nothing is under way."""


class Diagnosis:
    """Diagnosis of one modem's link. `look` None: the link is not looked at, only the rates of tests are.

    `second_look`: the one that a test's thread uses, None: none.
    """

    def __init__(
        self,
        modem: str,
        look: Look | None,
        watched: Watched,
        recorder: Recorder,
        saved: str | None,
        second_look: Look | None = None,
    ) -> None:
        self._mark, self._look, self._watched, self._recorder = f"rates {modem}", look or _NoLook(), watched, recorder
        self._modem = modem
        self._state = State()
        self._rates = _load(saved)
        self._throttled_ms: int | None = None
        self._last: Observed | None = None
        self._second_look = second_look
        self._brought: Findings | None = None
        self._has_measured = False
        self._lock = threading.Lock()

    @property
    def cause(self) -> Cause | None:
        """Why the link does not serve; None if it does, or if that is not known yet."""
        return self._state.cause or (Cause.PLAN_THROTTLED if self._throttled_ms is not None else None)

    @property
    def since_ms(self) -> int:
        """Since when `cause` holds (monotonic)."""
        return self._state.since_ms if self._state.cause is not None else self._throttled_ms or 0

    @property
    def is_pending(self) -> bool:
        """True while a lost echo is being looked into: the step's letter may still change."""
        return self._state.checking_ms is not None and self._state.lost_ms is not None

    def on_poll(self, observed: Observed) -> None:
        """Take a poll of the modem; fetch what a look found, and look again if that is due."""
        self._last, at_ms = observed, observed.ended_ms
        self._throttled_ms = self._throttled_since(at_ms)
        if observed.cause is not None and observed.cause is not Cause.UNKNOWN:
            self._look.stop()
            self._step(reachability.Unserved())
            return
        self._take_from_tests(at_ms)
        if not self._watched.is_free():
            self._put_off(at_ms)
            return
        if (found := self._look.found()) is not None:
            self._tell(found)
            self._step(reachability.Found(found, self._watched.plan(), at_ms))
        self._step(reachability.Passed(at_ms))
        if self._watched.is_broker_lost():
            self._step(reachability.Suspected(at_ms))

    def on_echo(self, seen: EchoSeen | None, at_ms: int) -> None:
        """Take the step's echo; None: none was sent."""
        if seen is not None:
            self._step(reachability.Echoed(seen.outcome, at_ms))

    def on_test(self, downlink_bps: int | None, cause: str | None) -> bool:
        """Take the outcome of a test: its rate (None: none), or why it failed. Says whether the plan is throttled."""
        self._has_measured = downlink_bps is not None and cause is None
        if downlink_bps is None:
            return False
        reading = self._last.reading if self._last is not None else None
        with self._lock:
            self._rates = throttle.after(self._rates, downlink_bps, reading, self._watched.throttle_bps)
            is_throttled = self._rates.is_throttled(self._watched.throttle_bps)
            marks = {self._mark: msgspec.json.encode(self._rates).decode()}
        try:
            self._recorder.remember(marks)
        except Unavailable as error:
            log.debug("rates of modem %s are held in memory: %s", self._modem, error)
        return is_throttled

    def look_now(self) -> Cause | None:
        """Look at the link in this thread, after a test that failed; None if nothing is wrong or nothing was found."""
        look = self._second_look
        if look is None:
            return None
        look.start(stops_early=False)
        found = look.found(LOOK_WAIT_S)
        look.stop()
        if found is None:
            return None
        self._brought = found
        return cause_of(found, self._watched.plan())

    def _take_from_tests(self, at_ms: int) -> None:
        """Take what tests brought in their own threads."""
        if self._has_measured:
            self._has_measured = False
            self._step(reachability.Measured())
        brought, self._brought = self._brought, None
        if brought is not None:
            self._tell(brought)
            self._step(reachability.Brought(brought, self._watched.plan(), at_ms))

    def stop(self) -> None:
        """End the looks that are under way."""
        self._look.stop()
        if self._second_look is not None:
            self._second_look.stop()

    def _step(self, event: reachability.Event) -> None:
        before = self._state
        self._state, effects = reachability.step(before, event)
        if before.checking_ms is not None and self._state.checking_ms is None:
            self._look.stop()
        for effect in effects:
            self._look.start(stops_early=effect.stops_early)

    def _put_off(self, at_ms: int) -> None:
        """A test has the link: a look that is under way is given up, and due again behind the test."""
        if self._state.checking_ms is not None:
            self._look.stop()
            self._state = replace(self._state, checking_ms=None, next_ms=at_ms)

    def _throttled_since(self, at_ms: int) -> int | None:
        with self._lock:
            is_throttled = self._rates.is_throttled(self._watched.throttle_bps)
        return (self._throttled_ms or at_ms) if is_throttled else None

    def _tell(self, found: Findings) -> None:
        """Log what was found, without what a portal said: that may name its customer."""
        parts = ("interface", "echo", "names", "web", "tls", "others")
        said = " ".join(f"{part}={getattr(found, part)}" for part in parts if getattr(found, part) is not None)
        log.info("link=looked modem=%s %s", self._modem, said)


def _load(saved: str | None) -> Rates:
    """Read saved rates; none if there are none, or another program wrote them in another form."""
    try:
        return Rates() if saved is None else msgspec.json.decode(saved, type=Rates)
    except msgspec.DecodeError:
        return Rates()
