"""`dosong-probe doctor`: the check of a station on a terminal, beside the daemon or without it.

Without a daemon its parts are opened here and run as the daemon would, for as long as the check takes: what is looked
at is what will run.
"""

from __future__ import annotations

import json
import logging
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TextIO

from probe import compose, compose_visit, control, doctor_show
from probe.core import doctor, doctor_words
from probe.core.doctor_facts import Facts
from probe.core.doctor_words import Language
from probe.devices import host
from probe.examination import Examination, Seen
from probe.settings import Settings
from wire.errors import EXIT_FAILED, EXIT_OK, Unavailable

LOOK_EVERY_S = 1.0
STOP_S = 15.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What the command line asked for. `wait_s`: after this long, what is still open is left open."""

    language: Language = "vi"
    as_json: bool = False
    wants_test: bool = True
    wait_s: float = 180.0


def run(settings: Settings, wishes: Wishes, out: TextIO = sys.stdout) -> int:
    """Check the station; returns 0 if it is green, else 1. Raises Misconfigured."""
    view = _View(wishes, out)
    try:
        with _daemon(settings):
            seen = _examined(settings, wishes, view)
    except Unavailable as error:
        seen = _closed_spool(settings, str(error))
    view.end(seen)
    return EXIT_OK if seen.is_green else EXIT_FAILED


def _examined(settings: Settings, wishes: Wishes, view: _View) -> Seen:
    ask = partial(control.ask, settings.path(settings.state_dir))
    examination = Examination(ask, compose_visit.way_of(settings), wants_test=wishes.wants_test)
    until_s = time.monotonic() + wishes.wait_s
    try:
        while True:
            began_s = time.monotonic()
            seen = examination.look()
            if seen.is_settled or began_s >= until_s:
                return seen
            view.show(seen)
            time.sleep(max(0.0, began_s + LOOK_EVERY_S - time.monotonic()))
    finally:
        examination.close()


@contextmanager
def _daemon(settings: Settings) -> Iterator[None]:
    """The daemon that runs, else one of our own. Raises Unavailable if the disk does not let it start."""
    if control.is_running(settings.path(settings.state_dir)):
        yield
        return
    with compose.opened(settings, has_coverage=False) as probe:
        daemon, publisher = probe.daemon()
        thread = threading.Thread(target=daemon.run, args=(publisher,), name="daemon", daemon=True)
        with compose_visit.serving(probe, daemon, publisher):
            thread.start()
            try:
                yield
            finally:
                probe.stop.set()
                thread.join(STOP_S)


def _closed_spool(settings: Settings, said: str) -> Seen:
    """What can be said if the spool does not open: power and card; the rest is not reached."""
    try:
        found = host.read(settings.path(settings.state_dir), 0)
        facts = Facts(is_host_read=True, throttled_bits=found.throttled_bits, cpu_temp_c_x10=found.cpu_temp_c_x10)
    except OSError:
        facts = Facts(is_host_read=True)
    power, _ = doctor.examine(facts)[:2]
    card = doctor.Finding("card", doctor.Verdict.BAD, "disk_error", {"said": said})
    return Seen(settings.probe, settings.site, (power, card), None, {})


def as_document(seen: Seen, language: Language) -> dict[str, Any]:
    """The check as plain values, for scripts."""
    checks = [
        {
            "check": finding.check,
            "modem": finding.modem,
            "verdict": finding.verdict.value,
            "word": finding.word,
            "says": doctor_words.says(finding, language),
            "do": doctor_words.remedy(finding, language),
            "values": dict(finding.values),
        }
        for finding in seen.findings
    ]
    return {"probe": seen.probe, "site": seen.site, "ok": seen.is_green, "code": seen.code, "checks": checks}


class _View:
    """Draws the list anew in place on a terminal; elsewhere it prints it once, at the end."""

    def __init__(self, wishes: Wishes, out: TextIO) -> None:
        self._wishes, self._out = wishes, out
        self._is_live = out.isatty() and not wishes.as_json
        self._drawn = 0
        if self._is_live:
            logging.getLogger("probe").setLevel(logging.ERROR)  # a log line would tear the picture

    def show(self, seen: Seen) -> None:
        """Draw the state of things, if this is a terminal."""
        if self._is_live:
            self._draw(seen)

    def end(self, seen: Seen) -> None:
        """Draw or print the end."""
        if self._wishes.as_json:
            self._out.write(json.dumps(as_document(seen, self._wishes.language), ensure_ascii=False) + "\n")
        else:
            self._draw(seen)

    def _draw(self, seen: Seen) -> None:
        width = shutil.get_terminal_size().columns
        lines = doctor_show.screen(seen, self._wishes.language, width=width, colour=self._is_live)
        if self._is_live:
            up = f"\x1b[{self._drawn}A" if self._drawn else ""
            self._out.write(up + "\r\x1b[J")
        self._out.write("\n".join(lines) + "\n")
        self._out.flush()
        self._drawn = len(lines)
