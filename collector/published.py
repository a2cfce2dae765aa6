"""A second database that anybody may read: figures of whole units and hamlets by month and day, places rounded.

What is not written there cannot be shown by a board that somebody leaves open to the world: no probes, no tests, no
codes of referral, no surveyed positions. A position is rounded to a hundredth of a degree, about a kilometre.
Source: facts note 06 §2.4, §6 (privacy); issue 7, part 7.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from typing import Protocol, TypeVar

import msgspec

from collector.core.unit_points import UNIT_CAUSES, UNIT_DAY, UNIT_MONTH
from collector.reconcile import PointCounter
from collector.settings import Settings

OPEN = frozenset(("site", UNIT_DAY, UNIT_MONTH, UNIT_CAUSES))
"""The measurements that are published."""
_PLACE = re.compile(r"(?<=[ ,])(lat|lon)=(-?\d+(?:\.\d+)?(?:e-?\d+)?)(?=[ ,])")
PLACES = 2


class Writer(PointCounter, Protocol):
    """What writing needs of a time-series database."""

    def prepare(self) -> None: ...

    def write(self, lines: list[str]) -> None: ...

    def drop(self) -> None: ...

    def forget(self, measurement: str, tag: str, code: str, since_ms: int, until_ms: int) -> None: ...

    def close(self) -> None: ...

    def twin(self) -> Writer: ...


def open_lines(lines: Iterable[str]) -> Iterator[str]:
    """The lines that are published, their positions rounded."""
    for line in lines:
        if re.split(r"[ ,]", line, maxsplit=1)[0] in OPEN:
            yield _PLACE.sub(lambda found: f"{found[1]}={round(float(found[2]), PLACES)}", line)


class Published:
    """Writes to the database of the office, and what is open also to the public one. Counts are the office's."""

    def __init__(self, own: Writer, public: Writer) -> None:
        self._own, self._public = own, public
        self.counts, self.hour_counts = own.counts, own.hour_counts

    def prepare(self) -> None:
        """Make both usable. Raises Unavailable, Misconfigured."""
        self._own.prepare()
        self._public.prepare()

    def write(self, lines: list[str]) -> None:
        """Write; returning means that both have taken it. Raises Refused, Unavailable, Misconfigured."""
        self._own.write(lines)
        shown = list(open_lines(lines))
        if shown:
            self._public.write(shown)

    def forget(self, measurement: str, tag: str, code: str, since_ms: int, until_ms: int) -> None:
        """Delete the points of a tag's code. Raises Refused where the server cannot, Unavailable, Misconfigured."""
        self._own.forget(measurement, tag, code, since_ms, until_ms)
        if measurement in OPEN:
            self._public.forget(measurement, tag, code, since_ms, until_ms)

    def drop(self) -> None:
        """Drop every point of both. Raises Unavailable, Misconfigured."""
        self._own.drop()
        self._public.drop()

    def twin(self) -> Published:
        """Another one of the same, for another thread. Raises Misconfigured."""
        return Published(self._own.twin(), self._public.twin())

    def close(self) -> None:
        """Close both."""
        self._own.close()
        self._public.close()


class Notes(Protocol):
    """What forward remembers, of which one number is ours."""

    def noted(self, key: str) -> int | None: ...

    def note(self, key: str, value: int) -> None: ...

    def start_over(self) -> None: ...


def fill_new(notes: Notes, name: str | None) -> None:
    """A public database that was not there at the last start gets the whole history: everything is written again."""
    mark = 0 if name is None else zlib.crc32(name.encode()) or 1
    if mark != (notes.noted("public") or 0):
        if mark:
            notes.start_over()
        notes.note("public", mark)


W = TypeVar("W", bound=Writer)


def forward_target(settings: Settings, connect: Callable[[Settings], W]) -> W | Published:
    """The database of the settings, and beside it the one that anybody may read, if there is one."""
    own, name = connect(settings), settings.influx.public
    if name is None:
        return own
    open_to_all = msgspec.structs.replace(settings.influx, database=name, bucket=name)
    return Published(own, connect(msgspec.structs.replace(settings, influx=open_to_all)))
