"""Real power cuts of the spool: the program is killed at one system call, and the disk holds only what was synced.

The spool lies on a file system in an image that is never synced by itself; after the kill the image is copied as it
is, which drops all that the page cache of the file system still held. Source: facts note 08 §7.1.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.probe.test_spool import _APPENDING, check_chain, fill, opened, parse

CUTS = (8, 20, 30, 38, 42, 45, 48, 51, 57, 63, 70, 80)
"""Numbers of the write or sync at which the power goes; a start needs about forty, a record about seven."""

pytestmark = [
    pytest.mark.netns,
    pytest.mark.skipif(os.geteuid() != 0, reason="mounting an image needs root"),
    pytest.mark.skipif(
        not (shutil.which("strace") and shutil.which("mkfs.ext4")), reason="strace and mkfs.ext4 needed"
    ),
]


@contextmanager
def mounted(image: Path, at: Path) -> Iterator[Path]:
    at.mkdir(exist_ok=True)
    mount = subprocess.run(
        ["mount", "-o", "loop,commit=300", str(image), str(at)], capture_output=True, text=True, check=False
    )
    if mount.returncode != 0:
        pytest.skip(f"no loop mounts here: {mount.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", "-l", str(at)], check=True, capture_output=True)  # a failed test may hold it open


def cut(folder: Path, number: int) -> list[tuple[int, int]]:
    """Append until the power goes at call `number`; returns what had been promised. The image is then `cut.img`."""
    image = folder / "disk.img"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True, capture_output=True)
    with mounted(image, folder / "before") as disk:
        inject = f"inject=pwrite64,fdatasync,fsync,rename:signal=SIGKILL:when={number}"
        trace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject]
        command = [*trace, sys.executable, "-c", _APPENDING, str(disk / "state"), "40"]
        environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment)
        shutil.copy(image, folder / "cut.img")
    assert done.returncode != 0, "it ended before the cut"
    return [parse(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("number", CUTS)
def test_power_cut_loses_no_promised_record_and_the_spool_goes_on(tmp_path: Path, number: int) -> None:
    promised = cut(tmp_path, number)
    with mounted(tmp_path / "cut.img", tmp_path / "after") as disk:
        spool, recorder = opened(disk / "state", 200_000)
        try:
            assert set(promised) <= {(k.epoch, k.seq) for k in spool.waiting(1000)}
            assert spool.origin_of_file != "damaged"
            fill(recorder, 2)
            check_chain(spool.waiting(1000))
        finally:
            spool.close()


@pytest.mark.parametrize("number", [11, 12, 15, 20])
def test_sync_that_fails_is_no_promise_and_the_spool_calls_for_a_restart(tmp_path: Path, number: int) -> None:
    script = _APPENDING.replace("while True:", "from wire.errors import Unavailable\nwhile True:").replace(
        '(kept,) = fill(recorder, 1, "k" * 60)',
        'try: (kept,) = fill(recorder, 1, "k" * 60)\n    except Unavailable: print("broken", spool.is_broken); break',
    )
    inject = f"inject=fdatasync:error=EIO:when={number}"
    command = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", inject, sys.executable, "-c", script]
    done = subprocess.run([*command, str(tmp_path), "40"], capture_output=True, text=True, timeout=60, check=False)
    *promises, last = done.stdout.splitlines()
    assert last == "broken True", done.stderr
    spool, recorder = opened(tmp_path, 200_000)
    assert {parse(line) for line in promises} <= {(k.epoch, k.seq) for k in spool.waiting(1000)}
    fill(recorder, 1)
    check_chain(spool.waiting(1000))
    spool.close()
