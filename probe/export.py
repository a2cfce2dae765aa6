"""The signed export: records that wait, as files that a stick or a phone carries to the collector.

A folder of files of at most 1 MB and one that tells a person what they are. Made beside a running daemon, which it
never disturbs: the spool is only read. A file is there whole or not at all, so an export that was interrupted goes on
where it stopped; the spool forgets nothing for it, since only a signed ACK releases a record.
Source: design §5 (Ways out): a hamlet without signal is the best evidence, and must not wait for signal.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from probe import show
from probe.core import parcel
from probe.spool_rows import Kept
from wire import exportfile
from wire.errors import Refused, Unavailable

MANIFEST = "MANIFEST.txt"
SUFFIX = ".dosong"
_MANIFEST = """\
Records of one dosong probe, signed, for the collector.
Bản ghi đã ký của một trạm đo dosong, để nạp vào máy chủ.

probe / trạm đo: {probe}
deployment / hệ thống: {origin}
made / lập lúc: {made}
records / số bản ghi: {records} ({span})

Take the whole folder to the collector's machine and run there:
Mang cả thư mục này tới máy chủ rồi chạy:
  dosong-collector import-export --config collector.toml THIS_FOLDER

Nothing is lost if the folder is: the probe keeps its records until the collector has signed for them.
Mất thư mục này không mất số liệu: trạm đo giữ bản ghi cho tới khi máy chủ ký nhận.

sha256  records  file
{files}
"""


@dataclass(frozen=True, slots=True)
class Written:
    """What an export holds now: of these records `new` were added by this run. `span`: first and last place."""

    records: int
    new: int
    files: int
    span: str


def write(folder: Path, probe: str, origin: str, waiting: Iterable[Kept], now_ms: int | None) -> Written:
    """Write what `waiting` yields (in sending order) and the folder does not hold yet.

    Raises Unavailable if the folder cannot be written, or holds another probe's export.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for partial in folder.glob("*.partial"):
            partial.unlink()
        held = dict(_held(folder, probe, origin))
        done = {place for file in held.values() for place in file.places}
        new = 0
        for group in _groups(kept for kept in waiting if (kept.epoch, kept.seq) not in done):
            messages = parcel.messages((*kept.receipts, kept.raw) for kept in group)
            file = exportfile.ExportFile(probe, origin, tuple(messages))
            held[_name(probe, group)] = file
            _put(folder / _name(probe, group), exportfile.encode(file))
            new += len(group)
        return _tell(folder, probe, origin, held, new, now_ms)
    except OSError as error:
        raise Unavailable(
            f"the export {folder} cannot be written: {error.strerror}; make room there or choose another folder"
        ) from error


def _held(folder: Path, probe: str, origin: str) -> Iterator[tuple[str, exportfile.ExportFile]]:
    """The whole files of an earlier run; one that is broken is written anew. Raises Unavailable for another probe's."""
    for path in sorted(folder.glob(f"*{SUFFIX}")):
        try:
            found = exportfile.decode(path.read_bytes())
        except Refused:
            path.unlink()
            continue
        if (found.probe, found.origin) != (probe, origin):
            raise Unavailable(f"{folder} holds the export of {found.probe}; choose an empty folder")
        yield path.name, found


def _groups(waiting: Iterable[Kept]) -> Iterator[list[Kept]]:
    """Runs of records of one epoch that fit one file."""
    group: list[Kept] = []
    size = 0
    for kept in waiting:
        needed = len(kept.raw) + sum(map(len, kept.receipts)) + 2 * (2 + len(kept.receipts))
        if group and (kept.epoch != group[-1].epoch or size + needed > exportfile.MAX_BYTES):
            yield group
            group, size = [], 0
        group.append(kept)
        size += needed
    if group:
        yield group


def _name(probe: str, group: list[Kept]) -> str:
    return f"{probe}-{group[0].epoch}-{group[0].seq:09d}-{group[-1].seq:09d}{SUFFIX}"


def _put(path: Path, content: bytes) -> None:
    """Have a file there whole, on the medium, when this returns. Raises OSError."""
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    with contextlib.suppress(OSError):  # some file systems of sticks cannot
        handle = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _tell(
    folder: Path, probe: str, origin: str, held: dict[str, exportfile.ExportFile], new: int, now_ms: int | None
) -> Written:
    """Write the manifest, last: it says what is there."""
    places = sorted(place for file in held.values() for place in file.places)
    span = "none" if not places else f"{places[0][0]}:{places[0][1]} .. {places[-1][0]}:{places[-1][1]}"
    lines = [f"{file.digest[:16]}  {len(file.places):7d}  {name}" for name, file in sorted(held.items())]
    text = _MANIFEST.format(
        probe=probe, origin=origin, made=show.when(now_ms), records=len(places), span=span, files="\n".join(lines)
    )
    _put(folder / MANIFEST, text.encode())
    return Written(len(places), new, len(held), span)
