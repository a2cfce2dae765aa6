"""One demonstration at a time in a folder, and nothing left of one that was killed.

The folder's lock file is held by the kernel, so it is free again however its holder ended. It names the temporary
folders of its holder; whoever takes the lock after a kill removes those.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from wire.errors import Misconfigured

_FILE = "lock.json"
# What may be removed on a lock file's word: folders that have the names which a demonstration gives to its own.
_SCRATCH = re.compile(r"dosong-demo-\w+")
_RUN = re.compile(r"demo-[0-9]+")


class Claim:
    """A folder that is ours until the context of `claimed` ends."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, temporary: list[Path]) -> None:
        """Name the temporary folders of this run, for whoever comes after a kill."""
        self._file.seek(0)
        self._file.truncate()
        json.dump({"pid": os.getpid(), "temporary": [str(path) for path in temporary]}, self._file)
        self._file.flush()


@contextlib.contextmanager
def claimed(root: Path) -> Iterator[Claim]:
    """Hold `root` (made if need be) for one demonstration, after removing what a killed one left behind.

    Raises Misconfigured if another demonstration holds it.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / _FILE).open("a+", encoding="utf-8") as file:
        file.seek(0)
        left = _read(file)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise Misconfigured(
                f"a demonstration is running already with {root} (process {left.get('pid')}): end that one first, "
                "or give this one a folder of its own: make demo ARGS='--dir other-data'"
            ) from error
        _sweep(left)
        claim = Claim(file)
        claim.write([])
        yield claim
        claim.write([])


def _read(file: TextIO) -> dict[str, object]:
    with contextlib.suppress(json.JSONDecodeError, UnicodeDecodeError):
        found = json.load(file)
        return found if isinstance(found, dict) else {}
    return {}


def _sweep(left: dict[str, object]) -> None:
    folders = left.get("temporary")
    for folder in folders if isinstance(folders, list) else []:
        path = Path(str(folder))
        if _is_ours(path) and path.is_dir() and path.lstat().st_uid == os.geteuid():
            shutil.rmtree(path, ignore_errors=True)


def _is_ours(path: Path) -> bool:
    is_run = path.parent.name.startswith("dosong-sim") and _RUN.fullmatch(path.name) is not None
    return (is_run or _SCRATCH.fullmatch(path.name) is not None) and not path.is_symlink()
