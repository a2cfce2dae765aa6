"""The boot record: why the program starts, and where its chain stood, so that a lost or rolled-back spool shows."""

from __future__ import annotations

from typing import Literal

from probe import build
from probe.core.chain import NewEpoch
from probe.core.draft import Stamp
from probe.devices import host
from probe.recorder import Recorder
from probe.spool import Spool
from wire.records import BootRecord

Reason = Literal["install", "start", "power", "crash", "update", "reboot", "new_epoch"]


def keep_boot(
    recorder: Recorder, spool: Spool, modems: int, stamp: Stamp | None = None, alive_ms: int | None = None
) -> None:
    """Keep the boot record of a start at `stamp` (None: now), and remember this boot. Raises Unavailable.

    `alive_ms`: when the last run was seen alive, if another than the spool knows (UTC).
    """
    if spool.is_shut:
        spool.put_marks({})  # tries the disk: what the boot record says of the spool is known once it is open
    stamp = stamp or recorder.stamp()
    place = spool.place()
    last_seq = place.seq - 1
    record = BootRecord(
        **recorder.head(stamp),
        reason=boot_reason(spool, stamp.boot),
        spool=spool.origin_of_file,
        head_epoch=place.epoch if last_seq >= 0 else None,
        head_seq=last_seq if last_seq >= 0 else None,
        head_hash=place.prev or None,
        downtime_ms=_downtime_ms(spool, stamp, alive_ms),
        uptime_ms=stamp.mono_ms,
        model=host.model(),
        os=host.os_name(),
        modems=modems,
    )
    recorder.keep(record, {"boot": stamp.boot, "clean": "0", "fw": build.firmware()})


def boot_reason(spool: Spool, boot: str) -> Reason:
    """Say why the program starts, from what the last one left behind."""
    if spool.origin_of_file == "damaged":
        return "new_epoch"
    last_boot, is_clean = spool.mark("boot"), spool.mark("clean") == "1"
    if last_boot is None:
        return "install"
    if spool.mark("fw") != build.firmware():
        return "update"
    if last_boot != boot:
        return "reboot" if is_clean else "power"
    return "start" if is_clean else "crash"


def _downtime_ms(spool: Spool, stamp: Stamp, noted_ms: int | None) -> int | None:
    kept_ms = spool.mark("alive_ms")
    alive_ms = max((ms for ms in (noted_ms, None if kept_ms is None else int(kept_ms)) if ms is not None), default=None)
    if alive_ms is None or stamp.t_ms is None:
        return None
    return max(0, stamp.t_ms - alive_ms)


def new_epoch(recorder: Recorder, effect: NewEpoch) -> None:
    """Begin the epoch that the ledger's knowledge asks for, with a boot record that names its head."""
    stamp = recorder.stamp()
    boot = BootRecord(
        **recorder.head(stamp),
        reason="new_epoch",
        spool="rolled_back",
        head_epoch=effect.head_epoch,
        head_seq=effect.head_seq,
        head_hash=effect.head_hash,
        uptime_ms=stamp.mono_ms,
    )
    recorder.begin_epoch(effect.epoch, boot)
