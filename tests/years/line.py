"""A broker that may forget what it confirmed, give it twice, mix it up, throw its clients out, or be gone."""

from __future__ import annotations

from random import Random

from tests.years.terms import Rec
from wire.notes import Ack

Message = tuple[Rec, ...]


class Broker:
    """What lies between the probe and the collector. Probabilities are of one message."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.is_up, self.is_persistent = True, True
        self.forgets, self.doubles, self.mixes = 0.0, 0.0, 0.0
        self.queue: list[Message] = []
        self.retained: Ack | None = None
        self.taken = 0

    def well(self) -> None:
        """No faults from now on."""
        self.is_up, self.forgets, self.doubles, self.mixes = True, 0.0, 0.0, 0.0

    def take(self, message: Message) -> None:
        """A PUBLISH of the probe, which is confirmed whatever becomes of it."""
        self.taken += 1
        if self._rng.random() < self.forgets:
            return
        for _ in range(2 if self._rng.random() < self.doubles else 1):
            if self.queue and self._rng.random() < self.mixes:
                self.queue.insert(self._rng.randrange(len(self.queue)), message)
            else:
                self.queue.append(message)

    def crash(self) -> None:
        """Killed: without persistence nothing of it is left."""
        self.is_up = False
        if not self.is_persistent:
            self.queue.clear()
            self.retained = None
