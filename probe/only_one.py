"""One program of ours at a time in a state folder, by a lock that the kernel frees with the process."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from wire.errors import Misconfigured, Unavailable

_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO)


@contextmanager
def only_one(state_dir: Path) -> Iterator[None]:
    """Hold the lock of a state folder. Raises Unavailable if another program of ours has it, or Misconfigured."""
    try:
        handle = _lock_file(state_dir)
    except OSError as error:
        raise Misconfigured(
            f"state_dir {state_dir} cannot be written ({error.strerror}); create it and give it to this user"
        ) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        raise Unavailable(f"dosong-probe already runs with {state_dir}; stop it first") from error
    try:
        yield
    finally:
        os.close(handle)


def _lock_file(folder: Path) -> int:
    """Open what is locked. A full or read-only disk must not end the probe: then an old lock or the folder serves."""
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if error.errno not in _DISK or not folder.is_dir():
            raise
    return os.open(path if path.exists() else folder, os.O_RDONLY | os.O_CLOEXEC)
