"""Another record key: made here, vouched for by the one before, in force with a new epoch. Safe to be cut off anywhere.

Beside the key: `record.key.next` (made), `key.note` (signed by the old key), `key.accepted` (the same, once the
collector has it). From then on it is carried to its end at the next start of any program of ours.
Source: SPEC §6, note `key`; facts note 08 §4.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass
from pathlib import Path

from probe.enrol import put
from probe.recorder import Recorder
from probe.renew import line_of
from probe.settings import Settings
from probe.spool import Place, Spool
from probe.spool_files import read_epoch
from wire import keyfile, notes
from wire.enrolment import RotateAsk, Rotated
from wire.errors import Refused, Unavailable
from wire.note import Signer
from wire.records import BootRecord

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Files:
    """The files of a rotation, beside the record key."""

    key: Path

    @property
    def next(self) -> Path:
        """The key to come."""
        return self.key.with_name(f"{self.key.name}.next")

    @property
    def note(self) -> Path:
        """The note that vouches for it."""
        return self.key.with_name("key.note")

    @property
    def accepted(self) -> Path:
        """The same, once the collector has it."""
        return self.key.with_name("key.accepted")


def rotate(settings: Settings, spool: Spool, recorder: Recorder) -> int:
    """Change the record key; return the epoch from which the new one signs. The daemon must not run.

    Raises Refused, Unavailable, Misconfigured; done again it goes on where it stopped.
    """
    files = Files(settings.path(settings.key_file))
    old = keyfile.read_signer(files.key)
    if not files.next.exists():
        partial = files.next.with_name("record.key.partial")
        partial.unlink(missing_ok=True)
        keyfile.write_signer(partial, Signer.generate(old.name))
        partial.replace(files.next)
    if not files.note.exists():
        epoch = max(spool.place().epoch, read_epoch(settings.path(settings.state_dir))) + 1
        put(files.note, _note(settings, old, keyfile.read_signer(files.next), epoch))
    raw = files.note.read_bytes()
    epoch = line_of(settings).ask("rotate", RotateAsk(note=raw.decode()), Rotated).epoch
    put(files.accepted, raw)
    settle(settings, spool, recorder)
    return epoch


def settle(settings: Settings, spool: Spool, recorder: Recorder) -> None:
    """Carry a rotation that the collector accepted to its end, if there is one. Quiet while the disk refuses."""
    files = Files(settings.path(settings.key_file))
    if not files.accepted.exists():
        return
    try:
        if files.next.exists():
            _take_over(settings, files, spool, recorder)
        files.note.unlink(missing_ok=True)
        files.accepted.unlink()
    except (Unavailable, OSError) as error:
        log.warning("key=not_changed_yet error=%s", error)


def _take_over(settings: Settings, files: Files, spool: Spool, recorder: Recorder) -> None:
    fresh, old = keyfile.read_signer(files.next), keyfile.read_signer(files.key)
    try:
        epoch = notes.open_note(files.accepted.read_bytes(), notes.Key, settings.origin, old.verifier).epoch
    except Refused as error:
        raise Unavailable(f"{files.accepted} is damaged ({error}); run: dosong-probe rotate") from error
    place = spool.place()
    recorder.sign_with(fresh)
    if place.epoch < epoch:
        try:
            recorder.begin_epoch(epoch, _boot(recorder, place))
        except BaseException:
            recorder.sign_with(old)
            raise
    files.next.replace(files.key)
    log.info("key=changed epoch=%d", epoch)


def _boot(recorder: Recorder, place: Place) -> BootRecord:
    """The first record of the new epoch: it names where the one before stood."""
    stamp, is_first = recorder.stamp(), place.seq == 0
    return BootRecord(
        **recorder.head(stamp),
        reason="new_epoch",
        spool="ok",
        head_epoch=None if is_first else place.epoch,
        head_seq=None if is_first else place.seq - 1,
        head_hash=place.prev or None,
        uptime_ms=stamp.mono_ms,
    )


def _note(settings: Settings, old: Signer, fresh: Signer, epoch: int) -> bytes:
    signed = notes.Key(
        v=1,
        signed_ms=time.time_ns() // 1_000_000,
        probe=settings.probe,
        epoch=epoch,
        record_key=fresh.verifier.vkey,
    )
    return notes.seal(signed, settings.origin, old)
