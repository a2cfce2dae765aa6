"""The page of commands in docs/new-site.md leads to a counted sample, run exactly as it is printed."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAMS = {"dosong-provision": "provisioning", "dosong-sim": "sim", "dosong-collector": "collector",
            "dosong-point": "point", "dosong-probe": "probe"}  # fmt: skip


@pytest.fixture
def scratch() -> Iterator[Path]:
    """An empty folder with a short name (a socket's path has at most 107 bytes)."""
    with tempfile.TemporaryDirectory(prefix="new-site-", dir="/tmp") as made:
        yield Path(made)


def commands() -> str:
    """What the page prints, block after block."""
    text = (ROOT / "docs" / "new-site.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 6
    return "set -eu\n" + "".join(blocks)


def test_the_page_of_commands_ends_with_a_counted_sample(scratch: Path) -> None:
    shims, here = scratch / "bin", scratch / "here"
    shims.mkdir()
    here.mkdir()
    for name, package in PROGRAMS.items():
        (shims / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {package} "$@"\n')
        (shims / name).chmod(0o755)
    run = f"new-site-{os.getpid()}"
    path = f"{shims}:{os.environ['PATH']}:/usr/sbin:/sbin"
    surroundings = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT), "RUN": run}
    with (scratch / "out").open("wb") as out:
        process = subprocess.Popen(
            ["bash", "-c", commands()], cwd=here, env=surroundings, stdout=out, stderr=out, start_new_session=True
        )
        try:
            assert process.wait(200) == 0, _told(scratch)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()
            subprocess.run([str(shims / "dosong-sim"), "core", "down", "--run", run, "--all"], env=surroundings,
                           capture_output=True, check=False)  # fmt: skip
            left = _ended(scratch)
    assert left == [], "the last block ends everything"
    sample = json.loads((here / "sample.json").read_text())
    assert sample["counted"] is True
    assert (sample["probe"], sample["hamlet"], sample["kind"]) == ("p-dong-dong", "dt-dong-dong", "test")
    assert not list((here / "office" / "claims").iterdir()), "the claim was wiped"


def _ended(scratch: Path) -> list[str]:
    """End what still runs with a file of ours among its words, and say what it was."""
    left = []
    for one in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (one / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if f"{scratch}/" in words:
                left.append(words)
                os.kill(int(one.name), signal.SIGKILL)
    return left


def _told(scratch: Path) -> str:
    """What was said, and the end of each program's log."""
    logs = [scratch / "out", *sorted((scratch / "here").glob("*.log"))]
    return "\n".join(f"== {one.name}\n{one.read_text(errors='replace')[-1500:]}" for one in logs)
