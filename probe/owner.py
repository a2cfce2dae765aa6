"""The owner of one modem: a thread that alone talks to it, polls it, and brings it back when it was gone.

Everyone else reads what the owner last saw. A modem that is missing or mute is an observation with a cause, never an
exception: the next poll tries again, so the probe recovers by itself when the modem is back.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from queue import Empty, SimpleQueue
from typing import Protocol, runtime_checkable

from probe.core.radio import RadioReading, outage_cause
from wire.errors import Unavailable
from wire.failure import Cause

log = logging.getLogger(__name__)
POLL_DEADLINE_S = 5.0
HURRY_S = 1.0
"""Between polls while a person turns the antenna."""


class ModemPort(Protocol):
    """What the owner needs of a modem; all raise Unavailable."""

    @property
    def is_open(self) -> bool:
        """True while the port is held."""
        ...

    def open(self) -> None:
        """Open the port and set the modem up."""
        ...

    def poll(self, deadline_s: float) -> RadioReading:
        """Read the radio once."""
        ...

    def restart(self) -> None:
        """Have the modem start anew."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...


@runtime_checkable
class Redials(Protocol):
    """A modem that can be told to take its bearer down and up, and to look for its network anew."""

    def reconnect(self) -> None:
        """Take the bearer down and up. Raises Unavailable."""
        ...

    def reregister(self) -> None:
        """Look for the network anew. Raises Unavailable."""
        ...


@dataclass(frozen=True, slots=True)
class Observed:
    """One poll, from `began_ms` to `ended_ms` (monotonic since boot).

    `reading` None: the modem did not answer; `cause` says why. With a reading, `cause` None: the modem is served;
    with `no_pdp` and `not_lte` it is registered all the same.
    """

    number: int
    began_ms: int
    ended_ms: int
    reading: RadioReading | None
    cause: Cause | None


