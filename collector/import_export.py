"""Import of a probe's signed export: read the files, hand their messages to the running `receive`, say what came of it.

Nothing here is believed or stored: each record passes the same door as one from the broker. A file is stored whole in
one transaction or not at all; one that was stored before, or whose records came by the broker, is all duplicates.
Source: design §5 (Ways out), §7 (writers).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.submit import Outcome
from wire import exportfile, topics
from wire.errors import Refused, Unavailable

SUFFIX = ".dosong"
Submit = Callable[[Sequence[tuple[str, bytes]]], Outcome]


@dataclass(slots=True)
class Imported:
    """What an import came to. `faults`: one sentence for each file of which nothing was stored."""

    files: int = 0
    accepted: int = 0
    duplicate: int = 0
    refused: int = 0
    refused_as: set[str] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count a file."""
        self.files += 1
        self.accepted += outcome.accepted
        self.duplicate += outcome.duplicate
        self.refused += outcome.refused
        self.refused_as.update(outcome.refused_as)


def import_paths(paths: Sequence[Path], origin: str, submit: Submit) -> Imported:
    """Import files, and the export files of folders. Raises Unavailable if `receive` does not take them.

    A file that cannot be read, is damaged or belongs to another deployment is told and left out; the others go on.
    """
    done = Imported()
    for path in _files(paths):
        try:
            found = exportfile.decode(_read(path))
            if found.origin != origin:
                raise Refused("wrong_domain", f"it belongs to the deployment {found.origin}, and this one is {origin}")
        except Refused as error:
            done.faults.append(f"{path}: {error.detail}")
            continue
        topic = topics.up(found.probe)
        done.add(submit([(topic, message) for message in found.messages]))
    return done


def _files(paths: Sequence[Path]) -> Iterator[Path]:
    """The files meant by some paths: of a folder, its export files. Raises Unavailable for a folder without any."""
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = sorted(path.glob(f"*{SUFFIX}"))
        if not found:
            raise Unavailable(f"{path} holds no export file (*{SUFFIX}); name the folder that dosong-probe export made")
        yield from found


def _read(path: Path) -> bytes:
    """A file's bytes, no more than an export may have. Raises Refused."""
    try:
        with path.open("rb") as file:
            return file.read(exportfile.READ_BYTES + 1_000)
    except OSError as error:
        raise Refused("bad_bundle", f"it cannot be read: {error.strerror}") from error
