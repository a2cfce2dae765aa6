"""What a newcomer meets: set-up without root, one demonstration a folder, nothing left by a kill, a careful reset."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sim import demo
from sim.demo_lock import claimed
from sim.programs import Programs, program_path
from wire.errors import Misconfigured, Unavailable

ROOT = Path(__file__).resolve().parent.parent
NOBODY = 65534


@pytest.fixture
def clone() -> Iterator[Path]:
    """The parts of the repository that set-up reads, where any user may read them."""
    with tempfile.TemporaryDirectory(prefix="dosong-set-up-") as name:
        folder = Path(name)
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "setup.sh", folder / "scripts")
        shutil.copy(ROOT / "pyproject.toml", folder)
        folder.chmod(0o755)
        yield folder


def _bare_path(folder: Path) -> str:
    """A PATH without sudo."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("bash", "dirname", "date", "id", "python3", "flock", "cat", "cksum", "env"):
        (programs / name).symlink_to(shutil.which(name) or f"/usr/bin/{name}")
    return str(programs)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become nobody")
@pytest.mark.parametrize("purpose", ["demo", "check"])
def test_without_root_it_says_what_is_missing_and_offers_loopback(clone: Path, purpose: str) -> None:
    done = subprocess.run(
        [str(clone / "scripts" / "setup.sh"), purpose],
        env={"PATH": _bare_path(clone)}, user=NOBODY, group=NOBODY, extra_groups=(), stdin=subprocess.DEVNULL,
        capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert done.returncode == 78, done.stderr
    assert "only root may make those" in done.stderr
    assert "make demo LINK=loopback" in done.stderr
    assert not (clone / ".venv").exists(), "nothing is built for a user who cannot go on"


def test_two_demonstrations_need_two_folders(tmp_path: Path) -> None:
    refused = pytest.raises(Misconfigured, match=rf"running already .*{os.getpid()}")
    with claimed(tmp_path / "a"), claimed(tmp_path / "b"), refused, claimed(tmp_path / "a"):
        pass
    with claimed(tmp_path / "a"):
        pass


def test_a_kill_leaves_folders_that_the_next_start_removes(tmp_path: Path) -> None:
    mine = [tmp_path / "dosong-demo-abc", tmp_path / "dosong-sim" / "demo-17"]
    others = [tmp_path / "letters", tmp_path / "demo-17", tmp_path / "link-target"]
    for folder in mine + others:
        folder.mkdir(parents=True)
    link = tmp_path / "dosong-demo-link"
    link.symlink_to(others[-1])
    root = tmp_path / "data"
    root.mkdir()
    (root / "lock.json").write_text(json.dumps({"pid": 1, "temporary": [str(p) for p in [*mine, *others, link]]}))
    with claimed(root):
        assert not any(folder.exists() for folder in mine)
        assert all(folder.exists() for folder in others)


@pytest.mark.parametrize("content", ["", "][", "[1]", '{"temporary": 3}', "\0\0"])
def test_a_damaged_lock_file_stops_nobody(tmp_path: Path, content: str) -> None:
    (tmp_path / "lock.json").write_text(content)
    with claimed(tmp_path):
        pass


def test_reset_drops_what_demonstrations_kept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "netns" / "deployment").mkdir(parents=True)
    (tmp_path / "letters").mkdir()
    assert demo.reset(tmp_path) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["letters"]
    assert demo.reset(tmp_path / "never") == 0


def test_a_folder_that_settings_cannot_name_is_refused(tmp_path: Path) -> None:
    argv = [sys.executable, "-m", "sim", "demo", "--link", "loopback", "--dir", str(tmp_path / 'a "b"')]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, cwd=ROOT)
    assert done.returncode == 78
    assert "choose another folder" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Misconfigured, match="apt-get install no-such-program"):
        program_path("no-such-program")


def test_a_program_that_ends_is_told_by_its_last_words(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    programs.start("short", ["sh", "-c", "echo first; echo the disk is full; exit 3"])
    with pytest.raises(Unavailable, match=r"short ended with status 3: the disk is full \(log: .*short.log\)"):
        programs.wait_ready("short", lambda: False)
    programs.stop_all()


def test_programs_do_not_hear_our_ctrl_c(tmp_path: Path) -> None:
    programs = Programs(tmp_path)
    started = programs.start("sleeper", ["sleep", "60"])
    assert os.getpgid(started.process.pid) != os.getpgid(0)
    programs.stop(["sleeper", "never-started"])
    assert programs.running == {}
    assert started.process.returncode == -15
