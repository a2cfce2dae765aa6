"""The recovery ladder, live: a modem's polls in, rungs carried out on its owner's thread, each an event.

The state lies on the slate, on disk before a rung is carried out or told: the rung may end the program or the machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from probe.core import recovery
from probe.core.outage import stage_of
from probe.core.recovery import Carried, Polled, Rung, State, Tell, Terms
from probe.devices.modem import ModemMute
from probe.devices.usb_power import Impossible
from probe.owner import ModemPort, Observed, Redials
from probe.recorder import Recorder
from probe.rescue import Power
from probe.slate import Slate
from wire.errors import Unavailable
from wire.failure import Cause
from wire.records import EventRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Around:
    """What a ladder asks of the rest of the probe. `usb_path`: where the modem is plugged in now, None if unknown."""

    is_testing: Callable[[], bool]
    is_alone: Callable[[], bool]
    may_reboot: Callable[[], bool]
    link_cause: Callable[[], Cause | None]
    usb_path: Callable[[], str | None]


class Recovery:
    """The ladder of one modem; called by the modem's owner only, so it needs no lock."""

    def __init__(
        self, modem: str, port: ModemPort, power: Power, around: Around, terms: Terms, recorder: Recorder, slate: Slate
    ) -> None:
        self._modem, self._port, self._power, self._around = modem, port, power, around
        self._terms, self._recorder, self._slate = terms, recorder, slate
        self._mark = f"recovery {modem}"
        self._state = _load(slate.recall(self._mark)) or State()
        self._path = slate.recall(f"usb {modem}")

    def on_poll(self, observed: Observed) -> None:
        """Take a poll; carry out what is due. Blocks for as long as a rung takes, a minute at most."""
        stamp = self._recorder.stamp()
        self._note_path()
        around = self._around
        polled = Polled(
            now_ms=stamp.mono_ms,
            boot=stamp.boot,
            cause=observed.cause or around.link_cause(),
            is_testing=around.is_testing(),
            is_alone=around.is_alone(),
            may_reboot=around.may_reboot(),
        )
        self._advance(polled)

    def _note_path(self) -> None:
        """Remember where the modem is plugged in: once it has vanished, only its place can be switched."""
        path = self._around.usb_path()
        if path is not None and path != self._path:
            self._path = path
            self._slate.note({f"usb {self._modem}": path})

    def _advance(self, event: recovery.Event) -> None:
        before = self._state
        self._state, effects = recovery.step(before, event, self._terms)
        if self._state != before:
            marks = {self._mark: msgspec.json.encode(self._state).decode()}
            if effects:
                self._slate.sync(marks)
            else:
                self._slate.note(marks)
        for effect in effects:
            if isinstance(effect, Tell):
                self._tell(effect)
            else:
                outcome = self._carry_out(effect.rung)
                self._advance(Carried(effect.rung, outcome, self._recorder.stamp().mono_ms))

    def _carry_out(self, rung: Rung) -> str:
        """Carry out a rung; returns "done" or a word why not."""
        try:
            self._do(rung)
        except Impossible as error:
            log.info("rung=%s modem=%s impossible: %s", rung.value, self._modem, error)
            return "impossible"
        except Unavailable as error:
            log.warning("rung=%s modem=%s refused: %s", rung.value, self._modem, error)
            return "refused"
        log.warning("rung=%s modem=%s done", rung.value, self._modem)
        return "done"

    def _do(self, rung: Rung) -> None:
        if rung is Rung.MODEM_RESTART:
            self._open()
            self._port.restart()
        elif rung in (Rung.RECONNECT, Rung.REREGISTER):
            if not isinstance(self._port, Redials):
                raise Impossible("this kind of modem has no such command")
            if rung is Rung.RECONNECT:
                self._port.reconnect()
            else:
                self._port.reregister()
        else:
            self._port.close()
            self._power(rung, self._path)

    def _open(self) -> None:
        """Hold the port. Raises Impossible if the modem hears nothing: no reset was made then."""
        if self._port.is_open:
            return
        try:
            self._port.open()
        except ModemMute as error:
            raise Impossible(str(error)) from error

    def _tell(self, told: Tell) -> None:
        log.warning("recovery modem=%s rung=%s %s", self._modem, told.rung.value, told.outcome)
        self._recorder.keep_later(
            EventRecord(
                **self._recorder.head(),
                event="recovery",
                modem=self._modem,
                stage=stage_of(told.cause),
                cause=told.cause,
                rung=told.rung.value,
                now=told.outcome,
                duration_ms=told.duration_ms,
            )
        )


def _load(text: str | None) -> State | None:
    """Read a saved state; None if there is none, or another program wrote it in another form."""
    try:
        return None if text is None else msgspec.json.decode(text, type=State)
    except msgspec.DecodeError:
        return None
