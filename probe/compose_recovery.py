"""Joins the recovery ladders of a probe's modems, for `probe.compose` only."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from probe.card_book import CardBook
from probe.core.recovery import Rung, Terms
from probe.coverage import CoverageKeeper
from probe.devices.usb_power import UsbPower
from probe.owner import ModemPort, Observed
from probe.purse import Purse
from probe.recorder import Recorder
from probe.recovery import Around, Recovery
from probe.rescue import Power, act, ask
from probe.settings import Settings
from probe.slate import Slate
from probe.spool import Spool
from wire.failure import Cause


class Ladders:
    """The ladders of one probe; they know of each other only whether a modem is served."""

    def __init__(self, settings: Settings, recorder: Recorder, slate: Slate, spool: Spool) -> None:
        self._settings, self._recorder, self._slate, self._spool = settings.recovery, recorder, slate, spool
        self._served: dict[str, bool] = {}
        self._testing: list[Callable[[], bool]] = []

    def add(
        self,
        modem: str,
        port: ModemPort,
        *,
        is_testing: Callable[[], bool],
        link_cause: Callable[[], Cause | None],
        usb_path: Callable[[], str | None],
    ) -> Callable[[Observed], None]:
        """Make the ladder of one modem; returns what takes its polls."""
        self._testing.append(is_testing)
        if not self._settings.enabled:
            return lambda _observed: None
        around = Around(
            is_testing=lambda: any(is_one() for is_one in self._testing),
            is_alone=lambda: not any(served for one, served in self._served.items() if one != modem),
            may_reboot=lambda: self._spool.refusal is None and not self._spool.is_shut,
            link_cause=link_cause,
            usb_path=usb_path,
        )
        terms = Terms(allowed=frozenset(self._settings.rungs))
        ladder = Recovery(modem, port, self._power(), around, terms, self._recorder, self._slate)
        return partial(self._on_poll, modem, ladder)

    def book(self, modem: str) -> CardBook:
        """Make what tells a changed card of one modem."""
        return CardBook(modem, self._recorder, self._spool.mark(f"card {modem}"))

    def _on_poll(self, modem: str, ladder: Recovery, observed: Observed) -> None:
        if observed.cause is not Cause.UNKNOWN:
            self._served[modem] = observed.cause in (None, Cause.NOT_LTE)
        ladder.on_poll(observed)

    def _power(self) -> Power:
        if self._settings.rescue is not None:
            return partial(ask, self._settings.rescue)
        usb, reboot = UsbPower(), self._settings.reboot

        def here(rung: Rung, path: str | None) -> None:
            act(rung, path, usb, reboot)

        return here


def takers(
    keeper: CoverageKeeper, purse: Purse, recover: Callable[[Observed], None], book: CardBook
) -> Callable[[Observed], None]:
    """Return what an owner tells its polls: coverage, the SIM's account once a minute, its card, the ladder."""

    def take(observed: Observed) -> None:
        try:
            keeper.on_poll(observed)
        finally:  # a disk that takes nothing must not keep a modem from being brought back
            if observed.number % 6 == 0:
                purse.update()
            book.on_poll(observed)
            recover(observed)

    return take
