"""Starting, watching and ending the real programs of a demonstration: each with its log, each ready before the next."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sim import ns
from wire.errors import Misconfigured, Unavailable

READY_S = 90.0


@dataclass(slots=True)
class Program:
    """One running program."""

    name: str
    argv: list[str]
    inside: int | None
    log: Path
    process: subprocess.Popen[bytes]


@dataclass(slots=True)
class Programs:
    """All programs of one run, by name and in the order of their start."""

    logs: Path
    running: dict[str, Program] = field(default_factory=dict)

    def start(self, name: str, argv: Sequence[str], inside: int | None = None) -> Program:
        """Start `argv` (in the namespaces of pid `inside`), its output appended to `<logs>/<name>.log`.

        It gets a session of its own: a Ctrl-C is for us alone, and we end the programs in their order.
        """
        self.logs.mkdir(parents=True, exist_ok=True)
        log = self.logs / f"{name}.log"
        with log.open("ab") as out:
            process = ns.popen(
                inside,
                list(argv),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        program = Program(name, list(argv), inside, log, process)
        self.running[name] = program
        return program

    def restart(self, name: str) -> Program:
        """Start a program again as it was, after it ended or was killed."""
        old = self.running[name]
        old.process.wait()
        return self.start(name, old.argv, old.inside)

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Signal one program that we started."""
        self.running[name].process.send_signal(number)

    def wait_ready(self, name: str, is_ready: Callable[[], bool], patience_s: float = READY_S) -> None:
        """Wait until `is_ready`. Raises Unavailable with the program's last words if it ends or takes too long."""
        program = self.running[name]
        deadline = time.monotonic() + patience_s
        while not is_ready():
            if program.process.poll() is not None:
                words = tail(program.log, 1).strip()
                raise Unavailable(
                    f"{name} ended with status {program.process.returncode}: {words} (log: {program.log})"
                )
            if time.monotonic() > deadline:
                words = tail(program.log, 1).strip()
                raise Unavailable(f"{name} is not ready after {patience_s:.0f} s: {words} (log: {program.log})")
            time.sleep(0.05)

    def ended(self) -> list[Program]:
        """Programs that ended by themselves."""
        return [program for program in self.running.values() if program.process.poll() is not None]

    def stop(self, names: Sequence[str], patience_s: float = 12.0) -> None:
        """End some programs together: SIGTERM, `patience_s` seconds for all of them, SIGKILL."""
        ending = [self.running.pop(name) for name in names if name in self.running]
        for program in ending:
            program.process.terminate()
        deadline = time.monotonic() + patience_s
        for program in ending:
            with contextlib.suppress(subprocess.TimeoutExpired):
                program.process.wait(max(0.1, deadline - time.monotonic()))
            if program.process.poll() is None:
                program.process.kill()
                program.process.wait()

    def stop_all(self) -> None:
        """End every program that still runs."""
        self.stop(list(reversed(self.running)))


def module(name: str, *args: str) -> list[str]:
    """Command line of one of our own programs, by this interpreter."""
    return [sys.executable, "-m", name, *args]


def run(*argv: str) -> str:
    """Run a command to its end and return its output. Raises Unavailable with its own words if it fails."""
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180, check=False)
    if done.returncode != 0:
        words = (done.stderr or done.stdout).strip() or f"status {done.returncode}"
        raise Unavailable(words.splitlines()[-1])
    return done.stdout


def free_port(wanted: int = 0, host: str = "127.0.0.1") -> int:
    """Return `wanted` if nothing listens there, else a free port."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.socket() as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
            return int(trial.getsockname()[1])
    raise Unavailable(f"no free port on {host}")


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Say whether something accepts connections there."""
    with contextlib.suppress(OSError), socket.create_connection((host, port), 1):
        return True
    return False


def tail(path: Path, lines: int = 8) -> str:
    """The last lines of a log, indented."""
    with contextlib.suppress(OSError):
        return "\n".join(f"    {line}" for line in path.read_text(errors="replace").splitlines()[-lines:])
    return "    (no log)"


def program_path(name: str) -> str:
    """Find a program, /usr/sbin included. Raises Misconfigured that names the Debian package."""
    for folder in [*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/sbin"]:
        if folder and os.access(Path(folder) / name, os.X_OK):
            return str(Path(folder) / name)
    package = {"influxd": "influxdb"}.get(name, name)
    raise Misconfigured(f"{name} is missing: run `apt-get install {package}` as root, or `make demo`, which does it")


def ask_sudo(why: str) -> None:
    """Replace this process by the same command under sudo, if there is a sudo that may be asked; else return.

    `why` is said first: what needs root, and what can be done without. Compiled Python files stay the user's own.
    """
    sudo = shutil.which("sudo")
    if sudo is None:
        return
    is_free = subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0
    if is_free or sys.stdin.isatty():
        sys.stderr.write(f"{why}: going on under sudo\n")
        python = ["env", "PYTHONDONTWRITEBYTECODE=1", sys.executable]
        os.execv(sudo, [sudo, *python, *sys.orig_argv[1:]])  # noqa: S606 (no shell is meant)
