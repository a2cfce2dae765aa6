"""Which card was in a modem last, by its hash in the spool: another one is an event, also after a restart.

Source: design §4 (event: SIM or modem change).
"""

from __future__ import annotations

import logging

from probe.owner import Observed
from probe.recorder import Recorder
from wire.errors import Unavailable
from wire.records import EventRecord

log = logging.getLogger(__name__)


class CardBook:
    """The card of one modem; called by the modem's owner only. `saved`: its hash as it was put down, None at first."""

    def __init__(self, modem: str, recorder: Recorder, saved: str | None) -> None:
        self._modem, self._recorder, self._known = modem, recorder, saved

    def on_poll(self, observed: Observed) -> None:
        """Compare the card with the last one. A disk that takes nothing is tried again at the next poll."""
        ref = observed.reading.card_ref if observed.reading is not None else None
        if ref is None or ref == self._known:
            return
        marks = {f"card {self._modem}": ref}
        if self._known is not None:
            log.info("event=sim_changed modem=%s", self._modem)
            event = EventRecord(**self._recorder.head(), event="sim_changed", modem=self._modem)
            self._recorder.keep_later(event, marks)
        else:
            try:
                self._recorder.remember(marks)
            except Unavailable:
                return
        self._known = ref