class Owner:
    """Polls one modem every `poll_s` seconds, every `fast_s` while a test runs, and tells `on_poll` of each poll."""

    def __init__(
        self,
        modem_id: str,
        modem: ModemPort,
        *,
        poll_s: float,
        fast_s: float,
        fault_cause: Callable[[Unavailable], Cause],
        mono_ms: Callable[[], int],
        on_poll: Callable[[Observed], None],
    ) -> None:
        self.modem_id = modem_id
        self._modem, self._poll_s, self._fast_s = modem, poll_s, fast_s
        self._fault_cause, self._mono_ms, self._on_poll = fault_cause, mono_ms, on_poll
        self._changed = threading.Condition()
        self._latest: Observed | None = None
        self._watched: list[Observed] | None = None
        self._wanted = False
        self._hurry_until_ms = 0
        self._restarts: list[SimpleQueue[str | None]] = []
        self._stopping = False
        self._told: Cause | None = None
        self._is_disk_told = False
        self.moved_ms = mono_ms()
        self._thread = threading.Thread(target=self._run, name=f"modem-{modem_id}", daemon=True)

    def start(self) -> None:
        """Begin polling."""
        self._thread.start()

    def ask_to_stop(self) -> None:
        """Ask for the end; what is polled from now on is told to nobody."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()

    def stop(self, timeout_s: float) -> None:
        """Stop polling and give the port back, within `timeout_s` at most."""
        self.ask_to_stop()
        self._thread.join(timeout_s)

    def wake(self) -> None:
        """Poll at once: something was plugged or pulled."""
        with self._changed:
            self._wanted = True
            self._changed.notify_all()

    @property
    def is_alive(self) -> bool:
        """False once the thread has ended."""
        return self._thread.is_alive()

    def observe(self, timeout_s: float) -> Observed:
        """Return a poll that began after this call; if none ends in time, the modem counts as mute."""
        asked_ms = self._mono_ms()
        deadline_s = time.monotonic() + timeout_s
        with self._changed:
            self._wanted = True
            self._changed.notify_all()
            while (latest := self._latest) is None or latest.began_ms < asked_ms:
                left_s = deadline_s - time.monotonic()
                if left_s <= 0 or self._stopping:
                    return latest if latest is not None and latest.reading is None else self._mute(asked_ms)
                self._changed.wait(left_s)
        return latest

    def _mute(self, asked_ms: int) -> Observed:
        return Observed(0, asked_ms, self._mono_ms(), None, Cause.MODEM_MUTE)

    @property
    def latest(self) -> Observed | None:
        """The last poll; None before the first has ended."""
        return self._latest

    def hurry(self, seconds: float) -> None:
        """Poll every second for the next `seconds`: somebody looks."""
        now_ms = self._mono_ms()
        with self._changed:
            if now_ms >= self._hurry_until_ms:
                self._wanted = True
                self._changed.notify_all()
            self._hurry_until_ms = now_ms + round(seconds * 1000)

    def restart(self, timeout_s: float) -> None:
        """Have the modem start anew, between two polls. Raises Unavailable with the reason if it did not."""
        answer: SimpleQueue[str | None] = SimpleQueue()
        with self._changed:
            self._restarts.append(answer)
            self._wanted = True
            self._changed.notify_all()
        try:
            why = answer.get(timeout=timeout_s)
        except Empty:
            why = "the modem is busy or mute"
        if why is not None:
            raise Unavailable(f"{self.modem_id} was not restarted: {why}")

    def begin_watch(self) -> None:
        """Collect polls, more often than usual, until `end_watch`."""
        with self._changed:
            self._watched = []
            self._changed.notify_all()

    def end_watch(self) -> tuple[Observed, ...]:
        """Return the polls since `begin_watch`."""
        with self._changed:
            watched, self._watched = self._watched or [], None
        return tuple(watched)

    def is_watched(self) -> bool:
        """True while a test runs on this modem."""
        return self._watched is not None

    def _run(self) -> None:
        number = 0
        while not self._stopping:
            number += 1
            self._restart_if_asked()
            observed = self._poll(number)
            self.moved_ms = observed.ended_ms
            with self._changed:
                self._latest = observed
                if self._watched is not None:
                    self._watched.append(observed)
                self._changed.notify_all()
            if not self._stopping:
                self._tell(observed)
            self._wait(observed)
        self._modem.close()

    def _restart_if_asked(self) -> None:
        with self._changed:
            asked, self._restarts = self._restarts, []
        if not asked:
            return
        why: str | None = None
        try:
            if not self._modem.is_open:
                self._modem.open()
            self._modem.restart()
        except Unavailable as error:
            why = str(error)
        for answer in asked:
            answer.put(why)

    def _wait(self, observed: Observed) -> None:
        with self._changed:
            interval_s = self._poll_s if self._watched is None else min(self._fast_s, self._poll_s)
            if self._mono_ms() < self._hurry_until_ms:
                interval_s = min(HURRY_S, interval_s)
            interval_ms = round(interval_s * 1000)
            next_ms = observed.began_ms - observed.began_ms % interval_ms + interval_ms  # a grid does not drift
            while not self._stopping and not self._wanted:
                left_ms = next_ms - self._mono_ms()
                if left_ms <= 0:
                    break
                was_watched = self._watched is not None
                self._changed.wait(left_ms / 1000)
                if not was_watched and self._watched is not None:
                    break
            self._wanted = False

    def _poll(self, number: int) -> Observed:
        began_ms = self._mono_ms()
        try:
            if not self._modem.is_open:
                self._modem.open()
            reading = self._modem.poll(POLL_DEADLINE_S)
        except Unavailable as error:
            cause = self._fault_cause(error)
            self._log_once(cause, str(error))
            return Observed(number, began_ms, self._mono_ms(), None, cause)
        self._log_once(None, "")
        return Observed(number, began_ms, self._mono_ms(), reading, service_cause(reading))

    def _log_once(self, cause: Cause | None, text: str) -> None:
        if cause is self._told:
            return
        if cause is None:
            log.info("modem=back id=%s", self.modem_id)
        elif self._told is None:
            log.warning("modem=lost id=%s cause=%s: %s", self.modem_id, cause.value, text)
        self._told = cause

    def _tell(self, observed: Observed) -> None:
        try:
            self._on_poll(observed)
        except Unavailable as error:
            if not self._is_disk_told:
                log.error("coverage of modem %s waits: %s", self.modem_id, error)  # noqa: TRY400 (one sentence)
            self._is_disk_told = True
        else:
            self._is_disk_told = False


def service_cause(reading: RadioReading) -> Cause | None:
    """Say why a modem that answers gives no 4G service; None if it does, `unknown` if it does not say.

    Registration outranks what the SIM's state may seem to be, but not a SIM that is the wrong one.
    """
    if reading.is_registered and not reading.is_wrong_sim:
        reading = replace(reading, sim=None)
    cause = outage_cause(reading)
    if cause is not None:
        return Cause(cause)
    return None if reading.is_registered else Cause.UNKNOWN
